"""Exported models say the same as they did here, read by the libraries that they are meant for."""

from __future__ import annotations

import json
from pathlib import Path

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
from workbench.engine.exporting import export_model
from workbench.engine.gguf_file import read_back
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


def test_that_what_cant_be_written_is_told_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = small(tmp_path / "llama", "llama")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").write_text("mine")
    with pytest.raises(BadInput, match="exists already"):
        export_model(folder, tmp_path / "full", "gguf")
    with pytest.raises(BadInput, match="optimum"):
        export_model(folder, tmp_path / "onnx", "onnx")
    for change, words in (
        ({"rope_parameters": {"rope_type": "linear", "rope_theta": 1e4, "factor": 2.0}}, "positions"),
        ({"attention_bias": True}, "biases"),
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
