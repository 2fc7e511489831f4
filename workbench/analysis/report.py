"""Everything that can be said about the labels of one dataset: figures with sentences, and what plots and lists are made of."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from workbench.analysis.contests import (
    Circle,
    Dispute,
    WinRate,
    disputes,
    model_circles,
    response_circles,
    win_rates,
)
from workbench.analysis.figures import Figure, habit_figures, model_figures, random_figures, reliability_figures
from workbench.analysis.habits import (
    LengthBin,
    Share,
    Stretch,
    by_length,
    days,
    gold_accuracy,
    length_gaps,
    self_consistency,
    sitting,
)
from workbench.analysis.label_stats import LabelStats, summary
from workbench.analysis.resampled import Agreement, agreement
from workbench.analysis.votes import VOTES, Sorted, deciding, games_of, sort_out, units_of, units_of_aspects
from workbench.domain.said import Ranks, Said, Shape

Same = Callable[[str, int], Hashable]
Row = tuple[str, str, str, float, float | None, float | None, int, str, str]
COLUMNS = ("group", "name", "title", "value", "low", "high", "count", "of", "how to read it")


@dataclass(frozen=True)
class Report:
    """Statistics of the labels of one dataset.

    `random` is the same on items that no model has chosen, None where no model chose any. `disputes` are the worst of `disputed`
    items in all that nobody has settled. `prompts` holds the beginning of the prompt of every item that is named here.
    """

    dataset: str
    labels: LabelStats
    random: LabelStats | None = None
    consistency: Mapping[str, Share] = field(default_factory=dict)
    golds: Mapping[str, Share] = field(default_factory=dict)
    dimensions: Mapping[str, Agreement] = field(default_factory=dict)
    win_rates: Mapping[tuple[str, str], WinRate] = field(default_factory=dict)
    lengths: tuple[LengthBin, ...] = ()
    sittings: Mapping[str, Sequence[Stretch]] = field(default_factory=dict)
    days: Mapping[str, Mapping[date, int]] = field(default_factory=dict)
    disputes: tuple[Dispute, ...] = ()
    disputed: int = 0
    settled: int = 0
    model_circles: tuple[Circle, ...] = ()
    response_circles: tuple[Circle, ...] = ()
    figures: tuple[Figure, ...] = ()
    prompts: Mapping[str, str] = field(default_factory=dict)

    @property
    def named_items(self) -> list[str]:
        """Every item that a list of this report names."""
        circled = [item for circle in (*self.model_circles, *self.response_circles) for item in circle.items]
        return list(dict.fromkeys([d.item for d in self.disputes] + circled))

    def figure(self, name: str) -> Figure | None:
        """The figure of this name, None where it is undefined."""
        return next((figure for figure in self.figures if figure.name == name), None)

    def rows(self) -> Iterator[Row]:
        """Every number as a line of a table: figures first, then what the plots show."""
        for f in self.figures:
            yield f.group, f.name, f.title, f.value, f.low, f.high, f.count, f.of, f.sentence
        for pair in self.labels.pairs:
            for i, one in enumerate(VOTES):
                for j, other in enumerate(VOTES):
                    name = f"confusion.{pair.first}|{pair.second}.{one}|{other}"
                    title = f"{pair.first} said {one}, {pair.second} said {other}"
                    yield "Confusion", name, title, pair.table[i][j], None, None, pair.items, "items judged by both", ""
        for part in self.lengths:
            name, title = f"length.{part.low}-{part.high}", f"Longer by {part.low} to {part.high} characters preferred"
            found = part.share
            yield "Length", name, title, found.value, found.low, found.high, found.count, "preferences", ""
        for who, stretches in self.sittings.items():
            for s in stretches:
                name, title = f"sitting.{who}.{s.minute}", f"Seconds for an item, {who}, minute {s.minute} of a sitting"
                yield "Sitting", name, title, s.middle, s.low, s.high, s.count, "items; bounds are quartiles", ""
        for who, counts in self.days.items():
            for day, n in counts.items():
                yield "Days", f"day.{who}.{day}", f"Judgements on {day}, {who}", n, None, None, n, "judgements", ""

    def as_json(self) -> dict[str, Any]:
        """The document that `workbench label stats --json` prints."""
        return {
            **self.labels.as_json(),
            "consistency": {who: vars(found) for who, found in self.consistency.items()},
            "gold": {who: vars(found) for who, found in self.golds.items()},
            "win_rates": [
                {**vars(rate), "share": vars(rate.share)} for (a, b), rate in self.win_rates.items() if a < b
            ],
            "disputed": [{"item": d.item, "share": d.share, "voices": dict(d.voices)} for d in self.disputes],
            "circles": {
                "models": [{"models": c.names, "items": c.items} for c in self.model_circles],
                "responses": [{"responses": c.names, "items": c.items} for c in self.response_circles],
            },
            "random": None if self.random is None else self.random.as_json(),
            "figures": [figure.as_json() for figure in self.figures],
        }


def report(
    dataset: str,
    shapes: Mapping[str, Shape],
    made: Sequence[Said],
    *,
    golds: Mapping[str, Ranks],
    chosen: Collection[Said] = (),
    same: Same,
    most: int = 500,
) -> Report:
    """Reckon everything. `made` is what stands, in the order of making for each item; `chosen` are judgements of items that a model chose.

    `same(item, candidate)` tells which candidates are the same response; at most `most` disputes and circles of each kind are listed.
    """
    found = sort_out(made)
    units = units_of(found.votes)
    stats = summary(found, shapes, units)
    left_out = set(chosen)
    random = summary(sort_out([s for s in made if s not in left_out]), shapes) if left_out else None
    consistency, gold = self_consistency(found.repeats), gold_accuracy(found.current, golds)
    dimensions = {name: agreement(items.values()) for name, items in units_of_aspects(found.votes).items()}
    dimensions = {name: value for name, value in dimensions.items() if value.raw is not None}
    rates = win_rates(games_of(deciding(found), shapes))
    disputed = disputes(found, units, shapes)
    figures = [
        *reliability_figures(stats, consistency, gold, dimensions),
        *habit_figures(stats),
        *model_figures(stats, rates),
        *(random_figures(random) if random else ()),
    ]
    return Report(
        dataset,
        stats,
        random,
        consistency,
        gold,
        dimensions,
        rates,
        tuple(by_length(length_gaps(shapes, found.current))),
        sitting(made),
        days(made),
        tuple(disputed[:most]),
        len(disputed),
        len(found.settled),
        tuple(_models_in_circles(found, shapes)[:most]) if stats.circles[0] else (),
        tuple(response_circles(found.votes, shapes, same)[:most]),
        tuple(figures),
    )


def _models_in_circles(found: Sorted, shapes: Mapping[str, Shape]) -> list[Circle]:
    return model_circles((one.item, games_of([one], shapes)) for one in deciding(found))
