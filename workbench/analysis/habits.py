"""How people label: whether they agree with themselves, favour length, slow down or hurry; and where preferences run in circles."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import median

from workbench.analysis.order import wilson
from workbench.analysis.ratings import Game
from workbench.domain.judgement import Item, Judgement

PAUSE_MS = 300_000  # who looks at one item for longer was away
SESSION_GAP = 1800.0  # seconds without a label after which a new sitting begins


@dataclass(frozen=True)
class Share:
    """A share of `count` cases with Wilson's 95 % interval."""

    value: float
    low: float
    high: float
    count: int


@dataclass(frozen=True)
class Pace:
    """Median seconds for an item, and how much longer (above 1) or shorter the last third of a sitting takes than its first."""

    seconds: float
    drift: float | None
    items: int


def share(successes: int, count: int) -> Share | None:
    """A share with its interval; None of no cases."""
    if not count:
        return None
    return Share(successes / count, *wilson(successes, count), count)


def self_consistency(said: Iterable[Judgement]) -> Share | None:
    """How often an annotator who judged an item more than once said the same again, over all ordered repeats.

    Takes every judgement that was made, those that a later one replaced too; skips say nothing.
    """
    same = total = 0
    before: dict[tuple[str, str], Judgement] = {}
    for judgement in sorted(said, key=lambda j: j.created):
        if judgement.outcome == "skipped":
            continue
        key = judgement.annotator, judgement.item
        if key in before:
            total += 1
            same += _verdict(before[key]) == _verdict(judgement)
        before[key] = judgement
    return share(same, total)


def _verdict(judgement: Judgement) -> object:
    return judgement.ranking and tuple(tuple(sorted(tier)) for tier in judgement.ranking.tiers)


def longer_wins(items: Mapping[str, Item], said: Iterable[Judgement]) -> Share | None:
    """How often the longer of two responses is preferred, over strict preferences between responses of different length (characters).

    One half means that length doesn't matter, or matters through quality only; compare it with what gold items say.
    """
    wins = total = 0
    for judgement in said:
        if judgement.ranking is None or judgement.item not in items:
            continue
        sizes = [len(candidate.text) for candidate in items[judgement.item].candidates]
        for better, worse in combinations(judgement.ranking.tiers, 2):
            for a in better:
                for b in worse:
                    total += sizes[a] != sizes[b]
                    wins += sizes[a] > sizes[b]
    return share(wins, total)


def pace(said: Iterable[Judgement]) -> dict[str, Pace]:
    """Each person's time for an item, over judgements that were made on the screen."""
    mine: dict[str, list[Judgement]] = {}
    for judgement in sorted(said, key=lambda j: j.created):
        if judgement.annotator_kind == "person" and 0 < judgement.milliseconds < PAUSE_MS:
            mine.setdefault(judgement.annotator, []).append(judgement)
    return {who: Pace(median(j.milliseconds for j in own) / 1000, _drift(own), len(own)) for who, own in mine.items()}


def _drift(own: Sequence[Judgement]) -> float | None:
    first: list[int] = []
    last: list[int] = []
    for sitting in _sittings(own):
        third = len(sitting) // 3
        if third >= 3:
            first += [j.milliseconds for j in sitting[:third]]
            last += [j.milliseconds for j in sitting[-third:]]
    return median(last) / median(first) if first else None


def _sittings(own: Sequence[Judgement]) -> list[list[Judgement]]:
    found: list[list[Judgement]] = []
    for judgement in own:
        if found and (judgement.created - found[-1][-1].created).total_seconds() <= SESSION_GAP:
            found[-1].append(judgement)
        else:
            found.append([judgement])
    return found


def circles(games: Iterable[Game]) -> tuple[int, int]:
    """(circular triples, triples): of three models that all met, the majority prefers A to B, B to C and C to A (Kendall & Babington Smith 1940).

    A pair without a majority makes no triple.
    """
    score: dict[tuple[str, str], float] = {}
    for first, second, result in games:
        a, b, value = (first, second, result) if first < second else (second, first, 1.0 - result)
        score[a, b] = score.get((a, b), 0.0) + value - 0.5
    beats = {pair: value > 0 for pair, value in score.items() if value != 0}
    names = sorted({name for pair in beats for name in pair})
    found = total = 0
    for a, b, c in combinations(names, 3):
        if {(a, b), (b, c), (a, c)} <= beats.keys():
            total += 1
            # A circle when both ways round lead back: a>b>c>a or the reverse.
            found += beats[a, b] == beats[b, c] != beats[a, c]
    return found, total
