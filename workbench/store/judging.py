"""The append-only log of judgements, and the derived standing of each one: done, undone, or dropped by a newer one.

An annotator's standings in a dataset form a stack: every "done" judgement is older than every "undone" one. Undo takes the
newest done one, redo the oldest undone one, and a new judgement drops what was undone. What counts for an item is the
newest done label of each annotator; repeats and extras stand in the same stack and count for nothing.

Statements that every label needs are built once, here and in the other files on its road: SQLAlchemy takes longer to build one
than the database to answer it.
"""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Row, bindparam, func, insert, select, update

from workbench.domain.judgement import Judgement
from workbench.store import schema as t
from workbench.store.answers import DONE, DROPPED, KEYS_AT_ONCE, UNDONE
from workbench.store.queue_counts import following

_S, _J, _T = t.standings.c, t.judgements.c, t.tallies.c
_MINE = (_S.dataset_id == bindparam("dataset")) & (_S.annotator == bindparam("who"))
_DONE_NEWEST = select(_S.judgement_id).where(_MINE, _S.state == DONE).order_by(_S.judgement_id.desc()).limit(1)
_UNDONE_OLDEST = select(_S.judgement_id).where(_MINE, _S.state == UNDONE).order_by(_S.judgement_id).limit(1)
_DROP_UNDONE = update(t.standings).where(_MINE, _S.state == UNDONE).values(state=DROPPED)
_LAST_NUMBER = select(func.coalesce(func.max(_J.id), 0))
_TAKEN_NAMES = select(_J.uid).where(_J.uid.in_(bindparam("names", expanding=True)))
_COUNTING = select(_S.row_id, _S.annotator).where(
    _S.row_id.in_(bindparam("rows", expanding=True)), _S.state == DONE, _S.counts
)
_LOG, _STAND = insert(t.judgements), insert(t.standings)
_TALLY = (
    update(t.tallies)
    .where(_T.dataset_id == bindparam("dataset"), _T.annotator == bindparam("who"))
    .values(judged=_T.judged + bindparam("change"))
)
_FIRST_TALLY = insert(t.tallies)
_COUNT_JUDGED = (
    update(t.datasets)
    .where(t.datasets.c.id == bindparam("dataset"))
    .values(judged=t.datasets.c.judged + bindparam("change"))
)


def insert_judgements(connection: Connection, dataset: int, said: Sequence[tuple[int, Judgement]]) -> None:
    """Append judgements of rows (row id, judgement) and let them count."""
    with following(connection, dataset, sorted({row for row, _ in said})):
        append_judgements(connection, dataset, said)


def undo(connection: Connection, dataset: int, annotator: str) -> int | None:
    """Take the newest judgement back; returns its id, None when there is nothing to undo."""
    top = _edge(connection, dataset, annotator, DONE)
    if top is not None:
        row = _row(connection, top)
        with following(connection, dataset, [row]):
            _undo(connection, dataset, annotator, top, row)
    return top


def redo(connection: Connection, dataset: int, annotator: str, counts: bool | None = None) -> int | None:
    """Let the judgement undone last stand again; returns its id, None when there is nothing to redo.

    `counts` says whether it is a label now: an item may have got all that it needs meanwhile. None leaves that as it was.
    """
    bottom = _edge(connection, dataset, annotator, UNDONE)
    if bottom is not None:
        row = _row(connection, bottom)
        if counts is not None:
            connection.execute(update(t.standings).where(_S.judgement_id == bottom).values(counts=counts))
        with following(connection, dataset, [row]):
            _redo(connection, dataset, annotator, bottom, row)
    return bottom


def next_redo(connection: Connection, dataset: int, annotator: str) -> Judgement | None:
    """What redo would let stand again."""
    bottom = _edge(connection, dataset, annotator, UNDONE)
    if bottom is None:
        return None
    named = select(t.judgements, t.rows.c.item).join(t.rows, t.judgements.c.row_id == t.rows.c.id)
    return read_judgement(connection.execute(named.where(t.judgements.c.id == bottom)).one())


def can_move(connection: Connection, dataset: int, annotator: str) -> tuple[bool, bool]:
    """Whether there is something to undo, and something to redo."""
    return (
        _edge(connection, dataset, annotator, DONE) is not None,
        _edge(connection, dataset, annotator, UNDONE) is not None,
    )


def append_judgements(connection: Connection, dataset: int, said: Sequence[tuple[int, Judgement]]) -> None:
    """Append judgements within the caller's `following`."""
    before = _judged_pairs(connection, sorted({row for row, _ in said}))
    first = last_number(connection) + 1
    names = _free_uids(connection, [j.id for _, j in said])
    log, standing = [], []
    for i, (row, judgement) in enumerate(said):
        log.append(_fields(first + i, names[i], dataset, row, judgement))
        standing.append(
            {
                "judgement_id": first + i, "dataset_id": dataset, "row_id": row, "annotator": judgement.annotator,
                "state": DONE, "counts": judgement.counts,
            }
        )  # fmt: skip
    for annotator in {j.annotator for _, j in said}:
        connection.execute(_DROP_UNDONE, {"dataset": dataset, "who": annotator})
    connection.execute(_LOG, log)
    connection.execute(_STAND, standing)
    fresh = {(row, j.annotator) for row, j in said if j.counts} - before
    kinds = {j.annotator: j.annotator_kind for _, j in said}
    for annotator, count in Counter(annotator for _, annotator in fresh).items():
        _tally(connection, dataset, annotator, count, kinds[annotator])
    _count_judged(connection, dataset, len({row for row, _ in fresh} - {row for row, _ in before}))


def last_number(connection: Connection) -> int:
    """The number of the newest judgement of the whole workspace; 0 when there is none."""
    return int(connection.execute(_LAST_NUMBER).scalar_one())


@contextmanager
def counting_again(
    connection: Connection, dataset: int, rows: Sequence[int], kinds: Mapping[str, str]
) -> Iterator[None]:
    """Keep what is counted of a dataset and its annotators (of these kinds) right while what stands for some rows changes."""
    before = _judged_pairs(connection, rows)
    yield
    after = _judged_pairs(connection, rows)
    changes = Counter(who for _, who in after - before)
    changes.subtract(who for _, who in before - after)
    for annotator in sorted({*changes, *kinds}):
        _tally(connection, dataset, annotator, changes[annotator], kinds.get(annotator, "person"))
    for row, annotator in sorted(before - after):
        _begin_no_later(connection, dataset, annotator, row)
    _count_judged(connection, dataset, len({row for row, _ in after}) - len({row for row, _ in before}))


def _begin_no_later(connection: Connection, dataset: int, annotator: str, row: int) -> None:
    """Let the search for what an annotator hasn't judged begin no later than at this row."""
    position = connection.execute(select(t.rows.c.position).where(t.rows.c.id == row)).scalar_one()
    mine = (_T.dataset_id == dataset) & (_T.annotator == annotator) & (_T.frontier > position)
    connection.execute(update(t.tallies).where(mine).values(frontier=position))


def _undo(connection: Connection, dataset: int, annotator: str, judgement: int, row: int) -> None:
    if not _move(connection, judgement, "undo", UNDONE):
        return
    left = _judged_pairs(connection, [row])
    if (row, annotator) not in left:
        _tally(connection, dataset, annotator, -1)
        _begin_no_later(connection, dataset, annotator, row)
    if not left:
        _count_judged(connection, dataset, -1)


def _redo(connection: Connection, dataset: int, annotator: str, judgement: int, row: int) -> None:
    before = _judged_pairs(connection, [row])
    if not _move(connection, judgement, "redo", DONE):
        return
    if (row, annotator) not in before:
        _tally(connection, dataset, annotator, 1)
    if not before:
        _count_judged(connection, dataset, 1)


def read_judgement(row: Row[Any]) -> Judgement:
    """A row of `judgements` joined with its item's name, as a domain object."""
    return Judgement.model_validate(
        {
            "id": row.uid, "item": row.item, "annotator": row.annotator, "annotator_kind": row.annotator_kind,
            "outcome": row.outcome, "ranking": None if row.ranking is None else {"tiers": row.ranking},
            "strength": row.strength, "skip_reason": row.skip_reason, "note": row.note, "shown": row.shown,
            "shown_seed": row.shown_seed, "milliseconds": row.milliseconds, "created": row.created, "purpose": row.purpose,
            "queue": row.queue, "guideline": row.guideline, "aspects": row.aspects or (), "spans": row.spans or (),
        }
    )  # fmt: skip


def _fields(number: int, uid: str, dataset: int, row: int, j: Judgement) -> dict[str, Any]:
    return {
        "id": number, "uid": uid, "dataset_id": dataset, "row_id": row, "annotator": j.annotator,
        "annotator_kind": j.annotator_kind, "outcome": j.outcome,
        "ranking": None if j.ranking is None else [list(tier) for tier in j.ranking.tiers],
        "strength": j.strength, "skip_reason": j.skip_reason, "note": j.note, "shown": list(j.shown),
        "shown_seed": j.shown_seed, "milliseconds": j.milliseconds, "created": j.created, "purpose": j.purpose,
        "queue": j.queue, "guideline": j.guideline,
        "aspects": [a.model_dump(mode="json") for a in j.aspects] or None,
        "spans": [s.model_dump() for s in j.spans] or None,
    }  # fmt: skip


def _free_uids(connection: Connection, wanted: list[str]) -> list[str]:
    """Names that no judgement has yet: the same file imported twice gives new names to its judgements."""
    taken: set[str] = set()
    for i in range(0, len(wanted), KEYS_AT_ONCE):
        taken.update(connection.execute(_TAKEN_NAMES, {"names": wanted[i : i + KEYS_AT_ONCE]}).scalars())
    names = []
    for name in wanted:
        names.append(uuid.uuid4().hex if name in taken else name)
        taken.add(name)
    return names


def _judged_pairs(connection: Connection, rows: Sequence[int]) -> set[tuple[int, str]]:
    """(row, annotator) of every judgement that counts for these rows."""
    found: set[tuple[int, str]] = set()
    for i in range(0, len(rows), KEYS_AT_ONCE):
        part = connection.execute(_COUNTING, {"rows": rows[i : i + KEYS_AT_ONCE]})
        found.update((row, annotator) for row, annotator in part)
    return found


def _edge(connection: Connection, dataset: int, annotator: str, state: str) -> int | None:
    """The newest done or the oldest undone judgement: where the two parts of the stack meet."""
    edge = _DONE_NEWEST if state == DONE else _UNDONE_OLDEST
    return connection.execute(edge, {"dataset": dataset, "who": annotator}).scalar_one_or_none()


def _row(connection: Connection, judgement: int) -> int:
    return int(connection.execute(select(_S.row_id).where(_S.judgement_id == judgement)).scalar_one())


def _move(connection: Connection, judgement: int, move: str, state: str) -> bool:
    """Record an undo or a redo; returns whether the judgement is a label."""
    values = {"judgement_id": judgement, "move": move, "created": datetime.now(UTC)}
    connection.execute(insert(t.judgement_moves).values(values))
    connection.execute(update(t.standings).where(_S.judgement_id == judgement).values(state=state))
    return bool(connection.execute(select(_S.counts).where(_S.judgement_id == judgement)).scalar_one())


def _tally(connection: Connection, dataset: int, annotator: str, change: int, kind: str = "person") -> None:
    if connection.execute(_TALLY, {"dataset": dataset, "who": annotator, "change": change}).rowcount == 0:
        first = {"dataset_id": dataset, "annotator": annotator, "annotator_kind": kind, "judged": change, "frontier": 0}
        connection.execute(_FIRST_TALLY, first)


def _count_judged(connection: Connection, dataset: int, change: int) -> None:
    if change:
        connection.execute(_COUNT_JUDGED, {"dataset": dataset, "change": change})
