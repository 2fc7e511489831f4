"""Labels: what was judged, what comes next, and how far an annotator is."""

from __future__ import annotations

import builtins
from collections.abc import Collection, Sequence
from datetime import datetime
from itertools import pairwise
from typing import Any, NamedTuple

from sqlalchemy import Connection, bindparam, func, select

from workbench.domain.errors import BadInput, Conflict, NotFound
from workbench.domain.judgement import Item, Judgement
from workbench.domain.queues import Guidelines
from workbench.domain.text import Prompt
from workbench.store import schema as t
from workbench.store.answers import DONE
from workbench.store.answers import IMPORTED as IMPORTED
from workbench.store.database import Database
from workbench.store.datasets import DatasetRecord, get_dataset, read_rows, rows_with_prompts
from workbench.store.dialect import upsert
from workbench.store.drafts import draft_of, forget_draft
from workbench.store.feedback import signed_by_person
from workbench.store.guidelines import newest_guidelines
from workbench.store.judging import can_move, insert_judgements, read_judgement, redo, undo

RATE_OVER = 50
PAUSE_SECONDS = 300.0
FRONTIER_SLACK = 200
_S, _T = t.standings.c, t.tallies.c
_TALLY = select(_T.judged, _T.frontier).where(_T.dataset_id == bindparam("dataset"), _T.annotator == bindparam("who"))
_RECENT = (
    select(_S.judgement_id, t.judgements.c.created)
    .join(t.judgements, t.judgements.c.id == _S.judgement_id)
    .where(_S.dataset_id == bindparam("dataset"), _S.annotator == bindparam("who"), _S.state == DONE)
    .order_by(_S.judgement_id.desc())
    .limit(RATE_OVER)
)
_SIZE = (
    select(t.rows.c.id, func.count(t.candidates.c.id))
    .outerjoin(t.candidates)
    .where(t.rows.c.item == bindparam("item"), t.rows.c.dataset_id == bindparam("dataset"))
    .group_by(t.rows.c.id)
)


def _unjudged() -> Any:
    judged = (_S.row_id == t.rows.c.id) & (_S.annotator == bindparam("who")) & (_S.state == DONE) & _S.counts
    open_ones = rows_with_prompts().where(t.rows.c.dataset_id == bindparam("dataset"))
    ahead = open_ones.where(t.rows.c.position >= bindparam("frontier"), ~select(_S.judgement_id).where(judged).exists())
    return ahead.order_by(t.rows.c.position).limit(bindparam("limit"))


_UNJUDGED = _unjudged()
_ROW = rows_with_prompts().where(t.rows.c.id == bindparam("row"))


class PlacedItem(NamedTuple):
    """An item and its position in its dataset."""

    position: int
    item: Item


class ProgressRecord(NamedTuple):
    """How far an annotator is in a dataset."""

    judged: int
    total: int
    per_hour: float
    can_undo: bool
    can_redo: bool
    last: Judgement | None


class Answered(NamedTuple):
    """What an annotator needs after a judgement: how far they are, and what belongs to the item that comes next."""

    progress: ProgressRecord
    draft: dict[str, Any] | None
    guidelines: Guidelines | None


class Labels:
    """Judgements of the items of preference datasets. Each method is one short transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, judgement: Judgement, dataset: str) -> None:
        """Append a judgement, and throw away the draft that it was; it is committed when this returns."""
        with self._database.write() as connection:
            record = preferences(connection, dataset)
            row = row_for(connection, record, judgement)
            insert_judgements(connection, record.id, [(row, judgement)])
            forget_draft(connection, row, judgement.annotator)

    def answer(self, judgement: Judgement, dataset: str, upcoming: str | None) -> Answered:
        """Append a judgement as `add` does, and read in the same transaction what showing the item `upcoming` needs."""
        annotator = judgement.annotator
        with self._database.write() as connection:
            record = preferences(connection, dataset)
            row = row_for(connection, record, judgement)
            insert_judgements(connection, record.id, [(row, judgement)])
            forget_draft(connection, row, annotator)
            per_hour, _ = pace_in(connection, record.id, annotator)
            judged = _judged_by(connection, record.id, annotator)
            # nothing can be redone behind a new judgement, and the newest one is this
            progress = ProgressRecord(judged, record.rows, per_hour, True, False, judgement)
            draft = None if upcoming is None else draft_of(connection, record.id, upcoming, annotator)
            return Answered(progress, draft, newest_guidelines(connection, record.id))

    def undo(self, dataset: str, annotator: str) -> Judgement:
        """Take this annotator's newest judgement back (a record of its own); Conflict when there is none."""
        with self._database.write() as connection:
            moved = undo(connection, preferences(connection, dataset).id, annotator)
            if moved is None:
                raise Conflict("There is nothing to undo.", "Judge an item first.")
            return judgement_of(connection, moved)

    def redo(self, dataset: str, annotator: str) -> Judgement:
        """Let the judgement undone last count again; Conflict when there is none."""
        with self._database.write() as connection:
            moved = redo(connection, preferences(connection, dataset).id, annotator)
            if moved is None:
                raise Conflict("There is nothing to redo.", "Redo follows an undo, until something new is judged.")
            return judgement_of(connection, moved)

    def next_unjudged(
        self, dataset: str, annotator: str, exclude: Collection[str] = (), limit: int = 1
    ) -> builtins.list[PlacedItem]:
        """The first items that this annotator hasn't judged, in the dataset's order, without those in `exclude`.

        A remembered frontier (everything before it is judged) keeps this from walking over what is done.
        """
        with self._database.read() as connection:
            record = preferences(connection, dataset)
            frontier = _frontier(connection, record.id, annotator)
            wanted = {"dataset": record.id, "who": annotator, "frontier": frontier, "limit": limit + len(exclude)}
            found = connection.execute(_UNJUDGED, wanted).all()
            first = found[0].position if found else record.rows
            kept = [r for r in found if r.item not in exclude][:limit]
            items = [PlacedItem(r.position, r.item) for r in read_rows(connection, "preferences", kept) if r.item]
        if first - frontier > FRONTIER_SLACK:
            self._push_frontier(record.id, annotator, frontier, first)
        return items

    def item(self, dataset: str, item: str) -> PlacedItem:
        """One item by its name; NotFound."""
        with self._database.read() as connection:
            record = preferences(connection, dataset)
            row, _ = row_of(connection, record, item)
            return placed_item(connection, row)

    def progress(self, dataset: str, annotator: str) -> ProgressRecord:
        """How many items this annotator has judged, how fast, and whether undo and redo have something to do."""
        with self._database.read() as connection:
            return progress_in(connection, preferences(connection, dataset), annotator)

    def recent(self, dataset: str, annotator: str, limit: int) -> builtins.list[tuple[Judgement, Prompt]]:
        """The newest judgements of an annotator that aren't taken back, newest first, with their prompts."""
        with self._database.read() as connection:
            record = preferences(connection, dataset)
            mine = (_S.dataset_id == record.id) & (_S.annotator == annotator) & (_S.state == DONE)
            newest = select(_S.judgement_id).where(mine).order_by(_S.judgement_id.desc()).limit(limit)
            numbers = list(connection.execute(newest).scalars())
            joined = (
                judgements_with_items()
                .add_columns(t.prompts.c.turns, t.prompts.c.raw.label("is_raw"))
                .join(t.prompts, t.rows.c.prompt_id == t.prompts.c.id)
            )
            found = connection.execute(joined.where(t.judgements.c.id.in_(numbers)).order_by(t.judgements.c.id.desc()))
            return [
                (read_judgement(row), Prompt.model_validate({"turns": row.turns, "raw": row.is_raw})) for row in found
            ]

    def for_item(self, item: str, dataset: str | None = None) -> builtins.list[Judgement]:
        """The judgements that count for an item, oldest first."""
        with self._database.read() as connection:
            statement = _counting().where(t.rows.c.item == item)
            if dataset is not None:
                statement = statement.where(_S.dataset_id == preferences(connection, dataset).id)
            return _newest(connection.execute(statement).all())

    def current(self, dataset: str, start: int = 0, stop: int | None = None) -> builtins.list[Judgement]:
        """The judgements that count for items at positions `start` … `stop` - 1, by position."""
        with self._database.read() as connection:
            record = preferences(connection, dataset)
            here = (t.rows.c.dataset_id == record.id) & (t.rows.c.position >= start)
            if stop is not None:
                here &= t.rows.c.position < stop
            return _newest(connection.execute(_counting().where(here)).all())

    def standing(self, dataset: str, start: int, stop: int) -> builtins.list[Judgement]:
        """Every judgement that isn't taken back, also repeats, extras and those that a newer one replaces, as they were made."""
        with self._database.read() as connection:
            record = preferences(connection, dataset)
            here = (t.rows.c.dataset_id == record.id) & t.rows.c.position.between(start, stop - 1)
            joined = judgements_with_items().join(t.standings, _S.judgement_id == t.judgements.c.id)
            found = connection.execute(joined.where(here, _S.state == DONE).order_by(t.judgements.c.id))
            return [read_judgement(r) for r in found]

    def overlapping(self, dataset: str) -> builtins.list[Judgement]:
        """The judgements that count for items that several annotators have judged, by position."""
        with self._database.read() as connection:
            record = preferences(connection, dataset)
            here = (t.tallies.c.dataset_id == record.id) & (t.tallies.c.judged > 0)
            if connection.execute(select(func.count()).select_from(t.tallies).where(here)).scalar_one() < 2:
                return []
            counted = (
                select(_S.row_id).where(_S.dataset_id == record.id, _S.state == DONE, _S.counts).group_by(_S.row_id)
            )
            shared = counted.having(func.count(_S.annotator.distinct()) > 1)
            return _newest(connection.execute(_counting().where(t.judgements.c.row_id.in_(shared))).all())

    def signed_by_person(self, dataset: str, annotator: str) -> bool:
        """Whether a person has judged items of this dataset under a name."""
        with self._database.read() as connection:
            return signed_by_person(connection, preferences(connection, dataset).id, annotator)

    def of_item(self, dataset: str, item: str) -> builtins.list[Judgement]:
        """Every judgement ever made of an item, also those undone, oldest first; NotFound."""
        with self._database.read() as connection:
            row, _ = row_of(connection, preferences(connection, dataset), item)
            log = judgements_with_items().where(t.judgements.c.row_id == row).order_by(t.judgements.c.id)
            return [read_judgement(r) for r in connection.execute(log)]

    def mark(self) -> tuple[int, int, int]:
        """Numbers that are others as soon as something is judged, undone, redone or deleted."""
        newest = (func.max(t.judgements.c.id), func.max(t.judgement_moves.c.id), func.count(t.datasets.c.id))
        with self._database.read() as connection:
            a, b, c = (int(connection.execute(select(number)).scalar_one() or 0) for number in newest)
            return a, b, c

    def all(self, dataset: str) -> builtins.list[Judgement]:
        """Every judgement ever made in a dataset, also those undone, in the order in which they were made."""
        with self._database.read() as connection:
            record = preferences(connection, dataset)
            log = judgements_with_items().where(t.judgements.c.dataset_id == record.id).order_by(t.judgements.c.id)
            return [read_judgement(r) for r in connection.execute(log)]

    def counts(self, since: datetime) -> tuple[int, int]:
        """How many judgements persons made here since a moment, and how many of theirs count in all."""
        tally, j = t.tallies.c, t.judgements.c
        persons = (tally.annotator_kind == "person") & (tally.annotator != IMPORTED)
        with self._database.read() as connection:
            total = connection.execute(select(func.coalesce(func.sum(tally.judged), 0)).where(persons)).scalar_one()
            names = list(connection.execute(select(tally.annotator).where(persons).distinct()).scalars())
            made = t.judgements.join(t.standings, _S.judgement_id == j.id)
            recent = select(func.count()).select_from(made).where(_S.state == DONE, j.created >= since)
            return int(connection.execute(recent.where(j.annotator.in_(names))).scalar_one()), int(total)

    def _push_frontier(self, dataset: int, annotator: str, before: int, after: int) -> None:
        fields = {"dataset_id": dataset, "annotator": annotator, "annotator_kind": "person", "judged": 0}
        with self._database.write() as connection:
            connection.execute(
                upsert(connection, t.tallies)
                .values(frontier=after, **fields)
                .on_conflict_do_update(
                    index_elements=["dataset_id", "annotator"],
                    set_={"frontier": after},
                    where=t.tallies.c.frontier == before,  # an undo meanwhile has moved it back: leave it
                )
            )


def preferences(connection: Connection, dataset: str) -> DatasetRecord:
    """A dataset that holds items to judge; NotFound, BadInput."""
    record = get_dataset(connection, dataset)
    if record.kind != "preferences":
        raise BadInput(
            f"{dataset} holds {record.kind}, not items to judge.", "Choose a dataset of preferences, or import one."
        )
    return record


def progress_in(connection: Connection, record: DatasetRecord, annotator: str) -> ProgressRecord:
    """How far an annotator is in a dataset, within the caller's transaction."""
    judged = _judged_by(connection, record.id, annotator)
    per_hour, newest = pace_in(connection, record.id, annotator)
    back, forth = can_move(connection, record.id, annotator)
    last = None if newest is None else judgement_of(connection, newest)
    return ProgressRecord(judged, record.rows, per_hour, back, forth, last)


def _judged_by(connection: Connection, dataset: int, annotator: str) -> int:
    found = connection.execute(_TALLY, {"dataset": dataset, "who": annotator}).one_or_none()
    return 0 if found is None else int(found.judged)


def pace_in(connection: Connection, dataset: int, annotator: str) -> tuple[float, int | None]:
    """How many judgements an hour an annotator gives, from the last ones that stand, and the newest one's number."""
    newest = connection.execute(_RECENT, {"dataset": dataset, "who": annotator}).all()
    return _per_hour([created for _, created in reversed(newest)]), newest[0][0] if newest else None


def placed_item(connection: Connection, row: int) -> PlacedItem:
    """An item by the number of its row."""
    found = connection.execute(_ROW, {"row": row}).all()
    (read,) = read_rows(connection, "preferences", found)
    assert read.item is not None
    return PlacedItem(read.position, read.item)


def row_of(connection: Connection, dataset: DatasetRecord, item: str) -> tuple[int, int]:
    """The row id of an item and how many candidates it has."""
    found = connection.execute(_SIZE, {"item": item, "dataset": dataset.id}).one_or_none()
    if found is None:
        raise NotFound(f"There is no item {item!r} in {dataset.name}.", "Open the dataset again.")
    return int(found[0]), int(found[1])


def row_for(connection: Connection, dataset: DatasetRecord, judgement: Judgement) -> int:
    """The row id of the item that a judgement speaks of; NotFound, BadInput when it names other candidates."""
    row, size = row_of(connection, dataset, judgement.item)
    if len(judgement.shown) != size:
        raise BadInput("The judgement doesn't name every candidate of its item.", "Judge the item again.")
    return row


def _frontier(connection: Connection, dataset: int, annotator: str) -> int:
    found = connection.execute(_TALLY, {"dataset": dataset, "who": annotator}).one_or_none()
    return 0 if found is None else int(found.frontier)


def judgements_with_items() -> Any:
    """The statement for judgements with the names and positions of their items."""
    return select(t.judgements, t.rows.c.item, t.rows.c.position).join(t.rows, t.judgements.c.row_id == t.rows.c.id)


def _counting() -> Any:
    joined = judgements_with_items().join(t.standings, _S.judgement_id == t.judgements.c.id)
    return joined.where(_S.state == DONE, _S.counts).order_by(t.rows.c.position, t.judgements.c.id)


def judgement_of(connection: Connection, number: int) -> Judgement:
    """One judgement by its number."""
    return read_judgement(connection.execute(judgements_with_items().where(t.judgements.c.id == number)).one())


def _newest(found: Sequence[Any]) -> list[Judgement]:
    """Of several judgements of one item by one annotator, the newest counts."""
    kept = {(r.row_id, r.annotator): r for r in found}
    return [read_judgement(r) for r in kept.values()]


def _per_hour(times: Sequence[datetime]) -> float:
    """Judgements an hour; pauses longer than five minutes don't count."""
    gaps = [(b - a).total_seconds() for a, b in pairwise(times)]
    working = [g for g in gaps if 0 <= g <= PAUSE_SECONDS]
    return 3600 * len(working) / sum(working) if sum(working) > 0 else 0.0
