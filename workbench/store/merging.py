"""Merging another workspace into this one: rows, judgements with how they stand, guidelines, queues, golds, drafts, scores, profiles.

A merge goes in slices, each a transaction as short as a label's, so that people label meanwhile. It is all or nothing by its
journal (`merge_journal.py`): a merge that was begun is completed, by whoever opens the workspace next if its process dies, and
until then nobody freezes or exports labels. What is here already is recognised by its content, so that a merge that begins again
brings the rest, and a second merge changes nothing. Runs, models and settings are no part of it.
"""

from __future__ import annotations

import logging
import os
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import Connection, insert, select, update

from workbench.domain.errors import Conflict, WorkbenchError
from workbench.domain.queues import Guidelines
from workbench.domain.rows import DatasetKind
from workbench.store import schema as t
from workbench.store.database import Database
from workbench.store.datasets import READY, DatasetRecord, get_dataset, insert_dataset
from workbench.store.guidelines import append_guidelines, read_guidelines, said
from workbench.store.merge_beside import Beside
from workbench.store.merge_journal import Begun, Journal
from workbench.store.merge_labels import Labels, Names
from workbench.store.merge_queues import Queues
from workbench.store.merge_rows import Rows
from workbench.store.other_workspace import other_workspace
from workbench.store.sqlite import DATABASE

PAUSE = 0.005  # seconds between two slices: a label that waits tries at shorter distances, so it comes in between
_LOG = logging.getLogger(__name__)


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


class Merging:
    """Brings other workspaces into this one."""

    def __init__(self, database: Database, workspace: Path) -> None:
        self._database = database
        self._journal = Journal(workspace)
        self._at_work = False

    def merge(self, other: Path, rename: Mapping[str, str], *, dry_run: bool = False) -> MergeRecord:
        """Merge the workspace in a folder, which is read only; with `dry_run`, only tell what that would bring.

        `rename` maps annotators there to names here: "me" is somebody else in every workspace.
        """
        if dry_run:
            return self.trial(other, rename)
        record = MergeRecord()
        for _ in self.merging(other, rename, record):
            time.sleep(PAUSE)
        return record

    def merging(self, other: Path, rename: Mapping[str, str], record: MergeRecord) -> Iterator[None]:
        """Merge slice by slice, after what a dead process has left; fills the record."""
        other = other.expanduser().absolute()
        if begun := self._take_over():
            yield from self._complete(begun, MergeRecord())
            record.notes.append(f"The merge of {begun.other}, which was interrupted, was completed first.")
        self._journal.begin(other, rename)
        begun = self._journal.read()
        assert begun is not None
        yield from self._complete(begun, record)

    def trial(self, other: Path, rename: Mapping[str, str]) -> MergeRecord:
        """What a merge would bring: tried on a copy, or on a server in a transaction that is rolled back."""
        record = MergeRecord()
        with other_workspace(other.expanduser().absolute()) as source, source.read() as there, self._copy() as copy:
            for _ in _Merge(copy, there, rename, record).run():
                pass
        return record

    def settle(self) -> None:
        """Complete what a dead process has left; Conflict while a merge is under way."""
        if begun := self._take_over():
            for _ in self._complete(begun, MergeRecord()):
                time.sleep(PAUSE)
            _LOG.warning("The merge of %s, which was interrupted, was completed.", begun.other)

    def settle_if_possible(self) -> None:
        """The same at the opening of a workspace, which must open in any case; whoever wants to freeze or export tries again."""
        try:
            self.settle()
        except WorkbenchError as error:
            _LOG.warning("A merge isn't complete: %s %s", error.what, error.hint)

    def _take_over(self) -> Begun | None:
        """A merge that nobody works on, signed by this process now; None when there is none. Conflict when it is under way."""
        if self._journal.read() is None:
            return None
        with self._database.write():  # of several processes that find it, one signs
            begun = self._journal.read()
            if begun is None:
                return None
            if self._at_work if begun.process == os.getpid() else begun.at_work:
                raise Conflict(f"{begun.other} is being merged into this workspace.", "Wait until that is complete.")
            self._journal.take_over(begun)
            return begun

    def _complete(self, begun: Begun, record: MergeRecord) -> Iterator[None]:
        self._at_work = True
        try:
            with self._journal.source(begun) as source, source.read() as there:
                yield from _Merge(self._database, there, begun.rename, record).run()
        finally:
            self._at_work = False
        self._journal.end()

    @contextmanager
    def _copy(self) -> Iterator[Database]:
        """Something that can be written and isn't kept."""
        if not self._database.dialect.keeps_copies:
            with self._database.tried() as trial:
                yield trial
            return
        with tempfile.TemporaryDirectory(prefix="workbench-trial-") as place:
            self._database.backup(Path(place) / DATABASE)
            copy = Database(Path(place) / DATABASE)
            try:
                yield copy
            finally:
                copy.close()


class _Merge:
    """One merge, slice by slice: each `yield` lets others have the database."""

    def __init__(self, here: Database, there: Connection, rename: Mapping[str, str], record: MergeRecord) -> None:
        self._database, self._there = here, there
        self._here: Connection
        self._rename = rename
        self._record = record

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
        for _ in rows.bring():
            yield
        if theirs.kind != "preferences":
            self._record.rows += rows.added
            return
        self._record.items += rows.added
        queues = Queues(self._database, self._there, ours, theirs)
        with self._database.write() as self._here:
            names = Names(self._annotators(ours, theirs), self._guidelines(ours, theirs), queues.names)
        labels = Labels(self._database, self._there, ours, theirs, rows.placed, names)
        for _ in labels.bring():
            yield
        for _ in queues.bring(rows.placed):
            yield
        beside = Beside(self._database, self._there, ours, theirs, rows.placed, self._person)
        for _ in beside.bring():
            yield
        self._tell(ours, labels, queues, beside)

    def _tell(self, ours: DatasetRecord, labels: Labels, queues: Queues, beside: Beside) -> None:
        record = self._record
        record.judgements += labels.added
        record.queues += queues.made
        record.queued += queues.grown
        for source, counts in (
            (labels, ("duplicates", "conflicts", "moves")),
            (beside, ("golds", "drafts", "scores")),
        ):
            for count in counts:
                setattr(record, count, getattr(record, count) + getattr(source, count))
        if labels.conflicts:
            record.notes.append(
                f"{ours.name}: {labels.conflicts} items were judged in both by an annotator of the same name; the newest counts."
            )
        record.notes += queues.notes + beside.notes

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
