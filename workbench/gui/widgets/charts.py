"""Still plots of statistics, each on a card with its reading, its numbers as text, and a picture to save. Needs pyqtgraph."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import QBuffer, QIODevice, QPoint, QRectF, Qt
from PySide6.QtGui import QColor, QFontMetrics, QImage, QPainter, QWheelEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QPlainTextEdit, QStackedLayout, QVBoxLayout, QWidget

from workbench.gui.theme import Theme
from workbench.gui.widgets.basics import Elided, button, plain_tip, text, wear_icon
from workbench.gui.widgets.scale import ink_on, viridis

ROW = 30
HEIGHT = 230
LABEL_WIDTH = 190
PICTURE_SCALE = 2


@dataclass(frozen=True)
class Mark:
    """One value with its interval, on a line of its own or above a label."""

    label: str
    value: float
    low: float | None
    high: float | None
    words: str


@dataclass(frozen=True)
class Forest:
    """Values with intervals, one below the other; `reference` is where nothing is the matter."""

    marks: Sequence[Mark]
    reference: float | None = None
    share: bool = True


@dataclass(frozen=True)
class Steps:
    """Shares with intervals from left to right."""

    marks: Sequence[Mark]
    reference: float | None = None
    unit: str = ""


@dataclass(frozen=True)
class Heat:
    """A matrix; a cell is (heat 0 … 1, words on it, words about it), None where there is nothing. Its scale has ends in words."""

    rows: Sequence[str]
    columns: Sequence[str]
    cells: Sequence[Sequence[tuple[float, str, str] | None]]
    ends: tuple[str, str]


@dataclass(frozen=True)
class Band:
    """Lines with a band around each: by name, (x, low, middle, high) of every point."""

    lines: Sequence[tuple[str, Sequence[tuple[float, float, float, float]]]]
    x: str
    y: str


@dataclass(frozen=True)
class Bars:
    """Counts stacked upon one another at each label from left to right, by name."""

    labels: Sequence[str]
    stacks: Sequence[tuple[str, Sequence[int]]]


Drawn = Forest | Steps | Heat | Band | Bars


@dataclass(frozen=True)
class Plot:
    """What a card shows. `words` tell the same as the drawing, line by line."""

    name: str
    title: str
    reading: str
    drawn: Drawn
    words: Sequence[str] = field(default_factory=tuple)


class _Paper(pg.PlotWidget):
    """A plot that is looked at: the page scrolls under the wheel, and nothing moves by accident."""

    def wheelEvent(self, event: QWheelEvent) -> None:
        """Leave the wheel to the page."""
        event.ignore()


class ChartCard(QFrame):
    """One plot with what it says."""

    def __init__(self, plot: Plot, theme: Theme, save: Callable[[str, bytes], Any]) -> None:
        super().__init__()
        self.plot, self._theme, self._save = plot, theme, save
        self.setObjectName(f"statistics.plot.{plot.name}")
        self.setProperty("role", "card")
        self.setAccessibleName(f"{plot.title}. {plot.reading}")
        self.setAccessibleDescription("\n".join(plot.words))
        column = QVBoxLayout(self)
        column.setContentsMargins(16, 12, 12, 12)
        column.setSpacing(4)
        top = QHBoxLayout()
        top.setSpacing(4)
        top.addWidget(Elided("heading", plot.title), 1)
        self.numbers = button(
            "Numbers", f"{self.objectName()}.numbers", self._turn, "flat", accessible=f"{plot.title} as text",
            tip="The same in words and numbers",
        )  # fmt: skip
        self.numbers.setCheckable(True)
        self.picture = wear_icon(
            button(
                "", f"{self.objectName()}.save", self._ask, "flat", accessible=f"Save {plot.title} as a picture",
                tip="Save as PNG",
            ),
            "export",
            theme,
        )  # fmt: skip
        top.addWidget(self.numbers)
        top.addWidget(self.picture)
        column.addLayout(top)
        column.addWidget(text(plot.reading, "quiet", wrap=True))
        self._body = QStackedLayout()
        self.paper = _Paper(self)
        self._set_up()
        self._body.addWidget(self.paper)
        self.words = QPlainTextEdit("\n".join(plot.words))
        self.words.setObjectName(f"{self.objectName()}.words")
        self.words.setAccessibleName(f"{plot.title} in words")
        self.words.setReadOnly(True)
        self._body.addWidget(self.words)
        column.addLayout(self._body)
        self._legend = QHBoxLayout()
        self._legend.setSpacing(12)
        column.addLayout(self._legend)
        column.addStretch(1)
        self.dress()
        self._tell_legend()

    def dress(self) -> None:
        """Draw in the theme's colours."""
        colours = self._theme.colours
        item = self.paper.getPlotItem()
        item.clear()
        self.paper.setBackground(colours.surface)
        font = self.font()
        font.setPixelSize(max(13, self._theme.font_size))
        for side in ("left", "bottom"):
            axis = item.getAxis(side)
            axis.setPen(pg.mkPen(colours.line))
            axis.setTextPen(pg.mkPen(colours.quiet))
            axis.setTickFont(font)
            axis.setStyle(tickLength=-4, autoReduceTextSpace=False)
        _DRAW[type(self.plot.drawn)](item, self.plot.drawn, self._theme, QFontMetrics(font))

    def png(self) -> bytes:
        """The card as a picture: title, reading and plot, twice as fine as the screen, without its buttons."""
        image = QImage(self.size() * PICTURE_SCALE, QImage.Format.Format_ARGB32)
        image.setDevicePixelRatio(PICTURE_SCALE)
        image.fill(QColor(self._theme.colours.surface))
        turned = self._body.currentIndex()
        self._body.setCurrentIndex(0)
        for one in (self.numbers, self.picture):
            one.hide()
        painter = QPainter(image)
        self.render(painter, QPoint())
        painter.end()
        for one in (self.numbers, self.picture):
            one.show()
        self._body.setCurrentIndex(turned)
        store = QBuffer()
        store.open(QIODevice.OpenModeFlag.WriteOnly)
        image.save(store, "PNG")  # type: ignore[call-overload]
        return bytes(store.data().data())

    def _ask(self) -> None:
        self._save(self.plot.name, self.png())

    def _turn(self) -> None:
        self._body.setCurrentIndex(1 if self.numbers.isChecked() else 0)

    def _set_up(self) -> None:
        self.paper.setFrameShape(QFrame.Shape.NoFrame)
        self.paper.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.paper.setAccessibleName(f"Drawing of {self.plot.title}")
        self.paper.setAccessibleDescription("\n".join(self.plot.words))
        self.paper.setFixedHeight(height_of(self.plot.drawn))
        self.paper.setMinimumWidth(240)
        item = self.paper.getPlotItem()
        item.setMenuEnabled(False)
        item.hideButtons()
        item.getViewBox().setMouseEnabled(x=False, y=False)
        for side in ("left", "bottom"):
            item.getAxis(side).enableAutoSIPrefix(False)

    def _tell_legend(self) -> None:
        drawn = self.plot.drawn
        if isinstance(drawn, Heat):
            scale = _Scale()
            scale.setAccessibleName(f"Scale from {drawn.ends[0]} to {drawn.ends[1]}")
            for part in (text(drawn.ends[0], "quiet"), scale, text(drawn.ends[1], "quiet")):
                self._legend.addWidget(part)
            self._legend.addStretch(1)
        elif isinstance(drawn, Band | Bars):
            names = [name for name, _ in (drawn.lines if isinstance(drawn, Band) else drawn.stacks)]
            for place, name in enumerate(names[:8]):
                self._legend.addWidget(_Swatch(self._theme, place))
                label = text(_cut(name, QFontMetrics(self.font()), 140), "quiet")
                label.setToolTip(plain_tip(name))
                self._legend.addWidget(label)
            if len(names) > 8:
                self._legend.addWidget(text(f"and {len(names) - 8} more", "quiet"))
            self._legend.addStretch(1)


class _Scale(QWidget):
    """The colours of a heat map from end to end."""

    def __init__(self) -> None:
        super().__init__()
        self.setFixedSize(120, 10)

    def paintEvent(self, event: Any) -> None:
        """Draw the scale."""
        painter = QPainter(self)
        for x in range(self.width()):
            painter.fillRect(x, 0, 1, self.height(), viridis(x / (self.width() - 1)))


class _Swatch(QWidget):
    """The colour of one line."""

    def __init__(self, theme: Theme, place: int) -> None:
        super().__init__()
        self._theme, self._place = theme, place
        self.setFixedSize(12, 12)

    def paintEvent(self, event: Any) -> None:
        """Draw the colour."""
        QPainter(self).fillRect(0, 2, 12, 8, _colour(self._theme, self._place))


def height_of(drawn: Drawn) -> int:
    """How high a drawing must be to be read."""
    if isinstance(drawn, Forest):
        return 44 + ROW * max(3, len(drawn.marks))
    if isinstance(drawn, Heat):
        return 56 + 40 * max(3, len(drawn.rows))
    return HEIGHT


def _forest(item: Any, drawn: Forest, theme: Theme, metrics: QFontMetrics) -> None:
    colours = theme.colours
    count = len(drawn.marks)
    places = np.arange(count, 0, -1, dtype=np.float64)
    _reference(item, drawn.reference, colours.edge, 90)
    for mark, y in zip(drawn.marks, places, strict=True):
        if mark.low is not None and mark.high is not None:
            item.addItem(_line([mark.low, mark.high], [y, y], QColor(colours.accent), 3))
    dots = pg.ScatterPlotItem(
        [m.value for m in drawn.marks],
        places,
        size=11,
        brush=QColor(colours.accent),
        pen=pg.mkPen(colours.surface, width=2),
    )
    item.addItem(dots)
    left = item.getAxis("left")
    left.setTicks([[(y, _cut(m.label, metrics, LABEL_WIDTH)) for m, y in zip(drawn.marks, places, strict=True)]])
    left.setWidth(_room([m.label for m in drawn.marks], metrics))
    ends = [v for m in drawn.marks for v in (m.low, m.value, m.high) if v is not None]
    ends += [] if drawn.reference is None else [drawn.reference]
    low, high = min(ends), max(ends)
    if drawn.share:
        low, high = max(0.0, low - 0.1), min(1.0, high + 0.1)
        _percent(item.getAxis("bottom"), low, high)
    reach = (high - low) * 0.05 or 0.1
    item.getViewBox().setRange(xRange=(low - reach, high + reach), yRange=(0.4, count + 0.6), padding=0)
    item.showGrid(x=True, y=False, alpha=0.12)


def _steps(item: Any, drawn: Steps, theme: Theme, metrics: QFontMetrics) -> None:
    colours = theme.colours
    places = list(range(len(drawn.marks)))
    _reference(item, drawn.reference, colours.edge, 0)
    for mark, x in zip(drawn.marks, places, strict=True):
        if mark.low is not None and mark.high is not None:
            item.addItem(_line([x, x], [mark.low, mark.high], QColor(colours.accent), 3))
    values = [m.value for m in drawn.marks]
    item.addItem(_line(places, values, QColor(colours.accent), 1))
    item.addItem(
        pg.ScatterPlotItem(
            places, values, size=11, brush=QColor(colours.accent), pen=pg.mkPen(colours.surface, width=2)
        )
    )
    item.getAxis("bottom").setTicks([[(x, m.label) for x, m in zip(places, drawn.marks, strict=True)]])
    item.getAxis("bottom").setLabel(drawn.unit, color=colours.quiet)
    ends = [v for m in drawn.marks for v in (m.low, m.value, m.high) if v is not None] + [drawn.reference or 0.5]
    low, high = max(0.0, min(ends) - 0.05), min(1.0, max(ends) + 0.05)
    _percent(item.getAxis("left"), low, high)
    item.getViewBox().setRange(xRange=(-0.5, len(places) - 0.5), yRange=(low, high), padding=0.02)
    item.showGrid(x=False, y=True, alpha=0.12)


def _heat(item: Any, drawn: Heat, theme: Theme, metrics: QFontMetrics) -> None:
    rows, columns = len(drawn.rows), len(drawn.columns)
    gap = 0.03
    for r, line in enumerate(drawn.cells):
        for c, cell in enumerate(line):
            area = QRectF(c + gap, rows - 1 - r + gap, 1 - 2 * gap, 1 - 2 * gap)
            block = pg.QtWidgets.QGraphicsRectItem(area)
            colour = QColor(theme.colours.raised) if cell is None else viridis(cell[0])
            block.setBrush(colour)
            block.setPen(pg.mkPen(None))
            block.setToolTip("" if cell is None else plain_tip(cell[2]))
            item.addItem(block)
            if cell is not None:
                words = pg.TextItem(cell[1], color=ink_on(colour), anchor=(0.5, 0.5))
                font = words.textItem.font()
                font.setPixelSize(max(13, theme.font_size))
                words.setFont(font)
                words.setPos(c + 0.5, rows - 0.5 - r)
                item.addItem(words)
    room = max(40, 380 // max(1, columns))
    left, bottom = item.getAxis("left"), item.getAxis("bottom")
    left.setTicks([[(rows - 0.5 - r, _cut(name, metrics, LABEL_WIDTH)) for r, name in enumerate(drawn.rows)]])
    left.setWidth(_room(drawn.rows, metrics))
    bottom.setStyle(hideOverlappingLabels=False)
    bottom.setTicks([[(c + 0.5, _cut(name, metrics, room)) for c, name in enumerate(drawn.columns)]])
    item.getViewBox().setRange(xRange=(0, columns), yRange=(0, rows), padding=0)
    item.showGrid(x=False, y=False)


def _band(item: Any, drawn: Band, theme: Theme, metrics: QFontMetrics) -> None:
    for place, (_, points) in enumerate(drawn.lines):
        colour = _colour(theme, place)
        x, low, middle, high = (list(values) for values in zip(*points, strict=True))
        soft = QColor(colour)
        soft.setAlpha(40)
        if len(drawn.lines) <= 3:  # more bands than that hide one another
            clear = pg.mkPen(None)
            top, bottom = pg.PlotCurveItem(x, high, pen=clear), pg.PlotCurveItem(x, low, pen=clear)
            for curve in (top, bottom):
                item.addItem(curve)
            item.addItem(pg.FillBetweenItem(top, bottom, brush=soft))
        item.addItem(_line(x, middle, colour, 2))
        item.addItem(pg.ScatterPlotItem(x, middle, size=7, brush=colour, pen=pg.mkPen(None)))
    highest = max(p[3] for _, points in drawn.lines for p in points)
    longest = max(p[0] for _, points in drawn.lines for p in points)
    item.getAxis("bottom").setLabel(drawn.x, color=theme.colours.quiet)
    item.getAxis("left").setLabel(drawn.y, color=theme.colours.quiet)
    item.getViewBox().setRange(xRange=(0, max(1.0, longest)), yRange=(0, highest * 1.05), padding=0.03)
    item.showGrid(x=False, y=True, alpha=0.12)


def _bars(item: Any, drawn: Bars, theme: Theme, metrics: QFontMetrics) -> None:
    places = np.arange(len(drawn.labels), dtype=np.float64)
    floor = np.zeros(len(drawn.labels))
    for place, (_, counts) in enumerate(drawn.stacks):
        height = np.array(counts, dtype=np.float64)
        pen = pg.mkPen(theme.colours.surface, width=1)
        item.addItem(
            pg.BarGraphItem(x=places, y0=floor, height=height, width=0.8, brush=_colour(theme, place), pen=pen)
        )
        floor = floor + height
    step = max(1, -(-len(drawn.labels) // 6))
    item.getAxis("bottom").setTicks([[(i, label) for i, label in enumerate(drawn.labels) if i % step == 0]])
    reach = max(len(drawn.labels), 5) - len(drawn.labels)
    item.getViewBox().setRange(
        xRange=(-0.6 - reach / 2, len(drawn.labels) - 0.4 + reach / 2),
        yRange=(0, max(floor.max() * 1.05, 1)),
        padding=0,
    )
    item.showGrid(x=False, y=True, alpha=0.12)


_DRAW: dict[type, Callable[[Any, Any, Theme, QFontMetrics], None]] = {
    Forest: _forest, Steps: _steps, Heat: _heat, Band: _band, Bars: _bars,
}  # fmt: skip


def _line(x: Sequence[float], y: Sequence[float], colour: QColor, width: int) -> Any:
    return pg.PlotCurveItem(list(x), list(y), pen=pg.mkPen(colour, width=width), antialias=True)


def _reference(item: Any, value: float | None, colour: str, angle: int) -> None:
    if value is not None:
        item.addItem(pg.InfiniteLine(value, angle=angle, pen=pg.mkPen(colour, style=Qt.PenStyle.DashLine)))


def _percent(axis: Any, low: float, high: float) -> None:
    """Whole percents, at most eight of them."""
    step = next((s for s in (1, 2, 5, 10, 20) if 100 * (high - low) / s <= 7), 20)
    axis.setTicks([[(percent / 100, f"{percent} %") for percent in range(0, 101, step)]])
    if axis.orientation == "left":
        axis.setWidth(56)


def _colour(theme: Theme, place: int) -> QColor:
    series = theme.colours.series
    return QColor(series[place % len(series)])


def _cut(words: str, metrics: QFontMetrics, room: int) -> str:
    return metrics.elidedText(words, Qt.TextElideMode.ElideMiddle, room)


def _room(labels: Sequence[str], metrics: QFontMetrics) -> int:
    return min(LABEL_WIDTH, max(metrics.horizontalAdvance(label) for label in labels)) + 16
