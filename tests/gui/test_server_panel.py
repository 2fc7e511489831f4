"""A workspace on a server, connected in the window: what is asked, what is refused and why, and where no password ends up."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import QSettings, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QLineEdit, QPushButton, QWidget
from pytestqt.qtbot import QtBot

from tests.postgres import PrivateServer
from workbench.gui.app import Opener, server_behind
from workbench.gui.server_panel import ServerPanel, complete_address
from workbench.gui.theme import Theme
from workbench.gui.widgets.states import ErrorState
from workbench.gui.window import Window
from workbench.services.workbench import Workbench, new_workspace, server_of

PATIENCE = 30_000
SECRET = "open-sesame"


@pytest.fixture
def window(
    qtbot: QtBot, theme: Theme, memory: QSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Window]:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("PGPASSFILE", str(tmp_path / "nothing"))
    bench = Workbench.open(new_workspace(tmp_path / "home"))
    made = Window(theme, memory)
    made.wear(bench, bench.settings.get())
    made.show()
    yield made
    made.close()
    made.deleteLater()


@pytest.fixture
def panel(window: Window) -> ServerPanel:
    Opener(window).connect_server()
    return shown(window)


@pytest.fixture
def guarded(server: PrivateServer) -> str:
    """The address of an empty database that lets its owner in with a password only."""
    name = server.fresh("template0")
    made = f"CREATE ROLE guarded SUPERUSER LOGIN PASSWORD '{SECRET}'"
    server.sql(f"DO $$ BEGIN DROP ROLE IF EXISTS guarded; {made}; EXCEPTION WHEN others THEN "
               f"ALTER ROLE guarded SUPERUSER PASSWORD '{SECRET}'; END $$")  # fmt: skip
    return server.url(name, "guarded")


def shown(window: Window) -> ServerPanel:
    found = window.findChild(ServerPanel, "server")
    assert isinstance(found, ServerPanel)
    assert found.isVisible()
    return found


def connect(panel: ServerPanel, address: str, password: str = "", folder: Path | None = None) -> None:
    """What a person types, and Enter."""
    panel.address.clear()
    QTest.keyClicks(panel.address, address)
    panel.password.clear()
    QTest.keyClicks(panel.password, password)
    if folder is not None:
        panel.folder.clear()
        QTest.keyClicks(panel.folder, str(folder))
    QTest.keyClick(panel.password, Qt.Key.Key_Return)


def opened(window: Window, folder: Path) -> bool:
    return window.services is not None and window.services.path == folder


def files_with(folder: Path, words: str) -> list[str]:
    files = (file for file in folder.rglob("*") if file.is_file())
    return [str(file) for file in files if words.encode() in file.read_bytes()]


def test_that_a_workspace_on_a_server_is_made_and_opened_without_keeping_the_password(
    window: Window, panel: ServerPanel, guarded: str, qtbot: QtBot, tmp_path: Path
) -> None:
    assert not panel.isModal()
    connect(panel, guarded, SECRET, tmp_path / "team")
    qtbot.waitUntil(lambda: opened(window, tmp_path / "team"), timeout=PATIENCE)
    assert window.services.datasets.list() == []
    assert files_with(tmp_path, SECRET) == []
    assert SECRET not in window.services.server
    assert "guarded@" in window.services.server


def test_that_a_password_in_the_address_is_used_and_not_kept_either(
    window: Window, panel: ServerPanel, guarded: str, qtbot: QtBot, tmp_path: Path
) -> None:
    connect(panel, guarded.replace("guarded@", f"guarded:{SECRET}@"), "", tmp_path / "team")
    qtbot.waitUntil(lambda: opened(window, tmp_path / "team"), timeout=PATIENCE)
    assert files_with(tmp_path, SECRET) == []


def test_that_a_workspace_without_its_password_asks_for_it(
    window: Window, panel: ServerPanel, guarded: str, qtbot: QtBot, tmp_path: Path
) -> None:
    folder = tmp_path / "team"
    connect(panel, guarded, SECRET, folder)
    qtbot.waitUntil(lambda: opened(window, folder), timeout=PATIENCE)
    Opener(window).open(folder)
    qtbot.waitUntil(lambda: isinstance(window.deck.currentWidget(), ErrorState), timeout=PATIENCE)
    state = window.deck.currentWidget()
    assert isinstance(state, ErrorState)
    assert "doesn't let this user in" in state.what.text()
    QTest.mouseClick(state.findChild(QPushButton, "window.error.more"), Qt.MouseButton.LeftButton)
    again = shown(window)
    assert again.address.isReadOnly()
    assert again.folder.text() == str(folder)
    assert again.password.hasFocus() or not again.isActiveWindow()
    QTest.keyClicks(again.password, "wrong")
    QTest.keyClick(again.password, Qt.Key.Key_Return)
    qtbot.waitUntil(again.said.isVisible, timeout=PATIENCE)
    assert "doesn't let this user in" in again.said.text()
    again.password.clear()
    QTest.keyClicks(again.password, SECRET)
    QTest.mouseClick(again.go, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: opened(window, folder), timeout=PATIENCE)


@pytest.mark.parametrize(
    ("address", "what"),
    [
        ("me@nowhere.invalid/team", "name isn't known"),
        ("me@127.0.0.1:1/team", "doesn't answer"),
        ("mysql://me@host/team", "doesn't know databases of the kind mysql"),
        ("me@host/team?schema=pg_catalog", "belongs to the server"),
    ],
)
def test_that_a_refusal_is_said_in_the_form_and_what_was_typed_stays(
    window: Window, panel: ServerPanel, qtbot: QtBot, tmp_path: Path, address: str, what: str
) -> None:
    before = window.services
    connect(panel, address, "x", tmp_path / "team")
    qtbot.waitUntil(panel.said.isVisible, timeout=PATIENCE)
    assert what in panel.said.text()
    assert panel.hint.text()
    assert panel.address.text() == address
    assert panel.go.isEnabled()
    assert window.services is before  # the workspace that was open still is
    assert not (tmp_path / "team").exists()


def test_that_tables_of_another_program_are_no_workspace(
    window: Window, panel: ServerPanel, server: PrivateServer, qtbot: QtBot, tmp_path: Path
) -> None:
    name = server.fresh("template0")
    server.sql("CREATE SCHEMA workbench; CREATE TABLE workbench.orders (id int)", name)
    connect(panel, server.url(name), "", tmp_path / "team")
    qtbot.waitUntil(panel.said.isVisible, timeout=PATIENCE)
    assert "belongs to another program" in panel.said.text()
    assert not (tmp_path / "team").exists()


def test_that_a_folder_with_another_workspace_is_refused(
    window: Window, panel: ServerPanel, qtbot: QtBot, tmp_path: Path
) -> None:
    connect(panel, "me@host/team", "", tmp_path / "home")
    qtbot.waitUntil(panel.said.isVisible, timeout=PATIENCE)
    assert "is another workspace" in panel.said.text()


def test_that_the_folder_is_named_after_the_database_until_a_person_names_it(panel: ServerPanel) -> None:
    QTest.keyClicks(panel.address, "anna@db.example.org/team")
    assert Path(panel.folder.text()).name == "team"
    panel.folder.clear()
    QTest.keyClicks(panel.folder, "/elsewhere")
    QTest.keyClicks(panel.address, "s?schema=old")
    assert panel.folder.text() == "/elsewhere"


def test_that_what_is_missing_is_said_without_asking_the_server(panel: ServerPanel) -> None:
    QTest.mouseClick(panel.go, Qt.MouseButton.LeftButton)
    assert panel.said.text() == "Address is missing."
    QTest.keyClicks(panel.address, "anna@host")
    QTest.mouseClick(panel.go, Qt.MouseButton.LeftButton)
    assert panel.said.text() == "Folder is missing."


@pytest.mark.parametrize(
    ("typed", "whole"),
    [
        ("anna@host/team", "postgresql+psycopg://anna@host/team"),
        (" postgresql://a@h/d ", "postgresql://a@h/d"),
        ("", ""),
    ],
)
def test_that_the_scheme_may_be_left_out(typed: str, whole: str) -> None:
    assert complete_address(typed) == whole


def test_that_everything_in_the_form_has_names_and_the_password_is_hidden(panel: ServerPanel) -> None:
    for widget in panel.findChildren(QWidget):
        if isinstance(widget, QPushButton | QLineEdit):
            assert widget.objectName()
            assert widget.accessibleName()
    assert panel.password.echoMode() is QLineEdit.EchoMode.Password
    assert panel.password.accessibleDescription()


def test_that_a_workspace_in_a_file_has_no_server_behind_it(tmp_path: Path) -> None:
    folder = new_workspace(tmp_path / "plain")
    assert server_of(folder) is None
    assert server_behind(folder) == (folder, "")
