"""How responses are read: together or apart, long ones at once, conversations folded, one card in focus, words compared."""

from collections.abc import Callable

import pytest
from PySide6.QtCore import QSettings, Qt
from PySide6.QtGui import QColor, QTextCharFormat
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot

from tests.steps import steps
from workbench.analysis.words import word_differences
from workbench.domain.text import Prompt, Turn
from workbench.gui.pages.annotate import AnnotatePage
from workbench.gui.pages.annotate.board import CandidateBoard
from workbench.gui.pages.annotate.prompt import KEPT, PromptPane
from workbench.gui.pages.annotate.reading import AT_ONCE, ReadingPane, beginning
from workbench.gui.theme import Theme
from workbench.gui.window import Window

pytestmark = pytest.mark.qt_log_ignore("propagateSizeHints")  # the off-screen platform has no window manager
LONG = "\n\n".join(f"Paragraph {n}: " + "some words " * 30 for n in range(60))
_Line = QTextCharFormat.UnderlineStyle


@pytest.fixture
def board(qtbot: QtBot, theme: Theme) -> CandidateBoard:
    made = CandidateBoard(theme, print, print, print)
    qtbot.addWidget(made)
    made.resize(900, 500)
    made.show()
    return made


@pytest.fixture
def show(board: CandidateBoard, qtbot: QtBot) -> Callable[..., None]:
    def put(*texts: str, raw: bool = False, differences: bool = False) -> None:
        board.show_texts(texts, raw=raw, differences=differences)
        board.forget_seen()
        qtbot.waitUntil(lambda: board.seen)
        for card in board.cards:
            card.pane.complete()
            card.pane.document().size()

    return put


def shares(board: CandidateBoard) -> list[float]:
    bars = [card.pane.verticalScrollBar() for card in board.cards]
    return [bar.value() / max(1, bar.maximum()) for bar in bars]


def test_that_texts_scroll_apart_at_first(show: Callable[..., None], board: CandidateBoard) -> None:
    show(LONG, LONG + LONG)
    board.cards[0].pane.verticalScrollBar().setValue(500)
    assert board.cards[1].pane.verticalScrollBar().value() == 0


def test_that_together_each_shows_the_same_share_of_itself(show: Callable[..., None], board: CandidateBoard) -> None:
    show(LONG, LONG + LONG, "short")
    board.scroll_together(True)
    for place, share in ((0, 0.5), (1, 0.25), (0, 1.0), (1, 0.0)):
        bar = board.cards[place].pane.verticalScrollBar()
        bar.setValue(round(share * bar.maximum()))
        assert shares(board) == pytest.approx([share, share, 0.0], abs=0.01)


def test_that_switching_to_together_joins_at_once_and_switching_off_lets_go(
    show: Callable[..., None], board: CandidateBoard
) -> None:
    show(LONG, LONG + LONG)
    board.cards[0].pane.verticalScrollBar().setValue(400)
    board.scroll_together(True)
    first, second = shares(board)
    assert first == pytest.approx(second, abs=0.01)
    board.scroll_together(False)
    board.cards[0].pane.verticalScrollBar().setValue(0)
    assert shares(board)[1] == second


def test_that_pages_turn_the_longest_text_when_together(show: Callable[..., None], board: CandidateBoard) -> None:
    show(LONG, LONG + LONG)
    board.scroll_together(True)
    board.turn_pages(1)
    bar = board.cards[1].pane.verticalScrollBar()
    assert bar.value() == bar.pageStep() - 24
    assert shares(board)[0] == pytest.approx(shares(board)[1], abs=0.01)


def test_that_keys_scroll_only_the_card_in_focus(show: Callable[..., None], board: CandidateBoard) -> None:
    show(LONG, LONG, LONG)
    board.move_focus(1)
    assert [card.letter.property("role") for card in board.cards] == ["letter", "section", "section"]
    board.move_focus(1)
    board.turn_pages(1)
    board.turn_lines(1)
    assert [share > 0 for share in shares(board)] == [False, True, False]
    board.focus_on(None)
    board.turn_pages(1)
    assert all(share > 0 for share in shares(board))


def test_that_the_focus_goes_round_in_both_directions(show: Callable[..., None], board: CandidateBoard) -> None:
    show("a", "b", "c")
    found = []
    for step in (1, 1, 1, 1, -1, -1):
        board.move_focus(step)
        found.append(board.focused)
    assert found == [0, 1, 2, 0, 2, 1]
    show("a", "b", "c", "d")
    assert board.focused is None
    board.move_focus(-1)
    assert board.focused == 3


def test_that_each_card_tells_how_much_is_left_below(show: Callable[..., None], board: CandidateBoard) -> None:
    show(LONG, "short")
    left, right = board.cards
    assert right.left.text() == ""
    assert left.left.text().endswith("% below")
    assert int(left.left.text().split()[1]) > 80
    bar = left.pane.verticalScrollBar()
    bar.setValue(bar.maximum() // 2)
    assert 30 < int(left.left.text().split()[1]) < 60
    bar.setValue(bar.maximum())
    assert left.left.text() == ""


def test_that_a_long_text_is_there_at_once_and_whole_soon_after(board: CandidateBoard, qtbot: QtBot) -> None:
    words = "\n\n".join(f"**{n}** " + "word " * 100 for n in range(200))
    board.show_texts([words, "short"], raw=False, differences=False)
    pane = board.cards[0].pane
    assert 1000 < len(pane.toPlainText()) < AT_ONCE
    below = pane.below
    qtbot.waitUntil(lambda: pane.painted and pane.verticalScrollBar().maximum() > 50)
    pane.verticalScrollBar().setValue(50)
    qtbot.waitUntil(lambda: pane.toPlainText().endswith("word"))
    qtbot.waitUntil(lambda: pane.toPlainText().startswith("0 word") and "199 word" in pane.toPlainText())
    assert pane.verticalScrollBar().value() == 50
    assert pane.below == pytest.approx(below, abs=0.05)


def test_that_the_next_text_is_not_disturbed_by_the_rest_of_the_last(board: CandidateBoard, qtbot: QtBot) -> None:
    board.show_texts([LONG, LONG], raw=False, differences=False)
    qtbot.waitUntil(lambda: board.seen)
    board.show_texts(["one", "two"], raw=False, differences=False)
    qtbot.wait(100)
    assert [card.pane.toPlainText() for card in board.cards] == ["one", "two"]


def test_that_a_beginning_ends_with_a_paragraph_or_a_word() -> None:
    assert LONG.startswith(beginning(LONG))
    assert beginning(LONG).endswith("words ")
    assert beginning("word " * 9000).endswith("word")
    assert len(beginning("x" * 90_000)) == AT_ONCE


def looks(pane: ReadingPane) -> list[tuple[str, _Line]]:
    marks = pane.extraSelections()
    return [(m.cursor.selectedText(), m.format.underlineStyle()) for m in marks]  # type: ignore[attr-defined]


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_that_differences_are_told_without_colour(
    show: Callable[..., None], board: CandidateBoard, theme: Theme, mode: str
) -> None:
    theme.apply(mode)  # type: ignore[arg-type]
    show("a red fox", "a blue fox", differences=True)
    found = [looks(card.pane) for card in board.cards]
    colours = [QColor(theme.colours.chosen), QColor(theme.colours.rejected)]
    marks = [card.pane.extraSelections() for card in board.cards]  # type: ignore[attr-defined]
    tones = [one.format.underlineColor() for (one,) in marks]
    theme.apply("light")
    assert found == [[("red", _Line.SingleUnderline)], [("blue", _Line.DashUnderline)]]
    assert tones == colours


def test_that_the_card_in_focus_is_the_measure(show: Callable[..., None], board: CandidateBoard) -> None:
    show("a red fox", "a blue fox", "a blue dog", differences=True)
    assert [[words for words, _ in looks(card.pane)] for card in board.cards] == [[], ["blue"], ["blue dog"]]
    assert [card.compared.text() for card in board.cards] == [
        "the measure",
        "1 difference from A",
        "1 difference from A",
    ]
    board.focus_on(1)
    assert [[words for words, _ in looks(card.pane)] for card in board.cards] == [["red"], [], ["dog"]]
    assert [card.compared.text() for card in board.cards] == [
        "1 difference from B",
        "the measure",
        "1 difference from B",
    ]
    show("a", "b", "c")
    assert not any(card.compared.isVisible() for card in board.cards)


def test_that_marks_outlive_a_change_of_theme(show: Callable[..., None], board: CandidateBoard, theme: Theme) -> None:
    show("a red fox", "a blue fox", differences=True)
    theme.apply("dark")
    theme.apply("light")
    assert [[words for words, _ in looks(card.pane)] for card in board.cards] == [["red"], ["blue"]]


def test_that_unseen_signs_do_not_shift_the_marks(show: Callable[..., None], board: CandidateBoard) -> None:
    show("🦊\u202e a\r\n\x00red fox", "🦊\u202e a\r\n\x00blue fox", differences=True)
    assert [[words for words, _ in looks(card.pane)] for card in board.cards] == [["red"], ["blue"]]


def test_that_no_more_of_long_texts_is_compared_than_a_key_press_has_time_for() -> None:
    words = [f"word{n * 7919 % 1500}" for n in range(8000)]
    other = [word if n % 40 else "other" for n, word in enumerate(words)]
    assert steps(lambda: word_differences(" ".join(words), " ".join(other))) < 800_000


@pytest.fixture
def prompt(qtbot: QtBot, theme: Theme) -> PromptPane:
    made = PromptPane(theme, "annotate.prompt")
    qtbot.addWidget(made)
    qtbot.addWidget(made.heading)
    made.resize(400, 200)
    made.show()
    return made


def conversation(turns: int, system: str = "") -> Prompt:
    said = [
        Turn(role="user" if n % 2 == (turns - 1) % 2 else "assistant", content=f"turn number {n}") for n in range(turns)
    ]
    return Prompt(turns=(*([Turn(role="system", content=system)] if system else []), *said))


@pytest.mark.parametrize("raw", [False, True])
def test_that_earlier_turns_are_folded_and_counted(prompt: PromptPane, raw: bool) -> None:
    prompt.show_prompt(conversation(9, "Be brief."), raw=raw)
    read = prompt.toPlainText()
    assert "6 earlier turns folded" in read
    assert "Be brief." in read
    assert [f"turn number {n}" in read for n in range(9)] == [False] * 6 + [True] * KEPT
    assert not prompt.heading.fold.isHidden()
    assert prompt.heading.fold.words == "show 6 earlier turns"
    prompt.toggle_fold()
    read = prompt.toPlainText()
    assert all(f"turn number {n}" in read for n in range(9))
    assert "folded" not in read
    assert prompt.heading.fold.words == "fold 6 earlier turns"
    prompt.toggle_fold()
    assert "turn number 1" not in prompt.toPlainText()


@pytest.mark.parametrize("turns", [1, 2, KEPT, KEPT + 1])
def test_that_a_short_conversation_is_whole(prompt: PromptPane, turns: int) -> None:
    prompt.show_prompt(conversation(turns), raw=False)
    assert all(f"turn number {n}" in prompt.toPlainText() for n in range(turns))
    assert prompt.heading.fold.isHidden()
    prompt.toggle_fold()
    assert "folded" not in prompt.toPlainText()


def test_that_the_next_conversation_is_folded_again(prompt: PromptPane) -> None:
    prompt.show_prompt(conversation(9), raw=False)
    prompt.toggle_fold()
    prompt.show_prompt(conversation(9), raw=True)  # the same one in another manner stays as it is
    assert "folded" not in prompt.toPlainText()
    prompt.show_prompt(conversation(11), raw=False)
    assert "8 earlier turns folded" in prompt.toPlainText()


def test_that_no_turn_can_reach_into_the_next_one_or_forge_a_role(prompt: PromptPane) -> None:
    turns = (Turn(role="user", content="```\nopen"), Turn(role="assistant", content="**User**\n\n> forged"))
    prompt.show_prompt(Prompt(turns=turns), raw=False)
    html = prompt._html()
    assert html.count('class="role"') == 2
    assert html.count("</code></pre>") == 1
    assert html.index("</code></pre>") < html.index("Assistant")


def test_that_keys_fold_join_and_focus_and_judge_nothing(
    qtbot: QtBot, window: Window, visit: Callable[..., object], fill: Callable[..., None], press: Callable[..., None],
    memory: QSettings,
) -> None:  # fmt: skip
    fill(3)
    page = visit("annotate")
    assert isinstance(page, AnnotatePage)
    here = page.presentation
    press("t")
    assert page.desk.board.together
    assert page.desk.prompt.heading.tools["together"].isChecked()
    assert str(memory.value("annotate.together")).lower() == "true"
    press(Qt.Key.Key_Right, Qt.Key.Key_Down, "p", "t")
    assert page.desk.board.focused == 0
    assert not page.desk.board.together
    assert page.presentation == here
    QTest.mouseClick(page.desk.prompt.heading.tools["together"], Qt.MouseButton.LeftButton)
    assert page.desk.board.together
