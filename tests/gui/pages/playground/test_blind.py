"""Blind rounds: nothing in the window tells who speaks, and the vote keeps the order and what it was drawn from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtGui import QAccessible, QAccessibleInterface
from PySide6.QtWidgets import QApplication, QComboBox, QLabel, QLineEdit, QPlainTextEdit, QWidget
from pytestqt.qtbot import QtBot

from tests.gui.pages.playground.conftest import run
from workbench.domain.decoding import Beam, Greedy, Sample
from workbench.gui.pages.playground.vote_bar import VoteBar, ranking_of
from workbench.gui.window import Window
from workbench.services.labelling import order_shown
from workbench.services.views import Column, ColumnNews
from workbench.services.workbench import Workbench

TELLING = ("zebra", "greedy", "sample", "temperature", "1.37", "tokens/s", "log p", "14 tokens")


def spoken(window: QWidget) -> str:
    """Everything that a screen reader can reach in the window."""
    heard: list[str] = []

    def walk(interface: QAccessibleInterface | None) -> None:
        if interface is None or not interface.isValid():
            return
        for kind in (
            QAccessible.Text.Name,
            QAccessible.Text.Description,
            QAccessible.Text.Value,
            QAccessible.Text.Help,
        ):
            heard.append(interface.text(kind))
        for child in range(interface.childCount()):
            walk(interface.child(child))

    walk(QAccessible.queryAccessibleInterface(window))
    return "\n".join(heard)


def written(window: QWidget) -> str:
    """Everything that widgets hold, shown or hidden."""
    found = [window.windowTitle()]
    for widget in window.findChildren(QWidget):
        found += [widget.toolTip(), widget.accessibleName(), widget.accessibleDescription()]
        if isinstance(widget, QLabel | QLineEdit):
            found.append(widget.text())
        elif isinstance(widget, QPlainTextEdit):
            found.append(widget.toPlainText())
        elif isinstance(widget, QComboBox):
            found += [widget.itemText(place) for place in range(widget.count())]
    return "\n".join(found)


def told(page: QWidget) -> list[str]:
    everything = spoken(page) + written(page)
    return [word for word in TELLING if word in everything]


def others(page: QWidget) -> str:
    """What windows without a parent say, so that nothing is merely moved out of the page."""
    return "\n".join(spoken(w) for w in QApplication.topLevelWidgets() if w.isVisible())


@pytest.fixture
def blind(page: Any, bench: Workbench, shared: Path, visit: Callable[..., QWidget]) -> Any:
    bench.models.add_folder(shared / "models" / "stories260K", "zebra")
    visit("playground")
    page.row.set_columns(
        [Column("zebra", Greedy(max_new_tokens=14)), Column("zebra", Sample(max_new_tokens=14, temperature=1.37))]
    )
    page.bar.blind.setChecked(True)
    return page


def test_that_nothing_in_the_window_tells_who_speaks_until_the_vote(
    blind: Any, qtbot: QtBot, window: Window, bench: Workbench
) -> None:
    assert {"zebra", "greedy", "1.37"} <= set(told(blind)), "this test reads what a person can read"
    blind.row.cards[1].head.tune.click()
    seen: list[str] = []
    blind.start()
    while blind.round.running:
        seen += told(blind)
        qtbot.wait(20)
    assert not seen and not told(blind), "neither while they speak nor before the vote"
    assert "zebra" not in others(blind), "not in another window either"
    assert all(card.plain.isVisible() and card.plain.toPlainText() == card.said for card in blind.row.cards)
    blind.voting.bar.best[0].click()
    qtbot.waitUntil(lambda: "Vote kept" in blind.voting.bar.told.text())
    assert {"zebra", "greedy", "1.37"} <= set(told(blind)), "now it is told"
    assert all(card.view.isVisible() and len(card.view.tokens) == 14 for card in blind.row.cards)
    judgement = bench.labelling.judgements("playground")[0]
    assert judgement.shown == order_shown(2, judgement.shown_seed) and judgement.shown_seed > 0
    assert judgement.note.endswith("blind")
    assert judgement.ranking is not None and judgement.ranking.tiers[0] == (judgement.shown[0],)
    last = bench.labelling.last_presentation("playground")
    assert last is not None
    item = last.item
    chosen = blind.row.chosen()
    assert [c.settings.strategy for c in item.candidates] == [c.settings.strategy for c in chosen], "as they were put"
    left = blind.row.cards[0]
    assert item.candidates[judgement.shown[0]].text == left.news.completion
    assert item.candidates[judgement.shown[0]].settings.strategy == left.column.settings.strategy
    assert all(c.seed == 0 and c.model == "zebra" for c in item.candidates)


def test_that_orders_differ_and_the_columns_come_back_to_where_they_were_put(blind: Any, qtbot: QtBot) -> None:
    blind.row.set_columns([Column("zebra", Sample(max_new_tokens=2, top_k=k)) for k in range(1, 7)])
    put = blind.row.chosen()
    orders = set()
    for _ in range(4):
        run(qtbot, blind)
        orders.add(blind.round.asked.order)
        shown = [card.column for card in blind.row.cards]
        assert shown == [put[home] for home in blind.round.asked.order]
        assert blind.row.chosen() == put
    assert len(orders) > 1
    blind.bar.blind.setChecked(False)
    run(qtbot, blind)
    assert [card.column for card in blind.row.cards] == put and not blind.row.masked


def test_that_revealing_first_makes_it_a_vote_with_models_in_sight(blind: Any, qtbot: QtBot, bench: Workbench) -> None:
    run(qtbot, blind)
    bar = blind.voting.bar
    assert bar.reveal.isVisible()
    bar.reveal.click()
    assert "zebra" in told(blind) and not bar.reveal.isVisible() and bar.best[0].isEnabled()
    bar.tie.click()
    qtbot.waitUntil(lambda: "Vote kept" in bar.told.text())
    assert bench.labelling.judgements("playground")[0].note.endswith("models in sight")


def test_that_a_failed_column_doesnt_tell_its_model(blind: Any, qtbot: QtBot) -> None:
    blind.row.conceal()
    blind.row.begin()
    blind.row.take([ColumnNews(0, done=True, error_what="zebra can't be loaded.", error_hint="Look.")])
    blind.row.take([ColumnNews(1, done=True, text="x", completion="x", reason="end", numbers={"tokens": 1})])
    assert not told(blind)
    assert "failed" in blind.row.cards[0]._words.text()
    blind.row.disclose()
    assert "zebra can't be loaded" in blind.row.cards[0]._words.text()


def test_that_presets_and_new_columns_wait_while_it_is_blind(blind: Any, qtbot: QtBot, window: Window) -> None:
    run(qtbot, blind)
    blind.panels.open_presets()
    qtbot.waitUntil(lambda: window.bridge.busy == 0)
    assert blind.drawer.isHidden()
    blind.add_column()
    assert len(blind.row.cards) == 2


def test_that_one_column_alone_cant_be_compared_blind(blind: Any, window: Window) -> None:
    blind.row.set_columns([Column("zebra", Beam())])
    blind.start()
    assert not blind.round.running


def test_that_a_vote_speaks_of_candidates_and_not_of_places() -> None:
    ranking = ranking_of(0, (2, 0, 1))
    assert ranking is not None and ranking.tiers == ((2,), (0, 1))
    tie = ranking_of(VoteBar.TIE, (1, 0))
    assert tie is not None and tie.tiers == ((0, 1),)
    assert ranking_of(VoteBar.ALL_BAD, (1, 0)) is None


def test_that_linked_columns_take_each_others_settings(page: Any) -> None:
    page.bar.same.setChecked(True)
    first, second = page.row.cards
    assert second.column.settings == first.column.settings, "linking starts with the first column's"
    second.head.set_settings(Sample(top_p=0.5))
    assert first.column.settings == Sample(top_p=0.5)
    page.add_column()
    assert page.row.cards[2].column.settings == Sample(top_p=0.5)
    page.bar.same.setChecked(False)
    first.head.set_settings(Greedy())
    assert second.column.settings == Sample(top_p=0.5)
