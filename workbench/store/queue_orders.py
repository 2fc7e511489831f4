"""In which order a queue asks its items, for each strategy.

What is random is a function of (the queue's seed, the item's position): the same queue made again has the same order, and
whether an item belongs to the random share doesn't depend on what a model says of it or on how often a queue is ordered again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import NamedTuple

from sqlalchemy import Connection, func, select

from workbench.domain.queues import Origin, QueueSpec
from workbench.store import schema as t
from workbench.store.answers import KEYS_AT_ONCE, RowState, answers_of, row_state
from workbench.store.queue_counts import QueueRecord
from workbench.store.queue_scores import disputed_rows, mistaken_rows, unsure_rows

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


def order_of(connection: Connection, dataset: int, spec: QueueSpec, old: QueueRecord | None = None) -> list[Placed]:
    """The items of a dataset in a queue's order; what was answered in the queue that is ordered again stays where it was."""
    kept = [] if old is None else _answered(connection, old)
    there = {placed.row for placed in kept}
    positions = {row: position for position, row in _rows(connection, dataset)}
    orders = {"random": _random, "active": _active, "newest_policy": _newest_policy}
    chosen = {"disagreement": disputed_rows, "mistakes": mistaken_rows}
    if spec.strategy in chosen:
        scores = chosen[spec.strategy](connection, dataset, spec)
        found = sorted(scores, key=lambda row: (-scores[row], positions[row]))
        fresh = [Placed(row, "plain", scores[row]) for row in found]
    else:
        fresh = orders[spec.strategy](connection, dataset, spec, positions)
    return kept + [placed for placed in fresh if placed.row not in there]


def _random(_connection: Connection, _dataset: int, spec: QueueSpec, positions: dict[int, int]) -> list[Placed]:
    drawn = sorted((chance(spec.seed, position), row) for row, position in positions.items())
    return [Placed(row, "random") for _, row in drawn]


def _active(connection: Connection, dataset: int, spec: QueueSpec, positions: dict[int, int]) -> list[Placed]:
    """Those that the reward model is least sure of, mixed with a sample of all items that no score has a say in."""
    unsure = unsure_rows(connection, dataset, spec)
    sample = [row for row, at in positions.items() if chance(spec.seed, at, "sample") < spec.random_share]
    among = set(sample)
    drawn = iter(sorted(sample, key=lambda row: chance(spec.seed, positions[row])))
    others = [row for row in positions if row not in among]
    others.sort(key=lambda row: (-unsure.get(row, -1.0), chance(spec.seed, positions[row])))
    least_sure = iter(others)
    order: list[Placed] = []
    for place in range(len(positions)):
        at_random = chance(spec.seed, place, "turn") < spec.random_share
        row = next(drawn if at_random else least_sure, None)
        if row is None:
            at_random = not at_random
            row = next(drawn if at_random else least_sure)
        order.append(Placed(row, "random" if at_random else "plain", unsure.get(row)))
    return order


def _newest_policy(connection: Connection, dataset: int, _spec: QueueSpec, positions: dict[int, int]) -> list[Placed]:
    """Items with a candidate by the model that came last into the workspace first, then as they stand."""
    c, m = t.candidates.c, t.models.c
    joined = t.candidates.join(t.rows, t.rows.c.id == c.row_id).join(t.models, m.name == c.model)
    newest = select(c.row_id, func.max(m.id)).select_from(joined).where(t.rows.c.dataset_id == dataset)
    came = {row: int(number) for row, number in connection.execute(newest.group_by(c.row_id))}
    order = sorted(positions, key=lambda row: (-came.get(row, 0), positions[row]))
    return [Placed(row, "plain") for row in order]


def _answered(connection: Connection, queue: QueueRecord) -> list[Placed]:
    """The items of a queue that somebody has answered, in its order."""
    i = t.queue_items.c
    kept: list[Placed] = []
    found = connection.execute(
        select(i.row_id, i.origin, i.score).where(i.queue_id == queue.id).order_by(i.place)
    ).all()
    for start in range(0, len(found), KEYS_AT_ONCE):
        part = found[start : start + KEYS_AT_ONCE]
        answers = answers_of(connection, [row.row_id for row in part])
        states = {row: row_state(queue.spec, said) for row, said in answers.items()}
        kept += [Placed(*row) for row in part if row.row_id in states and _has_answer(queue.spec, states[row.row_id])]
    return kept


def _has_answer(spec: QueueSpec, state: RowState) -> bool:
    """Whether an item stays: in a queue of disagreements everything has labels, and what is settled stays."""
    return state.missing == 0 if spec.strategy == "disagreement" else bool(state.answered)


def _rows(connection: Connection, dataset: int) -> Iterator[tuple[int, int]]:
    """(position, row id) of every item, a batch at a time."""
    r, start = t.rows.c, 0
    page = select(r.position, r.id).where(r.dataset_id == dataset).order_by(r.position).limit(ROWS_AT_ONCE)
    while batch := connection.execute(page.where(r.position >= start)).all():
        yield from ((position, row) for position, row in batch)
        start = batch[-1][0] + 1
