"""Ratings of models from pairwise outcomes: Bradley-Terry by maximum likelihood with intervals, and Elo."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Game = tuple[str, str, float]  # (first, second, score of the first: 1 won, 0.5 tied, 0 lost)
Z95 = 1.959963984540054
ELO_START = 1000.0
ELO_STEP = 32.0


@dataclass(frozen=True)
class Strength:
    """A Bradley-Terry log-strength with its 95 % interval: P(a beats b) = 1 / (1 + exp(b - a)). Strengths sum to 0."""

    value: float
    low: float
    high: float


def bradley_terry(games: Iterable[Game], tolerance: float = 1e-12, rounds: int = 200) -> dict[str, Strength] | None:
    """Maximum-likelihood log-strengths (Bradley & Terry 1952) by Newton's method; a tie counts as half a win for each side.

    Intervals are Wald's, from the inverse Fisher information under the constraint that strengths sum to 0. Returns None where no
    finite maximum exists: unless every model has won, directly or through others, against every other (Ford 1957).
    """
    import numpy as np

    wins = _score_table(games)
    names = sorted({name for pair in wins for name in pair})
    place = {name: i for i, name in enumerate(names)}
    table = np.zeros((len(names), len(names)))
    for (winner, loser), score in wins.items():
        table[place[winner], place[loser]] += score
    if len(names) < 2 or not _finite(table.tolist()):
        return None
    played = table + table.T
    ones = np.ones_like(played)
    theta = np.zeros(len(names))
    for _ in range(rounds):
        chance = 1 / (1 + np.exp(theta[None, :] - theta[:, None]))
        gradient = table.sum(axis=1) - (played * chance).sum(axis=1)
        information = _information(played * chance * (1 - chance))
        step = np.linalg.solve(information + ones, gradient)
        theta = theta + step / max(1.0, float(np.abs(step).max()))  # never far beyond where the quadratic model holds
        if float(np.abs(step).max()) < tolerance:
            break
    theta -= theta.mean()
    chance = 1 / (1 + np.exp(theta[None, :] - theta[:, None]))
    spread = np.sqrt(np.diag(np.linalg.pinv(_information(played * chance * (1 - chance)))))
    return {
        name: Strength(float(t), float(t - Z95 * s), float(t + Z95 * s)) for name, t, s in zip(names, theta, spread)
    }


def _information(weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """The Fisher information of the strengths [N, N]: a graph Laplacian with these weights [N, N] between models."""
    import numpy as np

    return np.diag(weights.sum(axis=1)) - weights


def _score_table(games: Iterable[Game]) -> dict[tuple[str, str], float]:
    wins: dict[tuple[str, str], float] = {}
    for first, second, score in games:
        if first == second:
            raise ValueError("a model doesn't play against itself")
        if not 0.0 <= score <= 1.0:
            raise ValueError("a score is between 0 and 1")
        for pair, share in (((first, second), score), ((second, first), 1.0 - score)):
            wins[pair] = wins.get(pair, 0.0) + share
    return wins


def _finite(table: Sequence[Sequence[float]]) -> bool:
    """Whether the graph of wins is strongly connected: reachable from the first both along wins and against them."""
    count = len(table)
    for forward in (True, False):
        seen, todo = {0}, [0]
        while todo:
            here = todo.pop()
            for there in range(count):
                won = table[here][there] if forward else table[there][here]
                if won > 0 and there not in seen:
                    seen.add(there)
                    todo.append(there)
        if len(seen) < count:
            return False
    return True


def elo(games: Iterable[Game], start: float = ELO_START, step: float = ELO_STEP) -> dict[str, float]:
    """Elo ratings after the games in their order: R += K (score - 1 / (1 + 10^((R_other - R) / 400))), Elo 1978."""
    ratings: dict[str, float] = {}
    for first, second, score in games:
        mine, yours = ratings.setdefault(first, start), ratings.setdefault(second, start)
        gain = step * (score - 1 / (1 + 10 ** ((yours - mine) / 400)))
        ratings[first], ratings[second] = mine + gain, yours - gain
    return ratings


def tally(games: Iterable[Game]) -> dict[str, tuple[int, int, int]]:
    """(wins, ties, losses) of each model; a score of one half is a tie, above it a win."""
    counts: dict[str, list[int]] = {}
    for first, second, score in games:
        result = 1 if score == 0.5 else 0 if score > 0.5 else 2
        counts.setdefault(first, [0, 0, 0])[result] += 1
        counts.setdefault(second, [0, 0, 0])[2 - result] += 1
    return {name: (c[0], c[1], c[2]) for name, c in counts.items()}
