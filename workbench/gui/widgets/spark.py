"""Sparklines: a run's recent values as one small painted line, without a plotting library."""

from __future__ import annotations

import math
from collections.abc import Sequence

from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QPainter, QPainterPath, QPaintEvent, QPen
from PySide6.QtWidgets import QSizePolicy, QWidget


def spark_points(values: Sequence[float], width: float, height: float) -> list[tuple[float, float]]:
    """Where the finite values lie in a box of this size, from its upper left; a constant line runs through the middle."""
    finite = [(i, v) for i, v in enumerate(values) if math.isfinite(v)]
    if not finite:
        return []
    low, high = min(v for _, v in finite), max(v for _, v in finite)
    last = max(1, len(values) - 1)
    span = high - low
    if span <= 0:
        return [(width * i / last, height / 2) for i, _ in finite]
    return [(width * i / last, height * (1 - (v - low) / span)) for i, v in finite]


def paint_spark(painter: QPainter, box: QRectF, values: Sequence[float], colour: str) -> None:
    """Paint the line into a box, with a dot on its last value."""
    inner = box.adjusted(2, 3, -4, -3)
    points = [
        QPointF(inner.left() + x, inner.top() + y) for x, y in spark_points(values, inner.width(), inner.height())
    ]
    if not points:
        return
    painter.save()
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    if len(points) > 1:
        path = QPainterPath(points[0])
        for point in points[1:]:
            path.lineTo(point)
        pen = QPen(QColor(colour), 1.5)
        pen.setJoinStyle(Qt.PenJoinStyle.RoundJoin)
        painter.setPen(pen)
        painter.drawPath(path)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(QColor(colour))
    painter.drawEllipse(points[-1], 2.2, 2.2)
    painter.restore()


class Spark(QWidget):
    """A sparkline as a widget."""

    def __init__(self, colour: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._values: tuple[float, ...] = ()
        self._colour = colour
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setAccessibleName("Recent values")

    def show_values(self, values: Sequence[float], colour: str) -> None:
        """Other values, or the same in another theme's colour."""
        self._values, self._colour = tuple(values), colour
        self.update()

    def sizeHint(self) -> QSize:
        """Small."""
        return QSize(96, 28)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paint the line over the whole widget."""
        paint_spark(QPainter(self), QRectF(self.rect()), self._values, self._colour)
