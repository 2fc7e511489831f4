"""A click on an alternative branches: what is asked, where it goes, and where the columns part."""

from __future__ import annotations

from typing import Any

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QCheckBox

from tests.gui.pages.playground.scripted.conftest import Stage, ended, said
from workbench.domain.decoding import Greedy
from workbench.gui.pages.playground.parting import Partings
from workbench.gui.pages.playground.token_panel import TokenPanel
from workbench.services.views import ColumnNews

WORDS = (" a", " little", " cat", " ran")


@pytest.fixture
def opened(stage: Stage) -> Stage:
    """The second token of column A, opened by Enter."""
    stage.play(WORDS, WORDS)
    view = stage.page.row.cards[0].view
    view.setFocus()
    for key in (Qt.Key.Key_Home, Qt.Key.Key_Right, Qt.Key.Key_Return):
        QTest.keyClick(view, key)
    assert stage.page.drawer.title.text() == "A · token 2: ␣little"
    return stage


def panel(stage: Stage) -> Any:
    return stage.page.drawer.content.findChild(TokenPanel)


def test_that_a_click_on_an_alternative_goes_on_with_it_in_a_new_column(opened: Stage) -> None:
    row = panel(opened).rows[1]
    QTest.mouseClick(row, Qt.MouseButton.LeftButton, pos=QPoint(20, 8))
    asked = opened.said.asked[-1]
    assert asked.places == (2,) and asked.columns[0].start == (0, 900)
    assert asked.columns[0].settings == Greedy(max_new_tokens=8), "the round's settings, with its seed"
    branched = opened.page.row.cards[2]
    assert branched.said == " a" and opened.page.row.cards[0].said == "".join(WORDS)
    opened.tell(ColumnNews(2, tokens=said(" dog", start=8)))
    assert [t.text for t in branched.tokens] == [" a", " other", " dog"], "the decoder says how long the token is"
    opened.tell(ended(2, text=" a other dog", completion="a other dog"))
    assert [t.id for t in branched.tokens] == [0, 900, 0] and branched.tokens[1].rank == 1
    assert [card.view.mark for card in opened.page.row.cards] == [2, 2, 2], "columns part behind ' a'"
    assert opened.page.voting.bar.best[2].isVisible() and opened.page.voting.bar.best[2].isEnabled()


def test_that_keys_reach_a_token_that_a_rule_has_cut(opened: Stage) -> None:
    rows = panel(opened).rows
    rows[0].setFocus()
    QTest.keyClick(rows[0], Qt.Key.Key_Return)
    assert len(opened.said.asked) == 1, "what stands there is no branch"
    for number in (0, 1):
        QTest.keyClick(rows[number], Qt.Key.Key_Down)
    QTest.keyClick(rows[2], Qt.Key.Key_Up)
    QTest.keyClick(rows[1], Qt.Key.Key_Down)
    assert "cut by top-k" in rows[2].accessibleName() and opened.page.focusWidget() is rows[2]
    QTest.keyClick(rows[2], Qt.Key.Key_Space)
    assert opened.said.asked[-1].columns[0].start == (0, 901)


def test_that_a_column_can_go_on_in_its_own_place_and_the_choice_is_remembered(opened: Stage) -> None:
    opened.find("playground.branch.new").click()
    panel(opened).rows[1].chosen.emit(900)
    asked = opened.said.asked[-1]
    assert asked.places == (0,) and asked.columns[0].start == (0, 900) and len(opened.page.row.cards) == 2
    opened.tell(ended(0, " x"))
    opened.page.panels.open_token(1, 0)
    assert not opened.page.drawer.content.findChild(QCheckBox).isChecked()
    opened.page.drawer.content.findChild(QCheckBox).click()


def test_that_a_full_page_branches_in_place(stage: Stage) -> None:
    stage.columns(*[Greedy(max_new_tokens=8)] * 6)
    stage.play(*[WORDS] * 6)
    stage.page.panels.open_token(4, 1)
    box = stage.page.drawer.content.findChild(QCheckBox)
    assert not box.isEnabled() and not box.isChecked()
    panel(stage).rows[1].chosen.emit(900)
    assert stage.said.asked[-1].places == (4,) and len(stage.page.row.cards) == 6


def test_that_nobody_branches_while_columns_speak(opened: Stage) -> None:
    kept = panel(opened)
    opened.page.round.go_on()
    kept.branch.emit(1, 900)
    assert len(opened.said.asked) == 2 and len(opened.page.row.cards) == 2


def test_that_a_branch_whose_decoder_fails_keeps_the_token_it_was_to_begin_with(opened: Stage) -> None:
    panel(opened).rows[1].chosen.emit(900)
    opened.tell(ColumnNews(2, done=True, error_what="Lost.", error_hint="Start again."))
    card = opened.page.row.cards[2]
    assert [t.text for t in card.tokens] == [" a", " other"] and card.foot.verdict.text() == "failed · Lost."
    opened.page.round.go_on()
    assert opened.said.asked[-1].columns[-1].start == (0, 900)


def test_that_a_branch_behind_the_limit_gets_room(stage: Stage) -> None:
    stage.columns(Greedy(max_new_tokens=2), Greedy(max_new_tokens=9))
    stage.play(WORDS[:2], WORDS)
    stage.page.round.branch(0, 1, 900, new=False)
    assert stage.said.asked[-1].columns[0].settings.max_new_tokens == 4
    stage.tell(ended(0, " x"))
    stage.page.round.branch(1, 1, 900, new=False)
    assert stage.said.asked[-1].columns[0].settings.max_new_tokens == 9


@pytest.mark.parametrize(
    ("texts", "done", "places"),
    [
        (["abc", "abd"], [False, False], [2, 2]),
        (["abc", "ab"], [False, False], [None, None]),
        (["abc", "ab"], [False, True], [2, 2]),
        (["abc", "ab"], [True, False], [None, None]),
        (["abc", "abc"], [True, True], [None, None]),
        (["", "a"], [True, True], [0, 0]),
        (["abcd", "abce", "ax"], [True, True, True], [1, 1, 1]),
        (["abcd", "abce", "abc"], [True, True, False], [3, 3, None]),
        (["abc"], [True], [None]),
    ],
)
def test_that_columns_part_at_the_first_character_that_differs(texts: Any, done: Any, places: Any) -> None:
    assert Partings().look(texts, done) == places


def test_that_texts_that_grow_part_once_and_for_all() -> None:
    seen = Partings()
    assert seen.look(["ab", "ab"], [False, False]) == [None, None]
    assert seen.look(["abc", "abd"], [False, False]) == [2, 2]
    assert seen.look(["abcx", "abdx"], [True, True]) == [2, 2]
