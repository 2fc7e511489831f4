"""What the status bar shows, looked at from time to time: the machine, the runs, and whether writes are under way."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from PySide6.QtCore import QObject, QTimer

from workbench.domain.errors import WorkbenchError
from workbench.domain.runs import JobState
from workbench.gui.bridge import Bridge, Ticket
from workbench.gui.status_bar import StatusBar
from workbench.services.views import RunView

Ended = Callable[[str, str, str, Any], Any]
MACHINE_MS, RUNS_MS = 3000, 500
_ENDED = {JobState.FAILED: "has failed", JobState.LOST: "was lost"}


class Pulse(QObject):
    """Polls the feed of runs (in memory) twice a second and asks for the machine's load on the long lane."""

    def __init__(self, bridge: Bridge, bar: StatusBar, parent: QObject) -> None:
        super().__init__(parent)
        self._bridge, self._bar = bridge, bar
        self._services: Any = None
        self._feed: Any = None
        self._runs: dict[str, RunView] = {}
        self._ended: Ended = lambda *_: None
        self._asking = False
        self._beginning: Ticket | None = None
        self._fast = QTimer(self, interval=RUNS_MS)
        self._fast.timeout.connect(self._look)
        self._slow = QTimer(self, interval=MACHINE_MS)
        self._slow.timeout.connect(self._ask_machine)

    def watch(self, services: Any, ended: Ended) -> None:
        """Begin to look."""
        self._services, self._ended = services, ended
        self._beginning = self._bridge.run(self._begin, services, then=self._begun, failed=self._quiet)
        self._fast.start()
        self._slow.start()
        self._ask_machine()

    def stop(self) -> None:
        """Look no more."""
        self._fast.stop()
        self._slow.stop()
        self._services = self._feed = None
        if self._beginning is not None:
            self._beginning.cancel()  # what it would bring is of a workspace that is being left
        self._runs.clear()
        self._bar.show_runs(())

    @staticmethod
    def _begin(services: Any) -> tuple[Any, Any]:
        return services.runs.watch(), services.runs.list()

    def _begun(self, answer: tuple[Any, list[RunView]]) -> None:
        self._feed, runs = answer
        self._runs = {run.id: run for run in runs}
        self._bar.show_runs(tuple(self._runs.values()))

    def _look(self) -> None:
        self._bar.show_saved(self._bridge.busy == 0)
        if self._feed is None:
            return
        news = self._feed.poll()
        for one in news:
            before = self._runs.get(one.run)
            self._runs[one.run] = one.view
            if before is not None and before.state is not one.view.state:
                self._tell(one.view)
        if news:
            self._bar.show_runs(tuple(self._runs.values()))

    def _tell(self, run: RunView) -> None:
        name = run.name or run.id
        if run.state is JobState.DONE and run.error_what:
            self._ended(run.id, f"{name} is done, but: {run.error_what}", run.error_hint, "bad")
        elif run.state is JobState.DONE:
            hint = f"Its model is {run.model}." if run.model else ""
            self._ended(run.id, f"{name} is done", hint, "good")
        elif run.state in _ENDED:
            hint = run.error_hint or "Its last checkpoint is kept; it can be resumed from the Runs page."
            self._ended(run.id, run.error_what or f"{name} {_ENDED[run.state]}", hint, "bad")

    def _ask_machine(self) -> None:
        if self._asking or self._services is None:
            return
        self._asking = True
        self._bridge.run(
            self._services.hardware.summary, then=self._show_machine, failed=self._quiet, ended=self._asked, lane="long"
        )

    def _asked(self) -> None:
        self._asking = False

    def _show_machine(self, summary: Any) -> None:
        self._bar.show_machine(machine_words(summary))

    def _quiet(self, error: WorkbenchError) -> None:
        """The machine's load isn't worth a notice; the line stays as it was."""


def machine_words(summary: Any) -> str:
    """`GPU 63 % · 11.2/24 GiB` where there is one, else `CPU 12 % · 3.1/8 GiB`."""
    if summary.gpus:
        gpu = max(summary.gpus, key=lambda one: one.load)
        return f"GPU {gpu.load:.0f} % · {gpu.used_gib:.1f}/{gpu.total_gib:.0f} GiB"
    return f"CPU {summary.cpu:.0f} % · {summary.memory_used_gib:.1f}/{summary.memory_total_gib:.0f} GiB"
