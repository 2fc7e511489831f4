"""Leases of items: what an annotator looks at is kept from others until it is answered, left, or the lease runs out.

A lease is taken in the transaction that chooses the item, and an annotator has one in each queue.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime

from sqlalchemy import Connection, delete, func, insert, select, update

from workbench.store import schema as t
from workbench.store.answers import answers_of, row_state
from workbench.store.queue_counts import QueueRecord

_L = t.item_leases.c


def take_lease(connection: Connection, queue: QueueRecord, row: int, annotator: str, until: datetime) -> None:
    """Keep a row for an annotator until then; what they held before in this queue is given back."""
    mine = (_L.queue_id == queue.id) & (_L.annotator == annotator)
    held = {"row_id": row, "expires": until}
    if connection.execute(update(t.item_leases).where(mine).values(held)).rowcount == 0:
        connection.execute(insert(t.item_leases).values(queue_id=queue.id, annotator=annotator, **held))


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
    connection.execute(delete(t.item_leases).where(_L.queue_id == queue, _L.annotator == annotator))


def leased(connection: Connection, queue: QueueRecord, rows: Sequence[int], me: str, now: datetime) -> Counter[int]:
    """How many others look at rows now, in any queue; in a queue that asks again, only what is looked at there counts."""
    live = _L.row_id.in_(rows) & (_L.annotator != me) & (_L.expires > now)
    if queue.spec.strategy == "mistakes":
        live &= _L.queue_id == queue.id
    others = select(_L.row_id, func.count(_L.annotator.distinct()).label("lookers")).where(live).group_by(_L.row_id)
    return Counter({found.row_id: found.lookers for found in connection.execute(others)})
