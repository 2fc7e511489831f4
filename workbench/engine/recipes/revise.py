"""Constitutional revision: a model criticises and revises responses by written principles; demonstrations and pairs come of it."""

from __future__ import annotations

import time

from workbench.domain.errors import RunFailed
from workbench.domain.events import Revised
from workbench.domain.specs.revise import ReviseSpec
from workbench.domain.specs.texts import lines_of
from workbench.engine.data import drawn, need_columns, read_rows
from workbench.engine.device import memory_gib, prepare
from workbench.engine.judging import longest_text
from workbench.engine.models import count_parameters, load_policy
from workbench.engine.report import Report
from workbench.engine.revising import Reviser, Tally
from workbench.protocol.run_folder import RunFolder

SHOWN = 2  # revisions of each batch that are kept as samples


def run(spec: ReviseSpec, folder: RunFolder, report: Report) -> None:
    """Revise every row that this run hasn't done yet, a batch at a time."""
    setup = prepare(spec)
    if not lines_of(spec.principles):
        raise RunFailed("There is no principle to revise by.", "Write at least one, in a line of its own.")
    report.phase("reading data")
    rows = read_rows(folder.data)
    need_columns(rows, "prompt")
    rows = drawn(rows, spec.limit, spec.seed)
    report.phase("loading model")
    loaded = load_policy(spec.base, setup.device, setup.frozen)
    reviser = Reviser(spec, loaded, setup, longest_text(loaded.model, spec.max_length, report))
    parameters, _ = count_parameters(loaded.model)
    # What was revised before a kill is kept. A batch in the midst of which it came is sampled again, and says the same again.
    done: set[int] = set()
    tally = Tally()
    for event in report.earlier(Revised):
        done.add(event.row)
        tally.add(event)
    report.planned(
        len(rows),
        rows=len(rows),
        parameters=parameters,
        notes=(str(setup), f"{len(lines_of(spec.principles))} principles"),
    )
    step = 0
    while step < len(rows) and done.issuperset(range(step, min(step + spec.batch_size, len(rows)))):
        step = min(step + spec.batch_size, len(rows))
    if report.restarted:
        report.resumed(step)
    report.phase("revising")

    while step < len(rows):
        if (wanted := report.wanted()) != "run":
            report.halted(step, wanted)
            return
        began, tokens = time.perf_counter(), reviser.tokens
        revised = reviser.revise(rows[step : step + spec.batch_size], step)
        spent = time.perf_counter() - began
        fresh = [event for event in revised if event.row not in done]
        report.booked(fresh)
        for event in fresh:
            tally.add(event)
        step += len(revised)
        report.metric(
            step,
            tally.values(),
            items_per_second=len(revised) / spent,
            tokens_per_second=(reviser.tokens - tokens) / spent,
            memory_gib=memory_gib(setup.device),
        )
        for index, event in enumerate(revised[:SHOWN]):
            report.sample(step, index, event.prompt.transcript, in_words(event))

    if tally.left_out:
        reasons = "; ".join(f"{count} because {why}" for why, count in tally.left_out.most_common(5))
        report.notice(
            f"{tally.left_out.total()} of {len(rows)} rows gave no revision: {reasons}.",
            "Raise max_new_tokens or max_length, choose a model that follows instructions, or word the requests otherwise.",
        )
    report.finished(step, parameters, model=False)


def in_words(event: Revised) -> str:
    """A revision for reading: original, each principle with the critique, and what came of it."""
    parts = [f"ORIGINAL\n{event.original}"]
    for n, principle in enumerate(event.principles):
        parts.append(f"PRINCIPLE\n{principle}")
        parts += [f"CRITIQUE\n{critique}" for critique in event.critiques[n : n + 1]]
    parts.append(f"NOT KEPT: {event.why}" if event.why else f"REVISION\n{event.revision}")
    return "\n\n".join(parts)
