"""Ratings of models where ties are a result of their own: Davidson's and Rao and Kupper's extensions of Bradley-Terry."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from workbench.analysis.ratings import Z95, Game, Strength, bradley_terry

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Loss = Callable[[NDArray[np.float64]], float]

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
    from scipy.optimize import minimize

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

    def loss(free: NDArray[np.float64]) -> float:
        return -_log_likelihood(free, table, model)

    start = np.array([plain[name].value for name in names[1:]] + [0.0])
    found = minimize(
        loss,
        start - np.append(np.full(len(names) - 1, plain[names[0]].value), 0.0),
        method="BFGS",
        options={"gtol": 1e-9},
    )
    best = _polish(loss, found.x)
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


def _log_likelihood(free: NDArray[np.float64], table: NDArray[np.float64], model: TieModel) -> float:
    """Of strengths (the first is 0) and the logarithm of ν, or of θ - 1."""
    import numpy as np

    theta = np.concatenate([[0.0], free[:-1]])
    first, second = theta[table[:, 0].astype(int)], theta[table[:, 1].astype(int)]
    won, tied = table[:, 2] == 1.0, table[:, 2] == 0.5
    if model == "davidson":
        even = free[-1] + (first + second) / 2
        whole = np.logaddexp(np.logaddexp(first, second), even)
        found = np.where(tied, even, np.where(won, first, second)) - whole
    else:
        log_theta = np.log1p(np.exp(free[-1]))
        for_first = first - np.logaddexp(first, log_theta + second)
        for_second = second - np.logaddexp(log_theta + first, second)
        # P(tie) = (θ² - 1) π_a π_b / ((π_a + θ π_b)(θ π_a + π_b))
        neither = np.log(np.expm1(2 * log_theta)) + for_first + for_second
        found = np.where(tied, neither, np.where(won, for_first, for_second))
    return float((found * table[:, 3]).sum())


def _polish(loss: Loss, x: NDArray[np.float64], rounds: int = 8) -> NDArray[np.float64]:
    """Newton steps from where BFGS ended: it stops at the noise of its own difference quotients."""
    import numpy as np

    for _ in range(rounds):
        step = np.linalg.solve(_hessian(loss, x), _gradient(loss, x))
        x = x - step
        if float(np.abs(step).max()) < 1e-10:
            break
    return x


def _gradient(loss: Loss, x: NDArray[np.float64], h: float = 1e-5) -> NDArray[np.float64]:
    import numpy as np

    eye = np.eye(len(x)) * h
    # Fourth-order central differences.
    return np.array([(8 * (loss(x + e) - loss(x - e)) - (loss(x + 2 * e) - loss(x - 2 * e))) / (12 * h) for e in eye])


def _hessian(loss: Loss, x: NDArray[np.float64], h: float = 1e-4) -> NDArray[np.float64]:
    import numpy as np

    eye = np.eye(len(x)) * h
    rows = [(_gradient(loss, x + e) - _gradient(loss, x - e)) / (2 * h) for e in eye]
    found = np.array(rows)
    return (found + found.T) / 2
