import random
import sqlite3
from collections.abc import Callable

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QLabel, QWidget
from pytestqt.qtbot import QtBot
from sqlalchemy import Engine, event

from workbench.domain.judgement import Judgement
from workbench.gui.pages.annotate import AnnotatePage
from workbench.gui.window import Window
from workbench.services.workbench import Workbench

Visit = Callable[..., QWidget]
Fill = Callable[..., None]
Press = Callable[..., None]
NO = Qt.KeyboardModifier.NoModifier
SHIFT = Qt.KeyboardModifier.ShiftModifier
CTRL = Qt.KeyboardModifier.ControlModifier


@pytest.fixture
def page(fill: Fill, visit: Visit) -> AnnotatePage:
    fill(6)
    found = visit("annotate")
    assert isinstance(found, AnnotatePage)
    return found


def stored(bench: Workbench, dataset: str = "pairs") -> dict[str, Judgement]:
    return {judgement.item: judgement for judgement in bench.labelling.judgements(dataset)}


def shown_item(page: AnnotatePage) -> str:
    assert page.presentation is not None
    return page.presentation.item.id


def words(page: QWidget) -> str:
    labels = " ".join(label.text() for label in page.findChildren(QLabel))
    tips = " ".join(widget.toolTip() + widget.accessibleName() for widget in page.findChildren(QWidget))
    return labels + tips


def test_that_fifty_intended_labels_are_the_fifty_that_are_stored(
    fill: Fill, visit: Visit, press: Press, bench: Workbench
) -> None:
    fill(50)
    page = visit("annotate")
    assert isinstance(page, AnnotatePage)
    choice = random.Random(7)
    intended: dict[str, tuple[object, ...]] = {}
    for _ in range(50):
        assert page.presentation is not None
        left, right = page.presentation.shown
        key, wanted = choice.choice(
            [
                (("1", NO), ("ranked", ((left,), (right,)), 1)),
                (("2", NO), ("ranked", ((right,), (left,)), 1)),
                (("1", SHIFT), ("ranked", ((left,), (right,)), 2)),
                (("2", SHIFT), ("ranked", ((right,), (left,)), 2)),
                (("0", NO), ("ranked", ((0, 1),), 1)),
                (("x", NO), ("all_bad", None, 1)),
            ]
        )
        intended[shown_item(page)] = wanted
        press(key)
    found = {name: (j.outcome, j.ranking.tiers if j.ranking else None, j.strength) for name, j in stored(bench).items()}
    assert found == intended
    assert page.presentation is None
    assert page.desk.top.count.text() == "50 / 50"


def test_that_a_label_is_on_disk_before_the_next_item_shows(
    page: AnnotatePage, qtbot: QtBot, window: Window, bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, on_disk = shown_item(page), []
    show = page.desk.show_item

    def look_then_show(*arguments: object) -> None:
        with sqlite3.connect(bench.path / "workbench.db") as other:
            on_disk.append(other.execute("select count(*) from judgements").fetchone()[0])
        show(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(page.desk, "show_item", look_then_show)
    QTest.keyClick(page, "1")
    assert shown_item(page) == before
    qtbot.waitUntil(lambda: shown_item(page) != before)
    assert on_disk == [1]


def test_that_a_key_asks_the_database_no_more_after_many_labels_than_after_few(
    fill: Fill, visit: Visit, press: Press
) -> None:
    fill(20)
    visit("annotate")
    press("2")  # the first one keeps what the others find
    asked: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        asked.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        counts = []
        for _ in range(15):
            asked.clear()
            press("2")
            counts.append(len(asked))
    finally:
        event.remove(Engine, "before_cursor_execute", note)
    assert min(counts[-5:]) == min(counts[:5]) < 20  # what else the page asks for now and then only adds to some


def test_that_undo_brings_every_item_back_with_what_was_said(
    page: AnnotatePage, press: Press, bench: Workbench
) -> None:
    order = []
    for key in "112":
        order.append(shown_item(page))
        press(key)
    press(("z", CTRL))
    assert shown_item(page) == order[2]
    assert [card.earlier.text() for card in page.desk.board.cards] == ["", "before: B ≻ A"]
    press(("z", CTRL), ("z", CTRL))
    assert shown_item(page) == order[0]
    assert stored(bench) == {}
    press(("z", CTRL | SHIFT))
    assert set(stored(bench)) == {order[0]}
    assert shown_item(page) == order[1]


def test_that_undo_reaches_back_across_a_restart(
    fill: Fill, visit: Visit, press: Press, bench: Workbench, window: Window, qtbot: QtBot
) -> None:
    fill(3)
    page = visit("annotate")
    assert isinstance(page, AnnotatePage)
    first = shown_item(page)
    press("1", "2")
    window.deck.drop_all()
    again = visit("annotate")
    assert isinstance(again, AnnotatePage)
    assert again is not page
    press(("z", CTRL), ("z", CTRL))
    assert shown_item(again) == first
    assert stored(bench) == {}


def test_that_no_key_acts_while_a_person_types(page: AnnotatePage, press: Press, bench: Workbench) -> None:
    item = shown_item(page)
    press("n")
    for key in "12x0srde":
        press(key)
    assert page.desk.note.field.text() == "12x0srde"
    assert stored(bench) == {}
    assert shown_item(page) == item
    press(Qt.Key.Key_Return, "1")
    assert stored(bench)[item].note == "12x0srde"


def test_that_a_note_is_not_carried_to_the_next_item(page: AnnotatePage, press: Press, bench: Workbench) -> None:
    press("n")
    press(*"odd", Qt.Key.Key_Escape, "1")
    second = shown_item(page)
    press("2")
    assert stored(bench)[second].note == ""


def test_that_a_skip_asks_for_its_reason(page: AnnotatePage, press: Press, bench: Workbench) -> None:
    item = shown_item(page)
    press("s")
    assert page.desk.skip.isVisible()
    press("3")
    assert stored(bench)[item].outcome == "skipped"
    assert stored(bench)[item].skip_reason == "wrong_language"
    other = shown_item(page)
    press("s", Qt.Key.Key_Escape)
    assert shown_item(page) == other
    assert not page.desk.skip.isVisible()


def test_that_a_better_response_becomes_a_demonstration(page: AnnotatePage, press: Press, bench: Workbench) -> None:
    item = shown_item(page)
    press("e")
    press(*"Once.")
    press((Qt.Key.Key_Return, CTRL))
    assert shown_item(page) == item
    names = {view.name: view for view in bench.datasets.list()}
    assert names["pairs-demonstrations"].rows == 1
    assert "Once." in str(bench.datasets.page("pairs-demonstrations", 0, 5))
    assert page.hasFocus()


def test_that_models_stay_hidden_until_judged_and_r_tells(page: AnnotatePage, press: Press) -> None:
    press("r")
    assert "secret-model" not in words(page)
    assert page.presentation is not None
    left = page.presentation.shown[0]
    press("1", "r")
    assert f"A secret-model-{left}" in page.desk.bottom.revealed.text()
    press("2")
    assert "secret-model" not in words(page)


def test_that_differences_are_marked_word_by_word(page: AnnotatePage, press: Press) -> None:
    press("d")
    marked = [
        [s.cursor.selectedText() for s in card.pane.extraSelections()]
        for card in page.desk.board.cards  # type: ignore[attr-defined]
    ]
    assert sorted(marked) == [["brightest"], ["plainest"]]
    press("d")
    assert not any(card.pane.extraSelections() for card in page.desk.board.cards)


def test_that_the_last_judgement_is_told(page: AnnotatePage, press: Press) -> None:
    press("1")
    assert page.desk.bottom.last.text() == "last: A ≻ B"
    press(("2", SHIFT))
    assert page.desk.bottom.last.text() == "last: B ≻≻ A"
    press("x")
    assert page.desk.bottom.last.text() == "last: all bad"


def test_that_four_candidates_are_ranked_in_order_of_the_keys(
    fill: Fill, visit: Visit, press: Press, bench: Workbench
) -> None:
    fill(2, candidates=4, name="lists")
    page = visit("annotate", dataset="lists")
    assert isinstance(page, AnnotatePage)
    assert page.presentation is not None
    shown, item = page.presentation.shown, shown_item(page)
    press("3", "1", "1", "4", "0", "2", Qt.Key.Key_Return)
    ranking = stored(bench, "lists")[item].ranking if stored(bench, "lists") else None
    assert ranking is not None
    assert ranking.tiers == ((shown[2],), tuple(sorted((shown[3], shown[1]))), (shown[0],))
    assert shown_item(page) != item


def test_that_enter_waits_until_at_most_one_is_left(fill: Fill, visit: Visit, press: Press, bench: Workbench) -> None:
    fill(1, candidates=4, name="lists")
    page = visit("annotate", dataset="lists")
    assert isinstance(page, AnnotatePage)
    press("3", "1", Qt.Key.Key_Return)
    assert stored(bench, "lists") == {}
    assert [card.rank.text() for card in page.desk.board.cards] == ["rank 2 of 4", "", "rank 1 of 4", ""]
    press("2", Qt.Key.Key_Return)
    assert len(stored(bench, "lists")) == 1


def test_that_a_card_dragged_onto_another_is_placed_before_it(
    fill: Fill, visit: Visit, press: Press, qtbot: QtBot
) -> None:
    fill(1, candidates=3, name="lists")
    page = visit("annotate", dataset="lists")
    assert isinstance(page, AnnotatePage)
    press("1")
    first, third = page.desk.board.cards[0], page.desk.board.cards[2]
    qtbot.waitUntil(lambda: not first.geometry().intersects(third.geometry()))
    QTest.mousePress(third, Qt.MouseButton.LeftButton, NO, third.rect().topLeft() + third.rect().center() / 8)
    target = third.mapFromGlobal(first.mapToGlobal(first.rect().center()))
    QTest.mouseRelease(third, Qt.MouseButton.LeftButton, NO, target)
    assert page.desk.draft.tiers == [[2], [0]]


def test_that_the_mouse_does_what_the_keys_do(
    page: AnnotatePage, qtbot: QtBot, window: Window, bench: Workbench
) -> None:
    assert page.presentation is not None
    item, right = shown_item(page), page.presentation.shown[1]
    button = page.findChild(QWidget, "annotate.prefer_right")
    assert button is not None
    QTest.mouseClick(button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: window.bridge.busy == 0)
    ranking = stored(bench)[item].ranking
    assert ranking is not None
    assert ranking.tiers[0] == (right,)


def test_that_a_key_pressed_twice_at_once_judges_one_item_only(
    page: AnnotatePage, qtbot: QtBot, window: Window, bench: Workbench
) -> None:
    QTest.keyClick(page, "1")
    QTest.keyClick(page, "1")
    qtbot.waitUntil(lambda: window.bridge.busy == 0)
    assert len(stored(bench)) == 1


def test_that_without_data_the_page_leads_to_it(visit: Visit) -> None:
    page = visit("annotate")
    empty = page.findChild(QWidget, "annotate.empty")
    assert empty is not None
    assert empty.isVisible()


def test_that_the_end_says_so_and_undo_still_goes_back(
    fill: Fill, visit: Visit, press: Press, bench: Workbench
) -> None:
    fill(1)
    page = visit("annotate")
    assert isinstance(page, AnnotatePage)
    press("1")
    assert page.desk.ends.done.isVisible()
    press(("z", CTRL))
    assert page.presentation is not None
    assert not page.desk.ends.done.isVisible()
