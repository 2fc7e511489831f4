"""The points of one live curve: a buffer that grows, forgets what a resumed run superseded, and gives what a plot can show."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from workbench.analysis.curves import Ema, Series, envelope

CAPACITY = 400_000


class CurveBuffer:
    """Steps and values of one metric in order of steps, with a running average of the raw values.

    Memory is bounded: at `capacity` points the older half is thinned to its envelope, which keeps every peak.
    """

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._capacity = max(64, capacity)
        self._steps: Series = np.empty(256, dtype=np.float64)
        self._values: Series = np.empty(256, dtype=np.float64)
        self._smooth: Series = np.empty(256, dtype=np.float64)
        self._count = 0
        self._average = Ema(0.0)
        self.version = 0  # counts changes, so that a plot knows when there is nothing to draw

    def __len__(self) -> int:
        return self._count

    @property
    def steps(self) -> Series:
        """Steps, ascending; a view that is valid until the next change."""
        return self._steps[: self._count]

    @property
    def values(self) -> Series:
        """Raw values; a view that is valid until the next change."""
        return self._values[: self._count]

    @property
    def smooth(self) -> Series:
        """Averages of the raw values with the present weight."""
        return self._smooth[: self._count]

    @property
    def weight(self) -> float:
        """The weight of the running average."""
        return self._average.weight

    @property
    def last(self) -> float | None:
        """The newest value."""
        return float(self._values[self._count - 1]) if self._count else None

    def best(self, good: str) -> float | None:
        """The greatest ("up") or least ("down") finite value; None where no direction is good."""
        finite = self.values[np.isfinite(self.values)]
        if good not in {"up", "down"} or not len(finite):
            return None
        return float(finite.max() if good == "up" else finite.min())

    def append(self, steps: Sequence[float], values: Sequence[float]) -> None:
        """Add points at the end; steps that don't go on from the last one replace what lies at and after them."""
        if not len(steps):
            return
        part = self._capacity // 4
        if len(steps) > part:  # a long run that is read at once stays within the capacity too
            for start in range(0, len(steps), part):
                self.append(steps[start : start + part], values[start : start + part])
            return
        if self._count and steps[0] <= self._steps[self._count - 1]:
            self.cut_after(float(steps[0]) - 1e-9)
        new = len(steps)
        if self._count + new > self._capacity:
            self._thin()
        self._reserve(self._count + new)
        end = self._count + new
        self._steps[self._count : end] = steps
        self._values[self._count : end] = values
        self._smooth[self._count : end] = self._average.extend(self._values[self._count : end])
        self._count = end
        self.version += 1

    def cut_after(self, step: float) -> None:
        """Forget points after a step: the run was resumed from there."""
        keep = int(np.searchsorted(self.steps, step, side="right"))
        if keep < self._count:
            self._count = keep
            self.smoothen(self._average.weight)

    def smoothen(self, weight: float) -> None:
        """Take another weight for the running average (0 = raw)."""
        self.version += 1
        self._average = Ema(weight)
        self._smooth[: self._count] = self._average.extend(self.values)

    def shown(self, low: float, high: float, pixels: int, *, smooth: bool) -> tuple[Series, Series]:
        """What a line of this width in pixels needs of the stretch [low, high]: clipped, one point beyond each end, enveloped."""
        start = max(0, int(np.searchsorted(self.steps, low, side="left")) - 1)
        end = min(self._count, int(np.searchsorted(self.steps, high, side="right")) + 1)
        values = self.smooth if smooth else self.values
        return envelope(self.steps[start:end], values[start:end], max(1, pixels))

    def _thin(self) -> None:
        half = self._count // 2
        x, y = envelope(self.steps[:half], self.values[:half], max(1, half // 16))
        kept, rest = len(x), self._count - half
        steps, values = np.concatenate([x, self.steps[half:]]), np.concatenate([y, self.values[half:]])
        self._count = kept + rest
        self._steps[: self._count], self._values[: self._count] = steps, values
        self.smoothen(self._average.weight)

    def _reserve(self, wanted: int) -> None:
        if wanted <= len(self._steps):
            return
        size = max(wanted, 2 * len(self._steps))
        for name in ("_steps", "_values", "_smooth"):
            grown = np.empty(size, dtype=np.float64)
            grown[: self._count] = getattr(self, name)[: self._count]
            setattr(self, name, grown)


def number(value: float) -> str:
    """A number as it is written beside a curve: about four digits, no noise, ∞ and – for what isn't finite."""
    if value != value:
        return "not a number"
    if value in (float("inf"), float("-inf")):
        return "∞" if value > 0 else "−∞"
    size = abs(value)
    if size == 0:
        return "0"
    if size >= 1e6 or size < 1e-3:
        text = f"{value:.2e}"
        mantissa, exponent = text.split("e")
        text = f"{mantissa}e{int(exponent)}"
    elif size >= 100:
        text = f"{value:,.0f}".replace(",", "\u202f")
    else:
        text = f"{value:.4g}"
    return text.replace("-", "−")
