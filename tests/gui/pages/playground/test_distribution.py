"""The distribution view: one question at a time, every rule under the hand, every cut to be seen."""

from __future__ import annotations

from typing import Any

import pytest
from PySide6.QtCore import QPointF, Qt
from PySide6.QtWidgets import QWidget
from pytestqt.qtbot import QtBot

from tests.gui.pages.playground.made_up import distribution
from workbench.domain.decoding import ORDER, Beam, Greedy, Sample, Speculative
from workbench.gui.pages.playground.chain_sliders import STOPS, sample_of, with_chain
from workbench.gui.pages.playground.distribution import BRANCHES, ROW, DistributionView
from workbench.gui.pages.playground.latest import Latest
from workbench.gui.theme import Theme


@pytest.fixture
def view(qtbot: QtBot, theme: Theme) -> Any:
    made = DistributionView(theme)
    qtbot.addWidget(made)
    made.resize(1000, 500)
    made.show()
    return made


def test_that_only_the_newest_question_waits() -> None:
    sent: list[int] = []
    latest = Latest(sent.append)
    for question in (1, 2, 3):
        latest.ask(question)
    assert sent == [1]
    latest.answered()
    assert sent == [1, 3] and latest.busy
    latest.answered()
    assert sent == [1, 3] and not latest.busy
    latest.ask(4)
    assert sent == [1, 3, 4]


def test_that_a_dragged_slider_asks_once_until_it_is_answered(view: Any, qtbot: QtBot) -> None:
    asked: list[Sample] = []
    view.asked.connect(asked.append)
    view.begin(Sample(seed=7), standing=0)
    slider = view.sliders.sliders["top_k"]
    for place in range(1, 9):
        slider.setValue(place)
    assert [s.top_k for s in asked] == [0]
    view.take(distribution())
    assert [s.top_k for s in asked] == [0, int(STOPS["top_k"][8])] and asked[1].seed == 7
    view.fail("The decoder has gone. Start again.")
    assert "gone" in view.told.text() and len(asked) == 2
    slider.setValue(2)
    assert len(asked) == 3, "a failure doesn't end the asking"


@pytest.mark.parametrize("name", STOPS)
def test_that_every_slider_sets_its_rule_by_keys_and_keeps_typed_values(view: Any, qtbot: QtBot, name: str) -> None:
    slider = view.sliders.sliders[name]
    slider.setFocus()
    before = getattr(view.sliders.settings, name)
    qtbot.keyClick(slider, Qt.Key.Key_Left if slider.value() == slider.maximum() else Qt.Key.Key_Right)
    assert getattr(view.sliders.settings, name) != before
    odd = {"temperature": 7.77, "top_k": 12345, "repetition_penalty": 3.3}.get(name, 0.123456)
    view.sliders.set_settings(Sample(**{name: odd}))
    assert getattr(view.sliders.settings, name) == odd
    assert view.sliders._values[name][slider.value()] == odd
    assert slider.objectName() == f"playground.chain.{name}" and "off" not in slider.accessibleName()
    assert slider.toolTip()


def test_that_rules_change_places_by_key(view: Any, qtbot: QtBot) -> None:
    changed: list[Sample] = []
    view.sliders.changed.connect(changed.append)
    order = view.sliders.order
    order.setCurrentRow(0)
    qtbot.keyClick(order, Qt.Key.Key_Down, Qt.KeyboardModifier.AltModifier)
    assert changed[-1].order[:2] == (ORDER[1], ORDER[0])
    assert order.currentRow() == 1, "the rule that was moved stays the current one"
    qtbot.keyClick(order, Qt.Key.Key_Up, Qt.KeyboardModifier.AltModifier)
    assert changed[-1].order == ORDER
    qtbot.keyClick(order, Qt.Key.Key_Up, Qt.KeyboardModifier.AltModifier)
    assert len(changed) == 2, "the first can't go further up"
    qtbot.keyClick(order, Qt.Key.Key_Down)
    assert order.currentRow() == 1 and len(changed) == 2, "arrows alone only walk"


def test_that_a_rule_that_is_off_says_so(view: Any) -> None:
    view.sliders.set_settings(Sample(top_p=0.9, mirostat_tau=0.0))
    words = [view.sliders.order.item(row).text() for row in range(len(ORDER))]
    assert "top-p" in words and "top-k  (off)" in words and "mirostat  (off)" in words
    assert view.sliders._shown["top_p"].text() == "0.9" and view.sliders._shown["top_k"].text() == "off"


def test_that_dragging_a_rule_gives_the_new_order(view: Any, qtbot: QtBot) -> None:
    order = view.sliders.order
    with qtbot.waitSignal(order.moved) as moved:
        item = order.takeItem(3)
        order.insertItem(0, item)
        order.dropped()
    assert moved.args[0][0] == ORDER[3] and sorted(moved.args[0]) == sorted(ORDER)
    assert view.sliders.settings.order == moved.args[0]


def test_that_greedy_settings_become_a_temperature_of_nothing() -> None:
    assert sample_of(Greedy(seed=4, stop=("x",))) == Sample(temperature=0.0, seed=4, stop=("x",))
    assert sample_of(Beam(repetition_penalty=1.2)).repetition_penalty == 1.2
    assert sample_of(Sample(top_k=3)) == Sample(top_k=3)


def test_that_a_column_takes_the_chain_and_stays_what_it_is() -> None:
    drafted = Speculative(gamma=7, draft="small", temperature=0.3, seed=5)
    chain = sample_of(drafted)
    assert isinstance(chain, Sample) and (chain.temperature, chain.seed) == (0.3, 5)
    taken = with_chain(drafted, chain.model_copy(update={"top_p": 0.5}))
    assert taken == Speculative(gamma=7, draft="small", temperature=0.3, seed=5, top_p=0.5)
    assert with_chain(Greedy(), chain) == chain and with_chain(Sample(top_k=2), chain) == chain


def test_that_bars_tell_each_stage_and_who_cut_what(view: Any, qtbot: QtBot) -> None:
    view.begin(Sample(temperature=0.5, top_k=3), standing=1)
    stale: list[int | None] = []
    view.stale.connect(stale.append)
    view.take(distribution(chosen=0, changed=3))
    assert stale == [3]
    bars = view.bars
    assert "top-k keeps 3, 87.5% of the mass" in bars.accessibleName()
    assert "would choose ▶ “␣cat” here" in view.told.text() and "stale from token 4" in view.told.text()
    assert "stands in the text" in bars.words_of(1) and "these settings would choose it" in bars.words_of(0)
    assert bars.words_of(5)[-2:] == ["cut by top-k", BRANCHES] and BRANCHES not in bars.words_of(1)
    assert "cut by top-k" in bars.words_of(5) and "top-k: 0.0%" in bars.words_of(5)
    before = bars.grab().toImage()
    view.take(distribution(chosen=1))
    assert before != bars.grab().toImage() and "stays as it is" in view.told.text() and stale == [3, None]


def test_that_enter_and_click_branch_with_another_token(view: Any, qtbot: QtBot) -> None:
    view.begin(Sample(), standing=1)
    view.take(distribution(position=9))
    wishes: list[tuple[int, int]] = []
    view.branch.connect(lambda position, token: wishes.append((position, token)))
    for key in (Qt.Key.Key_Down, Qt.Key.Key_Return, Qt.Key.Key_Down, Qt.Key.Key_Return):
        qtbot.keyClick(view.bars, key)
    assert wishes == [(9, 0)], "the token that stands there is no branch"
    assert "␣dog" in view.bars.accessibleDescription() and "␣dog" in view.bars.bubble.words
    place = QPointF(40, view.bars.head + ROW * 4 + 10).toPoint()
    qtbot.mouseClick(view.bars.viewport(), Qt.MouseButton.LeftButton, pos=place)
    assert view.bars.current == 4 and len(wishes) == 1, "one click only looks"
    qtbot.mouseDClick(view.bars.viewport(), Qt.MouseButton.LeftButton, pos=place)
    assert wishes[-1] == (9, 4)
    for key, row in ((Qt.Key.Key_End, 13), (Qt.Key.Key_Home, 0), (Qt.Key.Key_PageDown, None), (Qt.Key.Key_PageUp, 0)):
        qtbot.keyClick(view.bars, key)
        assert row is None or view.bars.current == row


def test_that_the_row_that_a_person_stands_on_is_kept_through_an_answer(view: Any, qtbot: QtBot) -> None:
    view.begin(Sample(), standing=0)
    view.take(distribution())
    view.bars.select(6)
    fewer = distribution()
    view.take(fewer.model_copy(update={"bars": fewer.bars[4:]}))
    assert view.bars.current == 2
    view.take(fewer.model_copy(update={"bars": fewer.bars[:4]}))
    assert view.bars.current is None


def test_that_settings_can_be_given_to_the_column(view: Any, qtbot: QtBot) -> None:
    view.begin(Sample(top_p=0.8), standing=0)
    with qtbot.waitSignal(view.used) as used:
        qtbot.mouseClick(view.use, Qt.MouseButton.LeftButton)
    assert used.args[0].top_p == 0.8


def test_that_a_narrow_view_scrolls_and_everything_to_use_has_a_name(view: Any) -> None:
    view.take(distribution())
    view.resize(620, 300)
    assert view.bars.horizontalScrollBar().maximum() > 0
    for widget in view.findChildren(QWidget):
        if widget.focusPolicy() == Qt.FocusPolicy.StrongFocus and not widget.objectName().startswith("qt_"):
            assert widget.objectName().startswith("playground."), widget
            assert widget.accessibleName() or widget.objectName().endswith("settings"), widget.objectName()
