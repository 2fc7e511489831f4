"""Which item an annotator gets next in a queue.

A draw from (the queue's seed, the annotator, how many answers they have given there) decides whether it is an item with a known
answer, one shown again, or the next one in the queue's order. The search starts at a remembered frontier: everything before
it is answered by this annotator, or full.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import ColumnElement, Connection, bindparam, select, update

from workbench.domain.judgement import Judgement, Purpose
from workbench.store import schema as t
from workbench.store.answers import DONE, answers_of, row_state
from workbench.store.item_leases import leased
from workbench.store.labels import PlacedItem, judgement_of, placed_item
from workbench.store.queue_counts import Progress, QueueRecord, change_progress

REPEAT_AFTER = 10  # an item is shown again only after as many other answers
REPEAT_LOOK = 50
FIRST_LOOK, WIDEST_LOOK = 16, 1024
PUSH_EVERY = 16
_S, _J = t.standings.c, t.judgements.c
_LENGTH = select(t.datasets.c.rows).where(t.datasets.c.id == bindparam("dataset"))
_PLACES = (
    select(t.queue_items.c.place, t.queue_items.c.row_id)
    .where(t.queue_items.c.queue_id == bindparam("queue"), t.queue_items.c.place >= bindparam("start"))
    .order_by(t.queue_items.c.place)
    .limit(bindparam("limit"))
)
_POSITIONS = (
    select(t.rows.c.position, t.rows.c.id)
    .where(t.rows.c.dataset_id == bindparam("dataset"), t.rows.c.position >= bindparam("start"))
    .order_by(t.rows.c.position)
    .limit(bindparam("limit"))
)
_GOLDS = select(t.golds.c.row_id).where(t.golds.c.row_id.in_(bindparam("rows", expanding=True)))
_LABEL = (
    select(_S.judgement_id)
    .where(_S.row_id == bindparam("row"), _S.annotator == bindparam("who"), _S.state == DONE, _S.counts)
    .order_by(_S.judgement_id.desc())
    .limit(1)
)


class Asked(NamedTuple):
    """An item for an annotator: why it is asked, and what they said of it before, where it is asked again or taken back."""

    row: int
    placed: PlacedItem
    purpose: Purpose
    again: Judgement | None = None
    taken_back: bool = False


def left_for(queue: QueueRecord, size: int, mine: Progress) -> int:
    """How many items of a queue can still come to an annotator."""
    return max(0, size - queue.full - mine.waiting)


def queue_size(connection: Connection, queue: QueueRecord) -> int:
    """How many items a queue has."""
    if not queue.follows:
        return queue.size
    return int(connection.execute(_LENGTH, {"dataset": queue.dataset}).scalar_one())


def choose(connection: Connection, queue: QueueRecord, annotator: str, mine: Progress, now: datetime) -> Asked | None:
    """What this annotator is asked next, in a queue that has something left for them; None when others look at all of it."""
    draw = random.Random(f"{queue.spec.seed}/{annotator}/{mine.judged}")
    kind = draw.random()
    row: int | None = None
    if kind < queue.spec.golds:
        row = _gold(connection, queue, annotator, draw)
    elif kind < queue.spec.golds + queue.spec.repeats:
        again = _repeat(connection, queue, annotator, draw)
        if again is not None:
            first = judgement_of(connection, again.judgement)
            return Asked(again.row, placed_item(connection, again.row), "repeat", first)
    if row is None:
        row = _walk(connection, queue, annotator, mine, now)
    if row is None and queue.spec.golds:
        row = _gold(connection, queue, annotator, draw)
    return None if row is None else ask(connection, queue, row, annotator)


def ask(connection: Connection, queue: QueueRecord, row: int, annotator: str) -> Asked:
    """One row of a queue as this annotator is asked it."""
    if queue.spec.strategy == "disagreement":
        return Asked(row, placed_item(connection, row), "adjudication")
    before = newest_of(connection, row, annotator) if queue.spec.strategy == "mistakes" else None
    return Asked(row, placed_item(connection, row), "label", before)


def newest_of(connection: Connection, row: int, annotator: str) -> Judgement | None:
    """An annotator's label of a row, None when there is none."""
    number = _newest_label(connection, row, annotator)
    return None if number is None else judgement_of(connection, number)


def _newest_label(connection: Connection, row: int, annotator: str) -> int | None:
    return connection.execute(_LABEL, {"row": row, "who": annotator}).scalar_one_or_none()


class _Place(NamedTuple):
    place: int
    row: int


def places_from(connection: Connection, queue: QueueRecord, start: int, limit: int) -> list[_Place]:
    """Some places of a queue, in its order."""
    if queue.follows:
        found = connection.execute(_POSITIONS, {"dataset": queue.dataset, "start": start, "limit": limit})
    else:
        found = connection.execute(_PLACES, {"queue": queue.id, "start": start, "limit": limit})
    return [_Place(place, row) for place, row in found]


def _walk(connection: Connection, queue: QueueRecord, annotator: str, mine: Progress, now: datetime) -> int | None:
    """The first row in the queue's order that is open to an annotator; what is closed to them for good moves the frontier."""
    begin = max(mine.frontier, queue.frontier)
    frontier, at, look, found = begin, begin, FIRST_LOOK, None
    while found is None and (places := places_from(connection, queue, at, look)):
        rows = [p.row for p in places]
        answers, others = answers_of(connection, rows), leased(connection, queue, rows, annotator, now)
        kept_back = _golds_among(connection, rows) if queue.spec.golds else frozenset()
        for place, row in places:
            state = row_state(queue.spec, answers.get(row, ()))
            if state.missing == 0 or annotator in state.answered or row in kept_back:
                frontier += frontier == place
            elif state.missing > others[row]:
                found = row
                break
        at, look = places[-1].place + 1, min(4 * look, WIDEST_LOOK)
    if frontier != mine.frontier and (found is None or frontier - mine.frontier >= FIRST_LOOK):
        change_progress(connection, queue.id, annotator, {"frontier": frontier})
    if mine.judged % PUSH_EVERY == 0 and queue.full - queue.frontier > 2 * PUSH_EVERY:
        _push(connection, queue)
    return found


def _push(connection: Connection, queue: QueueRecord) -> None:
    """Move the frontier of all over the full items that follow it, so that a new annotator doesn't walk over them."""
    places = places_from(connection, queue, queue.frontier, WIDEST_LOOK)
    answers = answers_of(connection, [p.row for p in places])
    frontier = queue.frontier
    for place, row in places:
        if row_state(queue.spec, answers.get(row, ())).missing:
            break
        frontier = place + 1
    here = t.queues.c.id == queue.id
    connection.execute(update(t.queues).where(here).values(frontier=frontier))


def _golds_among(connection: Connection, rows: Sequence[int]) -> frozenset[int]:
    return frozenset(connection.execute(_GOLDS, {"rows": rows}).scalars())


def _gold(connection: Connection, queue: QueueRecord, annotator: str, draw: random.Random) -> int | None:
    """An item with a known answer that this annotator hasn't judged, whoever else has."""
    g = t.golds.c
    mine = (_S.row_id == g.row_id) & (_S.annotator == annotator) & (_S.state == DONE) & _S.counts
    asked = select(g.row_id).join(t.rows, t.rows.c.id == g.row_id).where(t.rows.c.dataset_id == queue.dataset)
    rows = list(connection.execute(asked.where(~select(_S.row_id).where(mine).exists()).order_by(g.row_id)).scalars())
    return draw.choice(rows) if rows else None


class _Again(NamedTuple):
    row: int
    judgement: int


def _repeat(connection: Connection, queue: QueueRecord, annotator: str, draw: random.Random) -> _Again | None:
    """A label that this annotator gave in this queue some time ago and hasn't been asked again, drawn at random."""
    mine = (_J.queue == queue.name) & (_J.annotator == annotator)
    here = select(_J.id).where(mine)
    newest = connection.execute(here.order_by(_J.id.desc()).offset(REPEAT_AFTER).limit(1)).scalar_one_or_none()
    oldest = connection.execute(here.order_by(_J.id).limit(1)).scalar_one_or_none()
    if newest is None or oldest is None:
        return None
    start = draw.randint(oldest, newest)
    for low, high in ((start, newest), (oldest, start - 1)):
        for again in _repeatable(connection, mine, low, high):
            recent = select(_J.id).where(mine, _J.row_id == again.row, _J.id > newest)
            if connection.execute(recent.limit(1)).first() is None:
                return again
    return None


def _repeatable(connection: Connection, mine: ColumnElement[bool], low: int, high: int) -> Iterator[_Again]:
    """The rows among some of these answers that bear a label and haven't been asked again, with the label that stands."""
    standing = t.judgements.join(t.standings, _S.judgement_id == _J.id)
    part = select(_J.id).where(mine, _J.id.between(low, high)).order_by(_J.id).limit(REPEAT_LOOK)
    numbers = list(connection.execute(part).scalars())
    labels = (_S.state == DONE) & _S.counts & (_J.outcome != "skipped")
    found = select(_J.id, _J.row_id, _J.annotator).select_from(standing).where(_J.id.in_(numbers), labels)
    rows = list(connection.execute(found.order_by(_J.id)))
    asked = select(_J.row_id).select_from(standing).where(
        mine, _J.row_id.in_([r.row_id for r in rows]), _J.purpose == "repeat", _S.state == DONE
    )  # fmt: skip
    twice = set(connection.execute(asked).scalars())
    for _, row, annotator in rows:
        label = _newest_label(connection, row, annotator)
        if row not in twice and label is not None:
            yield _Again(row, label)
