"""The import wizard: every format, another mapping, bad rows, cancelling, drops, names, keyboard and sizes."""

import csv
import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PySide6.QtCore import QMimeData, QPoint, QPointF, Qt, QUrl
from PySide6.QtGui import QDragEnterEvent, QDropEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QAbstractButton, QComboBox, QFileDialog, QPushButton, QWidget
from pytestqt.qtbot import QtBot

from workbench import formats
from workbench.gui.pages.data import DataPage
from workbench.gui.pages.import_wizard import ImportWizard
from workbench.gui.theme import Theme
from workbench.gui.widgets.states import BusyState, EmptyState, ErrorState
from workbench.gui.window import Window
from workbench.services.workbench import Workbench

Calm = Callable[[], None]
Open = Callable[..., ImportWizard]
TALK = "\n\nHuman: Hi?\n\nAssistant:"
USER, GOOD, BAD = (
    {"role": r, "content": c} for r, c in (("user", "Hi?"), ("assistant", "Hello."), ("assistant", "No."))
)
SAMPLES: dict[str, tuple[dict[str, Any], str]] = {
    "plain pairs": ({"prompt": "Hi?", "chosen": "Hello.", "rejected": "No."}, "preferences"),
    "conversations": ({"prompt": [USER], "chosen": [GOOD], "rejected": [BAD]}, "preferences"),
    "transcripts": ({"chosen": f"{TALK} Hello.", "rejected": f"{TALK} No."}, "preferences"),
    "alpaca": ({"instruction": "Say hi.", "input": "", "output": "Hello."}, "demonstrations"),
    "alpaca pairs": ({"instruction": "Hi?", "input": "", "chosen": "Hello.", "rejected": "No."}, "preferences"),
    "completions": ({"prompt": "Hi?", "completion": "Hello."}, "demonstrations"),
    "messages": ({"messages": [USER, GOOD]}, "demonstrations"),
    "sharegpt": ({"conversations": [{"from": "human", "value": "Hi?"}, {"from": "gpt", "value": "Hello."}]}, "demonstrations"),
    "prompts": ({"prompt": "Hi?"}, "prompts"),
    "texts": ({"text": "Once upon a time."}, "documents"),
}  # fmt: skip


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
def opened(page: DataPage, calm: Calm) -> Any:
    def begin(*files: Path) -> ImportWizard:
        page.open_wizard(files)
        calm()
        assert page.wizard is not None
        return page.wizard

    yield begin
    if page.wizard is not None:
        page.wizard.reject()


def jsonl(file: Path, *rows: Any) -> Path:
    file.write_text("".join(json.dumps(r, ensure_ascii=False) + "\n" for r in rows), encoding="utf-8")
    return file


def pairs(file: Path, good: int = 3, bad: int = 0) -> Path:
    rows = [{"prompt": f"Question {n}?", "chosen": f"Yes {n}.", "rejected": f"No {n}."} for n in range(good)]
    return jsonl(file, *rows, *({"prompt": f"Broken {n}?", "chosen": "Alone."} for n in range(bad)))


def take_in(wizard: ImportWizard, page: DataPage, qtbot: QtBot, calm: Calm) -> None:
    qtbot.mouseClick(wizard.foot.go, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: page.wizard is None, timeout=20_000)
    calm()


@pytest.mark.parametrize("kind", SAMPLES)
def test_that_every_shape_of_file_is_recognised_and_arrives(
    kind: str, opened: Open, page: DataPage, tmp_path: Path, bench: Workbench, qtbot: QtBot, calm: Calm
) -> None:
    record, expected = SAMPLES[kind]
    wizard = opened(jsonl(tmp_path / "rows.jsonl", record, record))
    assert wizard.preview is not None
    assert (wizard.preview.kind, wizard.preview.usable) == (expected, 2)
    assert wizard.choices.chosen_format() == wizard.preview.format != "auto"
    assert expected in wizard.choices.summary.text()
    take_in(wizard, page, qtbot, calm)
    (made,) = bench.datasets.list()
    assert (made.name, made.kind, made.rows) == ("rows", expected, 2)
    assert made.judged == (2 if expected == "preferences" else 0)


def test_that_every_container_gives_the_same_rows(opened: Open, tmp_path: Path, calm: Calm) -> None:
    rows = [{"prompt": f"Q{n}, ünï\n🙂", "completion": f"A{n}"} for n in range(4)]
    plain = jsonl(tmp_path / "a.jsonl", *rows)
    listed = tmp_path / "b.json"
    listed.write_text(json.dumps(rows), encoding="utf-8")
    packed = tmp_path / "c.jsonl.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes(), mtime=0))
    table = tmp_path / "d.csv"
    with table.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, ["prompt", "completion"])
        writer.writeheader()
        writer.writerows(rows)
    columnar = tmp_path / "e.parquet"
    pq.write_table(pa.Table.from_pylist(rows), columnar)
    seen = set()
    wizard = opened(plain)
    for file in (plain, listed, packed, table, columnar):
        wizard.take_files([file])
        calm()
        assert wizard.preview is not None
        assert wizard.preview.usable == 4, file.name
        seen.add(tuple((row.title, row.texts) for row in wizard.preview.rows))
    assert len(seen) == 1


def test_that_plain_text_is_cut_as_one_chooses(opened: Open, tmp_path: Path, calm: Calm) -> None:
    file = tmp_path / "book.txt"
    file.write_text("One.\n\nTwo.\nStill two.\n\nThree.\n", encoding="utf-8")
    wizard = opened(file)
    assert wizard.preview is not None
    by_itself = wizard.preview.usable
    names = [name for name, form in formats.FORMATS.items() if form.split]
    counts = {}
    for name in names:
        wizard.choices.format.setCurrentIndex(wizard.choices.format.findData(name))
        calm()
        assert wizard.preview.format == name
        counts[name] = wizard.preview.usable
    assert by_itself == 3
    assert set(counts.values()) >= {1, 3}


def test_that_every_format_can_be_chosen_by_hand(opened: Open) -> None:
    wizard = opened()
    offered = [wizard.choices.format.itemData(n) for n in range(wizard.choices.format.count())]
    assert offered == ["auto", *formats.FORMATS]


def test_that_a_format_that_does_not_fit_says_so_and_can_be_taken_back(
    opened: Open, tmp_path: Path, calm: Calm
) -> None:
    wizard = opened(pairs(tmp_path / "p.jsonl"))
    assert wizard.preview is not None
    right, combo = wizard.preview.format, wizard.choices.format
    combo.setCurrentIndex(combo.findData("alpaca"))
    calm()
    wrong = wizard.stack.currentWidget()
    assert isinstance(wrong, ErrorState) or wizard.preview is None or wizard.preview.usable == 0
    assert not wizard.foot.go.isEnabled()
    combo.setCurrentIndex(combo.findData(right))
    calm()
    assert wizard.preview is not None
    assert wizard.preview.usable == 3
    assert wizard.foot.go.isEnabled()


def test_that_swapped_columns_swap_what_is_preferred(
    opened: Open, page: DataPage, tmp_path: Path, bench: Workbench, qtbot: QtBot, calm: Calm
) -> None:
    wizard = opened(pairs(tmp_path / "p.jsonl", 1))
    for field, column in (("chosen", "rejected"), ("rejected", "chosen")):
        combo = wizard.findChild(QComboBox, f"import.map.{field}")
        assert combo is not None
        combo.setCurrentIndex(combo.findData(column))
        calm()
    take_in(wizard, page, qtbot, calm)
    (item,) = bench.datasets.values("p")
    (judgement,) = bench.labelling.judgements("p")
    assert judgement.ranking is not None
    assert item.candidates[judgement.ranking.tiers[0][0]].text == "No 0."


def test_that_a_field_that_is_needed_cannot_go_without_a_column(opened: Open, tmp_path: Path, calm: Calm) -> None:
    wizard = opened(pairs(tmp_path / "p.jsonl"))
    combo = wizard.findChild(QComboBox, "import.map.rejected")
    assert combo is not None
    combo.setCurrentIndex(combo.findData(""))
    calm()
    state = wizard.stack.currentWidget()
    assert isinstance(state, ErrorState)
    assert "'rejected'" in state.what.text()
    assert not wizard.foot.go.isEnabled()
    combo.setCurrentIndex(combo.findData("rejected"))
    calm()
    assert wizard.foot.go.isEnabled()


def test_that_a_field_that_is_not_needed_can_go_without_a_column(
    opened: Open, page: DataPage, tmp_path: Path, bench: Workbench, qtbot: QtBot, calm: Calm
) -> None:
    row = {"instruction": "Say hi.", "input": "to Ada", "output": "Hi, Ada."}
    wizard = opened(jsonl(tmp_path / "p.jsonl", row))
    combo = wizard.findChild(QComboBox, "import.map.input")
    assert combo is not None
    combo.setCurrentIndex(combo.findData(""))
    calm()
    again = wizard.findChild(QComboBox, "import.map.input")
    assert again is not None
    assert again.currentData() == ""
    take_in(wizard, page, qtbot, calm)
    (made,) = bench.datasets.values("p")
    assert made.prompt.text == "Say hi."


def test_that_each_bad_row_is_listed_with_its_line_and_reason(opened: Open, tmp_path: Path) -> None:
    wizard = opened(pairs(tmp_path / "p.jsonl", good=2, bad=3))
    model = wizard.left_out.rows
    lines = [model.data(model.index(row, 0)) for row in range(model.rowCount())]
    reasons = {model.data(model.index(row, 1)) for row in range(model.rowCount())}
    assert lines == ["3", "4", "5"]
    assert all(reasons)
    assert wizard.tabs.isTabVisible(1)
    assert wizard.foot.skip.isVisible()


def test_that_a_file_without_bad_rows_asks_for_no_agreement(opened: Open, tmp_path: Path) -> None:
    wizard = opened(pairs(tmp_path / "p.jsonl"))
    assert not wizard.tabs.isTabVisible(1)
    assert not wizard.foot.skip.isVisible()
    assert wizard.foot.verdict.text() == "3 rows will be imported."


def test_that_agreement_can_be_taken_back(opened: Open, tmp_path: Path, qtbot: QtBot) -> None:
    wizard = opened(pairs(tmp_path / "p.jsonl", 2, 1))
    wizard.foot.skip.setFocus()
    qtbot.keyClick(wizard.foot.skip, Qt.Key.Key_Space)
    assert wizard.foot.verdict.text() == "2 rows will be imported, 1 left out."
    qtbot.keyClick(wizard.foot.skip, Qt.Key.Key_Space)
    assert "1 row can't be used" in wizard.foot.verdict.text()
    assert not wizard.foot.go.isEnabled()


def test_that_agreement_to_leave_rows_out_does_not_pass_to_other_files(
    opened: Open, tmp_path: Path, calm: Calm
) -> None:
    wizard = opened(pairs(tmp_path / "p.jsonl", 2, 1))
    wizard.foot.skip.setChecked(True)
    wizard.take_files([pairs(tmp_path / "q.jsonl", 2, 2)])
    calm()
    assert not wizard.foot.skip.isChecked()
    assert not wizard.foot.go.isEnabled()


def test_that_a_file_of_bad_rows_only_cannot_be_imported(opened: Open, tmp_path: Path, calm: Calm) -> None:
    wizard = opened(jsonl(tmp_path / "p.jsonl", *({"prompt": "", "completion": ""} for _ in range(3))))
    assert not wizard.foot.go.isEnabled()
    assert not wizard.foot.skip.isVisible()


def test_that_lines_that_are_no_json_are_left_out_with_their_number(opened: Open, tmp_path: Path) -> None:
    file = pairs(tmp_path / "p.jsonl", 2)
    file.write_text(file.read_text() + "{torn\n", encoding="utf-8")
    wizard = opened(file)
    assert wizard.preview is not None
    assert [trouble.line for trouble in wizard.preview.left_out] == [3]


@pytest.mark.parametrize("name", ["gone.jsonl", "folder", "notes.docx", "bytes.jsonl"])
def test_that_what_cannot_be_read_is_explained_with_a_hint(opened: Open, tmp_path: Path, name: str) -> None:
    if name == "folder":
        (tmp_path / name).mkdir()
    elif name != "gone.jsonl":
        (tmp_path / name).write_bytes(b"\xff\xfe\x00PK\x03\x04" * 9)
    wizard = opened(tmp_path / name)
    state = wizard.stack.currentWidget()
    assert isinstance(state, ErrorState)
    assert state.what.text()
    assert state.hint is not None
    assert not wizard.foot.go.isEnabled()


def test_that_cancelling_the_first_look_closes_the_wizard(page: DataPage, tmp_path: Path, calm: Calm) -> None:
    page.open_wizard([pairs(tmp_path / "p.jsonl", 4000)])
    assert page.wizard is not None
    busy = page.wizard.stack.currentWidget()
    assert isinstance(busy, BusyState)
    page.wizard._cancel_look()
    calm()
    assert page.wizard is None


def test_that_cancelling_a_later_look_goes_back_to_what_was_seen(opened: Open, tmp_path: Path, calm: Calm) -> None:
    wizard = opened(pairs(tmp_path / "p.jsonl"))
    wizard.look()
    assert isinstance(wizard.stack.currentWidget(), BusyState)
    wizard._cancel_look()
    assert wizard.stack.currentWidget() is wizard.tabs
    assert wizard.foot.go.isEnabled()
    calm()


def test_that_escape_cancels_and_imports_nothing(
    opened: Open, page: DataPage, tmp_path: Path, bench: Workbench, qtbot: QtBot, calm: Calm
) -> None:
    wizard = opened(pairs(tmp_path / "p.jsonl"))
    qtbot.keyClick(wizard, Qt.Key.Key_Escape)
    calm()
    assert page.wizard is None
    assert bench.datasets.list() == []


def test_that_closing_the_wizard_in_the_midst_of_an_import_leaves_nothing(
    opened: Open, page: DataPage, tmp_path: Path, bench: Workbench, calm: Calm
) -> None:
    wizard = opened(pairs(tmp_path / "p.jsonl", 5000))
    wizard.start()
    assert not wizard.choices.isEnabled()
    assert not wizard.foot.go.isEnabled()
    assert wizard.foot.bar.isVisible()
    wizard.close()
    calm()
    assert page.wizard is None
    assert bench.datasets.list() == []


def test_that_files_dropped_during_an_import_are_not_taken(
    opened: Open, page: DataPage, tmp_path: Path, bench: Workbench, qtbot: QtBot, calm: Calm
) -> None:
    first = pairs(tmp_path / "p.jsonl", 2)
    wizard = opened(first)
    wizard.start()
    wizard.take_files([pairs(tmp_path / "q.jsonl", 9)])
    assert wizard.files == (first,)
    qtbot.waitUntil(lambda: page.wizard is None, timeout=20_000)
    calm()
    assert [(d.name, d.rows) for d in bench.datasets.list()] == [("p", 2)]


def drop(widget: QWidget, *files: Path, web: str = "") -> bool:
    data = QMimeData()
    data.setUrls([*(QUrl.fromLocalFile(str(file)) for file in files), *([QUrl(web)] if web else [])])
    buttons, keys = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    enter = QDragEnterEvent(QPoint(9, 9), Qt.DropAction.CopyAction, data, buttons, keys)
    enter.ignore()
    widget.dragEnterEvent(enter)
    if enter.isAccepted():
        widget.dropEvent(QDropEvent(QPointF(9, 9), Qt.DropAction.CopyAction, data, buttons, keys))
    return enter.isAccepted()


@pytest.mark.filterwarnings("ignore:Function. 'QDragEnterEvent:DeprecationWarning")
def test_that_files_dropped_on_any_page_open_the_wizard(
    window: Window, visit: Callable[..., QWidget], tmp_path: Path, calm: Calm
) -> None:
    visit("settings")
    assert drop(window, pairs(tmp_path / "p.jsonl", 3), pairs(tmp_path / "q.jsonl", 2))
    calm()
    page = window.deck.page("data")
    assert isinstance(page, DataPage)
    assert page.wizard is not None
    assert page.wizard.choices.file_names.text() == "p.jsonl, q.jsonl"
    assert page.wizard.preview is not None
    assert page.wizard.preview.usable == 5
    page.wizard.reject()


@pytest.mark.filterwarnings("ignore:Function. 'QDragEnterEvent:DeprecationWarning")
def test_that_files_dropped_on_the_wizard_replace_what_it_shows(opened: Open, tmp_path: Path, calm: Calm) -> None:
    wizard = opened(pairs(tmp_path / "p.jsonl", 3))
    assert drop(wizard, pairs(tmp_path / "q.jsonl", 7))
    calm()
    assert wizard.preview is not None
    assert wizard.preview.usable == 7
    assert wizard.foot.name.text() == "q"


@pytest.mark.filterwarnings("ignore:Function. 'QDragEnterEvent:DeprecationWarning")
def test_that_an_address_of_the_web_is_not_fetched(window: Window, opened: Open) -> None:
    wizard = opened()
    assert not drop(window, web="https://example.org/data.jsonl")
    drop(wizard, web="https://example.org/data.jsonl")
    assert wizard.files == ()


def test_that_a_name_somebody_typed_is_kept_when_files_change(
    opened: Open, tmp_path: Path, qtbot: QtBot, calm: Calm
) -> None:
    wizard = opened(pairs(tmp_path / "p.jsonl"))
    wizard.foot.name.selectAll()
    qtbot.keyClicks(wizard.foot.name, "mine")
    wizard.take_files([pairs(tmp_path / "q.jsonl")])
    calm()
    assert wizard.foot.name.text() == "mine"


def test_that_a_dataset_needs_a_name(opened: Open, tmp_path: Path) -> None:
    wizard = opened(pairs(tmp_path / "p.jsonl"))
    wizard.foot.name.setText("   ")
    assert not wizard.foot.go.isEnabled()
    assert wizard.foot.verdict.text() == "Give the dataset a name."


def test_that_a_wizard_without_files_asks_for_them(opened: Open, tmp_path: Path, calm: Calm, qtbot: QtBot) -> None:
    wizard = opened()
    assert isinstance(wizard.stack.currentWidget(), EmptyState)
    wizard.start()
    assert not wizard.foot.bar.isVisible()
    choose = wizard.findChild(QPushButton, "import.choose")
    assert choose is not None
    qtbot.mouseClick(choose, Qt.MouseButton.LeftButton)
    dialog = wizard.findChild(QFileDialog, "import.files")
    assert dialog is not None
    assert dialog.fileMode() is QFileDialog.FileMode.ExistingFiles
    dialog.filesSelected.emit([str(pairs(tmp_path / "p.jsonl"))])
    dialog.close()
    calm()
    assert wizard.foot.go.isEnabled()


def test_that_one_wizard_is_open_at_a_time(opened: Open, page: DataPage) -> None:
    first = opened()
    page.open_wizard()
    assert page.wizard is first


def test_that_a_file_changed_after_the_look_is_judged_by_what_it_holds_now(
    opened: Open, tmp_path: Path, bench: Workbench, calm: Calm
) -> None:
    file = pairs(tmp_path / "p.jsonl", 3)
    wizard = opened(file)
    pairs(file, 2, 2)
    wizard.start()
    calm()
    assert bench.datasets.list() == []
    assert "Nothing was changed." in wizard.foot.verdict.text()
    assert wizard.choices.isEnabled()


def test_that_many_files_are_named_by_the_first_and_a_number(opened: Open, tmp_path: Path) -> None:
    files = [pairs(tmp_path / f"part-{n:02}-of-a-large-set.jsonl", 1) for n in range(6)]
    wizard = opened(*files)
    assert wizard.choices.file_names.text() == "part-00-of-a-large-set.jsonl and 5 more"
    assert wizard.choices.file_names.toolTip().count("\n") == 5


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_that_the_wizard_fits_a_small_window_and_names_what_it_has(
    page: DataPage, window: Window, theme: Theme, tmp_path: Path, calm: Calm, mode: str
) -> None:
    theme.apply(mode)
    window.resize(1024, 640)
    calm()
    page.open_wizard([pairs(tmp_path / "p.jsonl", 30, 2)])
    calm()
    wizard = page.wizard
    assert wizard is not None
    assert wizard.width() <= 1024
    assert wizard.height() <= 640
    assert wizard.foot.go.geometry().right() <= wizard.foot.width()
    for each in wizard.findChildren(QAbstractButton):
        if each.isVisibleTo(wizard) and not each.objectName().startswith("qt_") and each.parent() is not wizard.tabs:
            assert each.accessibleName() or each.text(), each.objectName()
    assert (wizard.grab().toImage().pixelColor(3, 3).lightness() < 90) == (mode == "dark")
    wizard.reject()
    theme.apply("light")
