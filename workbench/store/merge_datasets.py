"""What a merge goes through: profiles, then one dataset after another with everything that belongs to it, in slices."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, insert, select, update

from workbench.domain.queues import Guidelines
from workbench.domain.rows import DatasetKind
from workbench.store import schema as t
from workbench.store.database import Database
from workbench.store.datasets import READY, DatasetRecord, get_dataset, insert_dataset
from workbench.store.guidelines import append_guidelines, read_guidelines, said
from workbench.store.merge_beside import Beside
from workbench.store.merge_labels import Labels, Names
from workbench.store.merge_queues import Queues
from workbench.store.merge_rows import Placed, Rows


@dataclass
class MergeRecord:
    """What a merge brought: numbers of things that weren't here, duplicates among the judgements, and what a person should know.

    `datasets` names those that were made; `items` counts items to judge, `rows` all other rows; `conflicts` are items that an
    annotator judged in both; `moves` are undos and redos of judgements that both have; `queues` were made, `queued` counts items
    that went into queues which are here already.
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
    queues: int = 0
    queued: int = 0
    drafts: int = 0
    scores: int = 0
    notes: list[str] = field(default_factory=list)


class Merge:
    """One merge, slice by slice: each `yield` lets others have the database."""

    def __init__(self, here: Database, there: Connection, rename: Mapping[str, str], record: MergeRecord) -> None:
        self._database, self._there = here, there
        self._here: Connection
        self._rename = rename
        self._record = record
        self._parts: list[tuple[object, dict[str, str]]] = []  # of the dataset at hand: what counts what

    def brought(self, before: MergeRecord) -> dict[str, Any]:
        """What was brought by now, and `before`."""
        told: dict[str, Any] = {name: getattr(before, name) + getattr(self._record, name) for name in _BROUGHT}
        for part, counts in self._parts:
            for name, count in counts.items():
                told[name] += getattr(part, count)
        return told

    def run(self) -> Iterator[None]:
        """Profiles first, then one dataset after another."""
        with self._database.write() as self._here:
            self._profiles()
        yield
        shown = select(t.datasets.c.name).where(t.datasets.c.state == READY).order_by(t.datasets.c.id)
        for name in self._there.execute(shown).scalars().all():
            yield from self._dataset(get_dataset(self._there, name))

    def _profiles(self) -> None:
        known = set(self._here.execute(select(t.profiles.c.name)).scalars())
        for row in self._there.execute(select(t.profiles).order_by(t.profiles.c.created, t.profiles.c.name)).all():
            name = self._person(row.name)
            if name not in known:
                known.add(name)
                self._here.execute(insert(t.profiles).values(name=name, colour=row.colour, created=row.created))
                self._record.profiles += 1

    def _person(self, name: str) -> str:
        return self._rename.get(name, name)

    def _dataset(self, theirs: DatasetRecord) -> Iterator[None]:
        with self._database.write() as self._here:
            ours = self._counterpart(theirs)
        rows = Rows(self._database, self._there, ours, theirs)
        self._parts.append((rows, {"items" if theirs.kind == "preferences" else "rows": "added"}))
        for _ in rows.bring():
            yield
        if theirs.kind == "preferences":
            yield from self._labels(ours, theirs, rows.placed)
        counted = self.brought(MergeRecord())
        self._parts.clear()
        for name, count in counted.items():
            setattr(self._record, name, count)

    def _labels(self, ours: DatasetRecord, theirs: DatasetRecord, placed: Mapping[int, Placed]) -> Iterator[None]:
        queues = Queues(self._database, self._there, ours, theirs)
        with self._database.write() as self._here:
            names = Names(self._annotators(ours, theirs), self._guidelines(ours, theirs), queues.names)
        labels = Labels(self._database, self._there, ours, theirs, placed, names)
        self._parts.append((labels, {"judgements": "added", "moves": "moves"}))
        for _ in labels.bring():
            yield
        self._parts.append((queues, {"queues": "made", "queued": "grown"}))
        for _ in queues.bring(placed):
            yield
        beside = Beside(self._database, self._there, ours, theirs, placed, self._person)
        self._parts.append((beside, {"golds": "golds", "drafts": "drafts", "scores": "scores"}))
        for _ in beside.bring():
            yield
        self._tell(ours, labels, queues.notes + beside.notes)

    def _tell(self, ours: DatasetRecord, labels: Labels, notes: list[str]) -> None:
        record = self._record
        record.duplicates += labels.duplicates
        record.conflicts += labels.conflicts
        if labels.conflicts:
            record.notes.append(
                f"{ours.name}: {labels.conflicts} items were judged in both by an annotator of the same name; the newest counts."
            )
        record.notes += notes

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
            name = self._person(there)
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
                author = self._person(version.author)
                fresh.append(version.model_copy(update={"version": number, "author": author}))
        self._record.guidelines += len(fresh)
        if fresh and mine:
            if mine[-1].created > max(version.created for version in fresh):
                fresh.append(mine[-1].model_copy(update={"version": len(mine) + len(fresh) + 1}))
            else:
                self._record.notes.append(f"{ours.name}: their guidelines are newer and are shown now.")
        append_guidelines(self._here, ours.id, fresh)
        return versions


_BROUGHT = (
    "datasets", "items", "rows", "judgements", "moves", "guidelines", "golds", "profiles", "queues", "queued", "drafts",
    "scores",
)  # fmt: skip


def record_of(brought: Mapping[str, Any]) -> MergeRecord:
    """What a journal tells, as far as it can be read."""
    known = vars(MergeRecord())
    return MergeRecord(**{name: brought[name] for name in _BROUGHT if isinstance(brought.get(name), type(known[name]))})


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
