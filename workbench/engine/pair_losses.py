"""What a DPO spec makes of the log-probabilities of pairs: its loss, the implicit rewards, and the metrics.

n pairs stand as in `pair_batch`: [2n], chosen completions first, then rejected ones.
"""

from __future__ import annotations

from typing import Literal, NamedTuple, cast

import torch
from torch import Tensor

from workbench.domain.specs.dpo import DpoSpec
from workbench.engine import advantages, losses
from workbench.engine.losses import PreferenceLoss


class Seen(NamedTuple):
    """Of some pairs: log-probabilities of policy and reference [2n, T], mask [2n, T], strengths of preference [n] (0 = unknown)."""

    logprobs: Tensor
    reference: Tensor | None
    mask: Tensor
    strengths: Tensor


def pair_loss(seen: Seen, spec: DpoSpec, zero: Tensor | None = None) -> PreferenceLoss:
    """The mean loss of the pairs and their implicit rewards [n], as the spec says.

    `zero` (scalar), for kto alone, is what it compares log-ratios with: the mean of those of mismatched completions.
    """
    sums, sizes = seen.logprobs.sum(1), seen.mask.sum(1)
    margin = spec.margin_scale * seen.strengths if spec.margin_scale else None
    if seen.reference is None:
        chosen, rejected = (sums / sizes).chunk(2)
        if spec.loss == "orpo":
            loss = losses.orpo(chosen, rejected, spec.beta)
        else:
            loss = losses.simpo(chosen, rejected, spec.beta, spec.simpo_gamma, margin)
        return PreferenceLoss(loss, spec.beta * chosen.detach(), spec.beta * rejected.detach())
    references = seen.reference.sum(1)
    if spec.loss == "kto":
        assert zero is not None
        chosen, rejected = (sums - references).chunk(2)
        weights = spec.kto_chosen_weight, spec.kto_rejected_weight
        loss = losses.kto(chosen, rejected, zero[None], spec.beta, *weights)
        return PreferenceLoss(loss, spec.beta * chosen.detach(), spec.beta * rejected.detach())
    if spec.loss == "ipo" and spec.ipo_length_average:
        sums, references = sums / sizes, references / sizes
    chosen, rejected = sums.chunk(2)
    first_chosen, first_rejected = references.chunk(2)
    kind = cast(Literal["sigmoid", "ipo", "hinge", "robust"], spec.loss)
    return losses.dpo(chosen, rejected, first_chosen, first_rejected, spec.beta, kind, spec.label_smoothing, margin)


@torch.no_grad()
def pair_metrics(seen: Seen, found: PreferenceLoss) -> dict[str, Tensor]:
    """Means over the pairs, scalars on their device; `kl` and what compares with the start only where there is a reference.

    `kl` estimates KL(reference ‖ policy): k3 summed over a completion, the mean over both completions of each pair. The other
    direction can't be estimated here: completions that the policy no longer writes would outweigh all others.
    """
    chosen, rejected = seen.logprobs.sum(1).chunk(2)
    long, short = seen.mask.sum(1).chunk(2)
    gap = found.chosen_reward - found.rejected_reward
    values = {
        "rewards/chosen": found.chosen_reward.mean(),
        "rewards/rejected": found.rejected_reward.mean(),
        "rewards/margin": gap.mean(),
        "rewards/accuracy": (gap > 0).float().mean(),
        "logps/chosen": chosen.mean(),
        "logps/rejected": rejected.mean(),
        "length/difference": (long - short).float().mean(),
    }
    if seen.reference is not None:
        first_chosen, first_rejected = seen.reference.sum(1).chunk(2)
        values |= {
            "logps/chosen_change": ((chosen - first_chosen) / long).mean(),
            "logps/rejected_change": ((rejected - first_rejected) / short).mean(),
            "reference/accuracy": (first_chosen > first_rejected).float().mean(),
            "kl": advantages.kl(seen.reference, seen.logprobs, "k3").sum() / len(seen.mask),
        }
    return values
