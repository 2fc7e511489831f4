"""What the labels of a dataset say together: agreement, order bias and ratings of models, in the shape of `label stats`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from workbench.analysis.agreement import raw_agreement
from workbench.analysis.alpha import Interval
from workbench.analysis.consensus import accuracies
from workbench.analysis.contests import circles
from workbench.analysis.habits import Pace, Share, left_picks, length_gaps, longer_wins, overall, pace
from workbench.analysis.ratings import Game, Strength, bradley_terry, elo, tally
from workbench.analysis.resampled import Agreement, PairAgreement, agreement, pair_agreements
from workbench.analysis.tied_ratings import tied_ratings
from workbench.analysis.votes import Sorted, Unit, deciding, games_of, pair_votes, sort_out, units_of
from workbench.domain.judgement import Item, Judgement
from workbench.domain.said import Shape, ranks_of, said_of, shape_of

MEASURES = ("raw", "fleiss_kappa", "alpha_nominal")


@dataclass(frozen=True)
class Rating:
    """One model's Bradley-Terry log-strength with 95 % interval (None without a finite one), its Elo, its results, and its strength where ties are results."""

    model: str
    bradley_terry: float | None
    low: float | None
    high: float | None
    elo: float
    wins: int
    ties: int
    losses: int
    davidson: Strength | None = None
    rao_kupper: Strength | None = None


@dataclass(frozen=True)
class LabelStats:
    """Statistics of the current judgements of one dataset; numbers are None where they are undefined."""

    items: int
    judgements: int
    annotators: tuple[str, ...]
    agreement: Agreement
    pairs: tuple[PairAgreement, ...] = ()
    left: Share | None = None
    left_by: Mapping[str, Share] = field(default_factory=dict)
    ratings: tuple[Rating, ...] = ()
    accuracy: Mapping[str, Interval] = field(default_factory=dict)
    longer_wins: Share | None = None
    pace: Mapping[str, Pace] = field(default_factory=dict)
    circles: tuple[int, int] = (0, 0)
    ties: float | None = None

    def as_json(self) -> dict[str, Any]:
        """The document that `workbench label stats --json` prints."""
        found = self.agreement
        measured = {name: getattr(found, name) for name in MEASURES}
        intervals = {name: value for name, value in measured.items() if value and value.low is not None}
        return {
            "items": self.items,
            "judgements": self.judgements,
            "annotators": list(self.annotators),
            "agreement": {
                "raw": _value(found.raw),
                "cohen_kappa": {f"{p.first}|{p.second}": _value(p.kappa) for p in self.pairs},
                "fleiss_kappa": _value(found.fleiss_kappa),
                "alpha_nominal": _value(found.alpha_nominal),
            },
            "order": {
                "left_rate": _value(self.left),
                "low": self.left.low if self.left else None,
                "high": self.left.high if self.left else None,
            },
            "reliability": {
                "alpha_ordinal": _value(found.alpha_ordinal),
                "intervals": {name: [value.low, value.high] for name, value in intervals.items()},
                "accuracy": {who: value.value for who, value in self.accuracy.items()},
            },
            "habits": {
                "longer_wins": asdict(self.longer_wins) if self.longer_wins else None,
                "pace": {who: asdict(value) for who, value in self.pace.items()},
            },
            "ratings": [asdict(rating) for rating in self.ratings],
            "comparison": {"ties": self.ties, "circles": self.circles[0], "triples": self.circles[1]},
        }


def _value(found: Interval | Share | None) -> float | None:
    return None if found is None else found.value


def label_stats(items: Iterable[Item], judgements: Iterable[Judgement]) -> LabelStats:
    """Statistics of judgements (none undone) of some items; judgements of other items are passed over."""
    shapes = {item.id: shape_of(item, place) for place, item in enumerate(items)}
    said = [said_of(j) for j in judgements if j.item in shapes]
    return summary(sort_out(sorted(said, key=lambda s: s.created)), shapes)


def summary(
    found: Sorted, shapes: Mapping[str, Shape], units: Mapping[str, Sequence[Unit]] | None = None
) -> LabelStats:
    """Statistics of judgements that are sorted out.

    Agreement is counted on pairs of candidates, so that rankings of any size compare: a vote is "first", "second" or "tie" for
    each pair, or "all bad"; skips are no votes. The ordinal alpha takes first < tie < second and leaves "all bad" out; intervals are
    bootstrapped over items; `accuracy` says how often each annotator is right, by Dawid and Skene. Ratings take the same pairs
    where both candidates name different models; "all bad" is a tie there. Order bias looks at people's strict choices between two
    responses that they saw on the screen.
    """
    votes = units_of(found.votes) if units is None else units
    games = games_of(deciding(found), shapes)
    by = left_picks(found.current)
    davidson, rao_kupper = tied_ratings(games, "davidson"), tied_ratings(games, "rao_kupper")
    return LabelStats(
        items=len({s.item for s in found.current}),
        judgements=len(found.current),
        annotators=tuple(sorted({s.annotator for s in found.current})),
        agreement=agreement(votes.values()),
        pairs=tuple(pair_agreements(votes.values())),
        left=overall(by),
        left_by=by,
        ratings=_ratings(
            games,
            davidson.strengths if davidson else {},
            rao_kupper.strengths if rao_kupper else {},
        ),
        accuracy=accuracies([unit for units in votes.values() for unit in units if len(unit) > 1]),
        longer_wins=longer_wins(length_gaps(shapes, found.current)),
        pace=pace(found.made),
        circles=circles(games),
        ties=davidson.ties if davidson else None,
    )


def agreement_of(datasets: Iterable[Iterable[Judgement]]) -> float | None:
    """Share in [0, 1] of all pairs of votes on the same two candidates that agree, over several datasets.

    An item's name means one thing within a dataset only. None when nothing was judged twice.
    """
    units: list[Unit] = []
    for judgements in datasets:
        votes: dict[tuple[str, int, int], Unit] = {}
        for one in judgements:
            if one.purpose != "label":
                continue
            ranks = () if one.ranking is None else ranks_of(one.ranking)
            for (a, b), vote in pair_votes(ranks, one.outcome, len(one.shown)).items():
                votes.setdefault((one.item, a, b), {})[one.annotator] = vote
        units.extend(votes.values())
    return raw_agreement(units)


def _ratings(
    games: list[Game], davidson: Mapping[str, Strength], rao_kupper: Mapping[str, Strength]
) -> tuple[Rating, ...]:
    strengths = bradley_terry(games) or {}
    points = elo(games)
    rows = []
    for model, (wins, ties, losses) in tally(games).items():
        s = strengths.get(model)
        value, low, high = (s.value, s.low, s.high) if s else (None, None, None)
        more = davidson.get(model), rao_kupper.get(model)
        rows.append(Rating(model, value, low, high, points[model], wins, ties, losses, *more))
    return tuple(sorted(rows, key=lambda r: (-(r.bradley_terry or 0.0), -r.elo, r.model)))
