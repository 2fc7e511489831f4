"""Under the candidates: the known answer of the item on screen, said with the keys that judge."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from PySide6.QtWidgets import QFrame, QHBoxLayout, QVBoxLayout

from workbench.domain.judgement import Ranking
from workbench.gui.pages.annotate.draft import LETTERS, Draft
from workbench.gui.pages.annotate.keycap import KeyButton
from workbench.gui.pages.annotate.keys import Command
from workbench.gui.widgets.basics import Elided, KeyHint, text

WHY = (
    "It is no judgement. Queues with a share of gold items ask this item unmarked, to see how reliable annotators are."
)


class GoldPanel(QFrame):
    """Says nothing of what is known already: whoever judges must not be able to tell a gold item."""

    def __init__(self, ask: Callable[[Command], Any]) -> None:
        super().__init__()
        self.setProperty("role", "inset")
        self.setObjectName("annotate.gold_panel")
        self.setAccessibleName("Known answer of this item")
        self.draft = Draft((0, 1))
        column = QVBoxLayout(self)
        column.setContentsMargins(12, 8, 12, 8)
        column.setSpacing(4)
        row = QHBoxLayout()
        row.setSpacing(8)
        row.addWidget(text("The known answer is", "strong"))
        self.said = text("", "strong")
        self.said.setObjectName("annotate.gold_said")
        self.said.setAccessibleName("Known answer so far")
        row.addWidget(self.said)
        self.buttons: dict[str, KeyButton] = {}
        for name, key, words, asked in (
            ("first", "1", "A ≻ B", Command("place", 0)), ("second", "2", "B ≻ A", Command("place", 1)),
            ("level", "0", "A = B", Command("level")), ("accept", "Enter", "keep", Command("accept")),
        ):  # fmt: skip
            self.buttons[name] = KeyButton(key, words, f"annotate.gold_{name}", partial(ask, asked))
            row.addWidget(self.buttons[name])
        row.addStretch(1)
        row.addWidget(KeyHint("Esc", "cancel"))
        column.addLayout(row)
        column.addWidget(Elided("quiet", WHY))
        self.hide()

    def offer(self, shown: tuple[int, ...]) -> None:
        """Ask for the answer of an item whose candidates are shown in this order."""
        self.draft = Draft(shown)
        self._show()
        self.show()

    def press(self, asked: Command) -> Ranking | None:
        """One key more; the answer once it is whole."""
        if asked.name == "place":
            verdict = self.draft.press(asked.place)
        else:
            verdict = self.draft.level() if asked.name == "level" else self.draft.accept()
        self._show()
        return None if verdict is None else verdict.ranking

    def _show(self) -> None:
        pair, draft = self.draft.pair, self.draft
        for name, one in self.buttons.items():
            one.setVisible(pair == (name in {"first", "second"}) or name == "level")
        self.buttons["level"].say("A = B" if pair else "level")
        self.buttons["accept"].setEnabled(len(draft.open) <= 1)
        tiers = [" = ".join(LETTERS[place] for place in tier) for tier in draft.tiers]
        more = " = …" if draft.levelling else " ≻ …" if draft.open and tiers else ""
        so_far = " ≻ ".join(tiers) + more
        self.said.setText("" if pair else so_far or f"1 … {len(draft.shown)}, best first")
