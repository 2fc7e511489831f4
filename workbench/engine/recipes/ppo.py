"""Proximal policy optimisation: sample, score, estimate advantages, take clipped steps. One step of the run is one rollout."""

from __future__ import annotations

import time
from dataclasses import astuple
from typing import Any

import numpy as np
import torch

from workbench.domain.specs.ppo import PpoSpec
from workbench.engine import advantages, losses
from workbench.engine.adapters import what_is_trained
from workbench.engine.batches import buckets, count_steps, rows_at
from workbench.engine.cards import card
from workbench.engine.critic import ValueHead, values, values_at
from workbench.engine.data import need_columns, prompt_of, read_rows, split_holdout
from workbench.engine.device import Setup, prepare
from workbench.engine.examples import tell
from workbench.engine.experience import Experience, describe, kl_kind, reward_tokens
from workbench.engine.forward import completion_states, score_labels, spread
from workbench.engine.keeper import Keeper, due
from workbench.engine.models import context, count_parameters, save_model
from workbench.engine.online import (
    MINIBATCH,
    ROLLOUT,
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


def run(spec: PpoSpec, folder: RunFolder, report: Report) -> None:
    """Train, and leave the policy in the run's model folder."""
    setup = prepare(spec)
    report.phase("loading models")
    roles = load_roles(spec, folder.path, setup)
    policy, critic, tokenizer = roles.policy.model, roles.critic, roles.policy.tokenizer
    assert critic is not None
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
    (parameters, training), (_, training_critic) = count_parameters(policy), count_parameters(critic)
    report.planned(
        steps,
        rows=len(train),
        rows_left_out=sum(left_out.values()),
        trainable_parameters=training + training_critic,
        parameters=parameters,
        notes=(
            str(setup),
            what_is_trained(policy, spec),
            f"{len(held)} prompts are held out",
            sources.note,
            "the reference is the policy as it starts",
            *[roles.shared] * bool(roles.shared),
        ),
    )
    optimizers = {
        "policy": make_optimizer(policy, spec),
        "critic": make_optimizer(critic, spec, spec.critic_learning_rate or spec.learning_rate),
    }
    keeper = Keeper(spec, folder, report, {"policy": policy, "critic": critic}, optimizers, setup.scale)
    step, extra = keeper.resume()
    last: dict[str, float] = extra.get("last", {})
    stopper = Stopper(spec, folder, report, policy, extra)
    steps = stopper.steps(step, steps)
    controller = advantages.AdaptiveKL(spec.kl_coefficient, spec.kl_target, spec.kl_horizon)
    controller.beta = extra.get("kl_beta", controller.beta)
    moments = advantages.RunningMoments(*extra.get("moments", ()))
    policy.train()
    critic.train()
    if held and step == 0 and spec.eval_every:
        report.phase("evaluating")
        report.metric(0, evaluate(roles, sources, held, spec, setup, report, 0, show=False, reference=True))

    while step < steps:
        state = {"last": last, "kl_beta": controller.beta, "moments": astuple(moments), **stopper.state}
        if keeper.halted(step, state):
            return
        began = time.perf_counter()
        rates = {name: set_learning_rate(optimizer, step, steps, spec) for name, optimizer in optimizers.items()}
        chosen = [train[row] for row in rows_at(step, len(train), spec.batch_size, spec.seed)]
        prompts = [asked.ids for asked in chosen]

        report.phase("sampling")
        rollout = sample(roles.policy, prompts, spec, setup, stream(spec.seed, ROLLOUT, step))
        report.phase("scoring")
        scores = sources.score(prompts, rollout.completions, [asked.row for asked in chosen], setup)
        if step == 0:
            check_start(roles, rollout, prompts, spec, setup)
        # What the sampler kept is the old policy up to rounding; where rounding is coarse, and for an exact zero at the start, anew.
        afresh = step == 0 or coarse(setup)
        judged = judge(roles, prompts, rollout, spec, setup, afresh=afresh, critic=True)
        beta = controller.beta
        experience = reward_tokens(prompts, rollout, judged, scores.total, spec, beta, moments)
        measured = describe_scores(scores, rollout.completions, rollout.ended) | describe(experience, beta)
        finite("score", measured["reward/total"])
        controller.update(measured["kl/k1"], len(chosen))

        report.phase("training")
        measured |= learn(roles, experience, spec, setup, optimizers, step, beta)
        step += 1
        report.metric(
            step,
            measured | setup.gauges(),
            learning_rate=rates["policy"],
            tokens_per_second=sum(map(len, rollout.completions)) / (time.perf_counter() - began),
            epoch=step * spec.batch_size / len(train),
        )
        last |= measured
        if held and (due(step, spec.eval_every, steps) or due(step, spec.sample_every, steps)):
            report.phase("evaluating")
            show = due(step, spec.sample_every or spec.eval_every, steps)
            evaluated = evaluate(roles, sources, held, spec, setup, report, step, show=show, reference=True)
            report.metric(step, evaluated)
            last |= evaluated
            steps = stopper.watch(step, evaluated, steps)
        state = {"last": last, "kl_beta": controller.beta, "moments": astuple(moments), **stopper.state}
        keeper.save_when_due(step, steps, state)

    last |= stopper.finish()
    report.phase("saving")
    save_model(policy, tokenizer, folder.model, card(spec, len(train), steps, last))
    report.finished(steps, parameters)


def learn(
    roles: Roles,
    experience: Experience,
    spec: PpoSpec,
    setup: Setup,
    optimizers: dict[str, Any],
    step: int,
    beta: float,
) -> dict[str, float]:
    """Several passes of clipped steps over a rollout; returns means over the optimizer steps (the largest for ratio_max)."""
    assert roles.critic is not None
    white = advantages.whiten(experience.advantages, experience.mask)
    lengths, rows = experience.lengths, len(experience.prompts)
    history: list[dict[str, float]] = []
    parts = [
        members
        for epoch in range(spec.ppo_epochs)
        for members in np.array_split(
            np.random.default_rng([spec.seed, MINIBATCH, step, epoch]).permutation(rows), min(spec.minibatches, rows)
        )
    ]
    for members in parts:
        tokens = int(experience.mask[members].sum())
        values: dict[str, float] = {}
        for part in buckets(members.tolist(), lengths, spec.micro_batch_size, setup.start_cost):
            for name, value in learn_part(roles, experience, white, part, tokens, spec, setup, beta).items():
                before = values.get(name, 0.0)
                values[name] = max(before, value) if name == "policy/ratio_max" else before + value
        finite("loss", values["loss"])
        if history and 0 < spec.stop_kl < values["policy/approx_kl"]:
            for optimizer in optimizers.values():
                optimizer.zero_grad(set_to_none=True)
            break
        values["grad_norm"], _ = take_step(setup, spec.max_grad_norm, optimizers["policy"], optimizers["critic"])
        history.append(values)
    merged = {name: sum(one[name] for one in history) / len(history) for name in history[0]}
    merged["policy/ratio_max"] = max(one["policy/ratio_max"] for one in history)
    return merged | ({"policy/updates": float(len(history))} if spec.stop_kl else {})


def learn_part(
    roles: Roles,
    experience: Experience,
    white: torch.Tensor,
    part: list[int],
    tokens: int,
    spec: PpoSpec,
    setup: Setup,
    beta: float,
) -> dict[str, float]:
    """Backward pass of some rows, as their share of a minibatch of `tokens` completion tokens; returns their share of the metrics."""
    batch = experience.batch(part, roles.policy.pad).to(setup.device)
    mask, width = batch.completion_mask, batch.completion_mask.shape[1]

    def old(full: torch.Tensor) -> torch.Tensor:
        return full[part, :width]

    with setup.autocast():
        hidden = completion_states(roles.policy.model, batch)
        labels = batch.completion_ids[mask]
        bonus = spec.entropy_bonus > 0
        scored = score_labels(
            roles.policy.model, hidden, labels, spec.temperature, with_entropy=True, learn_entropy=bonus
        )
        if isinstance(roles.critic, ValueHead):
            forecast = values_at(roles.critic, hidden if spec.critic_gradient else hidden.detach(), batch)
        else:
            with roles.valuing() as critic:
                forecast = values(critic, batch, roles.policy.model)
    logprobs = spread(scored.logprobs, mask)
    found = losses.ppo_policy(
        logprobs,
        old(experience.logprobs),
        old(white),
        mask,
        spec.clip,
        dual_clip=spec.dual_clip or None,
        num_tokens=tokens,
    )
    worth = losses.ppo_value(
        forecast, old(experience.values), old(experience.returns), mask, spec.value_clip, num_tokens=tokens
    )
    assert scored.entropy is not None
    entropy = scored.entropy.sum() / tokens
    loss = found.loss + spec.value_weight * worth.loss - spec.entropy_bonus * entropy
    if spec.kl_penalty.startswith("loss"):
        away = losses.kl_penalty(logprobs, old(experience.ref_logprobs), mask, kl_kind(spec), tokens)
        loss = loss + beta * away
    setup.backward(loss)
    return {
        "loss": float(loss.detach()),
        "policy/loss": float(found.loss.detach()),
        "policy/entropy": float(entropy.detach()),
        "policy/clip_fraction": float(found.clip_fraction),
        "policy/approx_kl": float(found.approx_kl),
        "policy/ratio_max": float(found.ratio_max),
        "value/loss": float(worth.loss.detach()),
        "value/clip_fraction": float(worth.clip_fraction),
    }
