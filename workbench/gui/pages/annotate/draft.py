"""A judgement in the making: which keys were pressed on the item that is shown. No Qt, no service."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import chain

from workbench.domain.judgement import Judgement, Outcome, Ranking, SkipReason

LETTERS = "ABCDEFGHI"


@dataclass(frozen=True)
class Verdict:
    """What is to be recorded; the ranking speaks of candidate indices."""

    outcome: Outcome
    ranking: Ranking | None = None
    strength: int = 1
    skip_reason: SkipReason | None = None


@dataclass
class Draft:
    """The tiers built so far, in screen places (0 is the leftmost card); `shown[place]` is the candidate's index.

    With two candidates one key is a verdict. With three and more, keys place candidates one after the other, the same key
    takes one back, `level` puts the next one beside the last placed, and `accept` makes the verdict.
    """

    shown: tuple[int, ...]
    tiers: list[list[int]] = field(default_factory=list)
    levelling: bool = False

    @property
    def pair(self) -> bool:
        """Whether there are only two candidates."""
        return len(self.shown) == 2

    @property
    def placed(self) -> set[int]:
        """Screen places that have a rank."""
        return set(chain.from_iterable(self.tiers))

    @property
    def open(self) -> list[int]:
        """Screen places that have no rank yet, from left to right."""
        return [place for place in range(len(self.shown)) if place not in self.placed]

    def rank_of(self, place: int) -> int | None:
        """The rank of a place from 1, ties sharing it (1, 2, 2, 4), or None while it has none."""
        before = 0
        for tier in self.tiers:
            if place in tier:
                return before + 1
            before += len(tier)
        return None

    def press(self, place: int, *, much: bool = False) -> Verdict | None:
        """The digit key of a place; with two candidates this is the verdict. A place that isn't there does nothing."""
        if not 0 <= place < len(self.shown):
            return None
        if self.pair:
            return self._verdict([[place], [1 - place]], strength=2 if much else 1)
        if much:
            return None
        if place in self.placed:
            self.tiers = [rest for tier in self.tiers if (rest := [p for p in tier if p != place])]
            self.levelling = self.levelling and bool(self.tiers)
        elif self.levelling:
            self.tiers[-1].append(place)
            self.levelling = False
        else:
            self.tiers.append([place])
        return None

    def level(self) -> Verdict | None:
        """The key 0: a tie of two; with more, the next place goes level with the last (pressed again: it doesn't)."""
        if self.pair:
            return self._verdict([[0, 1]])
        self.levelling = not self.levelling and bool(self.tiers) and bool(self.open)
        return None

    def move(self, place: int, tier: int, *, level: bool) -> None:
        """Put a place into an existing tier (`level`) or into a new one before tier `tier`; used by dragging."""
        target = self.tiers[tier] if level and 0 <= tier < len(self.tiers) else None
        for members in self.tiers:
            if place in members:
                members.remove(place)
        if target is not None:
            target.append(place)
        else:
            self.tiers.insert(max(0, min(tier, len(self.tiers))), [place])
        self.tiers = [members for members in self.tiers if members]
        self.levelling = False

    def accept(self) -> Verdict | None:
        """The key Enter: the verdict when all have a rank; a single one left over goes last. None while more are open."""
        if self.pair or len(self.open) > 1:
            return None
        return self._verdict([*self.tiers, self.open] if self.open else self.tiers)

    def all_bad(self) -> Verdict:
        """The key x."""
        return Verdict("all_bad")

    def skip(self, reason: SkipReason) -> Verdict:
        """The key s and a reason."""
        return Verdict("skipped", skip_reason=reason)

    def remember(self, judgement: Judgement | None) -> None:
        """Start from an earlier ranking, so that one change doesn't ask for all keys again (three and more)."""
        if judgement is None or judgement.ranking is None or self.pair:
            return
        self.tiers = [[self.shown.index(c) for c in tier] for tier in judgement.ranking.tiers]

    def _verdict(self, tiers: list[list[int]], strength: int = 1) -> Verdict:
        ranking = Ranking(tiers=tuple(tuple(sorted(self.shown[p] for p in tier)) for tier in tiers))
        return Verdict("ranked", ranking, strength)


def in_words(judgement: Judgement) -> str:
    """A judgement as it is shown after it was made, in the letters that stood over the cards: "A ≻ B", "C ≻ A = B"."""
    if judgement.outcome == "all_bad":
        return "all bad"
    if judgement.ranking is None:
        return f"skipped ({(judgement.skip_reason or 'other').replace('_', ' ')})"
    sign = " ≻≻ " if judgement.strength == 2 else " ≻ "
    places = [sorted(judgement.shown.index(c) for c in tier) for tier in judgement.ranking.tiers]
    return sign.join(" = ".join(LETTERS[p] for p in tier) for tier in places)
