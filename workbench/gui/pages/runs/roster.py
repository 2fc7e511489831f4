"""The list of runs: two lines each, with a painted sparkline; filtered as a person types."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from PySide6.QtCore import QAbstractListModel, QModelIndex, QPersistentModelIndex, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QFont, QFontMetrics, QPainter
from PySide6.QtWidgets import (
    QAbstractItemView,
    QLineEdit,
    QListView,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QVBoxLayout,
    QWidget,
)

from workbench.domain.runs import JobState
from workbench.gui.pages.runs.telling import (
    LOOKS,
    headline_number,
    in_list_order,
    matches,
    numbers,
    progress,
    running_time,
)
from workbench.gui.theme import Theme
from workbench.gui.widgets.basics import plain_tip
from workbench.gui.widgets.spark import paint_spark
from workbench.services.views import RunView

Index = QModelIndex | QPersistentModelIndex
ROW = 66
_TOP = QModelIndex()


class RosterModel(QAbstractListModel):
    """The runs that pass the filter, in list order."""

    def __init__(self) -> None:
        super().__init__()
        self._all: dict[str, RunView] = {}
        self.shown: list[RunView] = []
        self.words = ""

    def rowCount(self, parent: Index = _TOP) -> int:
        """How many runs are shown."""
        return 0 if parent.isValid() else len(self.shown)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """The view itself for the painter, one line of words for a screen reader."""
        if not index.isValid():
            return None
        view = self.shown[index.row()]
        if role == Qt.ItemDataRole.UserRole:
            return view
        if role in {Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.AccessibleTextRole}:
            told = (view.name or view.id, view.kind, LOOKS[view.state].word, progress(view), numbers(view))
            return ", ".join(part for part in told if part)
        if role == Qt.ItemDataRole.ToolTipRole:
            return plain_tip("\n".join(part for part in (view.name or view.id, numbers(view), view.note) if part))
        return None

    def replace(self, views: Sequence[RunView]) -> None:
        """Take these runs for all there are."""
        self._all = {view.id: view for view in views}
        self._arrange()

    def update_one(self, view: RunView) -> None:
        """News of one run: repaint its row, or arrange anew when it is new or changed its state."""
        before = self._all.get(view.id)
        self._all[view.id] = view
        if before is None or before.state != view.state:
            self._arrange()
            return
        for row, shown in enumerate(self.shown):
            if shown.id == view.id:
                self.shown[row] = view
                self.dataChanged.emit(self.index(row), self.index(row))

    def filter(self, words: str) -> None:
        """Show only runs that have all these words."""
        self.words = words
        self._arrange()

    def view(self, run: str) -> RunView | None:
        """The newest view of a run, shown or not."""
        return self._all.get(run)

    def queue_place(self, run: str) -> int:
        """Where a queued run stands in the queue, from 0."""
        return self.waiting.index(run) if run in self.waiting else 0

    @property
    def waiting(self) -> list[str]:
        """Ids of the queued runs in the queue's order, shown or not."""
        return [view.id for view in in_list_order(list(self._all.values())) if view.state is JobState.QUEUED]

    @property
    def count(self) -> int:
        """How many runs there are, shown or not."""
        return len(self._all)

    def _arrange(self) -> None:
        self.beginResetModel()
        self.shown = [view for view in in_list_order(list(self._all.values())) if matches(view, self.words)]
        self.endResetModel()


class RosterPainter(QStyledItemDelegate):
    """Paints one run: name and state; progress and number; spark at the right; a bar while it runs."""

    def __init__(self, theme: Theme, parent: QWidget) -> None:
        super().__init__(parent)
        self._theme = theme

    def sizeHint(self, option: QStyleOptionViewItem, index: Index) -> QSize:
        """Two lines."""
        return QSize(200, ROW + max(0, self._theme.font_size - 13) * 2)

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        """Paint the row."""
        view: RunView = index.data(Qt.ItemDataRole.UserRole)
        colours = self._theme.colours
        box = QRectF(option.rect).adjusted(4, 2, -4, -2)
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if option.state & QStyle.StateFlag.State_Selected:
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(QColor(colours.accent_soft))
            painter.drawRoundedRect(box, 6, 6)
        elif option.state & QStyle.StateFlag.State_MouseOver:
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(QColor(colours.raised))
            painter.drawRoundedRect(box, 6, 6)
        inner = box.adjusted(12, 8, -10, -8)
        spark = QRectF(inner.right() - 84, inner.top() - 2, 84, inner.height() / 2)
        words = inner.adjusted(0, 0, -94 if view.spark else 0, 0)
        self._lines(painter, words, view, option.font)
        if view.spark:
            paint_spark(painter, spark, view.spark, colours.series[0])
            below = QRectF(spark.left() - 60, inner.top(), spark.width() + 60, inner.height() - 2)
            painter.setPen(QColor(colours.text))
            painter.setFont(option.font)
            painter.drawText(below, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignBottom, headline_number(view))
        if view.steps and not view.state.ended and view.state.value != "queued":
            bar = QRectF(inner.left(), box.bottom() - 5, inner.width(), 3)
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(QColor(colours.line))
            painter.drawRoundedRect(bar, 1.5, 1.5)
            bar.setWidth(bar.width() * min(1.0, view.step / view.steps))
            painter.setBrush(QColor(colours.accent))
            painter.drawRoundedRect(bar, 1.5, 1.5)
        painter.restore()

    def _lines(self, painter: QPainter, box: QRectF, view: RunView, font: QFont) -> None:
        colours = self._theme.colours
        look = LOOKS[view.state]
        strong = QFont(font)
        strong.setWeight(QFont.Weight.DemiBold)
        painter.setFont(strong)
        painter.setPen(QColor(colours.text))
        metrics = QFontMetrics(strong)
        line = metrics.height()
        name = metrics.elidedText(view.name or view.id, Qt.TextElideMode.ElideMiddle, int(box.width()))
        painter.drawText(QRectF(box.left(), box.top(), box.width(), line), name)
        painter.setFont(font)
        plain = QFontMetrics(font)
        second = QRectF(box.left(), box.top() + line + 6, box.width(), plain.height())
        state = f"{look.sign} {look.word}"
        painter.setPen(QColor(getattr(colours, look.tone)))
        painter.drawText(second, state)
        used = plain.horizontalAdvance(state + "  ")
        painter.setPen(QColor(colours.quiet))
        share = f"{100 * view.step // view.steps} %" if view.steps and not view.state.ended and view.step else ""
        for part in (share, running_time(view), view.kind):
            words = f"·  {part}"
            wide = plain.horizontalAdvance(words + "  ")
            if part and used + wide <= second.width():  # what doesn't fit is left out whole
                painter.drawText(second.adjusted(used, 0, 0, 0), words)
                used += wide


class Roster(QWidget):
    """Filter field and list; several runs can be selected to lay their curves over one another."""

    def __init__(self, theme: Theme, selected: Callable[[list[str]], Any]) -> None:
        super().__init__()
        self.model = RosterModel()
        column = QVBoxLayout(self)
        column.setContentsMargins(24, 16, 8, 16)
        column.setSpacing(8)
        self.field = QLineEdit()
        self.field.setObjectName("runs.filter")
        self.field.setAccessibleName("Filter runs")
        self.field.setPlaceholderText("Filter by name, kind, state …")
        self.field.setClearButtonEnabled(True)
        column.addWidget(self.field)
        self.list = QListView()
        self.list.setObjectName("runs.list")
        self.list.setAccessibleName("Runs")
        self.list.setModel(self.model)
        self.list.setItemDelegate(RosterPainter(theme, self.list))
        self.list.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.list.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.list.setMouseTracking(True)
        self.list.setUniformItemSizes(True)
        column.addWidget(self.list, 1)
        self._selected = selected
        self._keeping = False
        self._chosen: list[str] = []
        self.field.textChanged.connect(self._filter)
        self.list.selectionModel().selectionChanged.connect(lambda *_: self._tell())
        self.model.modelAboutToBeReset.connect(self._before)
        self.model.modelReset.connect(self._after)
        theme.changed.connect(self.list.viewport().update)

    @property
    def chosen(self) -> list[str]:
        """Ids of the selected runs, in list order."""
        rows = sorted(index.row() for index in self.list.selectionModel().selectedIndexes())
        return [self.model.shown[row].id for row in rows]

    def choose(self, run: str) -> bool:
        """Select one run; False when it isn't shown."""
        for row, view in enumerate(self.model.shown):
            if view.id == run:
                self.list.setCurrentIndex(self.model.index(row))
                return True
        return False

    def _filter(self, words: str) -> None:
        self.model.filter(words)

    def _before(self) -> None:
        self._keeping = True

    def _after(self) -> None:
        selection = self.list.selectionModel()
        for row, view in enumerate(self.model.shown):
            if view.id in self._chosen:
                selection.select(self.model.index(row), selection.SelectionFlag.Select)
        self._keeping = False
        self._tell()

    def _tell(self) -> None:
        if self._keeping or self.chosen == self._chosen:
            return
        self._chosen = self.chosen
        self._selected(self._chosen)
