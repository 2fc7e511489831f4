"""Calm cards for the main figures: the number, where it stands, and a sentence."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QRectF, Qt
from PySide6.QtGui import QColor, QPainter, QPaintEvent
from PySide6.QtWidgets import QWidget

from workbench.analysis.figures import Figure
from workbench.analysis.report import Report
from workbench.gui.theme import Theme
from workbench.gui.widgets.basics import Card, Elided, text
from workbench.gui.widgets.words import count

MAIN = {
    "agreement": ("agreement.fleiss_kappa", "agreement.alpha_nominal", "agreement.raw", "consistency", "gold"),
    "habits": ("left", "longer", "pace"),
    "models": ("bradley_terry", "circles", "ties"),
}
MOST = 5


def main_figures(report: Report, group: str) -> list[Figure]:
    """The few figures of a group that come first: for all annotators together, or of the only one, or of the first."""
    found = []
    for name in MAIN[group]:
        figure = report.figure(name) or next((f for f in report.figures if f.name.startswith(f"{name}.")), None)
        if figure is not None and figure not in found:
            found.append(figure)
    return found[:MOST]


class FigureCard(Card):
    """One figure."""

    def __init__(self, figure: Figure, theme: Theme) -> None:
        super().__init__()
        self.figure = figure
        self.setObjectName(f"statistics.figure.{figure.name}")
        self.setAccessibleName(f"{figure.title}: {figure.number()}. {figure.sentence}")
        self.column.setContentsMargins(16, 12, 16, 12)
        self.column.setSpacing(4)
        self.column.addWidget(Elided("quiet", figure.title))
        self.column.addWidget(text(figure.told(figure.value), "number"))
        if figure.low is not None and figure.high is not None:
            self.column.addWidget(_Reach(figure, theme))
            bounds = f"{figure.told(figure.low)} to {figure.told(figure.high)}, {figure.count:,} {figure.of}"
        else:
            bounds = f"{figure.count:,} {figure.of}"
        self.column.addWidget(Elided("quiet", bounds))
        sentence = text(_begun(figure.sentence), wrap=True, select=True)
        sentence.setAlignment(Qt.AlignmentFlag.AlignTop)
        self.column.addWidget(sentence, 1)


class _Reach(QWidget):
    """Where a value and its interval lie between the least and the most that there can be."""

    def __init__(self, figure: Figure, theme: Theme) -> None:
        super().__init__()
        self._figure, self._theme = figure, theme
        self.setFixedHeight(12)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw a line, the interval on it, and the value."""
        figure, colours = self._figure, self._theme.colours
        assert figure.low is not None and figure.high is not None
        floor, top = (0.0, 1.0) if figure.low >= 0 and figure.high <= 1 else (-1.0, 1.0)
        reach = max(top, figure.high, -figure.low)
        floor, top = (0.0, top) if floor == 0.0 else (-reach, reach)

        def place(value: float) -> float:
            return 5 + (self.width() - 10) * (value - floor) / (top - floor)

        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(colours.line))
        painter.drawRoundedRect(QRectF(0, 5, self.width(), 2), 1, 1)
        soft = QColor(colours.accent)
        soft.setAlpha(110)
        painter.setBrush(soft)
        low, high = place(figure.low), place(figure.high)
        painter.drawRoundedRect(QRectF(low, 3, max(2.0, high - low), 6), 3, 3)
        painter.setBrush(QColor(colours.accent))
        painter.drawEllipse(QRectF(place(figure.value) - 5, 1, 10, 10))


def summary(report: Report) -> str:
    """What the figures rest on."""
    labels = report.labels
    people = len(labels.annotators)
    who = ", ".join(labels.annotators) if people <= 4 else f"{people} annotators"
    return f"{count(labels.judgements, 'judgement')} of {count(labels.items, 'item')} by {who or 'nobody'}"


def _begun(sentence: str) -> str:
    words = sentence[:1].upper() + sentence[1:]
    return words if words.endswith(".") else f"{words}."


def cards(figures: Sequence[Figure], theme: Theme) -> list[FigureCard]:
    """A card for each figure."""
    return [FigureCard(figure, theme) for figure in figures]
