"""Rounds are kept, found again, opened as they were, and written into files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtGui import QImage
from PySide6.QtWidgets import QFileDialog
from pytestqt.qtbot import QtBot

from tests.gui.pages.playground.conftest import run
from workbench.domain.decoding import Greedy
from workbench.gui.pages.playground.history_panel import HistoryPanel
from workbench.gui.window import Window
from workbench.services.views import Column
from workbench.services.workbench import Workbench


def kept(qtbot: QtBot, bench: Workbench, count: int) -> None:
    qtbot.waitUntil(lambda: len(bench.rounds.list()) == count)


def test_that_a_round_is_kept_and_opens_again_as_it_was(
    page: Any, qtbot: QtBot, bench: Workbench, window: Window
) -> None:
    page.bar.context.setChecked(True)
    page.bar.prefill.setPlainText(" there")
    page.bar.seed.setValue(8)
    run(qtbot, page)
    kept(qtbot, bench, 1)
    before = [(card.said, card.tokens, card.foot.words) for card in page.row.cards]
    page.bar.context.setChecked(False)
    page.bar.prompt.setPlainText("Something else")
    page.row.set_columns([Column("stories", Greedy(max_new_tokens=3))])
    run(qtbot, page)
    kept(qtbot, bench, 2)
    page.keeping.open_history()
    qtbot.waitUntil(lambda: page.keeping.panel.list.count() == 2)
    panel = page.keeping.panel
    assert isinstance(panel, HistoryPanel) and panel is page.drawer.content
    panel.search.setFocus()
    qtbot.keyClicks(panel.search, "Once upon")
    qtbot.waitUntil(lambda: panel.list.count() == 1)
    panel.list.setFocus()
    qtbot.keyClick(panel.list, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: len(page.row.cards) == 2)
    assert [(card.said, card.tokens, card.foot.words) for card in page.row.cards] == before
    assert page.bar.prompt.toPlainText() == "Once upon a time" and page.bar.opening() == " there"
    assert page.bar.seed.value() == 8 and page.row.cards[1].column.settings.temperature == 1.5
    assert page.row.cards[0].view.mark == page.row.cards[1].view.mark is not None
    assert page.voting.bar.best[0].isEnabled() and page.bar.go_on.isEnabled(), "it can be judged, and go on"
    page.round.go_on()
    qtbot.waitUntil(lambda: not page.round.running, timeout=120_000)
    assert len(page.row.cards[0].tokens) > 14
    kept(qtbot, bench, 2)


def test_that_a_round_that_is_forgotten_is_gone(page: Any, qtbot: QtBot, bench: Workbench) -> None:
    run(qtbot, page)
    kept(qtbot, bench, 1)
    page.keeping.open_history()
    qtbot.waitUntil(lambda: page.keeping.panel.list.count() == 1)
    page.keeping.panel.forget_button.click()
    kept(qtbot, bench, 0)
    qtbot.waitUntil(lambda: page.keeping.panel.list.count() == 0)
    assert not page.keeping.panel.open_button.isEnabled() and page.keeping.panel.none.isVisible()


def test_that_a_blind_round_is_kept_but_the_history_stays_closed(page: Any, qtbot: QtBot, bench: Workbench) -> None:
    page.bar.blind.setChecked(True)
    run(qtbot, page)
    kept(qtbot, bench, 1)
    page.keeping.open_history()
    assert page.drawer.isHidden()
    assert bench.rounds.list()[0].order_seed == page.round.asked.order_seed
    page.voting.bar.reveal.click()
    page.keeping.open_history()
    qtbot.waitUntil(lambda: page.keeping.panel.list.count() == 1)


def test_that_a_round_is_written_in_three_ways(page: Any, qtbot: QtBot, bench: Workbench, tmp_path: Path) -> None:
    page.keeping.ask_where(page, "json")
    assert not page.findChildren(QFileDialog, "playground.save_dialog"), "there is nothing to write yet"
    run(qtbot, page)
    for format, name in (("json", "round.json"), ("markdown", "round.md"), ("png", "round.png")):
        page.keeping.export(format, tmp_path / name)
        qtbot.waitUntil((tmp_path / name).exists)
    read = json.loads((tmp_path / "round.json").read_text())
    assert [len(c["tokens"]) for c in read["columns"]] == [14, 14]
    assert page.row.cards[0].said in (tmp_path / "round.md").read_text()
    picture = QImage(str(tmp_path / "round.png"))
    assert picture.width() == 2 * 340 + 12 + 32 and picture.height() >= 360
