from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from transformers import AutoModelForSequenceClassification, GPT2Config, GPT2LMHeadModel

from tests.engine.adapting import attach_lora
from workbench.domain.errors import BadInput
from workbench.domain.specs.common import LoraPart
from workbench.domain.specs.sft import SftSpec
from workbench.engine import forward
from workbench.engine.batches import Batch, collate
from workbench.engine.models import (
    Loaded,
    adapter_base,
    count_parameters,
    eos_ids,
    load_or_initialise,
    load_policy,
    load_reward,
    make_reward_head,
    make_trainable,
    save_model,
    without_dropout,
)


@pytest.fixture
def batch() -> Batch:
    return collate([[1, 403, 407], [1, 270]], [[410, 261, 2], [417, 2]], pad=2)


def shake(model: nn.Module) -> None:
    """Move the trained weights, as training would."""
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(0.05 * torch.randn_like(parameter))


def test_that_a_policy_loads_in_float32_ready_for_inference(loaded: Loaded) -> None:
    assert {parameter.dtype for parameter in loaded.model.parameters()} == {torch.float32}
    assert not loaded.model.training
    assert eos_ids(loaded) == [2, 1]  # its tokenizer's, then those of its generation config
    assert loaded.pad == 2


def test_that_full_weights_survive_saving(loaded: Loaded, batch: Batch, tmp_path: Path) -> None:
    shake(loaded.model)
    save_model(loaded.model, loaded.tokenizer, tmp_path / "model", "# card\n")
    again = load_policy(tmp_path / "model")
    with torch.no_grad():
        assert torch.equal(
            forward.completion_logprobs(again.model, batch), forward.completion_logprobs(loaded.model, batch)
        )
    assert (tmp_path / "model" / "README.md").read_text() == "# card\n"
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_that_saving_again_replaces_the_model_as_a_whole(loaded: Loaded, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "leftover").touch()
    save_model(loaded.model, loaded.tokenizer, folder)
    assert not (folder / "leftover").exists()


def test_that_a_fresh_adapter_changes_nothing_and_only_it_is_trained(
    loaded: Loaded, batch: Batch, tmp_path: Path
) -> None:
    with torch.no_grad():
        before = forward.completion_logprobs(loaded.model, batch)
        model = attach_lora(loaded, LoraPart(rank=4), tmp_path / "base")
        assert torch.equal(forward.completion_logprobs(model, batch), before)
    everything, trained = count_parameters(model)
    assert 0 < trained < everything / 5
    assert all(("lora_" in name) == parameter.requires_grad for name, parameter in model.named_parameters())
    assert not (tmp_path / "base").exists()


def test_that_a_saved_adapter_loads_with_its_base(loaded: Loaded, batch: Batch, tmp_path: Path) -> None:
    model = attach_lora(loaded, LoraPart(), tmp_path / "base")
    shake(model)
    save_model(model, loaded.tokenizer, tmp_path / "adapter")
    assert not (tmp_path / "adapter" / "model.safetensors").exists()
    again = load_policy(tmp_path / "adapter")
    assert again.merged
    with torch.no_grad():
        assert torch.allclose(
            forward.completion_logprobs(again.model, batch), forward.completion_logprobs(model, batch), atol=1e-4
        )


def test_that_an_adapter_on_an_adapter_starts_from_a_written_base(loaded: Loaded, batch: Batch, tmp_path: Path) -> None:
    first = attach_lora(loaded, LoraPart(), tmp_path / "unused")
    shake(first)
    save_model(first, loaded.tokenizer, tmp_path / "one" / "model")
    merged = load_policy(tmp_path / "one" / "model")
    second = attach_lora(merged, LoraPart(), tmp_path / "two" / "base")
    shake(second)
    save_model(second, loaded.tokenizer, tmp_path / "two" / "model")
    (tmp_path / "two").rename(tmp_path / "moved")  # runs are carried away with their workspace
    assert adapter_base(tmp_path / "moved" / "model") == tmp_path / "moved" / "base"
    again = load_policy(tmp_path / "moved" / "model")
    with torch.no_grad():
        assert torch.allclose(
            forward.completion_logprobs(again.model, batch), forward.completion_logprobs(second, batch), atol=1e-4
        )


@pytest.mark.parametrize("from_adapter", [False, True], ids=["on a full policy", "on an adapter policy"])
def test_that_a_reward_adapter_keeps_its_head(loaded: Loaded, batch: Batch, tmp_path: Path, from_adapter: bool) -> None:
    policy = loaded.path
    if from_adapter:
        policy = tmp_path / "sft"
        model = attach_lora(loaded, LoraPart(), tmp_path / "unused")
        shake(model)
        save_model(model, loaded.tokenizer, policy)
    judge = make_reward_head(policy)
    adapted = attach_lora(judge, LoraPart(), tmp_path / "base", head=True)
    shake(adapted)
    save_model(adapted, judge.tokenizer, tmp_path / "judge")
    with torch.no_grad():
        expected = forward.rewards(adapted.eval(), batch)
        assert torch.allclose(forward.rewards(load_reward(tmp_path / "judge").model, batch), expected, atol=1e-4)


def test_that_a_full_reward_model_loads_here_and_in_plain_transformers(
    loaded: Loaded, batch: Batch, tmp_path: Path
) -> None:
    judge = make_reward_head(loaded.path)
    save_model(judge.model, judge.tokenizer, tmp_path / "judge")
    plain = AutoModelForSequenceClassification.from_pretrained(tmp_path / "judge", dtype=torch.float32).eval()
    with torch.no_grad():
        ours = forward.rewards(load_reward(tmp_path / "judge").model, batch)
        theirs = plain(torch.tensor([[1, 403, 407, 410, 261, 2]])).logits.item()
    assert ours[0].item() == pytest.approx(theirs, abs=1e-5)


def test_that_a_policy_is_not_taken_for_a_reward_model(stories: Path) -> None:
    with pytest.raises(BadInput, match="not a reward model"):
        load_reward(stories)


def test_that_the_new_head_has_the_deviation_of_the_literature(loaded: Loaded) -> None:
    torch.manual_seed(0)
    heads = torch.cat([make_reward_head(loaded.path).model.score.weight.flatten() for _ in range(20)])
    assert heads.std().item() == pytest.approx(65**-0.5, rel=0.1)


def test_that_random_weights_come_from_the_seed(unborn: Path) -> None:
    weights = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        made, fresh = load_or_initialise(unborn, "cpu", torch.float32)
        assert fresh
        weights.append(made.model.lm_head.weight)
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_that_a_model_smaller_than_its_vocabulary_is_refused(unborn: Path) -> None:
    config = json.loads((unborn / "config.json").read_text())
    (unborn / "config.json").write_text(json.dumps({**config, "vocab_size": 100}))
    with pytest.raises(BadInput, match="512 tokens"):
        load_or_initialise(unborn, "cpu", torch.float32)


@pytest.mark.parametrize(
    ("files", "word"),
    [
        ({}, "no config.json"),
        ({"config.json": "{}"}, "no weights"),
        ({"config.json": "{}", "pytorch_model.bin": ""}, "pickled"),
        ({"config.json": '{"model_type": "llama"}', "model.safetensors": "torn"}, "can't be loaded"),
        ({"config.json": '{"model_type": "unheard-of"}', "model.safetensors": ""}, "can't be loaded"),
        ({"adapter_config.json": '{"base_model_name_or_path": "/no/such/base"}'}, "base model is missing"),
    ],
    ids=["empty folder", "no weights", "pickle", "damaged", "unknown kind", "adapter without base"],
)
def test_that_a_folder_that_is_no_model_says_what_is_wrong(tmp_path: Path, files: dict[str, str], word: str) -> None:
    for name, content in files.items():
        (tmp_path / name).write_text(content)
    with pytest.raises(BadInput, match=word) as caught:
        load_policy(tmp_path)
    assert caught.value.hint


def test_that_a_missing_folder_and_a_missing_tokenizer_are_told(stories: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no model folder"):
        load_policy(tmp_path / "nowhere")
    bare = tmp_path / "bare"
    shutil.copytree(stories, bare, ignore=shutil.ignore_patterns("tokenizer*"), copy_function=shutil.copyfile)
    with pytest.raises(BadInput, match="tokenizer"):
        load_policy(bare)


def test_that_targets_the_model_does_not_have_are_told(loaded: Loaded, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="No adapter fits") as caught:
        attach_lora(loaded, LoraPart(targets="nothing, of_that"), tmp_path)
    assert "all-linear" in caught.value.hint


def test_that_full_training_trains_everything(loaded: Loaded, tmp_path: Path) -> None:
    model = make_trainable(loaded, SftSpec(), tmp_path)
    everything, trained = count_parameters(model)
    assert everything == trained == 260_032


def test_that_dropout_can_be_taken_out_of_a_model_that_has_it() -> None:
    torch.manual_seed(0)
    model = GPT2LMHeadModel(GPT2Config(vocab_size=64, n_embd=16, n_layer=2, n_head=2, n_positions=32)).train()
    ids = torch.arange(20)[None]
    assert not torch.equal(model(ids).logits, model(ids).logits)
    without_dropout(model)
    assert torch.equal(model(ids).logits, model(ids).logits)


@pytest.mark.parametrize("there", [True, False])
def test_that_a_model_that_could_not_be_written_leaves_nothing_half(
    loaded: Loaded, tmp_path: Path, there: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if there:
        save_model(loaded.model, loaded.tokenizer, tmp_path / "model", "as it was")
    before = {path.name: path.read_bytes() for path in (tmp_path / "model").glob("*")}

    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(loaded.tokenizer, "save_pretrained", full)
    with pytest.raises(OSError, match="No space left"):
        save_model(loaded.model, loaded.tokenizer, tmp_path / "model", "anew")
    assert [path.name for path in tmp_path.iterdir()] == ["model"] * there
    assert {path.name: path.read_bytes() for path in (tmp_path / "model").glob("*")} == before
