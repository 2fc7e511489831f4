"""One run as a line in a card: name and state, its curve, its last value, and how far it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QGridLayout, QLabel, QProgressBar, QWidget

from workbench.domain.runs import JobState
from workbench.gui.theme import Theme
from workbench.gui.widgets.basics import NameButton, TextRole, text
from workbench.gui.widgets.spark import Spark
from workbench.gui.widgets.words import ago, duration
from workbench.services.views import RunView

STATE_ROLE: dict[JobState, TextRole] = {
    JobState.DONE: "good",
    JobState.FAILED: "bad",
    JobState.LOST: "warning",
    JobState.PAUSED: "warning",
}
AT_WORK = (JobState.RUNNING, JobState.STARTING)


class RunRow(QWidget):
    """Shows one run; its name opens it."""

    def __init__(self, theme: Theme, run: RunView, open_run: Callable[[str], Any], name: str) -> None:
        super().__init__()
        self.setObjectName(name)
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 4, 0, 4)
        grid.setHorizontalSpacing(12)
        grid.setVerticalSpacing(2)
        self.title = NameButton(
            run.name or run.id,
            f"{name}.open",
            lambda: open_run(run.id),
            accessible=f"Show the run {run.name or run.id}",
        )
        grid.addWidget(self.title, 0, 0, Qt.AlignmentFlag.AlignLeft)
        self.state = text(f"{run.kind} · {run.state.value}", STATE_ROLE.get(run.state, "quiet"))
        grid.addWidget(self.state, 1, 0)
        grid.setColumnStretch(0, 1)
        spark = Spark(theme.colours.accent)
        spark.show_values(run.spark, theme.colours.accent)
        spark.setFixedWidth(104)
        grid.addWidget(spark, 0, 1, 2, 1)
        self.value = _right(text(headline(run), "strong"))
        self.under = _right(text(progress_words(run), "quiet"))
        self.value.setFixedWidth(188)  # the longest headline, rewards/accuracy with four digits
        grid.addWidget(self.value, 0, 2)
        grid.addWidget(self.under, 1, 2)
        if run.state in AT_WORK and run.steps:
            bar = QProgressBar()
            bar.setAccessibleName(f"Progress of {run.name or run.id}")
            bar.setRange(0, run.steps)
            bar.setValue(run.step)
            bar.setTextVisible(False)
            grid.addWidget(bar, 2, 0, 1, 3)


def headline(run: RunView) -> str:
    """The headline metric and its last value, as `loss 1.234`."""
    value = run.last.get(run.headline)
    return f"{run.headline} {value:.4g}" if value is not None else ""


def progress_words(run: RunView) -> str:
    """How far a run is, or when and how it ended."""
    if run.state in AT_WORK:
        if not run.steps:
            return run.phase or "starting"
        left = f", {duration(run.eta_seconds)} left" if run.eta_seconds is not None else ""
        return f"{100 * run.step // run.steps} %{left}"
    if run.ended is not None:
        return ago(run.ended)
    return f"step {run.step:,} of {run.steps:,}" if run.steps else ago(run.created)


def _right(label: QLabel) -> QLabel:
    label.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
    return label
