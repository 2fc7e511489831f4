"""The row over the cards that says which dimension is being ranked; there is none where the guidelines ask for none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from PySide6.QtCore import QSignalBlocker, Qt
from PySide6.QtWidgets import QHBoxLayout, QTabBar, QWidget

from workbench.gui.pages.annotate.draft import LETTERS, Sheet
from workbench.gui.widgets.basics import Elided, plain_tip

OVERALL = (
    "Overall",
    "All in all: this ranking is what models are trained on, and it commits what you said of the item.",
)


class DimensionTabs(QWidget):
    """Helpful · Harmless · Overall, each with what was said of it, and the sentence of the one on show."""

    def __init__(self, go: Callable[[int], Any]) -> None:
        super().__init__()
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(16)
        self.bar = QTabBar()
        self.bar.setObjectName("annotate.dimensions")
        self.bar.setAccessibleName("Dimensions to rank by")
        self.bar.setDrawBase(False)
        self.bar.setExpanding(False)
        self.bar.setUsesScrollButtons(True)
        self.bar.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.bar.currentChanged.connect(go)
        row.addWidget(self.bar)
        self.sentence = Elided("quiet")
        self.sentence.setObjectName("annotate.dimension_sentence")
        row.addWidget(self.sentence, 1)
        self.hide()

    def show_sheet(self, sheet: Sheet) -> None:
        """Which dimensions there are, what was said of each, and which one the keys rank now."""
        self.setVisible(bool(sheet.dimensions))
        if not sheet.dimensions:
            return
        described = [(d.name, d.description) for d in sheet.dimensions] + [OVERALL]
        with QSignalBlocker(self.bar):
            while self.bar.count() > len(described):
                self.bar.removeTab(self.bar.count() - 1)
            while self.bar.count() < len(described):
                self.bar.addTab("")
            for place, ((name, sentence), draft) in enumerate(zip(described, sheet.drafts)):
                said = "" if draft.open and not draft.tiers else _so_far(draft.tiers)
                words = f"{name}   {said}" if said else name
                if self.bar.tabText(place) != words.replace("&", "&&"):
                    self.bar.setTabText(place, words.replace("&", "&&"))
                self.bar.setTabToolTip(place, plain_tip(sentence))
                self.bar.setAccessibleTabName(place, f"{name}: {said or 'not ranked yet'}")
            self.bar.setCurrentIndex(sheet.here)
        self.sentence.setText(described[sheet.here][1])


def _so_far(tiers: list[list[int]]) -> str:
    return " ≻ ".join(" = ".join(LETTERS[place] for place in sorted(tier)) for tier in tiers)
