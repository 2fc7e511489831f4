"""The main window: pages, keys, errors, workspaces, and what is remembered."""

import gc
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from PySide6.QtCore import QMimeData, QPointF, QSettings, Qt, QUrl
from PySide6.QtGui import QDropEvent
from PySide6.QtWidgets import QAbstractButton, QDialog, QLineEdit, QMessageBox, QPushButton, QVBoxLayout, QWidget
from pytestqt.qtbot import QtBot

from workbench.domain.errors import BadInput, WorkbenchError
from workbench.domain.settings import Settings
from workbench.gui.app import Opener, catch_unexpected
from workbench.gui.page_table import PAGES, PageEntry, page_class
from workbench.gui.shell import Action
from workbench.gui.theme import Theme
from workbench.gui.widgets.states import ErrorState
from workbench.gui.window import Window
from workbench.services.workbench import Workbench, new_workspace


class NotedPage(QWidget):
    """A small real page that notes what the window asks of it."""

    help_text = "Notes **everything**."

    def __init__(self, services: Any, bridge: Any, shell: Any) -> None:
        super().__init__()
        self.services, self.bridge, self.shell = services, bridge, shell
        self.noted: list[Any] = []
        column = QVBoxLayout(self)
        self.field = QLineEdit()
        column.addWidget(self.field)

    def shown(self) -> None:
        self.noted.append("shown")

    def hidden(self) -> None:
        self.noted.append("hidden")

    def arrive(self, **arguments: Any) -> None:
        self.noted.append(arguments)

    def undo(self) -> None:
        self.noted.append("undo")

    def redo(self) -> None:
        self.noted.append("redo")

    def closing(self) -> None:
        self.noted.append("closing")

    def settings_changed(self, settings: Settings) -> None:
        self.noted.append(settings.annotator)

    def actions(self) -> list[Action]:  # type: ignore[override]
        return [Action("noted.do", "Note something", "Ctrl+J", lambda: self.noted.append("done"))]


class BrokenPage(QWidget):
    """A page that can't be built the first time."""

    failures = 1

    def __init__(self, *_parts: Any) -> None:
        super().__init__()
        if BrokenPage.failures:
            BrokenPage.failures -= 1
            raise BadInput("The shelf is empty.", "Fill it.")

    def shown(self) -> None:
        raise ZeroDivisionError("a slip")


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> tuple[PageEntry, ...]:
    module = ModuleType("tests_of_pages")
    module.NotedPage, module.BrokenPage, module.OtherPage = NotedPage, BrokenPage, type("OtherPage", (NotedPage,), {})  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "tests_of_pages", module)
    BrokenPage.failures = 1
    return (
        PageEntry("noted", "Noted", "home", "tests_of_pages:NotedPage"),
        PageEntry("data", "Data", "data", "tests_of_pages:OtherPage"),
        PageEntry("broken", "Broken", "runs", "tests_of_pages:BrokenPage"),
        PageEntry("absent", "Absent", "train", "tests_of_pages.nowhere:Page"),
    )


@pytest.fixture
def bench(tmp_path: Path) -> Workbench:
    return Workbench.open(new_workspace(tmp_path / "space"))


@pytest.fixture
def window(
    qtbot: QtBot, theme: Theme, memory: QSettings, bench: Workbench, table: tuple[PageEntry, ...]
) -> Iterator[Window]:
    made = Window(theme, memory, table)
    made.wear(bench, bench.settings.get())
    made.show()
    qtbot.waitExposed(made)
    made.go("noted")
    yield made
    made.close()
    made.deleteLater()


def noted(window: Window, page: str = "noted") -> NotedPage:
    found = window.deck.page(page)
    assert isinstance(found, NotedPage)
    return found


def test_that_the_pages_stand_in_the_order_of_the_interface() -> None:
    titles = ["Home", "Data", "Annotate", "Train", "Runs", "Playground", "Models", "Settings", "Statistics"]
    assert [entry.title for entry in PAGES] == titles


def test_that_a_page_is_imported_and_built_only_when_it_is_shown(window: Window) -> None:
    assert window.deck.page("data") is None
    window.go("data")
    assert isinstance(window.deck.page("data"), NotedPage)


def test_that_a_page_that_stays_is_not_looked_at_by_the_collector_and_one_that_goes_is(window: Window) -> None:
    page = noted(window)
    assert not any(one is page for one in gc.get_objects())  # frozen: in no generation that is ever collected
    window.deck.drop_all()
    assert any(one is page for one in gc.get_objects())


def test_that_a_page_hears_when_it_is_shown_hidden_and_given_arguments(window: Window) -> None:
    window.go("data", dataset="pairs")
    assert noted(window).noted[-1] == "hidden"
    assert noted(window, "data").noted[-2:] == ["shown", {"dataset": "pairs"}]


def test_that_control_and_a_number_shows_a_page(window: Window, qtbot: QtBot) -> None:
    qtbot.keyClick(window, Qt.Key.Key_2, Qt.KeyboardModifier.ControlModifier)
    assert window.top.title.text() == "Data"
    rail = window.findChild(QAbstractButton, "rail.data")
    assert rail is not None
    assert rail.isChecked()


def test_that_the_rail_shows_pages_too(window: Window, qtbot: QtBot) -> None:
    rail = window.findChild(QAbstractButton, "rail.data")
    assert rail is not None
    qtbot.mouseClick(rail, Qt.MouseButton.LeftButton)
    assert window.deck.currentWidget() is window.deck.page("data")


def test_that_undo_and_redo_reach_the_page(window: Window, qtbot: QtBot) -> None:
    control, shift = Qt.KeyboardModifier.ControlModifier, Qt.KeyboardModifier.ShiftModifier
    qtbot.keyClick(window, Qt.Key.Key_Z, control)
    qtbot.keyClick(window, Qt.Key.Key_Z, control | shift)
    assert noted(window).noted[-2:] == ["undo", "redo"]


def test_that_undo_in_a_text_field_stays_in_the_field(window: Window, qtbot: QtBot) -> None:
    page = noted(window)
    window.activateWindow()
    page.field.setFocus()
    qtbot.keyClicks(page.field, "ab")
    before = list(page.noted)
    qtbot.keyClick(page.field, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert page.field.text() == ""
    assert page.noted == before


def test_that_a_page_that_cannot_be_built_says_why_and_can_be_tried_again(window: Window, qtbot: QtBot) -> None:
    window.go("broken")
    state = window.deck.page("broken")
    assert isinstance(state, ErrorState)
    assert state.what.text() == "The shelf is empty."
    again = state.findChild(QPushButton, "broken.error.retry")
    assert again is not None
    qtbot.mouseClick(again, Qt.MouseButton.LeftButton)
    assert isinstance(window.deck.page("broken"), BrokenPage)


def test_that_a_missing_page_leaves_the_window_standing(window: Window) -> None:
    window.go("absent")
    state = window.deck.page("absent")
    assert isinstance(state, ErrorState)
    assert "Traceback" in state.details.toPlainText()
    window.go("noted")
    assert window.deck.currentWidget() is noted(window)


def test_that_an_error_in_a_pages_method_becomes_a_notice(window: Window) -> None:
    BrokenPage.failures = 0
    window.go("broken")
    assert "ZeroDivisionError: a slip" in window.notices.history[-1].what
    assert window.notices.history[-1].kind == "bad"


def test_that_an_unknown_page_is_ignored(window: Window) -> None:
    window.go("nowhere")
    assert window.deck.currentWidget() is noted(window)


def test_that_what_escapes_from_a_slot_is_told_to_the_user(window: Window, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    catch_unexpected(window)
    error = RuntimeError("out of a slot")
    sys.excepthook(RuntimeError, error, None)
    sys.excepthook(BadInput, BadInput("Not so.", "But so."), None)
    assert "out of a slot" in window.notices.history[-2].what
    assert window.notices.history[-1].hint == "But so."


def test_that_help_shows_the_pages_words(window: Window, qtbot: QtBot) -> None:
    qtbot.keyClick(window, Qt.Key.Key_F1)
    panel = window.findChild(QDialog, "help")
    assert panel is not None
    assert panel.isVisible()
    assert not panel.isModal()
    panel.close()


def test_that_the_list_of_keys_holds_the_pages_own(window: Window, qtbot: QtBot) -> None:
    qtbot.keyClick(window, Qt.Key.Key_Slash, Qt.KeyboardModifier.ControlModifier)
    panel = window.findChild(QDialog, "keys")
    assert panel is not None
    from PySide6.QtWidgets import QLabel

    words = [label.text() for label in panel.findChildren(QLabel)]
    assert "Ctrl+J" in words
    assert "Note something" in words
    assert "Ctrl+K" in words
    panel.close()


def test_that_the_log_keeps_what_was_told(window: Window) -> None:
    window.notify("One thing", "and a hint", "warning", details="line 1\nline 2")
    window.show_log()
    panel = window.findChild(QDialog, "log")
    assert panel is not None
    from PySide6.QtWidgets import QPlainTextEdit

    paper = panel.findChild(QPlainTextEdit, "log.text")
    assert paper is not None
    assert "One thing" in paper.toPlainText()
    assert "line 2" in paper.toPlainText()
    panel.close()


def test_that_the_palette_finds_and_runs_a_pages_action(window: Window, qtbot: QtBot) -> None:
    qtbot.keyClick(window, Qt.Key.Key_K, Qt.KeyboardModifier.ControlModifier)
    assert window.palette_.isVisible()
    qtbot.keyClicks(window.palette_.field, "note some")
    qtbot.keyClick(window.palette_.field, Qt.Key.Key_Return)
    assert noted(window).noted[-1] == "done"
    assert not window.palette_.isVisible()


def test_that_the_palette_finds_names_from_the_store(window: Window, qtbot: QtBot, bench: Workbench) -> None:
    bench.datasets.create("winter-pairs", "preferences")
    window.find_anything()
    window.palette_.field.setText("winter")
    qtbot.waitUntil(lambda: window.palette_.list.count() == 1)
    qtbot.keyClick(window.palette_.field, Qt.Key.Key_Return)
    assert noted(window, "data").noted[-1] == {"dataset": "winter-pairs"}


def test_that_dropped_files_go_to_the_data_page(window: Window, tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text("{}\n")
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(file))])
    copy, left, none = Qt.DropAction.CopyAction, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    window.dropEvent(QDropEvent(QPointF(20, 20), copy, data, left, none))
    assert noted(window, "data").noted[-1] == {"files": [file]}


def test_that_confirming_calls_and_refusing_does_not(window: Window, qtbot: QtBot) -> None:
    done: list[str] = []
    for button in ("confirm.no", "confirm.yes"):
        window.confirm("Delete it?", "It will be gone.", lambda button=button: done.append(button))  # type: ignore[misc]
        box = window.findChildren(QMessageBox)[-1]
        found = box.findChild(QPushButton, button)
        assert found is not None
        qtbot.mouseClick(found, Qt.MouseButton.LeftButton)
        qtbot.waitUntil(lambda box=box: not box.isVisible())  # type: ignore[misc]
        box.deleteLater()
    assert done == ["confirm.yes"]


def test_that_new_settings_reach_pages_and_theme_at_once(window: Window, theme: Theme) -> None:
    window.settings_changed(Settings(theme="dark", annotator="ada"))
    assert noted(window).noted[-1] == "ada"
    assert theme.dark
    window.settings_changed(Settings(theme="light"))
    assert not theme.dark


def test_that_the_page_and_the_size_are_remembered(
    window: Window, theme: Theme, memory: QSettings, table: tuple[PageEntry, ...]
) -> None:
    window.resize(1100, 700)
    window.go("data")
    window.remember("some.splitter", [1, 2, 3])
    window.close()
    again = Window(theme, memory, table)
    assert again.top.title.text() == "Data"
    assert again.height() == 700
    assert again.recall("some.splitter") is not None
    again.close()
    again.deleteLater()


def test_that_closing_tells_pages_and_closes_the_services(window: Window, bench: Workbench) -> None:
    page = noted(window)
    window.close()
    assert page.noted[-1] == "closing"
    with pytest.raises((WorkbenchError, RuntimeError)):
        bench.datasets.list()


def test_that_another_workspace_is_opened_in_the_same_window(window: Window, qtbot: QtBot, tmp_path: Path) -> None:
    other = new_workspace(tmp_path / "other")
    Opener(window).open(other)
    qtbot.waitUntil(lambda: window.services is not None and window.services.path == other, timeout=20_000)
    assert window.top.workspace.toolTip() == str(other)
    window.go("noted")
    assert noted(window).services.path == other


def test_that_a_workspace_that_is_not_there_is_explained_with_a_way_on(
    window: Window, qtbot: QtBot, tmp_path: Path
) -> None:
    Opener(window).open(tmp_path / "nothing")
    qtbot.waitUntil(lambda: isinstance(window.deck.currentWidget(), ErrorState), timeout=20_000)
    state = window.deck.currentWidget()
    assert isinstance(state, ErrorState)
    assert "nothing" in state.what.text()
    assert state.findChild(QPushButton, "window.error.retry") is not None


def test_that_the_window_fits_a_small_screen(window: Window) -> None:
    window.resize(1024, 640)
    assert (window.width(), window.height()) == (1024, 640)


def test_that_every_interactive_widget_has_names(window: Window) -> None:
    window.find_anything()
    for widget in window.findChildren(QWidget):
        if isinstance(widget, QAbstractButton | QLineEdit) and not widget.objectName().startswith("qt_"):
            if isinstance(widget.parent(), QLineEdit) or widget is noted(window).field:
                continue
            assert widget.objectName(), widget
            assert widget.accessibleName() or getattr(widget, "text", str)(), widget.objectName()
    window.palette_.leave()


def test_that_the_class_of_a_page_is_found_by_its_place(table: tuple[PageEntry, ...]) -> None:
    assert page_class(table[0]) is NotedPage


def test_that_full_screen_goes_and_comes_back(window: Window, qtbot: QtBot) -> None:
    qtbot.keyClick(window, Qt.Key.Key_F11)
    assert window.isFullScreen()
    qtbot.keyClick(window, Qt.Key.Key_F11)
    assert not window.isFullScreen()
