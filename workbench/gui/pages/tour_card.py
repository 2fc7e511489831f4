"""The tour on Home: its steps with their state, one button for each, and what the running step says."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from PySide6.QtWidgets import QGridLayout, QLabel, QProgressBar, QVBoxLayout, QWidget

from workbench.gui.icons import picture
from workbench.gui.theme import Theme
from workbench.gui.widgets.basics import Card, button, clear, text

_MARKS = {
    "done": ("good", "good"),
    "ready": ("train", "accent"),
    "waiting": ("more", "quiet"),
    "running": ("refresh", "accent"),
}
_WORDS = {"done": "done", "ready": "", "waiting": "waits for a step above", "running": "running"}


class TourCard(Card):
    """Lists the steps of the tour. `run(step)` does one; `go(page)` shows where it happens."""

    def __init__(self, theme: Theme, run: Callable[[str], Any], go: Callable[[str], Any]) -> None:
        super().__init__("The tour")
        self.setObjectName("home.tour")
        self._theme, self._run, self._go = theme, run, go
        self._running = ""
        self.steps: Sequence[Any] = ()
        self.column.addWidget(
            text("The whole loop on the starter kit, without download and without a graphics card.", "quiet", wrap=True)
        )
        self._list = QVBoxLayout()
        self._list.setSpacing(8)
        self.column.addLayout(self._list)
        self._bar = QProgressBar()
        self._bar.setRange(0, 0)
        self._bar.setTextVisible(False)
        self._bar.setAccessibleName("The tour is working")
        self._bar.hide()
        self._said = text("", "quiet", wrap=True)
        self._said.hide()
        self.column.addWidget(self._bar)
        self.column.addWidget(self._said)
        theme.changed.connect(self._draw)

    def show_steps(self, steps: Sequence[Any]) -> None:
        """Show the steps as they stand; their ids, titles, texts, pages and states are the service's."""
        if tuple(steps) != tuple(self.steps):
            self.steps = steps
            self._draw()

    def working(self, step: str) -> None:
        """A step has begun, or with "" it has ended."""
        self._running = step
        self._bar.setVisible(bool(step))
        self._said.setVisible(bool(step))
        self._said.setText("")
        self._draw()

    def say(self, words: str) -> None:
        """What the running step says about its progress."""
        self._said.setText(words)

    def _draw(self) -> None:
        clear(self._list)
        for step in self.steps:
            self._list.addWidget(self._line(step))

    def _line(self, step: Any) -> QWidget:
        state = "running" if step.id == self._running else str(step.state)
        line = QWidget()
        line.setObjectName(f"home.tour.{step.id}")
        line.setAccessibleName(f"{step.title}: {state}")
        grid = QGridLayout(line)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setHorizontalSpacing(12)
        grid.setVerticalSpacing(0)
        grid.setColumnStretch(1, 1)
        glyph, tone = _MARKS.get(state, _MARKS["waiting"])
        colour = str(vars(self._theme.colours)[tone])
        mark = QLabel()
        ratio = self.devicePixelRatioF()
        mark.setPixmap(picture(glyph, colour, round(20 * ratio), ratio))
        grid.addWidget(mark, 0, 0)
        note = _WORDS.get(state, state)
        grid.addWidget(
            text(step.title + (f"  ·  {note}" if note else ""), "strong" if state != "waiting" else "quiet"), 0, 1
        )
        grid.addWidget(text(step.text, "quiet", wrap=True), 1, 1)
        if state == "ready":
            run = button(
                "Do it", f"home.tour.{step.id}.run", lambda: self._run(step.id), accessible=f"Do the step: {step.title}"
            )
            run.setEnabled(not self._running)
            grid.addWidget(run, 0, 2, 2, 1)
        elif state in ("done", "running") and step.page:
            show = button(
                "Show",
                f"home.tour.{step.id}.show",
                lambda: self._go(step.page),
                "flat",
                accessible=f"Show: {step.title}",
            )
            grid.addWidget(show, 0, 2, 2, 1)
        return line
