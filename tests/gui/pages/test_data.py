"""The Data page: datasets, rows, search, the import wizard with real files, export, delete."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QComboBox, QMessageBox, QPushButton, QWidget
from pytestqt.qtbot import QtBot

from workbench.gui.pages.data import DataPage
from workbench.gui.pages.import_parts import name_for
from workbench.gui.pages.import_wizard import ImportWizard
from workbench.gui.widgets.states import ErrorState
from workbench.gui.window import Window
from workbench.services.workbench import Workbench


@pytest.fixture
def page(visit: Callable[..., QWidget]) -> DataPage:
    found = visit("data")
    assert isinstance(found, DataPage)
    return found


@pytest.fixture
def calm(window: Window, qtbot: QtBot) -> Callable[[], None]:
    return lambda: qtbot.waitUntil(lambda: window.bridge.busy == 0, timeout=20_000)


def pairs(folder: Path, good: int = 30, bad: int = 2) -> Path:
    file = folder / "my pairs.jsonl"
    rows = [
        json.dumps({"prompt": f"Question {n}?", "chosen": f"Yes {n}.", "rejected": f"No {n}."}) for n in range(good)
    ]
    rows += [json.dumps({"prompt": f"Question {n}?", "chosen": "Same."}) for n in range(bad)]
    file.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return file


def open_wizard(page: DataPage, calm: Callable[[], None], *files: Path) -> ImportWizard:
    page.open_wizard(files)
    calm()
    assert page.wizard is not None
    return page.wizard


def test_that_an_empty_page_offers_the_import(page: DataPage, qtbot: QtBot) -> None:
    assert page.stack.currentWidget() is page.empty
    qtbot.mouseClick(page.empty.buttons[0], Qt.MouseButton.LeftButton)
    assert page.wizard is not None
    assert page.wizard.isVisible()
    page.wizard.reject()
    assert page.wizard is None


def test_that_rows_are_shown_and_the_first_in_full(
    fill: Callable[..., None], page: DataPage, calm: Callable[[], None]
) -> None:
    fill(120)
    page.shown()
    calm()
    assert page.list.key() == "pairs"
    assert page.rows.table.rows.rowCount() == 120
    assert page.panel.row is not None
    assert page.panel.row.texts[0] == ("Prompt", "Tell story number 0.")
    page.rows.table.setCurrentIndex(page.rows.table.rows.index(110, 0))
    calm()
    assert page.panel.row is not None
    assert page.panel.row.index == 110


def test_that_a_search_narrows_the_rows(
    fill: Callable[..., None], page: DataPage, calm: Callable[[], None], qtbot: QtBot
) -> None:
    fill(120)
    page.shown()
    calm()
    page.rows.search.setText("number 11.")
    qtbot.waitUntil(lambda: page.rows.table.rows.rowCount() == 1)
    assert page.rows.found.text() == "1 row"
    page.rows.search.setText("no such words")
    qtbot.waitUntil(lambda: page.rows.found.text() == "nothing found")
    calm()


def test_that_a_file_is_examined_before_anything_changes(
    page: DataPage, calm: Callable[[], None], tmp_path: Path, bench: Workbench
) -> None:
    wizard = open_wizard(page, calm, pairs(tmp_path))
    assert wizard.preview is not None
    assert (wizard.preview.read, wizard.preview.usable) == (32, 30)
    assert wizard.rows.rows.rowCount() == 20
    assert wizard.left_out.rows.rowCount() == 2
    assert wizard.tabs.tabText(1) == "Left out (2)"
    assert not wizard.foot.go.isEnabled()
    assert "2 rows can't be used" in wizard.foot.verdict.text()
    assert bench.datasets.list() == []
    wizard.reject()


def test_that_the_import_happens_once_the_person_agrees(
    page: DataPage, calm: Callable[[], None], tmp_path: Path, bench: Workbench, window: Window, qtbot: QtBot
) -> None:
    wizard = open_wizard(page, calm, pairs(tmp_path))
    wizard.foot.skip.setChecked(True)
    assert wizard.foot.go.isEnabled()
    qtbot.mouseClick(wizard.foot.go, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: page.wizard is None, timeout=20_000)
    calm()
    assert [(d.name, d.rows) for d in bench.datasets.list()] == [("my-pairs", 30)]
    assert page.list.key() == "my-pairs"
    assert "30 rows imported" in window.notices.history[-1].what


def test_that_cancelling_leaves_nothing_behind(
    page: DataPage, calm: Callable[[], None], tmp_path: Path, bench: Workbench
) -> None:
    wizard = open_wizard(page, calm, pairs(tmp_path, good=6000, bad=0))
    wizard.start()
    wizard.reject()
    calm()
    assert bench.datasets.list() == []
    assert page.wizard is None


def test_that_a_file_that_cannot_be_read_is_explained(page: DataPage, calm: Callable[[], None], tmp_path: Path) -> None:
    empty = tmp_path / "empty.jsonl"
    empty.write_text("")
    wizard = open_wizard(page, calm, empty)
    state = wizard.stack.currentWidget()
    assert isinstance(state, ErrorState)
    assert "empty" in state.what.text()
    assert not wizard.foot.go.isEnabled()
    wizard.take_files([pairs(tmp_path, bad=0)])
    calm()
    assert wizard.foot.go.isEnabled()
    wizard.reject()


def test_that_a_taken_name_is_told_in_the_wizard_and_can_be_mended(
    page: DataPage, calm: Callable[[], None], tmp_path: Path, bench: Workbench, qtbot: QtBot
) -> None:
    bench.datasets.create("my-pairs", "prompts")
    wizard = open_wizard(page, calm, pairs(tmp_path, bad=0))
    wizard.start()
    calm()
    assert "already a dataset" in wizard.foot.verdict.text()
    wizard.foot.name.setText("others")
    assert wizard.foot.go.isEnabled()
    wizard.start()
    qtbot.waitUntil(lambda: page.wizard is None, timeout=20_000)
    calm()
    assert {d.name for d in bench.datasets.list()} == {"my-pairs", "others"}


def test_that_the_mapping_can_be_changed(page: DataPage, calm: Callable[[], None], tmp_path: Path) -> None:
    wizard = open_wizard(page, calm, pairs(tmp_path, bad=0))
    combo = wizard.findChild(QComboBox, "import.map.chosen")
    assert combo is not None
    assert combo.currentData() == "chosen"
    combo.setCurrentIndex(combo.findData("rejected"))
    calm()
    assert wizard.preview is not None
    assert wizard.preview.mapping["chosen"] == "rejected"
    wizard.reject()


def test_that_files_dropped_on_the_window_open_the_wizard(
    visit: Callable[..., QWidget], calm: Callable[[], None], tmp_path: Path
) -> None:
    page = visit("data", files=[pairs(tmp_path, bad=0)])
    assert isinstance(page, DataPage)
    calm()
    assert page.wizard is not None
    assert page.wizard.foot.name.text() == "my-pairs"
    page.wizard.reject()


def test_that_a_real_file_with_bad_rows_is_listed_in_full(
    page: DataPage, calm: Callable[[], None], shared: Path
) -> None:
    wizard = open_wizard(page, calm, shared / "data" / "hh_rlhf" / "harmless-base.test.jsonl.gz")
    assert wizard.preview is not None
    assert wizard.preview.read == 2312
    assert wizard.left_out.rows.rowCount() == wizard.preview.read - wizard.preview.usable
    assert wizard.foot.name.text() == "harmless-base.test"
    wizard.reject()


def test_that_a_dataset_is_exported_into_a_file(
    fill: Callable[..., None],
    page: DataPage,
    calm: Callable[[], None],
    tmp_path: Path,
    bench: Workbench,
    window: Window,
) -> None:
    fill(3)
    presentation, _ = bench.labelling.start("pairs")
    assert presentation is not None
    from workbench.domain.judgement import ranking_from_scores

    bench.labelling.record(
        "pairs", presentation, outcome="ranked", ranking=ranking_from_scores([1.0, 0.0]), milliseconds=700
    )
    page.shown()
    calm()
    titles = [action.text() for action in page.rows.menu.actions()]
    assert titles
    page.export_to("pairs", bench.datasets.export_formats("pairs")[0], tmp_path / "out.jsonl")
    calm()
    assert (tmp_path / "out.jsonl").exists()
    assert "written to out.jsonl" in window.notices.history[-1].what


def test_that_a_dataset_is_deleted_only_after_a_question(
    fill: Callable[..., None], page: DataPage, calm: Callable[[], None], bench: Workbench, window: Window, qtbot: QtBot
) -> None:
    fill(3)
    page.shown()
    calm()
    for answer, left in (("confirm.no", 1), ("confirm.yes", 0)):
        delete = page.findChild(QPushButton, "data.delete")
        assert delete is not None
        qtbot.mouseClick(delete, Qt.MouseButton.LeftButton)
        box = window.findChildren(QMessageBox)[-1]
        button = box.findChild(QPushButton, answer)
        assert button is not None
        qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
        box.deleteLater()
        calm()
        assert len(bench.datasets.list()) == left
    assert page.stack.currentWidget() is page.empty


def test_that_annotating_goes_to_the_annotate_page(
    fill: Callable[..., None], page: DataPage, calm: Callable[[], None], window: Window, qtbot: QtBot
) -> None:
    fill(3)
    page.shown()
    calm()
    qtbot.mouseClick(page.rows.annotate, Qt.MouseButton.LeftButton)
    assert window.top.title.text() == "Annotate"
    calm()


@pytest.mark.parametrize(
    ("file", "name"),
    [("harmless-base.test.jsonl.gz", "harmless-base.test"), ("a b.json", "a-b"), ("….parquet", "dataset"), ("x", "x")],
)
def test_that_a_name_is_made_from_the_files(file: str, name: str) -> None:
    assert name_for(Path(file)) == name
