"""TeX's mathematics as the small HTML that Qt shows: Unicode signs, raised and lowered text, matrices as tables.

No engine, no network. A command that isn't known stays as it was written; a formula that can't be read at all is refused, so
that the caller can show it as it stands.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from html import escape, unescape
from itertools import zip_longest

from workbench.gui.widgets import tex_signs as signs

DEEPEST = 24
LONGEST = 8_000
_TAG = re.compile(r"<[^>]*>")
_TOKEN = re.compile(r"\\([A-Za-z]+\*?|.|$)|([{}^_&'~])|(\s+)|(\d+(?:,\d{3}(?!\d))*(?:\.\d+)?)|(.)", re.DOTALL)
_ALONE = re.compile(r"(\d+(?:[.,]\d+)*|[√∂]?[^\W\d_][\u0300-\u036f\u20d7]*|∞)[′⁰¹²³⁴⁵⁶⁷⁸⁹ⁿᵢ₀₁₂₃₄₅₆₇₈₉ⁱⱼₙ]*")


class Unreadable(ValueError):
    """This isn't TeX that can be shown."""


@dataclass(frozen=True)
class Piece:
    """A part of a formula. `kind` is "" for what stands alone, or "binary", "relation", "open", "space", "function"."""

    html: str
    kind: str = ""

    @property
    def plain(self) -> str:
        """The characters without their dress."""
        return plain(self.html)


def plain(html: str) -> str:
    """The characters of a piece of HTML."""
    return unescape(_TAG.sub("", html))


def to_html(formula: str, *, display: bool = False) -> str:
    """The formula as HTML; raises `Unreadable` for what has no balanced groups, or is too long or too deep."""
    if len(formula) > LONGEST:
        raise Unreadable("too long")
    reader = _Reader(formula, display)
    html = reader.rows("")
    if not plain(html).strip():
        raise Unreadable("empty")
    return html


class _Reader:
    def __init__(self, formula: str, display: bool) -> None:
        self._tokens = [match.group() for match in _TOKEN.finditer(formula) if not match.group().isspace()]
        self._raw = [match for match in _TOKEN.finditer(formula) if not match.group().isspace()]
        self._formula = formula
        self._at, self._deep, self._script, self._display = 0, 0, 0, display

    # Reading.

    def _peek(self) -> str:
        return self._tokens[self._at] if self._at < len(self._tokens) else ""

    def _next(self) -> str:
        token = self._peek()
        self._at += 1
        return token

    def rows(self, until: str) -> str:
        """Rows up to `until`: one line each, cells side by side."""
        grid = self._grid(until)
        if len(grid) == 1:
            return " ".join(cell for cell in grid[0] if cell)
        if not self._display or self._script:
            return "; ".join(" ".join(cell for cell in row if cell) for row in grid if any(row))
        return _table_of([row for row in grid if any(row)], pairs=True)

    def _grid(self, until: str) -> list[list[str]]:
        grid: list[list[str]] = [[]]
        while True:
            grid[-1].append(self._sequence(("&", "\\\\", "\\cr", until or "\0")))
            ended = self._next()
            if ended == until:
                return grid
            if not ended:
                raise Unreadable("a group is not closed")
            if ended != "&":
                if self._peek() == "[":
                    self._option()
                grid.append([])

    def _sequence(self, stops: tuple[str, ...]) -> str:
        """Pieces up to one of the stops, which is left unread, spaced as mathematics is."""
        self._deep += 1
        if self._deep > DEEPEST:
            raise Unreadable("too deep")
        pieces: list[Piece] = []
        while (token := self._peek()) and token not in stops:
            if token in {"}", "\\end"}:
                raise Unreadable("a group ends that never began")
            if token in {"^", "_", "'"}:
                base = pieces.pop() if pieces else Piece("")
                pieces.append(Piece(self._scripted(base.html), base.kind if base.kind != "comma" else ""))
            else:
                pieces.append(self._piece())
        if not token and stops[-1] != "\0":
            raise Unreadable("a group is not closed")
        self._deep -= 1
        return _spaced(pieces, tight=self._script > 0)

    def _group(self) -> str:
        """The next argument: a group in braces or one piece."""
        if self._peek() == "{":
            self._next()
            html = self._sequence(("}",))
            self._next()
            return html
        if not self._peek() or self._peek() in {"}", "&", "^", "_"}:
            raise Unreadable("an argument is missing")
        if (digits := self._peek())[0].isdigit():  # without braces, TeX takes one digit
            self._tokens[self._at] = digits[1:]
            self._at += not digits[1:]
            return digits[0]
        self._deep += 1
        if self._deep > DEEPEST:
            raise Unreadable("too deep")
        html = self._piece().html
        self._deep -= 1
        return html

    def _words(self) -> str:
        """The next group as it was written, spaces included."""
        if self._peek() != "{":
            return self._next().lstrip("\\")
        start = self._raw[self._at].end()
        deep = 0
        while token := self._next():
            deep += (token == "{") - (token == "}")
            if not deep:
                return self._formula[start : self._raw[self._at - 1].start()]
        raise Unreadable("a group is not closed")

    def _option(self) -> str:
        self._next()
        html = self._sequence(("]",))
        self._next()
        return html

    # Writing.

    def _piece(self) -> Piece:
        token = self._next()
        if token == "{":
            self._at -= 1
            return Piece(self._group())
        if token == "~":
            return Piece("\u00a0", "space")
        if token.startswith("\\"):
            return self._command(token[1:])
        if token in "=<>:" and token:
            return Piece(escape(token), "relation")
        if token in {"+", "-", "*"}:
            return Piece({"-": "−", "*": "∗"}.get(token, token), "binary")
        if token in {"(", "[", "|"}:
            return Piece(token, "open")
        if token in {",", ";"}:
            return Piece(token, "comma")
        return Piece(f"<em>{token}</em>" if token.isalpha() and token.isascii() else escape(token))

    def _command(self, name: str) -> Piece:
        if name in signs.LETTERS:
            return Piece(escape(signs.LETTERS[name]))
        if name in signs.BINARY:
            return Piece(signs.BINARY[name], "binary")
        if name in signs.RELATIONS and name != "xrightarrow":
            return Piece(signs.RELATIONS[name], "relation")
        if name in signs.BIG:
            return Piece(signs.BIG[name], "function")
        if name in signs.FUNCTIONS:
            return Piece(name, "function")
        if name in signs.SPACES:
            return Piece(signs.SPACES[name], "space")
        if name in signs.SILENT:
            return self._silent(name)
        if name in {"{", "}", "%", "$", "#", "&", "_"}:
            return Piece(escape(name), "open" if name == "{" else "")
        if name == "|":
            return Piece("‖", "open")
        built = self._built(name)
        return Piece(f"<code>{escape(chr(92) + name)}</code>") if built is None else built

    def _silent(self, name: str) -> Piece:
        if name in {"left", "right", "middle"} and self._peek() == ".":
            self._next()
        return Piece("", "space")

    def _built(self, name: str) -> Piece | None:
        """Commands with arguments."""
        if name in {"frac", "dfrac", "tfrac", "cfrac"}:
            return Piece(_fraction(self._group(), self._group()))
        if name in {"binom", "dbinom", "tbinom"}:
            return Piece(f"({self._raise(self._group())}{self._lower(self._group())})")
        if name == "sqrt":
            degree = self._option() if self._peek() == "[" else ""
            return Piece(_root(plain(degree), self._group()))
        if name in signs.ACCENTS:
            return Piece(_accented(self._group(), signs.ACCENTS[name]))
        if name in signs.ALPHABETS:
            return Piece("".join(signs.in_alphabet(name, letter) for letter in plain(self._group())))
        if name in {
            "text",
            "textrm",
            "mathrm",
            "operatorname",
            "operatorname*",
            "mbox",
            "textnormal",
            "mathsf",
            "mathtt",
        }:
            words = escape(self._words())
            return Piece(words, "function" if name.startswith("operatorname") else "")
        if name in {"textbf", "mathbf", "boldsymbol", "bm", "textit", "mathit", "emph"}:
            tag = "em" if name in {"textit", "mathit", "emph"} else "strong"
            inside = escape(self._words()) if name.startswith("text") else plain(self._group())
            return Piece(f"<{tag}>{inside if name.startswith('text') else escape(inside)}</{tag}>")
        return _rare(self, name)

    def _scripted(self, base: str) -> str:
        """The base with everything that is raised or lowered behind it."""
        raised, lowered = "", ""
        while (token := self._peek()) in {"^", "_", "'"} and token:
            self._next()
            if token == "'":
                raised += "′"
                continue
            self._script += 1
            html = self._group()
            self._script -= 1
            if token == "^":
                raised += "′" if html == "′" else html
            else:
                lowered += html
        return base + (self._lower(lowered) if lowered else "") + (self._raise(raised) if raised else "")

    def _raise(self, html: str) -> str:
        words = plain(html).replace(" ", "")
        if words and set(words) <= {"′", "∗", "∘"}:
            return words.replace("∘", "°")
        return self._shift(html, signs.SUPERSCRIPTS, "sup", "^")

    def _lower(self, html: str) -> str:
        return self._shift(html, signs.SUBSCRIPTS, "sub", "_")

    def _shift(self, html: str, table: dict[str, str], tag: str, sign: str) -> str:
        words = plain(html).replace(" ", "")
        if words and all(letter in table for letter in words):
            return "".join(table[letter] for letter in words)
        if self._script:  # Qt raises text once only
            return f"{sign}{words and html}" if len(words) == 1 else f"{sign}({html})"
        return f"<{tag}>{html}</{tag}>"


def _rare(reader: _Reader, name: str) -> Piece | None:
    if name == "begin":
        return Piece(_environment(reader))
    if name == "boxed" or name == "fbox":
        return Piece(f'<span class="boxed">\u00a0{reader._group()}\u00a0</span>')
    if name in {"overset", "stackrel"}:
        above, base = reader._group(), reader._group()
        return Piece(base + reader._raise(above), "relation")
    if name == "underset":
        below, base = reader._group(), reader._group()
        return Piece(base + reader._lower(below), "function")
    if name in {
        "underbrace",
        "overbrace",
        "phantom",
        "mathop",
        "mathbin",
        "mathrel",
        "ensuremath",
        "smash",
        "substack",
    }:
        inside = reader._group()
        return Piece("", "space") if name == "phantom" else Piece(inside)
    if name in {"xrightarrow", "xleftarrow"}:
        if reader._peek() == "[":
            reader._option()
        return Piece(("→" if name == "xrightarrow" else "←") + reader._raise(reader._group()), "relation")
    if name in {"pmod", "pod"}:
        return Piece(f"\u2003(mod {reader._group()})")
    if name == "tag":
        return Piece(f"\u2003({escape(reader._words())})", "space")
    if name in {"label", "color", "textcolor", "vspace", "hspace"}:
        reader._words()
        return Piece("", "space")
    if name in {"cancel", "sout", "bcancel"}:
        return Piece(f"<s>{reader._group()}</s>")
    if name == "not":
        html = reader._group()
        return Piece(f"{html}\u0338" if html != "=" else "≠", "relation")
    return None


def _environment(reader: _Reader) -> str:
    name = reader._words()
    if name == "array" and reader._peek() == "{":
        reader._words()
    grid = reader._grid("\\end")
    if reader._words() != name:
        raise Unreadable("an environment is not closed")
    grid = [row for row in grid if any(row)]
    if name in signs.BRACKETS:
        left, right = signs.BRACKETS[name]
        if reader._display and not reader._script and reader._deep <= 2:
            return _table_of(grid, left, right)
        inside = "; ".join(", ".join(row) for row in grid)
        return f"{left or '['}{inside}{right or (']' if not left else '}')}"
    if name not in signs.LINES:
        raise Unreadable(f"the environment {name} isn't known")
    if reader._display and len(grid) > 1:
        return _table_of(grid, pairs=True)
    return "; ".join(" ".join(cell for cell in row if cell) for row in grid)


def _spaced(pieces: list[Piece], *, tight: bool) -> str:
    parts: list[str] = []
    before = "open"
    for place, piece in enumerate(pieces):
        kind = piece.kind
        if kind == "binary" and (before in {"open", "binary", "relation", "comma"} or place + 1 == len(pieces)):
            kind = ""  # a sign, not an operation
        if kind in {"binary", "relation"} and not tight:
            parts.append(f" {piece.html} ")
        elif kind == "comma" and not tight:
            parts.append(f"{piece.html} ")
        elif kind == "function" and parts and not parts[-1].endswith((" ", "(", "[", "{", "|")):
            parts.append(f" {piece.html}" if before not in {"open"} else piece.html)
        else:
            if before == "function" and re.match(r"\w", piece.plain) and not tight:
                parts.append("\u2009")
            parts.append(piece.html)
        before = before if piece.kind == "space" and not piece.html else kind or "ordinary"
    return re.sub(r" {2,}", " ", "".join(parts)).strip(" ").replace("</em><em>", "")


def _in_brackets(html: str) -> str:
    return html if _ALONE.fullmatch(plain(html).strip()) else f"({html})"


def _fraction(above: str, below: str) -> str:
    half = signs.HALVES.get((plain(above), plain(below)))
    return half or f"{_in_brackets(above)}/{_in_brackets(below)}"


def _root(degree: str, html: str) -> str:
    sign = {"": "√", "2": "√", "3": "∛", "4": "∜"}.get(degree, f"<sup>{escape(degree)}</sup>√")
    return sign + _in_brackets(html)


def _accented(html: str, mark: str) -> str:
    words = plain(html)
    if len(words) == 1:
        return f"<em>{escape(words)}{mark}</em>" if html.startswith("<em>") else escape(words) + mark
    if mark in "\u0305\u0332":
        return "".join(escape(letter) + mark for letter in words)
    return f"({html}){mark}"


def _table_of(grid: list[list[str]], left: str = "", right: str = "", *, pairs: bool = False) -> str:
    """Rows and columns as a table; brackets as high as the rows. `pairs` aligns columns right, left, right … as `align` does."""
    lines = []
    for number, row in enumerate(zip_longest(*zip_longest(*grid, fillvalue=""))):
        cells = [
            f'<td align="{("right" if not place % 2 else "left") if pairs else "center"}">{cell or ""}</td>'
            for place, cell in enumerate(row)
        ]
        first = f"<td>{_tall(left, number, len(grid))}</td>" if left else ""
        last = f"<td>{_tall(right, number, len(grid))}</td>" if right else ""
        lines.append(f"<tr>{first}{''.join(cells)}{last}</tr>")
    return f'<table class="rows" cellspacing="0" cellpadding="2">{"".join(lines)}</table>'


def _tall(sign: str, row: int, rows: int) -> str:
    if rows == 1:
        return escape(sign)
    top, middle, low = tuple(signs.TALL[sign])
    if sign in "{}" and rows == 2:
        return ("⎰⎱" if sign == "{" else "⎱⎰")[row]
    if row == 0:
        return top
    if row == rows - 1:
        return low
    return middle if sign not in "{}" or row == rows // 2 else "⎪"
