"""How a queue comes to be: its items are put in order, then filled in slices, each a short transaction, and shown at last.

Until then it is hidden, but every judgement is counted in it from the first slice on. Ordering a queue again makes a hidden
one beside it, which then takes its place; a process that dies over it leaves something hidden, which is swept later.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import Connection, delete, func, insert, select, update

from workbench.domain.errors import Conflict
from workbench.domain.queues import QueueSpec
from workbench.store import schema as t
from workbench.store.answers import DONE, answers_of, row_state
from workbench.store.asking import places_from
from workbench.store.database import Database
from workbench.store.datasets import READY
from workbench.store.labels import preferences
from workbench.store.queue_counts import (
    CLOSED,
    FILLING,
    GOING,
    OPEN,
    QueueRecord,
    change_progress,
    queue_record,
)
from workbench.store.queue_orders import Placed, order_of
from workbench.store.queue_scores import refuse_unscored

HIDDEN = "\x01"  # no name that a person gives begins so
SLICE = 2_000
STALE = timedelta(hours=1)
_Q = t.queues.c


class Making(NamedTuple):
    """A queue that is being made: `old` is the one whose place it takes."""

    id: int
    dataset: int
    spec: QueueSpec
    old: QueueRecord | None = None


def begin_queue(database: Database, spec: QueueSpec, old: QueueRecord | None = None) -> Making:
    """Make a hidden, empty queue; Conflict when its name is taken, BadInput when nothing was scored that is to order it."""
    with database.write() as connection:
        dataset = preferences(connection, spec.dataset)
        refuse_unscored(connection, dataset.id, spec)
        if old is None:
            _refuse_taken(connection, spec.name)
        number = insert_queue(connection, dataset.id, spec)
    return Making(number, dataset.id, spec, old)


def insert_queue(connection: Connection, dataset: int, spec: QueueSpec) -> int:
    """Insert a hidden, empty queue; its number."""
    values = {
        "name": f"{HIDDEN}{uuid.uuid4().hex}", "dataset_id": dataset, "spec": spec.model_dump(mode="json"),
        "state": FILLING, "size": 0, "full": 0, "frontier": 0, "created": datetime.now(UTC),
    }  # fmt: skip
    return int(connection.execute(insert(t.queues).values(values).returning(_Q.id)).scalar_one())


def fill_queue(database: Database, making: Making) -> Iterator[int]:
    """Put the items in, slice by slice; yields how many are in."""
    filled = 0
    if making.spec.strategy == "in_order":
        while (more := _count_slice(database, making, filled)) > filled:
            filled = more
            yield filled
        return
    with database.read() as connection:
        order = order_of(connection, making.dataset, making.spec, making.old)
    for start in range(0, len(order), SLICE):
        with database.write() as connection:
            filled = append_places(connection, making.id, order[start : start + SLICE])
        yield filled


def show_queue(database: Database, making: Making) -> None:
    """Give the filled queue its name; the one whose place it takes is hidden."""
    with database.write() as connection:
        shown = {"name": making.spec.name, "state": OPEN}
        if making.old is None:
            _refuse_taken(connection, making.spec.name)
        else:
            shown |= _take_place(connection, making, making.old.id)
        queue = _record(connection, making.id)
        while queue.follows and (rest := places_from(connection, queue, queue.size, SLICE)):
            _settle(connection, queue, [p.row for p in rest])  # what was appended meanwhile
            queue = _record(connection, making.id)
        _count_answers(connection, making)
        connection.execute(update(t.queues).where(_Q.id == making.id).values(shown))


def hide_queue(connection: Connection, queue: int) -> None:
    """Take a queue out of sight for good; `sweep_queues` takes its items away."""
    gone = {"name": f"{HIDDEN}{uuid.uuid4().hex}", "state": GOING}
    connection.execute(update(t.queues).where(_Q.id == queue).values(gone))


def sweep_queues(database: Database) -> Iterator[int]:
    """Drop, slice by slice, what deletions and processes that died left behind."""
    with database.read() as connection:
        stale = (_Q.state == FILLING) & (_Q.created < datetime.now(UTC) - STALE)
        dead = list(connection.execute(select(_Q.id).where((_Q.state == GOING) | stale)).scalars())
    i = t.queue_items.c
    for queue in dead:
        while True:
            with database.write() as connection:
                last = select(i.place).where(i.queue_id == queue).order_by(i.place).limit(SLICE)
                places = list(connection.execute(last).scalars())
                if not places:
                    connection.execute(delete(t.queues).where(_Q.id == queue))
                    break
                connection.execute(delete(t.queue_items).where(i.queue_id == queue, i.place <= places[-1]))
            yield queue


def _refuse_taken(connection: Connection, name: str) -> None:
    joined = select(_Q.id, t.datasets.c.state).join(t.datasets, _Q.dataset_id == t.datasets.c.id)
    taken = connection.execute(joined.where(_Q.name == name)).one_or_none()
    if taken is not None and taken.state != READY:  # its dataset is being deleted
        hide_queue(connection, taken.id)
    elif taken is not None:
        raise Conflict(f"There is already a queue called {name!r}.", "Choose another name, or delete it first.")


def _record(connection: Connection, number: int) -> QueueRecord:
    return queue_record(connection.execute(select(t.queues).where(_Q.id == number)).one())


def _count_slice(database: Database, making: Making, start: int) -> int:
    """Count the answers of some of a dataset's items into a queue that follows it; returns the position after them."""
    with database.write() as connection:
        queue = _record(connection, making.id)
        places = places_from(connection, queue, start, SLICE)
        return _settle(connection, queue, [p.row for p in places])


def append_places(connection: Connection, number: int, order: Sequence[Placed]) -> int:
    """Put items at the end of a queue that has items of its own, and count what was said of them; returns its new size."""
    queue = _record(connection, number)
    items = [
        {"queue_id": number, "place": place, "row_id": p.row, "origin": p.origin, "score": p.score}
        for place, p in enumerate(order, queue.size)
    ]
    if items:
        connection.execute(insert(t.queue_items), items)
    return _settle(connection, queue, [p.row for p in order])


def _settle(connection: Connection, queue: QueueRecord, rows: Sequence[int]) -> int:
    """Count what was said of rows that have just been put at a queue's end; returns the queue's new size."""
    answers = answers_of(connection, rows)
    full, frontier = 0, queue.frontier
    waiting: dict[str, int] = {}
    for place, row in enumerate(rows, queue.size):
        state = row_state(queue.spec, answers.get(row, ()))
        full += state.missing == 0
        frontier += frontier == place and state.missing == 0
        for who in state.answered if state.missing else ():
            waiting[who] = waiting.get(who, 0) + 1
    for who, count in sorted(waiting.items()):
        change_progress(connection, queue.id, who, {"waiting": t.queue_progress.c.waiting + count})
    size = queue.size + len(rows)
    grown = {"size": size, "full": queue.full + full, "frontier": frontier}
    connection.execute(update(t.queues).where(_Q.id == queue.id).values(grown))
    return size


def _count_answers(connection: Connection, making: Making) -> None:
    """How many answers each annotator has given in a queue of this name."""
    j, s = t.judgements.c, t.standings.c
    given = select(j.annotator, func.count()).join(t.standings, s.judgement_id == j.id)
    here = (j.queue == making.spec.name) & (j.dataset_id == making.dataset) & (s.state == DONE)
    for who, count in connection.execute(given.where(here).group_by(j.annotator)).all():
        change_progress(connection, making.id, who, {"judged": count})


def _take_place(connection: Connection, making: Making, old: int) -> dict[str, Any]:
    """Hide the queue whose place is taken; returns what the other inherits. Leases go over, for the items that it has."""
    found = connection.execute(select(_Q.state, _Q.created).where(_Q.id == old)).one_or_none()
    if found is None or found.state not in {OPEN, CLOSED}:
        raise Conflict(f"Somebody else has ordered or deleted the queue {making.spec.name!r} meanwhile.", "Look again.")
    lease, i = t.item_leases.c, t.queue_items.c
    there = select(i.row_id).where(i.queue_id == making.id)
    mine = (lease.queue_id == old) & lease.row_id.in_(there)
    connection.execute(update(t.item_leases).where(mine).values(queue_id=making.id))
    hide_queue(connection, old)
    return {"state": found.state, "created": found.created}
