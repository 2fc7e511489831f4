"""The page's content: prompt above, columns and panel in the middle, votes below."""

from __future__ import annotations

from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from workbench.gui.pages.playground.columns_row import ColumnsRow
from workbench.gui.pages.playground.drawer import Drawer
from workbench.gui.pages.playground.prompt_bar import PromptBar
from workbench.gui.pages.playground.vote_bar import VoteBar
from workbench.gui.theme import Theme


class Desk(QWidget):
    """Lays the parts out; the page connects them."""

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
        middle = QHBoxLayout()
        middle.setSpacing(12)
        middle.addWidget(self.row, 1)
        middle.addWidget(self.drawer)
        box.addWidget(self.bar)
        box.addLayout(middle, 1)
        box.addWidget(self.votes)

    def dress(self) -> None:
        """The theme has changed."""
        self.bar.dress()
        self.drawer.dress()
        self.row.dress()
