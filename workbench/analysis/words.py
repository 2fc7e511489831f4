"""Differences between two texts, word by word, as character spans: what a reader would mark with a pen."""

from __future__ import annotations

import re
from difflib import SequenceMatcher
from itertools import pairwise

Span = tuple[int, int]
_WORD = re.compile(r"\w+|[^\w\s]")
LIMIT = 4000


def words(text: str) -> list[Span]:
    """Spans of words and of single punctuation marks, in order; white space belongs to none."""
    return [match.span() for match in _WORD.finditer(text)]


def word_differences(left: str, right: str) -> tuple[list[Span], list[Span]]:
    """Spans of `left` that `right` doesn't have and the other way round; neighbours are joined over white space.

    Words are compared exactly and in order. Each text is looked at up to its first 4,000 words, so that a key press stays a
    matter of milliseconds; what lies beyond is not marked.
    """
    a, b = words(left)[:LIMIT], words(right)[:LIMIT]
    matcher = SequenceMatcher(None, [left[i:j] for i, j in a], [right[i:j] for i, j in b], autojunk=len(a) > 1000)
    only_left: list[Span] = []
    only_right: list[Span] = []
    for tag, i, j, k, m in matcher.get_opcodes():
        if tag != "equal":
            only_left.extend(a[i:j])
            only_right.extend(b[k:m])
    return _joined(left, only_left), _joined(right, only_right)


def _joined(text: str, spans: list[Span]) -> list[Span]:
    if not spans:
        return []
    joined = [spans[0]]
    for before, here in pairwise(spans):
        if text[before[1] : here[0]].strip() == "" and "\n" not in text[before[1] : here[0]]:
            joined[-1] = (joined[-1][0], here[1])
        else:
            joined.append(here)
    return joined
