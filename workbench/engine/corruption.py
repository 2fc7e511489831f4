"""What masked language modelling and span corruption hide of a text, as functions of a random generator."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Ids = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
KEPT_AS_MASK, KEPT_RANDOM = 0.8, 0.9  # of the chosen tokens, 80 % become the mask, 10 % another token, 10 % stay


def visit_rng(seed: int, row: int, epoch: int) -> np.random.Generator:
    """The generator of one row in one epoch: it depends on nothing else, so that a resumed run hides the same."""
    return np.random.default_rng([seed, epoch, row])


def mask_tokens(
    ids: Ids, maskable: Flags, rng: np.random.Generator, share: float, mask: int, others: Ids
) -> tuple[Ids, Flags]:
    """(what the model is shown, which tokens it has to say): ids and maskable [L] -> [L], [L].

    round(share · n) of the n maskable tokens are chosen, at least one; of these 80 % become `mask`, 10 % one of `others`, 10 % stay
    as they are (Devlin et al. 2019, arXiv 1810.04805, section 3.1). Raises ValueError when no token is maskable.
    """
    open_places = np.flatnonzero(maskable)
    if not len(open_places):
        raise ValueError("no token can be masked")
    chosen = rng.choice(open_places, size=max(1, round(share * len(open_places))), replace=False)
    fate = rng.random(len(chosen))
    replaced = rng.choice(others, size=len(chosen))
    shown = ids.copy()
    shown[chosen] = np.where(fate < KEPT_AS_MASK, mask, np.where(fate < KEPT_RANDOM, replaced, ids[chosen]))
    wanted = np.zeros(len(ids), dtype=np.bool_)
    wanted[chosen] = True
    return shown, wanted


def count_spans(length: int, density: float, mean: float) -> tuple[int, int]:
    """(hidden tokens, spans) of a text of `length` ≥ 2 tokens: at least one of each, and something always stays."""
    hidden = min(max(1, round(length * density)), length - 1)
    return hidden, min(max(1, round(hidden / mean)), hidden, length - hidden)


def corrupt_spans(
    ids: Ids, rng: np.random.Generator, density: float, mean: float, sentinels: Sequence[int], end: Sequence[int]
) -> tuple[list[int], list[int]]:
    """(encoder's input, decoder's target): ids [L ≥ 2] -> lists.

    Spans that hide `density` of the tokens and are `mean` tokens long on average give way to one sentinel each; the target has
    every sentinel followed by what it hides. Both get `end` behind them. Kept and hidden stretches take turns, a kept one first,
    all partitions of their lengths being equally likely (Raffel et al. 2020, arXiv 1910.10683, section 3.1.4).
    """
    hidden, spans = count_spans(len(ids), density, mean)
    kept = _partition(len(ids) - hidden, spans, rng)
    gone = _partition(hidden, spans, rng)
    shown: list[int] = []
    target: list[int] = []
    start = 0
    for number in range(spans):
        middle, stop = start + kept[number], start + kept[number] + gone[number]
        shown += [*ids[start:middle].tolist(), sentinels[number]]
        target += [sentinels[number], *ids[middle:stop].tolist()]
        start = stop
    return [*shown, *end], [*target, *end]


def _partition(total: int, parts: int, rng: np.random.Generator) -> list[int]:
    """`total` cut into so many parts of at least one, each way equally likely."""
    cuts = np.sort(rng.choice(total - 1, size=parts - 1, replace=False)) + 1 if parts > 1 else np.empty(0, dtype=int)
    sizes: list[int] = np.diff(np.concatenate([[0], cuts, [total]])).astype(int).tolist()
    return sizes
