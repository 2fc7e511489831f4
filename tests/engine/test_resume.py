"""Reward, DPO, PPO and GRPO runs that are killed and resumed, by real worker processes, against runs that were not."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from workbench.domain.specs.dpo import DpoSpec
from workbench.domain.specs.grpo import GrpoSpec
from workbench.domain.specs.kinds import Spec
from workbench.domain.specs.ppo import PpoSpec
from workbench.domain.specs.reward import RewardSpec
from workbench.protocol.run_folder import RunFolder

COMMON: dict[str, Any] = {
    "batch_size": 6,
    "micro_batch_size": 4,
    "max_length": 128,
    "checkpoint_every": 3,
    "eval_every": 4,
    "sample_every": 5,
    "sample_count": 1,
    "learning_rate": 1e-3,
    "holdout": 0.1,
}


def spec_of(kind: str, stories: Path, judge_folder: Path) -> Spec:
    if kind == "reward":
        return RewardSpec(base=str(stories), max_steps=20, **COMMON)
    if kind == "dpo":
        return DpoSpec(base=str(stories), max_steps=14, method="lora", **COMMON)
    if kind == "grpo":
        groups = COMMON | {"batch_size": 2}
        return GrpoSpec(
            base=str(stories),
            reward_model=str(judge_folder),
            max_steps=12,
            max_new_tokens=10,
            group_size=3,
            iterations=2,
            beta=0.05,
            **groups,
        )
    return PpoSpec(
        base=str(stories),
        reward_model=str(judge_folder),
        max_steps=14,
        normalize_scores=True,
        max_new_tokens=10,
        minibatches=2,
        ppo_epochs=2,
        kl_target=4.0,
        kl_horizon=200,
        **COMMON,
    )


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["reward", "dpo", "ppo", "grpo"])
def test_that_a_killed_run_resumed_is_bit_for_bit_the_run_that_was_not(
    kind: str,
    stories: Path,
    judge_folder: Path,
    comparisons: list[dict[str, Any]],
    rankings: list[dict[str, Any]],
    make_run: Callable[..., RunFolder],
    here: Callable[..., Any],
    worker: Callable[..., Any],
    curves: Callable[..., Any],
    said: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    spec = spec_of(kind, stories, judge_folder)
    rows = rankings if kind == "reward" else comparisons
    monkeypatch.setenv("WORKBENCH_THREADS", "1")
    straight = make_run(spec, rows, "straight")
    here(straight)

    broken = make_run(spec, rows, "broken")
    first = worker(broken)
    first.until("metrics", 5)
    first.process.send_signal(signal.SIGKILL)
    assert first.ended()[0] == -signal.SIGKILL
    last = int(broken.complete_checkpoints()[-1].name)
    assert last in {3, 6, 9, 12, 15, 18}
    assert not broken.model.exists()

    code, _, err = worker(broken).ended()
    assert (code, err) == (0, "")
    (resumed,) = said(broken, "resumed")
    assert resumed["step"] == last
    assert curves(broken) == curves(straight)
    ours, theirs = (_weights(folder.model) for folder in (broken, straight))
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    samples = [[(e["step"], e["completion"], e["numbers"]) for e in said(f, "sample")] for f in (broken, straight)]
    assert set(map(repr, samples[1])) == set(map(repr, samples[0]))


def _weights(folder: Path) -> dict[str, torch.Tensor]:
    (file,) = folder.glob("*.safetensors")
    return load_file(file)
