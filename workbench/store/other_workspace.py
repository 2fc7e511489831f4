"""Another workspace, to read from: a copy of its database, so that nothing of it is changed, whatever its age."""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from workbench.domain.errors import BadInput, NotFound
from workbench.store.database import Database, explained
from workbench.store.schema import SCHEMA_VERSION
from workbench.store.server import read_address
from workbench.store.sqlite import DATABASE
from workbench.store.upgrade import bring_up_to_date


@contextmanager
def other_workspace(folder: Path) -> Iterator[Database]:
    """The database of the workspace in a folder, at the present schema; a file is copied (and the copy migrated) first."""
    address = read_address(folder) if folder.is_dir() else None
    if address is not None:
        from workbench.store.postgres import PostgresServer

        database = Database(PostgresServer(address.url, address.schema))
        try:
            with database.read() as connection:
                if database.dialect.version(connection) != SCHEMA_VERSION:
                    raise BadInput(
                        f"The workspace in {folder} has another age.", "Open it once with this workbench, then merge."
                    )
            yield database
        finally:
            database.close()
        return
    with explained(), tempfile.TemporaryDirectory(prefix="workbench-merge-") as place:
        copy = Path(place) / DATABASE
        copy_workspace(folder, copy)
        with copied_workspace(copy) as database:
            yield database


def copy_workspace(folder: Path, target: Path) -> None:
    """Copy the database of the workspace in a folder and migrate the copy; what is on a server is only looked at."""
    if folder.is_dir() and read_address(folder) is not None:
        with other_workspace(folder):
            return
    file = folder / DATABASE
    if not file.is_file():
        raise NotFound(f"There is no workspace in {folder}.", "Name the folder of a workspace.")
    copy_untouched(file, target)
    with copied_workspace(target):
        pass


@contextmanager
def copied_workspace(copy: Path) -> Iterator[Database]:
    """The database of a copy, which is brought to the present schema."""
    database = Database(copy)
    try:
        bring_up_to_date(database, copy.with_name("backups"))
        yield database
    finally:
        database.close()


def copy_untouched(source: Path, target: Path) -> None:
    """Copy a database by SQLite's own call through a connection that can't write.

    Where nobody has the file open there is no write-ahead log, and the file is read as one that never changes: then SQLite makes
    no files beside it, which also serves a medium that can't be written. Should somebody open it meanwhile, it is read again.
    """
    log = source.with_name(f"{source.name}-wal")
    for quiet in (not log.exists(), False):
        before = source.stat()
        address = f"file:{quote(str(source))}?mode=ro{'&immutable=1' if quiet else ''}"
        reader, writer = sqlite3.connect(address, uri=True), sqlite3.connect(target)
        try:
            reader.backup(writer)
        finally:
            writer.close()
            reader.close()
        after = source.stat()
        if not quiet or (
            not log.exists() and (before.st_mtime_ns, before.st_size) == (after.st_mtime_ns, after.st_size)
        ):
            return
        target.unlink()
