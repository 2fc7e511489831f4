"""What recipes share that let the policy write and learn from scores: prompts, rollouts, the check at the start, held-out answers."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from workbench.domain.errors import BadInput, RunFailed
from workbench.domain.specs.online import OnlineSpec
from workbench.engine import advantages
from workbench.engine.batches import buckets, collate
from workbench.engine.critic import values
from workbench.engine.data import Row, prompt_of
from workbench.engine.device import Setup
from workbench.engine.evaluate import evaluating
from workbench.engine.forward import completion_logprobs, core
from workbench.engine.models import Loaded, eos_ids
from workbench.engine.preferences import correlation
from workbench.engine.reference import agree
from workbench.engine.report import Report
from workbench.engine.reward_sources import SCORED_TOGETHER, Scores, Sources
from workbench.engine.roles import Roles
from workbench.engine.rollout import Rollout, sample_batch
from workbench.engine.rollout_vllm import sample_with_vllm
from workbench.engine.text import decode, encode_prompt

EVALUATED = 128  # held-out prompts that are answered at each evaluation, at most
ROLLOUT, MINIBATCH, EVALUATION = 1, 2, 3  # streams of random numbers


class Asked(NamedTuple):
    """A prompt of the data with its ids."""

    row: Row
    ids: list[int]


class Judged(NamedTuple):
    """What the models say about a rollout, [B, T] each: log-probabilities under policy and reference, values."""

    logprobs: Tensor
    ref_logprobs: Tensor | None
    values: Tensor | None


def stream(*numbers: int) -> torch.Generator:
    """A generator that depends on these numbers only, so that nothing about it needs to be kept in a checkpoint."""
    seed = np.random.SeedSequence(numbers).generate_state(2, np.uint32)
    return torch.Generator().manual_seed(int(seed[0]) << 31 | int(seed[1]) >> 1)


def encode_prompts(
    rows: Sequence[Row], tokenizer: Any, chat_format: str, longest: int
) -> tuple[list[Asked], Counter[str]]:
    """Distinct prompts with their ids, in the order of the rows, and why others were left out (repeats don't count as that)."""
    if longest < 1:
        raise BadInput("max_new_tokens leaves no room for a prompt.", "Raise max_length or lower max_new_tokens.")
    usable: dict[str, Asked] = {}
    left_out = Counter[str]()
    seen: set[str] = set()
    for row in rows:
        prompt = prompt_of(row)
        if (key := prompt.key()) in seen:
            continue
        seen.add(key)
        try:
            ids = encode_prompt(tokenizer, prompt, chat_format)
        except BadInput as error:
            left_out[error.what] += 1
            continue
        if len(ids) > longest:
            left_out[f"the prompt has more than {longest} tokens, which leaves no room for the completion"] += 1
            continue
        usable[key] = Asked(row, ids)
    return list(usable.values()), left_out


def warn_of_truncation(spec: OnlineSpec, report: Report) -> None:
    """Say what a truncated sampling distribution does to KL."""
    if spec.top_k or spec.top_p < 1:
        report.notice(
            "Rollouts are sampled with top_k or top_p, while log-probabilities are those of the whole distribution: KL is estimated "
            "too low and may become negative, and the policy learns from texts that it wouldn't sample.",
            "Set top_k to 0 and top_p to 1 unless this is meant.",
        )


def sample(
    policy: Loaded, prompts: Sequence[list[int]], spec: OnlineSpec, setup: Setup, draw: torch.Generator
) -> Rollout:
    """Sample one completion for each prompt as the spec says, by the engine that it names."""
    engine = sample_batch
    if spec.rollout_engine == "vllm":
        positions = getattr(core(policy.model).config.get_text_config(), "max_position_embeddings", None)
        longest = min(spec.max_length, positions or spec.max_length)
        engine = partial(sample_with_vllm, longest=longest, share=spec.rollout_memory, dtype=setup.compute)
    with setup.autocast():
        return engine(
            policy.model,
            prompts,
            max_new_tokens=spec.max_new_tokens,
            temperature=spec.temperature,
            eos=eos_ids(policy),
            generator=draw,
            top_k=spec.top_k,
            top_p=spec.top_p,
        )


def judge(
    roles: Roles,
    prompts: Sequence[list[int]],
    rollout: Rollout,
    spec: OnlineSpec,
    setup: Setup,
    *,
    afresh: bool,
    reference: bool = True,
    critic: bool = False,
) -> Judged:
    """Run reference and critic, where asked for, over a rollout, rows of similar length together.

    With `afresh` the policy's log-probabilities are computed again instead of taken from the sampler, and as training will
    compute them: at the first step policy and reference must agree exactly, so that ratio = 1 and KL = 0.
    """
    completions = rollout.completions
    lengths = [len(p) + len(c) for p, c in zip(prompts, completions, strict=True)]
    shape, device = rollout.logprobs.shape, rollout.logprobs.device
    # float32, or float64 where the model is of that
    precision = torch.promote_types(torch.float32, next(roles.policy.model.parameters()).dtype)
    own = torch.zeros(shape, device=device, dtype=precision) if afresh else rollout.logprobs.to(precision)
    start, worth = (
        torch.zeros(shape, device=device, dtype=precision) if wanted else None for wanted in (reference, critic)
    )
    parts = buckets(range(shape[0]), lengths, spec.micro_batch_size or SCORED_TOGETHER, setup.start_cost)
    for part in parts if afresh or reference or critic else ():
        batch = collate([prompts[row] for row in part], [completions[row] for row in part], roles.policy.pad)
        batch, width = batch.to(device), int(batch.completion_mask.shape[1])
        with evaluating(roles.policy.model), setup.autocast():
            if afresh:
                own[part, :width] = completion_logprobs(roles.policy.model, batch, spec.temperature)
            if start is not None:
                with roles.reference() as model:
                    start[part, :width] = completion_logprobs(model, batch, spec.temperature)
            if worth is not None:
                with roles.valuing() as head:
                    worth[part, :width] = values(head, batch, roles.policy.model).to(precision)
    return Judged(own, start, worth)


def coarse(setup: Setup) -> bool:
    """Whether what the sampler kept is too rough to be compared with what fresh passes say: in reduced precision they round otherwise."""
    return setup.compute is not torch.float32


def check_start(
    roles: Roles,
    rollout: Rollout,
    prompts: Sequence[list[int]],
    spec: OnlineSpec,
    setup: Setup,
    *,
    reference: bool = True,
) -> None:
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
        agree(trained, again, "the log ratio of new to old policy", setup)
        if reference:
            with roles.reference() as model:
                start = completion_logprobs(model, batch, spec.temperature)
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


def describe_scores(scores: Scores, completions: Sequence[list[int]], ended: Sequence[bool]) -> dict[str, float]:
    """Metrics of what was sampled, and signs of rewards that are hacked: they pay for length, or texts repeat themselves."""
    lengths = torch.tensor([float(len(ids)) for ids in completions])
    return {
        "reward/score": float(scores.total.mean()),
        "reward/std": float(scores.total.std(correction=0)),
        "reward/length_correlation": correlation(scores.total.cpu().double(), lengths.double()),
        **scores.means(),
        "length/mean": float(lengths.mean()),
        "length/eos_rate": sum(ended) / len(ended),
        "length/repetition": sum(map(repetition, completions)) / len(completions),
    }


def repetition(ids: Sequence[int]) -> float:
    """Share of a text's pairs of neighbouring tokens that stood in it before."""
    pairs = list(itertools.pairwise(ids))
    return 1 - len(set(pairs)) / len(pairs) if pairs else 0.0


def evaluate(
    roles: Roles,
    sources: Sources,
    held: Sequence[Asked],
    spec: OnlineSpec,
    setup: Setup,
    report: Report,
    step: int,
    *,
    show: bool,
    reference: bool,
) -> dict[str, float]:
    """Answer held-out prompts, always with the same random numbers; `eval/` metrics, and the first answers as samples."""
    held = held[:EVALUATED]
    prompts = [asked.ids for asked in held]
    rollout = sample(roles.policy, prompts, spec, setup, stream(spec.seed, EVALUATION))
    scores = sources.score(prompts, rollout.completions, [asked.row for asked in held], setup)
    measured = {f"eval/{n}": v for n, v in describe_scores(scores, rollout.completions, rollout.ended).items()}
    numbers: dict[str, Tensor] = {"reward": scores.total}
    if reference:
        judged = judge(roles, prompts, rollout, spec, setup, afresh=step == 0 or coarse(setup))
        assert judged.ref_logprobs is not None
        numbers["kl"] = advantages.kl(judged.logprobs, judged.ref_logprobs).sum(1)
        measured["eval/kl"] = float(numbers["kl"].mean())
    for index in range(min(spec.sample_count, len(held)) if show else 0):
        about = {name: float(values[index]) for name, values in numbers.items()}
        about |= {"length": float(len(rollout.completions[index])), "ended": float(rollout.ended[index])}
        said = decode(roles.policy.tokenizer, rollout.completions[index])
        report.sample(step, index, prompt_of(held[index].row).text, said, about)
    return measured
