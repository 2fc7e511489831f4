"""Two people disagree, a third settles it: walked through in the window by keyboard alone, from the first label to the export."""

from collections.abc import Callable

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QWidget
from pytestqt.qtbot import QtBot

from tests.gui.pages.conftest import settle
from workbench.gui.pages.annotate import AnnotatePage
from workbench.gui.pages.statistics import StatisticsPage
from workbench.gui.window import Window
from workbench.services.workbench import Workbench

Visit = Callable[..., QWidget]
Fill = Callable[..., None]
Press = Callable[..., None]
CTRL = Qt.KeyboardModifier.ControlModifier
PATIENCE = 30_000
pytestmark = pytest.mark.qt_log_ignore("This plugin does not support")  # the off-screen platform can't raise windows


class Person:
    """Whoever sits at the keyboard: everything goes through it."""

    def __init__(self, qtbot: QtBot, window: Window, press: Press, page: AnnotatePage) -> None:
        self.qtbot, self.window, self.press, self.page = qtbot, window, press, page

    def popup(self, *keys: Qt.Key) -> None:
        """Keys for the menu or list that stands open."""
        for key in keys:
            self.qtbot.waitUntil(lambda: QApplication.activePopupWidget() is not None, timeout=PATIENCE)
            popup = QApplication.activePopupWidget()
            QTest.keyClick(popup.focusWidget() or popup, key)
        self.window.activateWindow()  # off screen, nobody does when a popup closes
        self.qtbot.waitUntil(self.window.isActiveWindow, timeout=PATIENCE)

    def sits_down(self, name: str) -> None:
        """U, the last entry, a name, Enter: a new person judges."""
        QTest.keyClick(self.page, "u")
        self.popup(Qt.Key.Key_Up, Qt.Key.Key_Return)
        self.qtbot.waitUntil(lambda: self.page.desk.side.open == "person", timeout=PATIENCE)
        self.press(*name, Qt.Key.Key_Return)
        self.qtbot.waitUntil(lambda: self.page.crew.people.now == name, timeout=PATIENCE)
        settle(self.qtbot, self.window)
        assert self.page.hasFocus()

    def prefers(self, candidate: int) -> str:
        """The key of this candidate, wherever it stands; returns the item."""
        here = self.page.presentation
        assert here is not None
        self.press(str(here.shown.index(candidate) + 1))
        return here.item.id

    def tabs_to(self, name: str) -> QWidget:
        """Tab until the keyboard is there."""
        for _ in range(40):
            now = self.window.focusWidget()
            if now is not None and now.objectName() == name:
                return now
            QTest.keyClick(now or self.window, Qt.Key.Key_Tab)
        raise AssertionError(f"Tab doesn't reach {name}")


def test_that_a_third_person_settles_what_two_disagree_on_by_keyboard_alone(
    fill: Fill, visit: Visit, press: Press, window: Window, bench: Workbench, qtbot: QtBot
) -> None:
    fill(3)
    page = visit("annotate")
    assert isinstance(page, AnnotatePage)
    person = Person(qtbot, window, press, page)
    items = [person.prefers(0) for _ in range(3)]
    person.sits_down("Ben")
    for candidate in (1, 0, 1):
        person.prefers(candidate)
    person.sits_down("Cleo")
    press("q")
    person.popup(Qt.Key.Key_End, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: page.desk.side.open == "queue", timeout=PATIENCE)
    settle(qtbot, window)
    press(*"settle")
    strategy = person.tabs_to("annotate.new_queue.strategy")
    QTest.keyClicks(strategy, "disa")
    QTest.keyClick(strategy, Qt.Key.Key_Return, CTRL)
    qtbot.waitUntil(lambda: page.queue == "settle" and page.presentation is not None, timeout=PATIENCE)
    settle(qtbot, window)
    assert page.presentation is not None
    assert page.presentation.purpose == "adjudication"
    assert page.desk.top.count.text() == "0 / 2"
    told = page.desk.bottom.revealed
    assert told.text() == "To be settled: V tells what the others said"
    press("v")
    words = {0: "A ≻ B", 1: "B ≻ A"} if page.presentation.shown == (0, 1) else {0: "B ≻ A", 1: "A ≻ B"}
    assert told.text() == f"me: {words[0]}  ·  Ben: {words[1]}"
    assert [person.prefers(1) for _ in range(2)] == [items[0], items[2]]  # the item they agree on isn't asked
    assert page.presentation is None
    assert told.text() == ""
    assert page.desk.ends.done.isVisible()
    frozen = bench.datasets.freeze("pairs", "preferences")
    assert frozen.rows == 4  # one row for each settled item, two for the one with two labels
    press(("9", CTRL))
    statistics = window.deck.page("statistics")
    assert isinstance(statistics, StatisticsPage)
    qtbot.waitUntil(lambda: statistics.report is not None, timeout=PATIENCE)
    assert statistics.report is not None
    assert (statistics.report.settled, statistics.report.disputed) == (2, 0)
    QTest.keyClick(window, "4", Qt.KeyboardModifier.AltModifier)
    assert "2 were settled by an adjudication" in statistics.again.head.text()


def test_that_others_stay_unheard_where_nothing_is_to_be_settled(
    fill: Fill, visit: Visit, press: Press, window: Window, bench: Workbench, qtbot: QtBot
) -> None:
    fill(2)
    page = visit("annotate")
    assert isinstance(page, AnnotatePage)
    item = Person(qtbot, window, press, page).prefers(0)
    bench.profiles.add("Ben")
    bench.profiles.use("Ben")
    page.settings_changed(bench.settings.get())
    settle(qtbot, window)
    assert page.presentation is not None
    assert page.presentation.item.id == item
    press("v")
    assert page.desk.bottom.revealed.text().startswith("What others say stays unheard")
    press("1", "v")
    assert "≻" not in page.desk.bottom.revealed.text()
