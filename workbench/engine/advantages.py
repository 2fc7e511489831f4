"""From scores to advantages, as pure functions: KL estimates, shaped rewards, GAE, whitening, group-relative advantages.

Shapes: B sequences, T completion tokens, N prompts, G completions of each. `mask` is 1 (or True) on completion tokens; what stands
under a 0 is never read and comes out as 0. Arithmetic is float32, or float64 where float64 is given.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

Estimate = Literal["k1", "k2", "k3"]


def kl(logprobs: Tensor, ref_logprobs: Tensor, kind: Estimate = "k1") -> Tensor:
    """Estimate of KL(policy || reference) at each sampled token, in nats, any shape (Schulman 2020, "Approximating KL divergence").

    With d = logprobs - ref_logprobs: k1 = d, k2 = d²/2, k3 = exp(-d) - 1 + d. k1 and k3 are unbiased, k2 and k3 never negative.
    """
    d = _precise(logprobs) - _precise(ref_logprobs)
    if kind == "k1":
        return d
    if kind == "k2":
        return 0.5 * d.square()
    if kind == "k3":
        return torch.expm1(-d) + d
    raise ValueError(f"unknown KL estimate: {kind!r}")


def shaped_rewards(score: Tensor, kl: Tensor, mask: Tensor, beta: float) -> Tensor:
    """Reward of each token: score [B], kl and mask [B, T] -> [B, T]; -beta·kl, plus the score on the last completion token."""
    rewards = torch.where(mask.bool(), -beta * _precise(kl), 0.0)
    places = torch.arange(mask.shape[1], device=mask.device)
    last = torch.where(mask.bool(), places, -1).amax(dim=1, keepdim=True)
    return rewards + torch.where(places == last, score.to(rewards.dtype)[:, None], 0.0)


def gae(rewards: Tensor, values: Tensor, mask: Tensor, gamma: float = 1.0, lam: float = 0.95) -> tuple[Tensor, Tensor]:
    """Generalised advantage estimation (arXiv 1506.02438, eq. 16): rewards, values, mask [B, T] -> (advantages, returns) [B, T].

    δ_t = r_t + γ v_{t+1} - v_t, A_t = δ_t + γλ A_{t+1}, nothing after the last completion token; returns = A + v, before any
    whitening. Tokens outside of the mask are skipped: the next completion token follows directly.
    """
    there = mask.bool()
    rewards = torch.where(there, _precise(rewards), 0.0).detach()
    values = torch.where(there, _precise(values), 0.0).detach()
    advantages = torch.zeros_like(rewards)
    following = torch.zeros_like(rewards[:, 0])
    running = torch.zeros_like(following)
    for t in range(rewards.shape[1] - 1, -1, -1):
        delta = rewards[:, t] + gamma * following - values[:, t]
        running = torch.where(there[:, t], delta + gamma * lam * running, running)
        following = torch.where(there[:, t], values[:, t], following)
        advantages[:, t] = running
    advantages = torch.where(there, advantages, 0.0)
    return advantages, torch.where(there, advantages + values, 0.0)


def whiten(x: Tensor, mask: Tensor, shift_mean: bool = True) -> Tensor:
    """Scale to unit (unbiased) variance over the masked entries, same shape; 0 outside of the mask.

    `shift_mean=True` makes the mean zero; `shift_mean=False` keeps the mean as it was, unscaled.
    """
    there = mask.bool()
    x = torch.where(there, _precise(x), 0.0)
    n = there.sum().to(x.dtype)
    mean = x.sum() / n.clamp(min=1)
    deviation = torch.where(there, x - mean, 0.0)
    variance = deviation.square().sum() / (n - 1).clamp(min=1)
    scaled = deviation * torch.rsqrt(variance + 1e-8)
    return scaled if shift_mean else torch.where(there, scaled + mean, 0.0)


def group_relative(rewards: Tensor, scale: Literal["group", "batch", "none"] = "group") -> Tensor:
    """Advantages relative to the other completions of the same prompt (arXiv 2402.03300): rewards [N, G] -> [N, G].

    (r - mean of group) / (std + 1e-4), the unbiased std of the group or of the whole batch; "none" divides by nothing. A group
    without spread gets zeros.
    """
    rewards = _precise(rewards)
    deviation = rewards - rewards.mean(dim=1, keepdim=True)
    if scale == "none":
        return deviation
    if scale == "group":
        variance = deviation.square().sum(dim=1, keepdim=True) / max(rewards.shape[1] - 1, 1)
    elif scale == "batch":
        variance = (rewards - rewards.mean()).square().sum() / max(rewards.numel() - 1, 1)
    else:
        raise ValueError(f"unknown scale: {scale!r}")
    return deviation / (variance.sqrt() + 1e-4)


def softmax_weights(rewards: Tensor, beta: float) -> Tensor:
    """Weights of reward-weighted regression: rewards [N, G] -> softmax(r / beta) within each prompt, [N, G].

    A reward of -inf gets no weight: it stands where a prompt has fewer completions than others.
    """
    return torch.softmax(_precise(rewards) / beta, dim=-1)


def effective_sample_size(weights: Tensor) -> Tensor:
    """How many completions of a prompt the weights amount to: weights [N, G] that sum to one -> 1 / Σw² [N], from 1 to G."""
    return 1.0 / weights.square().sum(dim=-1)


@dataclass
class AdaptiveKL:
    """Weight of the KL penalty, steered towards a target KL (arXiv 1909.08593, section 2.2); `target` 0 keeps it fixed."""

    init: float
    target: float
    horizon: float

    def __post_init__(self) -> None:
        self.beta = self.init

    def update(self, kl: float, n: int) -> float:
        """Take in the mean KL of n completions (nats each): beta ·= 1 + clip(kl/target - 1, ±0.2) · n / horizon."""
        if self.target > 0:
            error = min(max(float(kl) / self.target - 1.0, -0.2), 0.2)
            self.beta *= 1.0 + error * n / self.horizon
        return self.beta


@dataclass
class RunningMoments:
    """Mean and spread of all numbers seen so far, by Chan, Golub and LeVeque's pairwise update (1979), in double precision."""

    count: float = 0.0
    mean: float = 0.0
    squares: float = 0.0

    def update(self, x: Tensor) -> None:
        """Take in numbers of any shape."""
        x = x.detach().double()
        n, mean = x.numel(), float(x.mean()) if x.numel() else 0.0
        if not n:
            return
        squares, apart, total = float((x - mean).square().sum()), mean - self.mean, self.count + n
        self.squares += squares + apart**2 * self.count * n / total
        self.mean += apart * n / total
        self.count = total

    @property
    def std(self) -> float:
        """Unbiased standard deviation; 0 for fewer than two numbers."""
        return math.sqrt(self.squares / (self.count - 1)) if self.count > 1 else 0.0


def _precise(x: Tensor) -> Tensor:
    return x if x.dtype == torch.float64 else x.float()
