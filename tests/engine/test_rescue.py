"""What is saved when a run fails within a step, and what is let go of before that."""

from __future__ import annotations

import sys
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from workbench.domain.errors import RunFailed
from workbench.domain.specs.sft import SftSpec
from workbench.engine import worker
from workbench.engine.checkpoint import load_latest
from workbench.engine.keeper import Keeper
from workbench.engine.loss_scale import START, LossScale
from workbench.engine.optim import NotFinite, make_optimizer
from workbench.engine.report import Report
from workbench.protocol.run_folder import RunFolder


class Run:
    """A model of one layer in a folder, as a recipe has it between two steps."""

    def __init__(self, path: Path, scale: LossScale | None = None) -> None:
        self.folder = RunFolder(path)
        self.folder.create(SftSpec())
        self.net = nn.Linear(2, 1)
        self.optimizer = make_optimizer(self.net, SftSpec())
        self.report = Report(self.folder)
        self.scale = scale
        self.keeper = Keeper(SftSpec(), self.folder, self.report, {"net": self.net}, {"adam": self.optimizer}, scale)

    @property
    def kept(self) -> list[str]:
        return [path.name for path in self.folder.complete_checkpoints()]


@pytest.fixture
def begin(tmp_path: Path) -> Iterator[Callable[..., Run]]:
    made: list[Run] = []

    def start(scale: LossScale | None = None) -> Run:
        made.append(Run(tmp_path / f"run-{len(made)}", scale))
        return made[-1]

    yield start
    for run in made:
        run.report.close()


def learn(run: Run) -> None:
    run.net(torch.ones(1, 2)).sum().backward()


def test_that_a_step_that_fails_leaves_a_checkpoint_of_the_steps_before(begin: Callable[..., Run]) -> None:
    run = begin()
    assert not run.keeper.halted(3, {"last": {"loss": 1.0}})
    state = torch.get_rng_state()
    torch.rand(7)
    learn(run)
    run.keeper.rescue(MemoryError())
    assert run.kept == ["3"]
    found = load_latest(run.folder)
    assert found is not None
    assert found.extra == {"last": {"loss": 1.0}}
    assert torch.equal(found.tensors("random")["torch"], state)


@pytest.mark.parametrize("why", ["no step is done", "weights were touched", "numbers are none", "it was told before"])
def test_that_nothing_is_saved_where_there_is_nothing_good_to_save(begin: Callable[..., Run], why: str) -> None:
    run = begin()
    run.keeper.halted(0 if why == "no step is done" else 3)
    learn(run)
    if why == "weights were touched":
        run.optimizer.step()
    if why == "it was told before":
        run.keeper.rescue(NotFinite("The loss became nan.", "Lower it."))
        assert run.kept == []
    error = NotFinite("The loss became nan.", "Lower it.") if why == "numbers are none" else MemoryError()
    run.keeper.rescue(error)
    assert run.kept == []


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_that_weights_that_are_no_numbers_are_not_saved(begin: Callable[..., Run], value: float) -> None:
    run = begin()
    run.keeper.halted(3)
    with torch.no_grad():
        run.net.bias.fill_(value)
    run.keeper.rescue(MemoryError())
    assert run.kept == []


def test_that_a_checkpoint_that_is_there_is_not_written_again(begin: Callable[..., Run]) -> None:
    run = begin()
    run.keeper.save(3, {"first": 1})
    run.keeper.halted(3, {"second": 2})
    run.keeper.rescue(MemoryError())
    assert load_latest(run.folder).extra == {"first": 1}  # type: ignore[union-attr]


def test_that_gradients_make_room_before_weights_are_looked_at(
    begin: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    run, seen = begin(), list[Any]()
    run.keeper.halted(3)
    learn(run)
    really = run.keeper._sound
    monkeypatch.setattr(run.keeper, "_sound", lambda: seen.append(run.net.weight.grad) or really())
    run.keeper.rescue(MemoryError())
    assert seen == [None]
    assert run.kept == ["3"]


def test_that_a_scale_that_fell_within_the_step_is_saved_as_it_was_before(begin: Callable[..., Run]) -> None:
    run = begin(LossScale())
    run.keeper.halted(3)
    assert run.scale is not None
    run.scale.overflowed()  # a skipped step touches no weight, so the steps before can still be saved
    run.keeper.rescue(MemoryError())
    kept = load_latest(run.folder).extra["loss_scale"]  # type: ignore[union-attr]
    assert kept == {"value": START, "skipped": 0, "good": 0, "in_a_row": 0}


def test_that_a_resumed_run_has_the_scale_of_its_checkpoint(begin: Callable[..., Run]) -> None:
    run = begin(LossScale())
    assert run.scale is not None
    run.scale.overflowed()
    run.keeper.save(2)
    run.scale.overflowed()
    run.keeper.resume()
    assert (run.scale.value, run.scale.skipped) == (START / 2, 1)


class Activations:
    """Something large that a step holds."""


def hold(kept: list[weakref.ref[Any]], how: str) -> None:
    held = Activations()
    kept.append(weakref.ref(held))
    try:
        raise RuntimeError("CUDA out of memory.")
    except RuntimeError as error:
        if how == "bare":
            raise
        if how == "caused":
            raise RunFailed("It failed.", "Mend it.") from error
        raise RunFailed("It failed.", "Mend it.")  # noqa: B904


@pytest.mark.parametrize("how", ["bare", "caused", "in the midst of another"])
def test_that_what_a_failed_step_held_is_let_go_before_anything_is_saved(
    how: str, begin: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    run, held, alive = begin(), list[weakref.ref[Any]](), list[bool]()

    class Recipe:
        @staticmethod
        def run(*_: Any) -> None:
            hold(held, how)

    monkeypatch.setattr(worker.importlib, "import_module", lambda _: Recipe)
    run.report.rescue = lambda _: alive.append(held[0]() is not None)
    monkeypatch.setattr(worker.gc, "collect", lambda: 0)  # takes a second in a process as large as this
    with pytest.raises((RuntimeError, RunFailed)):
        worker.execute(SftSpec(), run.folder, run.report)
    assert alive == [False]


@pytest.mark.parametrize("used", [True, False])
def test_that_a_gpu_that_is_used_gets_its_blocks_back(used: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    emptied: list[int] = []
    monkeypatch.setattr(worker.gc, "collect", lambda: 0)
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: used)
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: emptied.append(1))
    worker.let_go(MemoryError())
    assert emptied == [1] * used


def test_that_a_failure_before_torch_was_imported_needs_no_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker.gc, "collect", lambda: 0)
    monkeypatch.delitem(sys.modules, "torch")
    worker.let_go(ValueError())
    assert "torch" not in sys.modules
