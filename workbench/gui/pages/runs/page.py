"""The page where runs are watched: the list at the left, one run at the right, drawn from a feed ten times a second."""

from __future__ import annotations

import time
from functools import partial
from typing import Any

from PySide6.QtCore import Qt, QTimer
from PySide6.QtGui import QKeySequence, QShortcut
from PySide6.QtWidgets import QHBoxLayout, QSplitter, QStackedLayout, QWidget

from workbench.domain.errors import WorkbenchError
from workbench.domain.runs import MetricPoint
from workbench.gui.bridge import Bridge
from workbench.gui.pages.runs.detail import Asked, Detail
from workbench.gui.pages.runs.roster import Roster
from workbench.gui.pages.runs.steering import Steering
from workbench.gui.pages.runs.studying import Studying
from workbench.gui.shell import Action, Shell
from workbench.gui.widgets.states import BusyState, EmptyState, show_error
from workbench.services.views import RunDetail, RunNews, RunView
from workbench.services.workbench import Workbench

TICK = 100  # milliseconds: at most ten updates a second
SLOW = 1.5  # seconds between looks at log, samples and notices of a run at work
LOG_BYTES = 65536
MOST_OVERLAID = 6


class RunsPage(QWidget):
    """Watches runs through a feed in memory; everything that needs the disk goes through the bridge."""

    help_text = (
        "Choose a run at the left; hold Ctrl to choose several and lay their curves over one another. Lines are smoothed over "
        "the raw values, which stay visible; held-out values are dashed. Drag in a plot to zoom, double-click to see everything. "
        "Pause and Stop write a checkpoint first, so a run can always go on."
    )

    def __init__(self, services: Workbench, bridge: Bridge, shell: Shell) -> None:
        super().__init__()
        self._services, self._bridge, self._shell = services, bridge, shell
        self._feed = services.runs.watch()
        self._wanted = ""
        self._history: dict[str, list[RunNews] | None] = {}
        self._looked = 0.0
        self.setObjectName("runs")
        self.setAccessibleName("Runs")
        self._timer = QTimer(self)
        self._timer.setInterval(TICK)
        self._timer.timeout.connect(self.tick)
        self._build()

    def arrive(self, run: str = "") -> None:
        """Show this run as soon as it is known."""
        self._wanted = run
        if run and self.roster.choose(run):
            self._wanted = ""

    def shown(self) -> None:
        """Read the list and watch."""
        self._bridge.run(self._services.runs.list, then=self._listed, failed=self._broken)
        self._timer.start()

    def hidden(self) -> None:
        """Nobody looks: draw nothing, ask nothing."""
        self.detail.keep_note()
        self._timer.stop()

    def closing(self) -> None:
        """The window closes."""
        self.detail.keep_note()
        self._timer.stop()

    def actions(self) -> list[Action]:  # type: ignore[override]
        """What can be done with the run on show."""
        found = [Action("runs.filter", "Filter runs", "Ctrl+F", self.roster.field.setFocus)]
        detail, steer = self.detail, self.steering
        for part, title, run in (
            (detail.pause, "Pause the run", steer.pause),
            (detail.resume, f"{detail.resume.accessibleName()}: go on with the run", steer.resume),
            (detail.stop, "Stop the run", steer.stop),
            (detail.sooner, "Move the run up in the queue", steer.sooner),
            (detail.later, "Move the run down in the queue", steer.later),
            (detail.delete, "Delete the run", steer.delete),
            (detail.note, "Write a note about the run", detail.note.setFocus),
        ):
            if detail.run_id and part.isEnabled() and not part.isHidden():  # what has a button now, and nothing else
                found.append(Action(part.objectName(), title, "", run))
        return found

    # Live.

    def tick(self) -> None:
        """Collect what the feed holds and draw it."""
        for news in self._feed.poll():
            self.roster.model.update_one(news.view)
            self._take(news)
        if self.roster.model.count and self._stack.currentWidget() is not self._both:
            self._stack.setCurrentWidget(self._both)
        if self._wanted and self.roster.choose(self._wanted):
            self._wanted = ""
        self.detail.curves.redraw()
        view = self.roster.model.view(self.detail.run_id)
        if view is not None and not view.state.ended and time.monotonic() - self._looked > SLOW:
            self._look()

    def _take(self, news: RunNews) -> None:
        if news.run == self.detail.run_id:
            before = self.detail.state.text()
            self._head(news.view)
            if self.detail.state.text() != before:
                self._look()
        if news.run not in self._history:
            return
        waiting = self._history[news.run]
        if waiting is not None:  # its history is on the way; keep the order
            waiting.append(news)
            return
        self._append(news)

    def _append(self, news: RunNews) -> None:
        if news.superseded_after is not None:
            self.detail.curves.cut(news.run, news.superseded_after)
        if news.points:
            self.detail.curves.add(news.run, news.points)

    def _with_history(self, run: str, points: dict[str, list[MetricPoint]]) -> None:
        if run not in self._history:
            return
        waiting = self._history[run] or []
        self.detail.curves.fill(run, points)
        self._history[run] = None
        for news in waiting:
            self._append(news)
        self.detail.curves.redraw()

    # Choosing.

    def _listed(self, views: list[RunView]) -> None:
        self.roster.model.replace(views)
        self._stack.setCurrentWidget(self._both if views else self._empty)
        if self._wanted and self.roster.choose(self._wanted):
            self._wanted = ""
        elif views and not self.roster.chosen and self.roster.model.shown:
            self.roster.choose(self.roster.model.shown[0].id)
        else:
            self._look()

    def _chosen(self, runs: list[str]) -> None:
        views = [view for run in runs[:MOST_OVERLAID] if (view := self.roster.model.view(run)) is not None]
        self._right.setCurrentWidget(self.detail if views else self._choose)
        if not views:
            self.detail.leave()
            return
        if len(views) == 1:
            self._head(views[0])
        else:
            self.detail.show_several(views)
        fresh = [view.id for view in views if view.id not in self._history]
        self._history = {view.id: self._history.get(view.id, []) for view in views}
        self.detail.curves.show_runs([(view.id, view.name, view.kind) for view in views])
        for run in fresh:
            self._bridge.run(self._services.runs.metrics, run, then=partial(self._with_history, run), lane="long")
        self._look()

    def _look(self) -> None:
        """Read what isn't in the feed: notices, files, and the tab in front."""
        run = self.detail.run_id
        if not run:
            return
        self._looked = time.monotonic()
        runs = self._services.runs
        self._bridge.run(runs.get, run, then=partial(self._detailed, run), failed=self._gone, lane="long")
        if self.detail.tab == "samples":
            self._bridge.run(
                runs.samples, run, then=partial(self._if_still, run, self.detail.samples.show_samples), lane="long"
            )
        elif self.detail.tab == "study":
            self.studying.read(run, partial(self._if_still, run, self.detail.study.show_study))
        elif self.detail.tab == "log":
            self._bridge.run(
                runs.log_tail, run, LOG_BYTES, then=partial(self._if_still, run, self.detail.log.show_log), lane="long"
            )

    def _if_still(self, run: str, show: Any, answer: Any) -> None:
        if run == self.detail.run_id:
            show(answer)

    def _detailed(self, run: str, detail: RunDetail) -> None:
        if run == self.detail.run_id:
            self.roster.model.update_one(detail.view)
            self._head(detail.view)
            self.detail.show_detail(detail)

    def _gone(self, error: WorkbenchError) -> None:
        if error.kind == "not_found":
            self.shown()
        else:
            self._shell.notify(error.what, error.hint, "bad", details=error.details)

    def _broken(self, error: WorkbenchError) -> None:
        show_error(self._stack, error, self.shown, "runs.error", self._shell.theme)

    def _current(self) -> RunView | None:
        return self.roster.model.view(self.detail.run_id)

    def _changed(self, view: RunView) -> None:
        self.roster.model.update_one(view)
        if view.id == self.detail.run_id:
            self._head(view)

    def _head(self, view: RunView) -> None:
        model = self.roster.model
        self.detail.show_view(view)
        self.detail.show_place(model.queue_place(view.id), len(model.waiting))

    def _build(self) -> None:
        theme = self._shell.theme
        self.roster = Roster(theme, self._chosen)
        steer = self.steering = Steering(
            self._services.runs, self._bridge, self._shell, self._current, self._changed, self.shown,
            self.roster.model.queue_place,
        )  # fmt: skip
        study = self.studying = Studying(self, self._services.studies, self._bridge, self._shell, self._current)
        asked = Asked(
            steer.pause,
            steer.resume,
            steer.stop,
            steer.sooner,
            steer.later,
            steer.delete,
            steer.again,
            lambda: self._shell.notify("The command is in the clipboard.", kind="good"),
            lambda _: self._look(),
            steer.note,
            study.save,
            study.texts,
            study.rank,
        )
        self.detail = Detail(theme, asked)
        self._choose = EmptyState(
            "Choose a run", "Its curves, samples and log appear here.", name="runs.choose", theme=theme
        )
        right = QWidget()
        self._right = QStackedLayout(right)
        self._right.addWidget(self._choose)
        self._right.addWidget(self.detail)
        self._both = QWidget()
        row = QHBoxLayout(self._both)
        row.setContentsMargins(0, 0, 0, 0)
        split = QSplitter(Qt.Orientation.Horizontal)
        split.setObjectName("runs.split")
        split.setChildrenCollapsible(False)
        split.addWidget(self.roster)
        split.addWidget(right)
        split.setStretchFactor(1, 1)
        split.setSizes([340, 800])
        row.addWidget(split)
        busy = BusyState("Reading the runs", name="runs.busy", theme=theme)
        self._empty = EmptyState(
            "Watch models learn",
            "Runs appear here with live curves, samples and logs. They go on when this window is closed.",
            ("Train a model", lambda: self._shell.go("train")),
            name="runs.empty",
            glyph="runs",
            theme=theme,
        )
        find = QShortcut(QKeySequence("Ctrl+F"), self)
        find.activated.connect(self.roster.field.setFocus)
        self._stack = QStackedLayout(self)
        for widget in (busy, self._both, self._empty):
            self._stack.addWidget(widget)
