"""Fonts, size, width and distance of what is read: by settings and by keys, at once, within bounds, kept."""

from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from PySide6.QtCore import QSettings, Qt
from PySide6.QtGui import QFontMetricsF
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot

from workbench.domain.settings import LARGEST_READING, SMALLEST_READING, Settings
from workbench.gui.theme import Theme
from workbench.gui.widgets.markdown import MarkdownView
from workbench.gui.window import Window
from workbench.services.workbench import Workbench, new_workspace

pytestmark = pytest.mark.qt_log_ignore("propagateSizeHints")  # the off-screen platform has no window manager
CTRL = Qt.KeyboardModifier.ControlModifier


@pytest.fixture
def wear(theme: Theme) -> Iterator[Callable[..., None]]:
    yield lambda **wanted: theme.wear(Settings(theme="light", **wanted))
    theme.wear(Settings(theme="light"))


@pytest.fixture
def view(qtbot: QtBot, theme: Theme) -> MarkdownView:
    made = MarkdownView(theme, "text")
    qtbot.addWidget(made)
    made.resize(900, 400)
    made.show_text("word " * 200)
    made.show()
    return made


@pytest.fixture
def window(qtbot: QtBot, theme: Theme, memory: QSettings, tmp_path: Path) -> Iterator[Window]:
    bench = Workbench.open(new_workspace(tmp_path / "space"))
    made = Window(theme, memory)
    made.wear(bench, bench.settings.get())
    made.show()
    made.activateWindow()
    yield made
    made.close()
    made.deleteLater()
    theme.wear(Settings(theme="light"))


@pytest.mark.parametrize(("letters", "family"), [("proportional", "sans"), ("serif", "serif"), ("monospace", "mono")])
def test_that_letters_change_at_once(
    view: MarkdownView, theme: Theme, wear: Callable[..., None], letters: str, family: str
) -> None:
    wear(reading_font=letters)
    assert view.document().defaultFont().family() == getattr(theme, family)


def test_that_the_three_families_differ(theme: Theme) -> None:
    assert len({theme.sans, theme.serif, theme.mono}) == 3


@pytest.mark.parametrize("percent", [120, 150, 200])
def test_that_lines_stand_as_far_apart_as_is_liked(
    view: MarkdownView, theme: Theme, wear: Callable[..., None], percent: int
) -> None:
    wear(reading_spacing=percent)
    block = view.document().firstBlock()
    view.document().size()
    tops = [block.layout().lineAt(n).y() for n in range(block.layout().lineCount())]
    steps = [after - before for before, after in pairwise(tops)]
    assert len(steps) > 3
    assert all(percent / 100 - 0.05 <= step / theme.reading_size <= percent / 100 + 0.1 for step in steps)


def test_that_lines_are_no_longer_than_is_liked_and_free_by_default(
    view: MarkdownView, theme: Theme, wear: Callable[..., None]
) -> None:
    assert view.viewport().width() > 850
    wear(reading_width=60)
    letter = QFontMetricsF(theme.reading_font()).averageCharWidth()
    assert 59 * letter <= view.viewport().width() <= 64 * letter
    view.resize(300, 400)
    assert view.viewport().width() > 270
    wear(reading_width=0)
    view.resize(900, 400)
    assert view.viewport().width() > 850


def test_that_the_same_looks_are_not_put_on_twice(qtbot: QtBot, theme: Theme, wear: Callable[..., None]) -> None:
    wear(reading_width=70)
    with qtbot.assertNotEmitted(theme.changed):
        wear(reading_width=70, annotator="somebody else")
    with qtbot.waitSignal(theme.changed):
        wear(reading_width=71)


@pytest.mark.parametrize(
    ("before", "step", "after"),
    [
        (15, 1, 16),
        (15, -1, 14),
        (SMALLEST_READING, -1, SMALLEST_READING),
        (LARGEST_READING, 1, LARGEST_READING),
        (20, 0, 15),
    ],
)
def test_that_the_size_stays_within_its_bounds(before: int, step: int, after: int) -> None:
    assert Settings(reading_size=before).reading_resized(step).reading_size == after


def test_that_keys_make_texts_larger_smaller_and_usual_again(qtbot: QtBot, window: Window) -> None:
    def press(key: Qt.Key) -> int:
        QTest.keyClick(window, key, CTRL)
        qtbot.waitUntil(lambda: window.bridge.busy == 0)
        kept = int(window.services.settings.get().reading_size)
        assert kept == window.theme.reading_size
        return kept

    assert [press(Qt.Key.Key_Equal), press(Qt.Key.Key_Plus), press(Qt.Key.Key_Minus)] == [16, 17, 16]
    assert press(Qt.Key.Key_0) == 15


def test_that_the_palette_and_the_list_of_keys_tell_of_it(window: Window) -> None:
    keys = {action.id: action.keys for action in window.actions_here()}
    assert (keys["window.larger"], keys["window.smaller"], keys["window.normal_size"]) == ("Ctrl+=", "Ctrl+-", "Ctrl+0")
