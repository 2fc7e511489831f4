"""What is known of queues without counting: how many items are full, how far each annotator is, and where to look next.

Every change of what stands (a judgement, an undo, a redo, an import, a merge) runs inside `following`, which compares the rows'
answers before and after and corrects the counts of every queue of the dataset in the same transaction.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, bindparam, insert, select, update

from workbench.domain.queues import QueueSpec
from workbench.store import schema as t
from workbench.store.answers import KEYS_AT_ONCE, Answer, answers_of, row_state

OPEN, CLOSED, FILLING, GOING = "open", "closed", "filling", "going"
_Q, _P = t.queues.c, t.queue_progress.c
_OVER = select(t.queues).where(_Q.dataset_id == bindparam("dataset"), _Q.state != GOING).order_by(_Q.id)
_PLACES = select(t.queue_items.c.row_id, t.queue_items.c.place).where(
    t.queue_items.c.queue_id == bindparam("queue"), t.queue_items.c.row_id.in_(bindparam("rows", expanding=True))
)
_POSITIONS = select(t.rows.c.id, t.rows.c.position).where(t.rows.c.id.in_(bindparam("rows", expanding=True)))
_PROGRESS = select(_P.judged, _P.waiting, _P.frontier).where(
    _P.queue_id == bindparam("queue"), _P.annotator == bindparam("who")
)
_GROW = (
    update(t.queue_progress)
    .where(_P.queue_id == bindparam("queue"), _P.annotator == bindparam("who"))
    .values(judged=_P.judged + bindparam("said"), waiting=_P.waiting + bindparam("waits"))
)
_BEGIN = insert(t.queue_progress)
_FULL = update(t.queues).where(_Q.id == bindparam("queue")).values(full=_Q.full + bindparam("more"))


class QueueRecord(NamedTuple):
    """A queue: `full` items have all the answers that they need, and every item before `frontier` is full."""

    id: int
    name: str
    dataset: int
    spec: QueueSpec
    state: str
    size: int
    full: int
    frontier: int
    created: datetime

    @property
    def follows(self) -> bool:
        """Whether it has no items of its own: it goes through the dataset as it stands, and grows with it."""
        return self.spec.strategy == "in_order"


class Progress(NamedTuple):
    """One annotator in a queue: answers that stand, items answered that still wait for others, and where to look next."""

    judged: int
    waiting: int
    frontier: int


def queue_record(row: Row[Any]) -> QueueRecord:
    """A row of `queues` as a record."""
    spec = QueueSpec.model_validate(row.spec)
    return QueueRecord(row.id, row.name, row.dataset_id, spec, row.state, row.size, row.full, row.frontier, row.created)


def queues_of(connection: Connection, dataset: int) -> list[QueueRecord]:
    """The queues over a dataset, also those that are being filled."""
    return [queue_record(row) for row in connection.execute(_OVER, {"dataset": dataset})]


def progress_of(connection: Connection, queue: int, annotator: str) -> Progress:
    """How far an annotator is in a queue."""
    found = connection.execute(_PROGRESS, {"queue": queue, "who": annotator}).one_or_none()
    return Progress(*found) if found is not None else Progress(0, 0, 0)


def change_progress(connection: Connection, queue: int, annotator: str, values: dict[str, Any]) -> None:
    """Set columns of an annotator's progress (numbers or expressions); the first time, from zeros."""
    mine = (_P.queue_id == queue) & (_P.annotator == annotator)
    change = update(t.queue_progress).where(mine).values(values)
    if connection.execute(change).rowcount == 0:
        zeros = {"queue_id": queue, "annotator": annotator, "judged": 0, "waiting": 0, "frontier": 0}
        connection.execute(insert(t.queue_progress).values(zeros))
        connection.execute(change)


class Watch(NamedTuple):
    """What `following` knows of rows before they change: the dataset's queues, and the answers that stand, by row."""

    queues: list[QueueRecord]
    before: dict[int, list[Answer]]

    def queue(self, name: str | None) -> QueueRecord | None:
        """The queue of this name that is open or closed."""
        return next((q for q in self.queues if q.name == name and q.state in {OPEN, CLOSED}), None)


@contextmanager
def following(connection: Connection, dataset: int, rows: Sequence[int]) -> Iterator[Watch]:
    """Keep the counts and frontiers of a dataset's queues right while what stands for some rows changes."""
    queues = queues_of(connection, dataset)
    if not queues:
        yield Watch([], {})
        return
    before = answers_of(connection, rows)
    yield Watch(queues, before)
    after = answers_of(connection, rows)
    for queue in queues:
        _correct(connection, queue, places_of(connection, queue, rows), before, after)


def places_of(connection: Connection, queue: QueueRecord, rows: Sequence[int]) -> dict[int, int]:
    """The places in a queue of those rows that are in it."""
    found: dict[int, int] = {}
    for start in range(0, len(rows), KEYS_AT_ONCE):
        part = rows[start : start + KEYS_AT_ONCE]
        if queue.follows:
            places = connection.execute(_POSITIONS, {"rows": part})
        else:
            places = connection.execute(_PLACES, {"queue": queue.id, "rows": part})
        filled = queue.size if queue.follows and queue.state == FILLING else None
        found.update((row, place) for row, place in places if filled is None or place < filled)
    return found


def _correct(
    connection: Connection,
    queue: QueueRecord,
    places: Mapping[int, int],
    before: Mapping[int, Sequence[Answer]],
    after: Mapping[int, Sequence[Answer]],
) -> None:
    full, everyone = 0, None
    waiting: Counter[str] = Counter()
    said: Counter[str] = Counter()
    again: dict[str, int] = {}
    for row, place in places.items():
        old, new = row_state(queue.spec, before.get(row, ())), row_state(queue.spec, after.get(row, ()))
        full += (new.missing == 0) - (old.missing == 0)
        waiting.update(new.answered if new.missing else ())
        waiting.subtract(old.answered if old.missing else ())
        if old.missing == 0 < new.missing:
            everyone = place if everyone is None else min(place, everyone)
        for who in old.answered - new.answered:
            again[who] = min(place, again.get(who, place))
    for sign, answers in ((1, after), (-1, before)):
        for answer in (a for told in answers.values() for a in told if a.queue == queue.spec.name):
            said[answer.annotator] += sign
    for who in sorted(w for w in {*waiting, *said} if waiting[w] or said[w]):
        grown = {"queue": queue.id, "who": who, "said": said[who], "waits": waiting[who]}
        if connection.execute(_GROW, grown).rowcount == 0:
            first = {"judged": said[who], "waiting": waiting[who], "frontier": 0}
            connection.execute(_BEGIN, {"queue_id": queue.id, "annotator": who, **first})
    if full:
        connection.execute(_FULL, {"queue": queue.id, "more": full})
    if everyone is not None:
        lower = update(t.queues).where(_Q.id == queue.id, _Q.frontier > everyone).values(frontier=everyone)
        connection.execute(lower)
        reopen(connection, queue.id, everyone)
    for who, place in again.items():
        reopen(connection, queue.id, place, who)


def reopen(connection: Connection, queue: int, place: int, annotator: str | None = None) -> None:
    """Let the search of an annotator (of all) begin no later than a place."""
    past = (_P.queue_id == queue) & (_P.frontier > place)
    if annotator is not None:
        past &= _P.annotator == annotator
    connection.execute(update(t.queue_progress).where(past).values(frontier=place))
