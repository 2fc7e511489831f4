"""From judgements to votes on pairs of candidates, to games between models, and to looks at the screen."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from typing import NamedTuple

from workbench.analysis.ratings import Game
from workbench.domain.judgement import COUNTING
from workbench.domain.said import Said, Shape

Unit = dict[str, str]  # annotator → vote on one pair of candidates
Units = Sequence[Sequence[Unit]]  # by item: the pairs of one item stand or fall together
FIRST, TIE, SECOND, ALL_BAD = "first", "tie", "second", "all bad"
ORDERED = (FIRST, TIE, SECOND)
VOTES = (*ORDERED, ALL_BAD)
SCORE = {FIRST: 1.0, SECOND: 0.0, TIE: 0.5, ALL_BAD: 0.5}


class Sorted(NamedTuple):
    """Judgements by what they are for.

    `current` holds what counts: each annotator's newest label of each item. `votes` is the same without adjudications, which are
    asked for where people disagree and would bias agreement. `settled` are the items that an adjudication has decided. `repeats` pairs
    each repeat with what the same annotator had said before, both without skips. `made` is everything that stands.
    """

    made: Sequence[Said]
    current: Sequence[Said]
    votes: Sequence[Said]
    settled: frozenset[str]
    repeats: Sequence[tuple[Said, Said]]


def sort_out(made: Sequence[Said]) -> Sorted:
    """Tell labels, adjudications and repeats apart; `made` is in the order of making, at least for each item."""
    current: dict[tuple[str, str], Said] = {}
    before: dict[tuple[str, str], Said] = {}
    repeats: list[tuple[Said, Said]] = []
    for said in made:
        key = said.item, said.annotator
        if said.purpose in COUNTING:
            current[key] = said
        if said.outcome == "skipped":
            continue
        if said.purpose == "repeat" and key in before:
            repeats.append((before[key], said))
        before[key] = said
    counting = list(current.values())
    settled = frozenset(s.item for s in counting if s.purpose == "adjudication" and s.outcome != "skipped")
    return Sorted(made, counting, [s for s in counting if s.purpose == "label"], settled, repeats)


def pair_votes(ranks: Sequence[int], outcome: str, size: int) -> dict[tuple[int, int], str]:
    """What a judgement says about every pair of an item's candidates; nothing for a skip."""
    if outcome == "all_bad":
        return dict.fromkeys(combinations(range(size), 2), ALL_BAD)
    if not ranks:
        return {}
    if len(ranks) == 2:
        return {(0, 1): FIRST if ranks[0] < ranks[1] else SECOND if ranks[0] > ranks[1] else TIE}
    return {
        (a, b): TIE if ranks[a] == ranks[b] else FIRST if ranks[a] < ranks[b] else SECOND
        for a, b in combinations(range(len(ranks)), 2)
    }


def units_of(said: Iterable[Said]) -> dict[str, list[Unit]]:
    """For each item: for each of its pairs of candidates, who voted what."""
    found: dict[str, dict[tuple[int, int], Unit]] = {}
    for one in said:
        here = found.setdefault(one.item, {})
        for pair, vote in pair_votes(one.ranks, one.outcome, len(one.shown)).items():
            here.setdefault(pair, {})[one.annotator] = vote
    return {item: list(pairs.values()) for item, pairs in found.items()}


def units_of_aspects(said: Iterable[Said]) -> dict[str, dict[str, list[Unit]]]:
    """For each dimension of the guidelines: its votes, as `units_of` gives those of the ranking over all."""
    found: dict[str, dict[str, dict[tuple[int, int], Unit]]] = {}
    for one in said:
        for name, ranks in one.aspects:
            here = found.setdefault(name, {}).setdefault(one.item, {})
            for pair, vote in pair_votes(ranks, "ranked", len(ranks)).items():
                here.setdefault(pair, {})[one.annotator] = vote
    return {
        name: {item: list(pairs.values()) for item, pairs in items.items()} for name, items in sorted(found.items())
    }


def deciding(sorted_: Sorted) -> list[Said]:
    """The labels that models are compared by, in the order of time: an adjudication alone where there is one."""
    kept = [s for s in sorted_.current if s.item not in sorted_.settled or s.purpose == "adjudication"]
    return sorted(kept, key=lambda s: s.created)


def games_of(said: Iterable[Said], shapes: Mapping[str, Shape]) -> list[Game]:
    """Every pair of candidates by different, known models as a game; "all bad" is a tie."""
    games: list[Game] = []
    for one in said:
        models = shapes[one.item].models
        if len(models) == 2 and models[0] == models[1]:
            continue
        for (a, b), vote in pair_votes(one.ranks, one.outcome, len(models)).items():
            first, second = models[a], models[b]
            if first and second and first != second:
                games.append((first, second, SCORE[vote]))
    return games


def picks(said: Iterable[Said]) -> dict[str, tuple[int, int]]:
    """(left, right) strict choices between two responses on the screen, by annotator."""
    found: dict[str, list[int]] = {}
    for one in said:
        if one.seen and len(one.ranks) == 2 and one.ranks[0] != one.ranks[1]:
            best = 0 if one.ranks[0] == 0 else 1
            found.setdefault(one.annotator, [0, 0])[one.shown.index(best)] += 1
    return {who: (left, right) for who, (left, right) in sorted(found.items())}
