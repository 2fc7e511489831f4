"""The line at the bottom: this machine, the running job, the queue, and whether everything is saved."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QProgressBar

from workbench.domain.runs import JobState
from workbench.gui.icons import picture
from workbench.gui.theme import Theme
from workbench.gui.widgets.basics import NameButton, text
from workbench.gui.widgets.run_row import AT_WORK, progress_words
from workbench.services.views import RunView


class StatusBar(QFrame):
    """Shows facts that it is told; knows no service."""

    def __init__(self, theme: Theme, show_run: Callable[[str], Any]) -> None:
        super().__init__()
        self.setObjectName("status_bar")
        self.setFixedHeight(32)
        self._theme, self._show_run, self._run = theme, show_run, ""
        self._is_saved = True
        row = QHBoxLayout(self)
        row.setContentsMargins(16, 0, 16, 0)
        row.setSpacing(12)
        self.machine = self._label("status.machine", "This machine", row)
        row.addStretch(1)
        self.job = NameButton("", "status.job", lambda: self._show_run(self._run), accessible="Running job")
        row.addWidget(self.job)
        self.bar = QProgressBar()
        self.bar.setObjectName("status.progress")
        self.bar.setAccessibleName("Progress of the running job")
        self.bar.setFixedWidth(120)
        self.bar.setTextVisible(False)
        row.addWidget(self.bar)
        self.left = self._label("status.left", "Time left", row)
        self.queue = self._label("status.queue", "Queue", row)
        self.mark = QLabel()
        row.addWidget(self.mark)
        self.saved = self._label("status.saved", "Saved", row)
        self.show_runs(())
        self._paint()
        theme.changed.connect(self._paint)

    def _label(self, name: str, accessible: str, row: QHBoxLayout) -> QLabel:
        label = text("", "quiet")
        label.setObjectName(name)
        label.setAccessibleName(accessible)
        row.addWidget(label)
        return label

    def show_machine(self, words: str) -> None:
        """Load of processor, memory and graphics processor."""
        self.machine.setText(words)

    def show_runs(self, runs: tuple[RunView, ...]) -> None:
        """The job that runs now, and how many wait."""
        active = next((run for run in runs if run.state in AT_WORK), None)
        self._run = active.id if active else ""
        for part in (self.job, self.bar, self.left):
            part.setVisible(active is not None)
        if active is not None:
            name = active.name or active.id
            self.job.show_name(name, f"Show the run {name}")
            self.bar.setRange(0, max(active.steps, 0))
            self.bar.setValue(active.step)
            self.left.setText(progress_words(active))
        waiting = sum(run.state is JobState.QUEUED for run in runs)
        self.queue.setText(f"{waiting} queued" if waiting else "")
        self.queue.setVisible(bool(waiting))

    def show_saved(self, saved: bool) -> None:
        """Whether every write has been committed."""
        if saved != self._is_saved:
            self._is_saved = saved
            self._paint()

    def _paint(self) -> None:
        saved, ratio = self._is_saved, self.devicePixelRatioF()
        colours = self._theme.colours
        glyph, colour = ("check", colours.good) if saved else ("more", colours.quiet)
        self.mark.setPixmap(picture(glyph, colour, round(16 * ratio), ratio))
        self.saved.setText("Saved" if saved else "Working…")
