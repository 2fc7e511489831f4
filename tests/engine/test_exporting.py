"""Exported models say the same as they did here, read by the libraries that they are meant for."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    LlamaConfig,
    LlamaForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
)

from workbench.domain.errors import BadInput
from workbench.engine.adapters import quiet
from workbench.engine.exporting import also_for_transformers_4, export_model
from workbench.engine.gguf_file import _Tokenizer, read_back
from workbench.engine.models import load_policy

gguf = pytest.importorskip("gguf")
STARTER = Path(__file__).parents[2] / "resources" / "starter" / "model"
IDS = torch.tensor([[1, 5, 9, 33, 80, 7, 300, 42]])


def logits(model: torch.nn.Module) -> torch.Tensor:
    with torch.inference_mode():
        found: torch.Tensor = model(IDS).logits
    return found


def small(folder: Path, kind: str) -> Path:
    """A random model with grouped heads, untied, with a head width of its own, beside the starter's tokenizer."""
    torch.manual_seed(0)
    shape = {
        "vocab_size": 1024, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
        "num_key_value_heads": 2, "max_position_embeddings": 64, "tie_word_embeddings": False,
        "rope_parameters": {"rope_type": "default", "rope_theta": 5000.0}, "bos_token_id": 1, "eos_token_id": 2,
    }  # fmt: skip
    made = (
        LlamaForCausalLM(LlamaConfig(head_dim=16, **shape))
        if kind == "llama"
        else Qwen2ForCausalLM(Qwen2Config(**shape))
    )
    for name, parameter in made.named_parameters():
        if name.endswith("bias"):
            torch.nn.init.normal_(parameter)
    made.save_pretrained(folder)
    AutoTokenizer.from_pretrained(STARTER).save_pretrained(folder)
    return folder


def test_that_a_gguf_file_is_read_as_the_same_model_by_transformers(tmp_path: Path, shared: Path) -> None:
    folder = shared / "models" / "stories260K"
    file = export_model(folder, tmp_path / "out", "gguf", card="# card\n", licence="mit")
    read = AutoModelForCausalLM.from_pretrained(file.parent, gguf_file=file.name, dtype=torch.float32)
    assert torch.allclose(logits(read), logits(load_policy(folder).model), atol=1e-5)
    assert (file.parent / "README.md").read_text() == "# card\n"
    fields = gguf.GGUFReader(str(file)).fields
    said = {
        name: fields[name].contents() for name in ("general.license", "llama.rope.freq_base", "tokenizer.ggml.model")
    }
    assert said == {"general.license": "mit", "llama.rope.freq_base": 10000.0, "tokenizer.ggml.model": "llama"}


@pytest.mark.parametrize("kind", ["llama", "qwen2"])
def test_that_every_tensor_comes_back_and_logits_with_it(kind: str, tmp_path: Path) -> None:
    folder = small(tmp_path / kind, kind)
    file = export_model(folder, tmp_path / "out", "gguf")
    original = load_policy(folder).model
    tensors = read_back(file)
    assert np.array_equal(tensors["output.weight"], original.lm_head.weight.detach().numpy())
    assert np.array_equal(
        tensors["blk.1.ffn_down.weight"], original.model.layers[1].mlp.down_proj.weight.detach().numpy()
    )
    queries = original.model.layers[0].self_attn.q_proj.weight.detach().numpy()
    same = np.array_equal(tensors["blk.0.attn_q.weight"], queries)
    assert same == (kind == "qwen2"), "llama.cpp turns Llama's pairs where transformers turns halves"
    read = AutoModelForCausalLM.from_pretrained(file.parent, gguf_file=file.name, dtype=torch.float32)
    assert torch.allclose(logits(read), logits(original), atol=1e-5)


def test_that_smaller_numbers_are_near_and_vectors_exact(tmp_path: Path) -> None:
    folder = small(tmp_path / "llama", "llama")
    exact = read_back(export_model(folder, tmp_path / "exact", "gguf"))
    for precision, near in (("f16", 1e-3), ("q8_0", 1e-2)):
        found = read_back(export_model(folder, tmp_path / precision, "gguf", precision=precision))
        assert found.keys() == exact.keys()
        for name, array in exact.items():
            assert np.allclose(found[name], array, atol=0 if array.ndim < 2 else near * np.abs(array).max()), name
            assert array.ndim < 2 or not np.array_equal(found[name], array)


def test_that_pieces_scores_and_merges_are_those_of_the_tokenizer(tmp_path: Path, shared: Path) -> None:
    folder = shared / "models" / "stories260K"
    fields = gguf.GGUFReader(str(export_model(folder, tmp_path / "spm", "gguf"))).fields
    model = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))["model"]
    pieces = fields["tokenizer.ggml.tokens"].contents()
    assert pieces == [piece for piece, _ in sorted(model["vocab"].items(), key=lambda entry: entry[1])]
    scores = dict(zip(pieces, fields["tokenizer.ggml.scores"].contents(), strict=True))
    wholes = ["".join(pair if isinstance(pair, list) else pair.split(" ", 1)) for pair in model["merges"]]
    ordered = [scores[whole] for whole in dict.fromkeys(wholes)]
    assert ordered == sorted(ordered, reverse=True), "what is merged first has the best score"
    types = dict(zip(pieces, fields["tokenizer.ggml.token_type"].contents(), strict=True))
    assert (types["<unk>"], types["</s>"], types["<0x0A>"]) == (2, 3, 6)
    fields = gguf.GGUFReader(str(export_model(STARTER, tmp_path / "bpe", "gguf"))).fields
    assert fields["tokenizer.ggml.model"].contents() == "gpt2" and fields["tokenizer.ggml.pre"].contents() == "gpt-2"
    assert len(fields["tokenizer.ggml.merges"].contents()) > 100


def test_that_a_window_bounds_the_context_that_llama_cpp_is_told_of(tmp_path: Path) -> None:
    folder = small(tmp_path / "llama", "llama")
    config = json.loads((folder / "config.json").read_text())
    for number, (window, context) in enumerate(((24, 24), (200, 64), (None, 64))):
        said = config | {"model_type": "mistral", "architectures": ["MistralForCausalLM"], "sliding_window": window}
        (folder / "config.json").write_text(json.dumps(said))
        file = export_model(folder, tmp_path / f"out-{number}", "gguf")
        assert gguf.GGUFReader(str(file)).fields["llama.context_length"].contents() == context


CUT = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|%s| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
BYTES = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
BLANK = {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "first", "split": False}
REPLACED = {"type": "Replace", "pattern": {"String": " "}, "content": "\u2581"}
PREPENDED = {"type": "Prepend", "prepend": "\u2581"}


def cut_by(digits: str) -> dict[str, object]:
    split = {"type": "Split", "pattern": {"Regex": CUT % digits}, "behavior": "Isolated", "invert": False}
    return {"type": "Sequence", "pretokenizers": [split, BYTES | {"use_regex": False}]}


def told_of(folder: Path, **changed: object) -> _Tokenizer:
    """What is written of a folder's tokenizer after parts of it were changed."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    said = json.loads(tokenizer.backend_tokenizer.to_str())
    said["model"]["ignore_merges"] = changed.pop("whole", False)
    backend = SimpleNamespace(to_str=lambda: json.dumps(said | changed))
    return _Tokenizer(SimpleNamespace(backend_tokenizer=backend), 1024)


@pytest.mark.parametrize(
    ("changed", "name"),
    [
        ({"pre_tokenizer": BYTES}, "gpt-2"),
        ({"pre_tokenizer": BYTES, "normalizer": {"type": "NFC"}}, "gpt-2"),
        ({"pre_tokenizer": cut_by(r"\p{N}")}, "qwen2"),
        ({"pre_tokenizer": cut_by(r"\p{N}{1,3}"), "whole": True}, "llama-bpe"),
        ({"pre_tokenizer": cut_by(r"\p{N}{1,3}")}, "smaug-bpe"),
        ({"pre_tokenizer": BYTES, "whole": True}, ""),
        ({"pre_tokenizer": cut_by(r"\p{N}"), "whole": True}, ""),
        ({"pre_tokenizer": BYTES | {"add_prefix_space": True}}, ""),
        ({"pre_tokenizer": BYTES | {"use_regex": False}}, ""),
        ({"pre_tokenizer": cut_by(r"\p{N}{1,2}")}, ""),
        ({"pre_tokenizer": BYTES, "normalizer": {"type": "Lowercase"}}, ""),
        ({"pre_tokenizer": None}, ""),
    ],
)
def test_that_ways_of_cutting_words_have_llama_cpps_names_or_are_refused(changed: dict[str, object], name: str) -> None:
    if name:
        assert told_of(STARTER, **changed).words == name
    else:
        with pytest.raises(BadInput, match="cuts texts in a way that isn't known"):
            told_of(STARTER, **changed)


@pytest.mark.parametrize(
    ("normalizer", "cut", "prefix"),
    [
        ({"type": "Sequence", "normalizers": [PREPENDED, REPLACED]}, None, True),
        (REPLACED, None, False),
        (None, BLANK, True),
        (None, BLANK | {"prepend_scheme": "always"}, True),
        (None, BLANK | {"prepend_scheme": "never"}, False),
        (None, None, None),
        (REPLACED, BLANK, None),
        (None, BLANK | {"replacement": "_"}, None),
        ({"type": "Sequence", "normalizers": [{"type": "Lowercase"}, REPLACED]}, None, None),
    ],
)
def test_that_the_blank_before_a_text_is_told_as_the_tokenizer_puts_it(
    normalizer: object, cut: object, prefix: bool | None, shared: Path
) -> None:
    folder = shared / "models" / "stories260K"
    if prefix is not None:
        assert told_of(folder, normalizer=normalizer, pre_tokenizer=cut)._prefix is prefix
    else:
        with pytest.raises(BadInput, match="cuts texts in a way that isn't known"):
            told_of(folder, normalizer=normalizer, pre_tokenizer=cut)


def test_that_safetensors_are_merged_and_keep_their_kind_of_numbers(tmp_path: Path) -> None:
    from peft import LoraConfig, get_peft_model

    base = small(tmp_path / "base", "llama")
    with quiet():
        model = get_peft_model(AutoModelForCausalLM.from_pretrained(base), LoraConfig(r=2, target_modules=["q_proj"]))
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter)
    expected = logits(model.eval())
    model.save_pretrained(tmp_path / "adapter")
    AutoTokenizer.from_pretrained(base).save_pretrained(tmp_path / "adapter")
    out = export_model(tmp_path / "adapter", tmp_path / "out", "safetensors", card="# merged\n")
    assert not (out / "adapter_config.json").exists() and (out / "README.md").read_text() == "# merged\n"
    assert torch.allclose(logits(AutoModelForCausalLM.from_pretrained(out, dtype=torch.float32)), expected, atol=1e-5)
    load_policy(base).model.to(torch.bfloat16).save_pretrained(tmp_path / "half")
    AutoTokenizer.from_pretrained(base).save_pretrained(tmp_path / "half")
    kept = export_model(tmp_path / "half", tmp_path / "half-out", "safetensors")
    assert json.loads((kept / "config.json").read_text())["dtype"] == "bfloat16"


@pytest.mark.parametrize(
    ("rope", "older"),
    [
        ({"rope_type": "default", "rope_theta": 5000.0}, {"rope_theta": 5000.0}),
        (
            {"rope_type": "linear", "rope_theta": 5000.0, "factor": 2.0},
            {"rope_theta": 5000.0, "rope_scaling": {"rope_type": "linear", "factor": 2.0}},
        ),
        (
            {"rope_type": "default", "rope_theta": 1e4, "partial_rotary_factor": 0.5},
            {"rope_theta": 1e4, "partial_rotary_factor": 0.5},
        ),
    ],
)
def test_that_exported_settings_say_what_transformers_4_and_5_read(
    rope: dict[str, object], older: dict[str, object], tmp_path: Path
) -> None:
    """Version 4 knows no rope_parameters, and would turn by 10,000 whatever the model was trained with."""
    folder = small(tmp_path / "llama", "llama")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"rope_parameters": rope}))
    out = export_model(folder, tmp_path / "out", "safetensors")
    written = json.loads((out / "config.json").read_text())
    assert {
        name: written.get(name) for name in ("rope_theta", "rope_scaling", "partial_rotary_factor") if name in written
    } == older
    assert written["rope_parameters"] == rope
    said = json.loads((out / "tokenizer_config.json").read_text())
    assert said["tokenizer_class"] == "PreTrainedTokenizerFast"
    assert said["model_input_names"] == ["input_ids", "attention_mask"], (
        "else version 4 adds token_type_ids, and generate() refuses them"
    )
    assert torch.equal(logits(load_policy(out).model), logits(load_policy(folder).model))
    assert load_policy(out).tokenizer("I'm 12")["input_ids"] == load_policy(folder).tokenizer("I'm 12")["input_ids"]


def test_that_settings_without_positions_or_tokenizer_are_left_as_they_are(tmp_path: Path) -> None:
    said = {"config.json": '{"model_type": "gpt2"}', "tokenizer_config.json": '{"tokenizer_class": "GPT2Tokenizer"}'}
    for name, text in said.items():
        (tmp_path / name).write_text(text)
    also_for_transformers_4(tmp_path)
    assert {name: (tmp_path / name).read_text() for name in said} == said
    (tmp_path / "tokenizer_config.json").unlink()
    (tmp_path / "config.json").write_text(
        '{"rope_parameters": {"full": {"rope_theta": 1.0}, "sliding": {"rope_theta": 2.0}}}'
    )
    also_for_transformers_4(tmp_path)
    assert "rope_theta" not in json.loads((tmp_path / "config.json").read_text())


def test_that_what_cant_be_written_is_told_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = small(tmp_path / "llama", "llama")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").write_text("mine")
    with pytest.raises(BadInput, match="exists already"):
        export_model(folder, tmp_path / "full", "gguf")
    with pytest.raises(BadInput, match="optimum-onnx, which is not installed") as told:
        export_model(folder, tmp_path / "onnx", "onnx")
    assert "0.1.0 needs transformers below 4.58" in told.value.hint and "optimum-cli export onnx" in told.value.hint
    for change, words in (
        ({"rope_parameters": {"rope_type": "linear", "rope_theta": 1e4, "factor": 2.0}}, "positions"),
        ({"attention_bias": True}, "biases"),
        ({"hidden_act": "gelu"}, "activation 'gelu'; llama.cpp takes SiLU"),
    ):
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps({**config, **change}))
        with pytest.raises(BadInput, match=words):
            export_model(folder, tmp_path / "out", "gguf")
        (folder / "config.json").write_text(json.dumps(config))
    monkeypatch.setitem(__import__("sys").modules, "gguf", None)
    with pytest.raises(BadInput, match="not installed"):
        export_model(folder, tmp_path / "out", "gguf")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["full", "llama"], "neither half a folder nor a hidden one"
