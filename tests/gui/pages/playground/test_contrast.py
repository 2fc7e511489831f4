"""The contrast view: expert against amateur with the cut, and penalties tied to the tokens that caused them."""

from __future__ import annotations

from typing import Any

import pytest
from PySide6.QtCore import QPointF, Qt
from PySide6.QtWidgets import QWidget
from pytestqt.qtbot import QtBot

from tests.gui.pages.playground.made_up import contrast_tokens, plain_token, search_tokens
from workbench.gui.pages.playground.contrast import ContrastView
from workbench.gui.pages.playground.flow import FlowText
from workbench.gui.pages.playground.option_rows import ROW
from workbench.gui.theme import Theme

PROMPT = ("Once", " upon", " a", " time", ",")


@pytest.fixture
def view(qtbot: QtBot, theme: Theme) -> Any:
    made = ContrastView(theme)
    qtbot.addWidget(made)
    made.resize(900, 560)
    made.show()
    return made


def test_that_the_textbooks_log_ratios_choose_1961(view: Any) -> None:
    view.begin(PROMPT)
    view.add(contrast_tokens())
    view.select(1)
    assert (
        "“␣1961”: expert 10.0%, amateur 0.1%, score 4.61" in view.told.text() and "less than 3.2%" in view.told.text()
    )
    scores = [option.numbers[2][1] for option in view.options.options]
    assert scores == ["4.61", "1.52", "1.50", "1.39", "implausible"]
    assert [o.chosen for o in view.options.options] == [True, False, False, False, False]
    assert view.options.options[4].out and "below the cut" in view.options.words_of(4)[-2]
    assert view.options.headings[0].mark == 0.032


def test_that_the_cut_is_drawn_across_the_experts_bars(view: Any, theme: Theme) -> None:
    view.begin(PROMPT)
    view.add(contrast_tokens())
    view.select(1)
    options = view.options
    picture = options.viewport().grab().toImage()
    x = round(options._x(0, 0.032))
    for row in range(5):
        assert picture.pixelColor(x, round(options.head + ROW * row + 3)).name() == theme.colours.warning.lower()
    assert options._x(0, 0.10) > x > options._x(0, 0.02), "plausible bars cross it"


def test_that_a_penalty_outlines_the_token_that_caused_it(view: Any, qtbot: QtBot) -> None:
    view.begin(PROMPT)
    view.add(search_tokens())
    view.select(2)
    told = view.tokens[2].search
    assert view.text.linked == told.against == 3
    assert "most like token 4 (␣time, outlined in the text)" in view.told.text()
    before = view.text.viewport().grab().toImage()
    qtbot.keyClick(view.options, Qt.Key.Key_Down)
    assert view.text.linked == told.options[0].against == 2, "another option is tied to another token"
    qtbot.keyClick(view.options, Qt.Key.Key_End)
    assert view.text.linked == told.options[3].against == 5 and before != view.text.viewport().grab().toImage()
    assert any("penalty 0.300, most like token 6 (␣a)" in line for line in view.options.words_of(3))


def test_that_arrows_walk_prompt_and_text(view: Any, qtbot: QtBot) -> None:
    view.begin(PROMPT)
    view.add(search_tokens())
    assert "␣end" in view.told.text(), "the newest token is shown until a person stands on one"
    qtbot.keyClick(view.text, Qt.Key.Key_Right)
    assert view.text.current == 5 and view.told.text().startswith("“␣a”: penalty")
    qtbot.keyClick(view.text, Qt.Key.Key_Left)
    assert view.text.current == 4 and view.told.text() == "" and "of the prompt" in view.text.accessibleDescription()
    assert view.text.linked is None and not view.options.options
    qtbot.keyClick(view.text, Qt.Key.Key_End)
    assert view.text.current == 14
    for key, there in (
        (Qt.Key.Key_Up, range(13)),
        (Qt.Key.Key_Home, [0]),
        (Qt.Key.Key_Down, range(13, 15)),
        (Qt.Key.Key_PageUp, range(13)),
    ):
        qtbot.keyClick(view.text, key)
        assert view.text.current in there


def test_that_an_option_branches(view: Any, qtbot: QtBot) -> None:
    view.begin(PROMPT)
    view.add(search_tokens())
    view.select(3)
    wishes: list[tuple[int, int]] = []
    view.branch.connect(lambda position, token: wishes.append((position, token)))
    for key in (Qt.Key.Key_Down, Qt.Key.Key_Return, Qt.Key.Key_Down, Qt.Key.Key_Return):
        qtbot.keyClick(view.options, key)
    assert wishes == [(3, 30)], "the chosen one is no branch"
    place = QPointF(30, view.options.head + 3.5 * ROW).toPoint()
    qtbot.mouseDClick(view.options.viewport(), Qt.MouseButton.LeftButton, pos=place)
    assert wishes[-1] == (3, 33)


def test_that_tokens_against_the_models_own_choice_are_underlined(view: Any) -> None:
    view.begin(PROMPT)
    view.add(contrast_tokens())
    assert view.text.dotted == {6}
    view.begin(PROMPT)
    assert view.text.dotted == set() and view.told.text() == "The text comes here."


def test_that_a_token_without_a_trace_says_so(view: Any) -> None:
    view.begin(())
    view.add([plain_token(1, " a", 0)])
    assert "contrasts nothing" in view.told.text()


def test_that_a_long_text_is_laid_out_once_and_drawn_by_what_is_in_sight(qtbot: QtBot, theme: Theme) -> None:
    flow = FlowText(theme, "flow", "Flow")
    qtbot.addWidget(flow)
    flow.resize(500, 300)
    flow.show()
    pieces = [f" word{n}" if n % 17 else "\n" for n in range(2000)]
    flow.show_pieces(pieces)
    whole = list(flow._boxes)
    flow.show_pieces(pieces[:900])
    flow.add(pieces[900:])
    assert flow._boxes == whole, "what is added lies where it would have lain"
    for token in (0, 16, 17, 18, 1234, 1999):
        assert flow.spot_at(flow.box_of(token).center()) == token
    assert flow.spot_at(QPointF(499, 3)) in {None, 0, 1, 2, 3, 4, 5, 6, 7, 8} and flow.spot_at(QPointF(3, 1e6)) is None
    flow.select(1999)
    assert flow.verticalScrollBar().value() > 0 and not flow.grab().isNull()
    before = flow.box_of(1999).top()
    flow.resize(900, 300)
    assert flow.box_of(1999).top() < before


def test_that_everything_to_use_has_a_name(view: Any) -> None:
    for widget in view.findChildren(QWidget):
        if widget.focusPolicy() == Qt.FocusPolicy.StrongFocus:
            assert widget.objectName().startswith("playground.contrast.") and widget.accessibleName(), widget
