"""One SQLite file: how it is opened, how a transaction begins and ends, and what its errors mean for a person."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, create_engine, event, exc

from workbench.domain.errors import StorageFailed, WorkbenchError

BUSY_MILLISECONDS = 10_000
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
    text = str(getattr(error, "orig", None) or error)
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


class Database:
    """The engine over one file. `read` and `write` give a connection inside one transaction."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._engine = create_engine(
            URL.create("sqlite", database=str(path)), connect_args={"timeout": BUSY_MILLISECONDS / 1000}
        )
        event.listen(self._engine, "connect", _configure)
        event.listen(self._engine, "begin", _begin)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A connection that sees one state of the database."""
        with explained(), self._engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A connection in a BEGIN IMMEDIATE transaction: committed at the end, rolled back on any error."""
        with explained(), self._engine.connect() as connection:
            connection = connection.execution_options(workbench_writes=True)
            with connection.begin():
                yield connection

    def backup(self, target: Path) -> None:
        """A consistent copy by SQLite's own backup call."""
        copy_database(self.path, target)

    def close(self) -> None:
        """Close every connection; the last one folds the write-ahead log into the file."""
        self._engine.dispose()


def copy_database(source: Path, target: Path) -> None:
    """Copy a database that may be in use; the copy appears under its name only when it is complete."""
    target.parent.mkdir(parents=True, exist_ok=True)
    beside = target.with_name(f".{target.name}.tmp")
    with explained():
        try:
            reader, writer = sqlite3.connect(source), sqlite3.connect(beside)
            try:
                reader.backup(writer)
            finally:
                writer.close()
                reader.close()
            beside.replace(target)
        finally:
            beside.unlink(missing_ok=True)


def _configure(connection: sqlite3.Connection, _record: Any) -> None:
    # The driver must not begin transactions by itself: a read that becomes a write later would meet "busy" at once.
    connection.isolation_level = None
    connection.create_function("folded_contains", 2, _folded_contains, deterministic=True)
    for pragma in (
        f"busy_timeout = {BUSY_MILLISECONDS}",
        "journal_mode = WAL",
        "synchronous = FULL",
        "foreign_keys = ON",
        "temp_store = MEMORY",
        "cache_size = -32768",
    ):
        connection.execute(f"PRAGMA {pragma}").close()


def _folded_contains(text: str | None, words: str) -> int:
    return int(text is not None and words in text.casefold())


def _begin(connection: Connection) -> None:
    writes = connection.get_execution_options().get("workbench_writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
