"""A decoding study: its figures as a table that sorts, and quality against diversity and speed as plots with names."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from typing import Any

from PySide6.QtCore import QAbstractTableModel, QBuffer, QIODevice, QModelIndex, QPersistentModelIndex, QPoint, Qt
from PySide6.QtGui import QColor, QFont, QImage, QPainter
from PySide6.QtWidgets import QAbstractItemView, QComboBox, QHBoxLayout, QSplitter, QTableView, QVBoxLayout, QWidget

from workbench.analysis.fronts import best
from workbench.domain.study import Figure, Study, measure_of
from workbench.gui.pages.playground.study_plot import StudyPlot, spoken
from workbench.gui.theme import Theme
from workbench.gui.widgets.basics import button, plain_tip, text, wear_icon
from workbench.gui.widgets.fields import WheelGuard

Index = QModelIndex | QPersistentModelIndex
PICTURE_SCALE = 2


class StudyView(QWidget):
    """The table above, two plots below; a column that is picked in one is picked in all.

    How to place it: as a page or a wide panel. `show_study(study)` with what a run of kind `study` wrote (`domain.study.Study`).
    `save(name, content)` is called with "study.csv" or "study.png" and the file's bytes when a person asks for it.
    """

    def __init__(self, theme: Theme, save: Callable[[str, bytes], Any]) -> None:
        super().__init__()
        self._theme, self._save = theme, save
        self.study = Study(prompts=0, samples=0, columns=())
        self.setObjectName("playground.study")
        self.setAccessibleName("Decoding study")
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(8)
        top = QHBoxLayout()
        top.setSpacing(8)
        self.told = text("", "quiet", wrap=True)
        self.csv_button = wear_icon(
            button("CSV", "playground.study.csv", lambda: save("study.csv", self.csv()), accessible="Save the table as CSV"), "export", theme
        )  # fmt: skip
        self.png_button = wear_icon(
            button("PNG", "playground.study.png", lambda: save("study.png", self.png()), accessible="Save table and plots as a picture"),
            "export", theme,
        )  # fmt: skip
        top.addWidget(self.told, 1)
        top.addWidget(self.csv_button)
        top.addWidget(self.png_button)
        box.addLayout(top)
        halves = QSplitter(Qt.Orientation.Vertical)
        halves.setObjectName("playground.study.halves")
        halves.setChildrenCollapsible(False)
        self.table = _table()
        self.rows = StudyRows(self)
        self.table.setModel(self.rows)
        self.table.selectionModel().currentRowChanged.connect(lambda now, _: self._pick(self.rows.column_at(now.row())))
        halves.addWidget(self.table)
        lower = QWidget()
        below = QVBoxLayout(lower)
        below.setContentsMargins(0, 8, 0, 0)
        below.setSpacing(8)
        self.upwards = _choice("quality", "What is plotted upwards")
        self.across = (
            _choice("diversity", "What is plotted to the right at the left"),
            _choice("speed", "What is plotted to the right at the right"),
        )
        row = QHBoxLayout()
        row.setSpacing(8)
        for widget in (self.upwards, text("against", "quiet"), self.across[0], text("and", "quiet"), self.across[1]):
            row.addWidget(widget)
        row.addStretch(1)
        row.addWidget(text("● beaten by none in both   ○ beaten", "quiet"))
        below.addLayout(row)
        plots = QHBoxLayout()
        plots.setSpacing(16)
        self.plots = (StudyPlot(theme, "playground.study.plot.left"), StudyPlot(theme, "playground.study.plot.right"))
        for plot in self.plots:
            plot.pointed.connect(self._pick)
            plots.addWidget(plot, 1)
        below.addLayout(plots, 1)
        halves.addWidget(lower)
        halves.setSizes([220, 300])
        box.addWidget(halves, 1)
        for chooser in (self.upwards, *self.across):
            chooser.currentIndexChanged.connect(lambda _: self._plot())

    def show_study(self, study: Study) -> None:
        """Another study."""
        self.study = study
        self.rows.show_study(study)
        self.table.resizeColumnsToContents()
        self.table.sortByColumn(-1, Qt.SortOrder.AscendingOrder)
        self.told.setText(
            f"{len(study.columns)} columns over {_count(study.prompts, 'prompt')}, {_count(study.samples, 'text')} for each; "
            "means with 95 % intervals. The best of a measure is bold."
            if study.columns
            else "No study is shown."
        )
        names, taken = study.measures, []
        for chooser, side in ((self.upwards, "quality"), (self.across[0], "diversity"), (self.across[1], "speed")):
            chooser.blockSignals(True)
            chooser.clear()
            for name in names:
                chooser.addItem(measure_of(name).title, name)
            fit = [n for n in names if measure_of(n).side == side] + [n for n in names if n not in taken] + names
            chooser.setCurrentIndex(names.index(fit[0]) if fit else -1)
            taken += fit[:1]
            chooser.blockSignals(False)
        self._plot()

    def csv(self) -> bytes:
        """The table, unsorted: one line for each column and measure, with model, settings, interval and number of texts."""
        out = io.StringIO()
        lines = csv.writer(out, lineterminator="\n")
        lines.writerow(("column", "model", "settings", "measure", "value", "low", "high", "texts", "unit"))
        for column in self.study.columns:
            settings = column.settings.model_dump_json()
            for name in self.study.measures:
                if (f := column.figures.get(name)) is not None:
                    ends = ["" if end is None else repr(end) for end in (f.low, f.high)]
                    lines.writerow(
                        (
                            column.label,
                            column.model,
                            settings,
                            name,
                            repr(f.value),
                            *ends,
                            f.texts,
                            measure_of(name).unit,
                        )
                    )
        return out.getvalue().encode()

    def png(self) -> bytes:
        """The view as a picture, twice as fine as the screen."""
        image = QImage(self.size() * PICTURE_SCALE, QImage.Format.Format_ARGB32)
        image.setDevicePixelRatio(PICTURE_SCALE)
        image.fill(QColor(self._theme.colours.surface))
        painter = QPainter(image)
        self.render(painter, QPoint())
        painter.end()
        store = QBuffer()
        store.open(QIODevice.OpenModeFlag.WriteOnly)
        image.save(store, "PNG")  # type: ignore[call-overload]
        return bytes(store.data().data())

    def dress(self) -> None:
        """The theme's colours."""
        for plot in self.plots:
            plot.dress()

    def _plot(self) -> None:
        for plot, chooser in zip(self.plots, self.across, strict=True):
            plot.show_study(self.study, chooser.currentData() or "", self.upwards.currentData() or "")

    def _pick(self, column: int | None) -> None:
        """Stand on a column in the table and in both plots."""
        if column is None:
            return
        row = self.rows.row_of(column)
        if self.table.currentIndex().row() != row:
            self.table.selectRow(row)
        for plot in self.plots:
            if plot.current != column and column in plot.places:
                plot.select(column)


class StudyRows(QAbstractTableModel):
    """One row for each column of the study, one column for each measure; sorts by value, missing ones last."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._study = Study(prompts=0, samples=0, columns=())
        self._names: list[str] = []
        self._order: list[int] = []
        self._best: set[tuple[int, str]] = set()

    def show_study(self, study: Study) -> None:
        """Another study."""
        self.beginResetModel()
        self._study, self._names, self._order = study, study.measures, list(range(len(study.columns)))
        self._best = {(number, name) for name in self._names for number in best(study, name)}
        self.endResetModel()

    def column_at(self, row: int) -> int | None:
        """Which column of the study a row is about."""
        return self._order[row] if 0 <= row < len(self._order) else None

    def row_of(self, column: int) -> int:
        """In which row a column of the study stands."""
        return self._order.index(column)

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008 - Qt's own signature
        """Columns of the study."""
        return 0 if parent.isValid() else len(self._order)

    def columnCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008
        """Name, model, measures."""
        return 0 if parent.isValid() else 2 + len(self._names)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Titles, and the measures' sentences."""
        if orientation != Qt.Orientation.Horizontal or section >= self.columnCount():
            return None
        if role == Qt.ItemDataRole.TextAlignmentRole:
            side = Qt.AlignmentFlag.AlignRight if section > 1 else Qt.AlignmentFlag.AlignLeft
            return side | Qt.AlignmentFlag.AlignVCenter
        if section < 2:
            return ("Column", "Model")[section] if role == Qt.ItemDataRole.DisplayRole else None
        measure = measure_of(self._names[section - 2])
        if role == Qt.ItemDataRole.DisplayRole:
            return measure.title
        better = {"up": " More is better.", "down": " Less is better.", "none": ""}[measure.good]
        unit = f" In {measure.unit}." if measure.unit else ""
        return plain_tip(measure.sentence + unit + better) if role == Qt.ItemDataRole.ToolTipRole else None

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """A name or a figure."""
        number = self._order[index.row()]
        column = self._study.columns[number]
        if role == Qt.ItemDataRole.TextAlignmentRole:
            side = Qt.AlignmentFlag.AlignRight if index.column() > 1 else Qt.AlignmentFlag.AlignLeft
            return side | Qt.AlignmentFlag.AlignVCenter
        if index.column() < 2:
            shown = role in {Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.ToolTipRole}
            return (column.label, column.model)[index.column()] if shown else None
        name = self._names[index.column() - 2]
        figure, first = column.figures.get(name), (number, name) in self._best
        if role == Qt.ItemDataRole.DisplayRole:
            return "–" if figure is None else _short(figure)
        if role in {Qt.ItemDataRole.ToolTipRole, Qt.ItemDataRole.AccessibleTextRole} and figure is not None:
            return f"{spoken(figure, measure_of(name))}{', the best' if first else ''}"
        if role == Qt.ItemDataRole.FontRole and first:
            font = QFont()
            font.setBold(True)
            return font
        return None

    def sort(self, column: int, order: Qt.SortOrder = Qt.SortOrder.AscendingOrder) -> None:
        """By a name or a measure; no column is the study's own order."""
        self.layoutAboutToBeChanged.emit()
        kept = [(index, self._order[index.row()]) for index in self.persistentIndexList()]
        columns, falling = self._study.columns, order == Qt.SortOrder.DescendingOrder
        if column < 0:
            self._order = list(range(len(columns)))
        elif column < 2:
            names = [(c.label, c.model)[column].casefold() for c in columns]
            self._order = sorted(range(len(columns)), key=lambda n: names[n], reverse=falling)
        else:
            name = self._names[column - 2]
            known = [n for n, c in enumerate(columns) if name in c.figures]
            known.sort(key=lambda n: columns[n].figures[name].value, reverse=falling)
            self._order = known + [n for n in range(len(columns)) if n not in known]
        for index, number in kept:
            self.changePersistentIndex(index, self.index(self._order.index(number), index.column()))
        self.layoutChanged.emit()


def _short(figure: Figure) -> str:
    value = three_digits(figure.value)
    if figure.low is None or figure.high is None or figure.low == figure.high:
        return value
    return f"{value} ± {three_digits((figure.high - figure.low) / 2)}"


def three_digits(value: float) -> str:
    """Three digits that matter, without exponents for what people read."""
    size = abs(value)
    return (
        f"{value:,.0f}"
        if size >= 100
        else f"{value:.1f}"
        if size >= 10
        else f"{value:.2f}"
        if size >= 0.095 or value == 0
        else f"{value:.3f}"
    )


def _count(number: int, name: str) -> str:
    return f"{number:,} {name}" if number == 1 else f"{number:,} {name}s"


def _table() -> QTableView:
    table = QTableView()
    table.setObjectName("playground.study.table")
    table.setAccessibleName("Figures of the study; a click on a heading sorts")
    table.setSortingEnabled(True)
    table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
    table.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
    table.setTabKeyNavigation(False)
    table.setShowGrid(False)
    table.setWordWrap(False)
    table.verticalHeader().setVisible(False)
    table.verticalHeader().setDefaultSectionSize(32)
    table.horizontalHeader().setHighlightSections(False)
    table.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
    return table


def _choice(name: str, accessible: str) -> QComboBox:
    box = QComboBox()
    box.setObjectName(f"playground.study.{name}")
    box.setAccessibleName(accessible)
    box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToContents)
    box.installEventFilter(WheelGuard(box))
    return box
