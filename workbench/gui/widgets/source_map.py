"""Where each character that is shown stands in the text as it was written: the way back through Markdown.

A second parser, which makes the same tokens, notes for every character of every token which characters of the source it stands
for. The document that is shown has the same characters in the same order, white space apart, so the two are walked in step.
A formula, a picture or an entity stands as a whole for what was written for it.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from markdown_it.parser_inline import ParserInline
from markdown_it.rules_inline import StateInline

from workbench.gui.theme import LIGHT
from workbench.gui.widgets import mathematics, tex
from workbench.gui.widgets.markup import parser, picture_words
from workbench.gui.widgets.unseen import shown, visible

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token


class Sign(NamedTuple):
    """A character that is shown, and the stretch of the source that it stands for."""

    sign: str
    start: int
    end: int


class SourceMap:
    """Maps stretches of a document (in Qt's positions) to stretches of the text as it was given, and back."""

    def __init__(self, words: str, document: str, *, dressed: bool) -> None:
        """`document` is what Qt shows (`toRawText`), `dressed` says whether it is Markdown's."""
        text = shown(words)
        signs = written(text.words) if dressed else plainly(text.words)
        self._places: list[int] = []
        self._widths: list[int] = []
        self._starts: list[int] = []
        self._ends: list[int] = []
        self.whole = True
        position, at = 0, 0
        for letter in document:
            width = 2 if ord(letter) > 0xFFFF else 1
            if not _blank(letter):
                if at >= len(signs) or signs[at].sign != letter:
                    self.whole = False  # from here on nothing can be told; what is known stays
                    break
                self._places.append(position)
                self._widths.append(width)
                self._starts.append(text.origin(signs[at].start))
                self._ends.append(text.origin(signs[at].end, end=True))
                at += 1
            position += width

    def source(self, start: int, end: int) -> tuple[int, int] | None:
        """The characters of the text behind the document's positions `start` … `end`, or None when there is none."""
        first, last = bisect_left(self._places, start), bisect_left(self._places, end)
        if first >= last:
            return None
        return min(self._starts[first:last]), max(self._ends[first:last])

    def document(self, start: int, end: int) -> tuple[int, int] | None:
        """The document's positions that show the characters `start` … `end`, or None when none of them is shown."""
        found = [n for n, (low, high) in enumerate(zip(self._starts, self._ends)) if low < end and high > start]
        if not found:
            return None
        return self._places[found[0]], self._places[found[-1]] + self._widths[found[-1]]

    def word(self, position: int) -> tuple[int, int] | None:
        """The document's positions of the run of signs without white space around a position."""
        at = min(bisect_right(self._places, position), len(self._places)) - 1
        if at < 0:
            return None
        first = last = at
        while first and self._places[first - 1] + self._widths[first - 1] == self._places[first]:
            first -= 1
        while last + 1 < len(self._places) and self._places[last] + self._widths[last] == self._places[last + 1]:
            last += 1
        return self._places[first], self._places[last] + self._widths[last]


def _blank(letter: str) -> bool:
    return letter.isspace() or "\ufdd0" <= letter <= "\ufdef" or letter in "\u2028\u2029\ufffc"


def plainly(words: str) -> list[Sign]:
    """The signs of a text that is shown as it stands."""
    return [Sign(letter, at, at + 1) for at, letter in enumerate(words) if not _blank(letter)]


def written(words: str) -> list[Sign]:
    """The signs that Markdown shows of a text, in order, without white space."""
    lines, starts, at = words.split("\n"), [], 0
    for line in lines:
        starts.append(at)
        at += len(line) + 1
    walker = _Walker(lines, starts)
    before = ""
    for token in _tracing().parse(words):
        walker.take(token, before in {"th_open", "td_open"})
        before = token.type
    return walker.signs


class _Walker:
    """Turns tokens into signs; knows how far each line has been used, for the cells of tables."""

    def __init__(self, lines: list[str], starts: list[int]) -> None:
        self._lines, self._starts = lines, starts
        self._used: dict[int, int] = {}
        self.signs: list[Sign] = []

    def take(self, token: Token, cell: bool) -> None:
        """Add the signs of a token; `cell` says that it stands in a table."""
        if token.map is None or not (token.content or token.type == "math_block"):
            return
        if token.type == "inline":
            self._inline(token, self._content_places(token.content, token.map[0], cell=cell))
        elif token.type in {"fence", "code_block"}:
            places = self._content_places(token.content, token.map[0] + (token.type == "fence"))
            self._letters(visible(token.content), token.content, places)
        elif token.type == "math_block":
            first, last = token.map[0], min(token.map[1], len(self._lines)) - 1
            while last > first and not self._lines[last].strip():
                last -= 1
            end = self._starts[last] + len(self._lines[last].rstrip())
            start = self._starts[first] + len(self._lines[first]) - len(self._lines[first].lstrip())
            self._whole(tex.plain(mathematics.html_of(token)), start, end)

    def _content_places(self, content: str, first: int, *, cell: bool = False) -> list[int]:
        """The place in the source of each character of a token's content, and one more for its end."""
        places: list[int] = []
        end = 0
        for number, piece in enumerate(content.split("\n"), first):
            line = self._lines[number] if number < len(self._lines) else ""
            base = self._starts[number] if number < len(self._lines) else self._starts[-1]
            at = self._find(piece, line, number, cell=cell)
            lead = len(piece) - len(piece.lstrip())  # may be what is left of a tab, so it has no place of its own
            places += [base + at] * lead
            for letter in piece[lead:]:
                while at < len(line) and line[at] != letter and line[at] == "\\" and line[at + 1 : at + 2] == "|":
                    at += 1
                places.append(base + min(at, len(line)))
                at += 1
            if cell:
                self._used[number] = at
            end = base + min(at, len(line))
            places.append(end)  # the end of the line
        return [*places, end]

    def _find(self, piece: str, line: str, number: int, *, cell: bool) -> int:
        bare = piece.strip()
        if cell and "|" in line:
            used = self._used.get(number, 0)
            found = line.find(bare.replace("|", "\\|"), used)
            return found if found >= 0 else used
        stripped = line.rstrip()
        if stripped.endswith(bare):
            return len(stripped) - len(bare)
        return max(0, line.rfind(bare))

    def _inline(self, token: Token, places: list[int]) -> None:
        for child in token.children or ():
            known = child.meta.get("at")
            if known is None:
                continue
            if child.type in {"text", "text_special", "code_inline"} and isinstance(known, list):
                self._letters(visible(child.content), child.content, [places[min(n, len(places) - 1)] for n in known])
            elif child.type in {"text", "text_special"}:
                self._whole(visible(child.content), places[known[0]], places[known[1] - 1] + 1)
            elif child.type == "image":
                self._whole(picture_words(child), places[known[0]], places[known[1] - 1] + 1)
            elif child.type == "math_inline":
                self._whole(tex.plain(mathematics.html_of(child)), places[known[0]], places[known[1] - 1] + 1)

    def _letters(self, read: str, content: str, places: list[int]) -> None:
        if read != content:  # an entity wrote something that is unseen
            self._whole(read, places[0], places[len(content) - 1] + 1)
            return
        self.signs += [Sign(letter, at, at + 1) for letter, at in zip(read, places) if not _blank(letter)]

    def _whole(self, read: str, start: int, end: int) -> None:
        self.signs += [Sign(letter, start, end) for letter in read if not _blank(letter)]


class _State(StateInline):
    """Notes where the text that waits to become a token comes from."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.places: list[int] = []

    def pushPending(self) -> Token:
        held = self.places
        token = super().pushPending()
        token.meta = {"at": held[: len(token.content)]}
        self.places = []
        return token


class _Tracing(ParserInline):
    """The same rules in the same order; each token learns which characters it was made from."""

    def parse(self, src: str, md: MarkdownIt, env: Any, tokens: list[Token]) -> list[Token]:
        state = _State(src, md, env, tokens)
        self.tokenize(state)
        for rule in self.ruler2.getRules(""):
            rule(state)
        return state.tokens

    def tokenize(self, state: StateInline) -> None:
        assert isinstance(state, _State)
        rules, deepest = self.ruler.getRules(""), state.md.options["maxNesting"]
        end = state.posMax
        while state.pos < end:
            start, known = state.pos, len(state.tokens)
            done = state.level < deepest and any(rule(state, False) for rule in rules)
            if not done:
                state.pending += state.src[state.pos]
                state.pos += 1
            self._note(state, start, known)
            if done and state.pos >= end:
                break
        if state.pending:
            state.pushPending()

    def _note(self, state: _State, start: int, known: int) -> None:
        held = len(state.pending)
        del state.places[held:]
        state.places += range(start, start + held - len(state.places))
        at = start
        for token in state.tokens[known:]:
            if "at" in token.meta:
                continue
            if token.type == "code_inline":
                inside = start + len(token.markup)
                raw = state.src[inside : state.pos - len(token.markup)].replace("\n", " ")
                inside += raw != token.content
                token.meta = {"at": list(range(inside, inside + len(token.content)))}
            elif token.type == "text" and state.src.startswith(token.content, at):
                token.meta = {"at": list(range(at, at + len(token.content)))}  # a run of *, _ or ~ makes several tokens
                at += len(token.content)
            elif token.type == "text":
                token.meta = {"at": self._inside(state, token, start)}
            else:
                token.meta = {"at": (start, state.pos)}

    def _inside(self, state: _State, token: Token, start: int) -> Any:
        found = state.src.find(token.content, start, state.pos)
        return list(range(found, found + len(token.content))) if found >= 0 else (start, state.pos)


@lru_cache(maxsize=1)
def _tracing() -> MarkdownIt:
    made = parser(LIGHT)
    made = type(made)("commonmark", {"html": False, "breaks": True}).enable(["table", "strikethrough"])
    made.use(mathematics.plugin)
    inline = _Tracing()
    inline.ruler, inline.ruler2, inline.terminator_re = made.inline.ruler, made.inline.ruler2, made.inline.terminator_re
    made.inline = inline
    made.disable(["fragments_join", "text_join"])  # they would lose what was noted
    return made
