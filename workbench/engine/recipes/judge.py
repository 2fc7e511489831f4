"""AI feedback: a model or a rule judges items in place of people; its verdicts are booked as judgements that bear its name."""

from __future__ import annotations

import time
from pathlib import Path
from string import ascii_uppercase

from workbench.domain.events import Judged
from workbench.domain.specs.judge import JudgeSpec
from workbench.engine.asking import Asker
from workbench.engine.data import Row, need_columns, prompt_of, read_rows
from workbench.engine.device import Setup, memory_gib, prepare
from workbench.engine.judging import (
    Judge,
    Tally,
    drawn,
    gives_scores,
    longest_text,
    model_judge,
    reward_scores,
    rule_scores,
    score_judge,
    signature,
    verdict,
)
from workbench.engine.models import count_parameters, load_policy, load_reward
from workbench.engine.report import Report
from workbench.engine.rules import load_rule
from workbench.protocol.run_folder import RunFolder

SHOWN = 2  # verdicts of each batch that are kept as samples
FEW_ANSWERS = 0.05  # below this mass, A and B are not what the model would have said


def run(spec: JudgeSpec, folder: RunFolder, report: Report) -> None:
    """Judge every item that this run hasn't judged yet, a batch at a time."""
    setup = prepare(spec)
    report.phase("reading data")
    rows = read_rows(folder.data)
    need_columns(rows, "prompt", "item", "candidates")
    rows = drawn(rows, spec.limit, spec.seed)
    report.phase("loading the judge")
    judge, parameters = load_judge(spec, folder, setup, report)
    # What was judged before a kill stays judged. Batches are the same ones again, so that verdicts don't depend on the interruption.
    done: set[str] = set()
    tally = Tally()
    for event in report.earlier(Judged):
        done.add(event.item)
        tally.add(event)
    batches = [rows[start : start + spec.batch_size] for start in range(0, len(rows), spec.batch_size)]
    people = sum(bool(row.get("people")) for row in rows)
    report.planned(
        len(rows),
        rows=len(rows),
        parameters=parameters,
        notes=(str(setup), f"judgements are signed {signature(spec)}", f"people have judged {people} of the items"),
    )
    step = 0
    while step < len(rows) and all(row["item"] in done for row in batches[step // spec.batch_size]):
        step += len(batches[step // spec.batch_size])
    if report.restarted:
        report.resumed(step)
    report.phase("judging")

    while step < len(rows):
        if (wanted := report.wanted()) != "run":
            report.halted(step, wanted)
            return
        began = time.perf_counter()
        part = batches[step // spec.batch_size]
        findings = judge(part)
        spent = time.perf_counter() - began
        each = round(1000 * spent / len(part))
        verdicts = [verdict(row, finding, spec, each) for row, finding in zip(part, findings, strict=True)]
        fresh = [event for event in verdicts if event.item not in done]
        report.booked(fresh)
        for event in fresh:
            tally.add(event)
        step += len(part)
        report.metric(step, tally.values(), items_per_second=len(part) / spent, memory_gib=memory_gib(setup.device))
        for index, (row, event) in enumerate(zip(part[:SHOWN], verdicts, strict=False)):
            report.sample(
                step, index, prompt_of(row).transcript, in_words(row, event), {"probability": event.probability}
            )

    tell(report, tally)
    report.finished(step, parameters, model=False)


def load_judge(spec: JudgeSpec, folder: RunFolder, setup: Setup, report: Report) -> tuple[Judge, int]:
    """(the judge that the spec asks for, how many parameters it has)."""
    if spec.judge == "rule":
        return score_judge(rule_scores(load_rule(spec.rule, folder.path)), spec.tie_margin), 0
    if gives_scores(Path(spec.base)):
        loaded = load_reward(spec.base, setup.device, setup.frozen)
        longest = longest_text(loaded.model, spec.max_length, report)
        scores = reward_scores(loaded, setup, spec.chat_format, longest, spec.micro_batch_size)
        return score_judge(scores, spec.tie_margin), count_parameters(loaded.model)[0]
    loaded = load_policy(spec.base, setup.device, setup.frozen)
    longest = longest_text(loaded.model, spec.max_length, report)
    asker = Asker(loaded, setup, spec.chat_format, spec.micro_batch_size)
    return model_judge(asker, spec, longest), count_parameters(loaded.model)[0]


def in_words(row: Row, event: Judged) -> str:
    """A verdict for reading: the ranking with its note, or why there is none, above the candidates."""
    if event.judgement is None or event.judgement.ranking is None:
        head = f"no judgement: {event.why}"
    else:
        tiers = event.judgement.ranking.tiers
        head = (
            f"{' ≻ '.join(' = '.join(ascii_uppercase[i] for i in tier) for tier in tiers)}   ({event.judgement.note})"
        )
    return "\n\n".join([head, *(f"{ascii_uppercase[i]}: {text}" for i, text in enumerate(row["candidates"]))])


def tell(report: Report, tally: Tally) -> None:
    """Say what got no judgement and why, and warn of a model that would have said something else than A or B."""
    if tally.left_out:
        reasons = "; ".join(f"{count} because {why}" for why, count in tally.left_out.most_common(5))
        report.notice(
            f"{sum(tally.left_out.values())} items got no judgement: {reasons}.", "They can be judged by people."
        )
    if tally.mass is not None and tally.mass < FEW_ANSWERS:
        report.notice(
            f"The model gives A and B together only {tally.mass:.2g} of the probability: it doesn't follow the question.",
            "Choose a model that was trained on instructions, or word the question in a way that it knows.",
        )
