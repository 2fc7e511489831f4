"""Guidelines of datasets: versions that are only ever appended, each with its dimensions."""

from __future__ import annotations

import builtins
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Row, bindparam, insert, select

from workbench.domain.queues import Dimension, Guidelines
from workbench.store import schema as t
from workbench.store.database import Database
from workbench.store.datasets import get_dataset

_G = t.guidelines.c
_NEWEST = select(t.guidelines).where(_G.dataset_id == bindparam("dataset")).order_by(_G.version.desc()).limit(1)


class GuidelineVersions:
    """What annotators of each dataset were asked to do, version by version. Each method is one short transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, dataset: str) -> Guidelines | None:
        """The version that is shown now; None before there is one."""
        with self._database.read() as connection:
            return newest_guidelines(connection, get_dataset(connection, dataset).id)

    def history(self, dataset: str) -> builtins.list[Guidelines]:
        """Every version, the first one first."""
        with self._database.read() as connection:
            return read_guidelines(connection, get_dataset(connection, dataset).id)

    def write(self, dataset: str, text: str, dimensions: Sequence[Dimension], author: str) -> Guidelines:
        """Append a version; what is shown now is returned when it says the same."""
        with self._database.write() as connection:
            number = get_dataset(connection, dataset).id
            now = newest_guidelines(connection, number)
            if now is not None and said(now) == (text, tuple(dimensions)):
                return now
            version = 1 if now is None else now.version + 1
            made = Guidelines(
                version=version, text=text, dimensions=tuple(dimensions), author=author, created=datetime.now(UTC)
            )
            append_guidelines(connection, number, [made])
            return made

    def restore(self, dataset: str, versions: Sequence[Guidelines]) -> None:
        """Put back the versions of a dataset that has none yet, as they were."""
        with self._database.write() as connection:
            append_guidelines(connection, get_dataset(connection, dataset).id, versions)

    def dimensions(self, dataset: str) -> builtins.list[str]:
        """The dimensions of all versions, and those that judgements speak of, in the order in which they came."""
        j = t.judgements.c
        with self._database.read() as connection:
            number = get_dataset(connection, dataset).id
            names = [d.name for version in read_guidelines(connection, number) for d in version.dimensions]
            said_of = select(j.aspects).where(j.dataset_id == number, j.aspects.is_not(None)).order_by(j.id)
            names += [aspect["name"] for found in connection.execute(said_of).scalars() for aspect in found or ()]
            return list(dict.fromkeys(names))


def said(guidelines: Guidelines) -> tuple[str, tuple[Dimension, ...]]:
    """What makes two versions the same."""
    return guidelines.text, guidelines.dimensions


def newest_guidelines(connection: Connection, dataset: int) -> Guidelines | None:
    """The version of a dataset's guidelines that is shown now, within the caller's transaction."""
    row = connection.execute(_NEWEST, {"dataset": dataset}).one_or_none()
    return None if row is None else _read(row)


def read_guidelines(connection: Connection, dataset: int) -> list[Guidelines]:
    """Every version, the first one first, within the caller's transaction."""
    found = connection.execute(select(t.guidelines).where(_G.dataset_id == dataset).order_by(_G.version))
    return [_read(row) for row in found]


def append_guidelines(connection: Connection, dataset: int, versions: Sequence[Guidelines]) -> None:
    """Append versions with the numbers that they have."""
    values = [
        {
            "dataset_id": dataset, "version": g.version, "text": g.text, "author": g.author, "created": g.created,
            "dimensions": [d.model_dump() for d in g.dimensions],
        }
        for g in versions
    ]  # fmt: skip
    if values:
        connection.execute(insert(t.guidelines), values)


def _read(row: Row[Any]) -> Guidelines:
    fields = ("version", "text", "dimensions", "author", "created")
    return Guidelines.model_validate({name: getattr(row, name) for name in fields})
