"""Opening a workspace: new, current, older, newer, foreign, damaged, full, read-only."""

import contextlib
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine, event

from tests.schema import Replay
from workbench.domain.errors import BadInput, StorageFailed, TooNew
from workbench.store.database import Database
from workbench.store.schema import SCHEMA_VERSION, metadata
from workbench.store.store import DATABASE, Store, open_store
from workbench.store.upgrade import KEPT_BACKUPS, backup, migrate


@pytest.fixture
def kind() -> str:
    return "sqlite"


VERSIONS = Path(sys.modules["workbench.store.upgrade"].__file__ or "").parent / "migrations/versions"


@pytest.fixture(autouse=True)
def every_workspace_is_migrated(monkeypatch: pytest.MonkeyPatch) -> None:
    """What other tests leave out (tests/schema.py) is what these are about."""
    monkeypatch.setattr("workbench.store.upgrade.migrate", migrate)


def test_that_a_workspace_made_at_once_for_a_test_is_what_the_migrations_make(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def everything(folder: Path) -> tuple[list[str], list[int]]:
        open_store(folder).close()
        with contextlib.closing(sqlite3.connect(folder / DATABASE)) as found:
            numbers = [found.execute(f"PRAGMA {n}").fetchone()[0] for n in ("user_version", "application_id")]
            return list(found.iterdump()), numbers

    migrated = everything(tmp_path / "migrated")
    monkeypatch.setattr("workbench.store.upgrade.migrate", Replay())
    first = everything(tmp_path / "first")
    monkeypatch.setattr("tests.schema.migrate_in_truth", None)
    assert everything(tmp_path / "second") == first == migrated


def test_that_the_migrations_make_the_tables_that_the_code_speaks_of(store: Store, workspace: Path) -> None:
    engine = create_engine(f"sqlite:///{workspace / DATABASE}")
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    engine.dispose()


def test_that_no_migration_imports_the_application() -> None:
    steps = [p for p in VERSIONS.glob("*.py") if p.name != "__init__.py"]
    assert len(steps) == SCHEMA_VERSION
    assert not [p.name for p in steps if "workbench" in p.read_text(encoding="utf-8")]


def test_that_a_current_workspace_is_opened_without_alembic_and_psycopg(store: Store, workspace: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from workbench.store.store import open_store; "
        f"open_store(Path({str(workspace)!r})).close(); "
        "sys.exit(any(m.split('.')[0] in {'alembic', 'pyarrow', 'mako', 'psycopg'} for m in sys.modules) or "
        "'sqlalchemy.dialects.postgresql' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_that_every_connection_is_durable_and_checks_foreign_keys(store: Store) -> None:
    with store._database.read() as connection:
        asked = {
            p: connection.exec_driver_sql(f"PRAGMA {p}").scalar()
            for p in ("journal_mode", "synchronous", "foreign_keys")
        }
    assert asked == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}


def test_that_a_newer_workspace_is_refused_and_left_alone(store: Store, workspace: Path) -> None:
    store.close()
    raw = sqlite3.connect(workspace / DATABASE)
    raw.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    raw.close()
    before = (workspace / DATABASE).read_bytes()
    with pytest.raises(TooNew, match="newer version"):
        open_store(workspace)
    assert (workspace / DATABASE).read_bytes() == before


def test_that_an_older_workspace_is_copied_before_it_is_migrated(
    store: Store, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.settings.set(annotator="anna")
    store.close()
    monkeypatch.setattr("workbench.store.upgrade.SCHEMA_VERSION", SCHEMA_VERSION + 1)
    again = open_store(workspace)
    (copy,) = (workspace / "backups").glob("*.db")
    assert again.settings.get() == {"annotator": "anna"}
    again.close()
    with sqlite3.connect(copy) as raw:
        assert raw.execute("SELECT value FROM settings").fetchall() == [('"anna"',)]
    raw.close()


def test_that_a_migration_that_fails_changes_nothing(tmp_path: Path) -> None:
    database = Database(tmp_path / "half.db")
    with pytest.raises(RuntimeError), database.write() as connection:
        migrate(database.dialect, connection)
        raise RuntimeError("the power is gone")
    with database.read() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM sqlite_master").scalar() == 0
        assert connection.exec_driver_sql("PRAGMA user_version").scalar() == 0
    database.close()


def test_that_another_programs_database_is_left_alone(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / DATABASE) as raw:
        raw.execute("CREATE TABLE theirs (x)")
    raw.close()
    with pytest.raises(BadInput, match="another program"):
        open_store(tmp_path)


@pytest.mark.parametrize("content", [b"not a database at all" * 100, b"SQLite format 3\x00" + b"\xff" * 4000])
def test_that_a_damaged_database_is_reported_with_a_way_back(tmp_path: Path, content: bytes) -> None:
    (tmp_path / DATABASE).write_bytes(content)
    with pytest.raises(StorageFailed) as caught:
        open_store(tmp_path)
    assert "Nothing was changed" in caught.value.what
    assert "backups" in caught.value.hint
    assert (tmp_path / DATABASE).read_bytes() == content


def test_that_damage_inside_the_file_is_found_by_the_check(store: Store, workspace: Path) -> None:
    store.datasets.create("texts", "documents")
    store.datasets.append("texts", ["a long text " * 50] * 200)
    store.close()
    path = workspace / DATABASE
    content = bytearray(path.read_bytes())
    content[60_000:90_000] = b"\x55" * 30_000
    path.write_bytes(content)
    again = open_store(workspace)
    try:
        found = again.check()
    except StorageFailed as error:
        found = [error.what]
    again.close()
    assert found


def test_that_a_full_disk_changes_nothing(store: Store) -> None:
    store.datasets.create("texts", "documents")
    with store._database.read() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
    # SQLite's own limit gives the same error as a full disk
    store._database._engine.dispose()
    event.listen(
        store._database._engine, "connect", lambda c, _r: c.execute(f"PRAGMA max_page_count = {pages}").close()
    )
    with pytest.raises(StorageFailed, match=r"disk is full.*Nothing was changed"):
        store.datasets.append("texts", ["much text " * 1000] * 100)
    assert store.datasets.count("texts") == 0
    assert store.datasets.rows("texts") == []


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="the superuser may write everywhere")
def test_that_a_workspace_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(StorageFailed):
        open_store(tmp_path / "workspace")
    tmp_path.chmod(0o700)


def test_that_a_folder_in_the_databases_place_is_named(tmp_path: Path) -> None:
    (tmp_path / DATABASE).mkdir()
    with pytest.raises(StorageFailed, match="folder"):
        open_store(tmp_path)


def test_that_a_workspace_locked_by_another_process_is_reported(
    store: Store, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workbench.store.sqlite.BUSY_MILLISECONDS", 50)
    impatient = open_store(workspace)
    raw = sqlite3.connect(workspace / DATABASE, isolation_level=None)
    raw.execute("BEGIN IMMEDIATE")
    with pytest.raises(StorageFailed, match="busy"):
        impatient.settings.set(annotator="anna")
    raw.execute("ROLLBACK")
    raw.close()
    impatient.settings.set(annotator="anna")
    impatient.close()


def test_that_only_the_newest_backups_are_kept(store: Store, workspace: Path) -> None:
    for _ in range(KEPT_BACKUPS + 3):
        last = store.backup()
    kept = sorted((workspace / "backups").glob("*.db"))
    assert len(kept) == KEPT_BACKUPS
    assert kept[-1] == last
    assert backup(store._database, workspace / "backups", "again") > last


def test_that_two_processes_may_make_the_same_workspace_at_once(workspace: Path) -> None:
    code = f"from pathlib import Path; from workbench.store.store import open_store; open_store(Path({str(workspace)!r})).close()"
    both = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(2)]
    assert [p.wait() for p in both] == [0, 0]
