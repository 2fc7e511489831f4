"""Checkpoints as models: the policy as it was after so many steps."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.engine.decoding.test_encoding import model_of, tokenizer
from workbench.domain.errors import BadInput
from workbench.domain.specs.pretrain import PretrainSpec
from workbench.domain.specs.reward import RewardSpec
from workbench.domain.specs.sft import SftSpec
from workbench.engine.checkpoint import save
from workbench.engine.from_checkpoint import load_language_model
from workbench.engine.models import Loaded, load_policy, save_model
from workbench.protocol.run_folder import RunFolder

IDS = torch.tensor([[1, 30, 200, 77, 5]])


@pytest.mark.parametrize("method", ["full", "lora", "prompt", "bottleneck"])
def test_that_the_last_checkpoint_is_the_result_and_an_earlier_one_is_not(
    method: str, make_run: Callable[..., RunFolder], here: Callable[[RunFolder], Any], stories: Path,
    demonstrations: list[dict[str, Any]],
) -> None:  # fmt: skip
    spec = SftSpec(
        base=str(stories), method=method, max_steps=4, batch_size=2, checkpoint_every=2, eval_every=0, holdout=0.0,
        learning_rate=0.01, sample_count=0, max_length=64,
    )  # fmt: skip
    folder = make_run(spec, demonstrations[:8])
    here(folder)
    result = load_policy(folder.model)
    last = load_language_model(folder.checkpoints / "4")
    early = load_language_model(folder.checkpoints / "2")
    with torch.inference_mode():
        wanted, found, before = (one.model(IDS).logits for one in (result, last, early))
    assert torch.allclose(found, wanted, atol=1e-5)
    assert not torch.allclose(before, wanted, atol=1e-3)
    assert not last.model.training


def test_that_a_models_folder_is_loaded_as_before(stories: Path) -> None:
    assert load_language_model(stories).path == stories


def test_that_a_checkpoint_of_a_reward_model_is_refused(tmp_path: Path, stories: Path) -> None:
    folder = RunFolder(tmp_path / "reward-1")
    folder.create(RewardSpec(base=str(stories)))
    checkpoint = folder.checkpoints / "2"
    checkpoint.mkdir(parents=True)
    (checkpoint / "state.json").write_text(json.dumps({"version": 1, "step": 2, "extra": {}, "random": {}}))
    with pytest.raises(BadInput, match="reward-1 trains no language model"):
        load_language_model(checkpoint)


def _unlearned(folder: RunFolder, model: Any) -> Path:
    """A checkpoint of the run that holds a model's weights as they are."""
    save(folder, 1, modules={"model": model})
    return folder.checkpoints / "1"


@pytest.mark.parametrize("objective", ["auto", "causal"])
def test_that_a_checkpoint_of_a_run_that_began_without_weights_is_a_model(
    objective: Any, unborn: Path, loaded: Loaded, tmp_path: Path
) -> None:
    folder = RunFolder(tmp_path / "pretrain-1")
    folder.create(PretrainSpec(base=str(unborn), objective=objective))
    found = load_language_model(_unlearned(folder, loaded.model))
    with torch.inference_mode():
        assert torch.equal(found.model(IDS).logits, loaded.model(IDS).logits)


def test_that_a_checkpoint_of_an_encoder_with_a_decoder_is_a_model(tmp_path: Path) -> None:
    save_model(model_of("t5"), tokenizer(), tmp_path / "t5")
    folder = RunFolder(tmp_path / "pretrain-1")
    folder.create(PretrainSpec(base=str(tmp_path / "t5")))
    found = load_language_model(_unlearned(folder, model_of("t5").requires_grad_(True)))
    given = {"input_ids": torch.tensor([[7, 9, 1]]), "decoder_input_ids": torch.tensor([[0, 5]])}
    with torch.inference_mode():
        assert torch.equal(found.model(**given).logits, model_of("t5")(**given).logits)


@pytest.mark.parametrize("objective", ["auto", "masked"])
def test_that_a_checkpoint_of_a_model_that_fills_gaps_only_is_refused(
    objective: Any, stories: Path, loaded: Loaded, tmp_path: Path
) -> None:
    base = tmp_path / "bert"
    save_model(loaded.model, loaded.tokenizer, base)
    config = json.loads((base / "config.json").read_text())
    (base / "config.json").write_text(
        json.dumps({**config, "architectures": ["BertForMaskedLM"], "model_type": "bert"})
    )
    folder = RunFolder(tmp_path / "pretrain-1")
    folder.create(PretrainSpec(base=str(base), objective=objective))
    with pytest.raises(BadInput, match="it fills gaps and can't continue") as told:
        load_language_model(_unlearned(folder, loaded.model))
    assert told.value.hint == "Choose a checkpoint of a language model."
