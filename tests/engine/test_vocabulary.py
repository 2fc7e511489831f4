"""Tokenizers that know more tokens than their model, and matrices that are both ends of a model at once."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from workbench.domain.errors import BadInput
from workbench.domain.specs.sft import SftSpec
from workbench.engine.batches import collate
from workbench.engine.forward import completion_logprobs, hidden_states
from workbench.engine.models import Loaded, load_policy, make_trainable, save_model
from workbench.engine.worker import explain

KNOWN = 512  # tokens of the stories model
RAGGED = collate([[1, 403], [1]], [[410, 261, 2], [4]], 0)


def tokenizer(**ids: int | None) -> Any:
    return SimpleNamespace(**{"pad_token_id": None, "eos_token_id": None} | ids)


@pytest.mark.parametrize(
    ("ids", "expected"),
    [
        ({"pad_token_id": 0, "eos_token_id": 2}, 0),
        ({"pad_token_id": KNOWN - 1, "eos_token_id": 2}, KNOWN - 1),
        ({"pad_token_id": KNOWN, "eos_token_id": 2}, 2),
        ({"pad_token_id": KNOWN, "eos_token_id": KNOWN + 1}, 0),
        ({"pad_token_id": None, "eos_token_id": 2}, 2),
        ({"pad_token_id": None, "eos_token_id": None}, 0),
    ],
)
def test_that_padding_is_a_token_that_the_model_knows(
    loaded: Loaded, ids: dict[str, int | None], expected: int
) -> None:
    assert loaded._replace(tokenizer=tokenizer(**ids)).pad == expected


def test_that_a_padding_token_added_to_the_tokenizer_alone_changes_no_number(loaded: Loaded) -> None:
    with torch.no_grad():
        expected = completion_logprobs(loaded.model, RAGGED)
        loaded.tokenizer.add_special_tokens({"pad_token": "[PAD]"})
        assert loaded.tokenizer.pad_token_id == KNOWN
        found = completion_logprobs(loaded.model, collate([[1, 403], [1]], [[410, 261, 2], [4]], loaded.pad))
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("method", ["lora", "ia3", "prompt"])
def test_that_a_model_inside_its_adapter_still_knows_how_many_tokens_it_has(
    loaded: Loaded, method: Any, tmp_path: Path
) -> None:
    spec = SftSpec(method=method, ia3={"targets": "k_proj", "feed_forward": ""})
    model = make_trainable(loaded, spec, tmp_path)
    for one in (loaded.model, model):  # peft marks the model inside, too
        assert loaded._replace(model=one, tokenizer=tokenizer(pad_token_id=KNOWN, eos_token_id=2)).pad == 2


@pytest.mark.parametrize("method", ["full", "lora"])
def test_that_an_end_token_beyond_the_vocabulary_is_refused_before_training(
    loaded: Loaded, method: Any, tmp_path: Path
) -> None:
    loaded.tokenizer.add_special_tokens({"eos_token": "[END]"})
    with pytest.raises(BadInput, match=f"end token has the number {KNOWN}, and the model knows {KNOWN} tokens") as told:
        make_trainable(loaded, SftSpec(method=method), tmp_path)
    assert "resize_token_embeddings" in told.value.hint
    loaded.model.resize_token_embeddings(KNOWN + 1)
    make_trainable(loaded, SftSpec(method=method), tmp_path)


def test_that_a_tokenizer_without_an_end_token_can_be_trained_on(loaded: Loaded, tmp_path: Path) -> None:
    make_trainable(loaded._replace(tokenizer=tokenizer()), SftSpec(), tmp_path)


def test_that_a_token_beyond_the_vocabulary_is_told_in_a_persons_words(loaded: Loaded) -> None:
    with pytest.raises(IndexError) as caught:
        hidden_states(loaded.model, torch.tensor([[1, KNOWN]]), None, None)
    kind, what, hint = explain(caught.value)
    assert kind == "bad_input"
    assert "beyond the model's vocabulary" in what
    assert "resize_token_embeddings" in hint


def test_that_other_wrong_places_are_not_taken_for_tokens() -> None:
    kind, what, _ = explain(IndexError("list index out of range"))
    assert kind == "IndexError"
    assert what == "The run ended with an error: list index out of range"


@pytest.mark.parametrize(
    ("method", "targets", "named"),
    [
        ("lora", "lm_head", "lm_head"),
        ("lora", "q_proj, lm_head", "lm_head"),
        ("lora", "embed_tokens", "model.embed_tokens"),
        ("lora", "model.embed_tokens", "model.embed_tokens"),
        ("ia3", "k_proj,lm_head", "lm_head"),
    ],
)
def test_that_an_adapter_on_one_end_of_a_tied_matrix_is_refused(
    loaded: Loaded, method: Any, targets: str, named: str, tmp_path: Path
) -> None:
    assert loaded.model.config.tie_word_embeddings
    spec = SftSpec(method=method, lora={"targets": targets}, ia3={"targets": targets})
    with pytest.raises(BadInput, match=f"^{named} can't have an adapter") as told:
        make_trainable(loaded, spec, tmp_path)
    assert "all-linear" in told.value.hint


@pytest.mark.parametrize("targets", ["all-linear", "q_proj", "head"])
def test_that_targets_that_only_sound_alike_are_no_embedding(loaded: Loaded, targets: str, tmp_path: Path) -> None:
    spec = SftSpec(method="lora", lora={"targets": targets})
    if targets == "head":  # no module is called that: peft says so
        with pytest.raises(BadInput, match="No adapter fits the model"):
            make_trainable(loaded, spec, tmp_path)
    else:
        assert "lora_A" in str(make_trainable(loaded, spec, tmp_path))


@pytest.mark.filterwarnings("ignore:Setting .save_embedding_layers.")  # peft's own, which is right
def test_that_an_adapter_on_a_head_of_its_own_says_the_same_when_it_was_merged(loaded: Loaded, tmp_path: Path) -> None:
    head = torch.nn.Linear(*reversed(loaded.model.lm_head.weight.shape), bias=False)
    loaded.model.config.tie_word_embeddings = False
    loaded.model.lm_head = head
    save_model(loaded.model, loaded.tokenizer, tmp_path / "untied")
    loaded = load_policy(tmp_path / "untied")
    model = make_trainable(loaded, SftSpec(method="lora", lora={"targets": "lm_head"}), tmp_path / "base")
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
        expected = completion_logprobs(model, RAGGED)
    save_model(model, loaded.tokenizer, tmp_path / "adapter")
    with torch.no_grad():
        found = completion_logprobs(load_policy(tmp_path / "adapter").model, RAGGED)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)
