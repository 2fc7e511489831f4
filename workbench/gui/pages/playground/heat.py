"""Heat of the token view: what a colour tells in each mode, and the scale that says so."""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QColor, QLinearGradient, QPainter, QPaintEvent
from PySide6.QtWidgets import QWidget

from workbench.domain.choices import TokenChoice
from workbench.gui.theme import Theme
from workbench.gui.widgets.scale import viridis

Mode = Literal["text", "probability", "relative", "entropy", "kl"]
MOST_ENTROPY = 5.0  # nats; beyond it the colour stays
MOST_KL = 2.0


class Scale(NamedTuple):
    """How a mode is called, the ends of its scale, and what it tells."""

    title: str
    low: str
    high: str
    sentence: str


SCALES: dict[Mode, Scale] = {
    "text": Scale("Text", "", "", "The text as it reads"),
    "probability": Scale("Probability", "0 %", "100 %", "How probable the model found each token"),
    "relative": Scale(
        "Against the best", "0 %", "100 %", "Each token's probability as a share of the likeliest token's"
    ),
    "entropy": Scale("Entropy", "0", f"≥ {MOST_ENTROPY:g} nats", "How undecided the model was before each token"),
    "kl": Scale(
        "KL to the reference", "0", f"≥ {MOST_KL:g} nats", "How far the model is from its reference at each token"
    ),
}
MODES: tuple[tuple[Mode, str], ...] = tuple((mode, scale.title) for mode, scale in SCALES.items())


def share_of(choice: TokenChoice, mode: Mode, kl: float | None = None) -> float | None:
    """Where a token stands on the scale of a mode, from 0 to 1; None where it isn't known (a KL that nobody has measured)."""
    if mode == "kl":
        return None if kl is None or not math.isfinite(kl) else min(1.0, max(0.0, kl / MOST_KL))
    if mode == "relative":
        value = relative(choice)
    else:
        value = choice.p_model if mode == "probability" else choice.entropy / MOST_ENTROPY
    return min(1.0, max(0.0, value)) if math.isfinite(value) else 0.0


def relative(choice: TokenChoice) -> float:
    """The chosen token's probability divided by the likeliest token's."""
    best = max((choice.p_model, *(a.p_model for a in choice.alternatives)))
    return choice.p_model / best if best > 0 else 0.0


class Legend(QWidget):
    """The scale of the heat, with its ends in words."""

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self.setObjectName("playground.legend")
        self._theme = theme
        self._scale = SCALES["probability"]
        self._say()

    def show_mode(self, mode: Mode) -> None:
        """Show another mode's scale; plain text has none."""
        self.setVisible(mode != "text")
        self.show_scale(SCALES[mode])

    def show_scale(self, scale: Scale) -> None:
        """Show another scale."""
        self._scale = scale
        self._say()
        self.updateGeometry()
        self.update()

    def sizeHint(self) -> QSize:
        """Room for the bar and the words at both ends."""
        scale = self._scale
        return QSize(self.fontMetrics().horizontalAdvance(scale.low + scale.high) + 96 + 16, 28)

    minimumSizeHint = sizeHint

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw low end, bar, high end."""
        scale = self._scale
        painter = QPainter(self)
        painter.setPen(QColor(self._theme.colours.quiet))
        left = self.fontMetrics().horizontalAdvance(scale.low) + 8
        middle = QRectF(left, self.height() / 2 - 5, 96, 10)
        upright = Qt.AlignmentFlag.AlignVCenter
        painter.drawText(QRectF(0, 0, left, self.height()), upright, scale.low)
        painter.drawText(QRectF(middle.right() + 8, 0, self.width(), self.height()), upright, scale.high)
        gradient = QLinearGradient(middle.topLeft(), middle.topRight())
        for step in range(9):
            gradient.setColorAt(step / 8, viridis(step / 8))
        painter.fillRect(middle, gradient)
        painter.end()

    def _say(self) -> None:
        scale = self._scale
        self.setAccessibleName(f"Scale of {scale.title}: dark is {scale.low}, bright is {scale.high}")
        self.setToolTip(scale.sentence)
