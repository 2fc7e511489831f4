"""A workspace in one SQLite file, in WAL mode; writers wait for each other by BEGIN IMMEDIATE."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event

from workbench.store.turns import Turns

DATABASE = "workbench.db"
APPLICATION_ID = 0x524C4846  # "RLHF", so that a database of another program is told apart
BUSY_MILLISECONDS = 10_000


class SqliteFile:
    """The dialect of one file."""

    keeps_copies = True

    def __init__(self, path: Path) -> None:
        self._path = path
        self._turns = Turns(path.with_name(f"{path.name}-turns"))

    def __str__(self) -> str:
        return str(self._path)

    def engine(self) -> Engine:
        """An engine whose driver begins nothing by itself."""
        url = URL.create("sqlite", database=str(self._path))
        engine = create_engine(url, connect_args={"timeout": BUSY_MILLISECONDS / 1000})
        event.listen(engine, "connect", _configure)
        return engine

    def reading(self, engine: Engine) -> Engine:
        """Transactions that see one state."""
        return engine

    def writing(self, engine: Engine) -> Engine:
        """Transactions that hold the file's one lock from their beginning."""
        return engine

    def begin(self, connection: Connection, *, writes: bool) -> None:
        """BEGIN, or BEGIN IMMEDIATE when it is our turn."""
        raw = connection.connection.driver_connection
        assert isinstance(raw, sqlite3.Connection)
        if not writes:
            raw.execute("BEGIN").close()
            return
        raw.execute("PRAGMA busy_timeout = 0").close()  # the waiting is ours
        try:
            if not self._turns.take(lambda: _began_writing(raw), BUSY_MILLISECONDS / 1000):
                raise sqlite3.OperationalError("database is locked")
        finally:
            raw.execute(f"PRAGMA busy_timeout = {BUSY_MILLISECONDS}").close()

    def closed(self) -> None:
        """The file of numbers is opened again when it is needed."""
        self._turns.close()

    def version(self, connection: Connection) -> int:
        """The number in the file's head."""
        return _number(connection, "user_version")

    def foreign(self, connection: Connection) -> bool:
        """Whether there are tables, but not our signature."""
        tables = connection.exec_driver_sql("SELECT count(*) FROM sqlite_master").scalar_one()
        return bool(tables) and _number(connection, "application_id") != APPLICATION_ID

    def prepare(self, connection: Connection) -> None:
        """A file is room enough."""

    def stamp(self, connection: Connection, version: int) -> None:
        """Two numbers in the file's head."""
        connection.exec_driver_sql(f"PRAGMA user_version = {version}")
        connection.exec_driver_sql(f"PRAGMA application_id = {APPLICATION_ID}")

    def trouble(self, connection: Connection) -> list[str]:
        """What SQLite's quick check says."""
        found = [str(r[0]) for r in connection.exec_driver_sql("PRAGMA quick_check")]
        return [line for line in found if line != "ok"]

    def copy(self, target: Path) -> None:
        """Copy the file by SQLite's own call, also while it is in use; the copy gets its name when it is complete."""
        target.parent.mkdir(parents=True, exist_ok=True)
        beside = target.with_name(f".{target.name}.tmp")
        try:
            reader, writer = sqlite3.connect(self._path), sqlite3.connect(beside)
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
        "wal_autocheckpoint = 8000",  # 32 MiB: folding the log back takes long, and one label in a hundred would wait for it
    ):
        connection.execute(f"PRAGMA {pragma}").close()


def _folded_contains(text: str | None, words: str) -> int:
    return int(text is not None and words in text.casefold())


def _began_writing(raw: sqlite3.Connection) -> bool:
    try:
        raw.execute("BEGIN IMMEDIATE").close()
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
            raise
        return False
    return True


def _number(connection: Connection, pragma: str) -> int:
    return int(connection.exec_driver_sql(f"PRAGMA {pragma}").scalar_one())
