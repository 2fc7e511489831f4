"""A few tokens side by side in numbers: a bar for each number, a mark where a threshold lies, the chosen one in front."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QPainter

from workbench.gui.pages.playground.canvas import Canvas
from workbench.gui.pages.playground.token_words import shown
from workbench.gui.theme import Theme

ROW = 30.0
NAME = 150.0
NARROWEST = 150.0
BRANCHES = "Enter or a double click goes on with it"


@dataclass(frozen=True)
class Heading:
    """A column: its title, and where a threshold lies on its scale."""

    title: str
    mark: float | None = None


@dataclass(frozen=True)
class Option:
    """A token: numbers with their words (None: there is none), what to say of it, and the token of the text it is tied to."""

    id: int
    text: str
    chosen: bool
    numbers: tuple[tuple[float | None, str], ...]
    words: tuple[str, ...]
    linked: int | None = None
    out: bool = False  # it could not have been chosen


class OptionRows(Canvas):
    """Spots are rows."""

    head_lines = 1

    def __init__(self, theme: Theme, name: str, accessible: str) -> None:
        super().__init__(theme, name, accessible)
        self.options: Sequence[Option] = ()
        self.headings: Sequence[Heading] = ()
        self._scales: list[tuple[float, float]] = []

    def show_options(self, headings: Sequence[Heading], options: Sequence[Option]) -> None:
        """Other tokens."""
        self.forget()
        self.headings, self.options = headings, options
        self._scales = []
        for column, heading in enumerate(headings):
            known = [v for o in options if (v := o.numbers[column][0]) is not None] + [heading.mark or 0.0]
            self._scales.append((min(0.0, *known), max(0.0, *known) or 1e-9))
        self.changed()

    @property
    def row(self) -> float:
        """Height of a row."""
        return ROW * self.unit

    @property
    def name(self) -> float:
        """Room for the name of a token."""
        return NAME * self.unit

    def extent(self) -> tuple[float, float]:
        """All columns, all rows."""
        return self.name + self._wide() * len(self.headings), self.row * len(self.options)

    def box_of(self, spot: int) -> QRectF:
        """A row."""
        return QRectF(0, self.row * spot, max(1.0, self.extent()[0]), self.row)

    def note_box(self, spot: int) -> QRectF:
        """Behind the names."""
        return self.box_of(spot).adjusted(self.name, 0, 0, 0)

    def spot_at(self, point: QPointF) -> int | None:
        """The row at a height."""
        row = int(point.y() // self.row)
        return row if 0 <= row < len(self.options) else None

    def walked(self, spot: int | None, key: Qt.Key) -> int | None:
        """Up and down."""
        if not self.options:
            return None
        last = len(self.options) - 1
        if key in {Qt.Key.Key_Home, Qt.Key.Key_End}:
            return 0 if key == Qt.Key.Key_Home else last
        step = {Qt.Key.Key_Up: -1, Qt.Key.Key_Down: 1, Qt.Key.Key_PageUp: -6, Qt.Key.Key_PageDown: 6}.get(key, 0)
        return 0 if spot is None else min(max(spot + step, 0), last)

    def words_of(self, spot: int) -> Sequence[str]:
        """What is known of a token."""
        option = self.options[spot]
        return [
            shown(option.text),
            *(["was chosen"] if option.chosen else []),
            *option.words,
            *([] if option.chosen else [BRANCHES]),
        ]

    def draw_head(self, painter: QPainter, visible: QRectF) -> None:
        """Titles."""
        colours = self.theme.colours
        font = self.font()
        font.setBold(True)
        painter.setFont(font)
        painter.setPen(QColor(colours.text))
        for column, heading in enumerate(self.headings):
            box = QRectF(self.name + self._wide() * column, 2, self._wide() - 12, self.head - 8)
            painter.drawText(box, Qt.AlignmentFlag.AlignLeft, heading.title)
        painter.fillRect(QRectF(visible.left(), self.head - 5, visible.width(), 1), QColor(colours.line))

    def draw(self, painter: QPainter, visible: QRectF) -> None:
        """The rows in sight."""
        colours, upright = self.theme.colours, Qt.AlignmentFlag.AlignVCenter
        for row in range(
            max(0, int(visible.top() // self.row)), min(len(self.options), int(visible.bottom() // self.row) + 1)
        ):
            option, y = self.options[row], self.row * row
            ink = QColor(colours.quiet if option.out else colours.text)
            font = self.mono()
            font.setBold(option.chosen)
            painter.setFont(font)
            painter.setPen(ink)
            name = ("● " if option.chosen else "  ") + shown(option.text)
            name = painter.fontMetrics().elidedText(name, Qt.TextElideMode.ElideRight, int(self.name) - 12)
            painter.drawText(QRectF(4, y, self.name - 8, self.row), upright, name)
            painter.setFont(self.font())
            for column, (value, words) in enumerate(option.numbers):
                self._draw_bar(painter, column, y, value, words, ink, option)
        for column, heading in enumerate(self.headings):
            if heading.mark is not None and self.options:
                x = round(self._x(column, heading.mark))
                painter.fillRect(QRectF(x - 1, 0, 2, self.row * len(self.options)), QColor(colours.warning))

    def _draw_bar(
        self, painter: QPainter, column: int, y: float, value: float | None, words: str, ink: QColor, option: Option
    ) -> None:
        colours, right = self.theme.colours, self.name + self._wide() * column
        if value is not None:
            zero, end = self._x(column, 0.0), self._x(column, value)
            tone = QColor(colours.accent if option.chosen else colours.edge)
            painter.fillRect(QRectF(min(zero, end), y + 9, max(1.0, abs(end - zero)), self.row - 18), tone)
            right = self._x(column, self._scales[column][1])
        painter.setPen(ink)
        painter.drawText(QRectF(right + 6, y, NARROWEST * self.unit, self.row), Qt.AlignmentFlag.AlignVCenter, words)

    def _x(self, column: int, value: float) -> float:
        """Where a value of a column lies."""
        low, high = self._scales[column]
        return self.name + self._wide() * column + (self._wide() - 84 * self.unit) * (value - low) / (high - low)

    def _wide(self) -> float:
        """How wide a column is."""
        return max(NARROWEST * self.unit, (self.viewport().width() - self.name) / max(1, len(self.headings)))
