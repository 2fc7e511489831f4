"""Drafts: what somebody has begun to say about an item, overwritten as they go on and gone once they have judged."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, bindparam, delete, insert, select

from workbench.domain.errors import NotFound
from workbench.store import schema as t
from workbench.store.database import Database
from workbench.store.datasets import get_dataset

_D = t.drafts.c
_OF_ITEM = (
    select(_D.body)
    .join(t.rows, t.rows.c.id == _D.row_id)
    .where(t.rows.c.item == bindparam("item"), t.rows.c.dataset_id == bindparam("dataset"))
    .where(_D.annotator == bindparam("who"))
)
_FORGET = delete(t.drafts).where(_D.row_id == bindparam("row"), _D.annotator == bindparam("who"))


class Drafts:
    """One draft for each item and annotator. Each method is one short transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def save(self, dataset: str, item: str, annotator: str, body: dict[str, Any] | None) -> None:
        """Keep a draft in place of the one before; None throws it away."""
        with self._database.write() as connection:
            row = _row(connection, dataset, item)
            forget_draft(connection, row, annotator)
            if body is not None:
                values = {"row_id": row, "annotator": annotator, "body": body, "updated": datetime.now(UTC)}
                connection.execute(insert(t.drafts).values(values))

    def get(self, dataset: str, item: str, annotator: str) -> dict[str, Any] | None:
        """The draft, None when there is none."""
        with self._database.read() as connection:
            return read_draft(connection, _row(connection, dataset, item), annotator)


def read_draft(connection: Connection, row: int, annotator: str) -> dict[str, Any] | None:
    """The draft of a row's item, within the caller's transaction."""
    mine = (_D.row_id == row) & (_D.annotator == annotator)
    body: dict[str, Any] | None = connection.execute(select(_D.body).where(mine)).scalar_one_or_none()
    return body


def draft_of(connection: Connection, dataset: int, item: str, annotator: str) -> dict[str, Any] | None:
    """The draft of an item by its name, within the caller's transaction."""
    wanted = {"item": item, "dataset": dataset, "who": annotator}
    body: dict[str, Any] | None = connection.execute(_OF_ITEM, wanted).scalar_one_or_none()
    return body


def forget_draft(connection: Connection, row: int, annotator: str) -> None:
    """Throw a draft away, in the transaction of the judgement that it became."""
    connection.execute(_FORGET, {"row": row, "who": annotator})


def _row(connection: Connection, dataset: str, item: str) -> int:
    here = (t.rows.c.item == item) & (t.rows.c.dataset_id == get_dataset(connection, dataset).id)
    row = connection.execute(select(t.rows.c.id).where(here)).scalar_one_or_none()
    if row is None:
        raise NotFound(f"There is no item {item!r} in {dataset}.", "Open the dataset again.")
    return int(row)
