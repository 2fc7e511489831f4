"""Where columns part: the first character in which a text differs from another one that has come as far."""

from __future__ import annotations

from collections.abc import Sequence


class Partings:
    """Keeps the places where pairs of growing texts part; a pair that has parted is not looked at again."""

    def __init__(self) -> None:
        self._parted: dict[tuple[int, int], int] = {}

    def look(self, texts: Sequence[str], done: Sequence[bool]) -> list[int | None]:
        """For each text the earliest offset where it parts from any other, or None.

        A text that ended parts where the other goes on.
        """
        places: list[int | None] = [None] * len(texts)
        for one in range(len(texts)):
            for other in range(one + 1, len(texts)):
                place = self._pair(one, other, texts, done)
                if place is not None:
                    for column in (one, other):
                        here = places[column]
                        places[column] = place if here is None else min(here, place)
        return places

    def _pair(self, one: int, other: int, texts: Sequence[str], done: Sequence[bool]) -> int | None:
        known = self._parted.get((one, other))
        if known is not None:
            return known
        same = _common(texts[one], texts[other])
        short, long = sorted((one, other), key=lambda column: len(texts[column]))
        parted = same < len(texts[short]) or (done[short] and same < len(texts[long]))
        if not parted:
            return None
        self._parted[one, other] = same
        return same


def _common(one: str, other: str) -> int:
    """How many characters two texts share at their beginning."""
    size = min(len(one), len(other))
    if one[:size] == other[:size]:
        return size
    return next(place for place in range(size) if one[place] != other[place])
