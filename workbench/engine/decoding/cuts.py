"""The rules that reshape or cut a distribution: pure functions of scores [B, V] that return new ones, cut tokens at minus infinity.

Each keeps at least one token. Which tokens stay on ties and at the bounds is what transformers' processors of the same names do.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

Cut = Callable[[Tensor], Tensor]


def temperature(value: float) -> Cut:
    """Divide the scores."""
    return lambda scores: scores / value


def top_k(count: int) -> Cut:
    """Keep scores at or above the k-th largest, so ties with it stay."""

    def apply(scores: Tensor) -> Tensor:
        smallest = torch.topk(scores, min(count, scores.shape[-1])).values[..., -1, None]
        return scores.masked_fill(scores < smallest, -torch.inf)

    return apply


def top_p(mass: float) -> Cut:
    """Keep the smallest set of most probable tokens whose probabilities reach `mass` (Holtzman et al. 2019, arXiv 1904.09751)."""

    def apply(scores: Tensor) -> Tensor:
        ascending, order = torch.sort(scores, descending=False)
        cut = ascending.softmax(dim=-1).cumsum(dim=-1) <= (1 - mass)
        cut[..., -1] = False
        return scores.masked_fill(torch.zeros_like(cut).scatter(-1, order, cut), -torch.inf)

    return apply


def min_p(share: float) -> Cut:
    """Keep p(v) >= share * max p (Nguyen et al. 2024, arXiv 2407.01082)."""

    def apply(scores: Tensor) -> Tensor:
        p = scores.softmax(dim=-1)
        return scores.masked_fill(p < share * p.amax(dim=-1, keepdim=True), -torch.inf)

    return apply


def typical_p(mass: float) -> Cut:
    """Keep the tokens whose surprise -ln p is nearest to the entropy until they reach `mass` (Meister et al. 2022, arXiv 2202.00666).

    Tokens as far from the entropy as the last of them stay too. The most probable token may be among those that go.
    """

    def apply(scores: Tensor) -> Tensor:
        logp = scores.log_softmax(dim=-1)
        entropy = -(logp * logp.exp()).nansum(dim=-1, keepdim=True)
        distance, order = torch.sort((-logp - entropy).abs(), descending=False)
        short = scores.gather(-1, order).softmax(dim=-1).cumsum(dim=-1) < mass
        last = short.sum(dim=-1, keepdim=True).clamp(max=scores.shape[-1] - 1)
        cut = distance > distance.gather(-1, last)
        cut[..., 0] = False
        return scores.masked_fill(torch.zeros_like(cut).scatter(-1, order, cut), -torch.inf)

    return apply


def epsilon(least: float) -> Cut:
    """Keep p(v) >= least, or the most probable token (Hewitt et al. 2022, arXiv 2210.15191)."""
    return lambda scores: _at_least(scores, least)


def eta(least: float) -> Cut:
    """Keep p(v) >= min(least, sqrt(least) * exp(-entropy)), or the most probable token (Hewitt et al. 2022, arXiv 2210.15191)."""

    def apply(scores: Tensor) -> Tensor:
        entropy = torch.special.entr(scores.softmax(dim=-1)).sum(dim=-1, keepdim=True)
        return _at_least(scores, (math.sqrt(least) * torch.exp(-entropy)).clamp(max=least))

    return apply


def surprise_up_to(scores: Tensor, bits: Tensor) -> Tensor:
    """Keep tokens of at most so many bits of surprise, -log2 p, by row [B], or the most probable (Basu et al. 2020, arXiv 2007.14966)."""
    surprise = scores.log_softmax(dim=-1) / -math.log(2)
    return scores.masked_fill((surprise > bits[:, None]) & (scores < _best(scores)), -torch.inf)


def _at_least(scores: Tensor, least: Tensor | float) -> Tensor:
    return scores.masked_fill((scores.softmax(dim=-1) < least) & (scores < _best(scores)), -torch.inf)


def _best(scores: Tensor) -> Tensor:
    return scores.amax(dim=-1, keepdim=True)
