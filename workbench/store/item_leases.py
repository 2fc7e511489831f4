"""Leases of items: what an annotator looks at is kept from others until it is answered, left, or the lease runs out.

A lease is taken in the transaction that chooses the item, and an annotator has one in each queue.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime

from sqlalchemy import Connection, bindparam, delete, func, insert, select, update

from workbench.store import schema as t
from workbench.store.answers import answers_of, row_state
from workbench.store.queue_counts import QueueRecord

_L = t.item_leases.c
_MINE = (_L.queue_id == bindparam("queue")) & (_L.annotator == bindparam("who"))
_HOLD = update(t.item_leases).where(_MINE).values(row_id=bindparam("row"), expires=bindparam("until"))
_TAKE, _GIVE_BACK = insert(t.item_leases), delete(t.item_leases).where(_MINE)
_LOOKERS = (
    select(_L.row_id, func.count(_L.annotator.distinct()))
    .where(
        _L.row_id.in_(bindparam("rows", expanding=True)), _L.annotator != bindparam("me"), _L.expires > bindparam("now")
    )
    .group_by(_L.row_id)
)
_LOOKERS_HERE = _LOOKERS.where(_L.queue_id == bindparam("queue"))


def take_lease(connection: Connection, queue: QueueRecord, row: int, annotator: str, until: datetime) -> None:
    """Keep a row for an annotator until then; what they held before in this queue is given back."""
    held = {"queue": queue.id, "who": annotator, "row": row, "until": until}
    if connection.execute(_HOLD, held).rowcount == 0:
        lease = {"queue_id": queue.id, "row_id": row, "annotator": annotator, "expires": until}
        connection.execute(_TAKE, lease)


def renew_lease(connection: Connection, queue: QueueRecord, row: int, annotator: str, until: datetime) -> bool:
    """Prolong a lease; False when it is gone, or when its time was over and others have or look at all that the item needs."""
    mine = (_L.queue_id == queue.id) & (_L.row_id == row) & (_L.annotator == annotator)
    expires = connection.execute(select(_L.expires).where(mine)).scalar_one_or_none()
    now = datetime.now(UTC)
    if expires is None:
        return False
    if expires <= now and not free_for(connection, queue, row, annotator, now):
        return False
    connection.execute(update(t.item_leases).where(mine).values(expires=until))
    return True


def free_for(connection: Connection, queue: QueueRecord, row: int, annotator: str, now: datetime) -> bool:
    """Whether others leave a row to an annotator, or their label is among those that it has."""
    state = row_state(queue.spec, answers_of(connection, [row]).get(row, ()))
    return annotator in state.labelled or state.missing > leased(connection, queue, [row], annotator, now)[row]


def give_back(connection: Connection, queue: int, annotator: str) -> None:
    """Let others have what an annotator looks at in a queue."""
    connection.execute(_GIVE_BACK, {"queue": queue, "who": annotator})


def leased(connection: Connection, queue: QueueRecord, rows: Sequence[int], me: str, now: datetime) -> Counter[int]:
    """How many others look at rows now, in any queue; in a queue that asks again, only what is looked at there counts."""
    wanted = {"rows": rows, "me": me, "now": now, "queue": queue.id}
    found = connection.execute(_LOOKERS_HERE if queue.spec.strategy == "mistakes" else _LOOKERS, wanted)
    return Counter(dict(found.all()))
