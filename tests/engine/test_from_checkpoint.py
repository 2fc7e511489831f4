"""Checkpoints as models: the policy as it was after so many steps."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from workbench.domain.errors import BadInput
from workbench.domain.specs.reward import RewardSpec
from workbench.domain.specs.sft import SftSpec
from workbench.engine.from_checkpoint import load_language_model
from workbench.engine.models import load_policy
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
