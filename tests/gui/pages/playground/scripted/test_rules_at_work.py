"""The distribution at a token with the text around it: what other settings would change is veiled, and said in words."""

from __future__ import annotations

from typing import Any

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QWidget

from tests.gui.pages.playground.made_up import distribution
from tests.gui.pages.playground.scripted.conftest import ended
from workbench.domain.decoding import Sample
from workbench.domain.errors import BadInput
from workbench.gui.pages.playground.distribution import DistributionView
from workbench.gui.pages.playground.numbers import STALE
from workbench.gui.pages.playground.token_panel import TokenPanel

WORDS = (" a", " little", " cat", " ran")


@pytest.fixture
def opened(stage: Any) -> Any:
    """Column B's third token, reached through its panel."""
    stage.said.distribution = distribution(position=2, changed=None)
    stage.play([" x"], WORDS)
    stage.page.row.cards[1].view.opened.emit(2)
    stage.find("playground.token.distribution").click()
    assert isinstance(stage.page.lab.pane.content, DistributionView)
    return stage


def view(stage: Any) -> Any:
    return stage.page.lab.pane.content


def test_that_a_token_is_asked_about_with_the_settings_it_was_said_under(opened: Any) -> None:
    settings = Sample(temperature=0.7, max_new_tokens=8, seed=opened.page.bar.seed.value())
    place, position, asked = opened.said.distributed[0]
    assert (place, position, asked) == (1, 2, settings)
    assert opened.page.lab.pane.title.text() == "B · Distribution at token 3"
    assert view(opened).text.text == "".join(WORDS) and view(opened).text.selected == 2


def test_that_a_slider_veils_the_text_and_the_column_until_the_view_is_left(opened: Any) -> None:
    card = opened.page.row.cards[1]
    assert card.view.stale is None and view(opened).text.stale is None
    opened.said.distribution = distribution(position=2, changed=1)
    QTest.keyClick(view(opened).sliders.sliders["temperature"], Qt.Key.Key_Left)
    assert opened.said.distributed[-1][2].temperature < 0.7
    assert card.view.stale == view(opened).text.stale == 1
    assert card.foot.verdict.text() == f"{STALE} · reached the limit · 4 tokens"
    QTest.keyClick(opened.page, Qt.Key.Key_Escape)
    assert card.view.stale is None and card.foot.verdict.text() == "reached the limit · 4 tokens"
    assert card.column.settings.temperature == 0.7, "looking changes nothing"


def test_that_settings_that_are_used_leave_the_text_marked_until_it_is_said_anew(opened: Any) -> None:
    card = opened.page.row.cards[1]
    opened.said.distribution = distribution(position=2, changed=1)
    QTest.keyClick(view(opened).sliders.sliders["temperature"], Qt.Key.Key_Left)
    wanted = opened.said.distributed[-1][2].temperature
    view(opened).use.click()
    opened.page.lab.close()
    assert card.column.settings.temperature == wanted and card.column.settings.max_new_tokens == 8
    assert card.view.stale == 1 and STALE in card.foot.verdict.text()
    assert "Column B has these settings now." in opened.notices
    opened.page.start()
    assert card.view.stale is None and card.foot.verdict.text() == ""
    opened.tell(ended(0, " x"), ended(1, " y"))
    assert card.foot.verdict.text() == "reached the limit · 1 tokens"


def test_that_enter_on_another_token_looks_there_under_the_moved_settings(opened: Any) -> None:
    QTest.keyClick(view(opened).sliders.sliders["temperature"], Qt.Key.Key_Left)
    moved = opened.said.distributed[-1][2]
    opened.said.distribution = distribution(position=0, changed=None)
    strip = view(opened).text
    strip.setFocus()
    for key in (Qt.Key.Key_Home, Qt.Key.Key_Return):
        QTest.keyClick(strip, key)
    assert opened.said.distributed[-1] == (1, 0, moved)
    assert opened.page.lab.pane.title.text() == "B · Distribution at token 1"
    assert opened.page.lab.pane.accessibleName() == "B · Distribution at token 1"
    assert view(opened).bars.distribution.position == 0
    asked = len(opened.said.distributed)
    QTest.keyClick(strip, Qt.Key.Key_Return)
    assert len(opened.said.distributed) == asked, "it stands there already"


def test_that_an_answer_about_a_token_that_was_left_is_not_shown(opened: Any) -> None:
    opened.bridge.hold = opened.said.distribute
    QTest.keyClick(view(opened).sliders.sliders["temperature"], Qt.Key.Key_Left)
    before = view(opened).bars.distribution
    view(opened).text.opened.emit(0)
    view(opened).take(distribution(position=2, changed=0))
    assert view(opened).bars.distribution is before and view(opened).text.stale is None
    opened.said.distribution = distribution(position=0, changed=3)
    opened.bridge.release()
    assert view(opened).bars.distribution.position == 0 and view(opened).text.stale == 3


def test_that_trouble_is_told_in_the_view_and_the_next_move_asks_again(opened: Any) -> None:
    opened.said.distribution = BadInput("What this column weighed isn't kept any more.", "Start the round again.")
    QTest.keyClick(view(opened).sliders.sliders["temperature"], Qt.Key.Key_Left)
    assert view(opened).told.text() == "What this column weighed isn't kept any more. Start the round again."
    assert view(opened).told.property("role") == "bad"
    opened.said.distribution = distribution(position=2)
    QTest.keyClick(view(opened).sliders.sliders["temperature"], Qt.Key.Key_Left)
    assert view(opened).told.property("role") == "quiet" and not opened.bridge.told


def test_that_votes_give_their_room_to_a_view_and_come_back(opened: Any) -> None:
    assert not opened.page.voting.bar.isVisible() and not opened.page.row.isVisible()
    opened.find("playground.lab.back").click()
    assert opened.page.voting.bar.isVisible() and opened.page.row.isVisible()


def test_that_a_token_that_is_not_there_opens_nothing(stage: Any) -> None:
    stage.page.lab.open_distribution(1, 0)
    stage.play([" x"], WORDS)
    stage.page.lab.open_distribution(1, len(WORDS))
    assert stage.page.lab.pane.content is None and stage.said.distributed == []
    stage.page.row.cards[1].view.opened.emit(0)
    assert isinstance(stage.page.drawer.content.findChild(TokenPanel), TokenPanel)


def test_that_an_open_view_is_dressed_with_the_theme(opened: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    dressed = []
    monkeypatch.setattr(view(opened), "dress", lambda: dressed.append(True), raising=False)
    opened.shell.theme.changed.emit()
    assert dressed == [True]
    opened.page.lab.close()
    opened.shell.theme.changed.emit()
    assert dressed == [True], "what is gone isn't"


def test_that_a_study_has_the_prompts_room_too_for_it_has_prompts_of_its_own(stage: Any) -> None:
    stage.page.lab.put(None, "Study study-1", QWidget())
    assert not stage.page.bar.isVisible() and not stage.page.voting.bar.isVisible()
    assert stage.page.lab.pane.title.text() == "Study study-1"
    QTest.keyClick(stage.page, Qt.Key.Key_Escape)
    assert stage.page.bar.isVisible() and stage.page.lab.pane.content is None
    stage.page.lab.put(0, "Beam tree", QWidget())
    assert stage.page.bar.isVisible(), "a column's view stands below its prompt"
