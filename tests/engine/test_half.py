"""float16 runs of every recipe: they learn, they count the steps they skip, and they go on from a checkpoint bit for bit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from workbench.domain.specs.dpo import DpoSpec
from workbench.domain.specs.kinds import Spec
from workbench.domain.specs.ppo import PpoSpec
from workbench.domain.specs.reward import RewardSpec
from workbench.domain.specs.sft import SftSpec
from workbench.engine import loss_scale
from workbench.protocol.run_folder import RunFolder

COMMON: dict[str, Any] = {
    "device": "cpu",
    "precision": "float16",
    "batch_size": 4,
    "max_steps": 3,
    "max_length": 64,
    "eval_every": 0,
    "holdout": 0.0,
    "sample_count": 0,
    "checkpoint_every": 2,
    "warmup": 0.0,
}


def spec_of(kind: str, stories: Path, judge: Path) -> Spec:
    made: dict[str, Callable[[], Spec]] = {
        "sft": lambda: SftSpec(base=str(stories), learning_rate=1e-3, **COMMON),
        "reward": lambda: RewardSpec(base=str(stories), **COMMON),
        "dpo": lambda: DpoSpec(base=str(stories), **COMMON),
        "ppo": lambda: PpoSpec(base=str(stories), reward_model=str(judge), max_new_tokens=10, **COMMON),
    }
    return made[kind]()


@pytest.mark.parametrize("kind", ["sft", "reward", "dpo", "ppo"])
def test_that_a_step_that_overflows_is_skipped_counted_and_repeated_exactly_after_a_resume(
    kind: str,
    stories: Path,
    judge_folder: Path,
    comparisons: list[dict[str, Any]],
    make_run: Callable[..., RunFolder],
    here: Callable[..., Any],
    curves: Callable[..., Any],
    said: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(loss_scale, "START", 2.0**60)  # overflows at the first step, whatever the loss
    monkeypatch.setattr(loss_scale, "HOPELESS", 99)
    spec = spec_of(kind, stories, judge_folder)
    rows = [{**row, "chosen": row["chosen"][:20], "rejected": row["rejected"][:20]} for row in comparisons[:16]]
    rows = [{**row, "completion": row["chosen"]} for row in rows]
    straight = make_run(spec, rows, "straight")
    assert here(straight)[-1]["kind"] == "finished"
    told = curves(straight)
    assert told[1]["skipped_steps"] >= 1
    assert told[1]["grad_norm"] == 0.0
    assert told[3]["loss_scale"] == 2.0 ** (60 - told[3]["skipped_steps"])

    halted = make_run(spec, rows, "halted")
    halted.want("pause")
    here(halted)
    halted.want("run")
    here(halted)
    for newer in [path for path in halted.checkpoints.iterdir() if int(path.name) > 2]:
        for file in newer.iterdir():
            file.unlink()
        newer.rmdir()
    here(halted)
    assert [e["step"] for e in said(halted, "resumed")] == [0, 2]
    assert curves(halted) == told
    ours, theirs = (load_file(next(f.model.glob("*.safetensors"))) for f in (halted, straight))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_that_a_float16_run_learns_as_a_float32_run_does(
    stories: Path,
    demonstrations: list[dict[str, Any]],
    make_run: Callable[..., RunFolder],
    here: Callable[..., Any],
    curves: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(loss_scale, "START", 2.0**8)
    last = {}
    for precision in ("float16", "float32"):
        settings = {**COMMON, "max_steps": 6, "precision": precision, "learning_rate": 3e-3}
        folder = make_run(SftSpec(base=str(stories), **settings), demonstrations[:4], precision)
        here(folder)
        told = curves(folder)
        last[precision] = [values["loss"] for values in told.values()]
        if precision == "float16":
            assert told[6]["skipped_steps"] == 0
    assert last["float16"] == pytest.approx(last["float32"], rel=0.02)
    assert last["float16"][-1] < 0.9 * last["float16"][0]
