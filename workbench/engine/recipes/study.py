"""A decoding study: every column answers the same prompts; texts and measures are kept cell by cell, a column's batch at a time."""

from __future__ import annotations

import time

from pydantic import TypeAdapter

from workbench.analysis.studies import study_of
from workbench.domain.specs.study import StudySpec, labels_of
from workbench.domain.study import StudyText, StudyTexts
from workbench.engine.data import Row, drawn, need_columns, prompt_of, read_rows
from workbench.engine.device import memory_gib, prepare
from workbench.engine.report import Report
from workbench.engine.studying import Comparer, Scorer, Stage, texts_of
from workbench.protocol.run_folder import RunFolder, write_atomically

SHOWN = 2  # texts of each column that are kept as samples
_TEXTS: TypeAdapter[list[StudyText]] = TypeAdapter(list[StudyText])


def run(spec: StudySpec, folder: RunFolder, report: Report) -> None:
    """Fill the cells that this run hasn't filled yet, then let the judge compare; what a cell says depends on the spec alone."""
    setup = prepare(spec)
    report.phase("reading data")
    rows = read_rows(folder.data)
    need_columns(rows, "prompt")
    rows = drawn(rows, spec.limit, spec.seed)
    columns, labels = spec.asked, labels_of(spec.asked)
    starts = range(0, len(rows), spec.batch_size)
    cells = [(number, start) for number in range(len(columns)) for start in starts]
    judged = list(starts) if spec.judge else []
    report.planned(
        len(cells) + len(judged), rows=len(rows),
        notes=(str(setup), *(f"column {n}: {label}" for n, label in enumerate(labels, start=1))),
    )  # fmt: skip
    kept = folder.path / "study"
    kept.mkdir(exist_ok=True)
    stage, scorer = Stage(setup), Scorer(spec, folder.path, setup, report)
    comparer: Comparer | None = None
    texts: list[StudyText] = []
    step = 0
    if report.restarted:
        report.resumed(sum((kept / f"{number}-{start}.json").exists() for number, start in cells))
    for number, start in cells:
        if (wanted := report.wanted()) != "run":
            _keep(folder, texts, rows)
            report.halted(step, wanted)
            return
        file = kept / f"{number}-{start}.json"
        if file.exists():
            texts += _TEXTS.validate_json(file.read_bytes())
            step += 1
            continue
        report.phase(f"column {number + 1} of {len(columns)}")
        began = time.perf_counter()
        found = texts_of(
            number, columns[number], rows[start : start + spec.batch_size], start, stage, scorer, spec, setup
        )
        spent = time.perf_counter() - began
        texts += found
        step += 1
        _tell(folder, spec, texts, len(rows))
        written = sum(text.measures["tokens"] for text in found)
        report.metric(
            step,
            {"study/texts": float(len(texts))},
            tokens_per_second=written / spent,
            memory_gib=memory_gib(setup.device),
        )
        for index, text in enumerate(found[:: max(1, len(found) // SHOWN)][:SHOWN] if not start else []):
            prompt = prompt_of(rows[text.prompt]).transcript
            report.sample(step, index, prompt, f"{labels[number]}\n\n{text.completion}", text.measures)
        # Last, so that whatever a kill leaves half told is told again: a run that goes on leaves out the cells that are there.
        write_atomically(file, _TEXTS.dump_json(found).decode() + "\n")

    for start in judged:
        if (wanted := report.wanted()) != "run":
            _keep(folder, texts, rows)
            report.halted(step, wanted)
            return
        file = kept / f"judge-{start}.json"
        if not file.exists():
            report.phase("judging")
            comparer = comparer or Comparer(spec, setup, report)
            verdicts = {}
            for place in range(start, min(start + spec.batch_size, len(rows))):
                first = {text.column: text.completion for text in texts if text.prompt == place and not text.sample}
                verdicts[place] = comparer.shares(rows[place], first)
            write_atomically(file, TypeAdapter(dict[int, dict[int, float]]).dump_json(verdicts).decode() + "\n")
        shares = TypeAdapter(dict[int, dict[int, float]]).validate_json(file.read_bytes())
        texts = [_judged(text, shares) for text in texts]
        step += 1
        _tell(folder, spec, texts, len(rows))
        report.metric(step, {"study/judged": float(min(start + spec.batch_size, len(rows)))})
    _keep(folder, texts, rows)
    report.finished(step, model=False)


def _judged(text: StudyText, shares: dict[int, dict[int, float]]) -> StudyText:
    """The text with the judge's share, if it is the one that was compared."""
    share = shares.get(text.prompt, {}).get(text.column)
    if share is None or text.sample:
        return text
    return text.model_copy(update={"measures": {**text.measures, "judge": share}})


def _tell(folder: RunFolder, spec: StudySpec, texts: list[StudyText], prompts: int) -> None:
    """The table so far, for whoever looks into the folder."""
    study = study_of(spec.asked, texts, prompts, spec.samples)
    write_atomically(folder.study, study.model_dump_json(indent=1) + "\n")


def _keep(folder: RunFolder, texts: list[StudyText], rows: list[Row]) -> None:
    """All texts in one file, with their prompts and measures."""
    whole = StudyTexts(prompts=tuple(prompt_of(row) for row in rows), texts=tuple(texts))
    write_atomically(folder.texts, whole.model_dump_json() + "\n")
