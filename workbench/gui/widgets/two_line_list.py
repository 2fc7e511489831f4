"""A list whose entries have a name, a quiet line below it, and perhaps a mark at the right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PySide6.QtCore import QModelIndex, QPersistentModelIndex, QRect, QSize, Qt, Signal
from PySide6.QtGui import QColor, QFont, QPainter
from PySide6.QtWidgets import QListWidget, QListWidgetItem, QStyle, QStyledItemDelegate, QStyleOptionViewItem, QWidget

from workbench.gui.theme import Theme
from workbench.gui.widgets.basics import plain_tip

_LINE = Qt.ItemDataRole.UserRole


@dataclass(frozen=True)
class Line:
    """One entry: its key, its name (cut in its middle, as prose at its end), what stands below, and a word at the right."""

    key: str
    title: str
    under: str
    mark: str = ""
    prose: bool = False


class _Painter(QStyledItemDelegate):
    def __init__(self, theme: Theme, parent: QWidget) -> None:
        super().__init__(parent)
        self._theme = theme

    def sizeHint(self, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex) -> QSize:
        return QSize(80, 2 * self._theme.font_size + 26)

    def paint(
        self, painter: QPainter, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> None:
        colours = self._theme.colours
        line: Line = index.data(_LINE)
        area: QRect = option.rect.adjusted(4, 2, -4, -2)
        state: QStyle.StateFlag = option.state
        font: QFont = option.font
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        if state & QStyle.StateFlag.State_Selected:
            painter.setBrush(QColor(colours.accent_soft))
            painter.drawRoundedRect(area, 6, 6)
            painter.setBrush(QColor(colours.accent))
            painter.drawRoundedRect(QRect(area.left(), area.top() + 10, 3, area.height() - 20), 1.5, 1.5)
        elif state & QStyle.StateFlag.State_MouseOver:
            painter.setBrush(QColor(colours.raised))
            painter.drawRoundedRect(area, 6, 6)
        inner = area.adjusted(12, 4, -8, -4)
        half = inner.height() // 2
        if line.mark:
            painter.setPen(QColor(colours.quiet))
            wide = painter.fontMetrics().horizontalAdvance(line.mark) + 8
            painter.drawText(QRect(inner.right() - wide, inner.top() + half, wide, half), _RIGHT, line.mark)
        else:
            wide = 0
        bold = QFont(font)
        bold.setWeight(QFont.Weight.DemiBold)
        painter.setFont(bold)
        painter.setPen(QColor(colours.text))
        cut = Qt.TextElideMode.ElideRight if line.prose else Qt.TextElideMode.ElideMiddle
        title = painter.fontMetrics().elidedText(line.title, cut, inner.width())
        painter.drawText(QRect(inner.left(), inner.top(), inner.width(), half), _LEFT, title)
        painter.setFont(font)
        painter.setPen(QColor(colours.quiet))
        under = painter.fontMetrics().elidedText(line.under, Qt.TextElideMode.ElideRight, inner.width() - wide)
        painter.drawText(QRect(inner.left(), inner.top() + half, inner.width(), half), _LEFT, under)
        painter.restore()


_LEFT = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
_RIGHT = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter


class TwoLineList(QListWidget):
    """Emits `chosen(key)` when another entry becomes the current one, by hand or by `choose`."""

    chosen = Signal(str)

    def __init__(self, theme: Theme, name: str, accessible: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName(name)
        self.setAccessibleName(accessible)
        self.setProperty("role", "bare")
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setMouseTracking(True)
        self.setItemDelegate(_Painter(theme, self))
        self.currentItemChanged.connect(lambda now, _before: self.chosen.emit(self._key(now)) if now else None)

    def show_lines(self, lines: Sequence[Line]) -> None:
        """Show other entries; the one that was chosen stays chosen if it is still there."""
        kept = self.key()
        self.blockSignals(True)
        self.clear()
        for line in lines:
            entry = QListWidgetItem(line.title)
            entry.setData(_LINE, line)
            entry.setData(Qt.ItemDataRole.AccessibleTextRole, f"{line.title}, {line.under}")
            entry.setToolTip(plain_tip(f"{line.title}\n{line.under}"))
            self.addItem(entry)
        self.blockSignals(False)
        if kept and not self.choose(kept, quietly=True):
            self.setCurrentRow(-1)

    def key(self) -> str:
        """The key of the current entry, or ""."""
        return self._key(self.currentItem())

    def choose(self, key: str, *, quietly: bool = False) -> bool:
        """Make an entry the current one; False when there is none with this key."""
        for row in range(self.count()):
            if self._key(self.item(row)) == key:
                self.blockSignals(quietly)
                self.setCurrentRow(row)
                self.blockSignals(False)
                return True
        return False

    def _key(self, entry: QListWidgetItem | None) -> str:
        if entry is None:
            return ""
        line: Line = entry.data(_LINE)
        return line.key
