"""Several models over one text: what each holds of every token, as strips of heat, and how it adds up."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Literal, NamedTuple

from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QFontMetrics, QPainter, QPaintEvent, QPen, QPolygonF
from PySide6.QtWidgets import QComboBox, QGridLayout, QHBoxLayout, QSplitter, QVBoxLayout, QWidget

from workbench.domain.choices import Aligned
from workbench.gui.pages.playground.flow import FlowText
from workbench.gui.pages.playground.heat import Legend, Scale
from workbench.gui.pages.playground.token_words import percent, shown
from workbench.gui.theme import Theme
from workbench.gui.widgets.basics import plain_tip, text
from workbench.gui.widgets.fields import WheelGuard
from workbench.gui.widgets.scale import viridis

LETTERS = "ABCDEFGH"
NAME_WIDTH = 180
Tells = Literal["kl", "probability", "gain", "entropy"]


@dataclass(frozen=True)
class ModelOnText:
    """One model over the text: its name, one Aligned for each token, and the reward that it earns with the text, if there is one."""

    name: str
    tokens: tuple[Aligned, ...]
    reward: float | None = None


class Told(NamedTuple):
    """What a strip tells, and the values at both ends of its scale."""

    scale: Scale
    low: float
    high: float


TOLD: dict[Tells, Told] = {
    "kl": Told(Scale("KL to the reference", "0", "≥ 2 nats", "How far a model is from the reference"), 0.0, 2.0),
    "probability": Told(Scale("Probability", "0 %", "100 %", "How probable a model holds each token"), 0.0, 1.0),
    "gain": Told(
        Scale("Log p against the reference", "≤ −2 nats", "≥ +2 nats", "How much likelier a model holds each token"),
        -2.0,
        2.0,
    ),
    "entropy": Told(Scale("Entropy", "0", "≥ 5 nats", "How undecided a model is"), 0.0, 5.0),
}


def value_of(token: Aligned, tells: Tells) -> float:
    """What a strip tells about a token."""
    if tells == "probability":
        return math.exp(token.logprob)
    return {"kl": token.kl, "gain": token.logprob - token.reference, "entropy": token.entropy}[tells]


class AlignedView(QWidget):
    """Strips below the text, sums at the right, and a plot of how they grow.

    How to place it: in a wide panel; `show_models(models, reference)` with what `services.playground.align` gave for each model over the same
    text. A model that cuts the text into other tokens is left out, and told so.
    """

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._theme = theme
        self.models: list[ModelOnText] = []
        self.setObjectName("playground.aligned")
        self.setAccessibleName("Models over one text")
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(8)
        top = QHBoxLayout()
        top.setSpacing(8)
        self.told = text("", "quiet", wrap=True)
        self.tells = QComboBox()
        self.tells.setObjectName("playground.aligned.tells")
        self.tells.setAccessibleName("What the strips show")
        self.tells.installEventFilter(WheelGuard(self.tells))
        for key, told in TOLD.items():
            self.tells.addItem(told.scale.title, key)
        self.tells.currentIndexChanged.connect(lambda _: self._other())
        self.legend = Legend(theme)
        self.legend.setObjectName("playground.aligned.legend")
        top.addWidget(self.told, 1)
        top.addWidget(self.legend)
        top.addWidget(self.tells)
        box.addLayout(top)
        halves = QSplitter(Qt.Orientation.Vertical)
        halves.setObjectName("playground.aligned.halves")
        halves.setChildrenCollapsible(False)
        self.text = StripText(theme)
        self.plot = GrowthPlot(theme)
        self.text.pointed.connect(self.plot.stand)
        halves.addWidget(self.text)
        lower = QWidget()
        row = QHBoxLayout(lower)
        row.setContentsMargins(0, 8, 0, 0)
        row.setSpacing(16)
        row.addWidget(self.plot, 1)
        self._table = QGridLayout()
        self._table.setHorizontalSpacing(14)
        self._table.setVerticalSpacing(6)
        right = QVBoxLayout()
        right.addLayout(self._table)
        right.addStretch(1)
        row.addLayout(right)
        halves.addWidget(lower)
        halves.setSizes([320, 220])
        box.addWidget(halves, 1)
        self.show_models([], "")

    def show_models(self, models: Sequence[ModelOnText], reference: str) -> None:
        """Other models over another text; the first one's tokens count."""
        ids = [token.id for token in models[0].tokens] if models else []
        self.models = [model for model in models if [token.id for token in model.tokens] == ids][: len(LETTERS)]
        others = [model.name for model in models if model not in self.models]
        told = f"{len(ids):,} tokens. The reference is {reference}." if models else "Nothing to compare yet."
        if others:
            told += f" Left out, since they cut the text into other tokens: {', '.join(others)}."
        self.told.setText(told)
        self._fill_table()
        self._other(anew=True)

    def dress(self) -> None:
        """The theme's colours and fonts."""
        self.text.dress()
        self.plot.update()
        self.legend.update()

    def _other(self, anew: bool = False) -> None:
        tells: Tells = self.tells.currentData()
        self.legend.show_scale(TOLD[tells].scale)
        self.text.show_models(self.models, tells, anew=anew)
        self.plot.show_models(self.models, tells)

    def _fill_table(self) -> None:
        while (entry := self._table.takeAt(0)) is not None:
            if (widget := entry.widget()) is not None:
                widget.hide()
                widget.deleteLater()
        if not self.models:
            return
        rewards = any(model.reward is not None for model in self.models)
        heads = ["", "Model", "Log p", "a token", "KL", *(["Reward"] if rewards else [])]
        for column, words in enumerate(heads):
            self._table.addWidget(text(words, "quiet"), 0, column, _side(column))
        for row, model in enumerate(self.models, start=1):
            count, total = max(1, len(model.tokens)), sum(token.logprob for token in model.tokens)
            kl = sum(token.kl for token in model.tokens)
            font = self.font()
            font.setBold(True)
            name = text(QFontMetrics(font).elidedText(model.name, Qt.TextElideMode.ElideMiddle, NAME_WIDTH), "strong")
            name.setToolTip(plain_tip(model.name))
            letter = text(LETTERS[row - 1], "chip")
            letter.setMaximumWidth(QFontMetrics(font).horizontalAdvance("M") + 20)
            cells: list[QWidget] = [letter, name]
            numbers = [f"{total:.1f}", f"{total / count:.2f}", f"{kl:.2f}"]
            if rewards:
                numbers.append("–" if model.reward is None else f"{model.reward:.2f}")
            cells += [text(words, select=True) for words in numbers]
            for column, widget in enumerate(cells):
                if column == 1:
                    self._table.addWidget(widget, row, column)
                else:
                    self._table.addWidget(widget, row, column, _side(column))


class StripText(FlowText):
    """The text with one strip for each model below every line."""

    def __init__(self, theme: Theme) -> None:
        super().__init__(theme, "playground.aligned.text", "Text with a strip of heat for each model")
        self.models: list[ModelOnText] = []
        self._heat: list[list[QColor]] = []
        self._tells: Tells = "kl"

    def show_models(self, models: list[ModelOnText], tells: Tells, *, anew: bool) -> None:
        """Other models, or the same ones told about in another way."""
        self.models, self._tells = models, tells
        _, low, high = TOLD[tells]
        self._heat = [[viridis((value_of(t, tells) - low) / (high - low)) for t in model.tokens] for model in models]
        if anew:
            self.show_pieces([t.text for t in models[0].tokens] if models else [], strips=len(models))
        self.viewport().update()

    def words_of(self, spot: int) -> Sequence[str]:
        """What each model holds of a token."""
        lines = [shown(self.pieces[spot]) or "end"]
        for letter, model in zip(LETTERS, self.models, strict=False):
            t = model.tokens[spot]
            gain = t.logprob - t.reference
            lines.append(
                f"{letter} {model.name}: {percent(math.exp(t.logprob))}, log p {t.logprob:.2f} ({gain:+.2f}), KL {t.kl:.3f}, "
                f"entropy {t.entropy:.2f}"
            )
        return lines

    def draw_names(self, painter: QPainter, top: float) -> None:
        """The models' letters."""
        painter.setPen(QColor(self.theme.colours.quiet))
        high = self.line - 6.0 - self.strips * self.strip_height
        for strip in range(self.strips):
            box = QRectF(0, top + high + strip * self.strip_height, self.margin - 6, self.strip_height)
            painter.drawText(box, Qt.AlignmentFlag.AlignCenter, LETTERS[strip])

    def draw_strip(self, painter: QPainter, token: int, strip: int, box: QRectF) -> None:
        """A token's colour under one model."""
        painter.fillRect(box, self._heat[strip][token])


class GrowthPlot(QWidget):
    """How a sum grows from token to token, one line for each model, named at its end; a person's token is marked."""

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._theme = theme
        self._lines: list[tuple[str, list[float]]] = []
        self._title = ""
        self._token: int | None = None
        self.setObjectName("playground.aligned.plot")
        self.setMinimumHeight(120)

    def sizeHint(self) -> QSize:
        """Wide and low."""
        return QSize(480, 180)

    def show_models(self, models: Sequence[ModelOnText], tells: Tells) -> None:
        """Sum what the strips tell; probabilities are summed as log-probabilities."""
        self._title = "Log p, summed" if tells == "probability" else f"{TOLD[tells].scale.title}, summed (nats)"
        self._lines = [
            (
                LETTERS[n],
                [0.0, *accumulate(t.logprob if tells == "probability" else value_of(t, tells) for t in model.tokens)],
            )
            for n, model in enumerate(models)
        ]
        self._token = None
        self.setAccessibleName(self._title)
        ends = [f"{model.name} ends at {line[-1]:.2f}" for model, (_, line) in zip(models, self._lines, strict=True)]
        self.setAccessibleDescription("; ".join(ends))
        self.update()

    def stand(self, token: int | None) -> None:
        """Mark a token."""
        self._token = token
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        """Axis, lines, names."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        colours = self._theme.colours
        high = self.fontMetrics().height()
        painter.setPen(QColor(colours.quiet))
        painter.drawText(QPointF(0, high - 3), self._title)
        if not self._lines:
            return
        numbers = float(self.fontMetrics().horizontalAdvance("-1,000.0"))
        area = QRectF(numbers, high + 6, self.width() - numbers - 26, self.height() - 2 * high - 14)
        low = min(min(line) for _, line in self._lines)
        top = max(max(line) for _, line in self._lines)
        spread, count = (top - low) or 1.0, max(1, len(self._lines[0][1]) - 1)
        for share in (0.0, 0.5, 1.0):
            y = area.bottom() - share * area.height()
            painter.fillRect(QRectF(area.left(), y, area.width(), 1), QColor(colours.line))
            painter.drawText(
                QRectF(0, y - high / 2, numbers - 6, high), Qt.AlignmentFlag.AlignRight, f"{low + share * spread:.1f}"
            )
        for x, words in ((area.left(), "1"), (area.right() - 60, f"{count:,}")):
            side = Qt.AlignmentFlag.AlignLeft if words == "1" else Qt.AlignmentFlag.AlignRight
            painter.drawText(QRectF(x, area.bottom() + 4, 60, high), side, words)
        if self._token is not None:
            x = area.left() + area.width() * (self._token + 1) / count
            painter.fillRect(QRectF(x - 1, area.top(), 2, area.height()), QColor(colours.edge))
        taken: list[float] = []
        styles = (Qt.PenStyle.SolidLine, Qt.PenStyle.DashLine, Qt.PenStyle.DotLine, Qt.PenStyle.DashDotLine)
        for number, (letter, line) in enumerate(self._lines):
            tone = QColor(colours.series[number % len(colours.series)])
            painter.setPen(QPen(tone, 2, styles[number % len(styles)]))
            points = [
                QPointF(area.left() + area.width() * n / count, area.bottom() - area.height() * (v - low) / spread)
                for n, v in enumerate(line)
            ]
            painter.drawPolyline(QPolygonF(points))
            y = points[-1].y()
            while any(abs(y - other) < high - 2 for other in taken):
                y += high - 2 if y < area.center().y() else 2 - high
            taken.append(y)
            painter.setPen(tone)
            painter.drawText(QRectF(area.right() + 6, y - high / 2, 20, high), Qt.AlignmentFlag.AlignLeft, letter)
        painter.end()


def _side(column: int) -> Qt.AlignmentFlag:
    """Numbers stand at the right."""
    return Qt.AlignmentFlag.AlignRight if column > 1 else Qt.AlignmentFlag.AlignLeft
