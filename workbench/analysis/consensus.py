"""What annotators say together, and how reliable each of them is: Dawid and Skene's model of noisy votes."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Unit = Mapping[str, Hashable]


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

    `prior` is added to every count, so that an annotator who never met a category isn't certain about it.
    """
    import numpy as np

    units = [unit for unit in units if unit]
    if not units:
        return None
    categories = tuple(sorted({v for unit in units for v in unit.values()}, key=repr))
    people = tuple(sorted({who for unit in units for who in unit}))
    votes = np.zeros((len(units), len(people), len(categories)))
    for u, unit in enumerate(units):
        for who, vote in unit.items():
            votes[u, people.index(who), categories.index(vote)] = 1
    truth = votes.sum(1) / votes.sum((1, 2))[:, None]
    before = -np.inf
    for _ in range(rounds):
        share, confusion = _maximise(truth, votes, prior)
        logits = np.log(share)[None] + np.einsum("uad,acd->uc", votes, np.log(confusion))
        top = logits.max(1, keepdims=True)
        truth = np.exp(logits - top)
        likelihood = float((top[:, 0] + np.log(truth.sum(1))).sum())
        truth /= truth.sum(1, keepdims=True)
        if likelihood - before < tolerance * max(1.0, abs(likelihood)):
            break
        before = likelihood
    share, confusion = _maximise(truth, votes, prior)
    right = (share[None] * np.diagonal(confusion, axis1=1, axis2=2)).sum(1)
    return Consensus(
        categories,
        tuple(tuple(map(float, row)) for row in truth),
        tuple(map(float, share)),
        {who: tuple(tuple(map(float, row)) for row in confusion[a]) for a, who in enumerate(people)},
        {who: float(right[a]) for a, who in enumerate(people)},
    )


def _maximise(
    truth: NDArray[np.float64], votes: NDArray[np.float64], prior: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Shares [C] and confusions [A, C, C] (true, said) from truth [U, C] and votes [U, A, C]."""
    import numpy as np

    share = truth.sum(0) + prior
    counts = np.einsum("uc,uad->acd", truth, votes) + prior
    return share / share.sum(), counts / counts.sum(2, keepdims=True)
