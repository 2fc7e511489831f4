"""Below the columns: say which is best, send the texts to be ranked blind later, or reveal who spoke."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLineEdit, QPushButton

from workbench.domain.judgement import Ranking
from workbench.gui.pages.playground.column_card import LETTERS
from workbench.gui.widgets.basics import Elided, button, text

DATASET = "playground"


class VoteBar(QFrame):
    """Votes as signals: `voted(best)` with a place on the screen, -1 for a tie, -2 for all bad; `sent` for ranking later."""

    voted = Signal(int)
    sent = Signal()
    revealed = Signal()
    TIE, ALL_BAD = -1, -2

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("playground.votes")
        self.setProperty("role", "card")
        row = QHBoxLayout(self)
        row.setContentsMargins(12, 8, 12, 8)
        row.setSpacing(8)
        row.addWidget(text("Best"))
        self.best: list[QPushButton] = []
        for place, letter in enumerate(LETTERS):
            choice = button(
                letter, f"playground.vote.{letter.lower()}", partial(self.voted.emit, place),
                accessible=f"Column {letter} is best", tip=f"Column {letter} is best; the others share the second place",
            )  # fmt: skip
            choice.setFixedWidth(44)
            choice.setStyleSheet("padding-left: 0; padding-right: 0;")
            self.best.append(choice)
            row.addWidget(choice)
        self.tie = button("Tie", "playground.vote.tie", lambda: self.voted.emit(self.TIE), tip="All are equally good")
        self.bad = button("All bad", "playground.vote.bad", lambda: self.voted.emit(self.ALL_BAD), tip="None will do")
        self.reveal = button(
            "Reveal", "playground.reveal", self.revealed.emit, "flat",
            tip="Show who spoke without voting; a vote after that is not a blind one",
        )  # fmt: skip
        for choice in (self.tie, self.bad, self.reveal):
            row.addWidget(choice)
        self.told = Elided("quiet")
        row.addWidget(self.told, 1)
        row.addWidget(text("Dataset", "quiet"))
        self.dataset = QLineEdit(DATASET)
        self.dataset.setObjectName("playground.dataset")
        self.dataset.setAccessibleName("Dataset that votes and texts go to")
        self.dataset.setMaximumWidth(160)
        self.dataset.setAlignment(Qt.AlignmentFlag.AlignLeft)
        row.addWidget(self.dataset)
        self.send = button(
            "Send to ranking", "playground.send", self.sent.emit,
            tip="Keep prompt and texts as an item to rank blind on the Annotate page",
        )  # fmt: skip
        row.addWidget(self.send)

    def offer(self, columns: int, *, ready: bool, kept: bool, blind: bool, ended: bool = False) -> None:
        """Which votes are possible: `ready` when all of two or more columns `ended` with a text, `kept` when one was given."""
        for place, choice in enumerate(self.best):
            choice.setVisible(place < columns)
        for widget in (*self.best, self.tie, self.bad, self.send):
            widget.setEnabled(ready and not kept)
        self.reveal.setVisible(blind)
        if not kept:
            told = "Vote to see who spoke." if blind else ""
            waits = "A vote needs a text in every column." if columns > 1 else "A vote needs two columns."
            self.told.setText(told if ready else waits if ended else "Votes open when all columns have ended.")


def ranking_of(best: int, order: Sequence[int]) -> Ranking | None:
    """A vote as a ranking of candidates: the best before all others, or one tier for a tie; None for all bad.

    At place p on the screen stands candidate `order[p]`.
    """
    if best == VoteBar.ALL_BAD:
        return None
    if best == VoteBar.TIE:
        return Ranking(tiers=(tuple(sorted(order)),))
    return Ranking(tiers=((order[best],), tuple(sorted(c for c in order if c != order[best]))))
