"""A scripted person labels as fast as the window can: what is stored is what was meant."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
from PySide6.QtCore import QEvent, QObject
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QWidget
from pytestqt.qtbot import QtBot

from tests.gui.pages.scripted_person import judge
from workbench.gui.pages.annotate import AnnotatePage
from workbench.services.workbench import Workbench

Visit = Callable[..., QWidget]
Fill = Callable[..., None]


def test_that_no_label_of_a_fast_person_differs_from_what_was_meant(fill: Fill, visit: Visit, bench: Workbench) -> None:
    fill(80)
    page = visit("annotate")
    assert isinstance(page, AnnotatePage)
    day = judge(page, 80)
    assert len(day.intended) == len(day.wall) == 80
    stored = {
        j.item: (j.outcome, j.ranking.tiers if j.ranking else None, j.strength)
        for j in bench.labelling.judgements("pairs")
    }
    assert stored == day.intended


def test_that_what_stays_the_same_from_item_to_item_is_not_laid_out_again(fill: Fill, visit: Visit) -> None:
    class Spy(QObject):
        asked = 0

        def eventFilter(self, _watched: QObject, event: QEvent) -> bool:
            self.asked += event.type() == QEvent.Type.LayoutRequest
            return False

    fill(60)
    page = visit("annotate")
    assert isinstance(page, AnnotatePage)
    page.desk._slow.setInterval(60_000)
    judge(page, 20)
    spy = Spy()
    for bar in (page.desk.top, page.desk.bottom, page.desk):
        bar.installEventFilter(spy)
    judge(page, 30)
    assert spy.asked < 30  # of 90 in which each of them would be asked for each item


def test_that_a_choice_is_shown_while_a_slow_disk_takes_its_time(
    fill: Fill, visit: Visit, bench: Workbench, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(3)
    page = visit("annotate")
    assert isinstance(page, AnnotatePage)
    go_on, record = threading.Event(), bench.labelling.record

    def slow(*arguments: Any, **more: Any) -> Any:
        assert go_on.wait(60)
        return record(*arguments, **more)

    monkeypatch.setattr(bench.labelling, "record", slow)
    left, right = page.desk.board.cards
    QTest.keyClick(page, "2")
    qtbot.waitUntil(lambda: right.property("chosen") == "true", timeout=30_000)
    assert left.property("chosen") != "true"
    go_on.set()
    qtbot.waitUntil(lambda: page.ready, timeout=30_000)
    assert right.property("chosen") == "false"
