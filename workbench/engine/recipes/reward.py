"""Reward model: a scalar head, read at the last completion token, learns to score chosen above rejected (Bradley–Terry)."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from workbench.domain.specs.reward import RewardSpec
from workbench.engine import losses
from workbench.engine.batches import count_steps, micro_batches, rows_at
from workbench.engine.cards import card
from workbench.engine.data import Row, need_columns, prompt_of, read_rows, row_key, split_holdout
from workbench.engine.device import Setup, prepare
from workbench.engine.evaluate import evaluating
from workbench.engine.examples import tell
from workbench.engine.forward import rewards
from workbench.engine.keeper import Keeper, due
from workbench.engine.models import (
    context,
    count_parameters,
    make_reward_head,
    make_trainable,
    save_model,
    without_dropout,
)
from workbench.engine.optim import finite, make_optimizer, set_learning_rate, take_step
from workbench.engine.preferences import Preference, encode_preferences, pair_batch, reward_metrics
from workbench.engine.report import Report
from workbench.engine.stopping import Stopper
from workbench.protocol.run_folder import RunFolder


def run(spec: RewardSpec, folder: RunFolder, report: Report) -> None:
    """Train, and leave the result in the run's model folder."""
    setup = prepare(spec)
    report.phase("loading model")
    loaded = make_reward_head(spec.base, setup.device, setup.weights(spec.method))
    model = make_trainable(loaded, spec, folder.path / "base", head=True)
    without_dropout(model)
    max_length = context(model, spec.max_length, report)

    report.phase("reading data")
    rows = read_rows(folder.data)
    need_columns(rows, "prompt", "chosen", "rejected")
    usable = encode_preferences(rows, loaded.tokenizer, spec.chat_format, max_length, shorten=False)
    tell(report, usable.left_out, usable.cut, len(usable.pairs), max_length)
    together = list(zip(usable.rows, usable.pairs, strict=True))
    train, held = split_holdout(together, spec.holdout, spec.seed, key=lambda one: row_key(one[0]))
    pairs, held_pairs = [pair for _, pair in train], [pair for _, pair in held]
    shown = (held or train)[: spec.sample_count]
    lengths = [pair.length for pair in pairs]

    steps = count_steps(len(pairs), spec.batch_size, spec.epochs, spec.max_steps)
    parameters, training = count_parameters(model)
    report.planned(
        steps,
        rows=len(pairs),
        rows_left_out=sum(usable.left_out.values()),
        trainable_parameters=training,
        parameters=parameters,
        notes=(str(setup), f"{len(held_pairs)} pairs are held out", "a score is taken at the last completion token"),
    )
    optimizer = make_optimizer(model, spec)
    keeper = Keeper(spec, folder, report, {"model": model}, {"optimizer": optimizer}, setup.scale)
    step, extra = keeper.resume()
    last: dict[str, float] = extra.get("last", {})
    stopper = Stopper(spec, folder, report, model, extra)
    steps = stopper.steps(step, steps)
    report.phase("training")
    model.train()

    while step < steps:
        if keeper.halted(step, {"last": last, **stopper.state}):
            return
        began = time.perf_counter()
        rate = set_learning_rate(optimizer, step, steps, spec)
        chosen_rows = rows_at(step, len(pairs), spec.batch_size, spec.seed)
        total, scored = 0.0, []
        for part in micro_batches(chosen_rows, lengths, spec.micro_batch_size):
            members = [pairs[row] for row in part]
            with setup.autocast():
                scores, sizes = score_pairs(model, members, loaded.pad, setup)
            # This part's share of the mean over the whole step, so that the split changes nothing.
            loss = loss_of(scores, members, spec) * (len(part) / len(chosen_rows))
            setup.backward(loss)
            total += float(loss.detach())
            scored.append((scores.detach(), sizes))
        finite("loss", total)
        (norm,) = take_step(setup, spec.max_grad_norm, optimizer)
        step += 1
        values = {"loss": total, **metrics_of(scored)}
        report.metric(
            step,
            values | setup.gauges(),
            learning_rate=rate,
            grad_norm=norm,
            tokens_per_second=2 * sum(lengths[row] for row in chosen_rows) / (time.perf_counter() - began),
            epoch=step * spec.batch_size / len(pairs),
        )
        last |= values
        if held_pairs and due(step, spec.eval_every, steps):
            report.phase("evaluating")
            measured = evaluate(model, held_pairs, loaded.pad, setup, spec)
            report.metric(step, measured)
            last |= measured
            steps = stopper.watch(step, measured, steps)
            report.phase("training")
        if due(step, spec.sample_every, steps):
            report_scores(report, step, model, shown, loaded.pad, setup)
        keeper.save_when_due(step, steps, {"last": last, **stopper.state})

    last |= stopper.finish()
    report.phase("saving")
    save_model(model, loaded.tokenizer, folder.model, card(spec, len(pairs), steps, last))
    report.finished(steps, parameters)


def score_pairs(model: Any, pairs: Sequence[Preference], pad: int, setup: Setup) -> tuple[Tensor, Tensor]:
    """Scores [2, n] of chosen and rejected completions, and the completions' lengths [2, n]."""
    batch = pair_batch(pairs, pad).to(setup.device)
    return rewards(model, batch).view(2, -1), batch.completion_lengths.view(2, -1)


def loss_of(scores: Tensor, pairs: Sequence[Preference], spec: RewardSpec) -> Tensor:
    """The spec's loss of scores [2, n]: scalar mean."""
    margin = torch.tensor([pair.margin for pair in pairs], device=scores.device) if spec.margin else None
    return losses.reward_pairwise(scores[0], scores[1], margin=margin, center=spec.center)


def metrics_of(scored: Sequence[tuple[Tensor, Tensor]], prefix: str = "") -> dict[str, float]:
    """Metrics over all parts: scores and lengths, each [2, n]."""
    scores, lengths = (torch.cat(column, dim=1) for column in zip(*scored, strict=True))
    return reward_metrics(scores[0], scores[1], lengths.flatten(), prefix)


def evaluate(model: Any, pairs: Sequence[Preference], pad: int, setup: Setup, spec: RewardSpec) -> dict[str, float]:
    """`eval/` metrics on held-out pairs, a batch at a time, pairs of similar length together."""
    ordered = sorted(pairs, key=lambda pair: -pair.length)
    size = spec.micro_batch_size or spec.batch_size
    parts = [ordered[start : start + size] for start in range(0, len(ordered), size)]
    with evaluating(model), setup.autocast():
        scored = [score_pairs(model, part, pad, setup) for part in parts]
        total = sum(
            float(loss_of(scores, part, spec)) * len(part) for (scores, _), part in zip(scored, parts, strict=True)
        )
    return {"eval/loss": total / len(pairs), **metrics_of(scored, "eval/")}


def report_scores(
    report: Report, step: int, model: Any, shown: Sequence[tuple[Row, Preference]], pad: int, setup: Setup
) -> None:
    """Report the same few chosen completions with their scores beside those of their rejected fellows."""
    for index, (row, pair) in enumerate(shown):
        with evaluating(model), setup.autocast():
            scores, _ = score_pairs(model, [pair], pad, setup)
        numbers = {"chosen_reward": float(scores[0, 0]), "rejected_reward": float(scores[1, 0])}
        report.sample(step, index, prompt_of(row).text, row["chosen"], numbers)
