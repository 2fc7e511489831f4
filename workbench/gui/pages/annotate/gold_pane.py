"""Beside the candidates: the known answers of a dataset, to look through and to take away."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from PySide6.QtCore import QEvent, QObject, Qt
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from workbench.gui.theme import Theme
from workbench.gui.widgets.basics import KeyHint, button, text
from workbench.gui.widgets.two_line_list import Line, TwoLineList
from workbench.gui.widgets.words import ago, count
from workbench.services.views import KnownAnswer

NONE = "No answer is known in this dataset. Give one with K, on the item itself or in the list of what you judged (H)."
SHORTEST = 90


class GoldPane(QWidget):
    """Answers of items that the annotator has yet to judge stay hidden until they are asked for: they would no longer measure."""

    def __init__(self, theme: Theme, clear: Callable[[KnownAnswer], Any], leave: Callable[[], Any]) -> None:
        super().__init__()
        self.setObjectName("annotate.golds")
        self.setAccessibleName("Known answers")
        self._clear, self._leave = clear, leave
        self._known: Sequence[KnownAnswer] = ()
        self._all = False
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(8)
        column.addWidget(text("Known answers", "heading"))
        self.none = text(NONE, "quiet", wrap=True)
        column.addWidget(self.none)
        self.hidden_ones = text("", "quiet", wrap=True)
        self.hidden_ones.setObjectName("annotate.golds_hidden")
        column.addWidget(self.hidden_ones)
        self.reveal = button("Show them all the same", "annotate.golds_reveal", self._reveal, "link")
        column.addWidget(self.reveal, 0, Qt.AlignmentFlag.AlignLeft)
        self.list = TwoLineList(theme, "annotate.golds_list", "Items with a known answer")
        self.list.chosen.connect(lambda _: self._tell())
        self.list.installEventFilter(self)
        column.addWidget(self.list, 1)
        self.rest = QWidget()  # takes the room where there is no list
        column.addWidget(self.rest, 1)
        self.answer = text("", "quiet", wrap=True, select=True)
        self.answer.setObjectName("annotate.gold_answer")
        self.answer.setAccessibleName("The known answer")
        column.addWidget(self.answer)
        row = QHBoxLayout()
        self.clear_button = button("Forget this answer", "annotate.gold_clear", self._ask_clear, tip="Delete")
        row.addWidget(self.clear_button)
        row.addStretch(1)
        row.addWidget(KeyHint("Esc", "back"))
        column.addLayout(row)

    def open(self, known: Sequence[KnownAnswer]) -> None:
        """Show the answers anew, those of items still to judge hidden again."""
        self._all = False
        self.show_known(known)
        if self.list.count():
            self.list.setFocus()
        elif not self.reveal.isHidden():
            self.reveal.setFocus()

    def show_known(self, known: Sequence[KnownAnswer]) -> None:
        """These are the answers now."""
        self._known = known
        seen = [one for one in known if one.judged or self._all]
        unseen = len(known) - len(seen)
        self.none.setVisible(not known)
        self.hidden_ones.setVisible(bool(unseen))
        self.reveal.setVisible(bool(unseen))
        hidden = (
            ("is hidden: you haven't judged its item", "it")
            if unseen == 1
            else ("are hidden: you haven't judged their items", "them")
        )
        self.hidden_ones.setText(
            f"{count(unseen, 'answer')} {hidden[0]} yet, and would know them once you had read {hidden[1]}."
        )
        place = max(0, self.list.currentRow())
        self.list.show_lines(
            [Line(one.item, _line(one.prompt), f"best: {_line(best(one))}", prose=True) for one in seen]
        )
        keyboard = self.list.hasFocus()
        parts: tuple[QWidget, ...] = (self.list, self.answer, self.clear_button)
        for part in parts:
            part.setVisible(bool(seen))
        self.rest.setVisible(not seen)
        if keyboard and not seen:  # else Qt looks for another place for the keyboard, anywhere in the window
            (self.reveal if unseen else self).setFocus()
        if seen and not self.list.key():
            self.list.setCurrentRow(min(place, len(seen) - 1))
        self._tell()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Delete takes an answer away, Escape and Shift+K close the list; no key reaches the item."""
        if isinstance(event, QKeyEvent) and event.type() == QEvent.Type.KeyPress:
            if event.key() in {Qt.Key.Key_Escape, Qt.Key.Key_K}:
                self._leave()
                return True
            if event.key() in {Qt.Key.Key_Delete, Qt.Key.Key_Backspace}:
                self._ask_clear()
                return True
        return super().eventFilter(watched, event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Escape closes the list, wherever in it the keyboard is."""
        if event.key() == Qt.Key.Key_Escape:
            self._leave()
        else:
            super().keyPressEvent(event)

    def _reveal(self) -> None:
        self._all = True
        self.show_known(self._known)
        self.list.setFocus()

    def _chosen(self) -> KnownAnswer | None:
        return next((one for one in self._known if one.item == self.list.key()), None)

    def _tell(self) -> None:
        one = self._chosen()
        if one is not None:
            self.answer.setText(f"{in_full(one)}\n\nSaid by {one.author}, {ago(one.created)}.")

    def _ask_clear(self) -> None:
        if (one := self._chosen()) is not None:
            self._clear(one)


def best(known: KnownAnswer) -> str:
    """The beginning of the best response, or that all are level."""
    tiers = known.ranking.tiers
    return "all are level" if len(tiers) == 1 else " = ".join(known.responses[c] for c in tiers[0])


def in_full(known: KnownAnswer) -> str:
    """The answer with the beginnings of its responses, best first."""
    lines = []
    for place, tier in enumerate(known.ranking.tiers, 1):
        lines += [f"{place}. {_line(known.responses[candidate])}" for candidate in tier]
    return "\n".join(lines)


def _line(words: str) -> str:
    one = " ".join(words.split())
    return one if len(one) <= SHORTEST else f"{one[: SHORTEST - 1]}…"
