"""Queues of items: what they are, who is asked what, and what becomes of an answer. Each method is one short transaction.

An answer, the end of its lease, the choice of the next item and its lease are one transaction: no two annotators can be
given the last place of an item, and one commit is all that an annotator waits for.
"""

from __future__ import annotations

import builtins
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from sqlalchemy import Connection, bindparam, select, update

from workbench.domain.errors import Conflict, NotFound
from workbench.domain.judgement import Judgement, Purpose
from workbench.domain.queues import QueueSpec
from workbench.store import schema as t
from workbench.store.answers import Answer, answers_of, row_state
from workbench.store.asking import Asked, choose, left_for, queue_size
from workbench.store.database import Database
from workbench.store.datasets import READY, DatasetRecord
from workbench.store.drafts import forget_draft
from workbench.store.item_leases import free_for, give_back, renew_lease, take_lease
from workbench.store.judging import append_judgements, next_redo, redo, undo
from workbench.store.labels import (
    ProgressRecord,
    judgement_of,
    pace_in,
    placed_item,
    preferences,
    progress_in,
    row_for,
    row_of,
)
from workbench.store.queue_counts import CLOSED, OPEN, Progress, QueueRecord, following, progress_of, queue_record
from workbench.store.queue_making import begin_queue, fill_queue, hide_queue, show_queue, sweep_queues

EXTRA = "Others have answered this item meanwhile: your answer is kept and can be undone, but it doesn't count."
_Q = t.queues.c
_BY_NAME = select(t.queues).where(_Q.name == bindparam("name"))


class QueueFigures(NamedTuple):
    """A queue as an annotator sees it: its items, those that are full, and those that can still come to them."""

    record: QueueRecord
    dataset: str
    size: int
    left: int


class Turn(NamedTuple):
    """What came of an answer, and what is asked next; `judgement` is None at the beginning.

    In a queue, `progress.judged` counts the annotator's answers there, and `progress.total` adds what can still come.
    `notice` tells the annotator what became of their answer where they wouldn't expect it.
    """

    judgement: Judgement | None
    progress: ProgressRecord
    next: Asked | None
    notice: str = ""


class Queues:
    """The queues of a workspace."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def list(self, annotator: str, dataset: str = "") -> builtins.list[QueueFigures]:
        """The queues over a dataset (over all), oldest first, as an annotator sees them."""
        joined = select(t.queues, t.datasets.c.name.label("over")).join(t.datasets, _Q.dataset_id == t.datasets.c.id)
        wanted = joined.where(_Q.state.in_((OPEN, CLOSED)), t.datasets.c.state == READY).order_by(_Q.created, _Q.id)
        with self._database.read() as connection:
            found = connection.execute(wanted.where(t.datasets.c.name == dataset) if dataset else wanted).all()
            return [_figures(connection, queue_record(row), row.over, annotator) for row in found]

    def get(self, name: str, annotator: str) -> QueueFigures:
        """One queue as an annotator sees it; NotFound."""
        with self._database.read() as connection:
            queue = find_queue(connection, name)
            over = select(t.datasets.c.name).where(t.datasets.c.id == queue.dataset)
            return _figures(connection, queue, connection.execute(over).scalar_one(), annotator)

    def making(self, spec: QueueSpec) -> Iterator[int]:
        """Make a queue, step by step, each a short transaction; yields how many items are in. Conflict, NotFound, BadInput."""
        yield from sweep_queues(self._database)
        made = begin_queue(self._database, spec)
        yield from fill_queue(self._database, made)
        show_queue(self._database, made)

    def ordering(self, name: str) -> Iterator[int]:
        """Order again what nobody has answered, step by step; items that the dataset has won since come in. NotFound."""
        yield from sweep_queues(self._database)
        with self._database.read() as connection:
            old = find_queue(connection, name)
        if not old.follows:
            made = begin_queue(self._database, old.spec, old)
            yield from fill_queue(self._database, made)
            show_queue(self._database, made)
            yield from sweep_queues(self._database)

    def refresh(self, name: str) -> None:
        """Order again at once."""
        for _ in self.ordering(name):
            pass

    def create(self, spec: QueueSpec) -> None:
        """Make a queue at once."""
        for _ in self.making(spec):
            pass

    def set_open(self, name: str, is_open: bool) -> None:
        """Open or close a queue; what was said in it stays."""
        with self._database.write() as connection:
            queue = find_queue(connection, name)
            connection.execute(update(t.queues).where(_Q.id == queue.id).values(state=OPEN if is_open else CLOSED))

    def delete(self, name: str) -> None:
        """Take a queue away; what was said in it stays."""
        with self._database.write() as connection:
            hide_queue(connection, find_queue(connection, name).id)
        for _ in sweep_queues(self._database):
            pass

    def begin(self, dataset: str, name: str, annotator: str) -> Turn:
        """The first item for an annotator, with a lease on it."""
        with self._database.write() as connection:
            record, queue = _over(connection, dataset, name)
            asked, _, _ = _next(connection, queue, annotator)
            return Turn(None, _progress(connection, record, queue, annotator), asked)

    def answer(self, dataset: str, judgement: Judgement) -> Turn:
        """Append a judgement that names its queue, and give the next item.

        A label that comes when the item has all that it needs is kept as an "extra". What is said in a queue that was
        closed or deleted meanwhile is kept too, and nothing comes next.
        """
        with self._database.write() as connection:
            record = preferences(connection, dataset)
            row = row_for(connection, record, judgement)
            notice = ""
            with following(connection, record.id, [row]) as watch:
                queue = watch.queue(judgement.queue)
                if queue is None:
                    notice = f"The queue {judgement.queue} was deleted meanwhile; your answer is kept."
                elif queue.state == CLOSED:
                    notice = f"The queue {judgement.queue} was closed meanwhile; your answer is kept."
                elif is_extra(connection, queue, row, judgement, watch.before.get(row, ())):
                    judgement, notice = judgement.model_copy(update={"purpose": "extra"}), EXTRA
                append_judgements(connection, record.id, [(row, judgement)])
            forget_draft(connection, row, judgement.annotator)
            if queue is None:
                return Turn(judgement, progress_in(connection, record, judgement.annotator), None, notice)
            asked, mine, left = _next(connection, queue, judgement.annotator)
            per_hour, _ = pace_in(connection, record.id, judgement.annotator)
            progress = ProgressRecord(mine.judged, mine.judged + left, per_hour, True, False, judgement)
            return Turn(judgement, progress, asked, notice)

    def undo(self, dataset: str, name: str, annotator: str) -> Turn:
        """Take the newest judgement back; its item comes next, kept from others if it was asked in a queue."""
        with self._database.write() as connection:
            record = preferences(connection, dataset)
            moved = undo(connection, record.id, annotator)
            if moved is None:
                raise Conflict("There is nothing to undo.", "Judge an item first.")
            said = judgement_of(connection, moved)
            row, _ = row_of(connection, record, said.item)
            queue = seek_queue(connection, said.queue or "", record.id)
            if queue is not None:
                take_lease(connection, queue, row, annotator, _until(queue))
            purpose: Purpose = "label" if said.purpose == "extra" else said.purpose
            asked = Asked(row, placed_item(connection, row), purpose, said, taken_back=True)
            shown = seek_queue(connection, name, record.id) if name else queue
            return Turn(said, _progress(connection, record, shown, annotator), asked)

    def redo(self, dataset: str, name: str, annotator: str) -> Turn:
        """Let the judgement undone last stand again, and go on in a queue (if one is named).

        When others have answered the item meanwhile, it stands and doesn't count.
        """
        with self._database.write() as connection:
            record = preferences(connection, dataset)
            said = next_redo(connection, record.id, annotator)
            if said is None:
                raise Conflict("There is nothing to redo.", "Redo follows an undo, until something new is judged.")
            own = seek_queue(connection, said.queue or "", record.id)
            row, _ = row_of(connection, record, said.item)
            late = own is not None and is_extra(connection, own, row, said, answers_of(connection, [row]).get(row, ()))
            redo(connection, record.id, annotator, counts=said.counts and not late)
            queue = seek_queue(connection, name, record.id) if name else None
            asked = None if queue is None else _next(connection, queue, annotator)[0]
            return Turn(said, _progress(connection, record, queue, annotator), asked, EXTRA if late else "")

    def renew(self, name: str, item: str, annotator: str) -> bool:
        """Prolong an annotator's lease of an item; False when they have none any more."""
        with self._database.write() as connection:
            queue = find_queue(connection, name)
            row = _row(connection, queue, item)
            return row is not None and renew_lease(connection, queue, row, annotator, _until(queue))

    def resume(self, name: str, item: str, annotator: str) -> bool:
        """Take the lease of an item again; False when others have, or look at, all that it needs.

        Golds come to everybody. In a queue that was closed or deleted meanwhile nothing is kept from anybody.
        """
        with self._database.write() as connection:
            found = connection.execute(select(t.queues).where(_Q.name == name, _Q.state == OPEN)).one_or_none()
            if found is None:
                return True
            queue = queue_record(found)
            row = _row(connection, queue, item)
            if row is None:
                return False
            gold = bool(queue.spec.golds) and _is_gold(connection, row)
            if not gold and not free_for(connection, queue, row, annotator, datetime.now(UTC)):
                return False
            take_lease(connection, queue, row, annotator, _until(queue))
            return True

    def leave(self, name: str, annotator: str) -> None:
        """Let others have what an annotator was looking at in a queue."""
        with self._database.write() as connection:
            found = connection.execute(select(_Q.id).where(_Q.name == name)).scalar_one_or_none()
            if found is not None:
                give_back(connection, found, annotator)


def seek_queue(connection: Connection, name: str, dataset: int) -> QueueRecord | None:
    """A queue over a dataset; None when there is none (any more)."""
    row = connection.execute(_BY_NAME, {"name": name}).one_or_none()
    there = row is not None and row.dataset_id == dataset and row.state in {OPEN, CLOSED}
    return queue_record(row) if row is not None and there else None


def find_queue(connection: Connection, name: str) -> QueueRecord:
    """A queue by name; NotFound."""
    row = connection.execute(_BY_NAME, {"name": name}).one_or_none()
    if row is None or row.state not in {OPEN, CLOSED}:
        raise NotFound(f"There is no queue called {name!r}.", "See `workbench label queue list`.")
    return queue_record(row)


def is_extra(
    connection: Connection, queue: QueueRecord, row: int, judgement: Judgement, answers: Sequence[Answer]
) -> bool:
    """Whether a label is one too many: the item has all that it needs, and this annotator's isn't among it."""
    if judgement.outcome == "skipped" or not judgement.counts:
        return False
    if queue.spec.golds and _is_gold(connection, row):
        return False
    state = row_state(queue.spec, answers)
    return state.missing == 0 and judgement.annotator not in state.labelled


def _row(connection: Connection, queue: QueueRecord, item: str) -> int | None:
    here = (t.rows.c.item == item) & (t.rows.c.dataset_id == queue.dataset)
    return connection.execute(select(t.rows.c.id).where(here)).scalar_one_or_none()


def _is_gold(connection: Connection, row: int) -> bool:
    return connection.execute(select(t.golds.c.row_id).where(t.golds.c.row_id == row)).first() is not None


def _over(connection: Connection, dataset: str, name: str) -> tuple[DatasetRecord, QueueRecord]:
    record, queue = preferences(connection, dataset), find_queue(connection, name)
    if queue.dataset != record.id:
        raise NotFound(f"There is no queue called {name!r} over {dataset}.", "See `workbench label queue list`.")
    return record, queue


def _until(queue: QueueRecord) -> datetime:
    return datetime.now(UTC) + timedelta(minutes=queue.spec.lease_minutes)


def _figures(connection: Connection, queue: QueueRecord, dataset: str, annotator: str) -> QueueFigures:
    size = queue_size(connection, queue)
    return QueueFigures(queue, dataset, size, left_for(queue, size, progress_of(connection, queue.id, annotator)))


def _next(connection: Connection, queue: QueueRecord, annotator: str) -> tuple[Asked | None, Progress, int]:
    """Choose the next item and lease it; what this annotator held before is free. Also how far they are, and what is left."""
    queue = find_queue(connection, queue.name)  # what was just said has changed its counts
    mine = progress_of(connection, queue.id, annotator)
    left = left_for(queue, queue_size(connection, queue), mine)
    asked = choose(connection, queue, annotator, mine, datetime.now(UTC)) if left and queue.state == OPEN else None
    if asked is None or asked.purpose == "repeat":
        give_back(connection, queue.id, annotator)
    else:
        take_lease(connection, queue, asked.row, annotator, _until(queue))
    return asked, mine, left


def _progress(
    connection: Connection, dataset: DatasetRecord, queue: QueueRecord | None, annotator: str
) -> ProgressRecord:
    progress = progress_in(connection, dataset, annotator)
    if queue is None:
        return progress
    queue = find_queue(connection, queue.name)
    mine = progress_of(connection, queue.id, annotator)
    left = left_for(queue, queue_size(connection, queue), mine)
    return progress._replace(judged=mine.judged, total=mine.judged + left)
