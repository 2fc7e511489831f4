"""The arithmetic of speculative sampling (Leviathan et al. 2022, arXiv 2211.17192; Chen et al. 2023, 2302.01318).

A draft draws x from q; the target takes it with probability min(1, p(x) / q(x)), and otherwise draws from what p has more than q. Whatever
q is, the token then has the distribution p, if q is the distribution that x was really drawn from.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor


def accepts(p: float, q: float, u: float) -> bool:
    """Whether a drafted token is taken: u < p / q, for u uniform in [0, 1); a token without probability p never is."""
    return u * q < p


def residual(p: Tensor, q: Tensor) -> Tensor:
    """[..., V]: max(0, p - q) normalised; p itself where p has nothing that q hasn't (equal up to rounding)."""
    left = (p - q).clamp(min=0)
    mass = left.sum(-1, keepdim=True)
    return torch.where(mass > 0, left / mass.clamp(min=torch.finfo(p.dtype).tiny), p)


def acceptance(p: Tensor, q: Tensor) -> Tensor:
    """[...]: the chance that a token drawn from q is taken, sum over V of min(p, q) = 1 - the total variation distance."""
    return torch.minimum(p, q).sum(-1)


@dataclass(frozen=True)
class Rule:
    """How drafted tokens are judged. `sees_raw`: q is taken from the draft's logits before its chain, a common mistake."""

    name: str
    accepts: Callable[[float, float, float], bool] = accepts
    residual: Callable[[Tensor, Tensor], Tensor] = residual
    sees_raw: bool = False


EXACT = Rule("exact")
# Mistakes that are easily made and not seen in the texts: a test of losslessness has to find them.
WRONG = (
    Rule("every drafted token is kept", accepts=lambda p, q, u: True),
    Rule("after a rejection, p is drawn from instead of the residual", residual=lambda p, q: p),
    Rule("q is read before the draft's own rules", sees_raw=True),
)
