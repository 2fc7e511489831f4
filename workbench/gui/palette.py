"""Find anything (Ctrl+K): every action, page, dataset, run and model by name."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from PySide6.QtCore import QEvent, QModelIndex, QObject, QPersistentModelIndex, Qt
from PySide6.QtGui import QColor, QFocusEvent, QKeyEvent, QPainter
from PySide6.QtWidgets import (
    QFrame,
    QLineEdit,
    QListWidget,
    QListWidgetItem,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QVBoxLayout,
    QWidget,
)
from shiboken6 import isValid

from workbench.gui.icons import icon
from workbench.gui.theme import Theme
from workbench.gui.widgets.basics import text

Index = QModelIndex | QPersistentModelIndex
MOST_SHOWN = 40


@dataclass(frozen=True)
class Entry:
    """Something that can be found: its name, what it is, an icon, and what choosing it does."""

    title: str
    kind: str
    glyph: str
    run: Callable[[], Any]
    keys: str = ""


class FindPalette(QFrame):
    """A field and a list over the page; arrows choose, Enter does it, Escape leaves."""

    def __init__(self, parent: QWidget, theme: Theme) -> None:
        super().__init__(parent)
        self.setObjectName("palette")
        self.setAccessibleName("Find anything")
        self.setProperty("role", "card")
        self._theme = theme
        self._entries: list[Entry] = []
        self._back: QWidget | None = None
        column = QVBoxLayout(self)
        column.setContentsMargins(8, 8, 8, 8)
        column.setSpacing(4)
        self.field = QLineEdit()
        self.field.setObjectName("palette.field")
        self.field.setAccessibleName("What to find")
        self.field.setPlaceholderText("Find an action, a dataset, a run or a model")
        self.field.setClearButtonEnabled(True)
        self.field.textChanged.connect(self._filter)
        self.field.installEventFilter(self)
        column.addWidget(self.field)
        self.list = QListWidget()
        self.list.setObjectName("palette.list")
        self.list.setAccessibleName("Found")
        self.list.setProperty("role", "bare")
        self.list.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.list.setUniformItemSizes(True)
        self.list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.list.setItemDelegate(_EntryPainter(theme, self.list))
        self.list.itemClicked.connect(lambda _: self._choose())
        column.addWidget(self.list)
        self.nothing = text("Nothing has that name.", "quiet")
        self.nothing.setContentsMargins(8, 8, 8, 8)
        column.addWidget(self.nothing)
        self.hide()

    def open(self, entries: Iterable[Entry]) -> None:
        """Show the palette with these entries and an empty field."""
        window = self.window()
        if not self.isVisible():  # else the focus is in the palette itself
            self._back = window.focusWidget()
        self._entries = list(entries)
        self.field.clear()
        self._filter("")
        width = min(600, window.width() - 48)
        self.setGeometry((window.width() - width) // 2, 72, width, min(440, window.height() - 144))
        self.show()
        self.raise_()
        self.field.setFocus(Qt.FocusReason.ShortcutFocusReason)

    def add(self, entries: Iterable[Entry]) -> None:
        """More entries have come in while the palette is open."""
        chosen = self._current()
        self._entries += entries
        self._filter(self.field.text())
        for row in range(self.list.count() if chosen else 0):
            if self.list.item(row).data(Qt.ItemDataRole.UserRole) is chosen:
                self.list.setCurrentRow(row)

    def leave(self) -> None:
        """Hide, and give the focus back."""
        self.hide()
        if self._back is not None and isValid(self._back) and self._back.isVisible():
            self._back.setFocus(Qt.FocusReason.OtherFocusReason)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """The field's arrows move in the list; losing the focus closes the palette."""
        if (
            isinstance(event, QFocusEvent)
            and event.lostFocus()
            and event.reason() is not Qt.FocusReason.PopupFocusReason
        ):
            self.hide()  # the field's own menu takes the focus for a moment only
        if isinstance(event, QKeyEvent) and event.type() == QEvent.Type.KeyPress:
            step = {Qt.Key.Key_Down: 1, Qt.Key.Key_Up: -1, Qt.Key.Key_PageDown: 8, Qt.Key.Key_PageUp: -8}
            if event.key() in step:
                row = self.list.currentRow() + step[Qt.Key(event.key())]
                self.list.setCurrentRow(max(0, min(self.list.count() - 1, row)))
                return True
            if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
                self._choose()
                return True
            if event.key() == Qt.Key.Key_Escape:
                self.leave()
                return True
        return super().eventFilter(watched, event)

    def _filter(self, wanted: str) -> None:
        self.list.clear()
        colour = self._theme.colours.quiet
        for entry in best(self._entries, wanted)[:MOST_SHOWN]:
            row = QListWidgetItem(icon(entry.glyph, colour), entry.title)
            row.setData(Qt.ItemDataRole.AccessibleTextRole, f"{entry.title}, {entry.kind} {entry.keys}")
            row.setData(Qt.ItemDataRole.UserRole, entry)
            self.list.addItem(row)
        self.list.setCurrentRow(0)
        self.list.setVisible(self.list.count() > 0)
        self.nothing.setVisible(self.list.count() == 0)

    def _choose(self) -> None:
        entry = self._current()
        if entry is not None:
            self.leave()
            entry.run()

    def _current(self) -> Entry | None:
        row = self.list.currentItem()
        return None if row is None else row.data(Qt.ItemDataRole.UserRole)


class _EntryPainter(QStyledItemDelegate):
    """The name at the left as usual; what it is and its keys at the right."""

    def __init__(self, theme: Theme, parent: QWidget) -> None:
        super().__init__(parent)
        self._theme = theme

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        super().paint(painter, option, index)
        entry: Entry = index.data(Qt.ItemDataRole.UserRole)
        words = f"{entry.kind}    {entry.keys}" if entry.keys else entry.kind
        painter.save()
        painter.setPen(QColor(self._theme.colours.quiet))
        area = option.rect.adjusted(8, 0, -12, 0)
        painter.drawText(area, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter, words)
        painter.restore()


def best(entries: Iterable[Entry], wanted: str) -> list[Entry]:
    """The entries that hold every word wanted, those that begin with it first."""
    words = wanted.casefold().split()
    if not words:
        return list(entries)
    found: list[tuple[int, str, Entry]] = []
    for entry in entries:
        title = entry.title.casefold()
        if all(word in title or word in entry.kind.casefold() for word in words):
            place = 0 if title.startswith(words[0]) else 1 if f" {words[0]}" in title else 2
            found.append((place, title, entry))
    return [entry for _, _, entry in sorted(found, key=lambda one: one[:2])]
