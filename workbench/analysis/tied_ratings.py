"""Ratings of models where ties are a result of their own: Davidson's and Rao and Kupper's extensions of Bradley-Terry."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from workbench.analysis.ratings import Z95, Game, Strength, bradley_terry

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Loss = Callable[[NDArray[np.float64]], tuple[float, NDArray[np.float64]]]

TieModel = Literal["davidson", "rao_kupper"]


@dataclass(frozen=True)
class TiedRatings:
    """Log-strengths that sum to 0, and what ties are worth: Davidson's ν (0 = no ties), or Rao and Kupper's θ (1 = no ties)."""

    strengths: dict[str, Strength]
    ties: float


def tied_ratings(games: Iterable[Game], model: TieModel) -> TiedRatings | None:
    """Maximum-likelihood strengths with ties; scores are 1, 0.5 or 0 (other scores raise ValueError).

    davidson (1970): P(a wins) : P(tie) : P(b wins) = π_a : ν √(π_a π_b) : π_b.
    rao_kupper (1967): P(a wins) = π_a / (π_a + θ π_b), P(b wins) = π_b / (θ π_a + π_b), the rest is a tie.

    Intervals are Wald's, from the observed information. None where no finite maximum exists: as for Bradley-Terry with ties as halves,
    and without any tie or any decided game.
    """
    import numpy as np

    played = list(games)
    if any(score not in {0.0, 0.5, 1.0} for _, _, score in played):
        raise ValueError("a game is won, tied or lost")
    plain = bradley_terry(played)
    drawn = sum(score == 0.5 for _, _, score in played)
    if plain is None or drawn in {0, len(played)}:
        return None
    names = sorted(plain)
    place = {name: i for i, name in enumerate(names)}
    counts: dict[tuple[int, int, float], int] = {}
    for first, second, score in played:
        a, b = place[first], place[second]
        key = (a, b, score) if a < b else (b, a, 1.0 - score)
        counts[key] = counts.get(key, 0) + 1
    table = np.array([[a, b, score, count] for (a, b, score), count in counts.items()])

    def loss(free: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        value, slope = _log_likelihood(free, table, model)
        return -value, -slope

    start = np.array([plain[name].value for name in names[1:]] + [0.0])
    start[:-1] -= plain[names[0]].value
    best = _newton(loss, start)
    covariance = np.linalg.inv(_hessian(loss, best))
    # Strengths are free up to their sum: the first is 0 while fitting, then all are centred.
    count = len(names)
    centre = np.vstack([np.zeros(count - 1), np.eye(count - 1)]) - np.full((count, count - 1), 1 / count)
    values = centre @ best[:-1]
    spread = np.sqrt(np.diag(centre @ covariance[:-1, :-1] @ centre.T))
    extra = float(np.exp(best[-1])) if model == "davidson" else float(1 + np.exp(best[-1]))
    strengths = {
        n: Strength(float(v), float(v - Z95 * s), float(v + Z95 * s))
        for n, v, s in zip(names, values, spread, strict=True)
    }
    return TiedRatings(strengths, extra)


def _log_likelihood(
    free: NDArray[np.float64], table: NDArray[np.float64], model: TieModel
) -> tuple[float, NDArray[np.float64]]:
    """Of strengths (the first is 0) and the logarithm of ν, or of θ - 1; with its gradient."""
    import numpy as np

    theta = np.concatenate([[0.0], free[:-1]])
    a, b = table[:, 0].astype(int), table[:, 1].astype(int)
    first, second = theta[a], theta[b]
    won, tied, count = table[:, 2] == 1.0, table[:, 2] == 0.5, table[:, 3]
    if model == "davidson":
        even = free[-1] + (first + second) / 2
        whole = np.logaddexp(np.logaddexp(first, second), even)
        value = np.where(tied, even, np.where(won, first, second)) - whole
        level = np.exp(even - whole)
        by_first = np.where(tied, 0.5, won) - np.exp(first - whole) - level / 2
        by_second = np.where(tied, 0.5, ~won & ~tied) - np.exp(second - whole) - level / 2
        by_ties = tied - level
    else:
        log_theta = np.log1p(np.exp(free[-1]))
        for_first = first - np.logaddexp(first, log_theta + second)
        for_second = second - np.logaddexp(log_theta + first, second)
        # P(tie) = (θ² - 1) π_a π_b / ((π_a + θ π_b)(θ π_a + π_b))
        neither = np.log(np.expm1(2 * log_theta)) + for_first + for_second
        value = np.where(tied, neither, np.where(won, for_first, for_second))
        miss_first = np.where(tied | won, -np.expm1(for_first), 0.0)  # 1 - π_a / (π_a + θ π_b), where it counts
        miss_second = np.where(tied | ~won, -np.expm1(for_second), 0.0)
        by_first = miss_first - miss_second
        by_second = -by_first
        by_ties = np.where(tied, 2 / -np.expm1(-2 * log_theta), 0.0) - miss_first - miss_second
        by_ties *= -np.expm1(-log_theta)  # d log θ / d log (θ - 1)
    slope = np.zeros(len(free) + 1)
    np.add.at(slope, a, by_first * count)
    np.add.at(slope, b, by_second * count)
    slope[-1] = (by_ties * count).sum()
    return float((value * count).sum()), slope[1:]


def _newton(loss: Loss, x: NDArray[np.float64], rounds: int = 100) -> NDArray[np.float64]:
    """Newton's method from the strengths of Bradley and Terry; a step is halved until the games become likelier."""
    import numpy as np

    for _ in range(rounds):
        value, slope = loss(x)
        curve = _hessian(loss, x)
        least = float(np.linalg.eigvalsh(curve)[0])
        ridge = max(0.0, 1e-6 - least) * np.eye(len(x))  # where it isn't convex, a shorter step downhill
        step = np.linalg.solve(curve + ridge, slope)
        size = float(np.abs(step).max())
        while size > 1e-6 and loss(x - step)[0] > value:  # below, rounding hides whether a step was good
            step, size = step / 2, size / 2
        x = x - step
        if size < 1e-12:
            break
    return x


def _hessian(loss: Loss, x: NDArray[np.float64], h: float = 1e-4) -> NDArray[np.float64]:
    """Fourth-order central differences of the gradient."""
    import numpy as np

    def at(e: NDArray[np.float64]) -> NDArray[np.float64]:
        return loss(x + e)[1]

    eye = np.eye(len(x)) * h
    found = np.array([(8 * (at(e) - at(-e)) - (at(2 * e) - at(-2 * e))) / (12 * h) for e in eye])
    result: NDArray[np.float64] = (found + found.T) / 2
    return result
