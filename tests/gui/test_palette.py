"""Find anything: what is found, in which order, how it is chosen, and where it leads."""

from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest
from PySide6.QtCore import QEvent, Qt
from PySide6.QtGui import QColor, QFocusEvent
from PySide6.QtWidgets import QApplication, QLineEdit, QWidget
from pytestqt.qtbot import QtBot
from shiboken6 import isValid

from tests.gui.at_once import Calls
from workbench.domain.runs import JobState, ModelRef
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


# -- where the keyboard is ---------------------------------------------------------------------------------------------


@pytest.fixture
def field(room: QWidget, qtbot: QtBot) -> QLineEdit:
    made = QLineEdit(room)
    made.show()
    room.activateWindow()
    made.setFocus()
    qtbot.waitUntil(made.hasFocus)
    return made


def test_that_asking_twice_still_gives_the_focus_back(palette: FindPalette, field: QLineEdit, qtbot: QtBot) -> None:
    palette.open([entry("one")])
    qtbot.keyClicks(palette.field, "on")
    palette.open([entry("two")])
    assert palette.field.text() == ""
    assert titles(palette) == ["two"]
    qtbot.keyClick(palette.field, Qt.Key.Key_Escape)
    assert QApplication.focusWidget() is field


def test_that_a_widget_that_went_meanwhile_is_not_asked_to_take_the_focus(
    palette: FindPalette, field: QLineEdit, qtbot: QtBot
) -> None:
    palette.open([entry("one")])
    field.deleteLater()
    qtbot.waitUntil(lambda: not isValid(field))
    palette.leave()
    assert not palette.isVisible()


def test_that_choosing_gives_the_focus_back_before_it_acts(
    palette: FindPalette, field: QLineEdit, qtbot: QtBot
) -> None:
    seen: list[object] = []
    palette.open([Entry("one", "action", "data", lambda: seen.append(QApplication.focusWidget()))])
    qtbot.keyClick(palette.field, Qt.Key.Key_Enter)
    assert seen == [field]


@pytest.mark.parametrize(
    ("reason", "open_"),
    [
        (Qt.FocusReason.PopupFocusReason, True),
        (Qt.FocusReason.MouseFocusReason, False),
        (Qt.FocusReason.TabFocusReason, False),
        (Qt.FocusReason.OtherFocusReason, False),
    ],
)
def test_that_the_fields_own_menu_leaves_the_palette_open_and_a_click_elsewhere_does_not(
    palette: FindPalette, field: QLineEdit, reason: Qt.FocusReason, open_: bool
) -> None:
    palette.open([entry("one")])
    QApplication.sendEvent(palette.field, QFocusEvent(QEvent.Type.FocusOut, reason))
    assert palette.isVisible() == open_
    palette.leave()


def test_that_letters_go_on_to_the_field_and_only_its_own_keys_are_kept(palette: FindPalette, qtbot: QtBot) -> None:
    palette.open([entry("one"), entry("two")])
    for key in "tw":
        qtbot.keyClick(palette.field, key)
    assert palette.field.text() == "tw"
    assert titles(palette) == ["two"]
    qtbot.keyClick(palette.field, Qt.Key.Key_Backspace)
    assert palette.field.text() == "t"
    palette.leave()


def test_that_the_palette_opens_as_new(palette: FindPalette, qtbot: QtBot) -> None:
    palette.open([entry(f"n{n}") for n in range(9)])
    qtbot.keyClick(palette.field, Qt.Key.Key_Down)
    qtbot.keyClicks(palette.field, "n7")
    palette.leave()
    palette.open([entry("a"), entry("b")])
    assert (palette.field.text(), titles(palette), palette.list.currentRow()) == ("", ["a", "b"], 0)
    assert palette.nothing.isHidden()
    palette.leave()


def test_that_what_kind_a_thing_is_finds_it_after_those_of_the_name() -> None:
    entries = [entry("zeta", "model, sft"), entry("sft-2", "run, done"), entry("my sft", "dataset")]
    assert [e.title for e in best(entries, "sft")] == ["sft-2", "my sft", "zeta"]


def test_that_equal_matches_stand_in_the_order_of_the_alphabet() -> None:
    entries = [entry("Run c"), entry("run A"), entry("run b")]
    assert [e.title for e in best(entries, "run")] == ["run A", "run b", "Run c"]


def test_that_two_things_of_one_name_are_both_found_and_each_leads_its_own_way(
    palette: FindPalette, qtbot: QtBot
) -> None:
    done: list[str] = []
    same = [Entry("stories", kind, "data", lambda kind=kind: done.append(kind)) for kind in ("dataset", "model, base")]  # type: ignore[misc]
    palette.open(same)
    qtbot.keyClicks(palette.field, "stories base")
    qtbot.keyClick(palette.field, Qt.Key.Key_Return)
    assert done == ["model, base"]


def test_that_names_from_the_store_carry_what_they_are_and_lead_to_their_page() -> None:
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    run = SimpleNamespace(name="", id="r7", state=JobState.RUNNING)
    named = SimpleNamespace(name="dpo-1", id="r8", state=JobState.DONE)
    services = SimpleNamespace(
        datasets=Calls(list=[SimpleNamespace(name="pairs")]),
        runs=Calls(list=[run, named]),
        models=Calls(list=[ModelRef(name="m", path="/m", kind="reward", created=moment)]),
    )
    gone: list[tuple[str, dict[str, str]]] = []
    found = name_entries(services, lambda page, **arguments: gone.append((page, arguments)))
    assert [(e.title, e.kind, e.glyph) for e in found] == [
        ("pairs", "dataset", "data"), ("r7", "run, running", "runs"), ("dpo-1", "run, done", "runs"), ("m", "model, reward", "models"),
    ]  # fmt: skip
    for one in found:
        one.run()
    assert gone == [
        ("data", {"dataset": "pairs"}), ("runs", {"run": "r7"}), ("runs", {"run": "r8"}), ("models", {"model": "m"}),
    ]  # fmt: skip


def test_that_rows_are_painted_with_their_kind_in_both_themes(room: QWidget, either: Theme) -> None:
    palette = FindPalette(room, either)
    palette.open([entry("one", "dataset", keys="Ctrl+2"), entry("two", "")])
    pictures = []
    for row in range(2):
        box = palette.list.visualItemRect(palette.list.item(row))
        right = palette.list.viewport().grab(box.adjusted(box.width() // 2, 0, 0, 0)).toImage()
        pictures.append({right.pixel(x, y) for x in range(right.width()) for y in range(right.height())})
    assert QColor(either.colours.quiet).rgb() in pictures[0]
    assert QColor(either.colours.quiet).rgb() not in pictures[1]
    palette.leave()
