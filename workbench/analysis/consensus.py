"""What annotators say together, and how reliable each of them is: Dawid and Skene's model of noisy votes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from workbench.analysis.alpha import Interval

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Unit = Mapping[str, Hashable]
Pattern = tuple[tuple[str, Hashable], ...]
MOST_PATTERNS = 4_000


@dataclass(frozen=True)
class Consensus:
    """`truth[u][c]`: probability that unit u is of category c. `accuracy[a]`: chance that annotator a says what is true.

    `confusion[a][c][d]`: chance that annotator a says d where c is true; `share[c]`: how frequent c is.
    """

    categories: tuple[Hashable, ...]
    truth: tuple[tuple[float, ...], ...]
    share: tuple[float, ...]
    confusion: Mapping[str, tuple[tuple[float, ...], ...]]
    accuracy: Mapping[str, float]

    def best(self) -> list[Hashable]:
        """The likeliest category of each unit."""
        return [self.categories[max(range(len(row)), key=row.__getitem__)] for row in self.truth]


def dawid_skene(
    units: Sequence[Unit], rounds: int = 200, tolerance: float = 1e-9, prior: float = 0.01
) -> Consensus | None:
    """Maximum likelihood by EM from majority votes (Dawid & Skene 1979); None without votes.

    `prior` is added to every count, so that an annotator who never met a category isn't certain about it. Units with the same votes
    are reckoned once, with their number as weight.
    """
    import numpy as np

    keys = [tuple(sorted(unit.items())) for unit in units if unit]
    if not keys:
        return None
    patterns = dict.fromkeys(keys)
    votes, people, categories = _table(list(patterns))
    counted = Counter(keys)
    weights = np.array([counted[pattern] for pattern in patterns], dtype=np.float64)
    truth, share, confusion = _fit(votes, weights, rounds, tolerance, prior)
    right = (share[None] * np.diagonal(confusion, axis1=1, axis2=2)).sum(1)
    rows = {pattern: tuple(map(float, row)) for pattern, row in zip(patterns, truth, strict=True)}
    return Consensus(
        categories,
        tuple(rows[key] for key in keys),
        tuple(map(float, share)),
        {who: tuple(tuple(map(float, row)) for row in confusion[a]) for a, who in enumerate(people)},
        {who: float(right[a]) for a, who in enumerate(people)},
    )


def accuracies(units: Sequence[Unit], rounds: int = 200, seed: int = 0) -> dict[str, Interval]:
    """How often each annotator is right by the consensus, with 95 % intervals over `rounds` draws of units with replacement.

    Without bounds where there are more than MOST_PATTERNS different ways in which annotators voted.
    """
    import numpy as np

    keys = [tuple(sorted(unit.items())) for unit in units if unit]
    if not keys:
        return {}
    counted = Counter(keys)
    votes, people, _ = _table(list(counted))
    weights = np.array(list(counted.values()), dtype=np.float64)

    def right(weighted: NDArray[np.float64], start: NDArray[np.float64] | None = None) -> Any:
        truth, share, confusion = _fit(votes, weighted, 200, 1e-9 if start is None else 1e-6, 0.01, start)
        return truth, (share[None] * np.diagonal(confusion, axis1=1, axis2=2)).sum(1)

    truth, exact = right(weights)
    if len(weights) > MOST_PATTERNS:
        return {who: Interval(float(value), None, None) for who, value in zip(people, exact, strict=True)}
    draw = np.random.default_rng(seed)
    chances = weights / weights.sum()
    drawn = [right(draw.multinomial(len(keys), chances).astype(np.float64), truth)[1] for _ in range(rounds)]
    low, high = np.quantile(np.array(drawn), [0.025, 0.975], axis=0)
    return {who: Interval(float(exact[a]), float(low[a]), float(high[a])) for a, who in enumerate(people)}


def _table(patterns: Sequence[Pattern]) -> tuple[NDArray[np.float64], tuple[str, ...], tuple[Hashable, ...]]:
    """Votes [patterns, annotators, categories] as zeros and ones, with the names of annotators and categories."""
    import numpy as np

    categories = tuple(sorted({vote for pattern in patterns for _, vote in pattern}, key=repr))
    people = tuple(sorted({who for pattern in patterns for who, _ in pattern}))
    place = {category: i for i, category in enumerate(categories)}
    seat = {who: i for i, who in enumerate(people)}
    votes = np.zeros((len(patterns), len(people), len(categories)))
    for u, pattern in enumerate(patterns):
        for who, vote in pattern:
            votes[u, seat[who], place[vote]] = 1
    return votes, people, categories


def _fit(
    votes: NDArray[np.float64],
    weights: NDArray[np.float64],
    rounds: int,
    tolerance: float,
    prior: float,
    start: NDArray[np.float64] | None = None,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Truth [patterns, categories], shares and confusions after EM, from majority votes or from an earlier truth."""
    import numpy as np

    truth = votes.sum(1) / votes.sum((1, 2))[:, None] if start is None else start
    before = -np.inf
    for _ in range(rounds):
        share, confusion = _maximise(truth * weights[:, None], votes, prior)
        logits = np.log(share)[None] + np.tensordot(votes, np.log(confusion), ([1, 2], [0, 2]))
        top = logits.max(1, keepdims=True)
        truth = np.exp(logits - top)
        likelihood = float((weights * (top[:, 0] + np.log(truth.sum(1)))).sum())
        truth /= truth.sum(1, keepdims=True)
        if likelihood - before < tolerance * max(1.0, abs(likelihood)):
            break
        before = likelihood
    return truth, *_maximise(truth * weights[:, None], votes, prior)


def _maximise(
    truth: NDArray[np.float64], votes: NDArray[np.float64], prior: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Shares [C] and confusions [A, C, C] (true, said) from weighted truth [U, C] and votes [U, A, C]."""
    import numpy as np

    share = truth.sum(0) + prior
    counts = np.tensordot(votes, truth, ([0], [0])).transpose(0, 2, 1) + prior
    return share / share.sum(), counts / counts.sum(2, keepdims=True)
