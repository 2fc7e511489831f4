"""A window that is closed, or killed, in the midst of a real run: the worker goes on, and the curve has no gap later."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import QSettings
from pytestqt.qtbot import QtBot

from tests.services.fake_runs import demonstrations, until
from workbench.domain.runs import JobState
from workbench.gui.theme import Theme
from workbench.gui.window import Window
from workbench.jobs.child import Child, read_launched
from workbench.protocol.run_folder import RunFolder
from workbench.services.workbench import Workbench

SCRIPT = Path(__file__).with_name("training_window.py")
RUN = "sft-1"


@pytest.fixture
def space(tmp_path: Path, shared: Path) -> Iterator[Path]:
    path = tmp_path / "space"
    with Workbench.open(path, create=True) as bench:
        bench.models.add_folder(shared / "models" / "stories260K", "stories")
        bench.datasets.create("demos", "demonstrations")
        bench.datasets.append("demos", demonstrations(40))
    yield path
    if (worker := worker_of(path)) is not None:
        worker.kill()


def worker_of(space: Path) -> Child | None:
    launched = read_launched(RunFolder(space / "runs" / RUN))
    return None if launched is None else Child(launched.pid, launched.started)


def reported(space: Path) -> int:
    return (space / "runs" / RUN / "events.jsonl").read_bytes().count(b'"kind":"metrics"')


@pytest.fixture
def reopened(qtbot: QtBot, theme: Theme, memory: QSettings) -> Iterator[Callable[[Path], Window]]:
    windows: list[Window] = []

    def reopen(space: Path) -> Window:
        bench = Workbench.open(space)
        window = Window(theme, memory)
        windows.append(window)
        window.resize(1280, 800)
        window.wear(bench, bench.settings.get())
        window.show()
        window.go("runs", run=RUN)
        return window

    yield reopen
    for window in windows:
        window.close()
        window.deleteLater()


@pytest.mark.slow
@pytest.mark.usefixtures("warm")
@pytest.mark.parametrize("how", ["close", "kill"])
def test_that_a_run_goes_on_without_its_window_and_its_curve_has_no_gap(
    space: Path, reopened: Callable[[Path], Window], qtbot: QtBot, how: str
) -> None:
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(space), how, sys.executable], capture_output=True, text=True, timeout=200, check=False,
        env=os.environ | {"QT_QPA_PLATFORM": "offscreen"},
    )  # fmt: skip
    assert done.returncode == (-signal.SIGKILL if how == "kill" else 0), done.stderr
    worker = worker_of(space)
    assert worker is not None
    assert worker.alive()
    left_at = reported(space)
    until(lambda: reported(space) > left_at + 4, 60)
    window = reopened(space)
    page: Any = window.deck.page("runs")

    def steps() -> list[int]:
        plot = page.detail.curves.plots.get("loss")
        return [] if plot is None or not plot.lines else [int(step) for step in plot.lines[0].buffer.steps]

    qtbot.waitUntil(lambda: len(steps()) > left_at + 4, timeout=60_000)
    seen = len(steps())
    qtbot.waitUntil(lambda: len(steps()) > seen + 3, timeout=60_000)
    assert window.services.runs.view(RUN).state is JobState.RUNNING
    drawn = steps()
    assert drawn == list(range(1, drawn[-1] + 1))
    window.services.runs.stop(RUN)
    qtbot.waitUntil(lambda: window.services.runs.view(RUN).state.ended, timeout=60_000)
    assert window.services.runs.view(RUN).state is JobState.STOPPED
    qtbot.waitUntil(lambda: not worker.alive(), timeout=20_000)
    qtbot.waitUntil(lambda: window.bridge.busy == 0, timeout=20_000)
