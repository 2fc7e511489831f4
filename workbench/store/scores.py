"""What reward models think of items: kept by item and model, the newest score of a model in place of its older one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from sqlalchemy import Connection, delete, func, insert, select

from workbench.domain.events import Scored
from workbench.store import schema as t
from workbench.store.answers import KEYS_AT_ONCE
from workbench.store.database import Database
from workbench.store.datasets import get_dataset


class ItemScore(NamedTuple):
    """One item's scores, by candidate, and how far the ensemble's heads lie apart on it."""

    item: str
    scores: tuple[float, ...]
    spread: float | None


class Scores:
    """Scores of the items of a dataset, by reward model. Each method is one short transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def of(self, dataset: str, model: str) -> list[ItemScore]:
        """What a model has said of a dataset's items, by position."""
        s, r = t.row_scores.c, t.rows.c
        with self._database.read() as connection:
            here = (r.dataset_id == get_dataset(connection, dataset).id) & (s.model == model)
            found = select(r.item, s.scores, s.spread).join(t.rows, s.row_id == r.id).where(here).order_by(r.position)
            return [ItemScore(row.item, tuple(row.scores), _known(row.spread)) for row in connection.execute(found)]

    def models(self, dataset: str) -> list[tuple[str, int]]:
        """(model, how many items it has scored), the one that scored last first."""
        s, r = t.row_scores.c, t.rows.c
        with self._database.read() as connection:
            here = r.dataset_id == get_dataset(connection, dataset).id
            counted = select(s.model, func.count()).join(t.rows, s.row_id == r.id).where(here)
            found = counted.group_by(s.model).order_by(func.max(s.created).desc(), s.model)
            return [(model, int(count)) for model, count in connection.execute(found)]


def keep_scores(
    connection: Connection, run: str, model: str, dataset: int, events: Sequence[Scored]
) -> Iterator[tuple[str, str]]:
    """Put scores in place of the model's older ones; yields (what, hint) when items are gone or have other candidates."""
    sizes = rows_and_sizes(connection, dataset, [event.item for event in events])
    kept = {event.item: event for event in events if sizes.get(event.item, (0, 0))[1] == len(event.scores)}
    if gone := {event.item for event in events} - kept.keys():
        yield f"{len(gone)} scores could not be kept: their items are gone.", "Score the dataset again."
    rows = [sizes[item][0] for item in kept]
    for start in range(0, len(rows), KEYS_AT_ONCE):
        some = t.row_scores.c.row_id.in_(rows[start : start + KEYS_AT_ONCE])
        connection.execute(delete(t.row_scores).where(some, t.row_scores.c.model == model))
    now = datetime.now(UTC)
    values = [
        {
            "row_id": sizes[item][0], "model": model, "scores": list(event.scores), "spread": event.spread, "run": run,
            "created": now,
        }
        for item, event in kept.items()
    ]  # fmt: skip
    if values:
        connection.execute(insert(t.row_scores), values)


def _known(spread: float) -> float | None:
    return None if spread != spread else spread  # NULL is read as not-a-number


def rows_and_sizes(connection: Connection, dataset: int, items: Sequence[str]) -> dict[str, tuple[int, int]]:
    """(row id, number of candidates) of items by name."""
    r, c = t.rows.c, t.candidates.c
    found: dict[str, tuple[int, int]] = {}
    for start in range(0, len(items), KEYS_AT_ONCE):
        here = (r.dataset_id == dataset) & r.item.in_(items[start : start + KEYS_AT_ONCE])
        sizes = select(r.item, r.id, func.count(c.id)).join(t.candidates, c.row_id == r.id).where(here)
        found |= {item: (row, size) for item, row, size in connection.execute(sizes.group_by(r.item, r.id))}
    return found
