"""One database: how a transaction begins and ends, and what the errors of its dialect mean for a person."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection, exc

from workbench.domain.errors import StorageFailed, WorkbenchError
from workbench.store.dialect import Dialect
from workbench.store.sqlite import SqliteFile

_RESTORE = "Close the workbench, then put the newest file from the workspace's backups folder in its place."
_WRITABLE = "Check that the folder and its files belong to you and are writable."
_HINTS = (
    ("database or disk is full", "The disk is full.", "Free some space and try again."),
    ("no space left", "The disk is full.", "Free some space and try again."),
    ("quota exceeded", "The disk quota is used up.", "Free some space and try again."),
    ("readonly", "The workspace can't be written.", _WRITABLE),
    ("read-only", "The workspace can't be written.", _WRITABLE),
    ("permission denied", "The workspace can't be written.", _WRITABLE),
    ("file exists", "There is a file where the workspace needs a folder.", "Choose another place, or move the file."),
    ("not a directory", "There is a file where the workspace needs a folder.", "Choose another place, or move the file."),
    ("locked", "The workspace is busy in another process.", "Wait for the other command to finish and try again."),
    ("not a database", "The workspace's database is not a database.", _RESTORE),
    ("malformed", "The workspace's database is damaged.", _RESTORE),
    ("corrupt", "The workspace's database is damaged.", _RESTORE),
    ("unable to open", "The workspace's database can't be opened.", "Check the folder, its permissions and the disk."),
    ("disk i/o error", "The disk doesn't answer as it should.", "Check the disk and its free space, then try again."),
    ("no such table", "The workspace's database is incomplete.", _RESTORE),
    ("no such column", "The workspace's database is incomplete.", _RESTORE),
)  # fmt: skip


def explain(error: BaseException) -> StorageFailed:
    """What a database error means: nothing was changed, and what to do."""
    origin = getattr(error, "orig", None)
    if type(origin).__module__.startswith("psycopg"):
        from workbench.store.postgres import explain_server

        return explain_server(origin)
    text = str(origin or error)
    for sign, what, hint in _HINTS:
        if sign in text.lower():
            return StorageFailed(f"{what} Nothing was changed.", hint, text)
    if isinstance(error, OSError):
        return StorageFailed(f"The workspace can't be used: {text}. Nothing was changed.", _WRITABLE, text)
    return StorageFailed(f"The workspace's database refused: {text}. Nothing was changed.", _RESTORE, text)


@contextmanager
def explained() -> Iterator[None]:
    """Turn database errors into StorageFailed; other errors pass."""
    try:
        yield
    except WorkbenchError:
        raise
    except (exc.DBAPIError, sqlite3.Error, OSError) as error:
        raise explain(error) from error


def _in_doubt(error: exc.DBAPIError) -> StorageFailed:
    return StorageFailed(
        "The connection to the database was lost in the moment of saving: it isn't known whether the change was kept.",
        "Look whether it is there before you do it again.",
        str(error.orig),
    )


class Database:
    """The engine over one database. `read` and `write` give a connection inside one transaction."""

    def __init__(self, dialect: Dialect | Path) -> None:
        self.dialect = SqliteFile(dialect) if isinstance(dialect, Path) else dialect
        self._engine = self.dialect.engine()
        self._reading = self.dialect.reading(self._engine)
        self._writing = self.dialect.writing(self._engine)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A connection that sees one state of the database."""
        with explained(), self._reading.connect() as connection, connection.begin():
            self.dialect.begin(connection, writes=False)
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A connection in a transaction that writes alone: committed at the end, rolled back on any error."""
        with explained(), self._writing.connect() as connection, connection.begin() as transaction:
            self.dialect.begin(connection, writes=True)
            yield connection
            try:
                transaction.commit()
            except exc.DBAPIError as error:
                if error.connection_invalidated:
                    raise _in_doubt(error) from error
                raise

    @contextmanager
    def tried(self) -> Iterator[Database]:
        """A database like this one of which nothing is kept: every transaction is a part of one that is rolled back."""
        with explained(), self._writing.connect() as connection, connection.begin() as transaction:
            self.dialect.begin(connection, writes=True)
            yield _Trial(self.dialect, connection)
            transaction.rollback()

    def backup(self, target: Path) -> None:
        """A consistent copy; only where the dialect keeps copies."""
        with explained():
            self.dialect.copy(target)

    def close(self) -> None:
        """Close every connection; a file's last one folds the write-ahead log into it."""
        self._engine.dispose()
        self.dialect.closed()


class _Trial(Database):
    """Transactions that are parts of another one."""

    def __init__(self, dialect: Dialect, connection: Connection) -> None:
        self.dialect = dialect
        self._connection = connection

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """The one connection."""
        yield self._connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """The one connection."""
        yield self._connection
