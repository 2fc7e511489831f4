"""Whether the place of a response on the screen influences who wins."""

from __future__ import annotations

from math import sqrt

Z95 = 1.959963984540054


def wilson(successes: float, trials: int, z: float = Z95) -> tuple[float, float]:
    """Wilson's score interval of a share, in [0, 1] (Wilson 1927); z is the normal quantile, 95 % by default.

    Successes may be a sum of shares, one for each trial: the interval is then rather too wide than too narrow. Raises ValueError
    unless 0 ≤ successes ≤ trials and trials ≥ 1.
    """
    if trials < 1 or not 0 <= successes <= trials:
        raise ValueError("successes are between 0 and the number of trials, which is at least 1")
    share = successes / trials
    scale = 1 + z * z / trials
    middle = (share + z * z / (2 * trials)) / scale
    reach = z / scale * sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials))
    return max(0.0, middle - reach), min(1.0, middle + reach)


def left_pick_rate(lefts: int, rights: int) -> tuple[float | None, float | None, float | None]:
    """(share of strict choices that took the left response, low, high) with Wilson's 95 % interval; None without choices."""
    if lefts + rights == 0:
        return None, None, None
    low, high = wilson(lefts, lefts + rights)
    return lefts / (lefts + rights), low, high
