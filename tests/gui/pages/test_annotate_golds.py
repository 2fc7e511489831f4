"""Gold items in the window: said, looked through, taken back; and nothing that tells one while it is judged."""

from collections.abc import Callable

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QWidget
from pytestqt.qtbot import QtBot

from tests.gui.pages.conftest import settle
from tests.gui.pages.test_annotate_blind import everything
from workbench.domain.judgement import Ranking
from workbench.domain.queues import QueueSpec
from workbench.gui import notify
from workbench.gui.pages.annotate import AnnotatePage
from workbench.gui.window import Window
from workbench.services.workbench import Workbench

Visit = Callable[..., QWidget]
Fill = Callable[..., None]
Press = Callable[..., None]
SHIFT = Qt.KeyboardModifier.ShiftModifier


@pytest.fixture
def page(fill: Fill, visit: Visit) -> AnnotatePage:
    fill(5)
    found = visit("annotate")
    assert isinstance(found, AnnotatePage)
    return found


def here(page: AnnotatePage) -> tuple[str, tuple[int, ...]]:
    assert page.presentation is not None
    return page.presentation.item.id, page.presentation.shown


@pytest.mark.parametrize(("key", "words"), [("1", "A ≻ B"), ("2", "B ≻ A"), ("0", "A = B")])
def test_that_k_and_a_key_say_the_answer_and_judge_nothing(
    page: AnnotatePage, press: Press, bench: Workbench, window: Window, key: str, words: str
) -> None:
    item, shown = here(page)
    press("k")
    assert page.desk.gold.isVisible()
    press(key)
    wanted = {"1": ((shown[0],), (shown[1],)), "2": ((shown[1],), (shown[0],)), "0": ((0, 1),)}[key]
    assert bench.queues.golds("pairs") == {item: Ranking(tiers=wanted)}
    assert bench.labelling.judgements("pairs") == []
    assert page.desk.gold.isHidden()
    assert page.hasFocus()
    assert here(page) == (item, shown)
    assert window.notices.history[-1].what == f"The known answer is {words}."


def test_that_more_than_two_are_ranked_and_kept_with_enter(
    fill: Fill, visit: Visit, press: Press, bench: Workbench
) -> None:
    fill(2, candidates=4, name="lists")
    page = visit("annotate", dataset="lists")
    assert isinstance(page, AnnotatePage)
    item, shown = here(page)
    press("k")
    panel = page.desk.gold
    assert panel.said.text() == "1 … 4, best first"
    press("3")
    assert panel.said.text() == "C ≻ …"
    press("0", "1", "2")
    assert panel.said.text() == "C = A ≻ B ≻ …"
    assert page.desk.draft.tiers == []  # the label in the making is untouched
    assert [card.rank.text() for card in page.desk.board.cards] == ["rank 1 of 4", "rank 3 of 4", "rank 1 of 4", ""]
    press(Qt.Key.Key_Return)
    tiers = (tuple(sorted((shown[0], shown[2]))), (shown[1],), (shown[3],))
    assert bench.queues.golds("lists") == {item: Ranking(tiers=tiers)}
    assert bench.labelling.judgements("lists") == []
    assert not any(card.rank.text() for card in page.desk.board.cards)


def test_that_escape_and_k_leave_the_question_and_nothing_is_kept(
    page: AnnotatePage, press: Press, bench: Workbench
) -> None:
    for leave in (Qt.Key.Key_Escape, "k"):
        press("k", leave)
        assert page.desk.gold.isHidden()
    press("k", "x", "7", Qt.Key.Key_Escape)
    assert bench.queues.golds("pairs") == {}
    press("1")
    assert len(bench.labelling.judgements("pairs")) == 1


def test_that_an_answer_is_taken_back_to_what_was_known_before(
    page: AnnotatePage, press: Press, bench: Workbench, window: Window, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notify, "_SECONDS", dict.fromkeys(notify._SECONDS, 600))  # on a busy machine, too
    item, shown = here(page)
    first = Ranking(tiers=((shown[0],), (shown[1],)))

    def take_back() -> None:
        card = window.notices.cards()[-1]
        (back,) = [b for b in card.findChildren(QWidget) if getattr(b, "text", str)() == "Take it back"]
        QTest.mouseClick(back, Qt.MouseButton.LeftButton)
        settle(qtbot, window)

    press("k", "1", "k", "2")
    assert bench.queues.golds("pairs")[item] != first
    take_back()
    assert bench.queues.golds("pairs") == {item: first}
    press("k", "0")
    take_back()
    assert bench.queues.golds("pairs") == {item: first}


def test_that_the_list_hides_answers_of_items_still_to_judge(
    page: AnnotatePage, press: Press, bench: Workbench, window: Window
) -> None:
    press("k", "1", ("k", SHIFT))
    pane = page.crew.golds.pane
    assert page.desk.side.open == "golds"
    assert pane.list.count() == 0
    assert pane.hidden_ones.text().startswith("1 answer is hidden: you haven't judged its item yet")
    press(("k", SHIFT), "1", ("k", SHIFT))
    assert page.desk.side.open == "golds"
    assert [pane.list.item(n).text() for n in range(pane.list.count())] == ["Tell story number 0."]
    assert pane.list.hasFocus()
    assert pane.answer.text().startswith("1. Story 0, told in the ")
    assert "Said by me" in pane.answer.text()
    press("1", "x", "0")
    assert len(bench.labelling.judgements("pairs")) == 1  # no key judges while the list is walked
    press(Qt.Key.Key_Delete)
    assert bench.queues.golds("pairs") == {}
    assert pane.none.isVisible()
    press(Qt.Key.Key_Escape)
    assert page.desk.side.open == ""
    assert page.hasFocus()


def test_that_all_answers_are_shown_on_request_and_hidden_again(
    page: AnnotatePage, press: Press, bench: Workbench
) -> None:
    bench.queues.set_gold("pairs", "item-003", Ranking(tiers=((1,), (0,))))
    press(("k", SHIFT))
    pane = page.crew.golds.pane
    assert pane.reveal.hasFocus()
    press(Qt.Key.Key_Space)
    assert pane.list.count() == 1
    assert pane.answer.text().startswith("1. Story 3, told in the brightest way.")
    press(Qt.Key.Key_Escape, ("k", SHIFT))
    assert pane.list.count() == 0


def test_that_a_judgement_of_before_becomes_the_known_answer(
    page: AnnotatePage, press: Press, bench: Workbench
) -> None:
    item, shown = here(page)
    press("2", "h", "k")
    assert bench.queues.golds("pairs") == {item: Ranking(tiers=((shown[1],), (shown[0],)))}
    assert page.desk.side.open == "history"
    press("h", "x", "h", "k")
    assert len(bench.queues.golds("pairs")) == 1  # "all bad" ranks nothing


def test_that_a_gold_item_looks_and_sounds_like_any_other(
    fill: Fill, visit: Visit, press: Press, bench: Workbench, qtbot: QtBot, window: Window
) -> None:
    fill(24, name="many")
    known = {f"item-{n:03}" for n in (20, 21, 22)}
    for item in known:
        bench.queues.set_gold("many", item, Ranking(tiers=((0,), (1,))))
    bench.queues.create(QueueSpec(name="checked", dataset="many", golds=0.3, seed=3))
    page = visit("annotate", dataset="many", queue="checked")
    assert isinstance(page, AnnotatePage)
    qtbot.waitUntil(lambda: page.presentation is not None and page.presentation.queue == "checked")
    settle(qtbot, window)
    looks: dict[bool, set[str]] = {True: set(), False: set()}
    for _ in range(12):
        item, _ = here(page)
        press("k")
        looks[item in known].update(words_of(window))
        press(Qt.Key.Key_Escape, "1")
    assert all(looks.values())
    assert looks[True] == looks[False]


def words_of(window: Window) -> set[str]:
    """Everything that is said, but for numbers, which of the two responses stands first, and whether the lane is busy."""
    lines = {line for line in everything(window).splitlines() if not any(sign.isdigit() for sign in line)}
    return lines - {"Saved", "Working…", ""} - {line for line in lines if line.startswith("last: ")}
