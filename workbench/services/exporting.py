"""Datasets into files, through the writers of `formats`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from workbench import formats
from workbench.domain.judgement import Judgement
from workbench.domain.text import Demonstration
from workbench.services.views import Exported
from workbench.services.workspace import Workspace
from workbench.store.datasets import DatasetRecord, RowRecord

BATCH = 1_000


def export(workspace: Workspace, dataset: DatasetRecord, format: str, out: Path) -> Exported:
    """Write every row with the judgements that count; the file is whole or absent."""
    out = Path(out).expanduser().absolute()
    count, notes = formats.write(_rows(workspace, dataset), format, out)
    return Exported(out, count, notes)


def _rows(workspace: Workspace, dataset: DatasetRecord) -> Iterator[formats.Row]:
    store, lane = workspace.store, workspace.lane
    for start in range(0, dataset.rows, BATCH):
        rows = lane.do(store.datasets.rows, dataset.name, start, BATCH)
        said: dict[str, list[Judgement]] = {}
        if dataset.kind == "preferences":
            for judgement in lane.do(store.labels.current, dataset.name, start, start + BATCH):
                said.setdefault(judgement.item, []).append(judgement)
        for row in rows:
            yield _row(row, said)


def _row(row: RowRecord, said: dict[str, list[Judgement]]) -> formats.Row:
    if row.item is not None:
        return formats.PreferenceRow(
            row.item.prompt, row.item.candidates, item_id=row.item.id, extra=row.raw or {},
            judgements=tuple(said.get(row.item.id, ())),
        )  # fmt: skip
    if row.prompt is not None and row.completion is not None:
        return Demonstration(prompt=row.prompt, completion=row.completion)
    return row.prompt if row.prompt is not None else row.text or ""
