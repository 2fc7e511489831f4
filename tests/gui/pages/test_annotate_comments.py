"""Comments on parts of responses: selected, written, marked, listed, changed, undone, and delivered as places in the text."""

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PySide6.QtCore import Qt
from PySide6.QtGui import QImage, QTextCursor
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QLabel, QPushButton
from pytestqt.qtbot import QtBot

from workbench.domain.judgement import Item, Span
from workbench.domain.text import Candidate, Prompt
from workbench.gui.pages.annotate import AnnotatePage
from workbench.gui.pages.annotate.board import CandidateBoard
from workbench.gui.pages.annotate.comment_strip import LONGEST_QUOTE, quote
from workbench.gui.pages.annotate.comments import Comments
from workbench.gui.theme import Theme
from workbench.gui.window import Window
from workbench.services.workbench import Workbench

pytestmark = pytest.mark.qt_log_ignore("propagateSizeHints")  # the off-screen platform has no window manager
K, SHIFT, CTRL = Qt.Key, Qt.KeyboardModifier.ShiftModifier, Qt.KeyboardModifier.ControlModifier
TEXTS = ("The **red** fox\n\n- runs `home`", "A blue 🦊 fox")


def span(start: int, end: int, words: str = "why?", candidate: int = 0) -> Span:
    return Span(candidate=candidate, start=start, end=end, comment=words)


def test_that_comments_are_kept_in_reading_order() -> None:
    kept = Comments()
    for one in (span(5, 7), span(1, 3, candidate=1), span(0, 0, "all"), span(2, 4)):
        kept.put(one)
    assert [(s.candidate, s.start) for s in kept.spans] == [(0, 0), (0, 2), (0, 5), (1, 1)]
    assert [s.start for s in kept.of(1)] == [1]


def test_that_every_change_can_be_undone_and_made_again() -> None:
    kept = Comments([span(0, 3)])
    states = [kept.spans]
    kept.put(span(5, 7))
    states.append(kept.spans)
    kept.put(span(5, 7, "better"), instead=span(5, 7))
    states.append(kept.spans)
    kept.remove(span(0, 3))
    states.append(kept.spans)
    for state in states[-2::-1]:
        assert kept.undo()
        assert kept.spans == state
    assert not kept.undo()
    for state in states[1:]:
        assert kept.redo()
        assert kept.spans == state
    assert not kept.redo()


def test_that_a_new_change_forgets_what_was_taken_back() -> None:
    kept = Comments()
    kept.put(span(0, 3))
    kept.undo()
    kept.put(span(1, 2))
    assert not kept.redo()
    assert kept.spans == (span(1, 2),)


def test_that_the_shortest_comment_at_a_place_is_meant() -> None:
    kept = Comments([span(0, 0, "all"), span(0, 9), span(2, 4)])
    assert [kept.at(0, place) for place in (3, 5, 20)] == [span(2, 4), span(0, 9), span(0, 0, "all")]
    assert kept.at(1, 3) is None


def test_that_a_quotation_is_one_short_line() -> None:
    assert quote("a\nb  c\u2029d") == "“a b c d”"
    assert quote("n" * LONGEST_QUOTE) == f"“{'n' * LONGEST_QUOTE}”"
    assert quote("n" * (LONGEST_QUOTE + 1)) == f"“{'n' * (LONGEST_QUOTE - 1)}…”"


@pytest.fixture
def board(qtbot: QtBot, theme: Theme) -> CandidateBoard:
    made = CandidateBoard(theme, print, print, print)
    qtbot.addWidget(made)
    made.resize(900, 500)
    made.show()
    made.activateWindow()
    made.show_texts(TEXTS, raw=False, differences=False, shown=(1, 0))
    qtbot.waitUntil(lambda: made.seen)
    return made


def select(board: CandidateBoard, place: int, words: str) -> None:
    pane = board.cards[place].pane
    found = pane.document().find(words)
    assert not found.isNull()
    pane.setTextCursor(found)


def write(board: CandidateBoard, place: int, words: str, comment: str) -> None:
    select(board, place, words)
    board.comment()
    field = board.cards[place].comments.field
    QTest.keyClicks(field, comment)
    QTest.keyClick(field, K.Key_Return)


def underlined(board: CandidateBoard, place: int) -> list[str]:
    marks = board.cards[place].pane.extraSelections()
    return [mark.cursor.selectedText() for mark in marks]  # type: ignore[attr-defined]


def test_that_what_the_mouse_selects_is_commented_by_place_in_the_text(board: CandidateBoard, qtbot: QtBot) -> None:
    with qtbot.waitSignal(board.spans_changed):
        write(board, 0, "red fox", "not red")
    assert board.spans == (Span(candidate=1, start=6, end=15, comment="not red"),)
    assert TEXTS[0][6:15] == "red** fox"
    assert underlined(board, 0) == ["red fox"]
    write(board, 1, "🦊 fox", "a wolf")
    assert board.spans[0] == Span(candidate=0, start=7, end=12, comment="a wolf")
    assert TEXTS[1][7:12] == "🦊 fox"
    assert underlined(board, 1) == ["🦊 fox"]


@pytest.mark.parametrize("raw", [False, True])
def test_that_comments_stay_where_they_belong_in_every_manner_of_reading(board: CandidateBoard, raw: bool) -> None:
    write(board, 0, "home", "where?")
    board.show_texts(TEXTS, raw=raw, differences=False, shown=(1, 0))
    assert underlined(board, 0) == ["home"]
    board.show_texts(TEXTS, raw=raw, differences=True, shown=(1, 0))
    assert "home" in underlined(board, 0)
    assert TEXTS[0][board.spans[0].start : board.spans[0].end] == "home"


def test_that_another_item_starts_without_comments(board: CandidateBoard) -> None:
    write(board, 0, "home", "where?")
    board.show_texts(["other", "texts"], raw=False, differences=False)
    assert board.spans == ()
    assert underlined(board, 0) == []
    assert not board.cards[0].comments.isVisible()
    assert not board.undo_comment()


def test_that_spans_that_are_given_are_shown_and_given_back(board: CandidateBoard, qtbot: QtBot) -> None:
    given_ones = (span(4, 11, "a", 1), span(0, 0, "b", 1), span(2, 6, "c", 0))
    with qtbot.assertNotEmitted(board.spans_changed):
        board.set_spans(given_ones)
    assert set(board.spans) == set(given_ones)
    assert underlined(board, 0) == ["red"]
    assert underlined(board, 1) == ["blue"]
    said = [label.text() for label in board.cards[0].comments.findChildren(QLabel)]
    assert {"“red”", "the whole response", "a", "b", "1", "2"} <= set(said)


@pytest.mark.parametrize(
    ("words", "about", "read", "raw"),
    [
        ("The **red** `fox` ran", "**red** `fox`", "red fox", "**red** `fox`"),
        ("# Head\n\n- one\n- *two*", "Head\n\n- one\n- *tw", "Head one tw", "Head - one - *tw"),
        ("see [the page](https://x.org) now", "[the page](https://x.org)", "the page", "[the page](https://x.org)"),
        ("| a | b |\n|---|---|\n| c | d |", "a | b |\n|---|---|\n| c", "a b c", "a | b | |---|---| | c"),
        ("it is $x^2$ 🦊 so", "$x^2$ 🦊", "x² 🦊", "$x^2$ 🦊"),
        ("a \u202e b", "a \u202e b", "a ⟦RLO⟧ b", "a ⟦RLO⟧ b"),
        ("a\n\n---\n\nb", "---", "---", "---"),
    ],
)
def test_that_a_quotation_reads_as_the_response_does(
    board: CandidateBoard, words: str, about: str, read: str, raw: str
) -> None:
    start = words.index(about)
    for manner, wanted in ((False, read), (True, raw)):
        board.show_texts([words, words], raw=manner, differences=False)
        board.set_spans([span(start, start + len(about))])
        assert f"“{wanted}”" in [label.text() for label in board.cards[0].comments.findChildren(QLabel)]


def test_that_the_field_of_a_new_comment_quotes_what_is_read(board: CandidateBoard) -> None:
    select(board, 0, "red fox")
    board.comment()
    assert board.cards[0].comments.quoted.text() == "“red fox”"


def test_that_the_keyboard_alone_selects_writes_edits_and_deletes(board: CandidateBoard) -> None:
    board.focus_on(1)
    board.comment()
    pane, strip = board.cards[1].pane, board.cards[1].comments
    assert pane.caret
    assert board.cards[1].hint.isVisible()
    for _ in range(2):
        QTest.keyClick(pane, K.Key_Right)
    for _ in range(4):
        QTest.keyClick(pane, K.Key_Right, SHIFT)
    QTest.keyClick(pane, K.Key_Return)
    QTest.keyClicks(strip.field, "green")
    QTest.keyClick(strip.field, K.Key_Return)
    assert board.spans == (Span(candidate=0, start=2, end=6, comment="green"),)
    assert not strip.editor.isVisible()
    board.comment()
    for _ in range(3):
        QTest.keyClick(pane, K.Key_Right)
    QTest.keyClick(pane, K.Key_C)
    assert strip.field.text() == "green"
    QTest.keyClicks(strip.field, "ish")
    QTest.keyClick(strip.field, K.Key_Return)
    assert board.spans[0].comment == "greenish"
    board.comment()
    for _ in range(3):
        QTest.keyClick(pane, K.Key_Right)
    QTest.keyClick(pane, K.Key_Delete)
    assert board.spans == ()
    assert board.undo_comment()
    assert board.spans[0].comment == "greenish"
    QTest.keyClick(pane, K.Key_Escape)
    assert not pane.caret
    assert pane.focusPolicy() is Qt.FocusPolicy.NoFocus


def test_that_the_whole_response_can_be_commented(board: CandidateBoard) -> None:
    board.comment()
    QTest.keyClick(board.cards[0].pane, K.Key_W)
    QTest.keyClicks(board.cards[0].comments.field, "kind")
    QTest.keyClick(board.cards[0].comments.field, K.Key_Return)
    assert board.spans == (Span(candidate=1, start=0, end=0, comment="kind"),)


def test_that_without_a_selection_the_word_at_the_caret_is_meant(board: CandidateBoard) -> None:
    board.comment()
    QTest.keyClick(board.cards[0].pane, K.Key_Return)
    QTest.keyClicks(board.cards[0].comments.field, "article")
    QTest.keyClick(board.cards[0].comments.field, K.Key_Return)
    assert TEXTS[0][board.spans[0].start : board.spans[0].end] == "The"


@pytest.mark.parametrize("ending", ["escape", "nothing written"])
def test_that_writing_can_be_given_up(board: CandidateBoard, qtbot: QtBot, ending: str) -> None:
    select(board, 0, "fox")
    board.comment()
    field = board.cards[0].comments.field
    with qtbot.waitSignal(board.released):
        if ending == "escape":
            QTest.keyClicks(field, "half a")
            QTest.keyClick(field, K.Key_Escape)
        else:
            QTest.keyClick(field, K.Key_Return)
    assert board.spans == ()
    assert not board.cards[0].comments.isVisible()
    assert not board.cards[0].pane.textCursor().hasSelection()


def test_that_the_list_edits_and_deletes_by_mouse_and_undo_brings_back(board: CandidateBoard) -> None:
    write(board, 0, "red", "one")
    write(board, 0, "home", "two")
    buttons = {b.accessibleName(): b for b in board.cards[0].comments.findChildren(QPushButton)}
    QTest.mouseClick(buttons["Delete comment 1"], Qt.MouseButton.LeftButton)
    assert [s.comment for s in board.spans] == ["two"]
    assert board.undo_comment()
    assert board.undo_comment()
    assert [s.comment for s in board.spans] == ["one"]
    assert board.redo_comment()
    assert [s.comment for s in board.spans] == ["one", "two"]


def test_that_numbers_are_painted_behind_what_they_are_about(board: CandidateBoard, theme: Theme) -> None:
    def accents() -> int:
        shown: QImage = board.cards[0].pane.viewport().grab().toImage()
        tone = theme.colours.accent.lower()
        return sum(shown.pixelColor(x, y).name() == tone for x in range(shown.width()) for y in range(40))

    before = accents()
    board.set_spans([span(0, 3, candidate=1)])
    assert accents() > before + 40


@given(st.data())
@settings(deadline=None, max_examples=40)
def test_that_any_selection_comes_back_as_it_was(qapp: object, theme: Theme, data: st.DataObject) -> None:
    from workbench.gui.pages.annotate.caret import CommentPane

    words = data.draw(
        st.sampled_from(
            [TEXTS[0], "a $x^2$ b\n\n|c|d|\n|-|-|\n|e|🦊|", "1. שלום\n2. `x` &amp; y\n\n> ``z``\r\nq\u202e"]
        )
    )
    pane = CommentPane(theme, "pane")
    pane.show_text(words, raw=data.draw(st.booleans()))
    last = pane.document().characterCount() - 1
    start = data.draw(st.integers(0, last))
    end = data.draw(st.integers(start, last))
    cursor = QTextCursor(pane.document())
    cursor.setPosition(start)
    cursor.setPosition(end, QTextCursor.MoveMode.KeepAnchor)
    pane.setTextCursor(cursor)
    found = pane.places.source(start, end)
    if found is not None:
        again = pane.places.document(*found)
        assert again is not None
        assert pane.places.source(*again) == found
    pane.deleteLater()


def test_that_comments_go_into_the_judgement_and_come_back_with_undo(
    qtbot: QtBot, window: Window, bench: Workbench, visit: Callable[..., object], press: Callable[..., None]
) -> None:
    for number in range(2):
        texts = ("The **first** one", "Another")
        bench.labelling.add_item(
            "pairs",
            Item(
                id=f"i{number}",
                prompt=Prompt.from_text(f"p{number}"),
                candidates=tuple(Candidate(text=t) for t in texts),
            ),
        )
    page = visit("annotate")
    assert isinstance(page, AnnotatePage)
    board, shown = page.desk.board, page.presentation
    assert shown is not None
    place = shown.shown.index(0)
    select(board, place, "first")
    press("c")
    press(*"why", "1", K.Key_Return)  # typed, not judged
    assert page.presentation is shown
    wanted = (Span(candidate=0, start=6, end=11, comment="why1"),)
    assert board.spans == wanted
    press("1")
    judged = bench.labelling.last_presentation("pairs")
    assert judged is not None
    assert judged.item.id == shown.item.id
    assert board.spans == ()
    press(("z", CTRL))
    assert page.presentation is not None
    assert page.presentation.previous is not None
    assert page.presentation.previous.spans == wanted
    assert board.spans == wanted


def test_that_undo_takes_back_a_comment_before_the_last_judgement(
    window: Window, visit: Callable[..., object], fill: Callable[..., None], press: Callable[..., None]
) -> None:
    fill(3)
    page = visit("annotate")
    assert isinstance(page, AnnotatePage)
    press("1")
    here = page.presentation
    select(page.desk.board, 0, "Story")
    press("c")
    press(*"hm", K.Key_Return)
    assert len(page.desk.board.spans) == 1
    press(("z", CTRL))
    assert page.desk.board.spans == ()
    assert page.presentation == here
    press(("z", CTRL | SHIFT))
    assert len(page.desk.board.spans) == 1
    press(("z", CTRL), ("z", CTRL))
    assert page.presentation != here


def test_that_no_key_judges_while_the_caret_selects(
    window: Window, visit: Callable[..., object], fill: Callable[..., None], press: Callable[..., None]
) -> None:
    fill(2)
    page = visit("annotate")
    assert isinstance(page, AnnotatePage)
    here = page.presentation
    press("c", "1", "2", "0", "x", "s")
    assert page.presentation == here
    assert page.desk.skip.isHidden()
    press(K.Key_Escape, "1")
    assert page.presentation != here


def test_that_comments_that_were_not_judged_survive_in_the_draft(
    qtbot: QtBot, window: Window, bench: Workbench, visit: Callable[..., object], fill: Callable[..., None],
    press: Callable[..., None],
) -> None:  # fmt: skip
    fill(2, candidates=3)
    page = visit("annotate")
    assert isinstance(page, AnnotatePage)
    select(page.desk.board, 1, "Story")
    press("c")
    press(*"hm", K.Key_Return)
    kept = page.desk.board.spans
    assert len(kept) == 1
    assert page.desk.body()["spans"] == [kept[0].model_dump()]
    page.crew.drafts.flush()
    qtbot.waitUntil(lambda: window.bridge.busy == 0)
    item, _ = bench.labelling.start("pairs")
    assert item is not None
    assert item.draft is not None
    page.desk.board.set_spans(())
    page.desk.restore(item.draft)
    assert page.desk.board.spans == kept


def test_that_a_comment_that_is_said_twice_is_kept_once() -> None:
    assert Comments([span(2, 4), span(0, 3), span(2, 4)]).spans == (span(0, 3), span(2, 4))


def test_that_only_one_field_is_open_at_a_time(board: CandidateBoard) -> None:
    for place, words in ((0, "home"), (1, "blue")):
        select(board, place, words)
        board.comment()
        board.cards[place].pane.setTextCursor(QTextCursor(board.cards[place].pane.document()))
    assert [card.comments.editor.isVisible() for card in board.cards] == [False, True]
    QTest.keyClicks(board.cards[1].comments.field, "sky")
    QTest.keyClick(board.cards[1].comments.field, K.Key_Return)
    assert [(s.candidate, s.comment) for s in board.spans] == [(0, "sky")]


def test_that_a_caret_does_not_outlive_its_text(board: CandidateBoard) -> None:
    board.comment()
    assert board.cards[0].pane.caret
    board.show_texts(["another", "item"], raw=False, differences=False)
    assert not board.cards[0].pane.caret
    assert board.cards[0].pane.focusPolicy() is Qt.FocusPolicy.NoFocus


@pytest.mark.parametrize("key", [K.Key_Delete, K.Key_Backspace])
def test_that_a_comment_is_deleted_where_the_caret_is(board: CandidateBoard, key: Qt.Key) -> None:
    board.set_spans([Span(candidate=1, start=0, end=3, comment="which?"), span(0, 3)])
    board.comment()
    QTest.keyClick(board.cards[0].pane, key)
    assert board.spans == (span(0, 3),)
