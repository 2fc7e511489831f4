"""Completions in groups, one group for each prompt: advantages relative to a group, and weights within it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from workbench.domain.specs.grpo import GrpoSpec
from workbench.engine import advantages


class Judgement(NamedTuple):
    """B = N·G completions, those of a prompt side by side.

    `advantages` [B]; `learned` [B]: whether a completion is learned from; `counted` [B]: whether its tokens are among those that
    a loss is divided by; `flat`: share of the groups without spread.
    """

    advantages: Tensor
    learned: Tensor
    counted: Tensor
    flat: float


def compare(scores: Tensor, ended: Tensor, spec: GrpoSpec, away: Tensor | None = None) -> Judgement:
    """Compare completions with the others of their prompt: scores, ended, and (for rloo) KL to the reference of each, [B].

    A group whose members all fare alike teaches nothing: its members are not learned from, and not held to the reference
    either. For rloo a member is compared with the mean of the others, which is the deviation from the mean times G / (G - 1)
    (arXiv 2402.14740).
    """
    rewards = scores - spec.missing_eos_penalty * (~ended)
    if spec.variant == "rloo" and away is not None:
        rewards = rewards - spec.beta * away
    grouped = rewards.view(-1, spec.group_size)
    varied = grouped.amax(1) > grouped.amin(1)
    found = advantages.group_relative(grouped, spec.spread)
    if spec.variant == "rloo":
        found = found * spec.group_size / (spec.group_size - 1)
    learned = varied[:, None].expand(-1, spec.group_size).reshape(-1)
    counted = ended if spec.mask_unfinished else torch.ones_like(ended)
    return Judgement(
        (found * varied[:, None]).reshape(-1), learned & counted, counted, 1.0 - float(varied.float().mean())
    )


class Weights(NamedTuple):
    """How much each completion of some prompts is imitated: `each` [B], mean one over a prompt; effective sample sizes [N]."""

    each: Tensor
    effective: Tensor


def weigh(rewards: Tensor, sizes: Sequence[int], beta: float, spread: float = 1.0) -> Weights:
    """Weights softmax(r / (beta · spread)) within each prompt, times its number of completions: rewards [B] -> Weights.

    `sizes` are the numbers of completions of the N prompts, in order. With beta → ∞ all weights are one.
    """
    padded = torch.nn.utils.rnn.pad_sequence(list(rewards.split(list(sizes))), True, -torch.inf)
    shares = advantages.softmax_weights(padded / spread, beta)
    there = padded > -torch.inf
    counts = torch.tensor(sizes, device=rewards.device, dtype=shares.dtype)
    return Weights((shares * counts[:, None])[there], advantages.effective_sample_size(shares))
