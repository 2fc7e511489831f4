"""Colours of the token view: viridis, perceptually even, with text that stays readable on it."""

from __future__ import annotations

import math
from typing import Literal

from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QColor, QLinearGradient, QPainter, QPaintEvent
from PySide6.QtWidgets import QWidget

from workbench.domain.choices import TokenChoice
from workbench.gui.theme import Theme
from workbench.gui.widgets.scale import viridis

Mode = Literal["text", "probability", "entropy"]
MOST_ENTROPY = 5.0  # nats; beyond it the colour stays


def share_of(choice: TokenChoice, mode: Mode) -> float:
    """Where a token stands on the scale of a mode: its probability, or its entropy against the largest shown."""
    value = choice.p_model if mode == "probability" else choice.entropy / MOST_ENTROPY
    return value if math.isfinite(value) else 0.0


class Legend(QWidget):
    """The scale of the heat, with its ends in words."""

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self.setObjectName("playground.legend")
        self._theme = theme
        self._mode: Mode = "probability"
        self._say()

    def show_mode(self, mode: Mode) -> None:
        """Show another mode's scale; plain text has none."""
        self._mode = mode
        self.setVisible(mode != "text")
        self._say()
        self.update()

    def sizeHint(self) -> QSize:
        """Room for the bar and the words at both ends."""
        low, high = self._ends()
        metrics = self.fontMetrics()
        return QSize(metrics.horizontalAdvance(low + high) + 96 + 16, 28)

    minimumSizeHint = sizeHint

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw low end, bar, high end."""
        low, high = self._ends()
        painter = QPainter(self)
        painter.setPen(QColor(self._theme.colours.quiet))
        left = self.fontMetrics().horizontalAdvance(low) + 8
        middle = QRectF(left, self.height() / 2 - 5, 96, 10)
        painter.drawText(QRectF(0, 0, left, self.height()), Qt.AlignmentFlag.AlignVCenter, low)
        painter.drawText(
            QRectF(middle.right() + 8, 0, self.width(), self.height()), Qt.AlignmentFlag.AlignVCenter, high
        )
        gradient = QLinearGradient(middle.topLeft(), middle.topRight())
        for step in range(9):
            gradient.setColorAt(step / 8, viridis(step / 8))
        painter.fillRect(middle, gradient)
        painter.end()

    def _ends(self) -> tuple[str, str]:
        return ("0 %", "100 %") if self._mode == "probability" else ("0", f"≥ {MOST_ENTROPY:g} nats")

    def _say(self) -> None:
        low, high = self._ends()
        self.setAccessibleName(f"Scale of the {self._mode}: dark is {low}, bright is {high}")
        self.setToolTip("How probable the model found each token" if self._mode == "probability"
                        else "How undecided the model was before each token")  # fmt: skip
