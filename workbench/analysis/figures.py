"""Every figure of a dataset's labels in one list: name, value, interval, and a sentence on how to read it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from workbench.analysis import sentences
from workbench.analysis.alpha import Interval
from workbench.analysis.contests import WinRate
from workbench.analysis.habits import Share, overall
from workbench.analysis.label_stats import LabelStats, Rating
from workbench.analysis.ratings import Strength
from workbench.analysis.resampled import Agreement

Group = Literal["Agreement", "Habits", "Models", "Items drawn at random"]
Kind = Literal["share", "number", "seconds", "count"]


@dataclass(frozen=True)
class Figure:
    """One number that speaks. `low` and `high` are a 95 % interval, None without one; `count` is what it rests on, `of` in words."""

    name: str
    title: str
    value: float
    low: float | None
    high: float | None
    count: int
    of: str
    sentence: str
    group: Group
    kind: Kind = "number"

    def number(self) -> str:
        """The value as people read it, with its interval: `0.64 [0.55, 0.72]`."""
        bounds = f" [{self.told(self.low)}, {self.told(self.high)}]" if None not in {self.low, self.high} else ""
        return f"{self.told(self.value)}{bounds}"

    def told(self, value: float | None) -> str:
        """A value in this figure's unit."""
        if value is None:
            return "–"
        if self.kind == "share":
            narrow = self.low is not None and self.high is not None and self.high - self.low < 0.02
            fine = narrow or (value not in {0, 1} and not 0.01 <= value <= 0.99)
            return f"{100 * value:.1f} %" if fine else f"{100 * value:.0f} %"
        if self.kind == "seconds":
            return f"{value:.1f} s"
        if self.kind == "count":
            return f"{value:,.0f}"
        return f"{round(value, 2) + 0.0:.2f}".replace("-", "−")  # + 0.0: nothing is no less than nothing

    def as_json(self) -> dict[str, Any]:
        """For machines."""
        return asdict(self)


def agreement_figures(
    found: Agreement, prefix: str = "agreement", of: str = "", group: Group = "Agreement"
) -> Iterator[Figure]:
    """Raw share, Fleiss' kappa, and alpha."""
    if found.raw is None:
        return
    items = found.items

    def made(name: str, title: str, value: Interval, sentence: str, kind: Kind = "number") -> Figure:
        whole = f"{title}{f', {of}' if of else ''}"
        return Figure(
            f"{prefix}.{name}", whole, value.value, value.low, value.high, items, "items judged by several",
            sentence, group, kind,
        )  # fmt: skip

    yield made("raw", "Raw agreement", found.raw, sentences.raw(found.raw, items), "share")
    if found.fleiss_kappa:
        words = sentences.kappa(found.fleiss_kappa, found.raw.value, items)
        yield made("fleiss_kappa", "Fleiss' kappa", found.fleiss_kappa, words)
    if found.alpha_nominal:
        words = sentences.alpha(found.alpha_nominal, items)
        yield made("alpha_nominal", "Krippendorff's alpha", found.alpha_nominal, words)
    if found.alpha_ordinal:
        words = sentences.alpha(found.alpha_ordinal, items, ordinal=True)
        yield made("alpha_ordinal", "Krippendorff's alpha (ordinal)", found.alpha_ordinal, words)


def reliability_figures(
    stats: LabelStats, consistency: Mapping[str, Share], golds: Mapping[str, Share], dimensions: Mapping[str, Agreement]
) -> Iterator[Figure]:
    """Agreement between annotators, with themselves, with known answers and with the consensus."""
    yield from agreement_figures(stats.agreement)
    for name, found in dimensions.items():
        yield from agreement_figures(found, f"agreement.{name}", name)
    for pair in stats.pairs:
        if pair.kappa:
            yield Figure(
                f"agreement.cohen_kappa.{pair.first}|{pair.second}", f"Cohen's kappa, {pair.first} and {pair.second}",
                pair.kappa.value, pair.kappa.low, pair.kappa.high, pair.items, "items judged by both",
                sentences.kappa(pair.kappa, pair.raw.value, pair.items), "Agreement",
            )  # fmt: skip
    yield from _each("consistency", "Self-consistency", consistency, "repeats", sentences.consistency)
    yield from _each("gold", "Gold accuracy", golds, "gold items", sentences.gold)
    for who, right in stats.accuracy.items():
        yield Figure(
            f"accuracy.{who}", f"Accuracy against the consensus, {who}", right.value, right.low, right.high,
            stats.agreement.items, "items judged by several", sentences.accuracy(right, len(stats.accuracy)), "Agreement",
            "share",
        )  # fmt: skip


def habit_figures(stats: LabelStats) -> Iterator[Figure]:
    """Side, length, time."""
    yield from _each("left", "Left response preferred", stats.left_by, "strict choices", sentences.left, "Habits")
    if stats.longer_wins:
        yield _share(
            "longer", "Longer response preferred", stats.longer_wins, "preferences", sentences.longer(stats.longer_wins),
            "Habits",
        )  # fmt: skip
    for who, found in stats.pace.items():
        yield Figure(
            f"pace.{who}", f"Time for an item, {who}", found.seconds, None, None, found.items, "items",
            sentences.pace(found), "Habits", "seconds",
        )  # fmt: skip


def model_figures(stats: LabelStats, rates: Mapping[tuple[str, str], WinRate]) -> Iterator[Figure]:
    """Ratings, win rates, circles, ties."""
    rated = [r for r in stats.ratings if r.bradley_terry is not None]
    for place, rating in enumerate(rated):
        yield from _strengths(rating, _rival(rated, place))
    for rating in stats.ratings:
        games = rating.wins + rating.ties + rating.losses
        words = "where it stands after all comparisons in the order of time, 1000 at the start; late ones weigh most"
        yield Figure(
            f"elo.{rating.model}", f"Elo, {rating.model}", rating.elo, None, None, games, "comparisons", words, "Models",
            "count",
        )  # fmt: skip
    for (a, b), rate in rates.items():
        if a < b:
            words = sentences.win_rate(rate.share, a, b)
            yield _share(f"wins.{a}|{b}", f"{a} preferred over {b}", rate.share, "comparisons", words, "Models")
    found, triples = stats.circles
    if triples:
        words = sentences.circles(found, triples)
        yield Figure(
            "circles", "Circular triples of models", found, None, None, triples, "triples", words, "Models", "count"
        )
    if stats.ties is not None:
        games = sum(r.wins + r.ties + r.losses for r in stats.ratings) // 2
        words = sentences.ties(stats.ties)
        yield Figure(
            "ties", "Weight of ties (Davidson's ν)", stats.ties, None, None, games, "comparisons", words, "Models"
        )


def random_figures(stats: LabelStats) -> Iterator[Figure]:
    """The main figures on items that no model has chosen."""
    group: Group = "Items drawn at random"
    yield from agreement_figures(stats.agreement, "random.agreement", "on random items", group)
    for name, title, share, words in (
        ("random.left", "Left response preferred, on random items", stats.left, sentences.left),
        ("random.longer", "Longer response preferred, on random items", stats.longer_wins, sentences.longer),
    ):
        if share:
            yield _share(name, title, share, "choices", words(share), group)
    rated = [r for r in stats.ratings if r.bradley_terry is not None]
    for place, rating in enumerate(rated):
        for figure in _strengths(rating, _rival(rated, place)):
            if figure.name.startswith("bradley_terry"):
                yield Figure(**{
                    **vars(figure), "name": f"random.{figure.name}", "title": f"{figure.title}, on random items",
                    "group": group,
                })  # fmt: skip


def _each(
    name: str, title: str, shares: Mapping[str, Share], of: str, words: Any, group: Group = "Agreement"
) -> Iterator[Figure]:
    """A share of all annotators together, where there are several, and of each."""
    whole = overall(shares)
    if whole and len(shares) > 1:
        yield _share(name, title, whole, of, words(whole), group)
    for who, found in shares.items():
        yield _share(f"{name}.{who}", f"{title}, {who}", found, of, words(found, who), group)


def _share(name: str, title: str, found: Share, of: str, sentence: str, group: Group) -> Figure:
    return Figure(name, title, found.value, found.low, found.high, found.count, of, sentence, group, "share")


def _strengths(rating: Rating, rival: str) -> Iterator[Figure]:
    games = rating.wins + rating.ties + rating.losses
    assert rating.bradley_terry is not None and rating.low is not None and rating.high is not None
    plain = Strength(rating.bradley_terry, rating.low, rating.high)
    for name, title, found in (
        ("bradley_terry", "Bradley–Terry", plain),
        ("davidson", "Davidson", rating.davidson),
        ("rao_kupper", "Rao–Kupper", rating.rao_kupper),
    ):
        if found:
            words = sentences.strength(found.value, found.low, found.high, rival if found is plain else "")
            yield Figure(
                f"{name}.{rating.model}", f"{title}, {rating.model}", found.value, found.low, found.high, games,
                "comparisons", words, "Models",
            )  # fmt: skip


def _rival(rated: list[Rating], place: int) -> str:
    """The next model down whose interval overlaps, else the next one up; "" when both are told apart."""
    for other in (place + 1, place - 1):
        if 0 <= other < len(rated):
            a, b = rated[place], rated[other]
            assert a.low is not None and a.high is not None and b.low is not None and b.high is not None
            if a.low <= b.high and b.low <= a.high:
                return b.model
    return ""
