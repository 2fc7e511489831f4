"""What a database must be able to do for the store, and the one statement that each kind of database writes its own way.

`sqlite.py` and `postgres.py` are the two kinds; the second is loaded only for a workspace on a server.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from sqlalchemy import Connection, Engine, Table
from sqlalchemy.dialects import sqlite

if TYPE_CHECKING:
    from sqlalchemy.dialects import postgresql


class Dialect(Protocol):
    """One kind of database at one place. What takes a connection works in the caller's transaction."""

    keeps_copies: bool  # whether the workbench can copy the database into the workspace's backups folder

    def __str__(self) -> str:
        """The place, as a person may read it."""

    def engine(self) -> Engine:
        """A new engine. Nothing listens to its transactions and statements: each of them would take a quarter longer."""

    def reading(self, engine: Engine) -> Engine:
        """The engine for transactions that see one state and change nothing."""

    def writing(self, engine: Engine) -> Engine:
        """The engine for transactions that write: one at a time in the whole database."""

    def begin(self, connection: Connection, *, writes: bool) -> None:
        """The first act of every transaction, before anything is read."""

    def closed(self) -> None:
        """The engine is closed: let go of what stands beside it."""

    def version(self, connection: Connection) -> int:
        """The number of the schema that is there; 0 when there is none yet."""

    def foreign(self, connection: Connection) -> bool:
        """Whether another program has tables here."""

    def prepare(self, connection: Connection) -> None:
        """Make room for the first tables."""

    def stamp(self, connection: Connection, version: int) -> None:
        """Sign the database with the number of its schema."""

    def trouble(self, connection: Connection) -> list[str]:
        """What the database's own check finds wrong."""

    def copy(self, target: Path) -> None:
        """Write a consistent copy."""


def upsert(connection: Connection, table: Table) -> sqlite.Insert | postgresql.Insert:
    """An INSERT that may say what happens on a conflict of keys."""
    if connection.dialect.name == "sqlite":
        return sqlite.insert(table)
    from sqlalchemy.dialects import postgresql

    return postgresql.insert(table)
