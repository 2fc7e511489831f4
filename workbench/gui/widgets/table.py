"""A table whose rows come in pages as they are looked at: a million rows scroll like ten."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QPersistentModelIndex, Qt
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QAbstractItemView, QHeaderView, QTableView, QWidget

from workbench.gui.widgets.basics import plain_tip

Index = QModelIndex | QPersistentModelIndex
Fetch = Callable[[int, int, Callable[[Sequence[Any]], Any]], Any]
PAGE = 100
PAGES_KEPT = 50


@dataclass(frozen=True)
class ColumnOf:
    """One column: its heading, the text of a row, and whether it is a number (set at the right).

    A column has a `width` in pixels, or a `share` of what is left; the last one takes the rest.
    """

    title: str
    text: Callable[[Any], str]
    number: bool = False
    width: int = 0
    share: float = 0.0


class PagedModel(QAbstractTableModel):
    """Asks `fetch(offset, limit, deliver)` for a page when a row of it is looked at; keeps the last pages.

    With `total` known any row can be reached at once; with `total=None` (a search) the table grows while it is scrolled.
    """

    def __init__(self, columns: Sequence[ColumnOf], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.columns = tuple(columns)
        self._fetch: Fetch | None = None
        self._pages: OrderedDict[int, Sequence[Any]] = OrderedDict()
        self._asked: set[int] = set()
        self._rows = 0
        self._more = False
        self._epoch = 0

    def show(self, fetch: Fetch | None, total: int | None) -> None:
        """Show other rows."""
        self.beginResetModel()
        self._epoch += 1
        self._fetch, self._rows, self._more = fetch, total or 0, total is None and fetch is not None
        self._pages.clear()
        self._asked.clear()
        self.endResetModel()
        if self._more:
            self._ask(0)

    def row(self, number: int) -> Any | None:
        """The row, or None while it isn't here yet."""
        page = self._pages.get(number // PAGE)
        place = number % PAGE
        return page[place] if page is not None and place < len(page) else None

    def prefetch(self, page: int) -> None:
        """Ask for a page before it is looked at."""
        if page not in self._pages:
            self._ask(page)

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008 - Qt's own signature
        """How many rows are known."""
        return 0 if parent.isValid() else self._rows

    def columnCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008
        """How many columns there are."""
        return 0 if parent.isValid() else len(self.columns)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Headings; rows count from 1."""
        if role == Qt.ItemDataRole.DisplayRole:
            return self.columns[section].title if orientation == Qt.Orientation.Horizontal else f"{section + 1:,}"
        if role == Qt.ItemDataRole.TextAlignmentRole and orientation == Qt.Orientation.Horizontal:
            side = Qt.AlignmentFlag.AlignRight if self.columns[section].number else Qt.AlignmentFlag.AlignLeft
            return side | Qt.AlignmentFlag.AlignVCenter
        return None

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """The text of one cell; asks for its page when it isn't here."""
        column = self.columns[index.column()]
        if role == Qt.ItemDataRole.TextAlignmentRole:
            side = Qt.AlignmentFlag.AlignRight if column.number else Qt.AlignmentFlag.AlignLeft
            return side | Qt.AlignmentFlag.AlignVCenter
        if role not in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.ToolTipRole):
            return None
        row = self.row(index.row())
        if row is None:
            if index.row() // PAGE in self._pages:
                return None  # fewer rows came than were promised; asking again would never end
            self._ask(index.row() // PAGE)
            return "…" if role == Qt.ItemDataRole.DisplayRole else None
        words = column.text(row)
        return " ".join(words[:400].split()) if role == Qt.ItemDataRole.DisplayRole else plain_tip(words[:1000])

    def canFetchMore(self, parent: Index) -> bool:
        """Whether a growing table has more below."""
        return self._more and not self._asked

    def fetchMore(self, parent: Index) -> None:
        """Ask for the next page of a growing table."""
        self._ask(self._rows // PAGE)

    def _ask(self, page: int) -> None:
        if self._fetch is None or page in self._asked:
            return
        self._asked.add(page)
        epoch = self._epoch
        self._fetch(page * PAGE, PAGE, lambda rows: self._arrive(epoch, page, rows))

    def _arrive(self, epoch: int, page: int, rows: Sequence[Any]) -> None:
        if epoch != self._epoch:
            return  # the table shows something else by now
        self._asked.discard(page)
        first, last = page * PAGE, page * PAGE + len(rows) - 1
        self._pages[page] = rows
        while len(self._pages) > PAGES_KEPT:
            self._pages.popitem(last=False)
        if self._more and first == self._rows:
            self._more = len(rows) == PAGE
            if rows:
                self.beginInsertRows(QModelIndex(), first, last)
                self._rows = last + 1
                self.endInsertRows()
        elif last >= first:
            self.dataChanged.emit(self.index(first, 0), self.index(min(last, self._rows - 1), len(self.columns) - 1))


class VirtualTable(QTableView):
    """The view of a PagedModel: whole rows, one at a time, equal heights, the last column takes what is left."""

    def __init__(self, columns: Sequence[ColumnOf], name: str, accessible: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName(name)
        self.setAccessibleName(accessible)
        self.rows = PagedModel(columns, self)
        self.setModel(self.rows)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setShowGrid(False)
        self.setWordWrap(False)
        self.setTabKeyNavigation(False)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        heads = self.verticalHeader()
        heads.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        heads.setDefaultSectionSize(32)
        heads.setVisible(False)
        header = self.horizontalHeader()
        header.setHighlightSections(False)
        header.setStretchLastSection(True)
        self._dragged, self._dividing = False, True
        for place, column in enumerate(columns):
            if column.width:
                self.setColumnWidth(place, column.width)
        self._dividing = False
        header.sectionResized.connect(lambda place, _old, _new: self._column_resized(place))

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Divide the room among the columns that have a share, until a person drags one."""
        super().resizeEvent(event)
        if self._dragged:
            return
        columns = self.rows.columns
        room = self.viewport().width() - sum(column.width for column in columns)
        self._dividing = True
        for place, column in enumerate(columns[:-1]):
            if column.share:
                self.setColumnWidth(place, max(80, int(room * column.share)))
        self._dividing = False

    def _column_resized(self, place: int) -> None:
        if not self._dividing and self.isVisible() and place < len(self.rows.columns) - 1:
            self._dragged = True

    def on_row(self, chosen: Callable[[int], Any]) -> None:
        """Call `chosen(row)` whenever another row becomes the current one."""
        self.selectionModel().currentRowChanged.connect(
            lambda now, _before: chosen(now.row()) if now.isValid() else None
        )
