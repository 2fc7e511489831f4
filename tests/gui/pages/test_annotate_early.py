"""Keys that come too early, and what is known of the item judged last."""

from collections.abc import Callable

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QWidget
from pytestqt.qtbot import QtBot

from workbench.domain.judgement import Judgement
from workbench.gui.pages.annotate import AnnotatePage
from workbench.gui.window import Window
from workbench.services.workbench import Workbench

Visit = Callable[..., QWidget]
Fill = Callable[..., None]
Press = Callable[..., None]
CTRL = Qt.KeyboardModifier.ControlModifier
SHIFT = Qt.KeyboardModifier.ShiftModifier


@pytest.fixture
def page(fill: Fill, visit: Visit) -> AnnotatePage:
    fill(4)
    found = visit("annotate")
    assert isinstance(found, AnnotatePage)
    return found


def stored(bench: Workbench, dataset: str = "pairs") -> dict[str, Judgement]:
    return {judgement.item: judgement for judgement in bench.labelling.judgements(dataset)}


def item_of(page: AnnotatePage) -> str:
    assert page.presentation is not None
    return page.presentation.item.id


def revealed(page: AnnotatePage) -> str:
    return page.desk.bottom.revealed.text()


@pytest.fixture
def calm(page: AnnotatePage, qtbot: QtBot, window: Window) -> Callable[[], None]:
    def wait() -> None:
        qtbot.waitUntil(lambda: window.bridge.busy == 0 and page.ready)

    return wait


@pytest.mark.parametrize("key", ["1", "2", "0", "x"])
def test_that_an_item_that_was_never_painted_is_never_judged(
    page: AnnotatePage, qtbot: QtBot, bench: Workbench, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    first, show = item_of(page), page.desk.show_item

    def show_then_press(*arguments: object) -> None:  # a key that waited in the queue of events, before any painting
        show(*arguments)  # type: ignore[arg-type]
        assert item_of(page) != first
        assert not page.ready
        QTest.keyClick(page, key)

    monkeypatch.setattr(page.desk, "show_item", show_then_press)
    QTest.keyClick(page, "1")
    qtbot.waitUntil(lambda: item_of(page) != first and page.ready)
    assert set(stored(bench)) == {first}
    assert page.desk.bottom.early.isVisible()


def test_that_a_key_during_a_commit_is_left_out_and_says_so(
    page: AnnotatePage, calm: Callable[[], None], bench: Workbench
) -> None:
    bottom = page.desk.bottom
    QTest.keyClick(page, "1")
    assert bottom.early.isHidden()
    QTest.keyClick(page, "2")
    assert bottom.early.isVisible()
    assert "press again" in bottom.early.text()
    assert bottom.hint.isHidden()
    calm()
    assert bottom.early.isVisible()
    assert len(stored(bench)) == 1


def test_that_the_same_key_pressed_again_is_taken_and_the_message_goes(
    page: AnnotatePage, calm: Callable[[], None], bench: Workbench
) -> None:
    QTest.keyClick(page, "1")
    QTest.keyClick(page, "2")
    calm()
    second = item_of(page)
    QTest.keyClick(page, "2")
    assert page.desk.bottom.early.isHidden()
    assert page.desk.bottom.hint.isVisible()
    calm()
    ranking = stored(bench)[second].ranking
    assert ranking is not None
    assert ranking.tiers[0] == (stored(bench)[second].shown[1],)


def test_that_a_note_asked_for_during_a_commit_opens_with_the_next_item(
    page: AnnotatePage, calm: Callable[[], None], press: Press, bench: Workbench
) -> None:
    QTest.keyClick(page, "1")
    QTest.keyClick(page, "n")
    assert page.desk.note.isHidden()
    calm()
    assert page.desk.note.isVisible()
    second = item_of(page)
    press(*"x12", Qt.Key.Key_Return, "2")
    assert stored(bench)[second].note == "x12"
    assert len(stored(bench)) == 2


@pytest.mark.parametrize(("key", "panel"), [("s", "skip"), ("e", "write")])
def test_that_other_panels_wait_for_the_next_item_too(
    page: AnnotatePage, calm: Callable[[], None], bench: Workbench, key: str, panel: str
) -> None:
    QTest.keyClick(page, "1")
    QTest.keyClick(page, key)
    calm()
    assert getattr(page.desk, panel).isVisible()
    assert len(stored(bench)) == 1


def test_that_a_reason_is_not_taken_before_its_item_is_seen(
    page: AnnotatePage, calm: Callable[[], None], bench: Workbench
) -> None:
    for key in ("1", "s", "3"):
        QTest.keyClick(page, key)
    calm()
    assert page.desk.skip.isVisible()
    assert len(stored(bench)) == 1


def test_that_undo_during_a_commit_says_that_it_was_left_out(
    page: AnnotatePage, calm: Callable[[], None], bench: Workbench
) -> None:
    QTest.keyClick(page, "1")
    QTest.keyClick(page, "z", CTRL)
    assert page.desk.bottom.early.isVisible()
    calm()
    assert len(stored(bench)) == 1


def test_that_a_held_key_judges_once(page: AnnotatePage, calm: Callable[[], None], bench: Workbench) -> None:
    from PySide6.QtCore import QCoreApplication, QEvent
    from PySide6.QtGui import QKeyEvent

    QTest.keyPress(page, "1")
    calm()
    for _ in range(3):
        again = QKeyEvent(QEvent.Type.KeyPress, Qt.Key.Key_1, Qt.KeyboardModifier.NoModifier, "1", True)
        QCoreApplication.sendEvent(page, again)
    calm()
    assert len(stored(bench)) == 1


def test_that_r_tells_the_item_judged_last_after_a_restart(
    page: AnnotatePage, press: Press, visit: Visit, window: Window
) -> None:
    press("1", "r")
    before = revealed(page)
    assert "secret-model" in before
    window.deck.drop_all()
    again = visit("annotate")
    assert isinstance(again, AnnotatePage)
    assert again is not page
    assert revealed(again) == ""
    press("r")
    assert revealed(again) == before


def test_that_r_names_the_models_in_the_order_of_the_letters(page: AnnotatePage, press: Press) -> None:
    for _ in range(3):
        assert page.presentation is not None
        left, right = page.presentation.shown
        press("2", "r")
        assert revealed(page) == f"written by: A secret-model-{left}  ·  B secret-model-{right}"


def test_that_r_after_an_undo_tells_the_judgement_that_is_last_now(page: AnnotatePage, press: Press) -> None:
    assert page.presentation is not None
    left = page.presentation.shown[0]
    press("1", "2", ("z", CTRL), "r")
    assert revealed(page).startswith(f"written by: A secret-model-{left}")


def test_that_r_tells_nothing_when_every_judgement_was_taken_back(page: AnnotatePage, press: Press) -> None:
    press("1", ("z", CTRL), "r")
    assert "secret" not in revealed(page)
    assert "Judge an item first" in revealed(page)


def test_that_r_tells_the_last_item_of_a_finished_dataset(
    fill: Fill, visit: Visit, press: Press, window: Window
) -> None:
    fill(1, name="single")
    page = visit("annotate", dataset="single")
    assert isinstance(page, AnnotatePage)
    press("1")
    assert page.presentation is None
    press("r")
    assert "secret-model" in revealed(page)


def test_that_what_was_revealed_goes_with_the_next_judgement_and_with_undo(page: AnnotatePage, press: Press) -> None:
    press("1", "r")
    assert revealed(page)
    press("2")
    assert revealed(page) == ""
    press("r")
    assert revealed(page)
    press(("z", CTRL))
    assert revealed(page) == ""


def test_that_the_dataset_chosen_last_is_the_one_that_shows(
    fill: Fill, page: AnnotatePage, qtbot: QtBot, window: Window, bench: Workbench
) -> None:
    fill(2, name="other")
    seen: list[str] = []
    show = page.desk.show_item
    page.desk.show_item = lambda *a: (seen.append(page.dataset), show(*a))  # type: ignore[method-assign]
    page.arrive(dataset="other")
    page.arrive(dataset="pairs")
    qtbot.waitUntil(lambda: window.bridge.busy == 0)
    assert seen == ["pairs"]


def test_that_a_judgement_made_just_before_changing_the_dataset_is_kept(
    fill: Fill, page: AnnotatePage, qtbot: QtBot, window: Window, bench: Workbench
) -> None:
    fill(2, candidates=3, name="other")
    first = item_of(page)
    QTest.keyClick(page, "1")
    page.arrive(dataset="other")
    qtbot.waitUntil(lambda: window.bridge.busy == 0 and page.ready)
    assert set(stored(bench)) == {first}
    assert len(page.desk.board.cards) == 3
    assert page.desk.bottom.last.text() == ""


def test_that_an_undo_answered_after_changing_the_dataset_shows_nothing_old(
    fill: Fill, page: AnnotatePage, press: Press, qtbot: QtBot, window: Window, bench: Workbench
) -> None:
    fill(2, candidates=3, name="other")
    press("1")
    QTest.keyClick(page, "z", CTRL)
    page.arrive(dataset="other")
    qtbot.waitUntil(lambda: window.bridge.busy == 0 and page.ready)
    assert stored(bench) == {}
    assert len(page.desk.board.cards) == 3


def test_that_a_refused_undo_is_told_and_keys_go_on_acting(page: AnnotatePage, press: Press, bench: Workbench) -> None:
    first = item_of(page)
    press(("z", CTRL), ("z", CTRL | SHIFT))
    assert item_of(page) == first
    press("1")
    assert set(stored(bench)) == {first}
