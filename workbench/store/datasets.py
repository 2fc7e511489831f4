"""Datasets and their rows. An import fills a hidden dataset in slices and shows it with one last commit."""

from __future__ import annotations

import builtins
import os
import uuid
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, bindparam, delete, func, insert, or_, select, update

from workbench.domain.errors import Conflict, NotFound
from workbench.domain.judgement import Item
from workbench.domain.rows import DatasetKind
from workbench.domain.text import Candidate, Demonstration, Prompt
from workbench.store import schema as t
from workbench.store.database import Database
from workbench.store.filling import NewRow, fill
from workbench.store.small import Leases

READY, FILLING, GOING = "ready", "filling", "going"
FILL_SECONDS = 300.0
DELETE_SLICE = 1_000
SWEPT_AT_ONCE = 10
_BY_NAME = select(t.datasets).where(t.datasets.c.name == bindparam("name"))
_OFFERED = (
    select(t.candidates)
    .where(t.candidates.c.row_id.in_(bindparam("rows", expanding=True)))
    .order_by(t.candidates.c.row_id, t.candidates.c.place)
)


class DatasetRecord(NamedTuple):
    """One dataset; `judged` counts items with a judgement by anybody."""

    id: int
    name: str
    kind: DatasetKind
    rows: int
    judged: int
    created: datetime
    source: str
    synthetic: bool


class RowRecord(NamedTuple):
    """One row: exactly the fields of its dataset's kind are filled. `raw` holds unknown columns of the source."""

    position: int
    text: str | None
    prompt: Prompt | None
    completion: str | None
    item: Item | None
    line: int
    raw: dict[str, Any] | None


class Datasets:
    """The datasets of a workspace. Each method is one short transaction; a deletion hides first and drops in slices."""

    def __init__(self, database: Database, leases: Leases) -> None:
        self._database = database
        self._leases = leases
        self._owner = f"{os.getpid()}-{uuid.uuid4().hex}"

    def create(self, name: str, kind: DatasetKind, source: str = "", synthetic: bool = False) -> DatasetRecord:
        """Make an empty dataset; Conflict when the name is taken."""
        with self._database.write() as connection:
            _refuse_taken(connection, name)
            insert_dataset(connection, name, kind, source, synthetic)
            return get_dataset(connection, name)

    def begin(self, kind: DatasetKind, source: str = "", synthetic: bool = False) -> str:
        """Make a hidden dataset to fill; returns the handle for `append`, `publish` and `abandon`.

        When this process dies before it publishes, the rows are swept when the workspace is opened later.
        """
        handle = f"\x00{uuid.uuid4().hex}"
        self._leases.acquire(handle, self._owner, FILL_SECONDS)
        with self._database.write() as connection:
            insert_dataset(connection, handle, kind, source, synthetic, FILLING)
        return handle

    def append(self, name: str, new: Sequence[NewRow | str | Prompt | Demonstration]) -> int:
        """Append rows in one transaction; returns how many the dataset then has. Judgements of items come along."""
        if name.startswith("\x00"):
            self._leases.acquire(name, self._owner, FILL_SECONDS)
        with self._database.write() as connection:
            record = get_dataset(connection, name)
            fill(connection, record.id, record.kind, [r if isinstance(r, NewRow) else NewRow(r) for r in new])
            return get_dataset(connection, name).rows

    def publish(self, handle: str, name: str) -> DatasetRecord:
        """Show a filled dataset under its name; Conflict when the name was taken meanwhile."""
        with self._database.write() as connection:
            _refuse_taken(connection, name)
            connection.execute(update(t.datasets).where(t.datasets.c.name == handle).values(name=name, state=READY))
            record = get_dataset(connection, name)
        self._leases.release(handle, self._owner)
        return record

    def abandon(self, handle: str) -> int:
        """Give an import up; returns the number for `drop_some`, which takes its rows away."""
        number = self.hide(handle)
        self._leases.release(handle, self._owner)
        return number

    def list(self) -> builtins.list[DatasetRecord]:
        """Every visible dataset, oldest first."""
        with self._database.read() as connection:
            found = connection.execute(
                select(t.datasets).where(t.datasets.c.state == READY).order_by(t.datasets.c.created, t.datasets.c.id)
            )
            return [_record(r) for r in found]

    def get(self, name: str) -> DatasetRecord:
        """One dataset; NotFound."""
        with self._database.read() as connection:
            return get_dataset(connection, name)

    def rows(self, name: str, offset: int = 0, limit: int = 100) -> builtins.list[RowRecord]:
        """A page of rows; positions have no gaps, so a page in the middle of a million rows is found by its number."""
        with self._database.read() as connection:
            dataset = get_dataset(connection, name)
            page = rows_of(dataset.id).where(t.rows.c.position >= offset)
            found = connection.execute(page.order_by(t.rows.c.position).limit(limit)).all()
            return read_rows(connection, dataset.kind, found)

    def rows_at(self, name: str, positions: Sequence[int]) -> builtins.list[RowRecord]:
        """The rows at some positions, in order; at most a few hundred at once."""
        with self._database.read() as connection:
            dataset = get_dataset(connection, name)
            chosen = rows_of(dataset.id).where(t.rows.c.position.in_(positions))
            found = connection.execute(chosen.order_by(t.rows.c.position)).all()
            return read_rows(connection, dataset.kind, found)

    def find(self, name: str, words: str, start: int, stop: int) -> builtins.list[int]:
        """The positions from `start` to before `stop` whose prompt, text or candidates contain these words."""
        with self._database.read() as connection:
            dataset = get_dataset(connection, name)
            source = t.rows.outerjoin(t.prompts, t.rows.c.prompt_id == t.prompts.c.id)
            here = (t.rows.c.dataset_id == dataset.id) & t.rows.c.position.between(start, stop - 1)
            found = select(t.rows.c.position).select_from(source).where(here, _contains(words))
            return builtins.list(connection.execute(found.order_by(t.rows.c.position)).scalars())

    def count(self, name: str) -> int:
        """How many rows there are."""
        return self.get(name).rows

    def iterate(self, name: str, batch: int = 1000) -> Iterator[builtins.list[RowRecord]]:
        """All rows in batches; each batch is its own short transaction, so that a label never waits for it."""
        offset = 0
        while page := self.rows(name, offset, batch):
            yield page
            offset += len(page)

    def hide(self, name: str) -> int:
        """Take a dataset out of sight for good; returns the number for `drop_some`."""
        with self._database.write() as connection:
            record = get_dataset(connection, name)
            gone = {"name": f"\x00{uuid.uuid4().hex}", "state": GOING}
            connection.execute(update(t.datasets).where(t.datasets.c.id == record.id).values(gone))
            return record.id

    def drop_some(self, number: int) -> bool:
        """Delete some rows of a hidden dataset, with their judgements; True while there are more."""
        first = select(t.rows.c.id).where(t.rows.c.dataset_id == number).order_by(t.rows.c.position)
        with self._database.write() as connection:
            ids = builtins.list(connection.execute(first.limit(DELETE_SLICE)).scalars())
            if not ids:
                connection.execute(delete(t.datasets).where(t.datasets.c.id == number, t.datasets.c.state != READY))
                return False
            mine = t.rows.c.id.between(min(ids), max(ids)) & (t.rows.c.dataset_id == number)
            told = builtins.list(connection.execute(select(t.rows.c.prompt_id).where(mine).distinct()).scalars())
            connection.execute(delete(t.rows).where(mine))
            used = select(t.rows.c.id).where(t.rows.c.prompt_id == t.prompts.c.id).exists()
            for prompt in told:
                connection.execute(delete(t.prompts).where(t.prompts.c.id == prompt, ~used))
            return True

    def sweep(self, slices: int = SWEPT_AT_ONCE) -> int:
        """Drop some of what dead imports and interrupted deletions left; the rest stays hidden until the next time."""
        with self._database.read() as connection:
            left = connection.execute(select(t.datasets).where(t.datasets.c.state != READY)).all()
        dead = [r.id for r in left if r.state == GOING or not self._leases.held(r.name)]
        dropped = 0
        for number in dead:
            while dropped < slices and self.drop_some(number):
                dropped += 1
        return dropped


def read_rows(connection: Connection, kind: DatasetKind, found: Sequence[Row[Any]]) -> list[RowRecord]:
    """Database rows with their prompts joined, as domain objects; candidates are fetched for all at once."""
    offered: dict[int, list[Candidate]] = {}
    if kind == "preferences" and found:
        for r in connection.execute(_OFFERED, {"rows": [r.id for r in found]}):
            fields = {"text": r.text, "model": r.model, "settings": r.settings, "seed": r.seed, "score": r.score}
            offered.setdefault(r.row_id, []).append(Candidate.model_validate(fields))
    return [_row(r, kind, offered.get(r.id, [])) for r in found]


def _row(r: Row[Any], kind: DatasetKind, offered: list[Candidate]) -> RowRecord:
    prompt = None if r.turns is None else Prompt.model_validate({"turns": r.turns, "raw": r.is_raw})
    item = None
    if kind == "preferences" and prompt is not None:
        item = Item(id=r.item, prompt=prompt, candidates=tuple(offered))
    return RowRecord(
        r.position,
        r.text if kind == "documents" else None,
        prompt,
        r.text if kind == "demonstrations" else None,
        item,
        r.line,
        r.raw,
    )


def rows_with_prompts() -> Any:
    """The statement for rows with their prompts."""
    source = t.rows.outerjoin(t.prompts, t.rows.c.prompt_id == t.prompts.c.id)
    return select(t.rows, t.prompts.c.turns, t.prompts.c.raw.label("is_raw")).select_from(source)


def rows_of(dataset: int) -> Any:
    """The statement for all rows of a dataset with their prompts."""
    return rows_with_prompts().where(t.rows.c.dataset_id == dataset)


def _contains(search: str) -> Any:
    c = t.candidates.c
    answers = select(c.id).where(c.row_id == t.rows.c.id, _holds(c.text, search)).exists()
    return or_(_holds(t.prompts.c.text, search), _holds(t.rows.c.text, search), answers)


def _holds(text: Any, search: str) -> Any:
    """Whether a text contains these words in any case. SQLite folds only ASCII; the slower function folds every script."""
    if search.isascii():
        return text.icontains(search, autoescape=True)
    return func.folded_contains(text, search.casefold()) == 1


def insert_dataset(
    connection: Connection, name: str, kind: DatasetKind, source: str, synthetic: bool, state: str = READY
) -> None:
    """Make an empty dataset, within the caller's transaction; its name must be free."""
    values = {"name": name, "kind": kind, "state": state, "source": source, "synthetic": synthetic}
    connection.execute(insert(t.datasets).values(rows=0, judged=0, created=datetime.now(UTC), **values))


def _refuse_taken(connection: Connection, name: str) -> None:
    if connection.execute(select(t.datasets.c.id).where(t.datasets.c.name == name)).first():
        raise Conflict(f"There is already a dataset called {name!r}.", "Choose another name, or delete it first.")


def get_dataset(connection: Connection, name: str) -> DatasetRecord:
    """One dataset by name (or handle); NotFound."""
    row = connection.execute(_BY_NAME, {"name": name}).one_or_none()
    if row is None:
        raise NotFound(f"There is no dataset called {name!r}.", "See the Data page or `workbench data list`.")
    return _record(row)


def _record(r: Row[Any]) -> DatasetRecord:
    return DatasetRecord(r.id, r.name, r.kind, r.rows, r.judged, r.created, r.source, r.synthetic)
