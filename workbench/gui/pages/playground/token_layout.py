"""Tokens as laid-out lines: only the last few lines are laid out again when tokens come."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QBrush, QFont, QTextCharFormat, QTextLayout, QTextLine, QTextOption

from workbench.domain.choices import TokenChoice
from workbench.gui.pages.playground.heat import Mode, share_of
from workbench.gui.widgets.scale import ink_on, viridis
from workbench.gui.widgets.unseen import visible

MOST_LINES = 24  # of one layout; a longer paragraph goes on in another one
MOST_PIECES = 128  # of tokens, that are laid out together
_BREAKS = "\n\v\f\x1c\x1d\x1e\x85\u2028\u2029"
_PIECES = re.compile(f"[^{_BREAKS}]*[{_BREAKS}]|[^{_BREAKS}]+")


class Part(NamedTuple):
    """What a paragraph shows of one token: characters `low` to `high` of the text, as `words`, from UTF-16 unit `at`."""

    token: int
    low: int
    high: int
    words: str
    at: int


@dataclass
class Paragraph:
    """A stretch of the text up to its line break, or up to the end of a line where it is long."""

    start: int
    text: str
    layout: QTextLayout
    top: float
    height: float
    parts: list[Part]
    starts: list[int]

    @property
    def open(self) -> bool:
        """Whether the text goes on in it."""
        return not self.text or self.text[-1] not in _BREAKS


class TokenLayout:
    """Tokens, their text, and paragraphs of a width. Offsets are characters of the text, not of Qt's UTF-16.

    As plain text, tokens without a text (ends, lone bytes of a character) take no room; as heat they are shown by their names.
    """

    def __init__(self, font: QFont) -> None:
        self.font = font
        self.width = 200.0
        self.mode: Mode = "text"
        self.tokens: list[TokenChoice] = []
        self.kl: Sequence[float | None] = ()
        self.text = ""
        self._starts: list[int] = []
        self.paragraphs: list[Paragraph] = []

    @property
    def height(self) -> float:
        """Of everything laid out."""
        return self.paragraphs[-1].top + self.paragraphs[-1].height if self.paragraphs else 0.0

    def clear(self) -> None:
        """Forget all tokens."""
        self.tokens, self.text, self._starts, self.paragraphs, self.kl = [], "", [], [], ()

    def add(self, tokens: Sequence[TokenChoice]) -> None:
        """Append tokens and lay out what has changed."""
        first = len(self.tokens)
        self.tokens.extend(tokens)
        self._starts.extend(token.start for token in tokens)
        self.text += "".join(token.text for token in tokens)
        last = self.paragraphs.pop() if self.paragraphs and self.paragraphs[-1].open else None
        kept = [(part.token, part.low, part.high) for part in last.parts] if last else []
        self._lay_out(kept, first)

    def set(
        self,
        *,
        width: float | None = None,
        mode: Mode | None = None,
        font: QFont | None = None,
        kl: Sequence[float | None] | None = None,
    ) -> None:
        """Another width, mode, font or KL of each token: everything is laid out anew, if anything changes."""
        before = (self.width, self.mode, self.font, self.kl)
        self.width = self.width if width is None else max(40.0, width)
        self.mode = self.mode if mode is None else mode
        self.font = self.font if font is None else font
        self.kl = self.kl if kl is None else kl
        if before != (self.width, self.mode, self.font, self.kl):
            self.paragraphs = []
            self._lay_out([], 0)

    def token_at(self, point: QPointF) -> int | None:
        """The token under a point, or None."""
        paragraph = self._paragraph_at(point.y())
        line = _line_at(paragraph, point.y()) if paragraph is not None else None
        if paragraph is None or line is None:
            return None
        ends = sorted((_x(line, line.textStart()), _x(line, line.textStart() + line.textLength())))
        if not ends[0] <= point.x() <= ends[1] + 1:
            return None
        unit = line.xToCursor(point.x(), line.CursorPosition.CursorOnCharacter)
        part = _part_at(paragraph, min(unit, line.textStart() + line.textLength() - 1))  # blanks may hang over the end
        return None if part is None else part.token

    def token_of(self, offset: int) -> int | None:
        """The token that holds the character at an offset."""
        place = bisect_right(self._starts, offset) - 1
        return place if place >= 0 and offset < self.tokens[place].end else None

    def boxes(self, token: int) -> Iterator[QRectF]:
        """The rectangles that a token covers, one for each line that it touches."""
        for paragraph in self._paragraphs_of(token):
            for part in paragraph.parts[bisect_right(paragraph.parts, token - 1, key=_token_of_part) :]:
                if part.token != token:
                    break
                first, last = part.at, part.at + _units(part.words)
                for line in _lines(paragraph.layout):
                    begin, end = max(first, line.textStart()), min(last, line.textStart() + line.textLength())
                    if begin < end:
                        left, right = sorted((_x(line, begin), _x(line, end)))
                        yield QRectF(left, paragraph.top + line.y(), max(2.0, right - left), line.height())

    def place_of(self, offset: int) -> QRectF | None:
        """Where the character at an offset begins: a thin upright rectangle."""
        for paragraph in self.paragraphs:
            inside = offset - paragraph.start
            last = paragraph is self.paragraphs[-1]
            if 0 <= inside < len(paragraph.text) or (last and inside == len(paragraph.text)):
                units = _units_before(paragraph, offset)
                line = paragraph.layout.lineForTextPosition(units)
                if line.isValid():
                    return QRectF(_x(line, units), paragraph.top + line.y(), 2.0, line.height())
        return None

    def next_line(self, token: int, down: bool) -> int | None:
        """The token above or below one, on the next line that has any."""
        box = next(self.boxes(token), None)
        if box is None:
            return None
        y, step = box.center().y(), (box.height() if down else -box.height())
        while 0 <= (y := y + step) < self.height:
            paragraph = self._paragraph_at(y)
            line = _line_at(paragraph, y) if paragraph is not None else None
            if line is not None and line.naturalTextWidth() > 0:
                found = self.token_at(QPointF(min(box.center().x(), line.naturalTextWidth() - 1), y))
                if found is not None and found != token:
                    return found
        return None

    def _paragraph_at(self, y: float) -> Paragraph | None:
        place = bisect_right(self.paragraphs, y, key=lambda paragraph: paragraph.top) - 1
        return self.paragraphs[place] if place >= 0 and y < self.height else None

    def _paragraphs_of(self, token: int) -> Iterator[Paragraph]:
        place = max(0, bisect_right(self.paragraphs, token - 1, key=_last_token))
        for paragraph in self.paragraphs[place:]:
            if paragraph.parts and paragraph.parts[0].token > token:
                return
            yield paragraph

    def _lay_out(self, kept: list[tuple[int, int, int]], first: int) -> None:
        """Paragraphs for the pieces that an open paragraph had, and for the tokens from `first` on."""
        pieces = kept
        for token in range(first, len(self.tokens)):
            choice = self.tokens[token]
            if not choice.text:
                pieces.append((token, choice.start, choice.start))
            for found in _PIECES.finditer(choice.text):
                pieces.append((token, choice.start + found.start(), choice.start + found.end()))
                if found.group()[-1] in _BREAKS:
                    self._close(pieces)
                    pieces = []
        if pieces:
            self._close(pieces)

    def _close(self, pieces: list[tuple[int, int, int]]) -> None:
        """Make a paragraph of pieces; what is longer than MOST_LINES goes on in another one, which begins a line."""
        batch = MOST_PIECES
        while True:
            made = self._paragraph(pieces[:batch])
            cut = self._cut(made) if len(pieces) > batch or made.layout.lineCount() > MOST_LINES else 0
            if cut:
                head, tail = _divided(made, cut)
                self.paragraphs.append(self._paragraph(head))
                pieces, batch = tail + pieces[batch:], MOST_PIECES
            elif len(pieces) > batch:
                batch *= 2
            else:
                self.paragraphs.append(made)
                return

    def _cut(self, made: Paragraph) -> int:
        """The UTF-16 unit at which a long paragraph is divided: where the line before the last begins."""
        if made.layout.lineCount() < 3:
            return 0
        unit = made.layout.lineAt(made.layout.lineCount() - 2).textStart()
        part = _part_at(made, unit)
        whole = part is not None and (part.at == unit or part.words == self._source(part))
        return unit if whole else 0

    def _source(self, part: Part) -> str:
        return self.text[part.low : part.high]

    def _words(self, token: int, low: int, high: int) -> str:
        words = self.text[low:high]
        if not words:
            return "" if self.mode == "text" else f"⟨{_name(self.tokens[token])}⟩"
        # A line break keeps its place: one sign for one character, shown where tokens are shown.
        sign = " " if self.mode == "text" else "↵"
        words = words[:-1] + sign if words[-1] in _BREAKS else words
        return words if words.isprintable() else visible(words)

    def _paragraph(self, pieces: list[tuple[int, int, int]]) -> Paragraph:
        parts, at = [], 0
        for token, low, high in pieces:
            words = self._words(token, low, high)
            parts.append(Part(token, low, high, words, at))
            at += _units(words)
        layout = QTextLayout("".join(part.words for part in parts), self.font)
        option = QTextOption()
        option.setWrapMode(QTextOption.WrapMode.WrapAtWordBoundaryOrAnywhere)
        if self.mode != "text":
            option.setFlags(QTextOption.Flag.ShowTabsAndSpaces)
            option.setTextDirection(Qt.LayoutDirection.LeftToRight)
        layout.setTextOption(option)
        if self.mode != "text":
            layout.setFormats(list(self._formats(parts)))
        layout.beginLayout()
        height = 0.0
        while (line := layout.createLine()).isValid():
            line.setLineWidth(self.width)
            line.setPosition(QPointF(0.0, height))
            height += line.height() + (3.0 if self.mode != "text" else 2.0)
        layout.endLayout()
        start, end = pieces[0][1], pieces[-1][2]
        return Paragraph(start, self.text[start:end], layout, self.height, height, parts, [part.at for part in parts])

    def _formats(self, parts: Sequence[Part]) -> Iterator[QTextLayout.FormatRange]:
        for part in parts:
            kl = self.kl[part.token] if part.token < len(self.kl) else None
            share = share_of(self.tokens[part.token], self.mode, kl)
            if share is None or not part.words:
                continue
            colour = viridis(share)
            look = QTextLayout.FormatRange()
            look.start = part.at
            look.length = _units(part.words)
            style = QTextCharFormat()
            style.setBackground(QBrush(colour))
            style.setForeground(QBrush(ink_on(colour)))
            look.format = style
            yield look


def _divided(made: Paragraph, unit: int) -> tuple[list[tuple[int, int, int]], list[tuple[int, int, int]]]:
    """The pieces of a paragraph before and from a UTF-16 unit; a piece that the unit lies in is divided."""
    head: list[tuple[int, int, int]] = []
    tail: list[tuple[int, int, int]] = []
    for part in made.parts:
        if part.at + _units(part.words) <= unit:
            head.append((part.token, part.low, part.high))
        elif part.at >= unit:
            tail.append((part.token, part.low, part.high))
        else:
            middle = part.low + _characters(part.words, unit - part.at)
            head.append((part.token, part.low, middle))
            tail.append((part.token, middle, part.high))
    return head, tail


def _name(choice: TokenChoice) -> str:
    """The vocabulary's name of a token without a text."""
    found = next((a.text for a in choice.alternatives if a.id == choice.id), "") or str(choice.id)
    return visible(found).strip("<>")


def _token_of_part(part: Part) -> int:
    return part.token


def _last_token(paragraph: Paragraph) -> int:
    return paragraph.parts[-1].token


def _part_at(paragraph: Paragraph, unit: int) -> Part | None:
    place = bisect_right(paragraph.starts, unit) - 1
    part = paragraph.parts[place] if place >= 0 else None
    return part if part is not None and unit < part.at + _units(part.words) else None


def _units_before(paragraph: Paragraph, offset: int) -> int:
    """UTF-16 units that stand before a character of the text."""
    for part in paragraph.parts:
        if part.low <= offset < part.high:
            return part.at + min(_units(part.words), _units(part.words[: offset - part.low]))
    last = paragraph.parts[-1]
    return last.at + _units(last.words)


def _lines(layout: QTextLayout) -> Iterator[QTextLine]:
    for number in range(layout.lineCount()):
        yield layout.lineAt(number)


def _line_at(paragraph: Paragraph, y: float) -> QTextLine | None:
    for line in _lines(paragraph.layout):
        if paragraph.top + line.y() <= y < paragraph.top + line.y() + line.height() + 3.0:
            return line
    return None


def _x(line: QTextLine, units: int) -> float:
    found: Any = line.cursorToX(units)
    return float(found[0] if isinstance(found, tuple) else found)


def _units(text: str) -> int:
    """UTF-16 units of a text: characters outside the basic plane take two."""
    return len(text) if text.isascii() else len(text) + sum(c > "\uffff" for c in text)


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
