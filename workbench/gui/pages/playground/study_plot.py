"""Columns of a study as named points: one measure against another, with intervals."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from PySide6.QtCore import QLineF, QPointF, QRectF, QSizeF, Qt
from PySide6.QtGui import QColor, QPainter, QPen

from workbench.analysis.fronts import front
from workbench.domain.study import Figure, Measure, Study, measure_of
from workbench.gui.pages.playground.canvas import Canvas
from workbench.gui.theme import Theme

LEFT, RIGHT, TOP = 58.0, 18.0, 26.0
DOT = 6.0


def spoken(figure: Figure, measure: Measure) -> str:
    """A figure with its unit and interval."""
    unit = f" {measure.unit}" if measure.unit and measure.unit != "share" else ""
    interval = (
        "" if figure.low is None or figure.high is None else f", 95 % interval {figure.low:.4g} to {figure.high:.4g}"
    )
    texts = f", {figure.texts:,} texts" if figure.texts else ""
    return f"{measure.title} {figure.value:.4g}{unit}{interval}{texts}"


class StudyPlot(Canvas):
    """Spots are numbers of the study's columns. Left and Right walk by the measure that is plotted to the right."""

    def __init__(self, theme: Theme, name: str) -> None:
        super().__init__(theme, name, "Plot of the study")
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setMinimumHeight(150)
        self.study = Study(prompts=0, samples=0, columns=())
        self.across = self.upwards = ""
        self.places: list[int] = []  # columns that have both figures, from left to right
        self.front: frozenset[int] = frozenset()
        self.named: list[int] = []  # whose names found a place in the last drawing
        self._ranges = ((0.0, 1.0), (0.0, 1.0))

    def show_study(self, study: Study, x: str, y: str) -> None:
        """Another study, or other measures of it."""
        if study is not self.study:
            self.forget()
        self.study, self.across, self.upwards = study, x, y
        both = [n for n, column in enumerate(study.columns) if x in column.figures and y in column.figures]
        self.places = sorted(both, key=lambda n: study.columns[n].figures[x].value)
        self.front = frozenset(front(study, x, y))
        if self.current not in self.places:
            self.current = None
        self.over = None
        self._ranges = (self._range(x), self._range(y))
        self.setAccessibleName(
            f"{measure_of(y).title} against {measure_of(x).title}" if self.places else "Plot of the study"
        )
        self.changed()

    def box_of(self, spot: int) -> QRectF:
        """Around a point."""
        point = self._point(spot)
        return QRectF(point.x() - DOT - 4, point.y() - DOT - 4, 2 * DOT + 8, 2 * DOT + 8)

    def spot_at(self, point: QPointF) -> int | None:
        """The nearest point within reach."""
        near = min(self.places, key=lambda n: QLineF(self._point(n), point).length(), default=None)
        return near if near is not None and QLineF(self._point(near), point).length() <= 2 * DOT else None

    def walked(self, spot: int | None, key: Qt.Key) -> int | None:
        """To the left or right neighbour."""
        if not self.places:
            return None
        if key in {Qt.Key.Key_Home, Qt.Key.Key_End}:
            return self.places[0 if key == Qt.Key.Key_Home else -1]
        if spot is None:
            return self.places[0]
        step = 1 if key in {Qt.Key.Key_Right, Qt.Key.Key_Up, Qt.Key.Key_PageUp} else -1
        return self.places[min(max(self.places.index(spot) + step, 0), len(self.places) - 1)]

    def words_of(self, spot: int) -> Sequence[str]:
        """A column and its two figures."""
        column = self.study.columns[spot]
        told = [spoken(column.figures[name], measure_of(name)) for name in (self.upwards, self.across)]
        return [column.label, column.model, *told, *(["beaten by none in both"] if spot in self.front else [])]

    def draw(self, painter: QPainter, visible: QRectF) -> None:
        """Axes, intervals, points, names."""
        colours = self.theme.colours
        painter.setPen(QColor(colours.quiet))
        area = self._area()
        if not self.places:
            painter.drawText(area, Qt.AlignmentFlag.AlignCenter, "No column has both figures.")
            return
        self._draw_axes(painter, area)
        for number in self.places:
            self._draw_interval(painter, number)
        accent = QColor(colours.accent)
        for number in self.places:
            painter.setPen(QPen(accent, 2))
            painter.setBrush(accent if number in self.front else QColor(colours.surface))
            painter.drawEllipse(self._point(number), DOT, DOT)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        self._draw_names(painter, area)

    def _draw_axes(self, painter: QPainter, area: QRectF) -> None:
        line, high = QColor(self.theme.colours.line), float(self.fontMetrics().height())
        (left, _), (low, _) = self._ranges
        for value, words in ticks(*self._ranges[1]):
            y = self._at(left, value).y()
            painter.fillRect(QRectF(area.left(), y, area.width(), 1), line)
            painter.drawText(QRectF(0, y - high / 2, self._left - 8, high), Qt.AlignmentFlag.AlignRight, words)
        for value, words in ticks(*self._ranges[0]):
            x = self._at(value, low).x()
            painter.fillRect(QRectF(x, area.top(), 1, area.height()), line)
            painter.drawText(QRectF(x - 40, area.bottom() + 4, 80, high), Qt.AlignmentFlag.AlignHCenter, words)
        painter.setPen(line)
        painter.drawRect(area)
        painter.setPen(QColor(self.theme.colours.quiet))
        painter.drawText(QPointF(0, high - 2), _title(measure_of(self.upwards), "↑", "↓"))
        words = _title(measure_of(self.across), "→", "←")
        painter.drawText(
            QRectF(area.left(), area.bottom() + high + 6, area.width(), high), Qt.AlignmentFlag.AlignHCenter, words
        )

    def _draw_interval(self, painter: QPainter, number: int) -> None:
        figures, point = self.study.columns[number].figures, self._point(number)
        painter.setPen(QPen(QColor(self.theme.colours.edge), 1.5))
        x, y = figures[self.across], figures[self.upwards]
        if x.low is not None and x.high is not None:
            painter.drawLine(QLineF(self._at(x.low, y.value).x(), point.y(), self._at(x.high, y.value).x(), point.y()))
        if y.low is not None and y.high is not None:
            painter.drawLine(QLineF(point.x(), self._at(x.value, y.low).y(), point.x(), self._at(x.value, y.high).y()))

    def _draw_names(self, painter: QPainter, area: QRectF) -> None:
        """Each name beside its point or at the end of a thin line; one that finds no free place is told by pointing only."""
        colours, metrics = self.theme.colours, self.fontMetrics()
        taken = [QRectF(p.x() - DOT, p.y() - DOT, 2 * DOT, 2 * DOT) for p in map(self._point, self.places)]
        self.named = []
        for number in self.places:
            words = metrics.elidedText(self.study.columns[number].label, Qt.TextElideMode.ElideMiddle, 150)
            point, size = self._point(number), QSizeF(metrics.horizontalAdvance(words) + 2.0, float(metrics.height()))
            room = area.adjusted(2, -self._top, RIGHT, 0)
            free = (b for b in _beside(point, size) if room.contains(b) and not any(b.intersects(t) for t in taken))
            if (box := next(free, None)) is None:
                continue
            taken.append(box)
            self.named.append(number)
            if abs(box.center().y() - point.y()) > size.height() + DOT:
                painter.setPen(QPen(QColor(colours.edge), 1))
                painter.drawLine(
                    QLineF(point, QPointF(box.left() if box.left() > point.x() else box.right(), box.center().y()))
                )
            painter.setPen(QColor(colours.text))
            painter.drawText(box, Qt.AlignmentFlag.AlignCenter, words)

    @property
    def _left(self) -> float:
        return LEFT * self.unit

    @property
    def _top(self) -> float:
        return TOP * self.unit

    def _area(self) -> QRectF:
        bottom = 2 * self.fontMetrics().height() + 10.0
        return QRectF(
            self._left,
            self._top,
            max(40.0, self.viewport().width() - self._left - RIGHT),
            max(40.0, self.viewport().height() - self._top - bottom),
        )

    def _range(self, name: str) -> tuple[float, float]:
        values = [
            v
            for n in self.places
            if (f := self.study.columns[n].figures[name])
            for v in (f.low, f.value, f.high)
            if v is not None
        ]
        if not values:
            return 0.0, 1.0
        low, high = min(values), max(values)
        reach = (high - low) * 0.08 or abs(high) * 0.1 or 1.0
        return low - reach, high + reach

    def _point(self, number: int) -> QPointF:
        figures = self.study.columns[number].figures
        return self._at(figures[self.across].value, figures[self.upwards].value)

    def _at(self, x: float, y: float) -> QPointF:
        area, ((left, right), (low, high)) = self._area(), self._ranges
        return QPointF(
            area.left() + area.width() * (x - left) / (right - left),
            area.bottom() - area.height() * (y - low) / (high - low),
        )


def _beside(point: QPointF, size: QSizeF) -> Iterator[QRectF]:
    """Places for a name, the nearest first: right, left, above, below, then farther up and down at both sides."""
    wide, high = size.width(), size.height()
    right, left = point.x() + DOT + 4, point.x() - DOT - 4 - wide
    for x, y in (
        (right, -high / 2),
        (left, -high / 2),
        (point.x() - wide / 2, -DOT - 2 - high),
        (point.x() - wide / 2, DOT + 2),
    ):
        yield QRectF(x, point.y() + y, wide, high)
    for step in (1, 2, 3, 4):
        for x in (right + 10, left - 10):
            for way in (-1, 1):
                yield QRectF(x, point.y() - high / 2 + way * step * high, wide, high)


def _title(measure: Measure, more: str, less: str) -> str:
    unit = f" ({measure.unit})" if measure.unit and measure.unit != "share" else ""
    better = {"up": f"  {more} better", "down": f"  {less} better", "none": ""}[measure.good]
    return f"{measure.title}{unit}{better}"


def ticks(low: float, high: float) -> list[tuple[float, str]]:
    """Three to seven round numbers between two ends, with their words."""
    rough = (high - low) / 5
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * m for m in (1, 2, 5, 10) if power * m >= rough * 0.999)
    digits = max(0, -math.floor(math.log10(step)))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [(n * step, f"{n * step + 0.0:,.{digits}f}") for n in range(first, last + 1)]
