"""Merging rows: which row here holds the same content as one there, and appending those that aren't here.

A row is the same by its content, not by its name: an item by its prompt and the texts of its candidates in any order, a
demonstration by prompt and completion. What stands twice there stands at least twice here afterwards. Each slice is a transaction
of its own; a merge that is done again from its beginning finds what its first slices have brought.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, select

from workbench.domain.judgement import Item
from workbench.domain.text import Demonstration
from workbench.store import schema as t
from workbench.store.database import Database
from workbench.store.datasets import DatasetRecord, RowRecord, get_dataset, read_rows, rows_of
from workbench.store.filling import NewRow, fill

SLICE = 50  # rows in one transaction: about as long as a label takes


class Placed(NamedTuple):
    """Where an item of the other workspace is here: its row, and the candidate here for each candidate there."""

    row: int
    order: tuple[int, ...]

    def tiers(self, theirs: Sequence[Sequence[int]]) -> list[list[int]]:
        """A ranking of theirs in the candidates here."""
        return [[self.order[i] for i in tier] for tier in theirs]


class Rows:
    """Brings the rows of one dataset; afterwards `placed` says where each item of the other workspace is, by its row there."""

    def __init__(self, here: Database, there: Connection, ours: DatasetRecord, theirs: DatasetRecord) -> None:
        self._database, self._there = here, there
        self._here: Connection
        self._ours, self._theirs = ours, theirs
        self._taken: set[int] = set()
        self._used: Counter[bytes] = Counter()
        self._texts: Counter[bytes] | None = None
        self.placed: dict[int, Placed] = {}
        self.added = 0

    def bring(self) -> Iterator[int]:
        """Go through all rows there, slice by slice; yields how many were looked at."""
        if self._theirs.kind == "documents":
            self._texts = self._texts_here()
        for start in range(0, self._theirs.rows, SLICE):
            page = rows_of(self._theirs.id).where(t.rows.c.position.between(start, start + SLICE - 1))
            found = self._there.execute(page.order_by(t.rows.c.position)).all()
            records = read_rows(self._there, self._theirs.kind, found)
            with self._database.write() as self._here:
                if self._theirs.kind == "preferences":
                    self._bring_items([row.id for row in found], records)
                else:
                    self._bring_plain(records)
            yield len(found)

    def _bring_items(self, numbers: Sequence[int], records: Sequence[RowRecord]) -> None:
        items = [record.item for record in records if record.item is not None]
        known = self._items_here([item.prompt.key() for item in items])
        fresh: list[int] = []
        # Items of the same name first, so that a twin under another name doesn't take their place.
        for by_name in (True, False):
            for place, item in enumerate(items):
                if numbers[place] not in self.placed and (row := self._match(item, known, by_name=by_name)) is not None:
                    self.placed[numbers[place]] = Placed(row[0], candidates_by_text(item, row[1]))
        for place, number in enumerate(numbers):
            if number not in self.placed:
                fresh.append(place)
        made = self._append([NewRow((items[p], []), records[p].line, records[p].raw) for p in fresh])
        for place, row_id in zip(fresh, made, strict=True):
            self._taken.add(row_id)
            self.placed[numbers[place]] = Placed(row_id, tuple(range(len(items[place].candidates))))

    def _match(
        self, item: Item, known: dict[bytes, list[tuple[int, Item]]], *, by_name: bool
    ) -> tuple[int, Item] | None:
        for row, mine in known.get(content_of(item), ()):
            if row not in self._taken and (not by_name or mine.id == item.id):
                self._taken.add(row)
                return row, mine
        return None

    def _items_here(self, keys: Sequence[str]) -> dict[bytes, list[tuple[int, Item]]]:
        """The items of our dataset with these prompts, by content, in the order of their positions."""
        found = [row for row in self._with_prompts(keys) if row.position < self._ours.rows]
        records = read_rows(self._here, "preferences", found)
        by_content: dict[bytes, list[tuple[int, Item]]] = {}
        for row, record in zip(found, records, strict=True):
            assert record.item is not None
            by_content.setdefault(content_of(record.item), []).append((row.id, record.item))
        return by_content

    def _bring_plain(self, records: Sequence[RowRecord]) -> None:
        keys = [_plain_key(record) for record in records]
        have = self._plain_here(records)
        fresh = []
        for key, record in zip(keys, records, strict=True):
            self._used[key] += 1
            if self._used[key] > have[key]:
                fresh.append(NewRow(_value(record), record.line, record.raw))
        self._append(fresh)

    def _plain_here(self, records: Sequence[RowRecord]) -> Counter[bytes]:
        """How often our dataset held each of these contents before the merge."""
        if self._texts is not None:
            return self._texts
        found = self._with_prompts([r.prompt.key() for r in records if r.prompt is not None])
        old = [row for row in found if row.position < self._ours.rows]
        return Counter(_plain_key(record) for record in read_rows(self._here, self._ours.kind, old))

    def _texts_here(self) -> Counter[bytes]:
        """How often our dataset held each text before the merge; documents have no prompt that would lead to them."""
        mine = select(t.rows.c.text).where(t.rows.c.dataset_id == self._ours.id, t.rows.c.position < self._ours.rows)
        with self._database.read() as connection:
            return Counter(_digest(text or "") for text in connection.execute(mine).scalars())

    def _with_prompts(self, keys: Sequence[str]) -> list[Row[Any]]:
        """The rows of our dataset with these prompts. The index on prompts leads; other datasets' rows are dropped here."""
        distinct = sorted(set(keys))
        wanted = t.prompts.c.key.in_([bytes.fromhex(key) for key in distinct])
        columns = select(t.rows, t.prompts.c.turns, t.prompts.c.raw.label("is_raw"))
        joined = columns.join(t.prompts, t.rows.c.prompt_id == t.prompts.c.id).where(wanted)
        return [r for r in self._here.execute(joined.order_by(t.rows.c.id)) if r.dataset_id == self._ours.id]

    def _append(self, new: Sequence[NewRow]) -> Iterator[int]:
        """Append rows; their numbers, in order."""
        if not new:
            return iter(())
        start = get_dataset(self._here, self._ours.name).rows
        fill(self._here, self._ours.id, self._ours.kind, new)
        self.added += len(new)
        mine = (t.rows.c.dataset_id == self._ours.id) & (t.rows.c.position >= start)
        made = select(t.rows.c.id).where(mine).order_by(t.rows.c.position)
        return iter(list(self._here.execute(made).scalars()))


def content_of(item: Item) -> bytes:
    """What makes two items the same: the prompt, and the candidates' texts in any order."""
    return _digest(item.prompt.key(), *sorted(candidate.text for candidate in item.candidates))


def candidates_by_text(theirs: Item, ours: Item) -> tuple[int, ...]:
    """For each candidate of an item, the number of the same text in another of the same content; twins by their origin, then in turn."""
    if theirs.candidates == ours.candidates:
        return tuple(range(len(ours.candidates)))
    free = list(range(len(ours.candidates)))
    order = [-1] * len(free)
    for exact in (True, False):
        for number, candidate in enumerate(theirs.candidates):
            same = (i for i in free if ours.candidates[i] == candidate or not exact)
            chosen = next((i for i in same if ours.candidates[i].text == candidate.text), None)
            if order[number] < 0 and chosen is not None:
                order[number] = chosen
                free.remove(chosen)
    return tuple(order)


def _plain_key(record: RowRecord) -> bytes:
    prompt = "" if record.prompt is None else record.prompt.key()
    return _digest(record.text) if record.text is not None else _digest(prompt, record.completion or "")


def _value(record: RowRecord) -> Any:
    if record.prompt is None:
        return record.text or ""
    if record.completion is not None:
        return Demonstration(prompt=record.prompt, completion=record.completion)
    return record.prompt


def _digest(*texts: str) -> bytes:
    total = hashlib.sha256()
    for text in texts:
        packed = text.encode()
        total.update(len(packed).to_bytes(8, "big") + packed)
    return total.digest()[:16]
