"""Pretraining on documents: the next token in packed rows, masked tokens, or hidden spans, as suits the model."""

from __future__ import annotations

import time
from collections.abc import Sequence

import torch

from workbench.domain.errors import RunFailed
from workbench.domain.specs.pretrain import PretrainSpec
from workbench.engine import losses
from workbench.engine.adapters import what_is_trained
from workbench.engine.batches import buckets, count_steps, epoch_order, visits_at
from workbench.engine.cards import card
from workbench.engine.data import need_columns, read_rows, split_holdout
from workbench.engine.device import prepare
from workbench.engine.evaluate import Tally, report_samples
from workbench.engine.gap_samples import report_gaps
from workbench.engine.keeper import Keeper, due
from workbench.engine.models import (
    context,
    count_parameters,
    family_in,
    load_or_initialise,
    make_trainable,
    save_model,
)
from workbench.engine.objectives import Causal, evaluate_objective, prepare_objective, score
from workbench.engine.optim import finite, make_optimizer, set_learning_rate, take_step
from workbench.engine.report import Report
from workbench.engine.stopping import Stopper
from workbench.engine.text import encode_text
from workbench.protocol.run_folder import RunFolder


def run(spec: PretrainSpec, folder: RunFolder, report: Report) -> None:
    """Train, and leave the result in the run's model folder. A base without weights starts from random ones."""
    setup = prepare(spec)
    report.phase("loading model")
    name = family_in(spec.base) if spec.objective == "auto" else spec.objective
    if name != "causal" and spec.method != "full":
        raise RunFailed(f"The objective {name} trains whole models only.", "Choose full training.")
    loaded, fresh = load_or_initialise(spec.base, setup.home(spec.method), setup.weights(spec.method), name)
    if fresh and spec.method != "full":
        raise RunFailed("An adapter needs a base with weights.", "Choose full training for a model without weights.")
    model = make_trainable(loaded, spec, folder.path / "base")
    tokenizer, pad = loaded.tokenizer, loaded.pad
    max_length = context(model, spec.max_length, report)

    report.phase("reading data")
    data = read_rows(folder.data)
    need_columns(data, "text")
    usable = [row for row in data if (row["text"] or "").strip()]
    if not usable:
        raise RunFailed("No document of the dataset holds text.", "Choose other data.")
    if len(usable) < len(data):
        report.notice(f"{len(data) - len(usable)} documents were left out because they are empty.")
    split = split_holdout(usable, spec.holdout, spec.seed)
    train, held = ([row["text"] for row in part] for part in split)
    # In an order of its own, so that a run that needs only some of the documents takes any of them.
    drawn_order = [train[index] for index in epoch_order(len(train), 0, spec.seed)]
    rows, read = prepare_objective(name, drawn_order, spec, tokenizer, model.config, max_length, pad)
    whole = spec.model_copy(update={"max_steps": 0})
    held_rows = prepare_objective(name, held, whole, tokenizer, model.config, max_length, pad)[0] if held else None
    shown = held_rows or rows
    asked = [(text, encode_text(tokenizer, text)) for text in openings(held + train, spec.sample_count)]

    steps = count_steps(len(rows), spec.batch_size, spec.epochs, spec.max_steps)
    parameters, training = count_parameters(model)
    report.planned(
        steps,
        rows=read,
        rows_left_out=len(data) - len(usable),
        trainable_parameters=training,
        parameters=parameters,
        notes=(
            str(setup),
            what_is_trained(model, spec),
            "weights start at random" if fresh else "weights start from the base",
            f"objective {name}, on {read} of {len(train)} documents; {len(held)} more are held out",
            f"rows of at most {max_length} tokens: {rows}",
        ),
    )
    optimizer = make_optimizer(model, spec)
    keeper = Keeper(spec, folder, report, {"model": model}, {"optimizer": optimizer}, setup.scale)
    step, extra = keeper.resume()
    last: dict[str, float] = extra.get("last", {})
    stopper = Stopper(spec, folder, report, model, extra)
    steps = stopper.steps(step, steps)
    if held_rows and step == 0 and spec.eval_every:
        report.phase("evaluating")
        report.metric(0, evaluate_objective(model, held_rows, spec.micro_batch_size or spec.batch_size, setup))
    report.phase("training")
    model.train()

    while step < steps:
        if keeper.halted(step, {"last": last, **stopper.state}):
            return
        began = time.perf_counter()
        rate = set_learning_rate(optimizer, step, steps, spec)
        drawn = rows.draw(visits_at(step, len(rows), spec.batch_size, spec.seed))
        tally = Tally()
        for part in buckets(range(spec.batch_size), drawn.lengths, spec.micro_batch_size, setup.start_cost):
            batch = drawn.batch(part).to(setup.device)
            with setup.autocast():
                scored = score(model, batch)
            # The tokens of the whole step, so that the split into micro-batches changes nothing.
            setup.backward(losses.sft(scored.logprobs, torch.ones_like(scored.logprobs), drawn.targets))
            tally.add(scored)
        values = tally.values()
        finite("loss", values["loss"])
        (norm,) = take_step(setup, spec.max_grad_norm, optimizer)
        step += 1
        report.metric(
            step,
            values | setup.gauges(),
            learning_rate=rate,
            grad_norm=norm,
            tokens_per_second=sum(drawn.lengths) / (time.perf_counter() - began),
            epoch=step * spec.batch_size / len(rows) * read / len(train),
        )
        last |= values
        if held_rows and due(step, spec.eval_every, steps):
            report.phase("evaluating")
            measured = evaluate_objective(model, held_rows, spec.micro_batch_size or spec.batch_size, setup)
            report.metric(step, measured)
            last |= measured
            steps = stopper.watch(step, measured, steps)
            report.phase("training")
        if spec.sample_count and due(step, spec.sample_every, steps):
            report.phase("sampling")
            if isinstance(shown, Causal):
                report_samples(report, loaded._replace(model=model), step, asked, spec.seed, max_length, setup)
            else:
                report_gaps(report, step, model, tokenizer, shown, spec.sample_count, setup)
            report.phase("training")
        keeper.save_when_due(step, steps, {"last": last, **stopper.state})

    last |= stopper.finish()
    report.phase("saving")
    save_model(model, tokenizer, folder.model, card(spec, read, steps, last))
    report.finished(steps, parameters)


def openings(texts: Sequence[str], count: int) -> list[str]:
    """The first words of the first documents, each once: what the model is let to go on from."""
    return list(dict.fromkeys(" ".join(text.split()[:5]) for text in texts[: 1000 + count]))[:count]
