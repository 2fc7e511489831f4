"""Agreement of any number of votes with bootstrap intervals, in one pass: items are drawn, not pairs, since an item's pairs hang together.

Every measure is a function of sums over items. Items with the same counts of votes give the same sums, so that a draw is a
multinomial one over the few patterns that there are, and a hundred thousand items cost as much as a hundred.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from workbench.analysis.alpha import Interval
from workbench.analysis.order import wilson
from workbench.analysis.votes import ORDERED, VOTES, Unit

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

ROUNDS = 1000
Counts = tuple[int, ...]  # how many votes of each category, in the order of VOTES
_ORDER = len(ORDERED)


@dataclass(frozen=True)
class Agreement:
    """How far annotators agree on `items` items with `votes` pairs of votes; a measure is None where it is undefined."""

    items: int
    votes: int
    raw: Interval | None = None
    fleiss_kappa: Interval | None = None
    alpha_nominal: Interval | None = None
    alpha_ordinal: Interval | None = None


@dataclass(frozen=True)
class PairAgreement:
    """Two annotators on what both judged: `table[i][j]` counts pairs that the first called VOTES[i] and the second VOTES[j]."""

    first: str
    second: str
    items: int
    raw: Interval
    kappa: Interval | None
    table: tuple[tuple[int, ...], ...]


def agreement(items: Iterable[Iterable[Unit]], rounds: int = ROUNDS, seed: int = 0) -> Agreement:
    """Raw share of agreeing votes, Fleiss' kappa, Krippendorff's alpha nominal and ordinal ("all bad" left out of the latter).

    Intervals are 95 % percentile intervals over `rounds` draws of items with replacement; None for bounds that the draws can't tell.
    """
    import numpy as np

    patterns: Counter[tuple[Counts, ...]] = Counter()
    for units in items:
        found = [_counts(unit) for unit in units if len(unit) > 1]
        if found:
            patterns[tuple(sorted(found))] += 1
    if not patterns:
        return Agreement(0, 0)
    sums = np.array([_sums(pattern) for pattern in patterns])
    total = sum(patterns.values())
    weights = np.array(list(patterns.values()), dtype=np.float64)
    drawn = _draws(weights, sums, rounds, seed)
    exact = weights @ sums
    raw = _interval(_raw, exact, drawn)
    if raw is not None and raw.value in {0.0, 1.0}:  # every draw says the same: fall back on what so few items can tell
        raw = Interval(raw.value, *wilson(raw.value * total, total))
    return Agreement(
        total,
        round(float(exact[1])),
        raw,
        _interval(_fleiss, exact, drawn),
        _interval(_nominal, exact, drawn),
        _interval(_ordinal, exact, drawn),
    )


def pair_agreements(items: Iterable[Iterable[Unit]], rounds: int = ROUNDS, seed: int = 0) -> list[PairAgreement]:
    """Cohen's kappa and the raw share of every two annotators that share an item, in the order of their names."""
    import numpy as np

    size = len(VOTES)
    place = {vote: i for i, vote in enumerate(VOTES)}
    cells: dict[tuple[str, str], Counter[tuple[int, ...]]] = {}
    for units in items:
        mine: dict[tuple[str, str], list[int]] = {}
        for unit in units:
            names = sorted(unit)
            for i, a in enumerate(names):
                for b in names[i + 1 :]:
                    mine.setdefault((a, b), []).append(place[unit[a]] * size + place[unit[b]])
        for pair, found in mine.items():
            cells.setdefault(pair, Counter())[tuple(sorted(found))] += 1
    made = []
    for (a, b), patterns in sorted(cells.items()):
        sums = np.array([np.bincount(pattern, minlength=size * size) for pattern in patterns], dtype=np.float64)
        weights = np.array(list(patterns.values()), dtype=np.float64)
        exact, drawn = weights @ sums, _draws(weights, sums, rounds, seed)
        count = int(weights.sum())
        raw = _interval(_same, exact, drawn)
        assert raw is not None
        if raw.value in {0.0, 1.0}:
            raw = Interval(raw.value, *wilson(raw.value * count, count))
        table = tuple(tuple(int(n) for n in row) for row in exact.reshape(size, size))
        made.append(PairAgreement(a, b, count, raw, _interval(_cohen, exact, drawn), table))
    return made


def _counts(unit: Unit) -> Counts:
    votes = list(unit.values())
    return tuple(votes.count(vote) for vote in VOTES)


def _sums(pattern: tuple[Counts, ...]) -> list[float]:
    """What an item adds: agreeing and all pairs of votes; Fleiss' shares and units; disagreement; pooled counts; coincidences."""
    size = len(VOTES)
    found = [0.0] * (5 + size + _ORDER * _ORDER)
    for counts in pattern:
        votes = sum(counts)
        same = sum(n * (n - 1) for n in counts)
        found[0] += same / 2
        found[1] += votes * (votes - 1) / 2
        found[2] += same / (votes * (votes - 1))
        found[3] += 1
        found[4] += (votes * (votes - 1) - same) / (votes - 1)
        for i, n in enumerate(counts):
            found[5 + i] += n
        ordered = counts[:_ORDER]
        voted = sum(ordered)
        if voted > 1:
            for a, n in enumerate(ordered):
                for b, m in enumerate(ordered):
                    found[5 + size + a * _ORDER + b] += n * (m - (a == b)) / (voted - 1)
    return found


def _draws(weights: Floats, sums: Floats, rounds: int, seed: int) -> Floats:
    """Sums [rounds, columns] over items drawn with replacement."""
    import numpy as np

    total = int(weights.sum())
    drawn = np.random.default_rng(seed).multinomial(total, weights / weights.sum(), size=rounds)
    result: Floats = drawn @ sums
    return result


def _interval(measure: Callable[[Floats], Floats], exact: Floats, drawn: Floats) -> Interval | None:
    import numpy as np

    value = float(measure(exact[None])[0])
    if not np.isfinite(value):
        return None
    found = measure(drawn)
    found = found[np.isfinite(found)]
    if len(found) <= len(drawn) // 2:
        return Interval(value, None, None)
    low, high = (float(bound) for bound in np.quantile(found, [0.025, 0.975]))
    return Interval(value, low, high) if low < high else Interval(value, None, None)


def _divide(top: Floats, bottom: Floats) -> Floats:
    """NaN where nothing is to divide by, without a warning; differences within rounding count as nothing."""
    import numpy as np

    there = np.abs(bottom) > 1e-12
    result: Floats = np.where(there, top, np.nan) / np.where(there, bottom, 1.0)
    return result


def _raw(sums: Floats) -> Floats:
    return _divide(sums[:, 0], sums[:, 1])


def _fleiss(sums: Floats) -> Floats:
    pooled = sums[:, 5 : 5 + len(VOTES)]
    chance = ((pooled / pooled.sum(1, keepdims=True)) ** 2).sum(1)
    return _divide(sums[:, 2] / sums[:, 3] - chance, 1 - chance)


def _nominal(sums: Floats) -> Floats:
    pooled = sums[:, 5 : 5 + len(VOTES)]
    total = pooled.sum(1, keepdims=True)
    expected = (pooled * (total - pooled)).sum(1) / (total[:, 0] - 1)
    return 1 - _divide(sums[:, 4], expected)


def _ordinal(sums: Floats) -> Floats:
    import numpy as np

    together = sums[:, 5 + len(VOTES) :].reshape(-1, _ORDER, _ORDER)
    margin = together.sum(2)
    total = margin.sum(1)
    ranks = np.cumsum(margin, 1) - margin / 2
    distance = (ranks[:, :, None] - ranks[:, None, :]) ** 2
    expected = (margin[:, :, None] * margin[:, None, :] * distance).sum((1, 2))
    observed = (together * distance).sum((1, 2))
    return 1 - _divide(observed * np.maximum(total - 1, 0), expected)


def _same(sums: Floats) -> Floats:
    import numpy as np

    table = sums.reshape(-1, len(VOTES), len(VOTES))
    return _divide(np.trace(table, axis1=1, axis2=2), table.sum((1, 2)))


def _cohen(sums: Floats) -> Floats:
    import numpy as np

    table = sums.reshape(-1, len(VOTES), len(VOTES))
    total = table.sum((1, 2))
    agreed = np.trace(table, axis1=1, axis2=2) / total
    chance = (table.sum(2) * table.sum(1)).sum(1) / total**2
    return _divide(agreed - chance, 1 - chance)
