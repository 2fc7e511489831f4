"""How unsure a reward model is: many scalar heads over its last hidden state, and how far their verdicts lie apart.

Each head is drawn near the trained one and fitted to a draw of the labelled pairs (a randomised maximum a posteriori: anchored
ensembles, Pearce et al. 2018, arXiv 1810.05546, with the Bayesian bootstrap's kin, Poisson weights, for the likelihood). Where labels
have spoken, heads agree; in directions that no label has touched, they keep the spread of the prior.
"""

from __future__ import annotations

from itertools import combinations

import torch
from torch import Tensor
from torch.nn.functional import softplus

MOST_STEPS = 100
TOLERANCE = 1e-9


def feature_scale(differences: Tensor) -> float:
    """Root mean square length of feature differences [P, H]: a head moved by 1 / scale in every direction moves margins by about 1."""
    lengths = differences.double().pow(2).sum(1)
    return float(lengths.mean().sqrt()) if len(lengths) and float(lengths.max()) > 0 else 1.0


def fit_heads(differences: Tensor, trained: Tensor, scale: float, *, heads: int, prior: float, seed: int) -> Tensor:
    """[K, H] float64: heads fitted to labelled pairs.

    Args:
        differences: [P, H], features of the better response minus those of the worse one; P may be 0.
        trained: [H], the reward model's own head.
        scale: length of a usual difference (`feature_scale`), which makes `prior` a number about margins.
        heads: K, how many.
        prior: standard deviation of a usual pair's margin around the trained head's, before labels.
        seed: of the draws; the same seed gives the same heads.

    Minimises for each head sum_p n_p · softplus(-w·d_p) + |w - a|² / (2σ²), a ~ N(trained, σ²), n_p ~ Poisson(1), which is convex.
    """
    generator = torch.Generator().manual_seed(seed)
    d, start = differences.double().cpu(), trained.double().cpu()
    width = prior / scale
    anchors = start + width * torch.randn(heads, len(start), generator=generator, dtype=torch.float64)
    if not len(d):
        return anchors
    drawn = torch.poisson(torch.ones(heads, len(d), dtype=torch.float64), generator=generator)
    found = anchors.clone().requires_grad_(True)
    search = torch.optim.LBFGS(
        [found],
        max_iter=MOST_STEPS,
        tolerance_grad=TOLERANCE,
        tolerance_change=TOLERANCE,
        line_search_fn="strong_wolfe",
    )

    def loss() -> Tensor:
        search.zero_grad()
        likelihood = (drawn * softplus(-(found @ d.T))).sum()
        total = likelihood + ((found - anchors) ** 2).sum() / (2 * width**2)
        total.backward()
        return total

    search.step(loss)
    return found.detach()


def disagreement(features: Tensor, heads: Tensor) -> float:
    """How far heads [K, H] lie apart on candidates with features [C, H]: standard deviation of P(a ≻ b) over heads, the mean over pairs.

    In [0, 0.5]: 0 when all say the same, near 0.5 when half are certain of one response and half of the other.
    """
    scores = features.double().cpu() @ heads.T
    pairs = list(combinations(range(len(scores)), 2))
    first, second = [a for a, _ in pairs], [b for _, b in pairs]
    chances = torch.sigmoid(scores[first] - scores[second])
    return float(chances.std(dim=1, correction=0).mean())
