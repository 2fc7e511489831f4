"""The Runs page over a real workspace whose runs wait in the queue: notes, order, choosing, keys."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QPushButton, QWidget
from pytestqt.qtbot import QtBot

from tests.gui.pages.conftest import unsupervised
from workbench.domain.runs import JobState
from workbench.domain.specs.sft import SftSpec
from workbench.gui.pages.runs import RunsPage
from workbench.gui.pages.train import TrainPage
from workbench.gui.window import Window
from workbench.services.views import RunView
from workbench.services.workbench import Workbench, new_workspace

Visit = Callable[..., QWidget]
Calm = Callable[[], None]
LEFT = Qt.MouseButton.LeftButton
pytestmark = pytest.mark.qt_log_ignore("propagateSizeHints")  # the off-screen platform has no window manager


@pytest.fixture(scope="module")
def three_queued(tmp_path_factory: pytest.TempPathFactory, shared: Path) -> Path:
    """A workspace with three runs in its queue, made once and copied for each test."""
    place = new_workspace(tmp_path_factory.mktemp("queued") / "space")
    with unsupervised(place) as bench:
        bench.models.add_folder(shared / "models" / "stories260K", "stories")
        bench.datasets.import_files([shared / "data" / "llama_factory" / "alpaca_en_demo.json"], "asks", skip_bad=True)
        for name in ("first", "second", "third"):
            bench.training.start(
                SftSpec(name=name, base="stories", data="asks", device="cpu", max_steps=6, batch_size=2, max_length=64)
            )
    return place


@pytest.fixture
def bench(three_queued: Path, tmp_path: Path) -> Workbench:
    shutil.copytree(three_queued, tmp_path / "space")
    return unsupervised(tmp_path / "space")


@pytest.fixture
def page(visit: Visit) -> RunsPage:
    found = visit("runs")
    assert isinstance(found, RunsPage)
    return found


@pytest.fixture
def calm(qtbot: QtBot, window: Window) -> Calm:
    return lambda: qtbot.waitUntil(lambda: window.bridge.busy == 0)


def run(bench: Workbench, name: str) -> RunView:
    return next(view for view in bench.runs.list() if view.name == name)


def order(page: RunsPage) -> list[str]:
    return [view.name for view in page.roster.model.shown]


def choose(page: RunsPage, bench: Workbench, name: str, calm: Calm) -> None:
    assert page.roster.choose(run(bench, name).id)
    calm()
    assert page.detail.title.text() == name


def test_that_the_first_of_the_queue_is_on_show(page: RunsPage) -> None:
    assert order(page) == ["first", "second", "third"]
    assert page.detail.title.text() == "first"
    assert page.detail.state.text() == "◌ queued"
    assert not page.detail.sooner.isEnabled()
    assert page.detail.later.isEnabled()


def test_that_sooner_moves_a_run_one_place_up_and_keeps_it_chosen(page: RunsPage, bench: Workbench, calm: Calm) -> None:
    choose(page, bench, "third", calm)
    assert not page.detail.later.isEnabled()
    QTest.mouseClick(page.detail.sooner, LEFT)
    calm()
    assert order(page) == ["first", "third", "second"]
    assert [view.name for view in sorted(bench.runs.list(), key=lambda view: view.place)] == [
        "first",
        "third",
        "second",
    ]
    assert page.detail.title.text() == "third"
    assert page.detail.later.isEnabled()
    QTest.mouseClick(page.detail.sooner, LEFT)
    calm()
    assert order(page) == ["third", "first", "second"]
    assert not page.detail.sooner.isEnabled()


def test_that_later_moves_a_run_one_place_down(page: RunsPage, bench: Workbench, calm: Calm) -> None:
    QTest.mouseClick(page.detail.later, LEFT)
    calm()
    assert order(page) == ["second", "first", "third"]
    QTest.mouseClick(page.detail.later, LEFT)
    calm()
    assert order(page) == ["second", "third", "first"]
    assert not page.detail.later.isEnabled()
    assert page.detail.sooner.isEnabled()


def test_that_places_are_those_of_the_whole_queue_while_a_filter_hides_some(
    page: RunsPage, bench: Workbench, calm: Calm
) -> None:
    page.roster.field.setText("third")
    choose(page, bench, "third", calm)
    QTest.mouseClick(page.detail.sooner, LEFT)
    calm()
    page.roster.field.clear()
    assert order(page) == ["first", "third", "second"]


def test_that_the_queue_is_ordered_by_keyboard(page: RunsPage, bench: Workbench, calm: Calm) -> None:
    page.detail.later.setFocus()
    QTest.keyClick(page.detail.later, Qt.Key.Key_Space)
    calm()
    assert order(page) == ["second", "first", "third"]


def test_that_a_stopped_run_leaves_the_queue_to_the_others(page: RunsPage, bench: Workbench, calm: Calm) -> None:
    QTest.mouseClick(page.detail.stop, LEFT)
    calm()
    assert order(page) == ["second", "third", "first"]
    assert page.detail.title.text() == "first"
    assert page.detail.sooner.isHidden()
    choose(page, bench, "second", calm)
    assert not page.detail.sooner.isEnabled()


def test_that_a_stopped_run_can_be_queued_again_at_the_end(page: RunsPage, bench: Workbench, calm: Calm) -> None:
    QTest.mouseClick(page.detail.stop, LEFT)
    calm()
    assert page.detail.resume.text().strip() == "Continue"
    QTest.mouseClick(page.detail.resume, LEFT)
    calm()
    assert run(bench, "first").state is JobState.QUEUED
    assert order(page) == ["second", "third", "first"]


def test_that_a_note_is_kept_with_the_run_and_found_by_the_filter(page: RunsPage, bench: Workbench, calm: Calm) -> None:
    page.detail.note.setFocus()
    QTest.keyClicks(page.detail.note, "with cleaner prompts")
    QTest.keyClick(page.detail.note, Qt.Key.Key_Return)
    calm()
    assert run(bench, "first").note == "with cleaner prompts"
    page.roster.field.setText("cleaner")
    assert order(page) == ["first"]


def test_that_a_note_shows_again_after_a_restart(
    page: RunsPage, bench: Workbench, calm: Calm, visit: Visit, window: Window
) -> None:
    page.detail.note.setText("ünd 🦊 שלום")
    page.detail.keep_note()
    calm()
    window.deck.drop_all()
    again = visit("runs")
    assert isinstance(again, RunsPage)
    assert again is not page
    assert again.detail.note.text() == "ünd 🦊 שלום"


def test_that_each_run_shows_its_own_note(page: RunsPage, bench: Workbench, calm: Calm) -> None:
    page.detail.note.setText("mine")
    choose(page, bench, "second", calm)
    assert page.detail.note.text() == ""
    choose(page, bench, "first", calm)
    assert page.detail.note.text() == "mine"
    assert [run(bench, name).note for name in ("first", "second")] == ["mine", ""]


def test_that_a_note_half_written_is_kept_when_another_page_is_shown(
    page: RunsPage, bench: Workbench, calm: Calm, visit: Visit
) -> None:
    page.detail.note.setFocus()
    QTest.keyClicks(page.detail.note, "half")
    visit("home")
    calm()
    assert run(bench, "first").note == "half"


def test_that_a_note_half_written_is_kept_when_the_window_closes(
    page: RunsPage, bench: Workbench, window: Window
) -> None:
    page.detail.note.setFocus()
    QTest.keyClicks(page.detail.note, "closing")
    path = bench.path
    window.close()
    with unsupervised(path) as again:
        assert run(again, "first").note == "closing"


def test_that_keys_reach_the_list_the_filter_and_the_note(page: RunsPage, calm: Calm, window: Window) -> None:
    page.roster.field.setFocus()
    QTest.keyClick(page.roster.field, Qt.Key.Key_Tab)
    assert QApplication.focusWidget() is page.roster.list
    QTest.keyClick(page.roster.list, Qt.Key.Key_Down)
    calm()
    assert page.detail.title.text() == "second"
    {action.id: action.run for action in page.actions()}["runs.note"]()
    assert QApplication.focusWidget() is page.detail.note


def test_that_the_palette_offers_what_can_be_done(page: RunsPage, bench: Workbench, calm: Calm) -> None:
    def offered() -> set[str]:
        return {action.id for action in page.actions()}

    assert "runs.later" in offered()
    assert "runs.sooner" not in offered()
    choose(page, bench, "second", calm)
    assert {"runs.later", "runs.sooner", "runs.note", "runs.filter"} <= offered()
    page.roster.list.selectAll()
    calm()
    assert offered() == {"runs.filter"}


def test_that_several_chosen_runs_stand_side_by_side(page: RunsPage, calm: Calm) -> None:
    page.roster.list.selectAll()
    calm()
    assert page.detail.title.text() == "3 runs side by side"
    page.roster.choose(page.roster.model.shown[1].id)
    calm()
    assert page.detail.title.text() == "second"


def test_that_a_run_that_is_filtered_out_makes_room_for_a_hint(page: RunsPage, calm: Calm) -> None:
    page.roster.field.setText("nothing like this")
    calm()
    hint = page.findChild(QWidget, "runs.choose")
    assert hint is not None
    assert hint.isVisible()
    assert not page.detail.isVisible()


def test_that_the_command_of_the_run_on_show_is_copied(page: RunsPage, bench: Workbench, calm: Calm) -> None:
    page.detail.tabs.setCurrentIndex(3)
    calm()
    copy = page.findChild(QPushButton, "runs.copy_command")
    assert copy is not None
    QTest.mouseClick(copy, LEFT)
    assert QGuiApplication.clipboard().text() == bench.runs.get(run(bench, "first").id).command


def test_that_training_again_starts_from_the_names_that_were_chosen(
    page: RunsPage, qtbot: QtBot, calm: Calm, window: Window
) -> None:
    page.detail.tabs.setCurrentIndex(3)
    calm()
    again = page.findChild(QPushButton, "runs.again")
    assert again is not None
    QTest.mouseClick(again, LEFT)
    qtbot.waitUntil(lambda: isinstance(window.deck.currentWidget(), TrainPage))
    train = window.deck.currentWidget()
    assert isinstance(train, TrainPage)
    qtbot.waitUntil(lambda: window.bridge.busy == 0 and train.start.isEnabled())
    spec = train.spec()
    assert (spec.kind, spec.base, spec.data, spec.max_steps, spec.max_length) == ("sft", "stories", "asks", 6, 64)


@pytest.mark.parametrize("size", [(1024, 640), (1280, 800)])
def test_that_nothing_of_the_head_is_cut_off(
    page: RunsPage, window: Window, qtbot: QtBot, size: tuple[int, int]
) -> None:
    window.resize(*size)
    qtbot.waitUntil(lambda: window.width() == size[0])
    detail = page.detail
    for part in (detail.sooner, detail.later, detail.stop, detail.note):
        assert part.isVisible()
        inside = part.mapTo(window, part.rect().bottomRight())
        assert inside.x() <= window.width()
        assert inside.y() <= window.height()
        assert part.width() >= part.minimumSizeHint().width()
