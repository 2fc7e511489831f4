"""What statistics read: judgements and items without texts, in slices, as plain tuples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import func, select

from workbench.domain.said import Ranks, Said, Shape, on_screen, ranks_of_tiers
from workbench.store import schema as t
from workbench.store.answers import DONE, KEYS_AT_ONCE
from workbench.store.database import Database
from workbench.store.datasets import get_dataset

SNIPPET = 200
LOOKED_AT = 4_000  # rows in one transaction, and of them so many that are judged: a label that waits doesn't notice
JUDGED = 200


class Slice(NamedTuple):
    """Part of a dataset: its judged items, and every judgement of them that stands, by item and in the order of their making.

    `stop` is the position at which the next part begins.
    """

    stop: int
    shapes: list[Shape]
    said: list[Said]


class Statistics:
    """Reads for `analysis`. Each method is one short transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def part(self, dataset: str, start: int) -> Slice:
        """What was said of the items from a position on, repeats and extras too, without what was undone; as much as is read in a moment."""
        j, r, s = t.judgements.c, t.rows.c, t.standings.c
        with self._database.read() as connection:
            number = get_dataset(connection, dataset).id
            judged = select(s.judgement_id).where(s.row_id == r.id, s.state == DONE).exists()
            ahead = (r.dataset_id == number) & (r.position >= start) & (r.position < start + LOOKED_AT)
            first = select(r.position).where(ahead, judged).order_by(r.position).limit(JUDGED)
            places = list(connection.execute(first).scalars())
            stop = places[-1] + 1 if len(places) == JUDGED else start + LOOKED_AT
            if not places:
                return Slice(stop, [], [])
            here = (r.dataset_id == number) & (r.position >= places[0]) & (r.position < stop)
            wanted = (
                select(
                    r.item, j.annotator, j.outcome, j.ranking, j.shown, j.milliseconds, j.created, j.annotator_kind,
                    j.shown_seed, j.purpose, j.queue, j.aspects,
                )
                .select_from(t.rows.join(t.judgements, j.row_id == r.id).join(t.standings, s.judgement_id == j.id))
                .where(here, s.state == DONE)
                .order_by(r.position, j.id)
            )  # fmt: skip
            said = [_said(row) for row in connection.execute(wanted)]
            joined = t.rows.join(t.candidates, t.candidates.c.row_id == r.id)
            offered = (
                select(r.item, r.position, r.prompt_id, t.candidates.c.model, func.length(t.candidates.c.text))
                .select_from(joined)
                .where(here, judged)
                .order_by(r.position, t.candidates.c.place)
            )
            return Slice(stop, _shapes(connection.execute(offered).all()), said)

    def random_items(self, dataset: str, queues: Sequence[str]) -> set[tuple[str, str]]:
        """(queue, item) of the items that some queues drew at random."""
        q, i = t.queues.c, t.queue_items.c
        with self._database.read() as connection:
            number = get_dataset(connection, dataset).id
            wanted = (
                select(q.name, t.rows.c.item)
                .select_from(t.queue_items.join(t.queues, q.id == i.queue_id).join(t.rows, t.rows.c.id == i.row_id))
                .where(q.dataset_id == number, q.name.in_(queues), i.origin == "random")
            )
            return {(row.name, row.item) for row in connection.execute(wanted)}

    def strategies(self, dataset: str) -> dict[str, str]:
        """The strategy of every queue of a dataset."""
        with self._database.read() as connection:
            number = get_dataset(connection, dataset).id
            wanted = select(t.queues.c.name, t.queues.c.spec).where(t.queues.c.dataset_id == number)
            return {row.name: str(row.spec.get("strategy", "in_order")) for row in connection.execute(wanted)}

    def golds(self, dataset: str) -> dict[str, Ranks]:
        """The known answers of a dataset's gold items."""
        with self._database.read() as connection:
            number = get_dataset(connection, dataset).id
            joined = t.golds.join(t.rows, t.rows.c.id == t.golds.c.row_id)
            wanted = select(t.rows.c.item, t.golds.c.ranking).select_from(joined).where(t.rows.c.dataset_id == number)
            return {row.item: ranks_of_tiers(_tiers(row.ranking)) for row in connection.execute(wanted)}

    def texts(self, dataset: str, items: Sequence[str]) -> dict[str, tuple[str, ...]]:
        """The candidates' texts of a few items."""
        found: dict[str, list[str]] = {}
        c, r = t.candidates.c, t.rows.c
        with self._database.read() as connection:
            number = get_dataset(connection, dataset).id
            for start in range(0, len(items), KEYS_AT_ONCE):
                here = (r.dataset_id == number) & r.item.in_(items[start : start + KEYS_AT_ONCE])
                joined = t.rows.join(t.candidates, c.row_id == r.id)
                wanted = select(r.item, c.text).select_from(joined).where(here).order_by(r.position, c.place)
                for row in connection.execute(wanted):
                    found.setdefault(row.item, []).append(row.text)
        return {item: tuple(texts) for item, texts in found.items()}

    def snippets(self, dataset: str, items: Sequence[str]) -> dict[str, str]:
        """The beginning of the prompt of a few items."""
        found: dict[str, str] = {}
        r = t.rows.c
        with self._database.read() as connection:
            number = get_dataset(connection, dataset).id
            for start in range(0, len(items), KEYS_AT_ONCE):
                here = (r.dataset_id == number) & r.item.in_(items[start : start + KEYS_AT_ONCE])
                joined = t.rows.join(t.prompts, t.prompts.c.id == r.prompt_id)
                begin = func.substr(t.prompts.c.text, 1, SNIPPET)
                for item, words in connection.execute(select(r.item, begin).select_from(joined).where(here)):
                    found[item] = words
        return found


def _said(row: Any) -> Said:
    item, annotator, outcome, ranking, shown, milliseconds, created, kind, seed, purpose, queue, aspects = row
    return Said(
        item,
        annotator,
        outcome,
        () if ranking is None else ranks_of_tiers(ranking),
        tuple(shown),
        milliseconds,
        created.timestamp(),
        kind,
        on_screen(kind, milliseconds, seed),
        purpose,
        queue,
        tuple((a["name"], ranks_of_tiers(_tiers(a["ranking"]))) for a in aspects or ()),
    )


def _tiers(kept: Any) -> list[list[int]]:
    """Tiers, whether they were kept as they are or as a ranking."""
    found: list[list[int]] = kept["tiers"] if isinstance(kept, dict) else kept
    return found


def _shapes(rows: Sequence[Any]) -> list[Shape]:
    found: list[Shape] = []
    item, models, lengths = "", [], []  # type: str, list[str | None], list[int]
    position = prompt = 0
    for name, where, number, model, length in rows:
        if name != item or where != position:
            if models:
                found.append(Shape(item, position, prompt, tuple(models), tuple(lengths)))
            item, position, prompt, models, lengths = name, where, number or 0, [], []
        models.append(model)
        lengths.append(length)
    if models:
        found.append(Shape(item, position, prompt, tuple(models), tuple(lengths)))
    return found
