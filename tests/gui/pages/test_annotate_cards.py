"""What the annotator reads, without a window around it."""

from collections.abc import Callable

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot

from workbench.domain.text import Prompt, Turn
from workbench.gui.pages.annotate.board import CandidateBoard
from workbench.gui.pages.annotate.prompt import PromptPane
from workbench.gui.pages.annotate.reading import ReadingPane
from workbench.gui.theme import Theme

NO = Qt.KeyboardModifier.NoModifier
SHIFT = Qt.KeyboardModifier.ShiftModifier
LEFT = Qt.MouseButton.LeftButton
pytestmark = pytest.mark.qt_log_ignore("propagateSizeHints")  # the off-screen platform has no window manager


@pytest.fixture
def pressed() -> list[int]:
    return []


@pytest.fixture
def drops() -> list[tuple[int, int, bool]]:
    return []


@pytest.fixture
def repairs() -> list[int]:
    return []


@pytest.fixture
def board(
    qtbot: QtBot, theme: Theme, pressed: list[int], repairs: list[int], drops: list[tuple[int, int, bool]]
) -> CandidateBoard:
    made = CandidateBoard(theme, pressed.append, repairs.append, lambda *drop: drops.append(drop))
    qtbot.addWidget(made)
    made.resize(900, 600)
    made.show()
    return made


@pytest.fixture
def show(board: CandidateBoard, qtbot: QtBot) -> Callable[..., None]:
    def put(*texts: str, raw: bool = False, differences: bool = False) -> None:
        board.show_texts(texts, raw=raw, differences=differences)
        board.forget_seen()
        qtbot.waitUntil(lambda: board.seen)

    return put


def marked(pane: ReadingPane) -> list[str]:
    return [s.cursor.selectedText() for s in pane.extraSelections()]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("count", "places"),
    [
        (2, ["0,0", "0,1"]),
        (3, ["0,0", "0,1", "0,2"]),
        (4, ["0,0", "0,1", "1,0", "1,1"]),
        (5, ["0,0", "0,1", "0,2", "1,0", "1,1"]),
        (9, ["0,0", "0,1", "0,2", "1,0", "1,1", "1,2", "2,0", "2,1", "2,2"]),
    ],
)
def test_that_cards_stand_in_reading_order(board: CandidateBoard, count: int, places: list[str]) -> None:
    board.show_texts([f"text {n}" for n in range(count)], raw=False, differences=False)
    grid = board.layout()
    found = []
    for card in board.cards:
        row, column, *_ = grid.getItemPosition(grid.indexOf(card))  # type: ignore[union-attr]
        found.append(f"{row},{column}")
    assert found == places


def test_that_each_card_shows_its_text_under_its_letter(board: CandidateBoard) -> None:
    board.show_texts(["one", "two", "three"], raw=False, differences=False)
    assert [card.pane.toPlainText() for card in board.cards] == ["one", "two", "three"]
    assert [card.letter.text() for card in board.cards] == ["A", "B", "C"]
    assert [card.accessibleName() for card in board.cards] == ["Response A", "Response B", "Response C"]
    assert [card.pane.accessibleName() for card in board.cards] == [f"Response {c}, text" for c in "ABC"]


def test_that_two_cards_are_named_left_and_right(board: CandidateBoard) -> None:
    board.show_texts(["one", "two"], raw=False, differences=False)
    assert [card.objectName() for card in board.cards] == ["annotate.left", "annotate.right"]
    assert [c.button.objectName() for c in board.cards] == ["annotate.prefer_left", "annotate.prefer_right"]
    assert [card.button.words for card in board.cards] == ["A is better", "B is better"]


def test_that_cards_are_kept_while_their_number_stays(board: CandidateBoard) -> None:
    board.show_texts(["one", "two"], raw=False, differences=False)
    before = list(board.cards)
    board.show_texts(["three", "four"], raw=False, differences=False)
    assert board.cards == before
    assert board.cards[0].pane.text == "three"
    board.show_texts(["a", "b", "c"], raw=False, differences=False)
    assert not set(board.cards) & set(before)


def test_that_rows_and_columns_of_an_earlier_grid_take_no_room(board: CandidateBoard, qtbot: QtBot) -> None:
    board.show_texts([str(n) for n in range(9)], raw=False, differences=False)
    board.show_texts(["one", "two"], raw=False, differences=False)
    qtbot.waitUntil(lambda: board.cards[1].isVisible() and board.cards[1].x() > 300)
    left, right = board.cards
    assert left.height() > board.height() * 0.95
    assert left.width() + right.width() > board.width() * 0.95


def test_that_the_button_of_a_card_presses_its_place(board: CandidateBoard, pressed: list[int]) -> None:
    board.show_texts(["a", "b", "c"], raw=False, differences=False)
    for card in reversed(board.cards):
        QTest.mouseClick(card.button, LEFT)
    assert pressed == [2, 1, 0]


def test_that_a_rank_is_told_and_can_be_taken_back(board: CandidateBoard) -> None:
    board.show_texts(["a", "b", "c"], raw=False, differences=False)
    card = board.cards[1]
    card.show_rank(2, 3)
    assert card.rank.text() == "rank 2 of 3"
    assert card.button.words == "take back"
    assert card.property("chosen") == "true"
    card.show_rank(None, 3)
    assert card.rank.text() == ""
    assert card.button.words == "place next"
    assert card.property("chosen") == "false"


def test_that_every_text_starts_at_its_top(show: Callable[..., None], board: CandidateBoard) -> None:
    long = "word " * 5000
    show(long, long)
    board.turn_pages(1)
    assert all(card.pane.verticalScrollBar().value() > 0 for card in board.cards)
    show(long + "!", long)
    assert all(card.pane.verticalScrollBar().value() == 0 for card in board.cards)


def test_that_pages_turn_by_a_little_less_than_what_is_seen(show: Callable[..., None], board: CandidateBoard) -> None:
    show("word " * 5000, "short")
    bar = board.cards[0].pane.verticalScrollBar()
    board.turn_pages(1)
    assert 0 < bar.value() < bar.pageStep()
    board.turn_pages(-1)
    assert bar.value() == 0
    assert board.cards[1].pane.verticalScrollBar().value() == 0


def test_that_differences_are_marked_also_behind_signs_outside_the_first_plane(
    show: Callable[..., None], board: CandidateBoard
) -> None:
    show("🦊🦊 says red words", "🦊🦊 says blue words", differences=True)
    assert [marked(card.pane) for card in board.cards] == [["red"], ["blue"]]


def test_that_differences_fit_whatever_ends_the_lines(show: Callable[..., None], board: CandidateBoard) -> None:
    show("one\r\ntwo\rred", "one\ntwo\nblue", differences=True)
    assert [marked(card.pane) for card in board.cards] == [["red"], ["blue"]]


def test_that_differences_of_right_to_left_text_are_marked(show: Callable[..., None], board: CandidateBoard) -> None:
    show("שלום עולם טוב", "שלום עולם רע", differences=True)
    assert [marked(card.pane) for card in board.cards] == [["טוב"], ["רע"]]


def test_that_with_three_the_first_is_the_measure_and_unmarked(
    show: Callable[..., None], board: CandidateBoard
) -> None:
    show("a red fox", "a blue fox", "a red dog", differences=True)
    assert [marked(card.pane) for card in board.cards] == [[], ["blue"], ["dog"]]


def test_that_marks_go_when_differences_are_switched_off(show: Callable[..., None], board: CandidateBoard) -> None:
    show("red", "blue", differences=True)
    show("red", "blue")
    assert [marked(card.pane) for card in board.cards] == [[], []]


def test_that_markdown_is_read_raw_while_differences_show(show: Callable[..., None], board: CandidateBoard) -> None:
    show("**red**", "**blue**")
    assert board.cards[0].pane.toPlainText() == "red"
    show("**red**", "**blue**", differences=True)
    assert board.cards[0].pane.toPlainText() == "**red**"


@pytest.mark.parametrize("level", [False, True])
def test_that_dragging_a_card_says_onto_which_and_whether_level(
    show: Callable[..., None], board: CandidateBoard, drops: list[tuple[int, int, bool]], level: bool
) -> None:
    show("a", "b", "c")
    third, first = board.cards[2], board.cards[0]
    modifier = SHIFT if level else NO
    QTest.mousePress(third, LEFT, modifier, QPoint(3, 3))
    QTest.mouseRelease(third, LEFT, modifier, third.mapFromGlobal(first.mapToGlobal(first.rect().center())))
    assert drops == [(2, 0, level)]


def test_that_a_click_is_no_drag(
    show: Callable[..., None], board: CandidateBoard, drops: list[tuple[int, int, bool]]
) -> None:
    show("a", "b", "c")
    QTest.mouseClick(board.cards[1], LEFT, NO, QPoint(3, 3))
    assert drops == []


def test_that_a_card_dropped_on_itself_or_beside_all_stays(
    show: Callable[..., None], board: CandidateBoard, drops: list[tuple[int, int, bool]]
) -> None:
    show("a", "b", "c")
    card = board.cards[0]
    for target in (card.rect().bottomRight() - QPoint(3, 3), QPoint(-500, -500)):
        QTest.mousePress(card, LEFT, NO, QPoint(3, 3))
        QTest.mouseRelease(card, LEFT, NO, target)
    assert drops == []


def test_that_two_cards_cannot_be_dragged(
    show: Callable[..., None], board: CandidateBoard, drops: list[tuple[int, int, bool]]
) -> None:
    show("a", "b")
    left, right = board.cards
    QTest.mousePress(left, LEFT, NO, QPoint(3, 3))
    QTest.mouseRelease(left, LEFT, NO, left.mapFromGlobal(right.mapToGlobal(right.rect().center())))
    assert drops == []
    assert left.toolTip() == ""


def test_that_texts_count_as_seen_only_when_they_were_painted(board: CandidateBoard, qtbot: QtBot) -> None:
    board.show_texts(["one", "two"], raw=False, differences=False)
    board.forget_seen()
    assert not board.seen
    qtbot.waitUntil(lambda: board.seen)
    board.show_texts(["one", "two"], raw=False, differences=False)  # the same words again, for another item
    board.forget_seen()
    assert not board.seen
    qtbot.waitUntil(lambda: board.seen)


def test_that_a_hidden_board_is_never_seen(qtbot: QtBot, theme: Theme) -> None:
    board = CandidateBoard(theme, print, print, print)
    qtbot.addWidget(board)
    board.show_texts(["one", "two"], raw=False, differences=False)
    qtbot.wait(20)
    assert not board.seen


@pytest.fixture
def prompt(qtbot: QtBot, theme: Theme) -> PromptPane:
    made = PromptPane(theme, "annotate.prompt")
    qtbot.addWidget(made)
    made.resize(400, 120)
    made.show()
    return made


def test_that_one_turn_needs_no_heading(prompt: PromptPane) -> None:
    prompt.show_prompt(Prompt.from_text("Tell a story."), raw=False)
    assert prompt.toPlainText() == "Tell a story."


def test_that_several_turns_are_told_with_their_roles(prompt: PromptPane) -> None:
    turns = (
        Turn(role="system", content="Be brief."), Turn(role="user", content="Hello?"),
        Turn(role="assistant", content="Yes."), Turn(role="user", content="A story."),
    )  # fmt: skip
    prompt.show_prompt(Prompt(turns=turns), raw=False)
    lines = [line for line in prompt.toPlainText().splitlines() if line]
    assert lines == ["▎System", "Be brief.", "▎User", "Hello?", "▎Assistant", "Yes.", "▎User", "A story."]
    prompt.show_prompt(Prompt(turns=turns), raw=True)
    assert prompt.toPlainText().startswith("System:\n\nBe brief.")


def test_that_a_long_conversation_shows_its_end_also_after_resizing(prompt: PromptPane) -> None:
    turns = tuple(Turn(role="user" if n % 2 == 0 else "assistant", content=f"turn {n} " * 40) for n in range(9))
    prompt.show_prompt(Prompt(turns=turns), raw=False)
    bar = prompt.verticalScrollBar()
    assert bar.maximum() > 0
    assert bar.value() == bar.maximum()
    prompt.resize(300, 90)
    assert bar.value() == bar.maximum()


def test_that_a_reading_pane_leaves_the_keyboard_to_the_page(prompt: PromptPane) -> None:
    assert prompt.focusPolicy() == Qt.FocusPolicy.NoFocus
    prompt.show_prompt(Prompt.from_text("line\n" * 200), raw=True)
    before = prompt.verticalScrollBar().value()
    QTest.keyClick(prompt, Qt.Key.Key_PageDown)
    assert prompt.verticalScrollBar().value() == before


@pytest.mark.parametrize(
    ("width", "count", "words", "rank", "left"),
    [
        (900, 2, "A is better", "", "below"), (620, 2, "better", "", "%"), (440, 2, "", "", ""),
        (1300, 9, "take back", "rank 1 of 9", "below"), (900, 9, "back", "rank 1", "%"), (600, 9, "", "rank 1", ""),
    ],
)  # fmt: skip
def test_that_a_narrow_card_says_less_and_cuts_nothing(
    board: CandidateBoard, qtbot: QtBot, width: int, count: int, words: str, rank: str, left: str
) -> None:
    board.resize(width, 600)
    board.show_texts(["word " * 900] * count, raw=False, differences=False)
    if count > 2:
        board.cards[0].show_rank(1, count)
    qtbot.waitUntil(lambda: board.cards[0].isVisible() and board.cards[0].left.text().endswith(left))
    qtbot.waitUntil(lambda: board.cards[0].button.words == words)
    card = board.cards[0]
    assert card.rank.text() == rank
    assert card.pencil.isVisible() == bool(left)
    assert bool(card.left.text()) == bool(left)
    assert card.left.accessibleName().endswith("% of the text is below")
    assert card.button.accessibleName() == ("A is better" if count == 2 else "place next (A)")
    assert {abs(one.width() - card.width()) <= 1 for one in board.cards} == {True}
    qtbot.waitUntil(
        lambda: all(label.width() >= label.sizeHint().width() for label in (card.rank, card.left) if label.text())
    )
    assert card.button.width() >= card.button.sizeHint().width()
