"""Tokens as laid-out paragraphs: only the last paragraph is laid out again when tokens come."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from PySide6.QtCore import QPointF, QRectF
from PySide6.QtGui import QBrush, QFont, QTextCharFormat, QTextLayout, QTextLine, QTextOption

from workbench.domain.choices import TokenChoice
from workbench.gui.pages.playground.heat import Mode, share_of
from workbench.gui.widgets.scale import ink_on, viridis


@dataclass
class Paragraph:
    """A line of the text up to its line break: where it begins in the text (characters), and at which height."""

    start: int
    text: str
    layout: QTextLayout
    top: float
    height: float


class TokenLayout:
    """Tokens, their text, and paragraphs of a width. Offsets are characters of the text, not of Qt's UTF-16."""

    def __init__(self, font: QFont) -> None:
        self.font = font
        self.width = 200.0
        self.mode: Mode = "text"
        self.tokens: list[TokenChoice] = []
        self.text = ""
        self._starts: list[int] = []
        self.paragraphs: list[Paragraph] = []

    @property
    def height(self) -> float:
        """Of everything laid out."""
        return self.paragraphs[-1].top + self.paragraphs[-1].height if self.paragraphs else 0.0

    def clear(self) -> None:
        """Forget all tokens."""
        self.tokens, self.text, self._starts, self.paragraphs = [], "", [], []

    def add(self, tokens: Sequence[TokenChoice]) -> None:
        """Append tokens and lay out what has changed."""
        self.tokens.extend(tokens)
        self._starts.extend(token.start for token in tokens)
        self.text += "".join(token.text for token in tokens)
        self._lay_out_from(max(0, len(self.paragraphs) - 1))

    def set(self, *, width: float | None = None, mode: Mode | None = None, font: QFont | None = None) -> None:
        """Another width, mode or font: everything is laid out anew."""
        self.width = self.width if width is None else max(40.0, width)
        self.mode = self.mode if mode is None else mode
        self.font = self.font if font is None else font
        self._lay_out_from(0)

    def token_at(self, point: QPointF) -> int | None:
        """The token under a point, or None."""
        for paragraph in self.paragraphs:
            if paragraph.top <= point.y() < paragraph.top + paragraph.height:
                line = _line_at(paragraph, point.y())
                if line is None or not 0 <= point.x() <= line.naturalTextWidth() + 1:
                    return None
                cursor = line.xToCursor(point.x(), line.CursorPosition.CursorOnCharacter)
                return self.token_of(paragraph.start + _characters(paragraph.text, cursor))
        return None

    def token_of(self, offset: int) -> int | None:
        """The token that holds the character at an offset."""
        place = bisect_right(self._starts, offset) - 1
        return place if place >= 0 and offset < self.tokens[place].end else None

    def boxes(self, token: int) -> Iterator[QRectF]:
        """The rectangles that a token covers, one for each line that it touches."""
        choice = self.tokens[token]
        for paragraph in self.paragraphs:
            low = max(choice.start, paragraph.start) - paragraph.start
            high = min(choice.end, paragraph.start + len(paragraph.text)) - paragraph.start
            if low >= high:
                continue
            first, last = _units(paragraph.text, low), _units(paragraph.text, high)
            for number in range(paragraph.layout.lineCount()):
                line = paragraph.layout.lineAt(number)
                begin, end = max(first, line.textStart()), min(last, line.textStart() + line.textLength())
                if begin < end:
                    left, right = _x(line, begin), _x(line, end)
                    yield QRectF(left, paragraph.top + line.y(), max(2.0, right - left), line.height())

    def place_of(self, offset: int) -> QRectF | None:
        """Where the character at an offset begins: a thin upright rectangle."""
        for paragraph in self.paragraphs:
            inside = offset - paragraph.start
            last = paragraph is self.paragraphs[-1]
            if 0 <= inside < len(paragraph.text) or (last and inside == len(paragraph.text)):
                units = _units(paragraph.text, inside)
                line = paragraph.layout.lineForTextPosition(units)
                if line.isValid():
                    return QRectF(_x(line, units), paragraph.top + line.y(), 2.0, line.height())
        return None

    def _lay_out_from(self, number: int) -> None:
        start = self.paragraphs[number].start if number < len(self.paragraphs) else 0
        del self.paragraphs[number:]
        for piece in self.text[start:].splitlines(keepends=True):
            top = self.paragraphs[-1].top + self.paragraphs[-1].height if self.paragraphs else 0.0
            self.paragraphs.append(self._paragraph(start, piece, top))
            start += len(piece)

    def _paragraph(self, start: int, text: str, top: float) -> Paragraph:
        # A line break keeps its place: one sign for one character, shown where tokens are shown.
        sign = " " if self.mode == "text" else "↵"
        shown = "".join(sign if c in "\r\n\v\f\x1c\x1d\x1e\x85\u2028\u2029" else c for c in text)
        layout = QTextLayout(shown, self.font)
        option = QTextOption()
        option.setWrapMode(QTextOption.WrapMode.WrapAtWordBoundaryOrAnywhere)
        layout.setTextOption(option)
        if self.mode != "text":
            layout.setFormats(list(self._formats(start, text)))
        layout.beginLayout()
        height = 0.0
        while (line := layout.createLine()).isValid():
            line.setLineWidth(self.width)
            line.setPosition(QPointF(0.0, height))
            height += line.height() + (3.0 if self.mode != "text" else 2.0)
        layout.endLayout()
        return Paragraph(start, text, layout, top, height)

    def _formats(self, start: int, text: str) -> Iterator[QTextLayout.FormatRange]:
        end = start + len(text)
        first = max(0, bisect_right(self._starts, start) - 1)
        for token in self.tokens[first:]:
            if token.start >= end:
                return
            low, high = max(token.start, start) - start, min(token.end, end) - start
            if low >= high:
                continue
            colour = viridis(share_of(token, self.mode))
            look = QTextLayout.FormatRange()
            look.start = _units(text, low)
            look.length = _units(text, high) - look.start
            style = QTextCharFormat()
            style.setBackground(QBrush(colour))
            style.setForeground(QBrush(ink_on(colour)))
            look.format = style
            yield look


def _line_at(paragraph: Paragraph, y: float) -> QTextLine | None:
    for number in range(paragraph.layout.lineCount()):
        line = paragraph.layout.lineAt(number)
        if paragraph.top + line.y() <= y < paragraph.top + line.y() + line.height() + 3.0:
            return line
    return None


def _x(line: QTextLine, units: int) -> float:
    found: Any = line.cursorToX(units)
    return float(found[0] if isinstance(found, tuple) else found)


def _units(text: str, characters: int) -> int:
    """UTF-16 units of the first characters: those outside the basic plane take two."""
    return characters + sum(c > "\uffff" for c in text[:characters]) if not text.isascii() else characters


def _characters(text: str, units: int) -> int:
    """Whole characters within so many UTF-16 units."""
    if text.isascii():
        return units
    count = 0
    for character in text:
        units -= 2 if character > "\uffff" else 1
        if units < 0:
            break
        count += 1
    return count
