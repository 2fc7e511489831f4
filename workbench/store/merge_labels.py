"""Merging judgements: those that aren't here are appended, with how they stand, and of one annotator's on one item the newest counts.

What stands where is decided by what both logs say together: a judgement stands unless the last move on it took it back. Where an
older judgement comes in after a newer one by the same annotator on the same item, it is laid aside by a move of its own
("replaced"), since what comes in last would count otherwise. So it makes no difference which workspace is merged into which.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, delete, func, insert, select, update

from workbench.store import schema as t
from workbench.store.answers import DONE, DROPPED, KEYS_AT_ONCE, UNDONE
from workbench.store.datasets import DatasetRecord
from workbench.store.merge_rows import Placed
from workbench.store.queue_counts import following

REPLACED = "replaced"
_J, _S, _M = t.judgements.c, t.standings.c, t.judgement_moves.c
_KEPT = tuple(c.name for c in t.judgements.c if c.name not in {"id", "uid", "dataset_id", "row_id", "annotator"})


class Names(NamedTuple):
    """What is called otherwise here: annotators by (name, kind), and versions of the guidelines."""

    annotators: Mapping[tuple[str, str], str]
    versions: Mapping[int, int]


class Labels:
    """Brings the judgements of one dataset; the counts say what came of it."""

    def __init__(
        self,
        here: Connection,
        there: Connection,
        ours: DatasetRecord,
        theirs: DatasetRecord,
        placed: Mapping[int, Placed],
        names: Names,
    ) -> None:
        self._here, self._there = here, there
        self._ours, self._theirs = ours, theirs
        self._placed, self._names = placed, names
        self._before = int(here.execute(select(func.coalesce(func.max(_J.id), 0))).scalar_one())
        self._next = self._before + 1
        self._touched: set[tuple[int, str]] = set()
        self._arrived: set[tuple[int, str]] = set()
        self._kinds: dict[str, str] = {}
        self.added = self.duplicates = self.conflicts = self.moves = 0

    def bring(self) -> None:
        """Go through all judgements there, oldest first; then let the newest count."""
        rows = self._there.execute(select(_J.row_id).where(_J.dataset_id == self._theirs.id).distinct()).scalars()
        here = sorted({self._placed[row].row for row in rows if row in self._placed})
        with following(self._here, self._ours.id, here):
            self._bring_all()
            self._settle()
        self._recount()

    def _bring_all(self) -> None:
        last = 0
        mine = select(t.judgements, _S.state, _S.counts).join(t.standings, _S.judgement_id == _J.id)
        mine = mine.where(_J.dataset_id == self._theirs.id).order_by(_J.id).limit(KEYS_AT_ONCE)
        while found := self._there.execute(mine.where(_J.id > last)).all():
            last = found[-1].id
            self._bring([row for row in found if row.row_id in self._placed])

    def _bring(self, said: Sequence[Row[Any]]) -> None:
        moves = _moves(self._there, [row.id for row in said])
        known = self._known(said)
        log: list[dict[str, Any]] = []
        standing: list[dict[str, Any]] = []
        told: list[dict[str, Any]] = []
        for row in said:
            values = self._translated(row)
            there = known.by_uid.get(row.uid) or known.by_content.get(_content(values))
            if there is not None:
                self.duplicates += 1
                self._catch_up(there, values, moves.get(row.id, ()), known.moves.get(there, ()))
                continue
            number, self._next = self._next, self._next + 1
            log.append({"id": number, "uid": known.free(row.uid, self._ours.name), **values})
            standing.append(
                {
                    "judgement_id": number, "dataset_id": self._ours.id, "row_id": values["row_id"],
                    "annotator": values["annotator"], "state": row.state, "counts": row.counts,
                }
            )  # fmt: skip
            told += [{"judgement_id": number, "move": move, "created": when} for move, when in moves.get(row.id, ())]
            self._touch(values)
            self._arrived.add((values["row_id"], values["annotator"]))
        self.added += len(log)
        for table, rows in ((t.judgements, log), (t.standings, standing), (t.judgement_moves, told)):
            if rows:
                self._here.execute(insert(table), rows)

    def _translated(self, row: Row[Any]) -> dict[str, Any]:
        """A judgement with the names, numbers and places that its parts have here."""
        placed = self._placed[row.row_id]
        annotator = self._names.annotators.get((row.annotator, row.annotator_kind), row.annotator)
        values = {name: getattr(row, name) for name in _KEPT}
        values |= {"dataset_id": self._ours.id, "row_id": placed.row, "annotator": annotator}
        values["guideline"] = self._names.versions.get(row.guideline, 0)
        if placed.order != tuple(range(len(placed.order))):
            values["ranking"] = row.ranking and _permuted(row.ranking, placed.order)
            values["shown"] = [placed.order[i] for i in row.shown]
            values["aspects"] = row.aspects and [
                {**aspect, "ranking": {"tiers": _permuted(aspect["ranking"]["tiers"], placed.order)}}
                for aspect in row.aspects
            ]
            values["spans"] = row.spans and [{**s, "candidate": placed.order[s["candidate"]]} for s in row.spans]
        return values

    def _known(self, said: Sequence[Row[Any]]) -> _Known:
        """The judgements here that these may be: of the same name in this dataset, or of the same rows."""
        rows = sorted({self._placed[row.row_id].row for row in said})
        found = list(
            self._here.execute(select(t.judgements).where(_J.row_id.in_(rows), _J.id <= self._before).order_by(_J.id))
        )
        taken = list(self._here.execute(select(t.judgements).where(_J.uid.in_([row.uid for row in said]))))
        by_uid = {row.uid: row.id for row in taken if row.dataset_id == self._ours.id}
        by_content = {_content(row._mapping): row.id for row in found}
        moves = _moves(self._here, sorted({*by_uid.values(), *by_content.values()}))
        return _Known(by_uid, by_content, moves, {row.uid for row in taken})

    def _catch_up(
        self,
        number: int,
        values: dict[str, Any],
        theirs: Sequence[tuple[str, datetime]],
        ours: Sequence[tuple[str, datetime]],
    ) -> None:
        """Let a judgement that both have stand as the last move of both logs says."""
        missing = [move for move in theirs if move not in ours]
        if not missing:
            return
        self.moves += len(missing)
        made = [{"judgement_id": number, "move": move, "created": when} for move, when in missing]
        self._here.execute(insert(t.judgement_moves), made)
        last = max([*ours, *missing], key=lambda move: move[1])[0]
        stood = self._here.execute(select(_S.state).where(_S.judgement_id == number)).scalar_one()
        state = {"redo": DONE, "undo": stood if stood != DONE else UNDONE, REPLACED: DROPPED}[last]
        self._here.execute(update(t.standings).where(_S.judgement_id == number).values(state=state))
        self._touch(values)

    def _touch(self, values: Mapping[str, Any]) -> None:
        self._touched.add((values["row_id"], values["annotator"]))
        self._kinds.setdefault(values["annotator"], values["annotator_kind"])

    def _settle(self) -> None:
        """Of the labels of one annotator on one item that stand, the newest is to be the last; undone ones come after all others."""
        rows = sorted({row for row, _ in self._touched})
        for start in range(0, len(rows), KEYS_AT_ONCE):
            part = _S.row_id.in_(rows[start : start + KEYS_AT_ONCE]) & (_S.state == DONE) & _S.counts
            joined: Any = select(_J.id, _J.uid, _J.row_id, _S.annotator, _J.created).join(
                t.standings, _S.judgement_id == _J.id
            )
            stands: dict[tuple[int, str], list[Row[Any]]] = defaultdict(list)
            for row in self._here.execute(joined.where(part).order_by(_J.id)):
                stands[row.row_id, row.annotator].append(row)
            for key, said in stands.items():
                if key in self._touched and len(said) > 1:
                    self._lay_aside(key, said)
        for annotator in sorted({who for _, who in self._touched}):
            mine = (_S.dataset_id == self._ours.id) & (_S.annotator == annotator)
            top = self._here.execute(select(func.max(_S.judgement_id)).where(mine, _S.state == DONE)).scalar_one()
            if top is not None:
                below = mine & (_S.state == UNDONE) & (_S.judgement_id < top)
                self._here.execute(update(t.standings).where(below).values(state=DROPPED))

    def _lay_aside(self, key: tuple[int, str], said: Sequence[Row[Any]]) -> None:
        ours = any(row.id <= self._before for row in said)
        self.conflicts += ours and key in self._arrived
        newest = max(said, key=lambda row: (row.created, row.uid))
        now = datetime.now(UTC)
        for row in said:
            if row.id > newest.id:
                move = {"judgement_id": row.id, "move": REPLACED, "created": now}
                self._here.execute(insert(t.judgement_moves).values(move))
                self._here.execute(update(t.standings).where(_S.judgement_id == row.id).values(state=DROPPED))

    def _recount(self) -> None:
        """Count again what is kept counted: how many items each annotator here, and anybody, has judged."""
        if not self._touched:
            return
        stands = (_S.dataset_id == self._ours.id) & (_S.state == DONE) & _S.counts
        tally = t.tallies.c
        for annotator in sorted(self._kinds):
            mine = (tally.dataset_id == self._ours.id) & (tally.annotator == annotator)
            items = select(func.count(_S.row_id.distinct())).where(stands, _S.annotator == annotator)
            judged = self._here.execute(items).scalar_one()
            kind = self._here.execute(select(tally.annotator_kind).where(mine)).scalar_one_or_none()
            self._here.execute(delete(t.tallies).where(mine))
            values = {"dataset_id": self._ours.id, "annotator": annotator, "judged": judged, "frontier": 0}
            self._here.execute(insert(t.tallies).values(annotator_kind=kind or self._kinds[annotator], **values))
        total = self._here.execute(select(func.count(_S.row_id.distinct())).where(stands)).scalar_one()
        self._here.execute(update(t.datasets).where(t.datasets.c.id == self._ours.id).values(judged=total))


class _Known(NamedTuple):
    """Judgements here by name and by content, their moves, and the names that are taken anywhere."""

    by_uid: dict[str, int]
    by_content: dict[tuple[Any, ...], int]
    moves: dict[int, list[tuple[str, datetime]]]
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


def _permuted(tiers: Sequence[Sequence[int]], order: Sequence[int]) -> list[list[int]]:
    return [[order[i] for i in tier] for tier in tiers]


def _moves(connection: Connection, numbers: Sequence[int]) -> dict[int, list[tuple[str, datetime]]]:
    """The moves on each of these judgements, oldest first."""
    found: dict[int, list[tuple[str, datetime]]] = {}
    for start in range(0, len(numbers), KEYS_AT_ONCE):
        here = _M.judgement_id.in_(numbers[start : start + KEYS_AT_ONCE])
        for row in connection.execute(select(t.judgement_moves).where(here).order_by(_M.id)):
            found.setdefault(row.judgement_id, []).append((row.move, row.created))
    return found
