"""The lab's drawings hold their words whatever size a person has chosen for them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from PySide6.QtGui import QFontMetrics
from PySide6.QtWidgets import QWidget
from pytestqt.qtbot import QtBot

from tests.gui.pages.playground import made_up
from workbench.domain.decoding import Sample
from workbench.gui.pages.playground.aligned import AlignedView, ModelOnText
from workbench.gui.pages.playground.beam_view import BeamView
from workbench.gui.pages.playground.contrast import ContrastView
from workbench.gui.pages.playground.distribution import DistributionView
from workbench.gui.pages.playground.rounds import RoundsView
from workbench.gui.theme import Theme

LARGE = 24


@pytest.fixture(params=[13, LARGE])
def sized(theme: Theme, request: pytest.FixtureRequest) -> Iterator[Theme]:
    theme.apply("light", font_size=request.param)
    yield theme
    theme.apply("light")


def distribution(theme: Theme) -> Any:
    view = DistributionView(theme)
    view.begin(Sample(), 0)
    view.take(made_up.distribution())
    return view


def beams(theme: Theme) -> Any:
    view = BeamView(theme)
    for level in made_up.beam_levels(4, 6):
        view.add(level)
    return view


def rounds(theme: Theme) -> Any:
    view = RoundsView(theme)
    view.add(made_up.draft_round(1, "aaru"))
    return view


def contrast(theme: Theme) -> Any:
    view = ContrastView(theme)
    view.begin(("a",))
    view.add(made_up.contrast_tokens())
    view.select(1)
    return view


def aligned(theme: Theme) -> Any:
    view = AlignedView(theme)
    view.show_models([ModelOnText("a", made_up.aligned(30, 1.0)), ModelOnText("b", made_up.aligned(30, 2.0))], "a")
    return view


CASES: tuple[tuple[Callable[[Theme], Any], Callable[[Any], Any], Callable[[Any], float]], ...] = (
    (distribution, lambda view: view.bars, lambda drawing: drawing.box_of(0).height()),
    (beams, lambda view: view.tree, lambda drawing: drawing.box_of((0, 0)).height()),
    (beams, lambda view: view.list, lambda drawing: drawing.box_of(0).height() / 2),
    (rounds, lambda view: view.list, lambda drawing: drawing.box_of((0, 0)).height()),
    (contrast, lambda view: view.options, lambda drawing: drawing.box_of(0).height()),
    (contrast, lambda view: view.text, lambda drawing: drawing.box_of(0).height()),
    (aligned, lambda view: view.text, lambda drawing: drawing.strip_height + 3),
)


@pytest.mark.parametrize(("make", "pick", "height"), CASES)
def test_that_rows_are_as_high_as_their_words(
    qtbot: QtBot, sized: Theme, make: Callable[[Theme], Any], pick: Callable[[Any], Any], height: Callable[[Any], float]
) -> None:
    view: QWidget = make(sized)
    qtbot.addWidget(view)
    view.resize(1200, 700)
    view.show()
    drawing = pick(view)
    assert height(drawing) >= QFontMetrics(drawing.font()).height()
    assert drawing.font().pixelSize() == sized.font_size
    assert drawing.head == 0 or drawing.head >= drawing.head_lines * QFontMetrics(drawing.font()).height()
    assert not view.grab().isNull()


def test_that_a_change_of_size_reaches_what_is_shown(qtbot: QtBot, theme: Theme) -> None:
    view = rounds(theme)
    qtbot.addWidget(view)
    view.show()
    before = view.list.box_of((0, 1))
    theme.apply("light", font_size=LARGE)
    try:
        view.dress()
        after = view.list.box_of((0, 1))
        assert after.width() > before.width() and after.height() > before.height()
    finally:
        theme.apply("light")
