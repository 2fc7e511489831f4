"""A language model as one GGUF file, as llama.cpp reads it, written with llama.cpp's own library `gguf`.

Only architectures are written whose logits and tokens llama.cpp itself was seen to give as transformers does (see
`tests/engine/test_gguf_in_llama_cpp.py`): Llama, Mistral and Qwen2. llama.cpp turns pairs of dimensions where transformers turns halves,
so the rows of Llama's queries and keys change places (as in its convert_hf_to_gguf.py).
"""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any, Literal

import numpy as np
from torch import Tensor

from workbench.domain.errors import BadInput

Precision = Literal["f32", "f16", "q8_0"]
_ARCHITECTURES = {"llama": "llama", "mistral": "llama", "qwen2": "qwen2"}
_BLANK = "\u2581"
_CUT = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|%s| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
# What llama.cpp calls the ways of byte-level tokenizers: by the expression that cuts words, and whether whole words aren't merged.
_WORDS = {
    (_CUT % r"\p{N}", False): "qwen2",
    (_CUT % r"\p{N}{1,3}", True): "llama-bpe",
    (_CUT % r"\p{N}{1,3}", False): "smaug-bpe",
}
_ELSEWHERE = "Export safetensors, and convert them with llama.cpp's convert_hf_to_gguf.py."


def write_gguf(
    model: Any, tokenizer: Any, out: Path, *, name: str, precision: Precision = "f32", licence: str = ""
) -> None:
    """Write weights, settings and tokenizer into the file `out`.

    Vectors stay float32; matrices get the precision, those whose rows q8_0 can't cut into blocks of 32 get f16. Raises BadInput where
    the architecture, its positions or the tokenizer can't be written, and when `gguf` is not installed.
    """
    gguf = _library()
    config = model.config
    arch = _checked(config)
    tokens = _Tokenizer(tokenizer, config.vocab_size)
    writer = gguf.GGUFWriter(str(out), arch)
    try:
        _write_settings(writer, config, name, licence)
        tokens.write(writer, gguf)
        _write_weights(writer, gguf, model, arch, precision)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
    finally:
        writer.close()


def _library() -> Any:
    try:
        return importlib.import_module("gguf")
    except ImportError as error:
        raise BadInput(
            "Writing GGUF needs the package gguf, which is not installed.",
            "Install it beside the workbench: pip install 'rlhf-workbench[export]'.",
        ) from error


def _checked(config: Any) -> str:
    arch = _ARCHITECTURES.get(config.model_type)
    if arch is None:
        known = ", ".join(sorted(_ARCHITECTURES))
        raise BadInput(f"GGUF can be written for {known}, not for {config.model_type}.", _ELSEWHERE)
    rope = getattr(config, "rope_parameters", None) or {}
    if rope.get("rope_type", "default") != "default":
        raise BadInput(f"GGUF can't be written for positions of the kind {rope['rope_type']!r}.", _ELSEWHERE)
    if config.hidden_act != "silu":
        raise BadInput(
            f"GGUF can't be written for the activation {config.hidden_act!r}; llama.cpp takes SiLU.", _ELSEWHERE
        )
    if config.model_type != "qwen2" and (
        getattr(config, "attention_bias", False) or getattr(config, "mlp_bias", False)
    ):
        raise BadInput("GGUF can't be written for a Llama with biases.", _ELSEWHERE)
    return arch


def _write_settings(writer: Any, config: Any, name: str, licence: str) -> None:
    heads = config.num_attention_heads
    width = getattr(config, "head_dim", None) or config.hidden_size // heads
    rope = getattr(config, "rope_parameters", None) or {}
    writer.add_name(name)
    if licence:
        writer.add_license(licence)
    writer.add_block_count(config.num_hidden_layers)
    # llama.cpp looks back over the whole context here: a model with a window is the same as far as the window reaches.
    writer.add_context_length(min(config.max_position_embeddings, getattr(config, "sliding_window", None) or 2**31))
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_key_length(width)
    writer.add_value_length(width)
    writer.add_rope_dimension_count(width)
    writer.add_rope_freq_base(float(rope.get("rope_theta", 10_000.0)))
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_vocab_size(config.vocab_size)


def _write_weights(writer: Any, gguf: Any, model: Any, arch: str, precision: Precision) -> None:
    config = model.config
    kinds = gguf.GGMLQuantizationType
    wanted = {"f32": kinds.F32, "f16": kinds.F16, "q8_0": kinds.Q8_0}[precision]
    files = gguf.LlamaFileType
    writer.add_file_type({"f32": files.ALL_F32, "f16": files.MOSTLY_F16, "q8_0": files.MOSTLY_Q8_0}[precision])
    kind = gguf.MODEL_ARCH.LLAMA if arch == "llama" else gguf.MODEL_ARCH.QWEN2
    names = gguf.get_tensor_name_map(kind, config.num_hidden_layers)
    for key, tensor in model.state_dict().items():
        if key == "lm_head.weight" and config.tie_word_embeddings:
            continue  # llama.cpp takes the embedding where there is no output matrix
        name = names.get_name(key, try_suffixes=(".weight", ".bias"))
        if name is None:
            raise BadInput(f"GGUF has no name for the tensor {key}.", _ELSEWHERE)
        values = _rows_for_pairs(key, tensor, config) if arch == "llama" else tensor
        array = values.detach().float().cpu().contiguous().numpy()
        if array.ndim < 2 or wanted == kinds.F32:
            writer.add_tensor(name, array)
            continue
        fitting = wanted if wanted != kinds.Q8_0 or array.shape[-1] % 32 == 0 else kinds.F16
        writer.add_tensor(name, gguf.quants.quantize(array, fitting), raw_dtype=fitting)


def _rows_for_pairs(key: str, tensor: Tensor, config: Any) -> Tensor:
    """Queries and keys [heads * width, hidden] with each head's rows i and i + width / 2 side by side."""
    if ".q_proj." in key:
        heads = config.num_attention_heads
    elif ".k_proj." in key:
        heads = config.num_key_value_heads
    else:
        return tensor
    half = tensor.shape[0] // heads // 2
    return tensor.reshape(heads, 2, half, *tensor.shape[1:]).transpose(1, 2).reshape(tensor.shape)


class _Tokenizer:
    """What tokenizer.json says, in the words of GGUF: kind, pieces with scores and types, merges, special tokens."""

    def __init__(self, tokenizer: Any, size: int) -> None:
        self._tokenizer, self._size = tokenizer, size
        backend = getattr(tokenizer, "backend_tokenizer", None)
        if backend is None:
            raise BadInput("GGUF can't be written for a tokenizer without tokenizer.json.", _ELSEWHERE)
        self._said = json.loads(backend.to_str())
        self._model = self._said["model"]
        self.words, self._prefix = "", False
        if self._model["type"] != "BPE":
            raise BadInput(f"GGUF can't be written for a tokenizer of the kind {self._model['type']}.", _ELSEWHERE)
        if self._model.get("byte_fallback"):
            self._prefix = self._blank_in_front()
        else:
            self.words = self._words()
        merges = [pair if isinstance(pair, list) else pair.split(" ", 1) for pair in self._model["merges"]]
        self._merges: list[list[str]] = merges

    def write(self, writer: Any, gguf: Any) -> None:
        """Add everything to the file."""
        pieces, scores, types = self._pieces(gguf.TokenType)
        writer.add_tokenizer_model("gpt2" if self.words else "llama")
        writer.add_tokenizer_pre(self.words or "default")
        writer.add_token_list(pieces)
        writer.add_token_types(types)
        if self.words:
            writer.add_token_merges([" ".join(pair) for pair in self._merges])
        else:
            writer.add_token_scores(scores)
            writer.add_add_space_prefix(self._prefix)
        ids = self._tokenizer("a")["input_ids"]
        special = (("bos", writer.add_bos_token_id), ("eos", writer.add_eos_token_id),
                   ("unk", writer.add_unk_token_id), ("pad", writer.add_pad_token_id))  # fmt: skip
        for name, add in special:
            if (token := getattr(self._tokenizer, f"{name}_token_id")) is not None:
                add(token)
        writer.add_add_bos_token(bool(ids) and ids[0] == self._tokenizer.bos_token_id)
        writer.add_add_eos_token(len(ids) > 1 and ids[-1] == self._tokenizer.eos_token_id)
        if isinstance(self._tokenizer.chat_template, str):
            writer.add_chat_template(self._tokenizer.chat_template)

    def _pieces(self, kinds: Any) -> tuple[list[bytes], list[float], list[int]]:
        vocabulary = {token: piece for piece, token in self._model["vocab"].items()}
        added = {entry["id"]: entry for entry in self._said.get("added_tokens", [])}
        # SentencePiece joins the pair whose whole has the best score: the merges' order, told as scores.
        rank: dict[str, int] = {}
        for place, (left, right) in enumerate(self._merges):
            rank.setdefault(left + right, place)
        pieces, scores, types = [], [], []
        for token in range(self._size):
            entry = added.get(token)
            piece = entry["content"] if entry else vocabulary.get(token)
            if piece is None:
                piece, kind = f"[PAD{token}]", kinds.UNUSED
            elif piece == self._model.get("unk_token"):
                kind = kinds.UNKNOWN
            elif entry:
                kind = kinds.CONTROL if entry["special"] else kinds.USER_DEFINED
            else:
                byte = not self.words and len(piece) == 6 and piece.startswith("<0x") and piece.endswith(">")
                kind = kinds.BYTE if byte else kinds.NORMAL
            pieces.append(piece.encode("utf-8"))
            scores.append(-float(rank.get(piece, len(rank))) if kind == kinds.NORMAL else 0.0)
            types.append(int(kind))
        return pieces, scores, types

    def _blank_in_front(self) -> bool:
        """Whether this kind of SentencePiece puts a blank before a text; BadInput for one that does something else besides."""
        normalizer, cut = self._said.get("normalizer") or {}, self._said.get("pre_tokenizer") or {}
        steps = normalizer.get("normalizers", [normalizer] if normalizer else [])
        told = [(step["type"], step.get("prepend") or step.get("content")) for step in steps]
        if not cut and told in ([("Prepend", _BLANK), ("Replace", _BLANK)], [("Replace", _BLANK)]):
            return len(told) == 2
        if not told and cut.get("type") == "Metaspace" and cut.get("replacement") == _BLANK:
            return bool(cut["prepend_scheme"] != "never")
        raise _unknown()

    def _words(self) -> str:
        """llama.cpp's name for how this byte-level tokenizer cuts texts into words; BadInput for one that it may not know.

        What it calls llama-bpe takes whole words of the vocabulary without merging; smaug-bpe cuts alike and merges.
        """
        cut, whole = self._said.get("pre_tokenizer") or {}, bool(self._model.get("ignore_merges"))
        if self._said.get("normalizer") is None or self._said["normalizer"].get("type") == "NFC":
            if (
                cut.get("type") == "ByteLevel"
                and cut.get("use_regex")
                and not cut.get("add_prefix_space")
                and not whole
            ):
                return "gpt-2"
            parts = cut.get("pretokenizers", [])
            if [part.get("type") for part in parts] == ["Split", "ByteLevel"]:
                found = _WORDS.get((parts[0]["pattern"].get("Regex", ""), whole))
                if found is not None:
                    return found
        raise _unknown()


def _unknown() -> BadInput:
    return BadInput("GGUF can't be written: this tokenizer cuts texts in a way that isn't known here.", _ELSEWHERE)


def read_back(file: Path) -> dict[str, np.ndarray[Any, Any]]:
    """Every tensor of a GGUF file as float32, by its name there."""
    gguf = _library()
    reader = gguf.GGUFReader(str(file))
    return {t.name: gguf.quants.dequantize(t.data, t.tensor_type).reshape(t.shape[::-1]) for t in reader.tensors}
