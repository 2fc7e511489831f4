"""Merging judgements: those that aren't here are appended, with how they stand, and of one annotator's on one item the newest counts.

What stands where is decided by what both logs say together: a judgement stands unless the last move on it took it back. Where an
older judgement comes in after a newer one by the same annotator on the same item, it is laid aside by a move of its own
("replaced"), since what comes in last would count otherwise. So it makes no difference which workspace is merged into which.

Every slice leaves labels, stacks of undo, counts and queues as right as it found them: people go on labelling between two of them.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, func, insert, select, update

from workbench.store import schema as t
from workbench.store.answers import DONE, DROPPED, KEYS_AT_ONCE, UNDONE
from workbench.store.database import Database
from workbench.store.datasets import DatasetRecord
from workbench.store.judging import counting_again, last_number
from workbench.store.merge_rows import Placed
from workbench.store.queue_counts import following

REPLACED = "replaced"
SLICE = 100  # judgements in one transaction: about as long as a label takes
_J, _S, _M = t.judgements.c, t.standings.c, t.judgement_moves.c
Move = tuple[str, datetime]
_KEPT = tuple(c.name for c in t.judgements.c if c.name not in {"id", "uid", "dataset_id", "row_id", "annotator"})


class Names(NamedTuple):
    """What is called otherwise here: annotators by (name, kind), versions of the guidelines, and queues."""

    annotators: Mapping[tuple[str, str], str]
    versions: Mapping[int, int]
    queues: Mapping[str, str]


class Labels:
    """Brings the judgements of one dataset; the counts say what came of it."""

    def __init__(
        self,
        here: Database,
        there: Connection,
        ours: DatasetRecord,
        theirs: DatasetRecord,
        placed: Mapping[int, Placed],
        names: Names,
    ) -> None:
        self._database, self._there = here, there
        self._ours, self._theirs = ours, theirs
        self._placed, self._names = placed, names
        self._arrived: set[int] = set()
        self._twice: set[tuple[int, str]] = set()
        self.added = self.duplicates = self.moves = 0

    @property
    def conflicts(self) -> int:
        """How many items an annotator had judged in both."""
        return len(self._twice)

    def bring(self) -> Iterator[int]:
        """Go through all judgements there, oldest first, slice by slice; yields how many were looked at."""
        with self._database.read() as connection:
            before = last_number(connection)
        last = 0
        mine = select(t.judgements, _S.state, _S.counts).join(t.standings, _S.judgement_id == _J.id)
        mine = mine.where(_J.dataset_id == self._theirs.id).order_by(_J.id).limit(SLICE)
        while found := self._there.execute(mine.where(_J.id > last)).all():
            last = found[-1].id
            with self._database.write() as connection:
                _Slice(self, connection, self._ours, before).bring([row for row in found if row.row_id in self._placed])
            yield len(found)

    def translated(self, row: Row[Any]) -> dict[str, Any]:
        """A judgement with the names, numbers and places that its parts have here."""
        placed = self._placed[row.row_id]
        annotator = self._names.annotators.get((row.annotator, row.annotator_kind), row.annotator)
        values = {name: getattr(row, name) for name in _KEPT}
        values |= {"dataset_id": self._ours.id, "row_id": placed.row, "annotator": annotator}
        values["guideline"] = self._names.versions.get(row.guideline, 0)
        values["queue"] = self._names.queues.get(row.queue, row.queue)
        if placed.order != tuple(range(len(placed.order))):
            values["ranking"] = row.ranking and placed.tiers(row.ranking)
            values["shown"] = [placed.order[i] for i in row.shown]
            values["aspects"] = row.aspects and [
                {**aspect, "ranking": {"tiers": placed.tiers(aspect["ranking"]["tiers"])}} for aspect in row.aspects
            ]
            values["spans"] = row.spans and [{**s, "candidate": placed.order[s["candidate"]]} for s in row.spans]
        return values

    def known(self, connection: Connection, said: Sequence[Row[Any]], before: int) -> _Known:
        """The judgements here that these may be: of the same name in this dataset, or of the same rows."""
        rows = sorted({self._placed[row.row_id].row for row in said})
        mine = select(t.judgements).where(_J.row_id.in_(rows), _J.id <= before).order_by(_J.id)
        found = connection.execute(mine).all()
        taken = connection.execute(select(t.judgements).where(_J.uid.in_([row.uid for row in said]))).all()
        by_uid = {row.uid: row.id for row in taken if row.dataset_id == self._ours.id}
        by_content = {_content(row._mapping): row.id for row in found}
        moves = _moves(connection, sorted({*by_uid.values(), *by_content.values()}))
        return _Known(by_uid, by_content, moves, {row.uid for row in taken})

    def moves_of(self, said: Sequence[Row[Any]]) -> dict[int, list[Move]]:
        """The undos and redos there of these judgements."""
        return _moves(self._there, [row.id for row in said])

    def arrived(self, number: int) -> None:
        """A judgement has come in under this number."""
        self._arrived.add(number)
        self.added += 1

    def met(self, key: tuple[int, str], said: Sequence[Any]) -> None:
        """These labels of one annotator on one item stand side by side: whether they come from both workspaces."""
        came = {row.id in self._arrived for row in said}
        if len(came) == 2:
            self._twice.add(key)


class _Slice:
    """Some judgements, within one transaction."""

    def __init__(self, labels: Labels, connection: Connection, ours: DatasetRecord, before: int) -> None:
        self._labels, self._here, self._ours, self._before = labels, connection, ours, before
        self._touched: set[tuple[int, str]] = set()

    def bring(self, said: Sequence[Row[Any]]) -> None:
        """Append what isn't here, catch up on what was taken back, and let the newest count."""
        told = [(row, self._labels.translated(row)) for row in said]
        rows = sorted({values["row_id"] for _, values in told})
        kinds = {values["annotator"]: values["annotator_kind"] for _, values in told}
        with following(self._here, self._ours.id, rows), counting_again(self._here, self._ours.id, rows, kinds):
            self._append(told)
            self._settle(rows)

    def _append(self, told: Sequence[tuple[Row[Any], dict[str, Any]]]) -> None:
        said = [row for row, _ in told]
        moves, known = self._labels.moves_of(said), self._labels.known(self._here, said, self._before)
        number = last_number(self._here)
        log: list[dict[str, Any]] = []
        standing: list[dict[str, Any]] = []
        moved: list[dict[str, Any]] = []
        for row, values in told:
            there = known.by_uid.get(row.uid) or known.by_content.get(_content(values))
            if there is not None:
                self._labels.duplicates += 1
                self._catch_up(there, values, moves.get(row.id, ()), known.moves.get(there, ()))
                continue
            number += 1
            log.append({"id": number, "uid": known.free(row.uid, self._ours.name), **values})
            standing.append(
                {
                    "judgement_id": number, "dataset_id": self._ours.id, "row_id": values["row_id"],
                    "annotator": values["annotator"], "state": row.state, "counts": row.counts,
                }
            )  # fmt: skip
            moved += [{"judgement_id": number, "move": move, "created": when} for move, when in moves.get(row.id, ())]
            self._touched.add((values["row_id"], values["annotator"]))
            self._labels.arrived(number)
        for table, rows in ((t.judgements, log), (t.standings, standing), (t.judgement_moves, moved)):
            if rows:
                self._here.execute(insert(table), rows)

    def _catch_up(self, number: int, values: dict[str, Any], theirs: Sequence[Move], ours: Sequence[Move]) -> None:
        """Let a judgement that both have stand as the last move of both logs says."""
        missing = [move for move in theirs if move not in ours]
        if not missing:
            return
        self._labels.moves += len(missing)
        made = [{"judgement_id": number, "move": move, "created": when} for move, when in missing]
        self._here.execute(insert(t.judgement_moves), made)
        last = max([*ours, *missing], key=lambda move: move[1])[0]
        stood = self._here.execute(select(_S.state).where(_S.judgement_id == number)).scalar_one()
        state = {"redo": DONE, "undo": stood if stood != DONE else UNDONE, REPLACED: DROPPED}[last]
        self._here.execute(update(t.standings).where(_S.judgement_id == number).values(state=state))
        self._touched.add((values["row_id"], values["annotator"]))

    def _settle(self, rows: Sequence[int]) -> None:
        """Of the labels of one annotator on one item that stand, the newest is to be the last; undone ones come after all others."""
        part = _S.row_id.in_(rows) & (_S.state == DONE) & _S.counts
        columns = select(_J.id, _J.uid, _J.row_id, _S.annotator, _J.created)
        joined = columns.join(t.standings, _S.judgement_id == _J.id).where(part).order_by(_J.id)
        stands: dict[tuple[int, str], list[Any]] = defaultdict(list)
        for row in self._here.execute(joined).all():
            stands[row.row_id, row.annotator].append(row)
        for key in sorted(self._touched):
            if len(said := stands[key]) > 1:
                self._labels.met(key, said)
                self._lay_aside(said)
        for annotator in sorted({who for _, who in self._touched}):
            mine = (_S.dataset_id == self._ours.id) & (_S.annotator == annotator)
            top = self._here.execute(select(func.max(_S.judgement_id)).where(mine, _S.state == DONE)).scalar_one()
            if top is not None:
                below = mine & (_S.state == UNDONE) & (_S.judgement_id < top)
                self._here.execute(update(t.standings).where(below).values(state=DROPPED))

    def _lay_aside(self, said: Sequence[Any]) -> None:
        newest = max(said, key=lambda row: (row.created, row.uid))
        now = datetime.now(UTC)
        for row in said:
            if row.id > newest.id:
                move = {"judgement_id": row.id, "move": REPLACED, "created": now}
                self._here.execute(insert(t.judgement_moves).values(move))
                self._here.execute(update(t.standings).where(_S.judgement_id == row.id).values(state=DROPPED))


class _Known(NamedTuple):
    """Judgements here by name and by content, their moves, and the names that are taken anywhere."""

    by_uid: dict[str, int]
    by_content: dict[tuple[Any, ...], int]
    moves: dict[int, list[Move]]
    taken: set[str]

    def free(self, uid: str, dataset: str) -> str:
        """The name itself, or where another dataset's judgement has it, one that is the same at every merge."""
        return hashlib.sha256(f"{uid}|{dataset}".encode()).hexdigest()[:32] if uid in self.taken else uid


def _content(values: Mapping[Any, Any]) -> tuple[Any, ...]:
    """What makes two judgements the same besides their name; one that came with a file has no time of its own."""
    ranking = values["ranking"] and tuple(tuple(sorted(tier)) for tier in values["ranking"])
    when = values["created"] if values["milliseconds"] else None
    return (
        values["row_id"],
        values["annotator"],
        values["outcome"],
        ranking,
        values["strength"],
        values["purpose"],
        when,
    )


def _moves(connection: Connection, numbers: Sequence[int]) -> dict[int, list[Move]]:
    """The moves on each of these judgements, oldest first."""
    found: dict[int, list[Move]] = {}
    for start in range(0, len(numbers), KEYS_AT_ONCE):
        here = _M.judgement_id.in_(numbers[start : start + KEYS_AT_ONCE])
        for row in connection.execute(select(t.judgement_moves).where(here).order_by(_M.id)):
            found.setdefault(row.judgement_id, []).append((row.move, row.created))
    return found
