"""Direct preference optimisation: make chosen completions likelier than rejected ones, held to where the policy started.

The spec's loss decides what that means: DPO and its relatives, ORPO and SimPO without a reference, or KTO.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from workbench.domain.specs.dpo import DpoSpec
from workbench.engine import losses
from workbench.engine.adapters import what_is_trained
from workbench.engine.batches import buckets, count_steps, rows_at
from workbench.engine.cards import card
from workbench.engine.data import need_columns, read_rows, row_key, split_holdout
from workbench.engine.device import prepare
from workbench.engine.evaluate import evaluating, fixed_prompts, report_samples
from workbench.engine.examples import tell
from workbench.engine.keeper import Keeper, due
from workbench.engine.models import context, count_parameters, load_policy, make_trainable, save_model, without_dropout
from workbench.engine.optim import finite, make_optimizer, set_learning_rate, take_step
from workbench.engine.pair_forward import PairForward, choose_forward
from workbench.engine.pair_losses import Seen, pair_loss, pair_metrics
from workbench.engine.preferences import Preference, encode_preferences, mismatched
from workbench.engine.reference import Reference, reference_of
from workbench.engine.report import Report
from workbench.engine.stopping import Stopper
from workbench.protocol.run_folder import RunFolder


def run(spec: DpoSpec, folder: RunFolder, report: Report) -> None:
    """Train, and leave the result in the run's model folder."""
    setup = prepare(spec)
    report.phase("loading model")
    loaded = load_policy(spec.base, setup.home(spec.method), setup.weights(spec.method))
    model = make_trainable(loaded, spec, folder.path / "base")
    without_dropout(model)
    max_length = context(model, spec.max_length, report)

    report.phase("reading data")
    rows = read_rows(folder.data)
    need_columns(rows, "prompt", "chosen", "rejected")
    usable = encode_preferences(rows, loaded.tokenizer, spec.chat_format, max_length, shorten=True)
    tell(report, usable.left_out, usable.cut, len(usable.pairs), max_length)
    together = list(zip(usable.rows, usable.pairs, strict=True))
    train, held = split_holdout(together, spec.holdout, spec.seed, key=lambda one: row_key(one[0]))
    pairs = [pair for _, pair in train + held]
    held_rows = list(range(len(train), len(pairs)))
    shown = held or train
    prompts = fixed_prompts([row for row, _ in shown], [pair.prompt for _, pair in shown], spec.sample_count)
    if spec.margin_scale and not any(pair.margin for pair in pairs):
        report.notice("No pair has a strength of preference; margin_scale changes nothing.")

    forward = choose_forward(model, pairs, loaded.pad, setup)
    steps = count_steps(len(train), spec.batch_size, spec.epochs, spec.max_steps)
    parameters, training = count_parameters(model)
    report.planned(
        steps,
        rows=len(train),
        rows_left_out=sum(usable.left_out.values()),
        trainable_parameters=training,
        parameters=parameters,
        notes=(str(setup), what_is_trained(model, spec), f"{len(held)} pairs are held out", *notes_on(spec, forward)),
    )
    everything = with_strangers(pairs, len(train), max_length) if spec.loss == "kto" else pairs
    task = Task(forward, everything, [forward.tokens(pair) for pair in everything], len(pairs), None)
    if spec.needs_reference:
        # The weights are still those of the start: what they say now is what the reference says, so no second model is needed.
        seen = rows_at(0, len(train), min(spec.batch_size * steps, len(train)), spec.seed)
        used = task.with_partners([*seen, *held_rows])
        reference = reference_of(forward, task.pairs, used, spec, folder, report)
        if reference is None:
            report.halted(0, report.wanted())
            return
        task = task._replace(reference=reference)
    optimizer = make_optimizer(model, spec)
    keeper = Keeper(spec, folder, report, {"model": model}, {"optimizer": optimizer}, setup.scale)
    step, extra = keeper.resume()
    last: dict[str, float] = extra.get("last", {})
    stopper = Stopper(spec, folder, report, model, extra)
    steps = stopper.steps(step, steps)
    if held_rows and step == 0 and spec.eval_every:
        report.phase("evaluating")
        report.metric(0, evaluate(task, held_rows, spec))
    report.phase("training")
    model.train()

    while step < steps:
        if keeper.halted(step, {"last": last, **stopper.state}):
            return
        began = time.perf_counter()
        rate = set_learning_rate(optimizer, step, steps, spec)
        chosen = rows_at(step, len(train), spec.batch_size, spec.seed)
        parts: list[dict[str, Tensor]] = []
        zero = log_ratio_of_strangers(task, chosen, spec)
        for part in buckets(chosen, task.lengths, spec.micro_batch_size, setup.start_cost):
            loss, measured = part_loss(task, part, chosen, spec, zero)
            setup.backward(loss)
            parts.append(measured)
        values = added(parts)
        finite("loss", values["loss"])
        (norm,) = take_step(setup, spec.max_grad_norm, optimizer)
        step += 1
        report.metric(
            step,
            values | setup.gauges(),
            learning_rate=rate,
            grad_norm=norm,
            tokens_per_second=sum(task.lengths[row] for row in chosen) / (time.perf_counter() - began),
            epoch=step * spec.batch_size / len(train),
        )
        last |= values
        if held_rows and due(step, spec.eval_every, steps):
            report.phase("evaluating")
            found = evaluate(task, held_rows, spec)
            report.metric(step, found)
            last |= found
            steps = stopper.watch(step, found, steps)
            report.phase("training")
        if prompts and due(step, spec.sample_every, steps):
            report.phase("sampling")
            report_samples(report, loaded._replace(model=model), step, prompts, spec.seed, max_length, setup)
            report.phase("training")
        keeper.save_when_due(step, steps, {"last": last, **stopper.state})

    last |= stopper.finish()
    report.phase("saving")
    save_model(model, loaded.tokenizer, folder.model, card(spec, len(train), steps, last))
    report.finished(steps, parameters)


class Task(NamedTuple):
    """What a pass over some pairs needs: how to compute, all pairs with their lengths in tokens, and their reference.

    For kto, `pairs` goes on behind the `real` ones with as many mismatched ones.
    """

    forward: PairForward
    pairs: Sequence[Preference]
    lengths: Sequence[int]
    real: int
    reference: Reference | None

    def with_partners(self, rows: Iterable[int]) -> list[int]:
        """The rows, and where the loss looks at them, their mismatched pairs."""
        found = set(rows)
        return sorted(found | {row + self.real for row in found} if len(self.pairs) > self.real else found)

    def reference_of(self, rows: Sequence[int], like: Tensor) -> Tensor | None:
        """[2n, T] log-probabilities of the reference beside those of the policy; None without a reference."""
        if self.reference is None:
            return None
        return self.reference.batch(rows, like.shape[1]).to(like.device, non_blocking=True)


def notes_on(spec: DpoSpec, forward: PairForward) -> list[str]:
    """What a person should know about how the run computes."""
    reference = "the reference is the policy as it starts" if spec.needs_reference else "the loss needs no reference"
    return [reference] + ["each prompt is computed once for both completions"] * forward.shared


def with_strangers(pairs: Sequence[Preference], trained: int, max_length: int) -> list[Preference]:
    """The pairs, then each prompt with completions of another one; what is trained on stays apart from what is held out."""
    train, held = pairs[:trained], pairs[trained:]
    return [*pairs, *mismatched(train, max_length), *mismatched([*held, *train], max_length)[: len(held)]]


def part_loss(
    task: Task, part: Sequence[int], whole: Sequence[int], spec: DpoSpec, zero: Tensor | None
) -> tuple[Tensor, dict[str, Tensor]]:
    """Loss and metrics of some pairs, as their share of those of the `whole` step: the parts' values add up."""
    targets = sum(len(task.pairs[row].chosen) for row in whole)
    tokens = targets + sum(len(task.pairs[row].rejected) for row in whole)
    pairs, n = [task.pairs[row] for row in part], len(part)
    logprobs, mask, entropy = task.forward(pairs, with_entropy=True)
    strengths = torch.tensor([pair.margin for pair in pairs], device=logprobs.device)
    seen = Seen(logprobs, task.reference_of(part, logprobs), mask, strengths)
    found = pair_loss(seen, spec, zero)
    share = n / len(whole)
    loss = found.loss * share
    if spec.sft_weight:
        loss = loss + spec.sft_weight * losses.sft(logprobs[:n], mask[:n], targets)
    assert entropy is not None
    metrics = {name: value * share for name, value in pair_metrics(seen, found).items()}
    return loss, {"loss": loss.detach(), "entropy": entropy / tokens, **metrics}


def log_ratio_of_strangers(task: Task, whole: Sequence[int], spec: DpoSpec) -> Tensor | None:
    """For kto: the mean over a whole step of the log-ratios of mismatched completions, with which both sides are compared.

    It is of the whole step whatever the micro-batches are, so that these don't change the result.
    """
    if spec.loss != "kto":
        return None
    size = spec.micro_batch_size or spec.batch_size
    total = torch.zeros((), device=task.forward.setup.device)
    with torch.no_grad():
        for part in buckets([row + task.real for row in whole], task.lengths, size, task.forward.setup.start_cost):
            logprobs = task.forward([task.pairs[row] for row in part]).logprobs
            reference = task.reference_of(part, logprobs)
            assert reference is not None
            total += (logprobs - reference).sum()
    return total / (2 * len(whole))


def evaluate(task: Task, rows: Sequence[int], spec: DpoSpec) -> dict[str, float]:
    """`eval/` metrics on held-out pairs, a batch at a time, pairs of similar length together."""
    size, start_cost = spec.micro_batch_size or spec.batch_size, task.forward.setup.start_cost
    with evaluating(task.forward.model):
        zero = log_ratio_of_strangers(task, rows, spec)
        parts = [part_loss(task, part, rows, spec, zero)[1] for part in buckets(rows, task.lengths, size, start_cost)]
    return {f"eval/{name}": value for name, value in added(parts).items()}


def added(parts: Sequence[dict[str, Tensor]]) -> dict[str, float]:
    """The sums of the parts' values as plain numbers, in one transfer from the device."""
    table = torch.stack([torch.stack([value.double() for value in part.values()]) for part in parts])
    return dict(zip(parts[0], table.sum(0).tolist(), strict=True))
