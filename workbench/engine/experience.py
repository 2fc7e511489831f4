"""One rollout of PPO as tensors: completions, scores, log-probabilities, values, and the advantages made from them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from workbench.domain.specs.ppo import PpoSpec
from workbench.engine import advantages
from workbench.engine.advantages import RunningMoments
from workbench.engine.batches import Batch, collate
from workbench.engine.online import Judged
from workbench.engine.rollout import Rollout


class Experience(NamedTuple):
    """B completions with T tokens at most. Tensors are [B, T], zero behind a completion's end.

    `rewards` are what GAE was given; `advantages` are not yet whitened.
    """

    prompts: list[list[int]]
    completions: list[list[int]]
    mask: Tensor
    logprobs: Tensor
    ref_logprobs: Tensor
    values: Tensor
    rewards: Tensor
    advantages: Tensor
    returns: Tensor

    @property
    def lengths(self) -> list[int]:
        """Tokens of prompt and completion, for each row."""
        return [len(p) + len(c) for p, c in zip(self.prompts, self.completions, strict=True)]

    def batch(self, rows: Sequence[int], pad: int) -> Batch:
        """Some rows as a batch."""
        return collate([self.prompts[row] for row in rows], [self.completions[row] for row in rows], pad)


def reward_tokens(
    prompts: list[list[int]],
    rollout: Rollout,
    judged: Judged,
    score: Tensor,
    spec: PpoSpec,
    beta: float,
    moments: RunningMoments,
) -> Experience:
    """Scores [B], normalised and less penalties, on the last token, the KL penalty on each; then advantages and returns.

    `moments` are of all scores so far, and take in these first when the spec normalises by them.
    """
    assert judged.ref_logprobs is not None
    assert judged.values is not None
    device = score.device
    sizes = torch.tensor([len(ids) for ids in rollout.completions], device=device)
    mask = torch.arange(judged.logprobs.shape[1], device=device) < sizes[:, None]
    if spec.normalize_scores:
        moments.update(score)
        score = (score - moments.mean) / (moments.std + 1e-4)
    if spec.score_clip:
        score = score.clamp(-spec.score_clip, spec.score_clip)
    score = score - spec.missing_eos_penalty * (~torch.tensor(rollout.ended, device=device))
    inside = spec.kl_penalty.startswith("reward")
    penalty = advantages.kl(judged.logprobs, judged.ref_logprobs, kl_kind(spec))
    shaped = advantages.shaped_rewards(score, penalty, mask, beta if inside else 0.0)
    given = advantages.whiten(shaped, mask, shift_mean=False) if spec.whiten_rewards else shaped
    gains, returns = advantages.gae(given, judged.values, mask, spec.gamma, spec.lam)
    return Experience(
        prompts,
        rollout.completions,
        mask,
        judged.logprobs,
        judged.ref_logprobs,
        judged.values,
        shaped,
        gains,
        returns,
    )


def kl_kind(spec: PpoSpec) -> advantages.Estimate:
    """Which estimate of KL the spec's penalty is."""
    return {"k1": "k1", "k2": "k2", "k3": "k3"}[spec.kl_penalty[-2:]]  # type: ignore[return-value]


def describe(experience: Experience, beta: float) -> dict[str, float]:
    """Metrics of a rollout before it is learned from; statistics never include padding."""
    mask = experience.mask
    k1 = advantages.kl(experience.logprobs, experience.ref_logprobs, "k1")
    k3 = advantages.kl(experience.logprobs, experience.ref_logprobs, "k3")
    gains, returns, forecast = experience.advantages[mask], experience.returns[mask], experience.values[mask]
    spread = float(returns.var(correction=0))
    unexplained = float((returns - forecast).var(correction=0))
    return {
        "reward/total": float(experience.rewards.sum(1).mean()),
        "kl/k1": float((k1 * mask).sum(1).mean()),
        "kl/k3": float((k3 * mask).sum(1).mean()),
        "kl/beta": beta,
        "value/explained_variance": 1 - unexplained / spread if spread > 0 else 0.0,
        "advantage/mean": float(gains.mean()),
        "advantage/std": float(gains.std(correction=0)),
    }
