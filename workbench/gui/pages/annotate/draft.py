"""A judgement in the making: which keys were pressed on the item that is shown. No Qt, no service."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

from workbench.domain.judgement import Aspect, Judgement, Outcome, Ranking, SkipReason
from workbench.domain.queues import Dimension

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
        return Verdict("ranked", _ranking(self.shown, tiers), strength)


@dataclass
class Sheet:
    """Everything that is said of one item before it is committed: a draft for each dimension of the guidelines, one at a
    time, and last the draft over all, whose verdict commits. A dimension may be left out; one that was begun is finished.
    """

    shown: tuple[int, ...]
    dimensions: tuple[Dimension, ...] = ()
    here: int = 0
    drafts: list[Draft] = field(init=False)

    def __post_init__(self) -> None:
        self.drafts = [Draft(self.shown) for _ in range(len(self.dimensions) + 1)]

    @property
    def draft(self) -> Draft:
        """What keys act on now."""
        return self.drafts[self.here]

    @property
    def overall(self) -> Draft:
        """The ranking over all."""
        return self.drafts[-1]

    @property
    def last(self) -> bool:
        """Whether the ranking over all is on show, so that a verdict commits."""
        return self.here == len(self.drafts) - 1

    @property
    def aspects(self) -> tuple[Aspect, ...]:
        """The dimensions that are ranked to the end."""
        return tuple(
            Aspect(name=dimension.name, ranking=_ranking(self.shown, draft.tiers))
            for dimension, draft in zip(self.dimensions, self.drafts)
            if draft.tiers and not draft.open
        )

    @property
    def begun(self) -> int | None:
        """The first dimension that has some places and not all of them, None when there is none."""
        return next((i for i, d in enumerate(self.drafts[:-1]) if d.tiers and d.open), None)

    def turn(self, step: int) -> bool:
        """Go on by `step` dimensions; False when there is none in that direction."""
        return self.go(self.here + step)

    def go(self, place: int) -> bool:
        """Show this dimension; the one after the last is the ranking over all."""
        if not 0 <= place < len(self.drafts):
            return False
        self.draft.levelling = False
        self.here = place
        return True

    def press(self, place: int, *, much: bool = False) -> Verdict | None:
        """The digit key of a place. How much better is asked over all only."""
        return None if much and not self.last else self.take(self.draft.press(place, much=much))

    def level(self) -> Verdict | None:
        """The key 0."""
        return self.take(self.draft.level())

    def accept(self) -> Verdict | None:
        """The key Enter; on a dimension of two that is ranked already, it goes on."""
        if self.draft.pair and self.draft.tiers and not self.last:
            self.turn(1)
            return None
        return self.take(self.draft.accept())

    def take(self, verdict: Verdict | None) -> Verdict | None:
        """A verdict of the draft on show: kept with its dimension, and then comes the next; over all, it's what commits."""
        if verdict is None or verdict.ranking is None or self.last:
            return verdict
        self.draft.tiers = [[self.shown.index(c) for c in tier] for tier in verdict.ranking.tiers]
        self.turn(1)
        return None

    def proposed(self) -> tuple[Ranking, int, bool]:
        """What a label would say now: the ranking over all so far, else of two that A is better; False where it's neither."""
        if self.overall.pair:
            return _ranking(self.shown, self.overall.tiers or [[0], [1]]), 1, True
        rest = [self.overall.open] if self.overall.open else []
        return _ranking(self.shown, [*self.overall.tiers, *rest]), 1, len(self.overall.open) <= 1

    def remember(self, judgement: Judgement | None) -> None:
        """Start from what was said before."""
        if judgement is None:
            return
        self.overall.remember(judgement)
        said = {aspect.name: aspect.ranking.tiers for aspect in judgement.aspects}
        for dimension, draft in zip(self.dimensions, self.drafts):
            draft.tiers = [[self.shown.index(c) for c in tier] for tier in said.get(dimension.name, ())]

    def body(self) -> dict[str, Any]:
        """The rankings so far, in candidate indices, as a draft is kept; empty when nothing was said."""
        aspects = {d.name: self._candidates(draft) for d, draft in zip(self.dimensions, self.drafts) if draft.tiers}
        found: dict[str, Any] = {"aspects": aspects} if aspects else {}
        return found | ({"tiers": self._candidates(self.overall)} if self.overall.tiers else {})

    def restore(self, body: dict[str, Any]) -> None:
        """Take rankings of a kept draft; what doesn't fit this item is left out."""
        self.overall.tiers = self._places(body.get("tiers", ()))
        aspects = body.get("aspects") or {}
        for dimension, draft in zip(self.dimensions, self.drafts):
            draft.tiers = self._places(aspects.get(dimension.name, ()))
        self.here = next((i for i, d in enumerate(self.drafts[:-1]) if not d.tiers or d.open), len(self.drafts) - 1)

    def _candidates(self, draft: Draft) -> list[list[int]]:
        return [[self.shown[place] for place in tier] for tier in draft.tiers]

    def _places(self, tiers: Sequence[Sequence[int]]) -> list[list[int]]:
        flat = [candidate for tier in tiers for candidate in tier]
        if len(set(flat)) != len(flat) or not set(flat) <= set(self.shown) or not all(tiers):
            return []
        return [[self.shown.index(candidate) for candidate in tier] for tier in tiers]


def _ranking(shown: tuple[int, ...], tiers: Sequence[Sequence[int]]) -> Ranking:
    return Ranking(tiers=tuple(tuple(sorted(shown[p] for p in tier)) for tier in tiers))


def in_words(judgement: Judgement) -> str:
    """A judgement as it is shown after it was made, in the letters that stood over the cards: "A ≻ B", "C ≻ A = B"."""
    if judgement.outcome == "all_bad":
        return "all bad"
    if judgement.ranking is None:
        return f"skipped ({(judgement.skip_reason or 'other').replace('_', ' ')})"
    return tiers_in_words(judgement.shown, judgement.ranking, judgement.strength)


def tiers_in_words(shown: Sequence[int], ranking: Ranking, strength: int = 1) -> str:
    """A ranking in the letters that stood over the cards."""
    sign = " ≻≻ " if strength == 2 else " ≻ "
    places = [sorted(shown.index(c) for c in tier) for tier in ranking.tiers]
    return sign.join(" = ".join(LETTERS[p] for p in tier) for tier in places)


def all_in_words(judgement: Judgement) -> str:
    """The same with what was said of each dimension: "A ≻ B (Helpful B ≻ A, Harmless A = B)"."""
    said = [f"{a.name} {tiers_in_words(judgement.shown, a.ranking)}" for a in judgement.aspects]
    return in_words(judgement) + (f" ({', '.join(said)})" if said else "")
