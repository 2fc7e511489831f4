"""Smoothing and decimation of curves: pure functions over float64 arrays, for plots that show every peak."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Series = NDArray[np.float64]


class Ema:
    """An exponential moving average that goes on where it stopped, so that a live curve costs only its new points."""

    def __init__(self, weight: float) -> None:
        if not 0.0 <= weight < 1.0:
            raise ValueError("weight is at least 0 and below 1")
        self.weight = weight
        self._total = self._mass = 0.0

    def extend(self, values: Series) -> Series:
        """The averages of further values [N] in the order of their coming; see `ema` for the formula."""
        data = np.asarray(values, dtype=np.float64)
        if self.weight == 0.0:
            return data.copy()
        smooth = np.empty_like(data)
        for i, value in enumerate(data.tolist()):
            if not np.isfinite(value):
                smooth[i] = value
                continue
            self._total = self.weight * self._total + value
            self._mass = self.weight * self._mass + 1.0
            smooth[i] = self._total / self._mass
        return smooth


def ema(values: Series, weight: float) -> Series:
    """Exponential moving average, debiased: y[i] = sum_j w^(i-j) x[j] / sum_j w^(i-j), over the finite x[j] with j ≤ i.

    values [N] in any unit; weight in [0, 1): 0 returns the values. Points that aren't finite stay as they are and don't
    touch their neighbours. The debiasing is that of Adam (Kingma & Ba 2015, arXiv 1412.6980, section 3).
    """
    return Ema(weight).extend(values)


def envelope(x: Series, y: Series, buckets: int) -> tuple[Series, Series]:
    """At most 4·buckets points whose drawn line covers the same pixels: first, least, greatest and last of each bucket.

    x [N] ascending, y [N]; returns (x, y) of equal length in the order of x. Extremes of every bucket are kept, so that no
    peak is lost, whatever the zoom; not-a-number survives as a gap (one for each bucket that holds only such points).
    With N ≤ 4·buckets everything is returned unchanged.
    """
    if buckets < 1:
        raise ValueError("at least one bucket is needed")
    count = len(x)
    if count <= 4 * buckets:
        return x, y
    edges = np.linspace(0, count, buckets + 1).astype(np.int64)
    keep: list[int] = []
    low = np.where(np.isfinite(y), y, np.inf)
    high = np.where(np.isfinite(y), y, -np.inf)
    for start, end in zip(edges[:-1].tolist(), edges[1:].tolist()):
        least = start + int(np.argmin(low[start:end]))
        most = start + int(np.argmax(high[start:end]))
        keep.extend(sorted({start, least, most, end - 1}))
    index = np.asarray(keep, dtype=np.int64)
    return x[index], y[index]
