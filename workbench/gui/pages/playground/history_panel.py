"""The rounds that were played before: searched by their words, opened again, forgotten."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QHBoxLayout, QLineEdit, QVBoxLayout, QWidget

from workbench.domain.rounds import Round
from workbench.gui.theme import Theme
from workbench.gui.widgets.basics import button, text
from workbench.gui.widgets.two_line_list import Line, TwoLineList
from workbench.gui.widgets.words import ago

PAUSE = 200  # milliseconds without a key before the search begins


class HistoryPanel(QWidget):
    """Arrows walk through the list, Enter or a double click opens a round."""

    def __init__(
        self, theme: Theme, look: Callable[[str], Any], open: Callable[[str], Any], forget: Callable[[str], Any]
    ) -> None:
        super().__init__()
        self.setObjectName("playground.history")
        self._open, self._forget = open, forget
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 4, 8, 0)
        box.setSpacing(8)
        self.search = QLineEdit()
        self.search.setObjectName("playground.history.search")
        self.search.setAccessibleName("Search prompts, texts, models and strategies")
        self.search.setPlaceholderText("Search prompts, texts, models …")
        self.search.setClearButtonEnabled(True)
        box.addWidget(self.search)
        self.none = text("Every round is kept here once its columns have ended.", "quiet", wrap=True)
        box.addWidget(self.none)
        self.list = TwoLineList(theme, "playground.history.list", "Rounds played before")
        self.list.itemActivated.connect(lambda _: self.open_chosen())
        self.list.setMinimumHeight(96)
        box.addWidget(self.list, 1)
        row = QHBoxLayout()
        self.open_button = button("Open", "playground.history.open", self.open_chosen, tip="Enter")
        self.forget_button = button("Forget", "playground.history.forget", self._forget_chosen, "flat")
        row.addWidget(self.open_button)
        row.addWidget(self.forget_button)
        row.addStretch(1)
        box.addLayout(row)
        self._pause = QTimer(self)
        self._pause.setSingleShot(True)
        self._pause.setInterval(PAUSE)
        self._pause.timeout.connect(lambda: look(self.search.text()))
        self.search.textEdited.connect(lambda _: self._pause.start())
        self.search.textChanged.connect(lambda words: self._pause.start() if not words else None)
        self.search.returnPressed.connect(lambda: look(self.search.text()))
        self.show_rounds((), None)

    def show_rounds(self, rounds: Sequence[Round], now: datetime | None) -> None:
        """Other rounds than before."""
        self.list.show_lines([line_of(round, now) for round in rounds])
        if rounds and not self.list.key():
            self.list.choose(rounds[0].id)
        if self.search.text():
            self.none.setText("No round has all of these words.")
        self.none.setVisible(not rounds)
        self.list.setVisible(bool(rounds))
        for widget in (self.open_button, self.forget_button):
            widget.setEnabled(bool(rounds))

    def open_chosen(self) -> None:
        """Bring the round back onto the page."""
        if key := self.list.key():
            self._open(key)

    def _forget_chosen(self) -> None:
        if key := self.list.key():
            self._forget(key)


def line_of(round: Round, now: datetime | None) -> Line:
    """A round in two lines: what was asked, and who spoke when."""
    who = ", ".join(dict.fromkeys(f"{c.model} {c.settings.strategy.replace('_', ' ')}" for c in round.columns))
    return Line(round.id, " ".join(round.prompt.text.split())[:200] or "(empty)", f"{ago(round.created, now)} · {who}")
