"""The Data page: busy and error states, searching, exporting, deleting, keyboard, names, sizes, and the layout kept."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QAbstractButton, QApplication, QFileDialog, QMessageBox, QPushButton, QWidget
from pytestqt.qtbot import QtBot

from workbench.domain.judgement import Item, ranking_from_scores
from workbench.domain.text import Candidate, Prompt
from workbench.gui.pages.data import DataPage
from workbench.gui.theme import Theme
from workbench.gui.widgets.table import PAGE
from workbench.gui.window import Window
from workbench.services.workbench import Workbench

Calm = Callable[[], None]
Fill = Callable[..., None]
SCRIPTS = ("قصة عن قطة", "猫の話", "🐈‍⬛ tale", "<script>alert(1)</script>", "a\tb\nc", "x" * 5000)


@pytest.fixture
def calm(window: Window, qtbot: QtBot) -> Calm:
    def wait() -> None:
        qtbot.waitUntil(lambda: window.bridge.busy == 0, timeout=20_000)
        QTest.qWait(0)

    return wait


@pytest.fixture
def page(visit: Callable[..., QWidget]) -> DataPage:
    found = visit("data")
    assert isinstance(found, DataPage)
    return found


@pytest.fixture
def pairs(fill: Fill, page: DataPage, calm: Calm) -> DataPage:
    fill(12)
    page.shown()
    calm()
    return page


def search(page: DataPage, words: str, qtbot: QtBot, calm: Calm) -> int:
    page.rows.search.setText(words)
    qtbot.waitUntil(lambda: not page.rows._pause.isActive())
    calm()
    return page.rows.table.rows.rowCount()


def answer(window: Window, qtbot: QtBot, name: str) -> None:
    box = window.findChildren(QMessageBox)[-1]
    button = box.findChild(QPushButton, name)
    assert button is not None
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
    box.deleteLater()


def test_that_the_first_dataset_and_its_first_row_are_shown(pairs: DataPage) -> None:
    assert pairs.list.key() == "pairs"
    assert pairs.rows.title.text() == "pairs"
    assert "0 of 12 judged" in pairs.rows.facts.text()
    assert pairs.rows.found.text() == "12 rows"
    assert pairs.panel.row is not None
    assert pairs.panel.row.index == 0


def test_that_a_dataset_without_rows_shows_none(page: DataPage, bench: Workbench, calm: Calm) -> None:
    bench.datasets.create("hollow", "prompts")
    page.shown()
    calm()
    assert page.rows.found.text() == "0 rows"
    assert page.panel.row is None
    assert not page.rows.annotate.isVisible()


def test_that_only_items_to_judge_can_be_annotated(pairs: DataPage, bench: Workbench, calm: Calm) -> None:
    assert pairs.rows.annotate.isVisible()
    bench.datasets.create("asks", "prompts")
    pairs.shown()
    calm()
    pairs.list.choose("asks")
    calm()
    assert not pairs.rows.annotate.isVisible()


def test_that_rows_of_a_dataset_left_behind_do_not_appear_in_the_next(fill: Fill, page: DataPage, calm: Calm) -> None:
    fill(200, name="large")
    fill(3, name="small")
    page.shown()
    calm()
    page.list.choose("large")
    page.list.choose("small")
    calm()
    assert page.rows.table.rows.rowCount() == 3
    assert page.rows.title.text() == "small"


def test_that_rows_beyond_the_first_page_are_fetched_when_reached(fill: Fill, page: DataPage, calm: Calm) -> None:
    fill(PAGE * 2 + 5)
    page.shown()
    calm()
    last = PAGE * 2 + 4
    assert page.rows.table.rows.row(last) is None
    page.rows.table.setCurrentIndex(page.rows.table.rows.index(last, 0))
    calm()
    assert page.panel.row is not None
    assert page.panel.row.index == last


@pytest.mark.parametrize("words", SCRIPTS)
def test_that_any_text_is_shown_and_found(
    bench: Workbench, page: DataPage, qtbot: QtBot, calm: Calm, words: str
) -> None:
    for number, asked in enumerate((words, "something else")):
        offered = (Candidate(text="Yes."), Candidate(text="No."))
        bench.labelling.add_item("odd", Item(id=f"i{number}", prompt=Prompt.from_text(asked), candidates=offered))
    page.shown()
    calm()
    assert page.panel.row is not None
    assert page.panel.row.texts[0][1].strip() == words.strip()
    assert search(page, words.split()[0][:40], qtbot, calm) == 1
    assert not page.grab().isNull()


def test_that_a_search_ignores_case_and_space_around(pairs: DataPage, qtbot: QtBot, calm: Calm) -> None:
    assert search(pairs, "   STORY NUMBER 7.  ", qtbot, calm) == 1


@pytest.mark.parametrize("words", ["%", "_", "'", '"', "\\", "*", "NEAR(", "a OR"])
def test_that_signs_in_a_search_mean_themselves(pairs: DataPage, qtbot: QtBot, calm: Calm, words: str) -> None:
    assert search(pairs, words, qtbot, calm) == 0
    assert pairs.rows.found.text() == "nothing found"
    assert search(pairs, "", qtbot, calm) == 12


def test_that_another_dataset_begins_without_the_old_search(
    fill: Fill, pairs: DataPage, qtbot: QtBot, calm: Calm
) -> None:
    fill(4, name="others")
    search(pairs, "number 7.", qtbot, calm)
    pairs.shown()
    calm()
    pairs.list.choose("others")
    calm()
    assert pairs.rows.words() == ""
    assert pairs.rows.table.rows.rowCount() == 4


def test_that_an_action_puts_the_cursor_into_the_search(pairs: DataPage, qtbot: QtBot) -> None:
    (found,) = [action for action in pairs.actions() if action.id == "data.search"]
    found.run()
    qtbot.waitUntil(lambda: QApplication.focusWidget() is pairs.rows.search)


def test_that_the_keyboard_walks_through_datasets_and_rows(
    fill: Fill, pairs: DataPage, qtbot: QtBot, calm: Calm
) -> None:
    fill(2, name="second")
    pairs.shown()
    calm()
    qtbot.keyClick(pairs.list, Qt.Key.Key_Down)
    calm()
    assert pairs.rows.title.text() == "second"
    qtbot.keyClick(pairs.rows.table, Qt.Key.Key_Down)
    calm()
    assert pairs.panel.row is not None
    assert pairs.panel.row.index == 1


def test_that_a_label_given_elsewhere_is_counted_on_return(
    pairs: DataPage, bench: Workbench, window: Window, calm: Calm
) -> None:
    presentation, _ = bench.labelling.start("pairs")
    assert presentation is not None
    bench.labelling.record("pairs", presentation, outcome="all_bad", milliseconds=4)
    window.go("settings")
    window.go("data")
    calm()
    assert "1 of 12 judged" in pairs.rows.facts.text()


def test_that_every_format_on_offer_can_be_written(
    pairs: DataPage, bench: Workbench, tmp_path: Path, window: Window, calm: Calm
) -> None:
    presentation, _ = bench.labelling.start("pairs")
    assert presentation is not None
    ranked = ranking_from_scores([1.0, 0.0])
    bench.labelling.record("pairs", presentation, outcome="ranked", ranking=ranked, milliseconds=9)
    offered = [action.text() for action in pairs.rows.menu.actions()]
    forms = bench.datasets.export_formats("pairs")
    assert offered == [form.replace("_", " ") for form in forms]
    for form in forms:
        out = tmp_path / f"{form}.jsonl"
        pairs.export_to("pairs", form, out)
        calm()
        assert [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()], form
        assert window.notices.history[-1].kind == "good"


def test_that_choosing_a_format_asks_where_to_write(
    pairs: DataPage, tmp_path: Path, window: Window, qtbot: QtBot, calm: Calm, bench: Workbench
) -> None:
    pairs.rows.menu.actions()[0].trigger()
    dialog = pairs.findChild(QFileDialog, "data.export_dialog")
    assert dialog is not None
    assert dialog.acceptMode() is QFileDialog.AcceptMode.AcceptSave
    dialog.fileSelected.emit(str(tmp_path / "there.jsonl"))
    dialog.close()
    calm()
    assert "there.jsonl" in window.notices.history[-1].what + window.notices.history[-1].hint


def test_that_a_file_that_cannot_be_written_is_told(
    pairs: DataPage, bench: Workbench, tmp_path: Path, window: Window, calm: Calm
) -> None:
    pairs.export_to("pairs", bench.datasets.export_formats("pairs")[0], tmp_path / "no" / "such" / "folder.jsonl")
    calm()
    assert window.notices.history[-1].kind == "bad"
    assert window.notices.history[-1].hint


def test_that_the_question_before_deleting_says_what_goes_and_what_stays(
    pairs: DataPage, bench: Workbench, window: Window, qtbot: QtBot, calm: Calm
) -> None:
    presentation, _ = bench.labelling.start("pairs")
    assert presentation is not None
    bench.labelling.record("pairs", presentation, outcome="all_bad", milliseconds=4)
    pairs.shown()
    calm()
    (delete,) = [action for action in pairs.actions() if action.id == "data.delete"]
    delete.run()
    box = window.findChildren(QMessageBox)[-1]
    assert box.text() == "Delete pairs?"
    assert "12 rows and its 1 judged item" in box.informativeText()
    assert "stay" in box.informativeText()
    assert box.defaultButton().objectName() == "confirm.no"
    answer(window, qtbot, "confirm.no")
    calm()
    assert [d.name for d in bench.datasets.list()] == ["pairs"]


def test_that_after_a_deletion_another_dataset_is_shown(
    fill: Fill, pairs: DataPage, bench: Workbench, window: Window, qtbot: QtBot, calm: Calm
) -> None:
    fill(2, name="second")
    pairs.shown()
    calm()
    (delete,) = [action for action in pairs.actions() if action.id == "data.delete"]
    delete.run()
    answer(window, qtbot, "confirm.yes")
    calm()
    assert [d.name for d in bench.datasets.list()] == ["second"]
    assert pairs.list.key() == pairs.rows.title.text() == "second"
    assert window.notices.history[-1].what == "pairs is deleted"


def test_that_a_dataset_deleted_elsewhere_is_told_and_the_page_goes_on(
    pairs: DataPage, bench: Workbench, window: Window, qtbot: QtBot, calm: Calm
) -> None:
    bench.datasets.delete("pairs")
    search(pairs, "story", qtbot, calm)
    assert window.notices.history[-1].kind == "bad"
    pairs.shown()
    calm()
    assert pairs.stack.currentWidget() is pairs.empty


def test_that_a_dataset_named_by_another_page_is_chosen_even_when_it_is_new(
    pairs: DataPage, fill: Fill, visit: Callable[..., QWidget], calm: Calm
) -> None:
    fill(2, name="fresh")
    visit("data", dataset="fresh")
    calm()
    assert pairs.list.key() == "fresh"
    visit("data", dataset="no such thing")
    calm()
    assert pairs.list.key() == "fresh"


def test_that_the_panels_keep_their_widths(pairs: DataPage, window: Window, qtbot: QtBot, calm: Calm) -> None:
    pairs.splitter.setSizes([300, 400, 400])
    sizes = pairs.splitter.sizes()
    window.go("settings")
    window.deck.drop_all()
    window.go("data")
    calm()
    again = window.deck.page("data")
    assert isinstance(again, DataPage)
    qtbot.waitUntil(lambda: again.splitter.sizes() == sizes)


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_that_all_three_parts_are_seen_in_a_small_window(
    pairs: DataPage, window: Window, theme: Theme, calm: Calm, mode: str
) -> None:
    theme.apply(mode)
    window.resize(1024, 640)
    calm()
    for part in (pairs.list, pairs.rows, pairs.panel):
        corner = part.mapTo(window, part.rect().bottomRight())
        assert corner.x() < window.width(), part.objectName()
        assert corner.y() < window.height(), part.objectName()
        assert part.width() > 150
    assert (pairs.grab().toImage().pixelColor(3, 3).lightness() < 90) == (mode == "dark")
    theme.apply("light")


def test_that_everything_to_press_has_its_names(pairs: DataPage) -> None:
    for each in pairs.findChildren(QAbstractButton):
        named: Any = each.objectName()
        if each.isVisibleTo(pairs) and not named.startswith("qt_") and each.parent() is not pairs.rows.table:
            if each.parent() is pairs.rows.search:
                continue
            assert named.startswith("data."), each.text()
            assert each.accessibleName(), named
