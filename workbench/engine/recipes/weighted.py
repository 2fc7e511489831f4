"""Reward-weighted regression: imitate several completions of each prompt, the better ones more. They are sampled, or a dataset's."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from workbench.domain.specs.weighted import WeightedSpec
from workbench.engine import losses
from workbench.engine.adapters import what_is_trained
from workbench.engine.batches import buckets, collate, count_steps, rows_at
from workbench.engine.candidates import Group, encode_candidates, score_candidates
from workbench.engine.cards import card
from workbench.engine.data import Row, need_columns, prompt_of, read_rows, split_holdout
from workbench.engine.device import Setup, prepare
from workbench.engine.evaluate import evaluating
from workbench.engine.examples import tell
from workbench.engine.forward import completion_scores, spread
from workbench.engine.groups import weigh
from workbench.engine.keeper import Keeper, due
from workbench.engine.models import context, count_parameters, save_model
from workbench.engine.online import (
    ROLLOUT,
    Asked,
    describe_scores,
    encode_prompts,
    evaluate,
    sample,
    stream,
)
from workbench.engine.optim import finite, make_optimizer, set_learning_rate, take_step
from workbench.engine.report import Report
from workbench.engine.reward_sources import Sources, load_sources
from workbench.engine.roles import Roles, load_roles
from workbench.engine.stopping import Stopper
from workbench.protocol.run_folder import RunFolder


def run(spec: WeightedSpec, folder: RunFolder, report: Report) -> None:
    """Train, and leave the result in the run's model folder."""
    setup = prepare(spec)
    report.phase("loading models")
    roles = load_roles(spec, folder.path, setup, reference=False, critic=False)
    policy, tokenizer = roles.policy.model, roles.policy.tokenizer
    sources = load_sources(spec, roles, folder)
    max_length = context(policy, spec.max_length, report)

    report.phase("reading data")
    rows = read_rows(folder.data)
    need_columns(rows, "prompt")
    usable, left_out = encode(rows, tokenizer, spec, max_length)
    tell(report, left_out, 0, len(usable), max_length)
    train, held = split_holdout(usable, spec.holdout, spec.seed, key=lambda one: prompt_of(one.row).key())
    asked = [Asked(one.row, one.prompt) for one in held if len(one.prompt) <= max_length - spec.max_new_tokens]

    steps = count_steps(len(train), spec.batch_size, spec.epochs, spec.max_steps)
    parameters, training = count_parameters(policy)
    report.planned(
        steps,
        rows=len(train),
        rows_left_out=sum(left_out.values()),
        trainable_parameters=training,
        parameters=parameters,
        notes=(str(setup), what_is_trained(policy, spec), f"{len(held)} prompts are held out", sources.note),
    )
    optimizer = make_optimizer(policy, spec)
    keeper = Keeper(spec, folder, report, {"policy": policy}, {"policy": optimizer}, setup.scale)
    step, extra = keeper.resume()
    last: dict[str, float] = extra.get("last", {})
    stopper = Stopper(spec, folder, report, policy, extra)
    steps = stopper.steps(step, steps)
    offline = None
    if spec.completions == "dataset":
        report.phase("scoring")
        offline = score_dataset(train, held, sources, folder, setup)
    policy.train()
    if asked and step == 0 and spec.eval_every:
        report.phase("evaluating")
        report.metric(0, evaluate(roles, sources, asked, spec, setup, report, 0, show=False, reference=False))

    while step < steps:
        if keeper.halted(step, {"last": last, **stopper.state}):
            return
        began = time.perf_counter()
        rate = set_learning_rate(optimizer, step, steps, spec)
        chosen = rows_at(step, len(train), spec.batch_size, spec.seed)
        if offline is not None:
            examples, measured = weigh_dataset(train, offline.train, chosen, offline.spread, spec)
        else:
            report.phase("sampling")
            examples, measured = weigh_sampled(roles, sources, [train[row] for row in chosen], spec, setup, step)
        report.phase("training")
        values: dict[str, float] = {}
        for part in buckets(examples.learned, examples.lengths, spec.micro_batch_size, setup.start_cost):
            loss, shares = part_loss(roles, examples, part, spec, setup)
            setup.backward(loss)
            values = {name: values.get(name, 0.0) + share for name, share in shares.items()}
        finite("loss", values["loss"])
        (norm,) = take_step(setup, spec.max_grad_norm, optimizer)
        measured |= values | {"grad_norm": norm}
        step += 1
        report.metric(
            step,
            measured | setup.gauges(),
            learning_rate=rate,
            tokens_per_second=examples.tokens / (time.perf_counter() - began),
            epoch=step * spec.batch_size / len(train),
        )
        last |= measured
        if held and (due(step, spec.eval_every, steps) or due(step, spec.sample_every, steps)):
            report.phase("evaluating")
            show = due(step, spec.sample_every or spec.eval_every, steps)
            evaluated = {} if offline is None else held_loss(roles, held, offline, spec, setup)
            if asked:
                evaluated |= evaluate(roles, sources, asked, spec, setup, report, step, show=show, reference=False)
            report.metric(step, evaluated)
            last |= evaluated
            steps = stopper.watch(step, evaluated, steps)
        keeper.save_when_due(step, steps, {"last": last, **stopper.state})

    last |= stopper.finish()
    report.phase("saving")
    save_model(policy, tokenizer, folder.model, card(spec, len(train), steps, last))
    report.finished(steps, parameters)


class Examples(NamedTuple):
    """B completions with their weights [B], and what the loss is divided by: their tokens, or how many they are."""

    prompts: list[list[int]]
    completions: list[list[int]]
    weights: Tensor

    @property
    def lengths(self) -> list[int]:
        """Tokens of prompt and completion, for each row."""
        return [len(p) + len(c) for p, c in zip(self.prompts, self.completions, strict=True)]

    @property
    def tokens(self) -> int:
        """Completion tokens."""
        return sum(map(len, self.completions))

    @property
    def learned(self) -> list[int]:
        """Rows with a weight; the others need not be computed."""
        return [row for row, weight in enumerate(self.weights.tolist()) if weight > 0]


class Offline(NamedTuple):
    """Scores of a dataset's candidates, those trained on and those held out, and the spread of the former."""

    train: list[list[float]]
    held: list[list[float]]
    spread: float


def encode(
    rows: Sequence[Row], tokenizer: Any, spec: WeightedSpec, max_length: int
) -> tuple[list[Group], Counter[str]]:
    """Prompts with the candidates of a dataset, or with none where they are to be sampled; and why others were left out."""
    if spec.completions == "dataset":
        need_columns(rows, *(("completions",) if "completions" in rows[0] else ("chosen", "rejected")))
        return encode_candidates(rows, tokenizer, spec.chat_format, max_length)
    usable, left_out = encode_prompts(rows, tokenizer, spec.chat_format, max_length - spec.max_new_tokens)
    return [Group(one.row, one.ids, []) for one in usable], left_out


def score_dataset(
    train: Sequence[Group], held: Sequence[Group], sources: Sources, folder: RunFolder, setup: Setup
) -> Offline:
    """Score all candidates once."""
    scores = score_candidates([*train, *held], sources, folder, setup)
    mine = torch.tensor([one for group in scores[: len(train)] for one in group], dtype=torch.float64)
    return Offline(scores[: len(train)], scores[len(train) :], float(mine.std(correction=0)))


def weigh_dataset(
    groups: Sequence[Group], scores: Sequence[list[float]], chosen: Sequence[int], spread: float, spec: WeightedSpec
) -> tuple[Examples, dict[str, float]]:
    """The candidates of some prompts with their weights, and metrics of them."""
    flat = torch.tensor([one for row in chosen for one in scores[row]])
    found = weigh(flat, [len(scores[row]) for row in chosen], spec.beta, unit(spread, spec))
    examples = Examples(
        [groups[row].prompt for row in chosen for _ in groups[row].completions],
        [ids for row in chosen for ids in groups[row].completions],
        found.each,
    )
    return examples, {
        "reward/score": float(flat.mean()),
        "reward/std": float(flat.std(correction=0)),
        "effective_sample_size": float(found.effective.mean()),
    }


def weigh_sampled(
    roles: Roles, sources: Sources, groups: Sequence[Group], spec: WeightedSpec, setup: Setup, step: int
) -> tuple[Examples, dict[str, float]]:
    """New completions of some prompts with their weights, and metrics of them."""
    many = [one for one in groups for _ in range(spec.group_size)]
    prompts = [one.prompt for one in many]
    rollout = sample(roles.policy, prompts, spec, setup, stream(spec.seed, ROLLOUT, step))
    scores = sources.score(prompts, rollout.completions, [one.row for one in many], setup)
    finite("score", float(scores.total.sum()))
    spread = float(scores.total.double().std(correction=0))
    found = weigh(scores.total, [spec.group_size] * len(groups), spec.beta, unit(spread, spec))
    measured = describe_scores(scores, rollout.completions, rollout.ended)
    measured["effective_sample_size"] = float(found.effective.mean())
    return Examples(prompts, rollout.completions, found.each), measured


def unit(spread: float, spec: WeightedSpec) -> float:
    """What rewards are divided by before they are weighed; 1 where they don't vary, since all weights are the same then."""
    return spread if spec.standardize and spread > 0 else 1.0


def part_loss(
    roles: Roles, examples: Examples, part: Sequence[int], spec: WeightedSpec, setup: Setup
) -> tuple[Tensor, dict[str, float]]:
    """Loss and metrics of some rows, as their share of those of all examples: the parts' values add up.

    The weights of a prompt are one on average, so that equal weights give the loss of plain fine-tuning.
    """
    batch = collate(
        [examples.prompts[row] for row in part], [examples.completions[row] for row in part], roles.policy.pad
    ).to(setup.device)
    # What was sampled is scored as it was sampled; people's texts were written at no temperature.
    temperature = spec.temperature if spec.completions == "sampled" else 1.0
    with setup.autocast():
        scored = completion_scores(roles.policy.model, batch, temperature)
    logprobs = spread(scored.logprobs, batch.completion_mask)
    weights = examples.weights[list(part)].to(setup.device)
    if spec.average == "completion":
        weights = weights / batch.completion_lengths.clamp(min=1) / len(examples.completions)
    else:
        weights = weights / examples.tokens
    loss = losses.weighted_nll(logprobs, batch.completion_mask, weights)
    return loss, {"loss": float(loss.detach())}


def held_loss(
    roles: Roles, held: Sequence[Group], offline: Offline, spec: WeightedSpec, setup: Setup
) -> dict[str, float]:
    """The loss on held-out candidates, weighed by the spread of those trained on."""
    examples, _ = weigh_dataset(held, offline.held, range(len(held)), offline.spread, spec)
    total = 0.0
    with evaluating(roles.policy.model):
        for part in buckets(examples.learned, examples.lengths, spec.micro_batch_size or 32, setup.start_cost):
            total += part_loss(roles, examples, part, spec, setup)[1]["loss"]
    return {"eval/loss": total}
