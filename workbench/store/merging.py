"""Merging another workspace into this one: datasets, rows, judgements with how they stand, guidelines, golds and profiles.

It is one transaction, so that nobody ever sees half a merge and an error leaves nothing behind; the price is that other processes
wait with their own writing meanwhile. What is here already is recognised by its content, so that a second merge changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from sqlalchemy import Connection, insert, select, update

from workbench.domain.queues import Guidelines
from workbench.domain.rows import DatasetKind
from workbench.store import schema as t
from workbench.store.database import Database
from workbench.store.datasets import READY, DatasetRecord, get_dataset, insert_dataset
from workbench.store.guidelines import append_guidelines, read_guidelines, said
from workbench.store.merge_labels import Labels, Names
from workbench.store.merge_rows import Placed, Rows
from workbench.store.other_workspace import other_workspace


@dataclass
class MergeRecord:
    """What a merge brought: numbers of things that weren't here, duplicates among the judgements, and what a person should know.

    `datasets` names those that were made; `items` counts items to judge, `rows` all other rows; `conflicts` are items that an
    annotator judged in both; `moves` are undos and redos of judgements that both have.
    """

    datasets: list[str] = field(default_factory=list)
    items: int = 0
    rows: int = 0
    judgements: int = 0
    duplicates: int = 0
    conflicts: int = 0
    moves: int = 0
    guidelines: int = 0
    golds: int = 0
    profiles: int = 0
    notes: list[str] = field(default_factory=list)


class _NothingIsKept(Exception):
    """Rolls a trial back."""


class Merging:
    """Brings other workspaces into this one."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def merge(self, other: Path, rename: Mapping[str, str], *, dry_run: bool = False) -> MergeRecord:
        """Merge the workspace in a folder, which is read only; all or nothing, and with `dry_run` nothing.

        `rename` maps annotators there to names here: "me" is somebody else in every workspace.
        """
        record = MergeRecord()
        try:
            with other_workspace(other) as source, source.read() as there, self._database.write() as here:
                _Merge(here, there, rename, record).run()
                if dry_run:
                    raise _NothingIsKept
        except _NothingIsKept:
            pass
        return record


class _Merge:
    """One merge, within the caller's transactions."""

    def __init__(self, here: Connection, there: Connection, rename: Mapping[str, str], record: MergeRecord) -> None:
        self._here, self._there = here, there
        self._rename = rename
        self._record = record

    def run(self) -> None:
        """Profiles first, then one dataset after another."""
        self._profiles()
        shown = select(t.datasets.c.name).where(t.datasets.c.state == READY).order_by(t.datasets.c.id)
        for name in self._there.execute(shown).scalars().all():
            self._dataset(get_dataset(self._there, name))

    def _profiles(self) -> None:
        known = set(self._here.execute(select(t.profiles.c.name)).scalars())
        for row in self._there.execute(select(t.profiles).order_by(t.profiles.c.created, t.profiles.c.name)).all():
            name = self._rename.get(row.name, row.name)
            if name not in known:
                known.add(name)
                self._here.execute(insert(t.profiles).values(name=name, colour=row.colour, created=row.created))
                self._record.profiles += 1

    def _dataset(self, theirs: DatasetRecord) -> None:
        ours = self._counterpart(theirs)
        rows = Rows(self._here, self._there, ours, theirs)
        rows.bring()
        if theirs.kind != "preferences":
            self._record.rows += rows.added
            return
        self._record.items += rows.added
        names = Names(self._annotators(ours, theirs), self._guidelines(ours, theirs))
        labels = Labels(self._here, self._there, ours, theirs, rows.placed, names)
        labels.bring()
        for count in ("duplicates", "conflicts", "moves"):
            setattr(self._record, count, getattr(self._record, count) + getattr(labels, count))
        self._record.judgements += labels.added
        if labels.conflicts:
            self._record.notes.append(
                f"{ours.name}: {labels.conflicts} items were judged in both by an annotator of the same name; the newest counts."
            )
        self._golds(ours, theirs, rows.placed)

    def _counterpart(self, theirs: DatasetRecord) -> DatasetRecord:
        """The dataset here of this name and kind; made when there is none, under another name when the kind differs."""
        name = theirs.name
        for name in (theirs.name, *(f"{theirs.name}-{theirs.kind}{n}" for n in ("", *range(2, 100)))):
            kind = _kind(self._here, name)
            if kind in {None, theirs.kind}:
                break
        if name != theirs.name:
            self._record.notes.append(f"{theirs.name} holds other data here: their {theirs.kind} are in {name}.")
        if kind is None:
            insert_dataset(self._here, name, theirs.kind, theirs.source, theirs.synthetic)
            self._record.datasets.append(name)
        ours = get_dataset(self._here, name)
        if theirs.synthetic and not ours.synthetic:
            self._here.execute(update(t.datasets).where(t.datasets.c.id == ours.id).values(synthetic=True))
            self._record.notes.append(f"{name} is marked synthetic now, as theirs is.")
        return ours

    def _annotators(self, ours: DatasetRecord, theirs: DatasetRecord) -> dict[tuple[str, str], str]:
        """Names of annotators there as they are here; whoever has the name of a person here, but is none (or the reverse), gets another."""
        here = dict(_signatures(self._here, ours))
        names: dict[tuple[str, str], str] = {}
        for there, kind in _signatures(self._there, theirs):
            name = self._rename.get(there, there)
            if here.setdefault(name, kind) != kind:
                self._record.notes.append(
                    f"{ours.name}: {name} is a {here[name]} here; what the {kind} of this name said is signed {name} ({kind})."
                )
                name = f"{name} ({kind})"
            names[there, kind] = name
        return names

    def _guidelines(self, ours: DatasetRecord, theirs: DatasetRecord) -> dict[int, int]:
        """The version here of each version there; what isn't here is appended, and what was written last stays what is shown."""
        mine = read_guidelines(self._here, ours.id)
        by_content = {said(version): version.version for version in reversed(mine)}
        fresh: list[Guidelines] = []
        versions: dict[int, int] = {}
        for version in read_guidelines(self._there, theirs.id):
            number = by_content.setdefault(said(version), len(mine) + len(fresh) + 1)
            versions[version.version] = number
            if number == len(mine) + len(fresh) + 1:
                author = self._rename.get(version.author, version.author)
                fresh.append(version.model_copy(update={"version": number, "author": author}))
        self._record.guidelines += len(fresh)
        if fresh and mine:
            if mine[-1].created > max(version.created for version in fresh):
                fresh.append(mine[-1].model_copy(update={"version": len(mine) + len(fresh) + 1}))
            else:
                self._record.notes.append(f"{ours.name}: their guidelines are newer and are shown now.")
        append_guidelines(self._here, ours.id, fresh)
        return versions

    def _golds(self, ours: DatasetRecord, theirs: DatasetRecord, placed: Mapping[int, Placed]) -> None:
        g = t.golds.c
        here = select(t.golds).join(t.rows, t.rows.c.id == g.row_id).where(t.rows.c.dataset_id == ours.id)
        known = {row.row_id: row for row in self._here.execute(here)}
        there = select(t.golds).join(t.rows, t.rows.c.id == g.row_id).where(t.rows.c.dataset_id == theirs.id)
        for row in self._there.execute(there.order_by(g.row_id)).all():
            place = placed[row.row_id]
            ranking = [[place.order[i] for i in tier] for tier in row.ranking]
            author = self._rename.get(row.author, row.author)
            values = {"row_id": place.row, "ranking": ranking, "author": author, "created": row.created}
            mine = known.get(place.row)
            if mine is None:
                self._here.execute(insert(t.golds).values(values))
                self._record.golds += 1
            elif _says(ranking) != _says(mine.ranking):
                newer = _age(row.created, ranking) > _age(mine.created, mine.ranking)
                self._record.notes.append(
                    f"{ours.name}: an item has two known answers; {'theirs' if newer else 'ours'} is newer and stays."
                )
                if newer:
                    self._here.execute(update(t.golds).where(g.row_id == place.row).values(values))


def _kind(connection: Connection, name: str) -> DatasetKind | None:
    kind: DatasetKind | None = connection.execute(
        select(t.datasets.c.kind).where(t.datasets.c.name == name)
    ).scalar_one_or_none()
    return kind


def _signatures(connection: Connection, dataset: DatasetRecord) -> list[tuple[str, str]]:
    """(annotator, kind) of everybody who has judged in a dataset."""
    j = t.judgements.c
    found = select(j.annotator, j.annotator_kind).where(j.dataset_id == dataset.id).distinct()
    return [
        (row.annotator, row.annotator_kind) for row in connection.execute(found.order_by(j.annotator, j.annotator_kind))
    ]


def _says(ranking: list[list[int]]) -> list[list[int]]:
    return [sorted(tier) for tier in ranking]


def _age(created: datetime, ranking: list[list[int]]) -> tuple[datetime, list[list[int]]]:
    return created, _says(ranking)
