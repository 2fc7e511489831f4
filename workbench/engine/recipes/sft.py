"""Supervised fine-tuning: imitate demonstrations, with loss on completion tokens only."""

from __future__ import annotations

import time

from workbench.domain.specs.sft import SftSpec
from workbench.engine import losses
from workbench.engine.batches import collate, count_steps, micro_batches, rows_at
from workbench.engine.cards import card
from workbench.engine.data import need_columns, read_rows, row_key, split_holdout
from workbench.engine.device import memory_gib, prepare
from workbench.engine.evaluate import Tally, evaluate_pairs, fixed_prompts, report_samples
from workbench.engine.examples import encode_demonstrations, tell
from workbench.engine.forward import completion_scores
from workbench.engine.keeper import Keeper, due
from workbench.engine.models import context, count_parameters, load_policy, make_trainable, save_model
from workbench.engine.optim import adamw, clip, finite, set_learning_rate, trainable
from workbench.engine.report import Report
from workbench.protocol.run_folder import RunFolder


def run(spec: SftSpec, folder: RunFolder, report: Report) -> None:
    """Train, and leave the result in the run's model folder."""
    setup = prepare(spec)
    report.phase("loading model")
    loaded = load_policy(spec.base, setup.device, setup.weights(spec.method))
    model = make_trainable(loaded, spec, folder.path / "base")
    tokenizer, pad = loaded.tokenizer, loaded.pad
    max_length = context(model, spec.max_length, report)

    report.phase("reading data")
    rows = read_rows(folder.data)
    need_columns(rows, "prompt", "completion")
    examples = encode_demonstrations(rows, tokenizer, spec.chat_format, max_length)
    tell(report, examples.left_out, examples.cut, len(examples.pairs), max_length)
    usable = list(zip(examples.rows, examples.pairs, strict=True))
    train, held = split_holdout(usable, spec.holdout, spec.seed, key=lambda one: row_key(one[0]))
    pairs, held_pairs = [pair for _, pair in train], [pair for _, pair in held]
    shown = held + train
    prompts = fixed_prompts([row for row, _ in shown], [pair.prompt for _, pair in shown], spec.sample_count)
    lengths = [pair.length for pair in pairs]

    steps = count_steps(len(pairs), spec.batch_size, spec.epochs, spec.max_steps)
    parameters, training = count_parameters(model)
    report.planned(
        steps,
        rows=len(pairs),
        rows_left_out=examples.missing,
        trainable_parameters=training,
        parameters=parameters,
        notes=(str(setup), f"{len(held_pairs)} rows are held out", "the loss is on completion tokens only"),
    )
    optimizer = adamw(model, spec)
    weights = [parameter for _, parameter in trainable(model)]
    keeper = Keeper(spec, folder, report, {"model": model}, {"optimizer": optimizer})
    step, extra = keeper.resume()
    last: dict[str, float] = extra.get("last", {})
    report.phase("training")
    model.train()

    while step < steps:
        if keeper.halted(step, {"last": last}):
            return
        began = time.perf_counter()
        rate = set_learning_rate(optimizer, step, steps, spec)
        chosen = rows_at(step, len(pairs), spec.batch_size, spec.seed)
        targets = sum(len(pairs[row].completion) for row in chosen)
        tally = Tally()
        for part in micro_batches(chosen, lengths, spec.micro_batch_size):
            batch = collate([pairs[row].prompt for row in part], [pairs[row].completion for row in part], pad)
            batch = batch.to(setup.device)
            with setup.autocast():
                scored = completion_scores(model, batch)
            # The tokens of the whole step, so that the split into micro-batches changes nothing.
            setup.backward(losses.sft(scored.logprobs, scored.logprobs.new_ones(len(scored.logprobs)), targets))
            tally.add(scored)
        values = tally.values()
        finite("loss", values["loss"])
        norm = clip(weights, spec.max_grad_norm)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        step += 1
        speed = sum(lengths[row] for row in chosen) / (time.perf_counter() - began)
        report.metric(
            step,
            values,
            learning_rate=rate,
            grad_norm=norm,
            tokens_per_second=speed,
            memory_gib=memory_gib(setup.device),
            epoch=step * spec.batch_size / len(pairs),
        )
        last |= values
        if held_pairs and due(step, spec.eval_every, steps):
            report.phase("evaluating")
            measured = evaluate_pairs(model, held_pairs, spec.micro_batch_size or spec.batch_size, pad, setup)
            report.metric(step, measured)
            last |= measured
            report.phase("training")
        if prompts and due(step, spec.sample_every, steps):
            report.phase("sampling")
            report_samples(report, loaded._replace(model=model), step, prompts, spec.seed, max_length, setup)
            report.phase("training")
        keeper.save_when_due(step, steps, {"last": last})

    report.phase("saving")
    save_model(model, tokenizer, folder.model, card(spec, len(pairs), steps, last))
    report.finished(steps, parameters)
