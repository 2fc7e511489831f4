"""A workspace on a PostgreSQL server: in one schema of one database, by psycopg, with one writer at a time.

Writers take one advisory lock before they read anything, so everything that the store does under SQLite's BEGIN IMMEDIATE (numbers
counted on from the greatest, stacks of undo) holds here as well. A writer that vanishes is cut off by the server.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import URL, Connection, Engine, create_engine, event

from workbench.domain.errors import BadInput, StorageFailed

if TYPE_CHECKING:
    import psycopg

SIGNATURE = "RLHF Workbench"
LOCK_MILLISECONDS = 10_000  # how long a writer waits for others
STATEMENT_MILLISECONDS = 120_000
IDLE_MILLISECONDS = 60_000  # how long a silent writer may keep others waiting: its machine may be asleep or gone
PATIENCE: dict[str, str] = {
    "connect_timeout": "10", "keepalives_idle": "30", "keepalives_interval": "10", "keepalives_count": "3",
}  # fmt: skip
# PostgreSQL refuses NUL inside of text. It is kept as a pair that begins with a code point which Unicode sets aside for such uses.
MARK, NUL = "\ufdd0", "\x00"

_LATER = "Try again in a moment; if it lasts, ask who looks after the server."
_RIGHTS = "Ask who looks after the server for the right to create and write tables in this schema."
_ADDRESS = "Check the address (a workspace keeps it in server.json), the network, and whether the server runs: pg_isready -h HOST."
_SECRET = (
    "Check user and password. The window asks for it; or set PGPASSWORD, or write HOST:PORT:DATABASE:USER:PASSWORD into ~/.pgpass, "
    "readable by you alone."
)
_HINTS = (
    ("28P01 28000", ("password authentication failed", "no password supplied", "pg_hba.conf", "authentication failed"),
     "The server doesn't let this user in.", _SECRET),
    ("3D000", ("database \"",), "The server has no such database.", "Let it be made: createdb -h HOST -U USER DATABASE"),
    ("", ("role \"",), "The server doesn't know this user.", "Check the user in server.json, or let it be made: createuser NAME"),
    ("55P03", (), "The workspace is busy in another process.", "Wait for the other person's change to finish and try again."),
    ("57014", (), "The server took too long.", _LATER),
    ("25P03", (), "The server cut off a change that stood still for a minute.", "Do it again."),
    ("53100", (), "The server's disk is full.", "Ask who looks after the server to free some space."),
    ("53300", ("too many clients", "connection slots are reserved"), "The server has no free connection.", _LATER),
    ("25006", (), "The server takes no changes now.", "It may be a stand-by; check the address in server.json."),
    ("42501", ("permission denied",), "The server doesn't allow this.", _RIGHTS),
    ("42P01 42703", (), "The workspace's tables on the server are incomplete.", "Restore the server's own backup."),
    ("57P03", ("starting up", "shutting down", "recovery mode"), "The server is starting or stopping.", _LATER),
    ("57P01 57P02 08006 08003 08001", ("server closed the connection", "terminating connection", "connection is closed",
     "connection is lost", "could not receive data", "could not send data", "ssl connection has been closed", "eof detected"),
     "The connection to the server was lost.", _LATER),
    ("", ("could not translate host", "name or service not known", "resolve host", "name resolution", "nodename nor servname"),
     "The server's name isn't known.", _ADDRESS),
    ("", ("connection refused", "no such file or directory", "timeout expired", "connection timeout", "no route", "unreachable",
     "connection timed out", "connection failed"), "The server doesn't answer.", _ADDRESS),
)  # fmt: skip


def explain_server(error: Any) -> StorageFailed:
    """What an error of the server or of the way to it means: by its code, else by what it says."""
    text = str(error).strip()
    code = getattr(error, "sqlstate", None)
    for codes, signs, what, hint in _HINTS:
        if code in codes.split() if code else any(sign in text.lower() for sign in signs):
            return StorageFailed(f"{what} Nothing was changed.", hint, text)
    return StorageFailed(f"The server refused: {text}. Nothing was changed.", _LATER, text)


class PostgresServer:
    """The dialect of one schema on a server."""

    keeps_copies = False

    def __init__(self, url: URL, schema: str) -> None:
        self._url = url
        self._schema = schema
        name = f"{SIGNATURE}: {schema}".encode()
        self._lock = int.from_bytes(hashlib.sha256(name).digest()[:8], "big", signed=True)

    def __str__(self) -> str:
        return f"schema {self._schema} of {self._url.render_as_string(hide_password=True)}"

    def engine(self) -> Engine:
        """An engine that looks whether a connection still lives before it is used again."""
        url = self._url.update_query_dict({k: v for k, v in PATIENCE.items() if k not in self._url.query})
        try:
            engine = create_engine(url, pool_pre_ping=True)
        except ImportError as error:
            raise StorageFailed(
                "The package for PostgreSQL is missing.",
                "Install it: pip install 'rlhf-workbench[postgres]'",
                str(error),
            ) from error
        event.listen(engine, "connect", self._configure)
        return engine

    def reading(self, engine: Engine) -> Engine:
        """Transactions that see one state."""
        return engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)

    def writing(self, engine: Engine) -> Engine:
        """Transactions that wait for their turn, and then see what the one before has left."""
        return engine.execution_options(isolation_level="READ COMMITTED")

    def begin(self, connection: Connection, *, writes: bool) -> None:
        """Wait for the schema's one lock; a writer that falls silent is cut off."""
        if writes:
            silence = f"set_config('idle_in_transaction_session_timeout', '{IDLE_MILLISECONDS}', true)"
            connection.exec_driver_sql(f"SELECT {silence}, pg_advisory_xact_lock({self._lock})")

    def closed(self) -> None:
        """Nothing stands beside a server."""

    def version(self, connection: Connection) -> int:
        """The number that Alembic has written down."""
        if not self._signed(connection):
            return 0
        return int(connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar_one())

    def foreign(self, connection: Connection) -> bool:
        """Whether there are tables in the schema, but not our signature."""
        tables = "SELECT count(*) FROM pg_catalog.pg_tables WHERE schemaname = %s"
        return bool(connection.exec_driver_sql(tables, (self._schema,)).scalar_one()) and not self._signed(connection)

    def prepare(self, connection: Connection) -> None:
        """Make the schema; migrations may take their time."""
        known = "SELECT 1 FROM pg_catalog.pg_namespace WHERE nspname = %s"
        if connection.exec_driver_sql(known, (self._schema,)).first() is None:
            connection.exec_driver_sql(f"CREATE SCHEMA {self._quoted}")
        connection.exec_driver_sql("SET LOCAL statement_timeout = 0")

    def stamp(self, connection: Connection, version: int) -> None:
        """Sign Alembic's own table."""
        connection.exec_driver_sql(f"COMMENT ON TABLE alembic_version IS '{SIGNATURE}'")

    def trouble(self, connection: Connection) -> list[str]:
        """Tables that are missing; the server looks after its files itself."""
        from workbench.store.schema import metadata

        there = "SELECT tablename FROM pg_catalog.pg_tables WHERE schemaname = %s"
        missing = set(metadata.tables) - set(connection.exec_driver_sql(there, (self._schema,)).scalars())
        return [f"the table {name} is missing on the server" for name in sorted(missing)]

    def copy(self, target: Path) -> None:
        """A server is backed up where it stands."""
        raise BadInput(
            "This workspace's labels and datasets are on a server, which makes its own backups.",
            f"Back it up there, for example: pg_dump --schema={self._schema} DATABASE > workspace.sql",
        )

    @property
    def _quoted(self) -> str:
        return '"' + self._schema.replace('"', '""').replace("%", "%%") + '"'

    def _signed(self, connection: Connection) -> bool:
        comment = "SELECT obj_description(to_regclass('alembic_version'), 'pg_class')"
        return bool(connection.exec_driver_sql(comment).scalar_one_or_none() == SIGNATURE)

    def _configure(self, connection: psycopg.Connection[Any], _record: Any) -> None:
        _keep_nul(connection)
        connection.autocommit = True
        connection.execute(
            f"SET search_path TO {self._quoted.replace('%%', '%')}; SET lock_timeout = {LOCK_MILLISECONDS}; "
            f"SET statement_timeout = {STATEMENT_MILLISECONDS}"
        )
        connection.autocommit = False


def _keep_nul(connection: psycopg.Connection[Any]) -> None:
    """Let this connection write NUL as a pair that begins with MARK, and read it back; nothing else is changed by it."""
    from psycopg.types.string import StrDumper, TextLoader

    class Dumper(StrDumper):
        def dump(self, obj: str) -> Any:
            return super().dump(encode_nul(obj))

    class Loader(TextLoader):
        def load(self, data: Any) -> str:
            text = super().load(data)
            assert isinstance(text, str)
            return decode_nul(text)

    connection.adapters.register_dumper(str, Dumper)
    for kind in ("text", "varchar"):
        connection.adapters.register_loader(kind, Loader)


def encode_nul(text: str) -> str:
    """Text that PostgreSQL takes."""
    if NUL in text or MARK in text:
        return text.replace(MARK, MARK + MARK).replace(NUL, MARK + "0")
    return text


def decode_nul(text: str) -> str:
    """The text that `encode_nul` was given."""
    if MARK in text:
        return MARK.join(part.replace(MARK + "0", NUL) for part in text.split(MARK + MARK))
    return text
