"""Tokens set in lines, with room for strips of heat beneath them: for views that tell about each token of a text."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QFontMetrics, QPainter, QPen, QResizeEvent

from workbench.gui.pages.playground.canvas import Canvas
from workbench.gui.pages.playground.token_words import shown
from workbench.gui.theme import Theme

GAP = 6.0  # between lines
STRIP = 15.0


class FlowText(Canvas):
    """Spots are numbers of tokens. Places are kept and only counted anew for another width, font or number of strips."""

    def __init__(self, theme: Theme, name: str, accessible: str) -> None:
        super().__init__(theme, name, accessible)
        self.pieces: list[str] = []
        self.prompt = 0  # so many pieces at the beginning are the prompt's
        self.strips = 0
        self.margin = 0.0  # at the left, for the names of strips
        self.linked: int | None = None
        self.dotted: set[int] = set()
        self._boxes: list[QRectF] = []
        self._lines: list[tuple[float, int]] = []  # top of each line, and its first token
        self._width = 0.0

    def show_pieces(self, pieces: Sequence[str], prompt: int = 0, strips: int = 0) -> None:
        """Another text."""
        self.forget()
        self.pieces, self.prompt, self.strips = list(pieces), prompt, strips
        self.margin = 26.0 * self.unit if strips else 0.0
        self.linked, self.dotted = None, set()
        self._lay_out()

    def add(self, pieces: Sequence[str]) -> None:
        """The text goes on."""
        self.pieces.extend(pieces)
        self._place(len(self._boxes))
        self.changed()

    def link(self, token: int | None) -> None:
        """Point out another token, without standing on it."""
        if token != self.linked:
            self.linked = token if token is not None and 0 <= token < len(self.pieces) else None
            self.viewport().update()

    @property
    def strip_height(self) -> float:
        """Height of a strip, which must hold a letter."""
        return STRIP * self.unit

    @property
    def line(self) -> float:
        """Height of a line with its strips."""
        return QFontMetrics(self.mono()).height() + 4.0 + self.strips * self.strip_height + GAP

    def extent(self) -> tuple[float, float]:
        """As wide as there is room."""
        return 0.0, self._boxes[-1].top() + self.line + GAP if self._boxes else 0.0

    def box_of(self, spot: int) -> QRectF:
        """Where a token lies."""
        return self._boxes[spot] if 0 <= spot < len(self._boxes) else QRectF()

    def spot_at(self, point: QPointF) -> int | None:
        """The token under a point, or whose strips are."""
        row = bisect_right(self._lines, (point.y(), len(self._boxes))) - 1
        if row < 0:
            return None
        first = self._lines[row][1]
        end = self._lines[row + 1][1] if row + 1 < len(self._lines) else len(self._boxes)
        reach = self.line - GAP
        for token in range(first, end):
            box = self._boxes[token]
            if box.left() <= point.x() < box.right() and point.y() < box.top() + reach:
                return token
        return None

    def walked(self, spot: int | None, key: Qt.Key) -> int | None:
        """Left and right along the text, up and down by lines."""
        if not self._boxes:
            return None
        last = len(self._boxes) - 1
        if key in {Qt.Key.Key_Home, Qt.Key.Key_End}:
            return 0 if key == Qt.Key.Key_Home else last
        if spot is None:
            return min(self.prompt, last)
        if key in {Qt.Key.Key_Left, Qt.Key.Key_Right}:
            return min(max(spot + (1 if key == Qt.Key.Key_Right else -1), 0), last)
        lines = {Qt.Key.Key_Up: -1, Qt.Key.Key_Down: 1, Qt.Key.Key_PageUp: -6, Qt.Key.Key_PageDown: 6}.get(key, 0)
        row = bisect_right(self._lines, spot, key=lambda line: line[1]) - 1
        there = min(max(row + lines, 0), len(self._lines) - 1)
        end = self._lines[there + 1][1] if there + 1 < len(self._lines) else len(self._boxes)
        middle = self._boxes[spot].center().x()
        return min(range(self._lines[there][1], end), key=lambda token: abs(self._boxes[token].center().x() - middle))

    def words_of(self, spot: int) -> Sequence[str]:
        """A token's name and place."""
        return (
            shown(self.pieces[spot]) or "end",
            f"token {spot + 1}" + (" of the prompt" if spot < self.prompt else ""),
        )

    def draw(self, painter: QPainter, visible: QRectF) -> None:
        """The lines in sight."""
        colours = self.theme.colours
        painter.setFont(self.mono())
        row = max(0, bisect_right(self._lines, (visible.top(), 0)) - 1)
        for top, first in self._lines[row:]:
            if top > visible.bottom():
                break
            row += 1
            end = self._lines[row][1] if row < len(self._lines) else len(self._boxes)
            if self.strips:
                self.draw_names(painter, top)
            for token in range(first, end):
                box = self._boxes[token]
                if token == self.linked:
                    painter.setBrush(QColor(colours.accent_soft))
                    painter.setPen(QPen(QColor(colours.accent), 2, Qt.PenStyle.DashLine))
                    painter.drawRoundedRect(box, 4, 4)
                painter.setPen(QColor(colours.quiet if token < self.prompt else colours.text))
                painter.drawText(box.adjusted(1, 0, 8, 0), Qt.AlignmentFlag.AlignVCenter, _legible(self.pieces[token]))
                if token in self.dotted:
                    painter.fillRect(
                        QRectF(box.left() + 1, box.bottom() - 1, box.width() - 2, 2), QColor(colours.accent)
                    )
                for strip in range(self.strips):
                    self.draw_strip(
                        painter,
                        token,
                        strip,
                        QRectF(
                            box.left(), box.bottom() + strip * self.strip_height, box.width() - 1, self.strip_height - 1
                        ),
                    )

    def draw_names(self, painter: QPainter, top: float) -> None:
        """Name the strips of a line, at its left."""

    def draw_strip(self, painter: QPainter, token: int, strip: int, box: QRectF) -> None:
        """What a strip tells about a token."""

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Lines of another width."""
        if self.viewport().width() != self._width:
            self._lay_out()
        super().resizeEvent(event)

    def dress(self) -> None:
        """The theme's fonts may have other widths."""
        self._lay_out()

    def _lay_out(self) -> None:
        self._boxes, self._lines, self._width = [], [], float(self.viewport().width())
        self._place(0)
        self.changed()

    def _place(self, first: int) -> None:
        """Set the tokens from `first` on behind those that have their places."""
        metrics = QFontMetrics(self.mono())
        high, x, y = metrics.height() + 4.0, self.margin, 2.0
        if first:
            x, y = self._boxes[first - 1].right(), self._boxes[first - 1].top()
            if self.pieces[first - 1].endswith("\n"):
                x, y = self.margin, y + self.line
        for token in range(first, len(self.pieces)):
            wide = metrics.horizontalAdvance(_legible(self.pieces[token])) + 3.0
            if x > self.margin and x + wide > self._width:
                x, y = self.margin, y + self.line
            if not self._lines or self._lines[-1][0] != y:
                self._lines.append((y, token))
            self._boxes.append(QRectF(x, y, wide, high))
            x += wide
            if self.pieces[token].endswith("\n"):
                x, y = self.margin, y + self.line


def _legible(piece: str) -> str:
    """A piece with its blanks visible, but light enough to be read in a line."""
    return shown(piece).replace("␣", "·") or "⏹"
