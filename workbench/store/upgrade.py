"""Brings a database to the present schema: looks at one number first, and loads Alembic only when there is work."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import Connection

from workbench.domain.errors import BadInput, TooNew
from workbench.store.database import Database, explained
from workbench.store.dialect import Dialect
from workbench.store.schema import SCHEMA_VERSION

KEPT_BACKUPS = 10


def bring_up_to_date(database: Database, backups: Path) -> bool:
    """Migrate if needed, after a backup; returns whether anything was done. Refuses a newer database."""
    dialect = database.dialect
    version = _version(database)
    if version == SCHEMA_VERSION:
        return False
    if version > 0 and dialect.keeps_copies:
        backup(database, backups, f"before-schema-{SCHEMA_VERSION}")
    with database.write() as connection:
        if dialect.version(connection) != SCHEMA_VERSION:  # another process may have been faster
            migrate(dialect, connection)
    return True


def backup(database: Database, backups: Path, label: str) -> Path:
    """Copy the database into the backups folder and drop the oldest copies."""
    with explained():
        backups.mkdir(parents=True, exist_ok=True)
    target = backups / f"{datetime.now(UTC):%Y%m%dT%H%M%S%f}-{label}.db"
    database.backup(target)
    for old in sorted(backups.glob("*.db"))[:-KEPT_BACKUPS]:
        old.unlink(missing_ok=True)
    return target


def migrate(dialect: Dialect, connection: Connection, target: str = "head") -> None:
    """Run the migrations over this connection; the caller's transaction makes them all or nothing."""
    from alembic import command
    from alembic.config import Config
    from alembic.migration import MigrationContext

    config = Config()
    config.set_main_option("path_separator", "os")
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")).replace("%", "%%"))
    config.attributes["connection"] = connection
    dialect.prepare(connection)
    command.upgrade(config, target)
    dialect.stamp(connection, int(MigrationContext.configure(connection).get_current_revision() or 0))


def _version(database: Database) -> int:
    with database.read() as connection:
        foreign = database.dialect.foreign(connection)
        version = database.dialect.version(connection)
    if foreign:
        raise BadInput(
            f"{database.dialect} belongs to another program.", "Choose an empty place or a workspace of the workbench."
        )
    if version > SCHEMA_VERSION:
        raise TooNew(
            f"This workspace was written by a newer version of the workbench (its schema is {version}, "
            f"this one knows {SCHEMA_VERSION}).",
            "Update the workbench, or open another workspace. Nothing was changed.",
        )
    return version
