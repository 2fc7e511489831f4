"""Characters that nobody sees, made visible: controls, direction overrides, zero-width signs, hidden tags, towers of marks.

A text must not be able to fool its reader: not by turning its own order round, nor by hiding words for a model inside words for
a person. What scripts and emoji need (joiners between letters that join, one variation selector, flags) stays as it is.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from typing import NamedTuple

MOST_MARKS = 8  # combining marks on one letter; Hebrew with cantillation needs four
_MARKS = "\u0300-\u036f\u0483-\u0489\u0591-\u05bd\u064b-\u065f\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f"
_UNSEEN = re.compile(
    "(?P<flag>\U0001f3f4[\U000e0020-\U000e007e]{2,6}\U000e007f)"
    "|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u200e\u200f"
    "\u2028-\u202e\u2060-\u206f\u3164\ud800-\udfff\ufeff\uffa0\ufff9-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
    "\U000e0000-\U000e00ff\U000e01f0-\U000e0fff]"
    "|(?:(?<![\u0250-\U0010ffff])|(?<=[\u200c\u200d]))[\u200c\u200d]"
    "|(?<=[\ufe00-\ufe0f])[\ufe00-\ufe0f]"
    "|(?<![\u3400-\u9fff\U00020000-\U0003ffff])[\U000e0100-\U000e01ef]"
    f"|(?<=[{_MARKS}]{{{MOST_MARKS}}})[{_MARKS}]+"
)
_NAMES = {
    0xAD: "SHY", 0x61C: "ALM", 0x200B: "ZWSP", 0x200C: "ZWNJ", 0x200D: "ZWJ", 0x200E: "LRM", 0x200F: "RLM", 0x2028: "LINE",
    0x2029: "PARAGRAPH", 0x202A: "LRE", 0x202B: "RLE", 0x202C: "PDF", 0x202D: "LRO", 0x202E: "RLO", 0x2060: "WJ",
    0x2066: "LRI", 0x2067: "RLI", 0x2068: "FSI", 0x2069: "PDI", 0xFEFF: "BOM",
}  # fmt: skip
LABEL = re.compile("⟦[^⟦⟧\n]{1,14}⟧")


class Shown(NamedTuple):
    """A text as it is shown, and where each stretch of it came from; `cuts` is empty when nothing was changed.

    A cut `(at, to, start, end)`: from `at` to `to` the shown text stands for `start` … `end` of the original.
    """

    words: str
    cuts: list[tuple[int, int, int, int]]

    def origin(self, place: int, *, end: bool = False) -> int:
        """The place in the original of a place in the shown text; inside a label, its start or (`end`) its end."""
        found = bisect_right(self.cuts, place if not end else place - 1, key=lambda cut: cut[0]) - 1
        if place < 0 or found < 0:
            return place
        at, to, start, stop = self.cuts[found]
        if place >= to:
            return stop + place - to
        return stop if end and place > at else start

    def place(self, origin: int) -> int:
        """The place in the shown text of a place in the original."""
        found = bisect_right(self.cuts, origin, key=lambda cut: cut[2]) - 1
        if found < 0:
            return origin
        at, to, _, stop = self.cuts[found]
        return to + origin - stop if origin >= stop else at


def shown(words: str) -> Shown:
    """The text with every unseen character written out, as `⟦RLO⟧` or `␀`; ends of lines become one kind."""
    cuts: list[tuple[int, int, int, int]] = []
    if "\r" not in words and _UNSEEN.search(words) is None:
        return Shown(words, cuts)
    parts: list[str] = []
    done = length = 0
    for match in _OR_RETURN.finditer(words):
        if match.lastgroup == "flag":
            continue
        start, stop = match.span()
        label = _label(match.group())
        parts += [words[done:start], label]
        at = length + start - done
        length = at + len(label)
        cuts.append((at, length, start, stop))
        done = stop
    return Shown("".join([*parts, words[done:]]), cuts)


def visible(words: str) -> str:
    """The text with every unseen character written out."""
    return shown(words).words


_OR_RETURN = re.compile(f"{_UNSEEN.pattern}|\r\n?")


def _label(found: str) -> str:
    code = ord(found[0])
    if found[0] == "\r":
        return "\n"
    if code < 0x20 or code == 0x7F:
        return chr(0x2400 + code) if code < 0x20 else "␡"
    if len(found) > 1:
        return f"⟦+{len(found)} marks⟧"
    if 0xE0020 <= code <= 0xE007E:
        return f"⟦tag {chr(code - 0xE0000)}⟧" if code > 0xE0020 else "⟦tag space⟧"
    return f"⟦{_NAMES.get(code) or f'U+{code:04X}'}⟧"
