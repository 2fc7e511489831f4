"""The pages Models and Settings, over real folders and real settings."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QComboBox, QLabel, QLineEdit, QMessageBox, QPushButton, QWidget
from pytestqt.qtbot import QtBot

from workbench.gui.pages.model_card import breakable
from workbench.gui.pages.models import ModelsPage
from workbench.gui.pages.settings import SettingsPage, diagnostics
from workbench.gui.theme import Theme
from workbench.gui.window import Window
from workbench.services.views import Check
from workbench.services.workbench import Workbench


@pytest.fixture
def folder(shared: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(shared / "models" / "stories260K", tmp_path / "stories"))


@pytest.fixture
def models(visit: Callable[..., QWidget]) -> ModelsPage:
    found = visit("models")
    assert isinstance(found, ModelsPage)
    return found


@pytest.fixture
def settings(visit: Callable[..., QWidget]) -> SettingsPage:
    found = visit("settings")
    assert isinstance(found, SettingsPage)
    return found


@pytest.fixture
def calm(window: Window, qtbot: QtBot) -> Callable[[], None]:
    return lambda: qtbot.waitUntil(lambda: window.bridge.busy == 0, timeout=20_000)


def words(widget: QWidget) -> list[str]:
    return [label.text() for label in widget.findChildren(QLabel) if label.isVisibleTo(widget)]


def test_that_a_page_without_models_offers_to_add_one(models: ModelsPage) -> None:
    assert models.stack.currentWidget() is models.empty


@pytest.mark.usefixtures("warm")
def test_that_a_model_is_exported_from_its_card(
    models: ModelsPage, folder: Path, calm: Callable[[], None], tmp_path: Path, qtbot: QtBot
) -> None:
    models.add_folder(folder)
    calm()
    models.card.export.click()
    panel = models.export
    assert models.side.currentWidget() is panel and panel.title.text() == "Export stories"
    assert not panel.precision.isVisible() and panel.place.text().endswith("stories-safetensors")
    panel.form.setCurrentIndex(panel.form.findData("gguf"))
    assert panel.precision.isVisible() and "llama.cpp" in panel.sentence.text()
    panel.form.setCurrentIndex(panel.form.findData("safetensors"))
    panel.place.setText(str(tmp_path / "nowhere" / "out"))
    panel.start.click()
    qtbot.waitUntil(lambda: "is no folder" in panel.told.text())
    panel.place.setText(str(tmp_path / "out"))
    panel.licence.setText("mit")
    panel.start.click()
    qtbot.waitUntil(lambda: "Written" in panel.told.text(), timeout=120_000)
    assert (tmp_path / "out" / "model.safetensors").exists()
    assert 'license: "mit"' in (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    calm()
    next(b for b in panel.findChildren(QPushButton) if b.objectName() == "models.export.back").click()
    assert models.side.currentWidget() is models.card


def test_that_a_folder_is_added_and_its_card_shown(
    models: ModelsPage, folder: Path, calm: Callable[[], None], window: Window, qtbot: QtBot
) -> None:
    models.add_folder(folder)
    calm()
    assert models.list.key() == "stories"
    assert models.tree.current == "stories"
    assert models.card.title.text() == "stories"
    qtbot.waitUntil(lambda: breakable("LlamaForCausalLM") in words(models.card))
    assert window.notices.history[-1].what == "stories is added"
    models.add_folder(folder)
    calm()
    assert models.list.key() == "stories-2"


def test_that_a_folder_without_weights_is_refused_with_a_sentence(
    models: ModelsPage, folder: Path, calm: Callable[[], None], window: Window
) -> None:
    for file in folder.glob("*.safetensors"):
        file.unlink()
    models.add_folder(folder)
    calm()
    told = window.notices.history[-1]
    assert told.kind == "bad"
    assert told.hint
    assert models.stack.currentWidget() is models.empty


def test_that_choosing_in_the_tree_chooses_in_the_list_and_back(
    models: ModelsPage, folder: Path, bench: Workbench, calm: Callable[[], None], qtbot: QtBot
) -> None:
    bench.models.add_folder(folder, "base", kind="base")
    bench.models.add_folder(folder, "tuned", kind="sft", parents=("base",))
    models.shown()
    calm()
    models.tree.choose("base")
    assert models.list.key() == "base"
    models.list.choose("tuned")
    assert models.tree.current == "tuned"
    calm()
    qtbot.waitUntil(lambda: "base" in words(models.card))


def test_that_a_model_is_renamed_on_its_card(
    models: ModelsPage, folder: Path, bench: Workbench, calm: Callable[[], None], qtbot: QtBot
) -> None:
    models.add_folder(folder)
    calm()
    models.card.title.setText("renamed")
    qtbot.keyClick(models.card.title, Qt.Key.Key_Return)
    calm()
    assert [m.name for m in bench.models.list()] == ["renamed"]
    assert models.list.key() == "renamed"


def test_that_removing_asks_and_leaves_the_files(
    models: ModelsPage, folder: Path, bench: Workbench, calm: Callable[[], None], window: Window, qtbot: QtBot
) -> None:
    models.add_folder(folder)
    calm()
    qtbot.mouseClick(models.card.remove, Qt.MouseButton.LeftButton)
    box = window.findChildren(QMessageBox)[-1]
    yes = box.findChild(QPushButton, "confirm.yes")
    assert yes is not None
    qtbot.mouseClick(yes, Qt.MouseButton.LeftButton)
    box.deleteLater()
    calm()
    assert bench.models.list() == []
    assert (folder / "config.json").exists()


def test_that_the_path_is_copied(models: ModelsPage, folder: Path, calm: Callable[[], None], qtbot: QtBot) -> None:
    models.add_folder(folder)
    calm()
    qtbot.mouseClick(models.card.copy, Qt.MouseButton.LeftButton)
    assert QGuiApplication.clipboard().text() == str(folder)


def test_that_a_model_named_by_another_page_is_chosen(
    visit: Callable[..., QWidget], folder: Path, bench: Workbench, calm: Callable[[], None]
) -> None:
    bench.models.add_folder(folder, "one", kind="base")
    bench.models.add_folder(folder, "two", kind="base")
    page = visit("models", model="one")
    calm()
    assert isinstance(page, ModelsPage)
    assert page.list.key() == "one"


def test_that_a_theme_is_worn_and_kept_at_once(
    settings: SettingsPage, bench: Workbench, theme: Theme, calm: Callable[[], None], qtbot: QtBot
) -> None:
    editor = settings.form.editor("theme")
    assert isinstance(editor, QComboBox)
    editor.setCurrentText("dark")
    qtbot.waitUntil(lambda: theme.dark)
    calm()
    assert bench.settings.get().theme == "dark"
    editor.setCurrentText("light")
    qtbot.waitUntil(lambda: not theme.dark)
    calm()


def test_that_the_annotators_name_is_kept_even_when_the_page_is_left_at_once(
    settings: SettingsPage, bench: Workbench, window: Window, calm: Callable[[], None], qtbot: QtBot
) -> None:
    editor = settings.form.editor("annotator")
    assert isinstance(editor, QLineEdit)
    editor.clear()
    qtbot.keyClicks(editor, "ada")
    window.go("models")
    calm()
    assert bench.settings.get().annotator == "ada"
    assert window.settings.annotator == "ada"


def test_that_a_wrong_setting_is_marked_and_not_kept(
    settings: SettingsPage, bench: Workbench, window: Window, calm: Callable[[], None], qtbot: QtBot
) -> None:
    editor = settings.form.editor("annotator")
    assert isinstance(editor, QLineEdit)
    qtbot.keyClicks(editor, " ")
    editor.clear()
    editor.textEdited.emit("")
    qtbot.waitUntil(lambda: bool(editor.property("wrong")))
    calm()
    assert bench.settings.get().annotator == "me"


def test_that_the_machine_is_checked_and_the_diagnostics_copied(
    settings: SettingsPage, calm: Callable[[], None], qtbot: QtBot, bench: Workbench
) -> None:
    calm()
    qtbot.waitUntil(lambda: any(line.startswith("Python 3") for line in words(settings)))
    qtbot.mouseClick(settings.copy_button, Qt.MouseButton.LeftButton)
    copied = QGuiApplication.clipboard().text()
    assert copied.startswith("RLHF Workbench ")
    assert str(bench.path) in copied


def test_that_diagnostics_mark_what_needs_attention() -> None:
    lines = diagnostics([Check("disk", False, "Full.", "Free some."), Check("qt", True, "There.")], "/w").splitlines()
    assert "[!!] disk: Full. Free some." in lines
    assert "[ok] qt: There." in lines


def test_that_long_names_and_paths_may_break() -> None:
    assert breakable("/tmp/space/runs/reward-1/model").count("\u200b") >= 5
    assert breakable("LlamaForSequenceClassification").replace("\u200b", "|") == "Llama|For|Sequence|Classification"
    assert breakable("short name") == "short name"
