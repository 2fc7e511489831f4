"""What only a PostgreSQL server has: schemas, rights, a signature of its own, text without NUL, and writers in one queue."""

import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import URL, make_url, text

from tests.postgres import PrivateServer
from workbench.domain.errors import BadInput, StorageFailed, TooNew
from workbench.domain.judgement import Item, Judgement
from workbench.store.database import Database
from workbench.store.filling import NewRow
from workbench.store.postgres import MARK, PostgresServer, decode_nul, encode_nul
from workbench.store.schema import SCHEMA_VERSION, metadata
from workbench.store.server import SCHEMA, new_address, write_address
from workbench.store.store import Store, open_store
from workbench.store.upgrade import migrate


@pytest.fixture
def kind() -> str:
    return "postgresql"


@pytest.fixture
def empty(server: PrivateServer) -> str:
    """The address of a database without any table."""
    return server.url(server.fresh("template0"))


def reach(address: str, schema: str = SCHEMA) -> Database:
    return Database(PostgresServer(make_url(address), schema))


def folder(place: Path, address: str) -> Path:
    place.mkdir()
    write_address(place, new_address(address))
    return place


def test_that_the_migrations_make_the_tables_that_the_code_speaks_of(store: Store) -> None:
    with store._database.read() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    assert store.check() == []


def test_that_whole_numbers_have_eight_bytes_and_text_is_ordered_by_code_point(store: Store) -> None:
    narrow = (
        "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'workbench' "
        "AND table_name <> 'alembic_version' AND (data_type = 'integer' OR data_type = 'text' AND collation_name <> 'C')"
    )
    with store._database.read() as connection:
        assert connection.execute(text(narrow)).all() == []


def test_that_the_first_opening_makes_the_schema_and_touches_no_other(
    server: PrivateServer, empty: str, tmp_path: Path
) -> None:
    name = str(make_url(empty).database)
    server.sql("CREATE TABLE theirs (x int); CREATE TABLE judgements (y int)", name)
    opened = open_store(folder(tmp_path / "a", empty))
    opened.datasets.create("texts", "documents")
    opened.close()
    listed = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"
    assert server.sql(listed, name) == "2"
    assert server.sql("SELECT name FROM workbench.datasets", name) == "texts"


def test_that_two_who_open_a_new_server_at_once_both_get_in(empty: str, tmp_path: Path) -> None:
    places = [folder(tmp_path / name, empty) for name in "ab"]
    raised: list[BaseException] = []

    def work(place: Path) -> None:
        try:
            open_store(place).close()
        except BaseException as error:  # noqa: BLE001
            raised.append(error)

    threads = [threading.Thread(target=work, args=(place,)) for place in places]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert raised == []


def test_that_a_migration_that_fails_changes_nothing(server: PrivateServer, empty: str) -> None:
    database = reach(empty)
    with pytest.raises(RuntimeError), database.write() as connection:
        migrate(database.dialect, connection)
        raise RuntimeError("the power is gone")
    with database.read() as connection:
        assert database.dialect.version(connection) == 0
    database.close()
    assert (
        server.sql("SELECT count(*) FROM pg_namespace WHERE nspname = 'workbench'", str(make_url(empty).database))
        == "0"
    )


def test_that_an_older_schema_is_brought_up_to_date_without_a_copy(
    server: PrivateServer, empty: str, tmp_path: Path
) -> None:
    database = reach(empty)
    with database.write() as connection:
        migrate(database.dialect, connection, "0001")
        connection.execute(text("INSERT INTO settings VALUES ('theme', '\"dark\"')"))
    database.close()
    place = folder(tmp_path / "a", empty)
    opened = open_store(place)
    with opened._database.read() as connection:
        assert opened._database.dialect.version(connection) == SCHEMA_VERSION
    opened.close()
    assert not (place / "backups").exists()
    assert server.sql("SELECT home || key FROM workbench.settings", str(make_url(empty).database)) == "theme"


def test_that_a_newer_schema_is_refused_and_left_alone(server: PrivateServer, tmp_path: Path) -> None:
    name = server.fresh()
    server.sql(f"UPDATE workbench.alembic_version SET version_num = '{SCHEMA_VERSION + 1:04}'", name)
    with pytest.raises(TooNew, match="newer version"):
        open_store(folder(tmp_path / "a", server.url(name)))
    assert server.sql("SELECT version_num FROM workbench.alembic_version", name) == f"{SCHEMA_VERSION + 1:04}"


def test_that_another_programs_schema_is_left_alone(server: PrivateServer, empty: str, tmp_path: Path) -> None:
    name = str(make_url(empty).database)
    server.sql("CREATE SCHEMA workbench; CREATE TABLE workbench.alembic_version (version_num text)", name)
    with pytest.raises(BadInput, match="another program"):
        open_store(folder(tmp_path / "a", empty))
    assert server.sql("SELECT count(*) FROM pg_tables WHERE schemaname = 'workbench'", name) == "1"


def test_that_a_missing_table_is_found_by_the_check(server: PrivateServer, tmp_path: Path) -> None:
    name = server.fresh()
    opened = open_store(folder(tmp_path / "a", server.url(name)))
    server.sql("DROP TABLE workbench.drafts", name)
    assert opened.check() == ["the table drafts is missing on the server"]
    opened.close()


def test_that_two_schemas_of_one_database_are_two_workspaces(empty: str, tmp_path: Path) -> None:
    one, two = (open_store(folder(tmp_path / n, f"{empty}&schema={n}")) for n in ("one", 'odd "%s" näme'))
    one.datasets.create("texts", "documents")
    with one._database.write():  # the writers of one schema don't wait for those of another
        two.datasets.create("other", "documents")
    assert ([d.name for d in one.datasets.list()], [d.name for d in two.datasets.list()]) == (["texts"], ["other"])
    one.close()
    two.close()


def test_that_a_copy_is_left_to_the_server(store: Store, workspace: Path) -> None:
    with pytest.raises(BadInput, match="server") as caught:
        store.backup()
    assert "pg_dump --schema=workbench" in caught.value.hint
    assert not list(workspace.rglob("*.db"))


@given(st.text(alphabet=["\x00", MARK, "0", "a", "é"], max_size=12))
def test_that_nul_is_written_as_something_else_and_read_back(said: str) -> None:
    assert decode_nul(encode_nul(said)) == said
    assert "\x00" not in encode_nul(said)


def test_that_text_with_nul_comes_back_and_is_found(
    store: Store, item: Callable[..., Item], judge: Callable[..., Judgement]
) -> None:
    odd = f"a\x00b{MARK}0"
    store.datasets.create(odd, "preferences")
    store.datasets.append(odd, [NewRow((item(odd), []), raw={odd: [odd, float("inf")]})])
    store.labels.add(judge(odd, note=odd), odd)
    (row,) = store.datasets.rows(odd)
    assert row.item is not None
    assert (row.item.id, row.raw, row.item.candidates[0].text) == (
        odd,
        {odd: [odd, float("inf")]},
        f"answer 0 to {odd}",
    )
    assert store.labels.current(odd)[0].note == odd
    assert store.datasets.find(odd, "A\x00B", 0, 1) == [0]


def test_that_a_reader_sees_one_state_and_changes_nothing(store: Store) -> None:
    with store._database.read() as connection:
        count = text("SELECT count(*) FROM datasets")
        assert connection.execute(count).scalar_one() == 0
        store.datasets.create("texts", "documents")
        assert connection.execute(count).scalar_one() == 0
    with pytest.raises(StorageFailed, match="takes no changes"), store._database.read() as connection:
        connection.execute(text("DELETE FROM datasets"))
    assert store.datasets.count("texts") == 0


def test_that_a_writer_who_waits_too_long_is_told_so(
    store: Store, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workbench.store.postgres.LOCK_MILLISECONDS", 50)
    impatient = open_store(workspace)
    with store._database.write(), pytest.raises(StorageFailed, match="busy"):
        impatient.settings.set(theme="dark")
    impatient.settings.set(theme="light")
    assert store.settings.get() == {"theme": "light"}
    impatient.close()


def test_that_a_writer_who_falls_silent_keeps_nobody_waiting_for_ever(
    store: Store, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workbench.store.postgres.IDLE_MILLISECONDS", 100)
    asleep = open_store(workspace)
    with pytest.raises(StorageFailed, match="stood still"), asleep._database.write() as connection:
        connection.execute(text("DELETE FROM settings"))
        store.settings.set(theme="dark")  # waits until the server has cut the other off
        connection.execute(text("DELETE FROM settings"))
    assert asleep.settings.get() == {"theme": "dark"}
    asleep.close()


def test_that_a_statement_that_takes_too_long_is_broken_off(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workbench.store.postgres.STATEMENT_MILLISECONDS", 50)
    opened = open_store(workspace)
    with pytest.raises(StorageFailed, match="too long"), opened._database.read() as connection:
        connection.execute(text("SELECT pg_sleep(5)"))
    opened.close()


def test_that_the_address_of_a_database_is_shown_without_its_password() -> None:
    url = URL.create("postgresql+psycopg", "anna", "secret", "host", database="team")
    assert "secret" not in str(PostgresServer(url, "workbench"))
