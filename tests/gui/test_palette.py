"""Find anything: what is found, in which order, how it is chosen, and where it leads."""

from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QApplication, QLineEdit, QWidget
from pytestqt.qtbot import QtBot

from workbench.gui.finder import action_entries, name_entries, page_entries
from workbench.gui.page_table import PAGES
from workbench.gui.palette import MOST_SHOWN, Entry, FindPalette, best
from workbench.gui.shell import Action
from workbench.gui.theme import Theme
from workbench.services.workbench import Workbench, new_workspace

ENTRIES = [
    ("Import files", "action"),
    ("winter-pairs", "dataset"),
    ("ppo-7", "run, running"),
    ("Ärger über ß", "model, sft"),
]


def entry(title: str, kind: str = "action", done: list[str] | None = None, keys: str = "") -> Entry:
    return Entry(title, kind, "data", lambda: (done if done is not None else []).append(title), keys)


@pytest.fixture
def room(qtbot: QtBot) -> QWidget:
    made = QWidget()
    qtbot.addWidget(made)
    made.resize(1024, 640)
    made.show()
    return made


@pytest.fixture
def palette(room: QWidget, theme: Theme) -> FindPalette:
    return FindPalette(room, theme)


def titles(palette: FindPalette) -> list[str]:
    return [palette.list.item(row).text() for row in range(palette.list.count())]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ("", [0, 1, 2, 3]), ("  ", [0, 1, 2, 3]), ("IMPORT", [0]), ("pairs winter", [1]), ("run", [2]), ("model", [3]),
        ("ärger ÜBER", [3]), ("SS", [3]), ("winter ppo", []), ("files import", [0]),
    ],
)  # fmt: skip
def test_that_every_word_must_be_in_the_name_or_the_kind(wanted: str, found: list[int]) -> None:
    entries = [entry(title, kind) for title, kind in ENTRIES]
    assert [e.title for e in best(entries, wanted)] == [ENTRIES[n][0] for n in found]


def test_that_beginnings_come_before_words_before_middles() -> None:
    entries = [entry("grow"), entry("a row"), entry("row b"), entry("row a")]
    assert [e.title for e in best(entries, "row")] == ["row a", "row b", "a row", "grow"]


def test_that_thousands_of_names_show_only_the_best(palette: FindPalette) -> None:
    palette.open([entry(f"run {n}") for n in range(5000)])
    assert palette.list.count() == MOST_SHOWN
    palette.field.setText("4999")
    assert titles(palette) == ["run 4999"]
    palette.leave()


def test_that_names_that_arrive_late_do_not_move_what_is_chosen(palette: FindPalette, qtbot: QtBot) -> None:
    done: list[str] = []
    palette.open([entry(t, done=done) for t in ("one", "two", "three")])
    qtbot.keyClick(palette.field, Qt.Key.Key_Down)
    palette.add([entry(f"late {n}", done=done) for n in range(9)])
    assert palette.list.currentRow() == 1
    qtbot.keyClick(palette.field, Qt.Key.Key_Return)
    assert done == ["two"]


def test_that_late_names_obey_the_words_already_typed(palette: FindPalette) -> None:
    palette.open([entry("one")])
    palette.field.setText("win")
    assert not palette.nothing.isHidden()
    palette.add([entry("winter"), entry("summer")])
    assert titles(palette) == ["winter"]
    assert palette.nothing.isHidden()
    assert palette.list.currentRow() == 0
    palette.leave()


@pytest.mark.parametrize(
    ("keys", "row"),
    [
        ([Qt.Key.Key_Up], 0), ([Qt.Key.Key_PageDown], 8), ([Qt.Key.Key_PageDown] * 3, 19),
        ([Qt.Key.Key_PageDown, Qt.Key.Key_PageUp], 0), ([Qt.Key.Key_Down] * 30, 19),
    ],
)  # fmt: skip
def test_that_arrows_and_pages_stop_at_the_ends(
    palette: FindPalette, qtbot: QtBot, keys: list[Qt.Key], row: int
) -> None:
    palette.open([entry(f"{n:02}") for n in range(20)])
    for key in keys:
        qtbot.keyClick(palette.field, key)
    assert palette.list.currentRow() == row
    palette.leave()


def test_that_enter_on_nothing_does_nothing(palette: FindPalette, qtbot: QtBot) -> None:
    palette.open([])
    for key in (Qt.Key.Key_Down, Qt.Key.Key_Return):
        qtbot.keyClick(palette.field, key)
    assert palette.isVisible()
    palette.leave()


def test_that_leaving_gives_the_focus_back(palette: FindPalette, room: QWidget, qtbot: QtBot) -> None:
    field = QLineEdit(room)
    field.show()
    room.activateWindow()
    field.setFocus()
    qtbot.waitUntil(field.hasFocus)
    palette.open([entry("one")])
    assert QApplication.focusWidget() is palette.field
    qtbot.keyClick(palette.field, Qt.Key.Key_Escape)
    assert QApplication.focusWidget() is field


def test_that_a_click_does_what_the_row_says_and_keys_are_read_aloud(palette: FindPalette, qtbot: QtBot) -> None:
    done: list[str] = []
    palette.open([entry("one", done=done), entry("two", "page", done, "Ctrl+2")])
    item = palette.list.item(1)
    assert item.data(Qt.ItemDataRole.AccessibleTextRole) == "two, page Ctrl+2"
    palette.grab()
    qtbot.mouseClick(palette.list.viewport(), Qt.MouseButton.LeftButton, pos=palette.list.visualItemRect(item).center())
    assert done == ["two"]
    assert not palette.isVisible()


@pytest.mark.parametrize("width", [900, 1024, 2560])
def test_that_the_palette_stands_inside_the_window(palette: FindPalette, room: QWidget, width: int) -> None:
    room.resize(width, 560)
    palette.open([entry("one")])
    assert room.rect().contains(palette.geometry())
    assert abs(palette.geometry().center().x() - width // 2) <= 1
    palette.leave()


def test_that_pages_and_actions_are_found_with_their_keys_and_go_where_they_say() -> None:
    gone: list[str] = []
    pages = page_entries(PAGES, gone.append)
    assert [(e.title, e.keys) for e in pages] == [(p.title, f"Ctrl+{n}") for n, p in enumerate(PAGES, 1)]
    for found in pages:
        found.run()
    assert gone == [p.id for p in PAGES]
    acted = action_entries([Action("a", "Do it", "Ctrl+J", lambda: gone.append("did"))])
    assert (acted[0].title, acted[0].kind, acted[0].keys) == ("Do it", "action", "Ctrl+J")


def test_that_names_lead_to_their_page(tmp_path: Path) -> None:
    bench = Workbench.open(new_workspace(tmp_path / "space"))
    bench.datasets.create("pairs", "preferences")
    bench.datasets.create("notes", "documents")
    gone: list[tuple[str, dict[str, str]]] = []
    found = name_entries(bench, lambda page, **arguments: gone.append((page, arguments)))
    bench.close()
    for one in found:
        one.run()
    assert {e.title for e in found} == {"pairs", "notes"}
    assert sorted(a["dataset"] for _, a in gone) == ["notes", "pairs"]
