"""A small curve without axes: which way a number has gone."""

from __future__ import annotations

import math
from collections.abc import Sequence

from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QPainter, QPaintEvent, QPen, QPolygonF
from PySide6.QtWidgets import QWidget

from workbench.gui.theme import Theme


class Sparkline(QWidget):
    """Paints the values from left to right, scaled to its height, with a dot at the last one."""

    def __init__(self, theme: Theme, values: Sequence[float] = (), parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self._values: tuple[float, ...] = ()
        self.setMinimumSize(64, 24)
        self.set_values(values)

    def set_values(self, values: Sequence[float]) -> None:
        """Show other values; those that aren't finite are left out."""
        self._values = tuple(v for v in values if math.isfinite(v))
        if self._values:
            self.setAccessibleName(f"Curve from {self._values[0]:.4g} to {self._values[-1]:.4g}")
        else:
            self.setAccessibleName("No values yet")
        self.update()

    def sizeHint(self) -> QSize:
        """Small."""
        return QSize(112, 28)

    def points(self) -> list[QPointF]:
        """Where the values are painted."""
        ground = QRectF(self.rect()).adjusted(3, 4, -5, -4)
        low, high = min(self._values), max(self._values)
        span = (high - low) or 1.0
        last = max(1, len(self._values) - 1)
        middle = 0.5 if high == low else 0.0
        return [
            QPointF(
                ground.left() + ground.width() * n / last,
                ground.bottom() - ground.height() * ((v - low) / span + middle),
            )
            for n, v in enumerate(self._values)
        ]

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw the curve."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        colours = self._theme.colours
        if len(self._values) < 2:
            painter.setPen(QPen(QColor(colours.line), 1.5, Qt.PenStyle.DashLine))
            painter.drawLine(4, self.height() // 2, self.width() - 4, self.height() // 2)
            return
        points = self.points()
        shade = QColor(colours.accent)
        shade.setAlpha(28)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(shade)
        floor = self.height() - 2.0
        painter.drawPolygon(QPolygonF([QPointF(points[0].x(), floor), *points, QPointF(points[-1].x(), floor)]))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.setPen(QPen(QColor(colours.accent), 1.6, Qt.PenStyle.SolidLine, Qt.PenCapStyle.RoundCap))
        painter.drawPolyline(QPolygonF(points))
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(colours.accent))
        painter.drawEllipse(points[-1], 2.5, 2.5)
