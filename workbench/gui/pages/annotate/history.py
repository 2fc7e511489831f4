"""What this annotator judged before: the last judgements in words, an item's revisions, and the way back to judge again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from PySide6.QtCore import QEvent, QObject, Qt
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from workbench.domain.judgement import Judgement
from workbench.gui.pages.annotate.draft import all_in_words
from workbench.gui.theme import Theme
from workbench.gui.widgets.basics import KeyHint, button, text
from workbench.gui.widgets.two_line_list import Line, TwoLineList
from workbench.gui.widgets.words import ago
from workbench.services.views import Said

KEPT = 50


class HistoryPane(QWidget):
    """The list takes the keyboard while it is open: arrows walk, Enter judges again, H or Escape go back."""

    def __init__(
        self,
        theme: Theme,
        look: Callable[[str], Any],
        again: Callable[[str], Any],
        gold: Callable[[Judgement], Any],
        leave: Callable[[], Any],
    ) -> None:
        super().__init__()
        self.setObjectName("annotate.history")
        self.setAccessibleName("Judged before")
        self._look, self._again, self._gold, self._leave = look, again, gold, leave
        self._said: dict[str, Judgement] = {}
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(8)
        column.addWidget(text("Judged before", "heading"))
        self.none = text("Nothing yet in this dataset.", "quiet", wrap=True)
        column.addWidget(self.none)
        self.list = TwoLineList(theme, "annotate.history_list", "Your last judgements")
        self.list.chosen.connect(self._chosen)
        self.list.itemDoubleClicked.connect(lambda _: self.judge_again())
        self.list.installEventFilter(self)
        column.addWidget(self.list, 1)
        self.rest = QWidget()  # takes the room where there is no list
        column.addWidget(self.rest, 1)
        self.revisions = text("", "quiet", wrap=True, select=True)
        self.revisions.setObjectName("annotate.revisions")
        self.revisions.setAccessibleName("Every judgement of this item")
        column.addWidget(self.revisions)
        row = QHBoxLayout()
        self.again_button = button("Judge again", "annotate.judge_again", self.judge_again, tip="Enter")
        row.addWidget(self.again_button)
        self.gold_button = button(
            "Known answer", "annotate.judged_gold", self.make_gold, tip="Make it the item's known answer   K",
            accessible="Make this judgement the item's known answer",
        )  # fmt: skip
        row.addWidget(self.gold_button)
        row.addStretch(1)
        column.addLayout(row)
        keys = QHBoxLayout()
        self.key = KeyHint("K", "known answer")
        keys.addWidget(self.key)
        keys.addWidget(KeyHint("Esc", "back"))
        keys.addStretch(1)
        column.addLayout(keys)

    def show_said(self, said: Sequence[Said]) -> None:
        """The judgements that count now, newest first."""
        self.none.setVisible(not said)
        self._said = {s.judgement.item: s.judgement for s in said}
        for part in (self.list, self.revisions, self.again_button, self.gold_button, self.key):
            part.setVisible(bool(said))
        self.rest.setVisible(not said)
        self.list.show_lines(
            [Line(s.judgement.item, all_in_words(s.judgement), s.prompt, ago(s.judgement.created)) for s in said]
        )
        if said:
            self.list.choose(said[0].judgement.item, quietly=True)
            self._chosen(said[0].judgement.item)

    def show_revisions(self, item: str, said: Sequence[Judgement]) -> None:
        """Everything that was ever said of an item, newest last, also what was taken back."""
        if item != self.list.key():
            return
        lines = [f"{ago(j.created)}, {j.annotator}: {all_in_words(j)}{f' – {j.note}' if j.note else ''}" for j in said]
        self.revisions.setText("\n".join(lines[-8:]) if len(lines) > 1 else "Judged once.")

    def judge_again(self) -> None:
        """Back to the chosen item."""
        if item := self.list.key():
            self._again(item)

    def make_gold(self) -> None:
        """Make the chosen judgement the known answer of its item."""
        if (judgement := self._said.get(self.list.key())) is not None:
            self._gold(judgement)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Escape and H close the list, Enter judges again, K makes a known answer; no other key reaches the item."""
        if isinstance(event, QKeyEvent) and event.type() == QEvent.Type.KeyPress:
            if event.key() in {Qt.Key.Key_Escape, Qt.Key.Key_H}:
                self._leave()
                return True
            if event.key() in {Qt.Key.Key_Return, Qt.Key.Key_Enter}:
                self.judge_again()
                return True
            if event.key() == Qt.Key.Key_K and not event.modifiers():
                self.make_gold()
                return True
        return super().eventFilter(watched, event)

    def _chosen(self, item: str) -> None:
        self.revisions.setText("")
        self._look(item)
