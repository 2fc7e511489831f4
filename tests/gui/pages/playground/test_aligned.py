"""Several models over one text: strips, sums, growth."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLabel, QListView, QWidget
from pytestqt.qtbot import QtBot

from tests.gui.pages.playground.made_up import aligned
from workbench.domain.choices import Aligned
from workbench.gui.pages.playground.aligned import TOLD, AlignedView, ModelOnText, value_of
from workbench.gui.pages.playground.flow import STRIP
from workbench.gui.theme import Theme
from workbench.gui.widgets.scale import viridis


@pytest.fixture
def view(qtbot: QtBot, theme: Theme) -> Any:
    made = AlignedView(theme)
    qtbot.addWidget(made)
    made.resize(1000, 560)
    made.show()
    return made


def models(count: int = 30) -> list[ModelOnText]:
    return [
        ModelOnText("base", aligned(count, 0.0)), ModelOnText("base-sft", aligned(count, 0.5), 0.25),
        ModelOnText("base-dpo", aligned(count, 2.0), 1.5),
    ]  # fmt: skip


def test_that_a_strip_tells_what_its_measure_says() -> None:
    token = Aligned(id=1, text="a", logprob=math.log(0.5), reference=math.log(0.25), kl=0.3, entropy=2.0)
    told = {tells: value_of(token, tells) for tells in TOLD}
    assert told == {"kl": 0.3, "probability": pytest.approx(0.5), "gain": pytest.approx(math.log(2)), "entropy": 2.0}


def test_that_each_model_has_a_strip_in_its_colour_below_each_token(view: Any, qtbot: QtBot) -> None:
    shown = models()
    view.show_models(shown, "base")
    view.tells.setCurrentIndex(1)
    picture = view.text.viewport().grab().toImage()
    for token in (0, 5, 12):
        box = view.text.box_of(token)
        for strip, model in enumerate(shown):
            colour = picture.pixelColor(round(box.left()) + 3, round(box.bottom() + strip * STRIP + 5))
            assert colour.name() == viridis(math.exp(model.tokens[token].logprob)).name()
    assert "Probability" in view.legend.accessibleName()


def test_that_sums_and_rewards_stand_beside_the_plot(view: Any) -> None:
    shown = models()
    view.show_models(shown, "base")
    words = [label.text() for label in view.findChildren(QLabel)]
    for model in shown:
        assert model.name in words and f"{sum(t.logprob for t in model.tokens):.1f}" in words
        assert f"{sum(t.kl for t in model.tokens):.2f}" in words
    assert "Reward" in words and "1.50" in words and "–" in words
    assert view.told.text() == "30 tokens. The reference is base."
    assert f"base-dpo ends at {sum(t.kl for t in shown[2].tokens):.2f}" in view.plot.accessibleDescription()


def test_that_without_rewards_there_is_no_empty_column(view: Any) -> None:
    view.show_models([ModelOnText("a", aligned(4, 1.0))], "ref")
    assert "Reward" not in [label.text() for label in view.findChildren(QLabel) if label.isVisibleTo(view)]


def test_that_arrows_tell_all_models_numbers_and_mark_the_plot(view: Any, qtbot: QtBot) -> None:
    view.show_models(models(), "base")
    qtbot.keyClick(view.text, Qt.Key.Key_Right)
    qtbot.keyClick(view.text, Qt.Key.Key_Right)
    told = view.text.accessibleDescription()
    assert "A base:" in told and "C base-dpo:" in told and "KL" in told and "entropy" in told
    assert view.plot._token == 1
    before = view.plot.grab().toImage()
    qtbot.keyClick(view.text, Qt.Key.Key_End)
    assert before != view.plot.grab().toImage()


def test_that_another_measure_keeps_the_place(view: Any, qtbot: QtBot) -> None:
    view.show_models(models(), "base")
    view.text.select(7)
    pictures = []
    for place in range(view.tells.count()):
        view.tells.setCurrentIndex(place)
        pictures.append(view.grab().toImage())
        assert view.text.current == 7 and view.legend.accessibleName().endswith(
            TOLD[view.tells.currentData()].scale.high
        )
    assert all(one != other for one, other in pairwise(pictures))


def test_that_a_model_with_other_tokens_is_left_out_and_named(view: Any) -> None:
    other = ModelOnText("stranger", aligned(29, 1.0))
    view.show_models([*models(), other], "base")
    assert len(view.models) == 3 and "other tokens: stranger" in view.told.text()


def test_that_nothing_to_compare_is_a_sentence(view: Any) -> None:
    view.show_models(models(), "base")
    view.show_models([], "")
    assert view.told.text() == "Nothing to compare yet." and not view.grab().isNull()
    assert view.text.walked(None, Qt.Key.Key_Right) is None


def test_that_two_thousand_tokens_under_six_models_are_shown(view: Any) -> None:
    many = [ModelOnText(f"model-{n}", aligned(2000, n / 2)) for n in range(6)]
    view.show_models(many, "model-0")
    view.text.select(1999)
    assert view.text.verticalScrollBar().value() > 0 and not view.grab().isNull()


def test_that_everything_to_use_has_a_name(view: Any) -> None:
    for widget in view.findChildren(QWidget):
        if widget.focusPolicy() == Qt.FocusPolicy.StrongFocus and not isinstance(widget, QListView):
            assert widget.objectName().startswith("playground.aligned.") and widget.accessibleName(), widget
