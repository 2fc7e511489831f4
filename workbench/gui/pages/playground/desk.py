"""The page's content: prompt above, columns and panel (or a view of the lab) in the middle, votes below."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QHBoxLayout, QStackedLayout, QVBoxLayout, QWidget

from workbench.gui.pages.playground.columns_row import ColumnsRow
from workbench.gui.pages.playground.drawer import Drawer
from workbench.gui.pages.playground.lab_pane import LabPane
from workbench.gui.pages.playground.prompt_bar import PromptBar
from workbench.gui.pages.playground.vote_bar import VoteBar
from workbench.gui.theme import Theme


class Desk(QWidget):
    """Lays the parts out; the page connects them."""

    left = Signal()

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._theme = theme
        self.setObjectName("playground.desk")
        self.bar = PromptBar(theme)
        self.row = ColumnsRow(theme)
        self.drawer = Drawer(theme)
        self.votes = VoteBar()
        box = QVBoxLayout(self)
        box.setContentsMargins(16, 16, 16, 16)
        box.setSpacing(12)
        self.columns = QWidget()
        middle = QHBoxLayout(self.columns)
        middle.setContentsMargins(0, 0, 0, 0)
        middle.setSpacing(12)
        middle.addWidget(self.row, 1)
        middle.addWidget(self.drawer)
        self.lab = LabPane(theme, self.left.emit)
        self.middle = QStackedLayout()
        self.middle.addWidget(self.columns)
        self.middle.addWidget(self.lab)
        box.addWidget(self.bar)
        box.addLayout(self.middle, 1)
        box.addWidget(self.votes)

    def show_lab(self, shown: bool) -> None:
        """A view of the lab in the columns' place, with the votes' room (a study has the prompt's too), or the columns."""
        self.votes.setVisible(not shown)
        self.bar.setVisible(not (shown and self.lab.alone))
        self.middle.setCurrentWidget(self.lab if shown else self.columns)

    def dress(self) -> None:
        """The theme has changed."""
        self.bar.dress()
        self.drawer.dress()
        self.row.dress()
        self.lab.dress()
