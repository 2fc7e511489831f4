"""Merging queues: one that isn't here is made with the same items in the same order; one that is here gets the items that it lacks.

A queue is the same by its name and its dataset, and what ours asks for stays; theirs is called otherwise where its name belongs to
a queue over another dataset here. Leases stay behind: whoever looks at an item there isn't here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import count

from sqlalchemy import Connection, select, update

from workbench.store import schema as t
from workbench.store.database import Database
from workbench.store.datasets import DatasetRecord
from workbench.store.merge_rows import Placed as Row
from workbench.store.queue_counts import CLOSED, OPEN, QueueRecord, places_of, queue_record, queues_of
from workbench.store.queue_making import Making, append_places, fill_queue, insert_queue, show_queue
from workbench.store.queue_orders import Placed

SLICE = 200
LONGEST = 80
_Q, _I = t.queues.c, t.queue_items.c


class Queues:
    """Brings the queues over one dataset; `made` counts those that weren't here, `grown` items that one here lacked."""

    def __init__(self, here: Database, there: Connection, ours: DatasetRecord, theirs: DatasetRecord) -> None:
        self._database, self._there, self._ours = here, there, ours
        self._theirs = [queue for queue in queues_of(there, theirs.id) if queue.state in {OPEN, CLOSED}]
        with here.read() as connection:
            self.names = {queue.name: self._name(connection, queue.name) for queue in self._theirs}
        self.made = self.grown = 0
        self.notes: list[str] = []

    def bring(self, placed: Mapping[int, Row]) -> Iterator[int]:
        """Make or complete them, slice by slice; yields how many items were looked at. Labels must be here already."""
        for theirs in self._theirs:
            name = self.names[theirs.name]
            if name != theirs.name:
                self.notes.append(f"{theirs.name} is a queue over other data here: theirs is called {name}.")
            ours = self._ours_of(name)
            if ours is None:
                yield from self._make(theirs, name, placed)
                continue
            asked = theirs.spec.model_copy(update={"name": name, "dataset": self._ours.name})
            if asked != ours.spec:
                self.notes.append(f"{self._ours.name}: the queue {name} asks otherwise there; it stays as it is here.")
            if not ours.follows and not theirs.follows:
                yield from self._complete(theirs, ours, placed)

    def _name(self, connection: Connection, theirs: str) -> str:
        """Their name, or the first like it that no queue over another dataset has."""
        for number in count():
            behind = f" ({self._ours.name}{f' {number}' if number > 1 else ''})" if number else ""
            name = f"{theirs[: max(1, LONGEST - len(behind))]}{behind}"[:LONGEST]
            owner = connection.execute(select(_Q.dataset_id).where(_Q.name == name)).scalar_one_or_none()
            if owner in {None, self._ours.id}:
                break
        return name

    def _ours_of(self, name: str) -> QueueRecord | None:
        with self._database.read() as connection:
            row = connection.execute(select(t.queues).where(_Q.name == name)).one_or_none()
        return None if row is None else queue_record(row)

    def _make(self, theirs: QueueRecord, name: str, placed: Mapping[int, Row]) -> Iterator[int]:
        spec = theirs.spec.model_copy(update={"name": name, "dataset": self._ours.name})
        with self._database.write() as connection:
            making = Making(insert_queue(connection, self._ours.id, spec), self._ours.id, spec)
        if theirs.follows:
            yield from fill_queue(self._database, making)
        for part in self._items(theirs, placed):
            with self._database.write() as connection:
                append_places(connection, making.id, part)
            yield len(part)
        show_queue(self._database, making)
        if theirs.state == CLOSED:
            with self._database.write() as connection:
                connection.execute(update(t.queues).where(_Q.id == making.id).values(state=CLOSED))
        self.made += 1

    def _complete(self, theirs: QueueRecord, ours: QueueRecord, placed: Mapping[int, Row]) -> Iterator[int]:
        for part in self._items(theirs, placed):
            with self._database.write() as connection:
                there = places_of(connection, ours, [item.row for item in part])
                fresh = [item for item in part if item.row not in there]
                append_places(connection, ours.id, fresh)
            self.grown += len(fresh)
            yield len(part)

    def _items(self, theirs: QueueRecord, placed: Mapping[int, Row]) -> Iterator[Sequence[Placed]]:
        """The items of a queue of theirs, in its order, by their rows here."""
        wanted = select(_I.place, _I.row_id, _I.origin, _I.score).where(_I.queue_id == theirs.id).order_by(_I.place)
        last = -1
        while found := self._there.execute(wanted.where(_I.place > last).limit(SLICE)).all():
            last = found[-1].place
            yield [Placed(placed[r.row_id].row, r.origin, r.score) for r in found if r.row_id in placed]
