"""Group-relative policy optimisation: sample several completions of each prompt, learn from how they compare. A rollout is a step."""

from __future__ import annotations

import time
from typing import NamedTuple

import numpy as np
import torch

from workbench.domain.specs.grpo import GrpoSpec
from workbench.engine import advantages, losses
from workbench.engine.adapters import what_is_trained
from workbench.engine.batches import buckets, collate, count_steps, rows_at
from workbench.engine.cards import card
from workbench.engine.data import need_columns, prompt_of, read_rows, split_holdout
from workbench.engine.device import Setup, prepare
from workbench.engine.examples import tell
from workbench.engine.forward import completion_scores, spread
from workbench.engine.groups import Judgement, compare
from workbench.engine.keeper import Keeper, due
from workbench.engine.models import context, count_parameters, save_model
from workbench.engine.online import (
    MINIBATCH,
    ROLLOUT,
    Judged,
    check_start,
    coarse,
    describe_scores,
    encode_prompts,
    evaluate,
    judge,
    sample,
    stream,
    warn_of_truncation,
)
from workbench.engine.optim import finite, make_optimizer, set_learning_rate, take_step
from workbench.engine.report import Report
from workbench.engine.reward_sources import load_sources
from workbench.engine.roles import Roles, load_roles
from workbench.engine.stopping import Stopper
from workbench.protocol.run_folder import RunFolder


def run(spec: GrpoSpec, folder: RunFolder, report: Report) -> None:
    """Train, and leave the policy in the run's model folder."""
    setup = prepare(spec)
    report.phase("loading models")
    held_to = spec.beta > 0  # without a KL penalty nothing is held to a reference, and none is kept
    roles = load_roles(spec, folder.path, setup, reference=held_to, critic=False)
    policy, tokenizer = roles.policy.model, roles.policy.tokenizer
    sources = load_sources(spec, roles, folder)
    max_length = context(policy, spec.max_length, report)
    warn_of_truncation(spec, report)

    report.phase("reading data")
    rows = read_rows(folder.data)
    need_columns(rows, "prompt")
    usable, left_out = encode_prompts(rows, tokenizer, spec.chat_format, max_length - spec.max_new_tokens)
    tell(report, left_out, 0, len(usable), max_length - spec.max_new_tokens)
    train, held = split_holdout(usable, spec.holdout, spec.seed, key=lambda one: prompt_of(one.row).key())

    steps = count_steps(len(train), spec.batch_size, spec.epochs, spec.max_steps)
    parameters, training = count_parameters(policy)
    report.planned(
        steps,
        rows=len(train),
        rows_left_out=sum(left_out.values()),
        trainable_parameters=training,
        parameters=parameters,
        notes=(
            str(setup),
            what_is_trained(policy, spec),
            f"{len(held)} prompts are held out",
            sources.note,
            "the reference is the policy as it starts" if held_to else "there is no reference, since beta is 0",
        ),
    )
    optimizer = make_optimizer(policy, spec)
    keeper = Keeper(spec, folder, report, {"policy": policy}, {"policy": optimizer}, setup.scale)
    step, extra = keeper.resume()
    last: dict[str, float] = extra.get("last", {})
    stopper = Stopper(spec, folder, report, policy, extra)
    steps = stopper.steps(step, steps)
    policy.train()
    if held and step == 0 and spec.eval_every:
        report.phase("evaluating")
        report.metric(0, evaluate(roles, sources, held, spec, setup, report, 0, show=False, reference=held_to))

    while step < steps:
        if keeper.halted(step, {"last": last, **stopper.state}):
            return
        began = time.perf_counter()
        rate = set_learning_rate(optimizer, step, steps, spec)
        chosen = [train[row] for row in rows_at(step, len(train), spec.batch_size, spec.seed)]
        chosen = [asked for asked in chosen for _ in range(spec.group_size)]
        prompts = [asked.ids for asked in chosen]

        report.phase("sampling")
        rollout = sample(roles.policy, prompts, spec, setup, stream(spec.seed, ROLLOUT, step))
        report.phase("scoring")
        scores = sources.score(prompts, rollout.completions, [asked.row for asked in chosen], setup)
        finite("score", float(scores.total.sum()))
        if step == 0:
            check_start(roles, rollout, prompts, spec, setup, reference=held_to)
        # What the sampler kept is the old policy up to rounding; where rounding is coarse, and for an exact zero at the start, anew.
        # A single step on a rollout needs no old policy: it is the one that steps.
        afresh = (step == 0 or coarse(setup)) and (held_to or not once(spec))
        judged = judge(roles, prompts, rollout, spec, setup, afresh=afresh, reference=held_to)
        measured = describe_scores(scores, rollout.completions, rollout.ended)
        away = None
        if judged.ref_logprobs is not None:
            away = advantages.kl(judged.logprobs, judged.ref_logprobs).sum(1)
            measured["kl/k3"] = float(advantages.kl(judged.logprobs, judged.ref_logprobs, "k3").sum(1).mean())
        ended = torch.tensor(rollout.ended, device=setup.device)
        judgement = compare(scores.total, ended, spec, away)
        measured["reward/zero_std_groups"] = judgement.flat

        report.phase("training")
        experience = Experience(prompts, rollout.completions, judged, judgement)
        history: list[dict[str, float]] = []
        for members in minibatches(len(prompts), spec, step):
            if not bool(judgement.learned[members].any()):
                continue  # nothing to learn: AdamW would still move by its momentum
            values = learn(roles, experience, members, spec, setup)
            finite("loss", values["loss"])
            (values["grad_norm"],) = take_step(setup, spec.max_grad_norm, optimizer)
            history.append(values)
        measured |= merged(history)
        step += 1
        report.metric(
            step,
            measured | setup.gauges(),
            learning_rate=rate,
            tokens_per_second=sum(map(len, rollout.completions)) / (time.perf_counter() - began),
            epoch=step * spec.batch_size / len(train),
        )
        last |= measured
        if held and (due(step, spec.eval_every, steps) or due(step, spec.sample_every, steps)):
            report.phase("evaluating")
            show = due(step, spec.sample_every or spec.eval_every, steps)
            evaluated = evaluate(roles, sources, held, spec, setup, report, step, show=show, reference=held_to)
            report.metric(step, evaluated)
            last |= evaluated
            steps = stopper.watch(step, evaluated, steps)
        keeper.save_when_due(step, steps, {"last": last, **stopper.state})

    last |= stopper.finish()
    report.phase("saving")
    save_model(policy, tokenizer, folder.model, card(spec, len(train), steps, last))
    report.finished(steps, parameters)


class Experience(NamedTuple):
    """B completions, what the models say about them [B, T], and how they compare with their group [B]."""

    prompts: list[list[int]]
    completions: list[list[int]]
    judged: Judged
    judgement: Judgement


def once(spec: GrpoSpec) -> bool:
    """Whether there is one optimizer step for each rollout, whose old policy is the policy itself."""
    return spec.iterations == spec.minibatches == 1


def minibatches(rows: int, spec: GrpoSpec, step: int) -> list[list[int]]:
    """The rows of each optimizer step: every pass deals them out anew."""
    found: list[list[int]] = []
    for iteration in range(spec.iterations):
        order = np.random.default_rng([spec.seed, MINIBATCH, step, iteration]).permutation(rows)
        found += [members.tolist() for members in np.array_split(order, min(spec.minibatches, rows))]
    return found


def merged(history: list[dict[str, float]]) -> dict[str, float]:
    """Means over optimizer steps (the largest of ratio_max); a rollout that taught nothing has no loss."""
    if not history:
        return {"loss": 0.0, "grad_norm": 0.0}
    found = {name: sum(one[name] for one in history) / len(history) for name in history[0]}
    return found | {"policy/ratio_max": max(one["policy/ratio_max"] for one in history)}


def learn(roles: Roles, experience: Experience, members: list[int], spec: GrpoSpec, setup: Setup) -> dict[str, float]:
    """Backward passes of an optimizer step over some rows; only those that are learned from are computed.

    The others count among the sequences and tokens that the loss is divided by, so that skipping a group without spread
    changes nothing; unfinished completions that are masked count no tokens.
    """
    sizes = [len(ids) for ids in experience.completions]
    lengths = [len(p) + n for p, n in zip(experience.prompts, sizes, strict=True)]
    learned, counted = experience.judgement.learned.tolist(), experience.judgement.counted.tolist()
    alive = [row for row in members if learned[row]]
    tokens = sum(sizes[row] for row in members if counted[row])
    active = sum(sizes[row] for row in alive)
    values: dict[str, float] = {}
    for part in buckets(alive, lengths, spec.micro_batch_size, setup.start_cost):
        for name, value in learn_part(roles, experience, part, len(members), tokens, active, spec, setup).items():
            before = values.get(name, 0.0)
            values[name] = max(before, value) if name == "policy/ratio_max" else before + value
    return values


def learn_part(
    roles: Roles,
    experience: Experience,
    part: list[int],
    rows: int,
    tokens: int,
    active: int,
    spec: GrpoSpec,
    setup: Setup,
) -> dict[str, float]:
    """Backward pass of some rows, as their share of an optimizer step of so many rows and tokens; returns their share of the metrics.

    Statistics are means over the `active` tokens, which are computed.
    """
    batch = collate(
        [experience.prompts[row] for row in part], [experience.completions[row] for row in part], roles.policy.pad
    ).to(setup.device)
    mask, width = batch.completion_mask, batch.completion_mask.shape[1]
    with setup.autocast():
        scored = completion_scores(roles.policy.model, batch, spec.temperature, with_entropy=True)
    logprobs = spread(scored.logprobs, mask)
    old = logprobs.detach() if once(spec) else experience.judged.logprobs[part, :width]
    ref = experience.judged.ref_logprobs
    inside = ref is not None and spec.variant != "rloo"  # rloo has its KL in the reward
    found = losses.grpo(
        logprobs,
        old,
        ref[part, :width] if ref is not None and inside else None,
        experience.judgement.advantages[part],
        mask,
        spec.clip_low,
        spec.upper,
        spec.beta,
        "dr_grpo" if spec.variant == "rloo" else spec.variant,
        1 if spec.variant == "rloo" else spec.max_new_tokens,
        tokens,
    )
    # The mean over a part's rows becomes its share of that over all rows.
    loss = found.loss if spec.variant == "dapo" else found.loss * len(part) / rows
    setup.backward(loss)
    assert scored.entropy is not None
    measured = {
        "policy/clip_fraction": float(found.clip_fraction),
        "policy/approx_kl": float(found.approx_kl),
    }
    return {
        "loss": float(loss.detach()),
        "policy/loss": float(loss.detach()),
        "policy/entropy": float(scored.entropy.sum()) / active,
        "policy/ratio_max": float(found.ratio_max),
        **{name: value * tokens / active for name, value in measured.items()},
    }
