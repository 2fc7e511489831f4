"""Pretraining: next-token prediction on documents, packed into full rows that keep documents apart."""

from __future__ import annotations

import time

from workbench.domain.errors import RunFailed
from workbench.domain.specs.pretrain import PretrainSpec
from workbench.engine import losses
from workbench.engine.batches import count_steps, micro_batches, rows_at
from workbench.engine.cards import card
from workbench.engine.data import need_columns, read_rows, split_holdout
from workbench.engine.device import prepare
from workbench.engine.evaluate import Tally, evaluate_rows, report_samples, token_scores
from workbench.engine.keeper import Keeper, due
from workbench.engine.models import context, count_parameters, load_or_initialise, make_trainable, save_model
from workbench.engine.optim import finite, make_optimizer, set_learning_rate, take_step
from workbench.engine.packing import pack
from workbench.engine.report import Report
from workbench.engine.stopping import Stopper
from workbench.engine.text import encode_documents, encode_text
from workbench.protocol.run_folder import RunFolder


def run(spec: PretrainSpec, folder: RunFolder, report: Report) -> None:
    """Train, and leave the result in the run's model folder. A base without weights starts from random ones."""
    setup = prepare(spec)
    report.phase("loading model")
    loaded, fresh = load_or_initialise(spec.base, setup.device, setup.weights(spec.method))
    if fresh and spec.method == "lora":
        raise RunFailed("An adapter needs a base with weights.", "Choose full training for a model without weights.")
    model = make_trainable(loaded, spec, folder.path / "base")
    tokenizer, pad = loaded.tokenizer, loaded.pad
    max_length = context(model, spec.max_length, report)

    report.phase("reading data")
    rows = read_rows(folder.data)
    need_columns(rows, "text")
    texts = [row for row in rows if (row["text"] or "").strip()]
    if not texts:
        raise RunFailed("No document of the dataset holds text.", "Choose other data.")
    if len(texts) < len(rows):
        report.notice(f"{len(rows) - len(texts)} documents were left out because they are empty.")
    train, held = split_holdout(texts, spec.holdout, spec.seed)
    packed = pack(encode_documents(tokenizer, [row["text"] for row in train]), max_length, pad, spec.seed)
    packed_held = (
        pack(encode_documents(tokenizer, [row["text"] for row in held]), max_length, pad, spec.seed) if held else None
    )
    openings = [" ".join(row["text"].split()[:5]) for row in held + train[:1000]]
    prompts = [(text, encode_text(tokenizer, text)) for text in dict.fromkeys(openings)][: spec.sample_count]
    lengths = packed.lengths

    steps = count_steps(len(packed), spec.batch_size, spec.epochs, spec.max_steps)
    parameters, training = count_parameters(model)
    report.planned(
        steps,
        rows=len(train),
        rows_left_out=len(rows) - len(texts),
        trainable_parameters=training,
        parameters=parameters,
        notes=(
            str(setup),
            "weights start at random" if fresh else "weights start from the base",
            f"{len(train)} documents in {packed.pieces} pieces fill {len(packed)} rows of at most {max_length} tokens "
            f"({packed.fill:.0%} full); {len(held)} documents are held out",
            "documents in one row don't see each other; a document's first token is no target",
        ),
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
        chosen = rows_at(step, len(packed), spec.batch_size, spec.seed)
        targets = packed.targets(chosen)
        tally = Tally()
        for part in micro_batches(chosen, lengths, spec.micro_batch_size):
            with setup.autocast():
                scored = token_scores(model, packed.batch(part).to(setup.device))
            # The tokens of the whole step, so that the split into micro-batches changes nothing.
            setup.backward(losses.sft(scored.logprobs, scored.logprobs.new_ones(len(scored.logprobs)), targets))
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
            epoch=step * spec.batch_size / len(packed),
        )
        last |= values
        if packed_held and due(step, spec.eval_every, steps):
            report.phase("evaluating")
            measured = evaluate_rows(model, packed_held, spec.micro_batch_size or spec.batch_size, setup)
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
    save_model(model, tokenizer, folder.model, card(spec, len(train), steps, last))
    report.finished(steps, parameters)
