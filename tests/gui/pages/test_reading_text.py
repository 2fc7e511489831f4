"""Text for reading: its lines stand apart comfortably, in both manners, both themes and every size."""

from itertools import pairwise

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QTextBlock
from pytestqt.qtbot import QtBot

from workbench.gui.theme import Theme
from workbench.gui.widgets.markdown import MarkdownView

LONG = "word " * 80
LINE_DISTANCE = 1.5  # the default, of the letters' size
pytestmark = pytest.mark.qt_log_ignore("propagateSizeHints")  # the off-screen platform has no window manager


@pytest.fixture
def view(qtbot: QtBot, theme: Theme) -> MarkdownView:
    made = MarkdownView(theme, "text")
    qtbot.addWidget(made)
    made.resize(300, 400)
    made.show()
    return made


def distances(block: QTextBlock) -> list[float]:
    block.document().documentLayout().documentSize()  # lays the text out
    tops = [block.layout().lineAt(n).y() for n in range(block.layout().lineCount())]
    return [after - before for before, after in pairwise(tops)]


@pytest.mark.parametrize("raw", [False, True])
@pytest.mark.parametrize("size", [13, 15, 22])
def test_that_lines_stand_one_and_a_half_letters_apart(view: MarkdownView, theme: Theme, raw: bool, size: int) -> None:
    theme.apply("light", reading_size=size)
    view.show_text(LONG, raw=raw)
    found = distances(view.document().firstBlock())
    theme.apply("light")
    assert len(found) > 3
    assert all(LINE_DISTANCE - 0.05 <= step / size <= LINE_DISTANCE + 0.1 for step in found)


def test_that_list_items_and_quotations_are_as_comfortable(view: MarkdownView, theme: Theme) -> None:
    view.show_text(f"- {LONG}\n\n> {LONG}", raw=False)
    block, seen = view.document().begin(), 0
    while block.isValid():
        found = distances(block)
        assert all(LINE_DISTANCE - 0.05 <= step / theme.reading_size <= LINE_DISTANCE + 0.1 for step in found)
        seen += bool(found)
        block = block.next()
    assert seen == 2


def test_that_the_distance_outlives_a_change_of_theme(view: MarkdownView, theme: Theme) -> None:
    view.show_text(LONG, raw=False)
    before = distances(view.document().firstBlock())
    theme.apply("dark")
    assert distances(view.document().firstBlock()) == before
    theme.apply("light")


def test_that_an_empty_text_stays_empty(view: MarkdownView) -> None:
    for raw in (False, True):
        view.show_text("", raw=raw)
        assert view.toPlainText() == ""


def test_that_what_is_copied_is_what_was_written(view: MarkdownView) -> None:
    words = "one\n\n  two  spaces\n\tthree — ünd שלום 🦊"
    view.show_text(words, raw=True)
    assert view.toPlainText() == words


def test_that_a_view_that_grows_holds_all_of_its_text(view: MarkdownView) -> None:
    view.grow_with_text()
    view.show()
    view.show_text("short", raw=True)
    low = view.height()
    view.show_text(LONG, raw=True)
    assert view.height() >= view.document().size().height()
    assert view.height() > 3 * low


@pytest.mark.parametrize("raw", [False, True])
def test_that_each_paragraph_runs_as_its_first_letter_does(view: MarkdownView, raw: bool) -> None:
    words = "english שלום\n\nשלום english\n\n(1) مرحبا abc\n\n123 word\n\n日本語"
    view.show_text(words, raw=raw)
    right, left = Qt.LayoutDirection.RightToLeft, Qt.LayoutDirection.LeftToRight
    block, found = view.document().begin(), []
    while block.isValid():
        if block.text().strip():
            found.append(block.textDirection())
        block = block.next()
    assert found == [left, right, right, left, left]


def test_that_text_from_the_right_stands_at_the_right(view: MarkdownView) -> None:
    view.show_text("שלום")
    view.document().size()
    line = view.document().firstBlock().layout().lineAt(0)
    assert line.naturalTextRect().left() > view.viewport().width() / 2


def test_that_code_runs_from_the_left_whatever_it_says(view: MarkdownView) -> None:
    view.show_text("```\nשלום = 1\n```")
    assert view.document().firstBlock().textDirection() is Qt.LayoutDirection.LeftToRight


@pytest.mark.parametrize(
    "words", ["x" * 2000, "https://example.org/" + "a/" * 900, "```\n" + "y" * 2000 + "\n```", "漢" * 900]
)
@pytest.mark.parametrize("raw", [False, True])
def test_that_no_word_is_too_long_for_the_view(view: MarkdownView, words: str, raw: bool) -> None:
    view.show_text(words, raw=raw)
    assert view.document().size().width() <= view.viewport().width() + 1
    assert view.horizontalScrollBar().maximum() == 0
