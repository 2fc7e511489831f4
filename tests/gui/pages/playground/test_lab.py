"""The views of the lab over columns of a real decoder."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import Qt
from pytestqt.qtbot import QtBot

from tests.gui.pages.playground.conftest import run
from workbench.domain.decoding import Beam, ContrastiveSearch, Greedy, Speculative
from workbench.gui.pages.playground.beam_view import BeamView
from workbench.gui.pages.playground.contrast import ContrastView
from workbench.gui.pages.playground.rounds import RoundsView
from workbench.services.views import Column


def test_that_each_strategy_opens_its_view_and_escape_leads_back(page: Any, qtbot: QtBot) -> None:
    settings = (
        Beam(max_new_tokens=6, num_beams=3),
        Speculative(max_new_tokens=12),
        ContrastiveSearch(max_new_tokens=6),
        Greedy(max_new_tokens=4),
    )
    page.row.set_columns([Column("stories", s) for s in settings])
    looks = [card.head.look for card in page.row.cards]
    assert [look.isHidden() for look in looks] == [False, False, False, True]
    looks[0].click()
    assert page.lab.pane.content is None, "nothing was said yet"
    run(qtbot, page)
    looks[0].click()
    view = page.lab.pane.content
    assert isinstance(view, BeamView) and view.isVisible() and not page.row.isVisible()
    assert "A · Beam tree" in page.lab.pane.title.text() and view.ranking
    qtbot.keyClick(page, Qt.Key.Key_Escape)
    assert page.lab.pane.content is None and page.row.isVisible()
    looks[1].click()
    rounds = page.lab.pane.content
    assert isinstance(rounds, RoundsView) and rounds.rounds
    page.lab.close()
    looks[2].click()
    weighed = page.lab.pane.content
    assert isinstance(weighed, ContrastView)
    qtbot.waitUntil(lambda: len(weighed.tokens) == 6)


def test_that_a_view_goes_along_with_the_next_round(page: Any, qtbot: QtBot) -> None:
    page.row.set_columns(
        [Column("stories", Beam(max_new_tokens=5, num_beams=2)), Column("stories", Greedy(max_new_tokens=5))]
    )
    run(qtbot, page)
    page.row.cards[0].head.look.click()
    first = page.lab.pane.content
    run(qtbot, page)
    again = page.lab.pane.content
    assert isinstance(again, BeamView) and again is not first and again.isVisible()
    assert again.ranking, "news went on into the view"


def test_that_the_test_of_losslessness_is_run_from_the_rounds(page: Any, qtbot: QtBot) -> None:
    page.row.set_columns(
        [Column("stories", Speculative(max_new_tokens=6)), Column("stories", Greedy(max_new_tokens=4))]
    )
    run(qtbot, page)
    page.row.cards[0].head.look.click()
    view = page.lab.pane.content
    view.card.samples.setValue(200)
    view.card.test.click()
    qtbot.waitUntil(lambda: view.card.test.isVisible() and view.card.verdict.text() != "", timeout=180_000)
    assert "texts drawn" not in view.card.verdict.text()


def test_that_blind_rounds_and_other_columns_close_the_lab(page: Any, qtbot: QtBot) -> None:
    page.row.set_columns(
        [Column("stories", Beam(max_new_tokens=4, num_beams=2)), Column("stories", Greedy(max_new_tokens=4))]
    )
    run(qtbot, page)
    page.row.cards[0].head.look.click()
    page.add_column()
    assert page.lab.pane.content is None
    run(qtbot, page)
    page.row.cards[0].head.look.click()
    page.bar.blind.setChecked(True)
    run(qtbot, page)
    assert page.lab.pane.content is None and page.row.isVisible()
    page.lab.open(0)
    assert page.lab.pane.content is None, "a blind column tells nothing"
