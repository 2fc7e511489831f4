"""Proximal policy optimisation: sample, score, estimate advantages, take clipped steps. One step of the run is one rollout."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from workbench.domain.errors import BadInput
from workbench.domain.specs.ppo import PpoSpec
from workbench.engine import advantages, losses
from workbench.engine.batches import count_steps, micro_batches, rows_at
from workbench.engine.cards import card
from workbench.engine.critic import ValueHead, values, values_at
from workbench.engine.data import Row, need_columns, prompt_of, read_rows, split_holdout
from workbench.engine.device import Setup, prepare
from workbench.engine.examples import tell
from workbench.engine.experience import (
    Experience,
    check_start,
    describe,
    judge,
    reward_tokens,
    sample,
    stream,
    warn_of_truncation,
)
from workbench.engine.forward import completion_states, score_labels, spread
from workbench.engine.keeper import Keeper, due
from workbench.engine.models import context, count_parameters, save_model
from workbench.engine.optim import finite, make_optimizer, set_learning_rate, take_step
from workbench.engine.report import Report
from workbench.engine.roles import Roles, load_roles
from workbench.engine.stopping import Stopper
from workbench.engine.text import decode, encode_prompt
from workbench.protocol.run_folder import RunFolder

EVALUATED = 128  # held-out prompts that are answered at each evaluation, at most
ROLLOUT, MINIBATCH, EVALUATION = 1, 2, 3  # streams of random numbers


def run(spec: PpoSpec, folder: RunFolder, report: Report) -> None:
    """Train, and leave the policy in the run's model folder."""
    setup = prepare(spec)
    report.phase("loading models")
    roles = load_roles(spec, folder.path, setup)
    policy, critic, tokenizer = roles.policy.model, roles.critic, roles.policy.tokenizer
    assert critic is not None
    warn_of_truncation(spec, report)
    max_length = context(policy, spec.max_length, report)

    report.phase("reading data")
    rows = read_rows(folder.data)
    need_columns(rows, "prompt")
    usable, left_out = encode_prompts(rows, tokenizer, spec.chat_format, max_length - spec.max_new_tokens)
    tell(report, left_out, 0, len(usable), max_length - spec.max_new_tokens)
    train, held = split_holdout(usable, spec.holdout, spec.seed, key=lambda one: prompt_of(one[0]).key())
    prompts = [ids for _, ids in train]

    steps = count_steps(len(prompts), spec.batch_size, spec.epochs, spec.max_steps)
    (parameters, training), (_, training_critic) = count_parameters(policy), count_parameters(critic)
    report.planned(
        steps,
        rows=len(prompts),
        rows_left_out=sum(left_out.values()),
        trainable_parameters=training + training_critic,
        parameters=parameters,
        notes=(
            str(setup),
            f"{len(held)} prompts are held out",
            "the reference is the policy as it starts",
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
    policy.train()
    critic.train()
    if held and step == 0 and spec.eval_every:
        report.phase("evaluating")
        report.metric(0, evaluate(roles, held, spec, setup, report, 0, show=False))

    while step < steps:
        if keeper.halted(step, {"last": last, "kl_beta": controller.beta, **stopper.state}):
            return
        began = time.perf_counter()
        rates = {name: set_learning_rate(optimizer, step, steps, spec) for name, optimizer in optimizers.items()}
        chosen = [prompts[row] for row in rows_at(step, len(prompts), spec.batch_size, spec.seed)]

        report.phase("sampling")
        rollout = sample(roles, chosen, spec, setup, stream(spec.seed, ROLLOUT, step))
        report.phase("scoring")
        if step == 0:
            check_start(roles, rollout, chosen, spec, setup)
        # What the sampler kept is the old policy up to rounding; where rounding is coarse, and for an exact zero at the start, anew.
        afresh = step == 0 or setup.compute is not torch.float32
        judged = judge(roles, chosen, rollout, spec, setup, afresh=afresh)
        experience = reward_tokens(chosen, rollout, judged, spec, controller.beta)
        measured = describe(experience, controller.beta)
        finite("score", measured["reward/total"])
        controller.update(measured["kl/k1"], len(chosen))

        report.phase("training")
        measured |= learn(roles, experience, spec, setup, optimizers, step)
        step += 1
        report.metric(
            step,
            measured | setup.gauges(),
            learning_rate=rates["policy"],
            tokens_per_second=sum(map(len, rollout.completions)) / (time.perf_counter() - began),
            epoch=step * spec.batch_size / len(prompts),
        )
        last |= measured
        if held and (due(step, spec.eval_every, steps) or due(step, spec.sample_every, steps)):
            report.phase("evaluating")
            show = due(step, spec.sample_every or spec.eval_every, steps)
            evaluated = evaluate(roles, held, spec, setup, report, step, show=show)
            report.metric(step, evaluated)
            last |= evaluated
            steps = stopper.watch(step, evaluated, steps)
        keeper.save_when_due(step, steps, {"last": last, "kl_beta": controller.beta, **stopper.state})

    last |= stopper.finish()
    report.phase("saving")
    save_model(policy, tokenizer, folder.model, card(spec, len(prompts), steps, last))
    report.finished(steps, parameters)


def encode_prompts(
    rows: Sequence[Row], tokenizer: Any, chat_format: str, longest: int
) -> tuple[list[tuple[Row, list[int]]], Counter[str]]:
    """Distinct prompts with their ids, in the order of the rows, and why others were left out (repeats don't count as that)."""
    if longest < 1:
        raise BadInput("max_new_tokens leaves no room for a prompt.", "Raise max_length or lower max_new_tokens.")
    usable: dict[str, tuple[Row, list[int]]] = {}
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
        usable[key] = (row, ids)
    return list(usable.values()), left_out


def learn(
    roles: Roles, experience: Experience, spec: PpoSpec, setup: Setup, optimizers: dict[str, Any], step: int
) -> dict[str, float]:
    """Several passes of clipped steps over a rollout; returns means over the optimizer steps (the largest for ratio_max)."""
    white = advantages.whiten(experience.advantages, experience.mask)
    lengths, rows = experience.lengths, len(experience.prompts)
    history: list[dict[str, float]] = []
    for epoch in range(spec.ppo_epochs):
        order = np.random.default_rng([spec.seed, MINIBATCH, step, epoch]).permutation(rows)
        for members in np.array_split(order, min(spec.minibatches, rows)):
            tokens = int(experience.mask[members].sum())
            values: dict[str, float] = {}
            for part in micro_batches(members.tolist(), lengths, spec.micro_batch_size):
                for name, value in learn_part(roles, experience, white, part, tokens, spec, setup).items():
                    before = values.get(name, 0.0)
                    values[name] = max(before, value) if name == "policy/ratio_max" else before + value
            finite("loss", values["loss"])
            values["grad_norm"], _ = take_step(setup, spec.max_grad_norm, optimizers["policy"], optimizers["critic"])
            history.append(values)
    merged = {name: sum(one[name] for one in history) / len(history) for name in history[0]}
    return merged | {"policy/ratio_max": max(one["policy/ratio_max"] for one in history)}


def learn_part(
    roles: Roles,
    experience: Experience,
    white: torch.Tensor,
    part: list[int],
    tokens: int,
    spec: PpoSpec,
    setup: Setup,
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
    found = losses.ppo_policy(logprobs, old(experience.logprobs), old(white), mask, spec.clip, num_tokens=tokens)
    worth = losses.ppo_value(
        forecast, old(experience.values), old(experience.returns), mask, spec.value_clip, num_tokens=tokens
    )
    assert scored.entropy is not None
    entropy = scored.entropy.sum() / tokens
    loss = found.loss + spec.value_weight * worth.loss - spec.entropy_bonus * entropy
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


def evaluate(
    roles: Roles,
    held: Sequence[tuple[Row, list[int]]],
    spec: PpoSpec,
    setup: Setup,
    report: Report,
    step: int,
    *,
    show: bool,
) -> dict[str, float]:
    """Answer held-out prompts, always with the same random numbers; `eval/` metrics, and the first answers as samples."""
    held = held[:EVALUATED]
    prompts = [ids for _, ids in held]
    rollout = sample(roles, prompts, spec, setup, stream(spec.seed, EVALUATION))
    judged = judge(roles, prompts, rollout, spec, setup, afresh=step == 0)
    experience = reward_tokens(prompts, rollout, judged, spec, 0.0)
    apart = (advantages.kl(judged.logprobs, judged.ref_logprobs) * experience.mask).sum(1)
    for index in range(min(spec.sample_count, len(held)) if show else 0):
        numbers = {
            "reward": float(judged.score[index]),
            "kl": float(apart[index]),
            "length": float(len(rollout.completions[index])),
            "ended": float(rollout.ended[index]),
        }
        said = decode(roles.policy.tokenizer, rollout.completions[index])
        report.sample(step, index, prompt_of(held[index][0]).text, said, numbers)
    measured = describe(experience, 0.0)
    names = ("reward/score", "reward/std", "length/mean", "length/eos_rate")
    return {"eval/kl": float(apart.mean()), **{f"eval/{name}": measured[name] for name in names}}
