"""In which order a queue asks its items, for each strategy.

What is random is a function of (the queue's seed, the item's position): the same queue made again has the same order, and
whether an item belongs to the random share doesn't depend on what a model says of it or on how often a queue is ordered again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import NamedTuple

from sqlalchemy import Connection, select

from workbench.domain.queues import Origin, QueueSpec
from workbench.store import schema as t

ROWS_AT_ONCE = 20_000


class Placed(NamedTuple):
    """An item of a queue at its turn: drawn at random or chosen by the strategy, and the number that it was chosen by."""

    row: int
    origin: Origin
    score: float | None = None


def chance(seed: int, position: int, salt: str = "") -> float:
    """A number from 0 to 1 that belongs to a position: uniform, and independent of that of any other position or seed."""
    digest = hashlib.blake2b(f"{seed}/{position}/{salt}".encode(), digest_size=8).digest()
    return int.from_bytes(digest) / 2**64


def order_of(connection: Connection, dataset: int, spec: QueueSpec, old: int | None = None) -> list[Placed]:
    """The items of a dataset in a queue's order."""
    drawn = sorted((chance(spec.seed, position), row) for position, row in _rows(connection, dataset))
    return [Placed(row, "random") for _, row in drawn]


def _rows(connection: Connection, dataset: int) -> Iterator[tuple[int, int]]:
    """(position, row id) of every item, a batch at a time."""
    r, start = t.rows.c, 0
    page = select(r.position, r.id).where(r.dataset_id == dataset).order_by(r.position).limit(ROWS_AT_ONCE)
    while batch := connection.execute(page.where(r.position >= start)).all():
        yield from ((position, row) for position, row in batch)
        start = batch[-1][0] + 1
