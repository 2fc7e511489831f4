"""A scrolling board of figure cards above plots, in as many columns as there is room for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QGridLayout, QHBoxLayout, QScrollArea, QVBoxLayout, QWidget

from workbench.analysis.figures import Figure
from workbench.gui.pages.statistics.figures import FigureCard, cards
from workbench.gui.theme import Theme
from workbench.gui.widgets.basics import text
from workbench.gui.widgets.charts import ChartCard, Plot

CARD_WIDTH = 260
PLOT_WIDTH = 440
GAP = 12


class Board(QScrollArea):
    """Cards and plots of one kind of statistics."""

    def __init__(self, name: str, theme: Theme, save: Callable[[str, bytes], Any]) -> None:
        super().__init__()
        self._theme, self._save = theme, save
        self.setObjectName(f"statistics.board.{name}")
        self.setAccessibleName(f"Statistics: {name}")
        self.setWidgetResizable(True)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setFrameShape(QScrollArea.Shape.NoFrame)
        self.cards: list[FigureCard] = []
        self.plots: list[ChartCard] = []
        body = QWidget()
        column = QVBoxLayout(body)
        column.setContentsMargins(0, 16, 4, 0)
        column.setSpacing(GAP)
        self.nothing = text("", "quiet", wrap=True)
        column.addWidget(self.nothing)
        self._figures, self._plots = QGridLayout(), QGridLayout()
        for grid in (self._figures, self._plots):
            grid.setSpacing(GAP)
        column.addLayout(self._figures)
        self._tools = QWidget()
        self._tool_row = QHBoxLayout(self._tools)
        self._tool_row.setContentsMargins(0, 0, 0, 0)
        self._tools.hide()
        column.addWidget(self._tools)
        column.addLayout(self._plots)
        column.addStretch(1)
        self.setWidget(body)
        self._columns = (0, 0)

    def add_tool(self, words: str, tool: QWidget) -> None:
        """Something to choose between cards and plots, hidden until it is shown."""
        self._tool_row.addWidget(text(words, "quiet"))
        self._tool_row.addWidget(tool)
        self._tool_row.addStretch(1)

    def show_tool(self, there: bool) -> None:
        """Show or hide it."""
        self._tools.setVisible(there)

    def show_all(self, figures: Sequence[Figure], plots: Sequence[Plot], nothing: str) -> None:
        """Show these; `nothing` says what to do when there are none."""
        for old in (*self.cards, *self.plots):
            old.hide()
            old.deleteLater()
        self.cards = cards(figures, self._theme)
        self.plots = [ChartCard(plot, self._theme, self._save) for plot in plots]
        self.nothing.setText(nothing)
        self.nothing.setVisible(not figures and not plots)
        self._columns = (0, 0)
        self._arrange()

    def replace(self, plot: Plot) -> None:
        """Show a plot in place of the one of the same name."""
        for place, old in enumerate(self.plots):
            if old.plot.name == plot.name:
                self.plots[place] = ChartCard(plot, self._theme, self._save)
                old.hide()
                old.deleteLater()
        self._columns = (0, 0)
        self._arrange()

    def dress(self) -> None:
        """Draw in the theme's colours."""
        for plot in self.plots:
            plot.dress()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """More or fewer columns."""
        super().resizeEvent(event)
        self._arrange()

    def _arrange(self) -> None:
        room = self.viewport().width()
        wanted = _columns(room // CARD_WIDTH, len(self.cards)), max(1, room // PLOT_WIDTH)
        if wanted == self._columns:
            return
        self._columns = wanted
        for grid, widgets, most in ((self._figures, self.cards, wanted[0]), (self._plots, self.plots, wanted[1])):
            columns = most if grid is self._figures else min(most, max(1, len(widgets)))
            while grid.takeAt(0) is not None:
                pass
            for place in range(max(grid.columnCount(), columns)):
                grid.setColumnStretch(place, 1 if place < columns else 0)
            for place, widget in enumerate(widgets):
                grid.addWidget(widget, place // columns, place % columns)
                widget.show()


def _columns(most: int, cards: int) -> int:
    """How many columns cards stand in: at least three where there is room, and rows that are as full as can be."""
    rows = -(-cards // max(1, most))
    return max(1, min(most, max(3, -(-cards // max(1, rows)))))
