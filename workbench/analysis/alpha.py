"""Krippendorff's alpha for any level of measurement, and bootstrap intervals of every measure of agreement."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from workbench.analysis.agreement import Unit

Level = Literal["nominal", "ordinal", "interval"]
Measure = Callable[[Sequence[Unit]], float | None]


@dataclass(frozen=True)
class Interval:
    """A value with its 95 % interval; without bounds where nobody can say."""

    value: float
    low: float | None
    high: float | None


def alpha(units: Sequence[Unit], level: Level, categories: Sequence[object] | None = None) -> float | None:
    """Krippendorff's alpha, 1 - D_o / D_e, over coincidences of values (Krippendorff 2011, "Computing Krippendorff's Alpha-Reliability").

    `categories` gives the order of the values for "ordinal" (default: sorted); "interval" takes the values as numbers. Missing
    votes are allowed. None where it is undefined: fewer than two votes anywhere, or one category throughout.
    """
    kept = [list(unit.values()) for unit in units if len(unit) > 1]
    values = list(categories) if categories is not None else sorted({v for votes in kept for v in votes})  # type: ignore[type-var]
    place = {value: i for i, value in enumerate(values)}
    size = len(values)
    together = [[0.0] * size for _ in range(size)]
    for votes in kept:
        counts = [0] * size
        for vote in votes:
            counts[place[vote]] += 1
        for a in range(size):
            for b in range(size):
                together[a][b] += counts[a] * (counts[b] - (a == b)) / (len(votes) - 1)
    margin = [sum(row) for row in together]
    total = sum(margin)
    if total <= 1:
        return None
    distance = _distances(level, values, margin)
    cells = [(a, b) for a in range(size) for b in range(size)]
    observed = sum(together[a][b] * distance[a][b] for a, b in cells)
    expected = sum(margin[a] * (margin[b] - (a == b)) * distance[a][b] for a, b in cells) / (total - 1)
    return None if expected == 0 else 1 - observed / expected


def _distances(level: Level, values: Sequence[object], margin: Sequence[float]) -> list[list[float]]:
    """Squared differences δ² between every two categories."""
    size = len(values)
    if level == "nominal":
        return [[float(a != b) for b in range(size)] for a in range(size)]
    if level == "interval":
        numbers = [float(v) for v in values]  # type: ignore[arg-type]
        return [[(x - y) ** 2 for y in numbers] for x in numbers]
    ranks = [sum(margin[:i]) + margin[i] / 2 for i in range(size)]
    return [[(x - y) ** 2 for y in ranks] for x in ranks]


def bootstrap(measure: Measure, units: Sequence[Unit], rounds: int = 1000, seed: int = 0) -> Interval | None:
    """A measure with its 95 % percentile interval, units drawn with replacement (Efron 1979).

    Draws in which the measure is undefined are passed over; None where it is undefined on all units, or in most draws.
    """
    value = measure(units)
    if value is None:
        return None
    draw = random.Random(seed)
    found = sorted(v for _ in range(rounds) if (v := measure(draw.choices(units, k=len(units)))) is not None)
    if len(found) <= rounds // 2:
        return None
    return Interval(value, found[int(0.025 * len(found))], found[min(len(found) - 1, int(0.975 * len(found)))])
