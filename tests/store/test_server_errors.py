"""What a person reads when the server can't be used: each refusal in a sentence, with a way on, and never with a password."""

import json
import os
import socket
import stat
import sys
from pathlib import Path

import pytest

from tests.postgres import PrivateServer
from workbench.domain.errors import BadInput, StorageFailed
from workbench.store.postgres import explain_server
from workbench.store.server import SERVER, new_address, parse_address, read_address, write_address
from workbench.store.store import open_store


@pytest.fixture
def ask(tmp_path: Path) -> "Ask":
    return Ask(tmp_path / "workspace")


class Ask:
    """Opens a workspace with an address and gives back the refusal."""

    def __init__(self, place: Path) -> None:
        self._place = place

    def __call__(self, address: str) -> StorageFailed:
        self._place.mkdir()
        write_address(self._place, new_address(address))
        with pytest.raises(StorageFailed) as caught:
            open_store(self._place)
        assert caught.value.hint
        assert "secret" not in caught.value.what + caught.value.hint + caught.value.details
        return caught.value


def test_that_a_wrong_password_is_named(server: PrivateServer, ask: Ask) -> None:
    server.sql("DROP ROLE IF EXISTS locked; CREATE ROLE locked LOGIN PASSWORD 'right'")
    error = ask(server.url("postgres", "locked:secret"))
    assert "doesn't let this user in" in error.what
    assert ".pgpass" in error.hint


def test_that_a_missing_password_is_named(server: PrivateServer, ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGPASSFILE", os.devnull)
    server.sql("DROP ROLE IF EXISTS locked; CREATE ROLE locked LOGIN PASSWORD 'right'")
    assert "PGPASSWORD" in ask(server.url("postgres", "locked")).hint


def test_that_a_password_is_taken_from_where_the_servers_own_tools_look(
    server: PrivateServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = server.fresh()
    server.sql(
        f"DROP ROLE IF EXISTS locked; CREATE ROLE locked SUPERUSER LOGIN PASSWORD 'right'; ALTER DATABASE {name} OWNER TO locked"
    )
    (tmp_path / "pgpass").write_text(f"*:*:{name}:locked:right\n")
    (tmp_path / "pgpass").chmod(0o600)
    monkeypatch.setenv("PGPASSFILE", str(tmp_path / "pgpass"))
    write_address(tmp_path, new_address(server.url(name, "locked")))
    assert "right" not in (tmp_path / SERVER).read_text()
    open_store(tmp_path).close()
    monkeypatch.delenv("PGPASSFILE")
    monkeypatch.setenv("PGPASSWORD", "right")
    open_store(tmp_path).close()


def test_that_a_user_whom_the_server_rejects_is_named(server: PrivateServer, ask: Ask) -> None:
    assert "doesn't let this user in" in ask(server.url("postgres", "nobody")).what


def test_that_an_unknown_user_is_named(server: PrivateServer, ask: Ask) -> None:
    assert "doesn't know this user" in ask(server.url("postgres", "stranger")).what


def test_that_an_unknown_database_is_named(server: PrivateServer, ask: Ask) -> None:
    error = ask(server.url("nowhere"))
    assert "no such database" in error.what
    assert "createdb" in error.hint


def test_that_a_user_who_may_make_nothing_is_named(server: PrivateServer, ask: Ask) -> None:
    server.sql("DROP ROLE IF EXISTS reader; CREATE ROLE reader LOGIN")
    assert "doesn't allow this" in ask(server.url(server.fresh("template0"), "reader")).what


def test_that_a_server_that_is_not_there_is_named(tmp_path: Path, ask: Ask) -> None:
    assert "doesn't answer" in ask(f"postgresql+psycopg://me:secret@/team?host={tmp_path}").what


def test_that_a_port_where_nobody_listens_is_named(ask: Ask) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    error = ask(f"postgresql+psycopg://me:secret@127.0.0.1:{port}/team")
    assert "doesn't answer" in error.what
    assert "server.json" in error.hint


def test_that_a_host_without_address_is_named(ask: Ask) -> None:
    assert "name isn't known" in ask("postgresql+psycopg://me:secret@nowhere.invalid/team").what


def test_that_a_missing_package_is_named(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    assert "pip install 'rlhf-workbench[postgres]'" in ask("postgresql+psycopg://me@host/team").hint


@pytest.mark.parametrize(
    ("code", "said", "what"),
    [
        ("53100", "could not extend file", "disk is full"),
        ("53300", "sorry, too many clients already", "no free connection"),
        (None, "FATAL: remaining connection slots are reserved", "no free connection"),
        ("57P03", "x", "starting or stopping"),
        (None, "connection failed: FATAL: the database system is starting up", "starting or stopping"),
        ("57P01", "terminating connection", "was lost"),
        (None, "SSL connection has been closed unexpectedly", "was lost"),
        (None, "consuming input failed: server closed the connection unexpectedly", "was lost"),
        (None, "connection timeout expired", "doesn't answer"),
        ("42P01", 'relation "rows" does not exist', "incomplete"),
        ("22012", "division by zero", "refused: division by zero"),
        (None, "something new", "refused: something new"),
    ],
)
def test_that_every_refusal_has_a_sentence(code: str | None, said: str, what: str) -> None:
    class Refusal(Exception):
        sqlstate = code

    error = explain_server(Refusal(said))
    assert what in error.what
    assert error.what.endswith("Nothing was changed.")
    assert (bool(error.hint), error.details) == (True, said)


@pytest.mark.parametrize(
    "text",
    ["", "no address", "mysql://host/db", "sqlite:///file.db", "postgresql://host:port/db", "postgresql://h/d?schema=pg_x",
     f"postgresql://h/d?schema={'x' * 64}", "postgresql://h/d?schema=a&schema=b", "postgresql://h/d?schema=a%00"],
)  # fmt: skip
def test_that_an_address_that_leads_nowhere_is_refused(text: str) -> None:
    with pytest.raises(BadInput) as caught:
        new_address(text)
    assert caught.value.hint


@pytest.mark.parametrize("begin", ["postgresql+psycopg", "postgresql", "postgres"])
def test_that_an_address_is_understood_as_other_tools_write_it(begin: str) -> None:
    address = parse_address(f" {begin}://anna:secret@host:5433/team?schema=red&sslmode=require ", "home")
    assert (
        address.url.render_as_string(hide_password=False)
        == "postgresql+psycopg://anna:secret@host:5433/team?sslmode=require"
    )
    assert (address.schema, address.home, address.secret) == ("red", "home", True)
    assert "secret" not in str(address)


@pytest.mark.parametrize(
    ("text", "secret"), [("anna@h/d", False), ("anna:x@h/d", True), ("h/d?password=x", True), ("/?service=team", False)]
)
def test_that_a_password_in_the_address_is_noticed(text: str, secret: bool) -> None:
    address = new_address(f"postgresql://{text}")
    assert address.secret is secret
    assert "=x" not in str(address)


def test_that_the_address_is_kept_for_its_owner_alone(tmp_path: Path) -> None:
    address = new_address("postgresql://anna:secret@host/team?schema=red")
    path = write_address(tmp_path, address)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert read_address(tmp_path) == address


def test_that_every_folder_gets_a_name_of_its_own() -> None:
    assert new_address("postgresql://h/d").home != new_address("postgresql://h/d").home


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"server": 1, "home": "x"}', '{"server": "postgresql://h/d", "home": ""}', "\x00"])  # fmt: skip
def test_that_a_damaged_address_file_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / SERVER).write_text(content)
    with pytest.raises(StorageFailed, match=SERVER):
        open_store(tmp_path)
    assert not (tmp_path / "workbench.db").exists()


def test_that_a_folder_without_address_has_its_database_in_a_file(tmp_path: Path) -> None:
    assert read_address(tmp_path) is None
    assert read_address(tmp_path / "absent") is None
    (tmp_path / "other.json").write_text(json.dumps({}))
    open_store(tmp_path).close()
    assert (tmp_path / "workbench.db").exists()
