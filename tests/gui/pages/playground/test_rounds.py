"""The speculative view: every drafted token with its verdict, honest sums, and the test with its report."""

from __future__ import annotations

from typing import Any

import pytest
from PySide6.QtCore import QPointF, Qt
from PySide6.QtWidgets import QLabel, QWidget
from pytestqt.qtbot import QtBot

from tests.gui.pages.playground.made_up import draft_round, lossless_report
from workbench.domain.choices import DraftRound
from workbench.gui.pages.playground.lossless_card import Cells
from workbench.gui.pages.playground.rounds import ROW, RoundsView
from workbench.gui.theme import Theme


@pytest.fixture
def view(qtbot: QtBot, theme: Theme) -> Any:
    made = RoundsView(theme)
    qtbot.addWidget(made)
    made.resize(1000, 500)
    made.show()
    return made


def filled(view: Any) -> Any:
    for number, verdicts in enumerate(("aaaa", "aru", "", "raau"), 1):
        view.add(draft_round(number, verdicts, plain=0.0045 if number == 2 else None))
    return view


def test_that_sums_are_told_against_their_expectation(view: Any) -> None:
    assert "No draft" in view.accepted.text()
    filled(view)
    assert view.accepted.text() == "78% of 9 judged drafts accepted"
    assert view.expected.text() == "75% ± 29% expected (Σ min(p, q), the mark): as expected."
    assert view.speed.text().startswith("2.75 tokens")
    assert "draft 1: 2 of 3 accepted" in view.places.accessibleDescription()
    assert "4.5 ms plain (1 step timed in between)" in view.measured.text()


def test_that_slower_than_plain_is_said_plainly(view: Any) -> None:
    view.add(draft_round(1, "ru", plain=0.001))
    assert "slower than plain decoding" in view.measured.text()
    view.begin()
    view.add(draft_round(1, "aaaa"))
    assert "No plain step has been timed" in view.measured.text()
    view.begin()
    view.add(draft_round(1, "aaaa", plain=0.006))
    assert "3.75× as fast as plain" in view.measured.text() or "× as fast" in view.measured.text()


def test_that_an_acceptance_far_from_its_expectation_is_named(view: Any) -> None:
    for number in range(1, 40):
        view.add(draft_round(number, "aaaa"))
    assert "not what is expected" in view.expected.text()


def test_that_arrows_walk_over_tokens_and_rounds(view: Any, qtbot: QtBot) -> None:
    filled(view)
    steps = (
        (Qt.Key.Key_Right, (0, 0)), (Qt.Key.Key_Right, (0, 1)), (Qt.Key.Key_Down, (1, 1)), (Qt.Key.Key_Down, (2, 0)),
        (Qt.Key.Key_Left, (1, 3)), (Qt.Key.Key_Right, (2, 0)), (Qt.Key.Key_End, (3, 0)), (Qt.Key.Key_Home, (0, 0)),
        (Qt.Key.Key_Left, (0, 0)), (Qt.Key.Key_PageDown, (3, 0)),
    )  # fmt: skip
    for key, spot in steps:
        qtbot.keyClick(view.list, key)
        assert view.list.current == spot


def test_that_each_verdict_is_explained_with_its_numbers(view: Any) -> None:
    filled(view)
    told = {spot: "\n".join(view.list.words_of(spot)) for spot in ((0, 0), (1, 1), (1, 2), (1, 3), (0, 4))}
    token = view.rounds[0].drafted[0]
    assert f"u {token.u:.3f} against min(1, p / q)" in told[0, 0] and "accepted here with a chance of 75%" in told[0, 0]
    assert "rejected" in told[1, 1] and "not looked at" in told[1, 2]
    assert "what the draft left" in told[1, 3] and "after all drafts were taken" in told[0, 4]


def test_that_a_click_stands_on_a_token_and_the_list_follows_its_end(view: Any, qtbot: QtBot) -> None:
    filled(view)
    box = view.list.box_of((1, 0))
    qtbot.mouseClick(view.list.viewport(), Qt.MouseButton.LeftButton, pos=box.center().toPoint())
    assert view.list.current == (1, 0)
    assert view.list.spot_at(QPointF(5, 5)) is None and view.list.spot_at(QPointF(60, 99 * ROW)) is None
    for number in range(5, 60):
        view.add(draft_round(number, "aaa"))
    bar = view.list.verticalScrollBar()
    assert bar.value() == bar.maximum() > 0
    bar.setValue(0)
    view.add(draft_round(60, "a"))
    assert bar.value() == 0


def test_that_an_end_token_without_a_text_is_named(view: Any) -> None:
    view.add(DraftRound(round=1, drafted=(), added=2, verdict="bonus"))
    assert view.list.words_of((0, 0))[0] == "end" and not view.grab().isNull()
    assert "Nothing was drafted" in view.accepted.text()


def test_that_the_test_is_asked_for_watched_stopped_and_read(view: Any, qtbot: QtBot) -> None:
    filled(view)
    card = view.card
    card.samples.setValue(1200)
    with qtbot.waitSignal(view.test_wanted) as wanted:
        qtbot.mouseClick(card.test, Qt.MouseButton.LeftButton)
    assert wanted.args == [1200] and card.stop.isVisibleTo(card) and not card.test.isVisibleTo(card)
    card.progress(300, 4800)
    assert card.verdict.text() == "300 of 4,800 texts drawn" and card.bar.value() == 300
    with qtbot.waitSignal(view.stop_wanted):
        qtbot.mouseClick(card.stop, Qt.MouseButton.LeftButton)
    card.fail("Stopped.")
    assert card.test.isVisibleTo(card) and card.verdict.text() == "Stopped."
    view.show_report(lossless_report())
    assert "No difference was found" in card.verdict.text() and "finds 1 of 2 rules" in card.verdict.text()
    lines = "\n".join(label.text() for label in card.findChildren(QLabel))
    assert "The rule in use: χ² = 18.2 with 9 degrees of freedom, p = 0.570, 71% accepted" in lines
    assert "p < 0.001 (found), 100% accepted, 12 texts that the model never says" in lines
    assert "p = 0.310 (not found)" in lines
    cells = card.findChild(Cells)
    assert "all others: came 310, expected 301.5" in cells.accessibleDescription() and not cells.grab().isNull()


def test_that_a_difference_is_told_as_one(view: Any) -> None:
    report = lossless_report()
    broken = report.model_copy(update={"exact": report.exact.model_copy(update={"p": 1e-9})})
    view.show_report(broken)
    assert "change the distribution" in view.card.verdict.text() and view.card.verdict.property("role") == "bad"


def test_that_two_thousand_rounds_are_drawn_by_what_is_in_sight(view: Any) -> None:
    measured = []
    view.list._mono_metrics = (lambda real: lambda: measured.append(1) or real())(view.list._mono_metrics)
    for number in range(1, 301):
        view.add(draft_round(number, "aaru"))
    assert len(measured) == 300, "each round is measured once"
    assert not view.list.grab().isNull()


def test_that_everything_to_use_has_a_name(view: Any) -> None:
    strong = {Qt.FocusPolicy.StrongFocus, Qt.FocusPolicy.WheelFocus}
    for widget in view.findChildren(QWidget):
        if widget.focusPolicy() in strong and not widget.objectName().startswith("qt_"):
            assert widget.objectName().startswith("playground."), widget
