"""How people label: whether they agree with themselves and with known answers, favour a side or length, slow down or hurry."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, tzinfo
from statistics import median, quantiles

from workbench.analysis.order import wilson
from workbench.analysis.votes import pair_votes, picks
from workbench.domain.said import Ranks, Said, Shape

PAUSE_MS = 300_000  # who looks at one item for longer was away
SESSION_GAP = 1800.0  # seconds without a label after which a new sitting begins
SITTING_MINUTES = 5
SITTING_BINS = 24
FEWEST = 5  # labels in a part of a sitting, below which its median says nothing
LENGTH_BINS = 6


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


@dataclass(frozen=True)
class Stretch:
    """Seconds for an item in one part of a sitting, `minute` after its beginning: median and quartiles of `count` labels."""

    minute: int
    low: float
    middle: float
    high: float
    count: int


@dataclass(frozen=True)
class LengthBin:
    """How often the longer of two responses won where their lengths differ by `low` … `high` characters."""

    low: int
    high: int
    share: Share


def share(successes: float, count: int) -> Share | None:
    """A share with its interval; None of no cases."""
    if not count:
        return None
    return Share(successes / count, *wilson(successes, count), count)


def left_picks(said: Iterable[Said]) -> dict[str, Share]:
    """How often each annotator took the response at the left, of strict choices between two on the screen."""
    return {who: found for who, (left, right) in picks(said).items() if (found := share(left, left + right))}


def self_consistency(repeats: Iterable[tuple[Said, Said]]) -> dict[str, Share]:
    """How often each annotator said the same when an item came again with its places swapped.

    Of an item with more than two candidates the share of its pairs counts; `count` is of repeats.
    """
    same: dict[str, list[float]] = {}
    for before, again in repeats:
        size = len(again.shown)
        first, second = (pair_votes(s.ranks, s.outcome, size) for s in (before, again))
        if first and second:
            agreed = sum(vote == second.get(pair) for pair, vote in first.items())
            same.setdefault(again.annotator, []).append(agreed / len(first))
    return {who: found for who, shares in sorted(same.items()) if (found := share(sum(shares), len(shares)))}


def gold_accuracy(said: Iterable[Said], golds: Mapping[str, Ranks]) -> dict[str, Share]:
    """How often each annotator gave the known answer of gold items; skips don't count, "all bad" is wrong where one is better.

    Of an item with more than two candidates the share of the pairs that the answer orders counts; `count` is of items.
    """
    right: dict[str, list[float]] = {}
    for one in said:
        if one.item not in golds or one.outcome == "skipped":
            continue
        known = pair_votes(golds[one.item], "ranked", len(one.shown))
        votes = pair_votes(one.ranks, one.outcome, len(one.shown))
        asked = {pair: vote for pair, vote in known.items() if vote != "tie"} or known
        given = sum(votes.get(pair) == vote for pair, vote in asked.items())
        right.setdefault(one.annotator, []).append(given / len(asked))
    return {who: found for who, shares in sorted(right.items()) if (found := share(sum(shares), len(shares)))}


def overall(shares: Mapping[str, Share]) -> Share | None:
    """The shares of several annotators as one."""
    return share(sum(s.value * s.count for s in shares.values()), sum(s.count for s in shares.values()))


def length_gaps(shapes: Mapping[str, Shape], said: Iterable[Said]) -> Counter[int]:
    """Characters that the preferred response is longer (below 0: shorter), over strict preferences; equal lengths are left out."""
    gaps: Counter[int] = Counter()
    for one in said:
        if not one.ranks:
            continue
        lengths = shapes[one.item].lengths
        for a, mine in enumerate(one.ranks):
            for b in range(a + 1, len(one.ranks)):
                if mine != one.ranks[b] and lengths[a] != lengths[b]:
                    gaps[(lengths[a] - lengths[b]) * (1 if mine < one.ranks[b] else -1)] += 1
    return gaps


def longer_wins(gaps: Mapping[int, int]) -> Share | None:
    """How often the longer of two responses is preferred, over strict preferences between responses of different length.

    One half means that length doesn't matter, or matters through quality only; compare it with what gold items say.
    """
    return share(sum(n for gap, n in gaps.items() if gap > 0), sum(gaps.values()))


def by_length(gaps: Mapping[int, int], bins: int = LENGTH_BINS) -> list[LengthBin]:
    """The same by how much the lengths differ, in parts with about as many preferences each."""
    sizes: Counter[int] = Counter()
    for gap, n in gaps.items():
        sizes[abs(gap)] += n
    total = sum(sizes.values())
    made: list[LengthBin] = []
    wins = count = low = 0
    for size in sorted(sizes):
        low = low or size
        wins, count = wins + gaps.get(size, 0), count + sizes[size]
        done = sum(part.share.count for part in made) + count
        if done >= total * (len(made) + 1) / bins or done == total:
            found = share(wins, count)
            assert found is not None
            made.append(LengthBin(low, size, found))
            wins = count = low = 0
    return made


def pace(said: Iterable[Said]) -> dict[str, Pace]:
    """Each person's time for an item, over judgements that were made on the screen."""
    return {
        who: Pace(median(s.milliseconds for s in own) / 1000, _drift(own), len(own))
        for who, own in sorted(_timed(said).items())
    }


def sitting(said: Iterable[Said]) -> dict[str, list[Stretch]]:
    """Each person's time for an item by how long the sitting has lasted, in parts of five minutes."""
    found = {}
    for who, own in sorted(_timed(said).items()):
        parts: dict[int, list[float]] = {}
        for session in _sittings(own):
            for one in session:
                part = int((one.created - session[0].created) // (60 * SITTING_MINUTES))
                if part < SITTING_BINS:
                    parts.setdefault(part, []).append(one.milliseconds / 1000)
        stretches = []
        for part, seconds in sorted(parts.items()):
            if len(seconds) >= FEWEST:
                low, middle, high = quantiles(seconds, n=4, method="inclusive")
                stretches.append(Stretch(part * SITTING_MINUTES, low, middle, high, len(seconds)))
        if stretches:
            found[who] = stretches
    return found


def days(said: Iterable[Said], zone: tzinfo | None = None) -> dict[str, dict[date, int]]:
    """How many judgements each person made on the screen on each day; by this machine's clock without a zone."""
    found: dict[str, Counter[date]] = {}
    for one in said:
        if one.kind == "person" and one.seen:
            day = datetime.fromtimestamp(one.created, zone).date()
            found.setdefault(one.annotator, Counter())[day] += 1
    return {who: dict(sorted(counts.items())) for who, counts in sorted(found.items())}


def _timed(said: Iterable[Said]) -> dict[str, list[Said]]:
    mine: dict[str, list[Said]] = {}
    for one in sorted(said, key=lambda s: s.created):
        if one.kind == "person" and 0 < one.milliseconds < PAUSE_MS:
            mine.setdefault(one.annotator, []).append(one)
    return mine


def _drift(own: Sequence[Said]) -> float | None:
    first: list[int] = []
    last: list[int] = []
    for session in _sittings(own):
        third = len(session) // 3
        if third >= 3:
            first += [s.milliseconds for s in session[:third]]
            last += [s.milliseconds for s in session[-third:]]
    return median(last) / median(first) if first else None


def _sittings(own: Sequence[Said]) -> list[list[Said]]:
    found: list[list[Said]] = []
    for one in own:
        if found and one.created - found[-1][-1].created <= SESSION_GAP:
            found[-1].append(one)
        else:
            found.append([one])
    return found
