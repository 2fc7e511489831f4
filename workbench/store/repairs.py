"""Repairs: a better version of a candidate becomes a pair and a demonstration, both in one transaction."""

from __future__ import annotations

from typing import Any, NamedTuple

from sqlalchemy import Connection, select

from workbench.domain.errors import BadInput, NotFound
from workbench.domain.judgement import Item, Judgement
from workbench.domain.rows import DatasetKind
from workbench.domain.text import Demonstration
from workbench.store import schema as t
from workbench.store.answers import DONE
from workbench.store.database import Database
from workbench.store.datasets import get_dataset, insert_dataset
from workbench.store.filling import NewRow, fill
from workbench.store.judging import insert_judgements


class Repair(NamedTuple):
    """What a repair leaves: an item of the repaired and the original, the judgement on it, and the facts to show beside it."""

    item: Item
    judgement: Judgement
    facts: dict[str, Any]


class Repairs:
    """Keeps repairs in datasets that are made when they are first needed. Each method is one short transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, repair: Repair, pairs: str, demonstrations: str, source: str) -> bool:
        """Append the pair and the demonstration; False when this annotator has kept this very repair before."""
        with self._database.write() as connection:
            dataset = _dataset(connection, pairs, "preferences", source)
            row = _row(connection, dataset, repair.item.id)
            if row is not None:  # somebody has mended it so before: their verdicts meet, and the demonstration is there
                again = not _stands(connection, row, repair.judgement.annotator)
                if again:
                    insert_judgements(connection, dataset, [(row, repair.judgement)])
                return again
            fill(connection, dataset, "preferences", [NewRow((repair.item, [repair.judgement]), raw=repair.facts)])
            written = Demonstration(prompt=repair.item.prompt, completion=repair.item.candidates[0].text)
            dataset = _dataset(connection, demonstrations, "demonstrations", source)
            fill(connection, dataset, "demonstrations", [NewRow(written, raw=repair.facts)])
            return True


def _dataset(connection: Connection, name: str, kind: DatasetKind, source: str) -> int:
    try:
        record = get_dataset(connection, name)
    except NotFound:
        insert_dataset(connection, name, kind, source, synthetic=False)
        record = get_dataset(connection, name)
    if record.kind != kind:
        raise BadInput(
            f"{name} holds {record.kind}, so no repair can be kept there.", "Give that dataset another name."
        )
    return record.id


def _row(connection: Connection, dataset: int, item: str) -> int | None:
    here = (t.rows.c.dataset_id == dataset) & (t.rows.c.item == item)
    return connection.execute(select(t.rows.c.id).where(here)).scalar_one_or_none()


def _stands(connection: Connection, row: int, annotator: str) -> bool:
    s = t.standings.c
    mine = (s.row_id == row) & (s.annotator == annotator) & (s.state == DONE)
    return connection.execute(select(s.judgement_id).where(mine).limit(1)).first() is not None
