"""One rollout of PPO as tensors: completions, scores, log-probabilities, values, and the advantages made from them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from workbench.domain.errors import RunFailed
from workbench.domain.specs.online import OnlineSpec
from workbench.domain.specs.ppo import PpoSpec
from workbench.engine import advantages
from workbench.engine.batches import Batch, collate, micro_batches
from workbench.engine.critic import values
from workbench.engine.device import Setup
from workbench.engine.evaluate import evaluating
from workbench.engine.forward import completion_logprobs, rewards
from workbench.engine.models import eos_ids
from workbench.engine.reference import agree
from workbench.engine.report import Report
from workbench.engine.roles import Roles
from workbench.engine.rollout import Rollout, sample_batch

SCORED_TOGETHER = 32  # rows, sorted by length, that are looked at at once when the spec sets no micro-batch


class Experience(NamedTuple):
    """B completions with T tokens at most. Tensors are [B, T], zero behind a completion's end, but for `score` [B].

    `score` is the reward model's, before any penalty; `rewards` are what GAE was given; `advantages` are not yet whitened.
    """

    prompts: list[list[int]]
    completions: list[list[int]]
    ended: Tensor
    mask: Tensor
    score: Tensor
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


class Judged(NamedTuple):
    """What the models say about a rollout: log-probabilities under policy and reference, values [B, T], scores [B]."""

    logprobs: Tensor
    ref_logprobs: Tensor
    values: Tensor
    score: Tensor


def stream(*numbers: int) -> torch.Generator:
    """A generator that depends on these numbers only, so that nothing about it needs to be kept in a checkpoint."""
    seed = np.random.SeedSequence(numbers).generate_state(2, np.uint32)
    return torch.Generator().manual_seed(int(seed[0]) << 31 | int(seed[1]) >> 1)


def warn_of_truncation(spec: OnlineSpec, report: Report) -> None:
    """Say what a truncated sampling distribution does to KL."""
    if spec.top_k or spec.top_p < 1:
        report.notice(
            "Rollouts are sampled with top_k or top_p, while log-probabilities are those of the whole distribution: KL is estimated "
            "too low and may become negative, and the policy learns from texts that it wouldn't sample.",
            "Set top_k to 0 and top_p to 1 unless this is meant.",
        )


def sample(roles: Roles, prompts: Sequence[list[int]], spec: PpoSpec, setup: Setup, draw: torch.Generator) -> Rollout:
    """Sample one completion for each prompt as the spec says."""
    with setup.autocast():
        return sample_batch(
            roles.policy.model,
            prompts,
            max_new_tokens=spec.max_new_tokens,
            temperature=spec.temperature,
            eos=eos_ids(roles.policy),
            generator=draw,
            top_k=spec.top_k,
            top_p=spec.top_p,
        )


def judge(
    roles: Roles, prompts: Sequence[list[int]], rollout: Rollout, spec: PpoSpec, setup: Setup, *, afresh: bool
) -> Judged:
    """Run reference, critic and reward model over a rollout, rows of similar length together.

    With `afresh` the policy's log-probabilities are computed again instead of taken from the sampler, and compared with what
    training will compute: at the first step policy and reference must agree exactly, so that ratio = 1 and KL = 0.
    """
    completions = rollout.completions
    lengths = [len(p) + len(c) for p, c in zip(prompts, completions, strict=True)]
    shape, device = rollout.logprobs.shape, rollout.logprobs.device
    first, second, third = (torch.zeros(shape, device=device) for _ in range(3))
    found = Judged(first, second, third, torch.zeros(shape[0], device=device))
    if not afresh:
        found.logprobs.copy_(rollout.logprobs)
    for part in micro_batches(range(shape[0]), lengths, spec.micro_batch_size or SCORED_TOGETHER):
        batch = collate([prompts[row] for row in part], [completions[row] for row in part], roles.policy.pad)
        batch, width = batch.to(device), int(batch.completion_mask.shape[1])
        with evaluating(roles.policy.model), setup.autocast():
            if afresh:
                found.logprobs[part, :width] = completion_logprobs(roles.policy.model, batch, spec.temperature)
            with roles.reference() as reference:
                found.ref_logprobs[part, :width] = completion_logprobs(reference, batch, spec.temperature)
            with roles.valuing() as critic:
                found.values[part, :width] = values(critic, batch, roles.policy.model)
            with roles.scoring() as scorer:
                found.score[part] = rewards(scorer, batch)
    return found


def check_start(roles: Roles, rollout: Rollout, prompts: Sequence[list[int]], spec: PpoSpec, setup: Setup) -> None:
    """Before the first update: the policy as it will be trained, as it was sampled from, and the reference are one.

    Raises RunFailed when the ratio is not 1 or the KL not 0, or when the sampler kept other log-probabilities.
    """
    rows = range(min(len(prompts), spec.micro_batch_size or SCORED_TOGETHER))
    batch = collate([prompts[row] for row in rows], [rollout.completions[row] for row in rows], roles.policy.pad)
    batch = batch.to(setup.device)
    with setup.autocast():
        trained = completion_logprobs(roles.policy.model, batch, spec.temperature).detach()
    with evaluating(roles.policy.model), setup.autocast():
        again = completion_logprobs(roles.policy.model, batch, spec.temperature)
        with roles.reference() as reference:
            start = completion_logprobs(reference, batch, spec.temperature)
    agree(trained, again, "the log ratio of new to old policy", setup)
    agree(trained, start, "the log ratio of policy to reference", setup)
    apart = (rollout.logprobs[: len(rows), : trained.shape[1]] - trained).abs()
    # One token may stray far in reduced precision, where the sampler's numbers aren't used; the mean may not.
    fine = setup.compute == torch.float32
    worst = float(apart.max() if fine else apart.sum() / batch.tokens)
    if not worst < (1e-3 if fine else 0.2):
        raise RunFailed(
            f"The log-probability of what was sampled differs by {worst:.3g} nats from that of a fresh pass.",
            "The model can't be sampled with a cache as it is: choose another model, or precision float32.",
        )


def reward_tokens(prompts: list[list[int]], rollout: Rollout, judged: Judged, spec: PpoSpec, beta: float) -> Experience:
    """Scores less penalties on the last token, the KL penalty on each; then advantages and returns."""
    device = judged.score.device
    sizes = torch.tensor([len(ids) for ids in rollout.completions], device=device)
    mask = torch.arange(judged.logprobs.shape[1], device=device) < sizes[:, None]
    ended = torch.tensor(rollout.ended, device=device)
    score = judged.score - spec.missing_eos_penalty * (~ended)
    penalty = advantages.kl(judged.logprobs, judged.ref_logprobs, "k1")
    shaped = advantages.shaped_rewards(score, penalty, mask, beta)
    given = advantages.whiten(shaped, mask, shift_mean=False) if spec.whiten_rewards else shaped
    gains, returns = advantages.gae(given, judged.values, mask, spec.gamma, spec.lam)
    return Experience(
        prompts,
        rollout.completions,
        ended,
        mask,
        judged.score,
        judged.logprobs,
        judged.ref_logprobs,
        judged.values,
        shaped,
        gains,
        returns,
    )


def describe(experience: Experience, beta: float) -> dict[str, float]:
    """Metrics of a rollout before it is learned from; statistics never include padding."""
    mask = experience.mask
    k1 = advantages.kl(experience.logprobs, experience.ref_logprobs, "k1")
    k3 = advantages.kl(experience.logprobs, experience.ref_logprobs, "k3")
    gains, returns, forecast = experience.advantages[mask], experience.returns[mask], experience.values[mask]
    spread = float(returns.var(correction=0))
    unexplained = float((returns - forecast).var(correction=0))
    return {
        "reward/score": float(experience.score.mean()),
        "reward/total": float(experience.rewards.sum(1).mean()),
        "reward/std": float(experience.score.std(correction=0)),
        "kl/k1": float((k1 * mask).sum(1).mean()),
        "kl/k3": float((k3 * mask).sum(1).mean()),
        "kl/beta": beta,
        "value/explained_variance": 1 - unexplained / spread if spread > 0 else 0.0,
        "advantage/mean": float(gains.mean()),
        "advantage/std": float(gains.std(correction=0)),
        "length/mean": float(mask.sum(1).float().mean()),
        "length/eos_rate": float(experience.ended.float().mean()),
    }
