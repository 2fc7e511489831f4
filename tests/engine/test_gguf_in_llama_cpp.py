"""Exported GGUF files say in llama.cpp itself what the models say here: tokens, logits, greedy texts, ends.

Passed over where llama-cpp-py-sync isn't installed (see RESULTS.md for the versions that these were last run with).
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoTokenizer, MistralConfig, MistralForCausalLM

from tests.engine.llama_cpp import LlamaCpp
from tests.engine.test_exporting import STARTER, small
from workbench.domain.text import Prompt, Turn
from workbench.engine.exporting import export_model
from workbench.engine.gguf_file import Precision
from workbench.engine.models import Loaded, load_policy
from workbench.engine.text import encode_prompt, encode_text

pytest.importorskip("gguf")
pytest.importorskip("llama_cpp_py_sync", reason="llama-cpp-py-sync is not installed")
TEXTS = [
    "Once upon a time, there was a little girl", "I'm 1234567 years\n\n  old!  ", "äöü 漢字 🙂 x", "a</s>b <user> <s>", " lead",
    "don't WE'LL it's", "tab\tend \n", "a  b   c\r\n\r\nd", "f(x) := {3.14, -2e10};", "…—“x”", "\u00a0\u3000x", "x" * 40,
]  # fmt: skip
Open = Callable[..., LlamaCpp]


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Open]:
    """Exports a folder and opens the file with llama.cpp."""
    files: list[LlamaCpp] = []

    def do(folder: Path, precision: Precision = "f32") -> LlamaCpp:
        files.append(LlamaCpp(export_model(folder, tmp_path / f"out-{len(files)}", "gguf", precision=precision)))
        return files[-1]

    yield do
    for file in files:
        file.close()


def mistral(folder: Path) -> Path:
    """A random Mistral with a head width of its own and a window that is shorter than its context."""
    torch.manual_seed(1)
    made = MistralForCausalLM(
        MistralConfig(
            vocab_size=1024, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4, head_dim=12,
            num_key_value_heads=2, max_position_embeddings=64, sliding_window=24, bos_token_id=1, eos_token_id=2,
        )
    )  # fmt: skip
    made.save_pretrained(folder)
    AutoTokenizer.from_pretrained(STARTER).save_pretrained(folder)
    return folder


def folder_of(name: str, beside: Path, shared: Path) -> Path:
    if name == "stories":
        return shared / "models" / "stories260K"
    if name == "starter":
        return STARTER
    return mistral(beside / name) if name == "mistral" else small(beside / name, name)


def ours(loaded: Loaded, ids: list[int]) -> np.ndarray[Any, Any]:
    with torch.inference_mode():
        return np.asarray(loaded.model(torch.tensor([ids])).logits[0].float().numpy())


@pytest.mark.parametrize("name", ["stories", "starter", "llama", "qwen2", "mistral"])
def test_that_logits_and_greedy_texts_are_those_of_the_model(
    name: str, opened: Open, tmp_path: Path, shared: Path
) -> None:
    folder = folder_of(name, tmp_path, shared)
    theirs, loaded = opened(folder), load_policy(folder)
    ids = encode_text(loaded.tokenizer, "Once upon a time, there was a")[:12]
    expected = ours(loaded, ids)
    assert np.allclose(theirs.logits(ids), expected, rtol=0, atol=1e-5 * max(1.0, np.abs(expected).max()))
    going = list(ids)
    for _ in range(12):
        going.append(int(ours(loaded, going)[-1].argmax()))
    assert theirs.greedy(ids, 12) == going[len(ids) :]
    assert theirs.ends(loaded.tokenizer.eos_token_id)


@pytest.mark.parametrize(("precision", "near"), [("f16", 1e-3), ("q8_0", 3e-2)])
def test_that_smaller_numbers_lead_to_near_logits(
    precision: Precision, near: float, opened: Open, tmp_path: Path, shared: Path
) -> None:
    for name in ("starter", "qwen2"):
        folder = folder_of(name, tmp_path, shared)
        expected = ours(load_policy(folder), list(range(1, 30)))
        found = opened(folder, precision).logits(list(range(1, 30)))
        assert not np.array_equal(found, expected)
        assert np.abs(found - expected).max() <= near * np.abs(expected).max()


@pytest.mark.parametrize("text", TEXTS)
def test_that_texts_are_cut_into_the_same_tokens(text: str, tokenized: dict[str, tuple[Any, LlamaCpp]]) -> None:
    for name, (tokenizer, theirs) in tokenized.items():
        if name == "first" and text[0] == " ":
            continue  # transformers puts no second blank in front of one; llama.cpp, as SentencePiece itself, does
        assert theirs.tokens(text) == encode_text(tokenizer, text), name


def test_that_a_conversation_in_the_template_is_the_same_tokens(tokenized: dict[str, tuple[Any, LlamaCpp]]) -> None:
    tokenizer, theirs = tokenized["starter"]
    prompt = Prompt(turns=(Turn(role="system", content="Be kind."), Turn(role="user", content="Tell a story!")))
    turns = [{"role": turn.role, "content": turn.content} for turn in prompt.turns]
    spelled = tokenizer.apply_chat_template(turns, add_generation_prompt=True, tokenize=False)
    assert theirs.tokens(spelled, marks=True) == encode_prompt(tokenizer, prompt)


def said_otherwise(source: Path, folder: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    """A copy of a model whose tokenizer.json was changed."""
    shutil.copytree(source, folder, copy_function=shutil.copyfile)
    said = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    change(said)
    (folder / "tokenizer.json").write_text(json.dumps(said), encoding="utf-8")
    (folder / "tokenizer_config.json").write_text(
        json.dumps(
            json.loads((source / "tokenizer_config.json").read_text()) | {"tokenizer_class": "PreTrainedTokenizerFast"}
        )
    )
    return folder


def cutting(digits: str, *, whole: bool = False, composing: bool = False) -> Callable[[dict[str, Any]], None]:
    from workbench.engine.gguf_file import _CUT

    def change(said: dict[str, Any]) -> None:
        said["pre_tokenizer"] = {
            "type": "Sequence",
            "pretokenizers": [
                {"type": "Split", "pattern": {"Regex": _CUT % digits}, "behavior": "Isolated", "invert": False},
                {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False, "use_regex": False},
            ],
        }
        said["model"]["ignore_merges"] = whole
        said["normalizer"] = {"type": "NFC"} if composing else None

    return change


def meta(scheme: str) -> Callable[[dict[str, Any]], None]:
    def change(said: dict[str, Any]) -> None:
        said["normalizer"] = None
        said["pre_tokenizer"] = {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": scheme, "split": False}

    return change


@pytest.fixture(scope="module")
def tokenized(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, tuple[Any, LlamaCpp]]]:
    """Every kind of tokenizer that can be written, with llama.cpp's."""
    beside = tmp_path_factory.mktemp("tokenizers")
    stories = shared / "models" / "stories260K"
    kinds = {
        "stories": stories,
        "starter": STARTER,
        "qwen2": said_otherwise(STARTER, beside / "qwen2", cutting(r"\p{N}", composing=True)),
        "llama-bpe": said_otherwise(STARTER, beside / "llama-bpe", cutting(r"\p{N}{1,3}", whole=True)),
        "smaug-bpe": said_otherwise(STARTER, beside / "smaug-bpe", cutting(r"\p{N}{1,3}")),
        "first": said_otherwise(stories, beside / "first", meta("first")),
        "never": said_otherwise(stories, beside / "never", meta("never")),
    }
    found = {
        name: (load_policy(folder).tokenizer, LlamaCpp(export_model(folder, beside / f"{name}-gguf", "gguf")))
        for name, folder in kinds.items()
    }
    yield found
    for _, theirs in found.values():
        theirs.close()
