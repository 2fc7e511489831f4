"""Runs of every kind whose worker process is killed in every step and after checkpoints, against runs that were not."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from tests.engine.hatchery import Hatchery
from tests.engine.kinds import TRAINED, small
from workbench.protocol.run_folder import RunFolder

KILLS = (("metrics", 1), ("metrics", 2), ("checkpointed", 2), ("metrics", 3), ("sample", 4), ("metrics", 5))
TIMED = {"tokens_per_second", "first_token_seconds", "factor"}
UNSTEADY = {"id", "seq", "time", "created", "milliseconds"}


@pytest.mark.slow
@pytest.mark.parametrize("kind", TRAINED)
def test_that_a_run_killed_in_every_step_is_bit_for_bit_the_run_that_was_not(
    kind: str,
    request: pytest.FixtureRequest,
    make_run: Callable[..., RunFolder],
    hatch: Hatchery,
    curves: Callable[..., Any],
    said: Callable[..., Any],
) -> None:
    spec, rows = small(kind, request)
    straight, broken = make_run(spec, rows, "straight"), make_run(spec, rows, "broken")
    assert hatch(straight) == 0

    resumed = []
    for event, step in KILLS:
        assert hatch(broken, event, step) == -signal.SIGKILL
        kept = broken.complete_checkpoints()
        resumed.append(int(kept[-1].name) if kept else 0)
        assert not broken.model.exists()
    assert resumed == [0, 0, 2, 2, 2, 4]
    assert hatch(broken) == 0
    assert [event["step"] for event in said(broken, "resumed")] == resumed

    assert set(curves(straight)) >= {1, 2, 3, 4, 5}
    assert curves(broken) == curves(straight)
    ours, theirs = (weights(folder.model) for folder in (broken, straight))
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    spoken = [{(e["step"], e["index"]): content(e) for e in said(folder, "sample")} for folder in (broken, straight)]
    assert spoken[0] == spoken[1] != {}


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "result"), [("judge", "judged"), ("revise", "revised"), ("score", "scored")])
def test_that_feedback_killed_in_every_batch_says_everything_once_and_the_same(
    kind: str,
    result: str,
    request: pytest.FixtureRequest,
    make_run: Callable[..., RunFolder],
    hatch: Hatchery,
    said: Callable[..., Any],
) -> None:
    spec, rows = small(kind, request)
    straight, broken = make_run(spec, rows, "straight"), make_run(spec, rows, "broken")
    assert hatch(straight) == 0
    for event, step in (("phase", 0), (result, 0), ("metrics", 2), ("metrics", 4), ("metrics", 5)):
        assert hatch(broken, event, step) == -signal.SIGKILL
    assert hatch(broken) == 0
    assert said(broken, "finished")
    one, two = (sorted(repr(content(event)) for event in said(folder, result)) for folder in (broken, straight))
    assert len(one) == len(rows)
    assert one == two


@pytest.mark.slow
def test_that_a_killed_study_says_every_text_once_and_the_same(
    request: pytest.FixtureRequest,
    make_run: Callable[..., RunFolder],
    hatch: Hatchery,
    curves: Callable[..., Any],
    said: Callable[..., Any],
) -> None:
    spec, rows = small("study", request)
    straight, broken = make_run(spec, rows, "straight"), make_run(spec, rows, "broken")
    assert hatch(straight) == 0
    kept = []
    for event, step in (("sample", 1), ("metrics", 3), ("metrics", 5)):
        assert hatch(broken, event, step) == -signal.SIGKILL
        kept.append(sorted(file.name.removesuffix(".json") for file in (broken.path / "study").glob("[!.]*.json")))
    assert kept == [[], ["0-0", "0-2"], ["0-0", "0-2", "1-0", "1-2", "judge-0"]]
    assert hatch(broken) == 0
    assert [event["step"] for event in said(broken, "resumed")] == [0, 2, 4]

    assert curves(broken) == curves(straight)
    assert set(curves(straight)) == {1, 2, 3, 4, 5, 6}
    for name in ("texts.json", "study.json"):
        ours, theirs = (timeless(json.loads((folder.path / name).read_text())) for folder in (broken, straight))
        assert ours == theirs
    spoken = [{(e["step"], e["index"]): timeless(e) for e in said(folder, "sample")} for folder in (broken, straight)]
    assert spoken[0] == spoken[1]
    assert {step for step, _ in spoken[0]} == {1, 3}


def timeless(value: Any) -> Any:
    """What was said, without what is timed and without what differs between two processes that say the same."""
    if isinstance(value, dict):
        return {name: timeless(part) for name, part in value.items() if name not in UNSTEADY | TIMED}
    return [timeless(part) for part in value] if isinstance(value, list) else value


def content(value: Any) -> Any:
    """What was said, without what differs between two processes that say the same."""
    if isinstance(value, dict):
        return {name: content(part) for name, part in value.items() if name not in UNSTEADY}
    return [content(part) for part in value] if isinstance(value, list) else value


def weights(folder: Path) -> dict[str, torch.Tensor]:
    (file,) = folder.glob("*.safetensors")
    return load_file(file)
