"""The frame around the page: the rail at the left and the bar at the top."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QColor, QPainter, QPaintEvent
from PySide6.QtWidgets import QAbstractButton, QFrame, QHBoxLayout, QMenu, QPushButton, QToolButton, QVBoxLayout

from workbench.gui.icons import icon, picture
from workbench.gui.page_table import PageEntry
from workbench.gui.theme import Theme
from workbench.gui.widgets.basics import plain_tip, restyle, text

RAIL_WIDTH = 60


class RailButton(QAbstractButton):
    """One page on the rail: an icon, and a bar at its left while its page is shown."""

    def __init__(self, entry: PageEntry, number: int, theme: Theme) -> None:
        super().__init__()
        self._entry, self._theme = entry, theme
        self.setObjectName(f"rail.{entry.id}")
        self.setAccessibleName(entry.title)
        self.setAccessibleDescription(f"Show the page {entry.title}; Ctrl+{number}")
        self.setToolTip(f"{entry.title}   Ctrl+{number}")
        self.setCheckable(True)
        self.setAutoExclusive(True)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setFixedSize(RAIL_WIDTH - 1, 48)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.setAttribute(Qt.WidgetAttribute.WA_Hover)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw the ground, the mark and the icon."""
        colours = self._theme.colours
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        ground = QRectF(8, 4, self.width() - 16, self.height() - 8)
        if self.isChecked() or self.underMouse():
            painter.setBrush(QColor(colours.accent_soft if self.isChecked() else colours.raised))
            painter.drawRoundedRect(ground, 6, 6)
        if self.isChecked():
            painter.setBrush(QColor(colours.accent))
            painter.drawRoundedRect(QRectF(0, 14, 3, self.height() - 28), 1.5, 1.5)
        if self.hasFocus():
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.setPen(QColor(colours.accent))
            painter.drawRoundedRect(ground, 6, 6)
        ratio = self.devicePixelRatioF()
        colour = colours.accent if self.isChecked() else (colours.text if self.underMouse() else colours.quiet)
        drawing = picture(self._entry.glyph, colour, round(22 * ratio), ratio)
        painter.drawPixmap(int((self.width() - 22) / 2), int((self.height() - 22) / 2), drawing)

    def sizeHint(self) -> QSize:
        """As wide as the rail."""
        return QSize(RAIL_WIDTH - 1, 48)


class Rail(QFrame):
    """The column of pages."""

    def __init__(self, pages: tuple[PageEntry, ...], theme: Theme, go: Callable[[str], Any]) -> None:
        super().__init__()
        self.setObjectName("rail")
        self.setAccessibleName("Pages")
        self.setFixedWidth(RAIL_WIDTH)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 8, 0, 8)
        column.setSpacing(4)
        self._buttons: dict[str, RailButton] = {}
        own = [entry for entry in pages if not entry.beside]
        self._home = {entry.id: entry.beside or entry.id for entry in pages}
        for number, entry in enumerate(own, 1):
            if number == len(own):
                column.addStretch(1)
            button = RailButton(entry, number, theme)
            button.clicked.connect(lambda _=False, page=entry.id: go(page))
            self._buttons[entry.id] = button
            column.addWidget(button)

    def mark(self, page_id: str) -> None:
        """Show which page is in front, or beside which one it stands."""
        self._buttons[self._home[page_id]].setChecked(True)


class TopBar(QFrame):
    """Title of the page, the workspace and its menu, and the way to everything else."""

    def __init__(self, theme: Theme, find: Callable[[], Any], keys: Callable[[], Any]) -> None:
        super().__init__()
        self.setObjectName("top_bar")
        self.setFixedHeight(60)
        self._theme = theme
        row = QHBoxLayout(self)
        row.setContentsMargins(24, 0, 16, 0)
        row.setSpacing(12)
        self.title = text("", "title")
        self.title.setObjectName("top_bar.title")
        row.addWidget(self.title)
        row.addStretch(1)
        self.workspace = QPushButton("No workspace")
        self.workspace.setObjectName("top_bar.workspace")
        self.workspace.setAccessibleName("Workspace")
        self.workspace.setProperty("role", "flat")
        self.menu = QMenu(self.workspace)
        self.workspace.setMenu(self.menu)
        row.addWidget(self.workspace)
        self.search = QPushButton("Find anything     Ctrl+K")
        self.search.setObjectName("search_button")
        self.search.setAccessibleName("Find anything")
        self.search.setToolTip("Every action, dataset, run and model by name")
        self.search.setMinimumWidth(232)
        self.search.clicked.connect(lambda: find())
        row.addWidget(self.search)
        self.help = QToolButton()
        self.help.setObjectName("top_bar.help")
        self.help.setAccessibleName("Help and keys of this page")
        self.help.setToolTip("Help for this page   F1")
        self.help.clicked.connect(lambda: keys())
        row.addWidget(self.help)
        self._paint()
        theme.changed.connect(self._paint)

    def show_page(self, title: str) -> None:
        """Name the page in front."""
        self.title.setText(title)

    def show_workspace(self, path: Path | None) -> None:
        """Name the workspace."""
        name = path.name if path is not None else "No workspace"
        shown = self.fontMetrics().elidedText(name, Qt.TextElideMode.ElideMiddle, 260)
        self.workspace.setText(shown.replace("&", "&&"))  # a single one would be taken for a mnemonic
        self.workspace.setToolTip(plain_tip(str(path or "")))
        restyle(self.workspace)

    def _paint(self) -> None:
        colours = self._theme.colours
        self.workspace.setIcon(icon("chevron_down", colours.quiet))
        self.workspace.setLayoutDirection(Qt.LayoutDirection.RightToLeft)
        self.search.setIcon(icon("search", colours.quiet))
        self.help.setIcon(icon("help", colours.quiet, 20))
        self.help.setIconSize(QSize(20, 20))
