"""Supervised fine-tuning: imitate demonstrations, with loss on what the assistant says only."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import torch

from workbench.domain.specs.sft import SftSpec
from workbench.engine import losses
from workbench.engine.adapters import what_is_trained
from workbench.engine.batches import buckets, count_steps, rows_at
from workbench.engine.cards import card
from workbench.engine.data import need_columns, read_rows, split_holdout
from workbench.engine.device import Setup, prepare
from workbench.engine.evaluate import Tally, evaluate_rows, report_samples, token_scores
from workbench.engine.examples import Examples, encode_demonstrations, enough, tell
from workbench.engine.generation import Question, evaluate_generation, questions_of
from workbench.engine.keeper import Keeper, due
from workbench.engine.models import Loaded, context, count_parameters, load_policy, make_trainable, save_model
from workbench.engine.optim import finite, make_optimizer, set_learning_rate, take_step
from workbench.engine.packing import Packed, Padded, pack_examples
from workbench.engine.report import Report
from workbench.engine.stopping import Stopper
from workbench.protocol.run_folder import RunFolder


def run(spec: SftSpec, folder: RunFolder, report: Report) -> None:
    """Train, and leave the result in the run's model folder."""
    setup = prepare(spec)
    report.phase("loading model")
    loaded = load_policy(spec.base, setup.home(spec.method), setup.weights(spec.method))
    model = make_trainable(loaded, spec, folder.path / "base")
    tokenizer, pad = loaded.tokenizer, loaded.pad
    max_length = context(model, spec.max_length, report)

    report.phase("reading data")
    data = read_rows(folder.data)
    need_columns(data, "prompt", "completion")
    train, held = split_holdout(data, spec.holdout, spec.seed)
    drawn, limit = enough(train, spec)
    examples = encode_demonstrations(drawn, tokenizer, spec.chat_format, max_length, spec.loss_on, limit)
    held_out = encode_demonstrations(held, tokenizer, spec.chat_format, max_length, spec.loss_on)
    left_out = examples.left_out + held_out.left_out
    tell(report, left_out, examples.cut + held_out.cut, len(examples.pairs), max_length)
    rows = pack_examples(examples.pairs, max_length, pad, spec.seed) if spec.packing else Padded(examples.pairs, pad)
    held_rows = Padded(held_out.pairs, pad)
    shown = questions_of(held_out.rows + examples.rows, tokenizer, spec.chat_format, spec.sample_count)
    questions = questions_of(held_out.rows, tokenizer, spec.chat_format, spec.eval_generation)
    prompts = [(question.shown, question.ids) for question in shown]
    lengths = rows.lengths

    steps = count_steps(len(rows), spec.batch_size, spec.epochs, spec.max_steps)
    parameters, training = count_parameters(model)
    report.planned(
        steps,
        rows=len(examples.pairs),
        rows_left_out=left_out.total(),
        trainable_parameters=training,
        parameters=parameters,
        notes=(str(setup), what_is_trained(model, spec), *notes(spec, tokenizer, examples, rows, len(held_rows))),
    )
    optimizer = make_optimizer(model, spec)
    keeper = Keeper(spec, folder, report, {"model": model}, {"optimizer": optimizer}, setup.scale)
    step, extra = keeper.resume()
    last: dict[str, float] = extra.get("last", {})
    stopper = Stopper(spec, folder, report, model, extra)
    steps = stopper.steps(step, steps)
    if len(held_rows) and step == 0 and spec.eval_every:
        report.phase("evaluating")
        report.metric(0, evaluate(loaded._replace(model=model), held_rows, questions, max_length, spec, setup))
    report.phase("training")
    model.train()

    while step < steps:
        if keeper.halted(step, {"last": last, **stopper.state}):
            return
        began = time.perf_counter()
        rate = set_learning_rate(optimizer, step, steps, spec)
        chosen = rows_at(step, len(rows), spec.batch_size, spec.seed)
        targets = rows.targets(chosen)
        tally = Tally()
        for part in buckets(chosen, lengths, spec.micro_batch_size, setup.start_cost):
            batch = rows.batch(part).to(setup.device)
            with setup.autocast():
                scored = token_scores(model, batch)
            # The tokens of the whole step, so that the split into micro-batches changes nothing.
            setup.backward(losses.sft(scored.logprobs, torch.ones_like(scored.logprobs), targets))
            tally.add(scored)
        values = tally.values()
        finite("loss", values["loss"])
        (norm,) = take_step(setup, spec.max_grad_norm, optimizer)
        step += 1
        speed = sum(lengths[row] for row in chosen) / (time.perf_counter() - began)
        report.metric(
            step,
            values | setup.gauges(),
            learning_rate=rate,
            grad_norm=norm,
            tokens_per_second=speed,
            epoch=step * spec.batch_size / len(rows) * examples.share,
        )
        last |= values
        if len(held_rows) and due(step, spec.eval_every, steps):
            report.phase("evaluating")
            measured = evaluate(loaded._replace(model=model), held_rows, questions, max_length, spec, setup)
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
    save_model(model, tokenizer, folder.model, card(spec, len(examples.pairs), steps, last))
    report.finished(steps, parameters)


def evaluate(
    loaded: Loaded, rows: Padded, questions: Sequence[Question], max_length: int, spec: SftSpec, setup: Setup
) -> dict[str, float]:
    """`eval/` metrics on held-out rows, and of the answers to held-out prompts where the spec asks for them."""
    measured = evaluate_rows(loaded.model, rows, spec.micro_batch_size or spec.batch_size, setup)
    if questions:
        measured |= evaluate_generation(loaded, questions, spec.eval_max_new_tokens, max_length, setup)
    return measured


def notes(spec: SftSpec, tokenizer: Any, examples: Examples, rows: Padded | Packed, held: int) -> list[str]:
    """What a person should know of the data before it is trained on."""
    tokens = sum(rows.lengths)
    what = "every turn of the assistant" if spec.loss_on == "assistant" else "completions"
    found = [
        f"{held} rows are held out",
        f"the loss is on {what} only: {rows.targets(range(len(rows))) / tokens:.0%} of {tokens} tokens",
    ]
    if spec.chat_format == "auto" and not tokenizer.chat_template and any(not row.get("raw") for row in examples.rows):
        found.append("the model has no chat template: conversations become plain lines, Human: … Assistant: …")
    if examples.unread:
        found.append(f"{examples.unread} more rows aren't needed for {spec.max_steps} steps")
    if isinstance(rows, Packed):
        found.append(f"{rows.pieces} demonstrations are packed into {len(rows)} rows ({rows.fill:.0%} full)")
    return found
