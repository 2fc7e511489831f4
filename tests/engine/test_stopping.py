"""Early stopping: when it stops, what it keeps, what it says, and that a resumed run stops where the straight one did."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from workbench.domain.errors import BadInput, RunFailed
from workbench.domain.specs.ppo import PpoSpec
from workbench.domain.specs.pretrain import PretrainSpec
from workbench.domain.specs.reward import RewardSpec
from workbench.domain.specs.sft import SftSpec
from workbench.engine.report import Report
from workbench.engine.stopping import Stopper
from workbench.protocol.run_folder import RunFolder

LOSSES = [3.0, 2.0, 2.5, 2.1, 1.0, 9.0]


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    run = RunFolder(tmp_path / "run")
    run.create(SftSpec())
    return run


@pytest.fixture
def report(folder: RunFolder) -> Iterator[Report]:
    made = Report(folder)
    yield made
    made.close()


def notices(folder: RunFolder) -> list[str]:
    lines = folder.events.read_text(encoding="utf-8").splitlines() if folder.events.exists() else []
    return [event["what"] for event in map(json.loads, lines) if event["kind"] == "noticed"]


def follow(stopper: Stopper, net: nn.Linear, losses: list[float] = LOSSES, start: int = 0) -> int:
    """Evaluate every step, the weights being the step's number; returns how many steps there were."""
    steps = stopper.steps(start, len(losses))
    step = start
    while step < steps:
        step += 1
        with torch.no_grad():
            net.weight.fill_(step)
        steps = stopper.watch(step, {"eval/loss": losses[step - 1]}, steps)
    return step


def test_that_a_run_stops_after_so_many_evaluations_without_a_better_one_and_says_so(
    folder: RunFolder, report: Report
) -> None:
    net = nn.Linear(1, 1)
    stopper = Stopper(SftSpec(patience=2), folder, report, net)
    assert follow(stopper, net) == 4
    (said,) = notices(folder)
    assert "Stopped early at step 4" in said
    assert "best at step 2 (2)" in said
    assert stopper.finish() == {}
    assert net.weight.item() == 4


def test_that_the_best_weights_are_the_result_when_they_are_wanted(folder: RunFolder, report: Report) -> None:
    net = nn.Linear(1, 1)
    stopper = Stopper(SftSpec(keep_best=True), folder, report, net)
    assert follow(stopper, net) == 6
    assert stopper.finish() == {"eval/loss": 1.0}
    assert net.weight.item() == 5
    assert "model of step 5" in notices(folder)[0]


def test_that_nothing_is_kept_or_said_when_nothing_is_asked_for(folder: RunFolder, report: Report) -> None:
    net = nn.Linear(1, 1)
    stopper = Stopper(SftSpec(), folder, report, net)
    assert follow(stopper, net) == 6
    assert (stopper.state, stopper.finish(), notices(folder)) == ({}, {}, [])
    assert not (folder.path / "best.safetensors").exists()


@pytest.mark.parametrize("cut", [1, 2, 3, 4])
def test_that_a_resumed_run_stops_at_the_same_step_with_the_same_weights(
    folder: RunFolder, report: Report, cut: int
) -> None:
    net, spec = nn.Linear(1, 1), SftSpec(patience=2, keep_best=True)
    first = Stopper(spec, folder, report, net)
    for step in range(1, cut + 1):
        with torch.no_grad():
            net.weight.fill_(step)
        first.watch(step, {"eval/loss": LOSSES[step - 1]}, len(LOSSES))
    kept = json.loads(json.dumps(first.state))
    again = Stopper(spec, folder, report, net, kept)
    assert follow(again, net, start=cut) == 4
    assert again.finish() == {"eval/loss": 2.0}
    assert net.weight.item() == 2


def test_that_each_kind_is_judged_by_its_own_metric_in_its_good_direction(folder: RunFolder, report: Report) -> None:
    net = nn.Linear(1, 1)
    names = [Stopper(spec, folder, report, net).name for spec in (PretrainSpec(), RewardSpec(), PpoSpec())]
    assert names == ["eval/loss", "eval/accuracy", "eval/reward/score"]
    stopper = Stopper(RewardSpec(patience=1, keep_best=True), folder, report, net)
    assert stopper.watch(1, {"eval/accuracy": 0.6}, 9) == 9
    assert stopper.watch(2, {"eval/accuracy": 0.7}, 9) == 9
    assert stopper.watch(3, {"eval/accuracy": 0.5}, 9) == 3
    assert stopper.finish() == {"eval/accuracy": 0.7}


def test_that_a_metric_that_is_not_measured_is_refused_with_those_that_are(folder: RunFolder, report: Report) -> None:
    stopper = Stopper(SftSpec(patience=1, best_by="eval/bleu"), folder, report, nn.Linear(1, 1))
    with pytest.raises(BadInput, match="no metric eval/bleu") as caught:
        stopper.watch(1, {"eval/loss": 1.0, "eval/perplexity": 2.0}, 5)
    assert "eval/loss, eval/perplexity" in caught.value.hint


def test_that_no_number_is_never_the_best(folder: RunFolder, report: Report) -> None:
    stopper = Stopper(SftSpec(patience=2), folder, report, nn.Linear(1, 1))
    assert stopper.watch(1, {"eval/loss": float("nan")}, 9) == 9
    assert stopper.watch(2, {"eval/loss": float("inf")}, 9) == 2


def test_that_a_run_without_evaluations_says_that_the_last_weights_are_the_result(
    folder: RunFolder, report: Report
) -> None:
    stopper = Stopper(SftSpec(keep_best=True), folder, report, nn.Linear(1, 1))
    assert stopper.finish() == {}
    assert "No evaluation" in notices(folder)[0]


def test_that_kept_weights_that_were_lost_are_an_error_with_a_sentence(folder: RunFolder, report: Report) -> None:
    net = nn.Linear(1, 1)
    stopper = Stopper(SftSpec(keep_best=True), folder, report, net)
    follow(stopper, net)
    (folder.path / "best.safetensors").unlink()
    with pytest.raises(RunFailed, match="missing or damaged"):
        stopper.finish()


def test_that_fine_tuning_ends_with_the_best_model_of_its_evaluations(
    stories: Path,
    demonstrations: list[dict[str, Any]],
    make_run: Callable[..., RunFolder],
    here: Callable[[RunFolder], list[dict[str, Any]]],
) -> None:
    settings: dict[str, Any] = {"batch_size": 4, "max_steps": 12, "max_length": 96, "eval_every": 1, "sample_count": 0}
    spec = SftSpec(  # a rate that makes the model worse after a few steps
        base=str(stories), learning_rate=0.01, warmup=0.5, holdout=0.2, patience=3, keep_best=True, **settings
    )
    folder = make_run(spec, demonstrations)
    events = here(folder)
    losses = {e["step"]: e["values"]["eval/loss"] for e in events if "eval/loss" in e.get("values", {})}
    best = min(losses, key=lambda step: losses[step])
    assert max(losses) == best + 3 < 12
    again = make_run(
        SftSpec(**{**spec.model_dump(), "base": str(folder.model), "learning_rate": 1e-12}), demonstrations, "b"
    )
    (first, *_) = [e["values"]["eval/loss"] for e in here(again) if "eval/loss" in e.get("values", {})]
    assert first == pytest.approx(losses[best], rel=1e-4)
