"""A private PostgreSQL server for tests: started in a temporary folder, reached through a socket file, gone with the tests.

Debian keeps the programs out of the search path, and the server refuses to run as root: then it runs as the user postgres.
Durability against a power cut is off (fsync), durability against a killed server is not.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

import psutil
import psycopg
import pytest

NEEDED = "WORKBENCH_NEEDS_POSTGRES"
PROGRAMS = ("initdb", "pg_ctl", "postgres", "psql")
TEMPLATE = "prepared"
SETTINGS = {
    "listen_addresses": "''", "fsync": "off", "full_page_writes": "off", "shared_buffers": "32MB", "max_connections": "60",
    "autovacuum": "off", "lc_messages": "C", "log_min_messages": "fatal", "max_wal_size": "512MB",
}  # fmt: skip
EMPTY = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid();
DO $$ DECLARE name text; filled boolean; BEGIN
  FOR name IN SELECT tablename FROM pg_tables WHERE schemaname = 'workbench' AND tablename <> 'alembic_version' LOOP
    EXECUTE format('SELECT EXISTS (SELECT FROM workbench.%I)', name) INTO filled;
    IF filled THEN EXECUTE format('TRUNCATE workbench.%I RESTART IDENTITY CASCADE', name); END IF;
  END LOOP;
END $$
"""
ACCESS = "local all guarded,locked scram-sha-256\nlocal all nobody reject\nlocal all all trust\n"


@cache
def programs() -> Path | None:
    """The folder of the newest server's programs."""
    found = shutil.which("initdb")
    beside = [Path(found).parent] if found else []
    return next((p for p in [*beside, *_debian()] if all((p / name).exists() for name in PROGRAMS)), None)


def _debian() -> list[Path]:
    found = Path("/usr/lib/postgresql").glob("*/bin")
    return sorted(found, key=lambda p: float(p.parent.name) if p.parent.name.replace(".", "").isdigit() else 0)[::-1]


def programs_or_skip() -> Path:
    """The programs; without them the test is skipped, or fails where they are required."""
    found = programs()
    if found is None:
        why = "PostgreSQL's server is not installed (Debian: apt-get install postgresql)"
        if os.environ.get(NEEDED):
            pytest.fail(why)
        pytest.skip(why)
    return found


class PrivateServer:
    """A running server; `url(database)` says how it is reached."""

    def __init__(self, binaries: Path) -> None:
        self._binaries = binaries
        # a short path, because a socket's has about a hundred bytes; as root, one that the user postgres can reach
        self.folder = Path(tempfile.mkdtemp(prefix="workbench-pg-", dir="/tmp" if os.geteuid() == 0 else None))
        self._owner = {"user": "postgres", "group": "postgres", "extra_groups": []} if os.geteuid() == 0 else {}
        if self._owner:
            shutil.chown(self.folder, "postgres", "postgres")
        self._made = 0
        self._run(
            "initdb",
            "-U",
            "postgres",
            "--auth=trust",
            "--encoding=UTF8",
            "--locale=C.UTF-8",
            "--no-sync",
            "-D",
            self.data,
        )
        with (self.data / "postgresql.conf").open("a") as file:
            file.writelines(f"{name} = {value}\n" for name, value in SETTINGS.items())
            file.write(f"unix_socket_directories = '{self.folder}'\n")
        (self.data / "pg_hba.conf").write_text(ACCESS)
        self.start()

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def url(self, database: str, user: str = "postgres") -> str:
        return f"postgresql+psycopg://{user}@/{database}?host={self.folder}"

    def start(self) -> None:
        self._run("pg_ctl", "-D", self.data, "-w", "-l", self.folder / "log", "start")

    def stop(self, mode: str = "immediate") -> None:
        """`immediate` is what a crash is: nobody is told, nothing is written."""
        self._run("pg_ctl", "-D", self.data, "-w", "-m", mode, "stop")

    def sql(self, statement: str, database: str = "postgres") -> str:
        """What psql prints."""
        return self._run("psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-h", self.folder, "-U", "postgres", "-d", database, "-c", statement)  # fmt: skip

    def fresh(self, template: str = TEMPLATE) -> str:
        """The name of a new database like the template."""
        self._made += 1
        name = f"test{self._made}"
        self.sql(f"CREATE DATABASE {name} TEMPLATE {template}")
        return name

    def emptied(self) -> str:
        """The address of the template itself, after everything in its tables is gone: quicker than a database for each test."""
        with psycopg.connect(host=str(self.folder), dbname=TEMPLATE, user="postgres", autocommit=True) as connection:
            connection.execute(EMPTY)
        return self.url(TEMPLATE)

    def close(self) -> None:
        """Stop for good and take everything away; also after a test has stopped it."""
        try:
            self.stop()
        except RuntimeError:
            assert not any(
                str(self.data) in " ".join(p.info["cmdline"] or []) for p in psutil.process_iter(["cmdline"])
            )
        shutil.rmtree(self.folder, ignore_errors=True)

    def _run(self, program: str, *words: object) -> str:
        command = [self._binaries / program, *map(str, words)]
        # the server keeps what it is given open, so its output must not be a pipe that somebody waits for
        with tempfile.TemporaryFile("w+") as output:
            ended = subprocess.run(
                command, check=False, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, cwd="/",
                env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"}, **self._owner,
            )  # type: ignore[call-overload]  # fmt: skip
            output.seek(0)
            said = output.read().strip()
        if ended.returncode:
            raise RuntimeError(f"{program}: {said}")
        return said
