"""New SQLite workspaces without Alembic: the migrations make the first one, every later one gets what they had made, statement by statement.

Only the making of an empty database is replaced, in this process: what migrates an older one, what is on a server, and what other
processes make goes through the migrations, and so do the tests of opening, which leave this out.
"""

from __future__ import annotations

import sqlite3

from sqlalchemy import Connection

from workbench.store.dialect import Dialect
from workbench.store.sqlite import SqliteFile
from workbench.store.upgrade import migrate as migrate_in_truth


class Replay:
    """Takes the place of `migrate`."""

    def __init__(self) -> None:
        self._statements: list[str] = []
        self._version = 0

    def __call__(self, dialect: Dialect, connection: Connection, target: str = "head") -> None:
        """Bring an empty database to the present schema; hand anything else on."""
        raw = connection.connection.driver_connection
        if not isinstance(dialect, SqliteFile) or not isinstance(raw, sqlite3.Connection) or not is_empty(raw):
            migrate_in_truth(dialect, connection, target)
            return
        if not self._statements:
            migrate_in_truth(dialect, connection, target)
            self._statements = [line for line in raw.iterdump() if line not in {"BEGIN TRANSACTION;", "COMMIT;"}]
            self._version = dialect.version(connection)
            return
        for statement in self._statements:
            raw.execute(statement).close()
        dialect.stamp(connection, self._version)


def is_empty(raw: sqlite3.Connection) -> bool:
    """Whether there is nothing in a database yet."""
    return not raw.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
