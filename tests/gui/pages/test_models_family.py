"""The Models page with a family of three generations: tree, list and card, keyboard, sizes, errors and both themes."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QAbstractButton, QApplication, QFileDialog, QLabel, QMessageBox, QPushButton, QWidget
from pytestqt.qtbot import QtBot

from workbench.domain.errors import Conflict
from workbench.gui.pages.models import ModelsPage, free_name, under
from workbench.gui.theme import Theme
from workbench.gui.window import Window
from workbench.services.workbench import Workbench

Calm = Callable[[], None]
FAMILY = (
    ("base", "base", ()),
    ("sft", "sft", ("base",)),
    ("judge", "reward", ("sft",)),
    ("dpo", "dpo", ("sft",)),
)


@pytest.fixture
def stories(shared: Path) -> Path:
    return shared / "models" / "stories260K"


@pytest.fixture
def calm(window: Window, qtbot: QtBot) -> Calm:
    def wait() -> None:
        qtbot.waitUntil(lambda: window.bridge.busy == 0, timeout=20_000)
        QTest.qWait(0)

    return wait


@pytest.fixture
def add(bench: Workbench, stories: Path) -> Callable[..., None]:
    def added(*family: tuple[str, str, tuple[str, ...]], **more: Any) -> None:
        for name, kind, parents in family:
            bench.models.add_folder(stories, name, kind=kind, parents=parents, **more)  # type: ignore[arg-type]

    return added


@pytest.fixture
def page(add: Callable[..., None], visit: Callable[..., QWidget], calm: Calm) -> ModelsPage:
    add(*FAMILY)
    found = visit("models")
    assert isinstance(found, ModelsPage)
    calm()
    return found


@pytest.fixture
def empty(visit: Callable[..., QWidget]) -> ModelsPage:
    found = visit("models")
    assert isinstance(found, ModelsPage)
    return found


@pytest.fixture
def dark(theme: Theme) -> Iterator[Theme]:
    theme.apply("dark")
    yield theme
    theme.apply("light")


def words(widget: QWidget) -> list[str]:
    return [label.text().replace("\u200b", "") for label in widget.findChildren(QLabel) if label.isVisibleTo(widget)]


def answer(window: Window, qtbot: QtBot, name: str) -> None:
    box = window.findChildren(QMessageBox)[-1]
    button = box.findChild(QPushButton, name)
    assert button is not None
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
    box.deleteLater()


def test_that_three_generations_are_seen_whole_in_a_small_window(page: ModelsPage, window: Window, calm: Calm) -> None:
    window.resize(1024, 640)
    calm()
    seen = page.tree_area.viewport().rect()
    for name, _, _ in FAMILY:
        box = page.tree.box(name).translated(page.tree.pos()).toAlignedRect()
        assert seen.contains(box), (name, box, seen)
    assert not page.tree_area.horizontalScrollBar().isVisible()


def test_that_no_button_of_the_card_is_cut_in_a_small_window(page: ModelsPage, window: Window, calm: Calm) -> None:
    window.resize(1024, 640)
    calm()
    for each in page.card.findChildren(QPushButton):
        if each.isVisibleTo(page):
            wanted = each.fontMetrics().horizontalAdvance(each.text()) + each.iconSize().width()
            assert each.width() > wanted + 16, each.text()


def test_that_a_family_of_four_generations_scrolls_rather_than_shrinks(
    add: Callable[..., None], page: ModelsPage, window: Window, calm: Calm
) -> None:
    add(("ppo", "ppo", ("sft", "judge")))
    window.resize(1024, 640)
    page.shown()
    calm()
    assert page.tree.box("ppo").width() == 132


def test_that_a_wide_window_gives_boxes_their_full_width(page: ModelsPage, window: Window, calm: Calm) -> None:
    window.resize(1400, 800)
    calm()
    assert page.tree.box("base").width() == 132
    assert page.tree.box("sft").left() > page.tree.box("base").right()


def test_that_generations_stand_in_columns_and_siblings_in_rows(page: ModelsPage) -> None:
    boxes = {name: page.tree.box(name) for name, _, _ in FAMILY}
    assert boxes["base"].right() < boxes["sft"].left() < boxes["sft"].right() < boxes["dpo"].left()
    assert boxes["judge"].left() == boxes["dpo"].left()
    assert boxes["judge"].bottom() < boxes["dpo"].top()
    assert boxes["base"].top() == boxes["sft"].top() == boxes["judge"].top()


def test_that_a_long_family_scrolls_to_the_model_that_is_chosen(
    add: Callable[..., None], page: ModelsPage, window: Window, calm: Calm
) -> None:
    add(*((f"g{n}", "dpo", (f"g{n - 1}" if n else "dpo",)) for n in range(8)))
    window.resize(1024, 640)
    page.shown()
    calm()
    page.list.choose("g7")
    calm()
    seen = page.tree_area.viewport().rect()
    assert seen.contains(page.tree.box("g7").translated(page.tree.pos()).toAlignedRect())
    page.list.choose("base")
    calm()
    assert seen.contains(page.tree.box("base").translated(page.tree.pos()).toAlignedRect())


def test_that_a_click_on_a_box_shows_its_card(page: ModelsPage, qtbot: QtBot, calm: Calm) -> None:
    for name in ("judge", "base", "dpo"):
        qtbot.mouseClick(page.tree, Qt.MouseButton.LeftButton, pos=page.tree.box(name).center().toPoint())
        calm()
        assert page.card.title.text() == name
        assert page.list.key() == name


def test_that_a_click_beside_the_boxes_changes_nothing(page: ModelsPage, qtbot: QtBot) -> None:
    before = page.list.key()
    spot = page.tree.box("base").bottomLeft().toPoint()
    spot.setY(spot.y() + 6)
    qtbot.mouseClick(page.tree, Qt.MouseButton.LeftButton, pos=spot)
    assert page.list.key() == before


def test_that_arrows_walk_through_the_family_and_enter_opens_the_playground(
    page: ModelsPage, qtbot: QtBot, window: Window, calm: Calm
) -> None:
    page.tree.choose("base")
    page.tree.setFocus()
    walked = []
    for key in (Qt.Key.Key_Right, Qt.Key.Key_Right, Qt.Key.Key_Down, Qt.Key.Key_Left, Qt.Key.Key_Left, Qt.Key.Key_Left):
        qtbot.keyClick(page.tree, key)
        walked.append(page.list.key())
    assert walked == ["sft", "judge", "dpo", "sft", "base", "base"]
    qtbot.keyClick(page.tree, Qt.Key.Key_Return)
    calm()
    assert window.top.title.text() == "Playground"
    playground: Any = window.deck.page("playground")
    assert playground.row.cards[0].column.model == "base"


def test_that_arrows_in_the_list_show_one_card_after_another(page: ModelsPage, qtbot: QtBot, calm: Calm) -> None:
    page.list.choose("base")
    page.list.setFocus()
    qtbot.keyClick(page.list, Qt.Key.Key_Down)
    calm()
    assert page.card.title.text() == "sft"
    assert page.tree.current == "sft"
    qtbot.keyClick(page.list, Qt.Key.Key_End)
    calm()
    assert page.card.title.text() == "dpo"


def test_that_the_newest_model_is_chosen_at_first_and_the_choice_is_kept_after(page: ModelsPage, calm: Calm) -> None:
    assert page.list.key() == "dpo"
    page.list.choose("judge")
    page.shown()
    calm()
    assert page.list.key() == "judge"
    assert page.tree.current == "judge"


def test_that_a_reward_model_cannot_be_asked_to_write(page: ModelsPage, calm: Calm) -> None:
    page.list.choose("judge")
    calm()
    assert not page.card.play.isVisible()
    page.list.choose("sft")
    calm()
    assert page.card.play.isVisible()


def test_that_only_a_model_made_by_a_run_leads_to_it(page: ModelsPage, calm: Calm) -> None:
    page.list.choose("dpo")
    calm()
    assert not page.card.run.isVisible()


def test_that_parents_and_folder_stand_on_the_card(page: ModelsPage, stories: Path, calm: Calm) -> None:
    page.list.choose("dpo")
    calm()
    seen = words(page.card)
    assert seen[seen.index("Parents") + 1] == "sft"
    assert seen[seen.index("Folder") + 1] == str(stories)
    assert page.card.kind.text() == "dpo"
    assert page.card.count.text() == "260 k"
    assert page.card.count.toolTip() == "260,032 parameters"
    assert not page.card.form.isVisible()


def test_that_a_synthetic_model_says_so_everywhere(add: Callable[..., None], page: ModelsPage, calm: Calm) -> None:
    assert not page.card.synthetic.isVisible()
    add(("made", "sft", ("base",)), synthetic=True)
    page.shown()
    calm()
    page.list.choose("made")
    calm()
    assert page.card.synthetic.isVisible()


def test_that_facts_of_a_model_that_is_no_longer_shown_are_dropped(page: ModelsPage, calm: Calm) -> None:
    page.list.choose("base")
    calm()
    page.card.show_facts("dpo", [("Secret", "of another model")])
    assert "Secret" not in words(page.card)


@pytest.mark.parametrize("typed", ["", "   ", "base"])
def test_that_a_name_that_is_empty_or_the_same_changes_nothing(
    page: ModelsPage, bench: Workbench, qtbot: QtBot, calm: Calm, typed: str
) -> None:
    page.list.choose("base")
    calm()
    page.card.title.setText(typed)
    qtbot.keyClick(page.card.title, Qt.Key.Key_Return)
    calm()
    assert page.card.title.text() == "base"
    assert {m.name for m in bench.models.list()} == {name for name, _, _ in FAMILY}


def test_that_a_taken_name_is_refused_and_the_old_one_comes_back(
    page: ModelsPage, bench: Workbench, window: Window, qtbot: QtBot, calm: Calm
) -> None:
    page.list.choose("base")
    calm()
    page.card.title.setText("sft")
    qtbot.keyClick(page.card.title, Qt.Key.Key_Return)
    calm()
    told = window.notices.history[-1]
    assert told.kind == "bad"
    assert "sft" in told.what
    assert {m.name for m in bench.models.list()} == {name for name, _, _ in FAMILY}
    assert page.card.title.text() == "base"
    assert page.list.key() == "base"


def test_that_children_follow_when_their_parent_is_renamed(
    page: ModelsPage, bench: Workbench, qtbot: QtBot, calm: Calm
) -> None:
    page.list.choose("sft")
    calm()
    page.card.title.setText("teacher")
    qtbot.keyClick(page.card.title, Qt.Key.Key_Return)
    calm()
    assert bench.models.get("dpo").parents == ("teacher",)
    assert page.tree.box("teacher").right() < page.tree.box("dpo").left()


def test_that_cancelling_a_removal_keeps_the_model(
    page: ModelsPage, bench: Workbench, window: Window, qtbot: QtBot, calm: Calm
) -> None:
    qtbot.mouseClick(page.card.remove, Qt.MouseButton.LeftButton)
    box = window.findChildren(QMessageBox)[-1]
    assert box.text() == "Remove dpo?"
    assert "Its files stay" in box.informativeText()
    answer(window, qtbot, "confirm.no")
    calm()
    assert len(bench.models.list()) == len(FAMILY)


def test_that_removing_a_parent_leaves_its_children_in_the_tree(
    page: ModelsPage, bench: Workbench, window: Window, qtbot: QtBot, calm: Calm
) -> None:
    page.list.choose("sft")
    calm()
    qtbot.mouseClick(page.card.remove, Qt.MouseButton.LeftButton)
    answer(window, qtbot, "confirm.yes")
    calm()
    assert {m.name for m in bench.models.list()} == {"base", "judge", "dpo"}
    assert page.list.key() != "sft"
    assert page.card.title.text() == page.list.key() == page.tree.current
    assert page.tree.box("dpo").isValid()


def test_that_removing_the_last_model_shows_the_empty_page(
    empty: ModelsPage, add: Callable[..., None], window: Window, qtbot: QtBot, calm: Calm
) -> None:
    add(("only", "base", ()))
    empty.shown()
    calm()
    assert empty.stack.currentWidget() is not empty.empty
    qtbot.mouseClick(empty.card.remove, Qt.MouseButton.LeftButton)
    answer(window, qtbot, "confirm.yes")
    calm()
    assert empty.stack.currentWidget() is empty.empty
    assert [a.id for a in empty.actions()] == ["models.add"]


def test_that_training_from_a_model_takes_it_along(page: ModelsPage, window: Window, qtbot: QtBot, calm: Calm) -> None:
    page.list.choose("sft")
    calm()
    qtbot.mouseClick(page.card.train, Qt.MouseButton.LeftButton)
    calm()
    assert window.top.title.text() == "Train"


def test_that_the_palette_gets_the_actions_of_the_chosen_model(page: ModelsPage) -> None:
    page.list.choose("judge")
    titles = [action.title for action in page.actions()]
    assert titles[0] == "Add a model folder"
    assert "Remove judge" in titles
    assert "Train from judge" in titles


def test_that_a_folder_is_asked_for_with_a_dialog_of_our_own_name(
    empty: ModelsPage, stories: Path, bench: Workbench, qtbot: QtBot, calm: Calm
) -> None:
    qtbot.mouseClick(empty.empty.buttons[0], Qt.MouseButton.LeftButton)
    dialog = empty.findChild(QFileDialog, "models.folder_dialog")
    assert dialog is not None
    assert dialog.fileMode() is QFileDialog.FileMode.Directory
    dialog.fileSelected.emit(str(stories))
    dialog.close()
    calm()
    assert [m.name for m in bench.models.list()] == ["stories260K"]


def test_that_arriving_with_add_asks_for_a_folder(visit: Callable[..., QWidget]) -> None:
    page = visit("models", add=True)
    dialog = page.findChild(QFileDialog, "models.folder_dialog")
    assert dialog is not None
    dialog.close()


def test_that_a_pickled_model_is_refused_with_a_hint(
    empty: ModelsPage, stories: Path, tmp_path: Path, window: Window, calm: Calm
) -> None:
    folder = Path(shutil.copytree(stories, tmp_path / "pickled"))
    for file in folder.glob("*.safetensors"):
        file.rename(folder / "pytorch_model.bin")
    empty.add_folder(folder)
    calm()
    told = window.notices.history[-1]
    assert told.kind == "bad"
    assert told.hint
    assert empty.stack.currentWidget() is empty.empty


def test_that_a_folder_that_is_gone_is_refused(
    empty: ModelsPage, tmp_path: Path, window: Window, calm: Calm, bench: Workbench
) -> None:
    empty.add_folder(tmp_path / "nowhere")
    calm()
    assert window.notices.history[-1].kind == "bad"
    assert bench.models.list() == []


def test_that_the_longest_name_keeps_its_place_in_tree_and_list(
    add: Callable[..., None], page: ModelsPage, calm: Calm, dark: Theme
) -> None:
    longest = "v" * 80
    add((longest, "sft", ("base",)))
    page.shown()
    calm()
    assert page.list.choose(longest)
    calm()
    assert page.card.title.text() == longest
    assert page.tree.current == longest
    assert page.tree.box(longest).width() <= 132
    assert not page.grab().isNull()


@pytest.mark.parametrize(
    ("folder", "name"), [("my model", "my-model"), ("نموذج", "model"), ("a" * 90, "a" * 80), (".hidden", "hidden")]
)
def test_that_a_folder_of_any_name_can_be_added(
    empty: ModelsPage, stories: Path, tmp_path: Path, calm: Calm, bench: Workbench, folder: str, name: str
) -> None:
    empty.add_folder(Path(shutil.copytree(stories, tmp_path / folder)))
    calm()
    assert [m.name for m in bench.models.list()] == [name]
    assert bench.models.get(name).path == str(tmp_path / folder)


def test_that_both_themes_paint_the_tree_in_their_colours(page: ModelsPage, theme: Theme, calm: Calm) -> None:
    corner = page.tree.box("base").center().toPoint()
    corner.setX(int(page.tree.box("base").right()) - 6)
    shades = {}
    for mode in ("dark", "light"):
        theme.apply(mode)
        calm()
        shades[mode] = page.tree.grab().toImage().pixelColor(corner).lightness()
    assert shades["dark"] < 90
    assert shades["light"] > 200


def test_that_everything_on_the_page_has_its_names(page: ModelsPage) -> None:
    for each in page.findChildren(QAbstractButton):
        if each.isVisibleTo(page):
            assert each.objectName().startswith("models."), each.text()
            assert each.accessibleName()
    assert page.list.accessibleName() == "Models"
    assert page.tree.accessibleName() == "Family tree of models"


def test_that_shortcut_and_layout_are_remembered(page: ModelsPage, window: Window, qtbot: QtBot, calm: Calm) -> None:
    page.splitter.setSizes([300, 400, 300])
    sizes = page.splitter.sizes()
    window.go("settings")
    assert window.recall("models.splitter") is not None
    window.deck.drop_all()
    window.go("models")
    calm()
    again = window.deck.page("models")
    assert isinstance(again, ModelsPage)
    qtbot.waitUntil(lambda: again.splitter.sizes() == sizes)
    again.findChild(QPushButton, "models.add").setFocus()  # type: ignore[union-attr]
    qtbot.waitUntil(lambda: QApplication.focusWidget() is again.findChild(QPushButton, "models.add"))


def test_that_the_line_below_a_name_says_kind_form_and_size(bench: Workbench, stories: Path) -> None:
    model = bench.models.add_folder(stories, "m", kind="base")
    assert under(model) == "base · 260 k"
    assert under(model.model_copy(update={"form": "adapter"})) == "base, adapter · 260 k"
    bench.close()


def test_that_a_free_name_counts_up_past_every_taken_one() -> None:
    taken: dict[str, Any] = dict.fromkeys(("a", "a-2", "a-3"))
    assert free_name("a", taken) == "a-4"
    assert free_name("b", taken) == "b"


def test_that_the_services_trouble_is_told(bench: Workbench, page: ModelsPage, window: Window, calm: Calm) -> None:
    with pytest.raises(Conflict):
        bench.models.rename("base", "sft")
    page._rename("base", "dpo")
    calm()
    assert window.notices.history[-1].kind == "bad"
