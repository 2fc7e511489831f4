"""Merging another workspace into this one: rows, judgements with how they stand, guidelines, queues, golds, drafts, scores, profiles.

A merge goes in slices, each a transaction as short as a label's, so that people label meanwhile. It is all or nothing by its
journal (`merge_journal.py`): a merge that was begun is completed, by whoever opens the workspace next if its process dies, and
until then nobody freezes or exports labels. One that can't be completed is given up. What is here already is recognised by its
content, so that a merge that begins again brings the rest, and a second merge changes nothing. Runs, models and settings are no
part of it.
"""

from __future__ import annotations

import logging
import os
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from workbench.domain.errors import Conflict, StorageFailed, WorkbenchError
from workbench.store.database import Database
from workbench.store.merge_datasets import Merge, MergeRecord, record_of
from workbench.store.merge_journal import TRY_AGAIN, Begun, Journal
from workbench.store.other_workspace import other_workspace
from workbench.store.sqlite import DATABASE

PAUSE = 0.005  # seconds between two slices: a label that waits tries at shorter distances, so it comes in between
_LOG = logging.getLogger(__name__)


class Abandoned(NamedTuple):
    """A merge that was given up: from which folder (None when its journal can't tell), and what it had brought, which stays."""

    other: Path | None
    brought: MergeRecord


class Merging:
    """Brings other workspaces into this one."""

    def __init__(self, database: Database, workspace: Path) -> None:
        self._database = database
        self._journal = Journal(workspace)
        self._at_work = False
        self.trouble: WorkbenchError | None = None  # why a merge couldn't be completed when this was opened

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
            yield from self._complete_old(begun)
            record.notes.append(f"The merge of {begun.other}, which was interrupted, was completed first.")
        self._journal.begin(other, rename)
        begun = self._journal.read()
        assert begun is not None
        yield from self._complete(begun, record)

    def trial(self, other: Path, rename: Mapping[str, str]) -> MergeRecord:
        """What a merge would bring: tried on a copy, or on a server in a transaction that is rolled back."""
        record = MergeRecord()
        with other_workspace(other.expanduser().absolute()) as source, source.read() as there, self._copy() as copy:
            for _ in Merge(copy, there, rename, record).run():
                pass
        return record

    def settle(self) -> None:
        """Complete what a dead process has left; Conflict while a merge is under way, StorageFailed when it can't be completed."""
        if begun := self._take_over():
            for _ in self._complete_old(begun):
                time.sleep(PAUSE)
            _LOG.warning("The merge of %s, which was interrupted, was completed.", begun.other)
        self.trouble = None

    def settle_if_possible(self) -> None:
        """The same at the opening of a workspace, which must open in any case; whoever wants to freeze or export tries again."""
        try:
            self.settle()
        except WorkbenchError as error:
            _LOG.warning("A merge isn't complete: %s %s", error.what, error.hint)
            self.trouble = None if isinstance(error, Conflict) else error

    def abandon(self) -> Abandoned | None:
        """Give up a merge that isn't complete; None when there is none, Conflict while it is under way.

        What its slices have brought stays, and is whole: rows, labels, undos, queues and counts agree after each of them. Merging
        the same workspace later brings the rest.
        """
        with self._database.write():
            try:
                begun = self._unsigned()
                if begun is None:
                    return None
            except StorageFailed:  # a damaged journal says neither who nor what
                begun = None
            brought = record_of(self._journal.brought())
            self._journal.end()
        self.trouble = None
        return Abandoned(None if begun is None else begun.other, brought)

    def _take_over(self) -> Begun | None:
        """A merge that nobody works on, signed by this process now; None when there is none. Conflict when it is under way."""
        if self._journal.read() is None:
            return None
        with self._database.write():  # of several processes that find it, one signs
            if begun := self._unsigned():
                self._journal.take_over(begun)
            return begun

    def _unsigned(self) -> Begun | None:
        """A merge that nobody works on; Conflict when somebody does."""
        begun = self._journal.read()
        if begun is not None and (self._at_work if begun.process == os.getpid() else begun.at_work):
            raise Conflict(f"{begun.other} is being merged into this workspace.", "Wait until that is complete.")
        return begun

    def _complete_old(self, begun: Begun) -> Iterator[None]:
        """Complete what another process began; whatever stops it, the person learns how to go on without."""
        try:
            yield from self._complete(begun, MergeRecord())
        except Exception as error:
            why = error.what if isinstance(error, WorkbenchError) else f"{type(error).__name__}: {error}"
            details = error.details if isinstance(error, WorkbenchError) else repr(error)
            raise StorageFailed(f"The merge of {begun.other} can't be completed: {why}", TRY_AGAIN, details) from error

    def _complete(self, begun: Begun, record: MergeRecord) -> Iterator[None]:
        self._at_work = True
        before = record_of(self._journal.brought())
        try:
            with self._journal.source(begun) as source, source.read() as there:
                merge = Merge(self._database, there, begun.rename, record)
                for _ in merge.run():
                    self._journal.tell(merge.brought(before))
                    yield
        except BaseException:
            self._journal.let_go(begun)
            raise
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
