"""Datasets into files, through the writers of `formats`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from workbench import formats
from workbench.domain.judgement import Judgement, settled
from workbench.domain.text import Demonstration
from workbench.services.views import Exported
from workbench.services.workspace import Workspace
from workbench.store.datasets import DatasetRecord, RowRecord

BATCH = 1_000
LOSSLESS = "workbench"


def export(workspace: Workspace, dataset: DatasetRecord, format: str, out: Path) -> Exported:
    """Write every row with its judgements; the file is whole or absent.

    The workbench's own format gets everything that stands, repeats and guidelines included; others get what training would take.
    """
    out = Path(out).expanduser().absolute()
    count, notes = formats.write(_rows(workspace, dataset, whole=format == LOSSLESS), format, out)
    return Exported(out, count, notes)


def _rows(workspace: Workspace, dataset: DatasetRecord, *, whole: bool) -> Iterator[formats.Row]:
    store, lane = workspace.store, workspace.lane
    if whole:
        yield from lane.do(store.guidelines.history, dataset.name)
    for start in range(0, dataset.rows, BATCH):
        rows = lane.do(store.datasets.rows, dataset.name, start, BATCH)
        said: dict[str, list[Judgement]] = {}
        if dataset.kind == "preferences":
            read = store.labels.standing if whole else store.labels.current
            for judgement in lane.do(read, dataset.name, start, start + BATCH):
                said.setdefault(judgement.item, []).append(judgement)
        for row in rows:
            yield _row(row, said, whole=whole)


def _row(row: RowRecord, said: dict[str, list[Judgement]], *, whole: bool) -> formats.Row:
    if row.item is not None:
        theirs = said.get(row.item.id, [])
        return formats.PreferenceRow(
            row.item.prompt, row.item.candidates, item_id=row.item.id, extra=row.raw or {},
            judgements=tuple(theirs if whole else settled(theirs)),
        )  # fmt: skip
    if row.prompt is not None and row.completion is not None:
        return Demonstration(prompt=row.prompt, completion=row.completion)
    return row.prompt if row.prompt is not None else row.text or ""
