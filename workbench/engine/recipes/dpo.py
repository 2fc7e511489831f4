"""Direct preference optimisation: make chosen completions likelier than rejected ones, held to where the policy started."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, NamedTuple

from torch import Tensor

from workbench.domain.specs.dpo import DpoSpec
from workbench.engine import advantages, losses
from workbench.engine.batches import count_steps, micro_batches, rows_at
from workbench.engine.cards import card
from workbench.engine.data import need_columns, read_rows, row_key, split_holdout
from workbench.engine.device import Setup, prepare
from workbench.engine.evaluate import evaluating, fixed_prompts, report_samples
from workbench.engine.examples import tell
from workbench.engine.forward import completion_scores, spread
from workbench.engine.keeper import Keeper, due
from workbench.engine.models import context, count_parameters, load_policy, make_trainable, save_model, without_dropout
from workbench.engine.optim import finite, make_optimizer, set_learning_rate, take_step
from workbench.engine.preferences import Preference, encode_preferences, pair_batch
from workbench.engine.reference import Reference, reference_of
from workbench.engine.report import Report
from workbench.engine.stopping import Stopper
from workbench.protocol.run_folder import RunFolder


def run(spec: DpoSpec, folder: RunFolder, report: Report) -> None:
    """Train, and leave the result in the run's model folder."""
    setup = prepare(spec)
    report.phase("loading model")
    loaded = load_policy(spec.base, setup.device, setup.weights(spec.method))
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
    lengths = [pair.length for pair in pairs]

    steps = count_steps(len(train), spec.batch_size, spec.epochs, spec.max_steps)
    parameters, training = count_parameters(model)
    report.planned(
        steps,
        rows=len(train),
        rows_left_out=sum(usable.left_out.values()),
        trainable_parameters=training,
        parameters=parameters,
        notes=(str(setup), f"{len(held)} pairs are held out", "the reference is the policy as it starts"),
    )
    report.phase("reference")
    # The weights are still those of the start: what they say now is what the reference says, so no second model is needed.
    task = Task(model, pairs, reference_of(model, pairs, spec, folder, loaded.pad, setup), loaded.pad, setup)
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
        chosen = rows_at(step, len(train), spec.batch_size, spec.seed)
        values: dict[str, float] = {}
        for part in micro_batches(chosen, lengths, spec.micro_batch_size):
            loss, measured = part_loss(task, part, chosen, spec)
            setup.backward(loss)
            values = {name: values.get(name, 0.0) + value for name, value in measured.items()}
        finite("loss", values["loss"])
        (norm,) = take_step(setup, spec.max_grad_norm, optimizer)
        step += 1
        report.metric(
            step,
            values | setup.gauges(),
            learning_rate=rate,
            grad_norm=norm,
            tokens_per_second=2 * sum(lengths[row] for row in chosen) / (time.perf_counter() - began),
            epoch=step * spec.batch_size / len(train),
        )
        last |= values
        if held_rows and due(step, spec.eval_every, steps):
            report.phase("evaluating")
            measured = evaluate(task, held_rows, spec)
            report.metric(step, measured)
            last |= measured
            steps = stopper.watch(step, measured, steps)
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
    """What a pass over some pairs needs: the model, all pairs with their reference, and how to compute."""

    model: Any
    pairs: Sequence[Preference]
    reference: Reference
    pad: int
    setup: Setup


def part_loss(task: Task, part: Sequence[int], whole: Sequence[int], spec: DpoSpec) -> tuple[Tensor, dict[str, float]]:
    """Loss and metrics of some pairs, as their share of those of the `whole` step: the parts' values add up.

    `kl` estimates KL(reference ‖ policy): k3 summed over a completion, the mean over both completions of each pair. The other
    direction can't be estimated here: completions that the policy no longer writes would outweigh all others.
    """
    targets = sum(len(task.pairs[row].chosen) for row in whole)
    tokens = targets + sum(len(task.pairs[row].rejected) for row in whole)
    batch = pair_batch([task.pairs[row] for row in part], task.pad).to(task.setup.device)
    mask, n = batch.completion_mask, len(part)
    with task.setup.autocast():
        scored = completion_scores(task.model, batch, with_entropy=True)
    logprobs = spread(scored.logprobs, mask)
    ref = task.reference.batch(part, mask.shape[1]).to(task.setup.device)
    sums, ref_sums = logprobs.sum(1), ref.sum(1)
    found = losses.dpo(sums[:n], sums[n:], ref_sums[:n], ref_sums[n:], spec.beta, label_smoothing=spec.label_smoothing)
    share = n / len(whole)
    loss = found.loss * share
    if spec.sft_weight:
        loss = loss + spec.sft_weight * losses.sft(logprobs[:n], mask[:n], targets)
    moved = advantages.kl(ref, logprobs.detach(), "k3").sum() / (2 * n)
    gap = found.chosen_reward - found.rejected_reward
    measured = {
        "rewards/chosen": found.chosen_reward.mean(),
        "rewards/rejected": found.rejected_reward.mean(),
        "rewards/margin": gap.mean(),
        "rewards/accuracy": (gap > 0).float().mean(),
        "logps/chosen": sums[:n].detach().mean(),
        "logps/rejected": sums[n:].detach().mean(),
        "kl": moved,
    }
    assert scored.entropy is not None
    values = {name: float(value) * share for name, value in measured.items()}
    return loss, {"loss": float(loss.detach()), "entropy": float(scored.entropy.sum()) / tokens, **values}


def evaluate(task: Task, rows: Sequence[int], spec: DpoSpec) -> dict[str, float]:
    """`eval/` metrics on held-out pairs, a batch at a time, pairs of similar length together."""
    size = spec.micro_batch_size or spec.batch_size
    values: dict[str, float] = {}
    with evaluating(task.model):
        for part in micro_batches(rows, [pair.length for pair in task.pairs], size):
            _, measured = part_loss(task, part, rows, spec)
            values = {name: values.get(name, 0.0) + value for name, value in measured.items()}
    return {f"eval/{name}": value for name, value in values.items()}
