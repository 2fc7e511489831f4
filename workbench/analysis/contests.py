"""What a person should look at again: items that annotators differ on, and preferences that run in circles; and who beats whom."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from workbench.analysis.habits import Share, share
from workbench.analysis.ratings import Game
from workbench.analysis.votes import SCORE, Sorted, Unit, pair_votes
from workbench.domain.said import Said, Shape

Edge = tuple[Hashable, Hashable]


@dataclass(frozen=True)
class Dispute:
    """An item whose annotators differ on `share` of their pairs of votes; `voices` says what each of them said, by name."""

    item: str
    position: int
    share: float
    voices: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Circle:
    """Three models or responses of which the majority prefers each to the next and the last to the first; `items` made it so."""

    names: tuple[str, str, str]
    items: tuple[str, ...]


@dataclass(frozen=True)
class WinRate:
    """How one model fares against another: ties count half in the share."""

    first: str
    second: str
    wins: int
    ties: int
    losses: int
    share: Share


def disputes(sorted_: Sorted, units: Mapping[str, Sequence[Unit]], shapes: Mapping[str, Shape]) -> list[Dispute]:
    """Items that nobody has settled, those with most disagreement first."""
    found = {}
    for item, pairs in units.items():
        same = total = 0
        for unit in pairs:
            votes = list(unit.values())
            total += len(votes) * (len(votes) - 1) // 2
            same += sum(a == b for a, b in combinations(votes, 2))
        if same < total and item not in sorted_.settled:
            found[item] = 1 - same / total
    voices: dict[str, dict[str, str]] = {item: {} for item in found}
    for one in sorted_.votes:
        if one.item in voices:
            voices[one.item][one.annotator] = in_words(one)
    listed = [
        Dispute(item, shapes[item].position, value, tuple(sorted(voices[item].items())))
        for item, value in found.items()
    ]
    return sorted(listed, key=lambda d: (-d.share, -len(d.voices), d.position))


def in_words(said: Said) -> str:
    """A judgement by the numbers of the candidates: `2 ≻ 1 = 3`."""
    if said.outcome != "ranked":
        return "all bad" if said.outcome == "all_bad" else "skipped"
    tiers: dict[int, list[str]] = {}
    for candidate, tier in enumerate(said.ranks):
        tiers.setdefault(tier, []).append(str(candidate + 1))
    return " ≻ ".join(" = ".join(names) for _, names in sorted(tiers.items()))


def win_rates(games: Iterable[Game]) -> dict[tuple[str, str], WinRate]:
    """Every model against every other that it met, both ways round."""
    counts: dict[tuple[str, str], list[int]] = {}
    for first, second, score in games:
        result = 1 if score == 0.5 else 0 if score > 0.5 else 2
        counts.setdefault((first, second), [0, 0, 0])[result] += 1
        counts.setdefault((second, first), [0, 0, 0])[2 - result] += 1
    found = {}
    for (a, b), (wins, ties, losses) in sorted(counts.items()):
        value = share(wins + ties / 2, wins + ties + losses)
        assert value is not None
        found[a, b] = WinRate(a, b, wins, ties, losses, value)
    return found


def circles(games: Iterable[Game]) -> tuple[int, int]:
    """(circular triples, triples): of three models that all met, the majority prefers A to B, B to C and C to A (Kendall & Babington Smith 1940).

    A pair without a majority makes no triple.
    """
    score: dict[Edge, float] = {}
    for first, second, result in games:
        _add(score, first, second, result)
    beats = _beats(score)
    total = sum(
        1
        for a, b in beats
        for c in {y for x, y in beats if x == b} | {x for x, y in beats if y == b}
        if (a, c) in beats or (c, a) in beats
    )
    return len(_cycles(beats)), total // 3


def model_circles(games_by_item: Iterable[tuple[str, Sequence[Game]]]) -> list[Circle]:
    """Circles of models, each with the items that speak against the model that is ahead in the closest of its three pairs."""
    score: dict[Edge, float] = {}
    where: dict[Edge, list[str]] = {}
    for item, games in games_by_item:
        for first, second, result in games:
            _add(score, first, second, result)
            if result != 0.5:
                where.setdefault((first, second) if result > 0.5 else (second, first), []).append(item)
    found = []
    for ring in _cycles(_beats(score)):
        closest = min(_edges(ring), key=lambda edge: abs(score.get(edge, 0.0)) + abs(score.get(edge[::-1], 0.0)))
        items = where.get(closest[::-1], []) or where.get(closest, [])
        found.append(Circle(tuple(map(str, ring)), tuple(dict.fromkeys(items))[:20]))  # type: ignore[arg-type]
    return found


def response_circles(
    votes: Iterable[Said], shapes: Mapping[str, Shape], same: Callable[[str, int], Hashable]
) -> list[Circle]:
    """Circles of responses to one prompt, by the majority of all votes, within an item or over several.

    `same(item, candidate)` tells which candidates of different items are the same response.
    """
    score: dict[int, dict[Edge, float]] = {}
    where: dict[Edge, dict[str, None]] = {}
    names: dict[Hashable, str] = {}
    for one in votes:
        shape = shapes[one.item]
        for (a, b), vote in pair_votes(one.ranks, one.outcome, len(one.shown)).items():
            first, second = same(one.item, a), same(one.item, b)
            if first != second:
                names.setdefault(first, f"{shape.position + 1}/{a + 1}")
                names.setdefault(second, f"{shape.position + 1}/{b + 1}")
                _add(score.setdefault(shape.prompt, {}), first, second, SCORE[vote])
                for edge in ((first, second), (second, first)):
                    where.setdefault(edge, {})[one.item] = None
    found = []
    for edges in score.values():
        for ring in _cycles(_beats(edges)) if len(edges) > 2 else ():
            items = dict.fromkeys(item for edge in _edges(ring) for item in where[edge])
            called = [names[one] for one in ring]
            start = called.index(min(called))  # whatever the keys are, the circle reads the same
            first, second, third = called[start:] + called[:start]
            found.append(Circle((first, second, third), tuple(items)))
    return sorted(found, key=lambda circle: circle.items)


def _add(score: dict[Edge, float], first: Hashable, second: Hashable, result: float) -> None:
    if (second, first) in score:
        score[second, first] -= result - 0.5
    else:
        score[first, second] = score.get((first, second), 0.0) + result - 0.5


def _beats(score: Mapping[Edge, float]) -> set[Edge]:
    """(winner, loser) of every pair with a majority."""
    return {(a, b) if value > 0 else (b, a) for (a, b), value in score.items() if value != 0}


def _cycles(beats: set[Edge]) -> list[tuple[Hashable, Hashable, Hashable]]:
    """Every circle of three once, from its least member on."""
    after: dict[Hashable, list[Hashable]] = {}
    for winner, loser in beats:
        after.setdefault(winner, []).append(loser)
    found = set()
    for a, b in beats:
        for c in after.get(b, ()):
            if (c, a) in beats:
                ring = (a, b, c)
                start = min(range(3), key=lambda i: repr(ring[i]))
                found.add(ring[start:] + ring[:start])
    return sorted(found, key=repr)  # type: ignore[arg-type]


def _edges(ring: Sequence[Hashable]) -> list[Edge]:
    return [(ring[i], ring[(i + 1) % len(ring)]) for i in range(len(ring))]
