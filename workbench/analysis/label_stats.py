"""What the labels of a dataset say together: agreement, order bias and ratings of models, in the shape of `label stats`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from itertools import combinations
from typing import Any

from workbench.analysis.agreement import cohen_kappas, fleiss_kappa, krippendorff_alpha, raw_agreement
from workbench.analysis.alpha import Interval, Measure, alpha, bootstrap
from workbench.analysis.consensus import dawid_skene
from workbench.analysis.habits import Pace, Share, circles, longer_wins, pace
from workbench.analysis.order import left_pick_rate
from workbench.analysis.ratings import Game, bradley_terry, elo, tally
from workbench.analysis.tied_ratings import tied_ratings
from workbench.domain.judgement import Item, Judgement

Votes = list[dict[str, str]]
ORDERED = ("first", "tie", "second")
BOOTSTRAP_PAIRS = 20_000  # beyond so many pairs an interval is narrower than anybody reads, and takes seconds
MEASURES: dict[str, Measure] = {"raw": raw_agreement, "fleiss_kappa": fleiss_kappa, "alpha_nominal": krippendorff_alpha}


@dataclass(frozen=True)
class Rating:
    """One model's Bradley-Terry log-strength with 95 % interval (None without a finite one), its Elo, and its results."""

    model: str
    bradley_terry: float | None
    low: float | None
    high: float | None
    elo: float
    wins: int
    ties: int
    losses: int


@dataclass(frozen=True)
class LabelStats:
    """Statistics of the current judgements of one dataset; numbers are None where they are undefined."""

    items: int
    judgements: int
    annotators: tuple[str, ...]
    raw: float | None
    cohen_kappa: dict[str, float | None]
    fleiss_kappa: float | None
    alpha_nominal: float | None
    left_rate: float | None
    left_low: float | None
    left_high: float | None
    ratings: tuple[Rating, ...]
    alpha_ordinal: float | None = None
    intervals: Mapping[str, Interval] = field(default_factory=dict)
    consensus: Mapping[str, float] = field(default_factory=dict)
    longer_wins: Share | None = None
    pace: Mapping[str, Pace] = field(default_factory=dict)
    circles: tuple[int, int] = (0, 0)
    ties: float | None = None

    def as_json(self) -> dict[str, Any]:
        """The document that `workbench label stats --json` prints."""
        return {
            "items": self.items,
            "judgements": self.judgements,
            "annotators": list(self.annotators),
            "agreement": {
                "raw": self.raw,
                "cohen_kappa": self.cohen_kappa,
                "fleiss_kappa": self.fleiss_kappa,
                "alpha_nominal": self.alpha_nominal,
            },
            "order": {"left_rate": self.left_rate, "low": self.left_low, "high": self.left_high},
            "reliability": {
                "alpha_ordinal": self.alpha_ordinal,
                "intervals": {name: [found.low, found.high] for name, found in self.intervals.items()},
                "accuracy": dict(self.consensus),
            },
            "habits": {
                "longer_wins": asdict(self.longer_wins) if self.longer_wins else None,
                "pace": {who: asdict(found) for who, found in self.pace.items()},
            },
            "ratings": [vars(rating) for rating in self.ratings],
            "comparison": {"ties": self.ties, "circles": self.circles[0], "triples": self.circles[1]},
        }


def label_stats(items: Iterable[Item], judgements: Iterable[Judgement]) -> LabelStats:
    """Statistics of the current judgements (none undone) of some items; judgements of other items are passed over.

    Agreement is counted on pairs of candidates, so that rankings of any size compare: a vote is "first", "second" or "tie" for
    each pair, or "all bad"; skips are no votes. The ordinal alpha takes first < tie < second and leaves "all bad" out; intervals are
    bootstrapped over pairs; `consensus` says how often each annotator is right, by Dawid and Skene. Ratings take the same pairs
    where both candidates name different models; "all bad" is a tie there. Order bias looks at people's strict choices between two
    responses that they saw on the screen.
    """
    known = {item.id: item for item in items}
    said = sorted((j for j in judgements if j.item in known), key=lambda j: j.created)
    votes = _votes(said, known)
    games = _games(said, known)
    lefts, rights = _places(said)
    together = [unit for unit in votes if len(unit) > 1]
    ordered = [kept for unit in together if (kept := {who: v for who, v in unit.items() if v in ORDERED})]
    consensus = dawid_skene(together)
    davidson = tied_ratings(games, "davidson")
    rate, low, high = left_pick_rate(lefts, rights)
    return LabelStats(
        items=len({j.item for j in said}),
        judgements=len(said),
        annotators=tuple(sorted({j.annotator for j in said})),
        raw=raw_agreement(votes),
        cohen_kappa=cohen_kappas(votes),
        fleiss_kappa=fleiss_kappa(votes),
        alpha_nominal=krippendorff_alpha(votes),
        left_rate=rate,
        left_low=low,
        left_high=high,
        ratings=_ratings(games),
        alpha_ordinal=alpha(ordered, "ordinal", ORDERED),
        intervals=_intervals(together),
        consensus=consensus.accuracy if consensus else {},
        longer_wins=longer_wins(known, said),
        pace=pace(said),
        circles=circles(games),
        ties=davidson.ties if davidson else None,
    )


def _intervals(together: Votes) -> dict[str, Interval]:
    if len(together) > BOOTSTRAP_PAIRS:
        return {}
    found = {name: bootstrap(measure, together, rounds=400) for name, measure in MEASURES.items()}
    return {name: interval for name, interval in found.items() if interval is not None}


def agreement_of(datasets: Iterable[Iterable[Judgement]]) -> float | None:
    """Share in [0, 1] of all pairs of votes on the same two candidates that agree, as `LabelStats.raw` over several datasets.

    An item's name means one thing within a dataset only. None when nothing was judged twice.
    """
    units: Votes = []
    for judgements in datasets:
        votes: dict[tuple[str, int, int], dict[str, str]] = {}
        for judgement in judgements:
            for (a, b), vote in _pair_votes(judgement, len(judgement.shown)).items():
                votes.setdefault((judgement.item, a, b), {})[judgement.annotator] = vote
        units.extend(votes.values())
    return raw_agreement(units)


def _pair_votes(judgement: Judgement, size: int) -> dict[tuple[int, int], str]:
    """What a judgement says about every pair of candidates; nothing for a skip."""
    pairs = combinations(range(size), 2)
    if judgement.outcome == "all_bad":
        return dict.fromkeys(pairs, "all bad")
    if judgement.ranking is None:
        return {}
    tier = {c: t for t, tier in enumerate(judgement.ranking.tiers) for c in tier}
    return {(a, b): "tie" if tier[a] == tier[b] else "first" if tier[a] < tier[b] else "second" for a, b in pairs}


def _votes(said: list[Judgement], known: Mapping[str, Item]) -> Votes:
    units: dict[tuple[str, int, int], dict[str, str]] = {}
    for judgement in said:
        for (a, b), vote in _pair_votes(judgement, len(known[judgement.item].candidates)).items():
            units.setdefault((judgement.item, a, b), {})[judgement.annotator] = vote
    return list(units.values())


def _games(said: list[Judgement], known: Mapping[str, Item]) -> list[Game]:
    scores = {"first": 1.0, "second": 0.0, "tie": 0.5, "all bad": 0.5}
    games: list[Game] = []
    for judgement in said:
        candidates = known[judgement.item].candidates
        for (a, b), vote in _pair_votes(judgement, len(candidates)).items():
            one, other = candidates[a].model, candidates[b].model
            if one and other and one != other:
                games.append((one, other, scores[vote]))
    return games


def _places(said: list[Judgement]) -> tuple[int, int]:
    """(left picks, right picks); imported labels and those of rules were never on a screen."""
    picks = [0, 0]
    for judgement in said:
        seen = judgement.milliseconds > 0 or judgement.shown_seed != 0
        if judgement.annotator_kind != "person" or judgement.ranking is None or not seen:
            continue
        if len(judgement.shown) == 2 and len(judgement.ranking.tiers) == 2:
            picks[judgement.shown.index(judgement.ranking.tiers[0][0])] += 1
    return picks[0], picks[1]


def _ratings(games: list[Game]) -> tuple[Rating, ...]:
    strengths = bradley_terry(games) or {}
    points = elo(games)
    rows = []
    for model, (wins, ties, losses) in tally(games).items():
        s = strengths.get(model)
        value, low, high = (s.value, s.low, s.high) if s else (None, None, None)
        rows.append(Rating(model, value, low, high, points[model], wins, ties, losses))
    return tuple(sorted(rows, key=lambda r: (-(r.bradley_terry or 0.0), -r.elo, r.model)))
