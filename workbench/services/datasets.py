"""Datasets: imported all or nothing, paged, searched, frozen for runs, exported."""

from __future__ import annotations

import builtins
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from workbench import formats
from workbench.domain.errors import BadInput
from workbench.domain.judgement import Judgement
from workbench.domain.rows import DatasetKind, SnapshotKind, usable_as
from workbench.domain.text import Demonstration
from workbench.services import exporting, importing
from workbench.services.freezing import Freezer
from workbench.services.row_views import row_view
from workbench.services.searching import Search
from workbench.services.views import DatasetView, Exported, Frozen, Imported, Preview, RowView
from workbench.services.workspace import Workspace
from workbench.store.datasets import DatasetRecord, RowRecord
from workbench.store.filling import NewRow
from workbench.store.snapshot_file import write_snapshot


class DatasetsService:
    """The workspace's datasets."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._store = workspace.store
        self._lane = workspace.lane
        self._search = Search(workspace)

    def list(self) -> builtins.list[DatasetView]:
        """Every dataset, oldest first."""
        return [_view(r) for r in self._lane.do(self._store.datasets.list)]

    def get(self, name: str) -> DatasetView:
        """One dataset; NotFound."""
        return _view(self._lane.do(self._store.datasets.get, name))

    def create(self, name: str, kind: DatasetKind, source: str = "", synthetic: bool = False) -> DatasetView:
        """Make an empty dataset; Conflict when the name is taken."""
        return _view(self._lane.do(self._store.datasets.create, checked_name(name), kind, source, synthetic))

    def append(self, name: str, rows: builtins.list[NewRow]) -> int:
        """Append rows of the dataset's kind in one transaction; returns how many it then has."""
        return self._lane.do(self._store.datasets.append, name, rows)

    def page(self, name: str, offset: int, limit: int, search: str = "") -> builtins.list[RowView]:
        """Some rows as a person reads them; with `search`, some of the rows that contain these words."""
        if not search:
            return self._lane.do(self._page, name, offset, limit, None)
        found = self._search.matches(name, search, offset + limit)[offset : offset + limit]
        return self._lane.do(self._page, name, 0, limit, found) if found else []

    def values(self, name: str, offset: int = 0, limit: int = 1000) -> builtins.list[Any]:
        """Some rows as the domain knows them: texts, prompts, demonstrations or items."""
        return [row_value(r) for r in self._lane.do(self._store.datasets.rows, name, offset, limit)]

    def count(self, name: str, search: str = "") -> int:
        """How many rows there are, or how many contain these words."""
        return len(self._search.matches(name, search, None)) if search else self.get(name).rows

    def preview(self, files: Sequence[Path], format: str = "auto", mapping: Mapping[str, str] | None = None) -> Preview:
        """What an import would do: the first rows as they would arrive, and every row that would be left out, with why."""
        return importing.preview(files, format, mapping or {})

    def import_files(
        self,
        files: Sequence[Path],
        name: str,
        format: str = "auto",
        mapping: Mapping[str, str] | None = None,
        skip_bad: bool = False,
        progress: Callable[[int, int], bool] | None = None,
        synthetic: bool = False,
    ) -> Imported:
        """Import files as a new dataset, all or nothing.

        BadInput names the rows that can't be used, unless `skip_bad` leaves them out. `progress(done, total)` returns False
        to cancel (then Cancelled is raised); total is 0 while the rows are still being counted.
        """
        importer = importing.Importer(self._workspace, progress)
        return importer.run(files, checked_name(name), format, mapping or {}, skip_bad, synthetic)

    def export(self, name: str, format: str, out: Path) -> Exported:
        """Write a dataset with the judgements that count; `notes` say what the format can't hold."""
        return exporting.export(self._workspace, self._complete(name), format, out)

    def formats(self) -> tuple[str, ...]:
        """The formats that can be imported."""
        return tuple(formats.FORMATS)

    def export_formats(self, name: str) -> tuple[str, ...]:
        """The formats that this dataset can be written in."""
        return formats.exports_for(self._lane.do(self._store.datasets.get, name).kind)

    def delete(self, name: str) -> None:
        """Delete a dataset with its rows and judgements; snapshots and runs made from it stay."""
        number = self._lane.do(self._store.datasets.hide, name)
        while self._lane.do(self._store.datasets.drop_some, number):
            pass

    def freeze(self, name: str, kind: SnapshotKind, dimension: str = "") -> Frozen:
        """Write the exact rows that a recipe of this kind is trained on; the same rows give the same snapshot.

        With a dimension, its rankings stand in place of those over all; BadInput names the dimensions when there is none such.
        """
        dataset = self._complete(name)
        if not usable_as(dataset.kind, kind):
            raise BadInput(
                f"{name} holds {dataset.kind}; {kind} are needed.", f"Choose a dataset of {kind}, or import one."
            )
        hint = "Judge some items first." if kind in {"preferences", "rankings"} else "Import or write some rows first."
        if dimension:
            if kind not in {"preferences", "rankings"}:
                raise BadInput(f"{kind} have no dimensions.", "Leave the dimension out.")
            if trouble := self.dimension_trouble(name, dimension):
                raise BadInput(trouble, "Leave it empty for the ranking over all.")
        return self._write(Freezer(self._workspace, dataset, kind, dimension=dimension), dataset, kind, hint)

    def dimension_trouble(self, name: str, dimension: str) -> str:
        """What is wrong with a dimension of a dataset, naming those that there are; empty when there is such a one."""
        versions = self._lane.do(self._store.guidelines.history, name)
        if any(d.name == dimension for version in versions for d in version.dimensions):
            return ""  # without reading every judgement, as what follows does
        there = self._lane.do(self._store.guidelines.dimensions, name)
        known = f"there are: {', '.join(there)}" if there else "it has none"
        return "" if dimension in there else f"{name} has no dimension {dimension!r}; {known}."

    def freeze_items(self, name: str, judged_by: str | None = None) -> Frozen:
        """Write the items of a preferences dataset for a judge, without those that an annotator of this name has judged."""
        dataset = self._complete(name)
        if dataset.kind != "preferences":
            raise BadInput(f"{name} holds {dataset.kind}; items are judged.", "Choose a dataset of preferences.")
        freezer = Freezer(self._workspace, dataset, "items", judged_by)
        return self._write(freezer, dataset, "items", "Let the judge judge again, or add items.")

    def _complete(self, name: str) -> DatasetRecord:
        """A dataset in which no half of a merge stands: what a dead process has left is completed; Conflict while one is under way."""
        self._lane.do(self._store.merging.settle)
        return self._lane.do(self._store.datasets.get, name)

    def _write(self, freezer: Freezer, dataset: DatasetRecord, kind: SnapshotKind, hint: str) -> Frozen:
        file = write_snapshot(self._workspace.snapshots, kind, freezer.batches())
        left_out = tuple(freezer.left_out.most_common())
        if file.rows == 0:
            reasons = ", ".join(f"{count} {reason}" for reason, count in left_out) or "it is empty"
            work = "judge" if kind == "items" else "train on"
            raise BadInput(f"{dataset.name} has no row to {work} ({reasons}).", hint)
        self._lane.do(self._store.snapshots.add, file.sha, dataset.name, kind, file.rows)
        return Frozen(file.sha, file.path, file.rows, left_out, freezer.synthetic)

    def _page(self, name: str, offset: int, limit: int, positions: builtins.list[int] | None) -> builtins.list[RowView]:
        store, labels = self._store.datasets, self._store.labels
        rows = store.rows(name, offset, limit) if positions is None else store.rows_at(name, positions)
        said: dict[str, builtins.list[Judgement]] = {}
        if positions is None and rows and rows[0].item is not None:
            for judgement in labels.current(name, rows[0].position, rows[-1].position + 1):
                said.setdefault(judgement.item, []).append(judgement)
        elif rows and rows[0].item is not None:
            said = {row.item.id: labels.for_item(row.item.id, name) for row in rows if row.item is not None}
        return [_row_view(row, said) for row in rows]


def checked_name(name: str) -> str:
    """A dataset's name without surrounding space; BadInput when nothing is left or it can't be shown."""
    name = name.strip()
    if not name or len(name) > 120 or not name.isprintable():
        raise BadInput("A dataset needs a name of at most 120 characters.", "Give it a short name.")
    return name


def _view(record: DatasetRecord) -> DatasetView:
    return DatasetView(
        record.name, record.kind, record.rows, record.judged, record.created, record.source, record.synthetic
    )


def _row_view(row: RowRecord, said: dict[str, list[Judgement]]) -> RowView:
    facts = [("Line in the source", str(row.line))] if row.line else []
    facts += [(str(key), str(value)) for key, value in (row.raw or {}).items()]
    if row.item is not None:
        return row_view(row.position, (row.item, said.get(row.item.id, [])), tuple(facts))
    return row_view(row.position, row_value(row), tuple(facts))


def row_value(row: RowRecord) -> Any:
    """What a stored row is in the domain: a text, a prompt, a demonstration or an item."""
    if row.item is not None:
        return row.item
    if row.prompt is not None and row.completion is not None:
        return Demonstration(prompt=row.prompt, completion=row.completion)
    return row.prompt if row.prompt is not None else row.text or ""
