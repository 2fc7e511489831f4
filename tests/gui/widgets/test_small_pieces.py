"""Names on buttons, lines that are cut, titles that change, and other small pieces: to the letter, in any width, for any reader."""

from collections.abc import Iterator
from typing import Any

import pytest
from PySide6.QtCore import QEvent, Qt
from PySide6.QtGui import QColor, QTextDocument
from PySide6.QtWidgets import (
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)
from pytestqt.qtbot import QtBot

from workbench.domain.errors import BadInput
from workbench.gui.theme import Theme
from workbench.gui.widgets.basics import (
    Elided,
    KeyHint,
    NameButton,
    button,
    clear,
    plain_tip,
    restyle,
    retitle,
    text,
    wear_icon,
)
from workbench.gui.widgets.states import BusyState, EmptyState, ErrorState, show_error

NAMES = ["dpo-7", "R&D", "&&", "<b>bold</b>", "a < b", "x &amp; y", "שלום", "日本語", "naïve café", "-", "a" * 60]


@pytest.fixture
def row(qtbot: QtBot) -> Iterator[QHBoxLayout]:
    made = QWidget()
    qtbot.addWidget(made)
    made.resize(300, 40)
    layout = QHBoxLayout(made)
    layout.setContentsMargins(0, 0, 0, 0)
    made.show()
    yield layout
    made.close()


def settle(row: QHBoxLayout, width: int = 0) -> None:
    if width:
        row.parentWidget().resize(width, 40)
    for place in range(row.count()):
        if (widget := row.itemAt(place).widget()) is not None:
            widget.show()
    row.activate()


# -- names on buttons --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_that_a_name_on_a_button_is_shown_to_the_letter(row: QHBoxLayout, theme: Theme, name: str) -> None:
    made = NameButton(name, "x", lambda: None)
    row.addWidget(made)
    settle(row, 900)
    assert made.text().replace("&&", "&") == name
    assert made.shortcut().isEmpty(), "an ampersand is no shortcut"
    assert made.accessibleName() == name


@pytest.mark.parametrize("name", NAMES)
def test_that_the_tip_of_a_name_reads_as_the_name(theme: Theme, qtbot: QtBot, name: str) -> None:
    made = NameButton(name, "x", lambda: None)
    qtbot.addWidget(made)
    if "<" in made.toolTip() or "&lt;" in made.toolTip():  # then Qt takes a tip for HTML
        paper = QTextDocument()
        paper.setHtml(made.toolTip())
        assert paper.toPlainText() == name
    else:
        assert made.toolTip() == name


def test_that_a_name_gives_way_and_comes_back(row: QHBoxLayout, theme: Theme) -> None:
    made = NameButton("the-first-half-and-the-second-half", "x", lambda: None)
    row.addWidget(made)
    settle(row, 140)
    cut = made.text()
    assert "…" in cut
    assert cut.startswith("the")
    assert cut.endswith("half")
    assert made.fontMetrics().horizontalAdvance(cut) <= 140
    settle(row, 900)
    assert made.text() == "the-first-half-and-the-second-half"


def test_that_another_name_is_fitted_before_it_is_seen(row: QHBoxLayout, theme: Theme) -> None:
    made = NameButton("a", "x", lambda: None)
    row.addWidget(made)
    row.addStretch(1)
    settle(row)
    made.show_name("a-longer-name", "Open a longer name")
    assert made.text() == "a-longer-name"
    assert (made.accessibleName(), made.toolTip()) == ("Open a longer name", "a-longer-name")
    made.show_name("w" * 200)
    assert "…" in made.text()
    assert row.parentWidget().width() == 300
    assert made.accessibleName() == "w" * 200


def test_that_a_name_is_pressed_with_mouse_and_keyboard(row: QHBoxLayout, theme: Theme, qtbot: QtBot) -> None:
    pressed: list[int] = []
    made = NameButton("a&b", "x", lambda: pressed.append(1))
    row.addWidget(made)
    settle(row)
    qtbot.mouseClick(made, Qt.MouseButton.LeftButton)
    made.setFocus()
    qtbot.keyClick(made, Qt.Key.Key_Space)
    assert sum(pressed) == 2


# -- lines that are cut ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("hug", [False, True])
def test_that_a_line_never_asks_for_more_than_there_is(row: QHBoxLayout, theme: Theme, hug: bool) -> None:
    line = Elided("quiet", "word " * 100, hug=hug)
    row.addWidget(line)
    settle(row)
    assert row.parentWidget().minimumSizeHint().width() <= 40
    assert line.width() <= 300
    assert line.cut.endswith("…")
    assert line.text() == "word " * 100
    assert line.toolTip() == "word " * 100


def test_that_a_line_that_hugs_is_as_wide_as_its_words(row: QHBoxLayout, theme: Theme) -> None:
    line, after = Elided("section", "a", hug=True), text("state")
    row.addWidget(line)
    row.addWidget(after)
    row.addStretch(1)
    settle(row)
    for words in ("a", "a name of some length", "b"):
        line.setText(words)
        settle(row)
        assert line.cut == words
        assert after.x() - line.geometry().right() < 12
        assert line.width() <= line.fontMetrics().horizontalAdvance(words) + 24


def test_that_a_line_that_does_not_hug_lays_nothing_out_anew(row: QHBoxLayout, theme: Theme, qtbot: QtBot) -> None:
    line = Elided("quiet", "a")
    row.addWidget(line)
    settle(row)
    asked: list[QEvent.Type] = []

    class Ear(QWidget):
        def eventFilter(self, watched: Any, event: QEvent) -> bool:
            asked.append(event.type())
            return False

    ear = Ear()
    qtbot.addWidget(ear)
    row.parentWidget().installEventFilter(ear)
    line.setText("other and longer words")
    assert QEvent.Type.LayoutRequest not in asked


@pytest.mark.parametrize(
    ("words", "tip"),
    [("plain", "plain"), ("a\nb", "a\nb"), ("1 < 2", '<p style="white-space: pre-wrap">1 &lt; 2</p>'), ("", "")],
)
def test_that_a_tip_keeps_signs_and_lines(words: str, tip: str) -> None:
    assert plain_tip(words) == tip


# -- titles, icons, keys -----------------------------------------------------------------------------------------------


def test_that_a_new_title_is_seen_and_heard_and_keeps_its_distance_from_the_icon(theme: Theme, qtbot: QtBot) -> None:
    made = wear_icon(button("Start", "x", lambda: None), "train", theme)
    qtbot.addWidget(made)
    assert (made.text(), made.accessibleName()) == (" Start", "Start")
    retitle(made, "Queue")
    assert (made.text(), made.accessibleName()) == (" Queue", "Queue")
    bare = button("Stop", "y", lambda: None)
    qtbot.addWidget(bare)
    retitle(bare, "Stop at once")
    assert (bare.text(), bare.accessibleName()) == ("Stop at once", "Stop at once")


@pytest.mark.parametrize(
    ("role", "tone", "wanted"),
    [("", "", "text"), ("primary", "", "on_accent"), ("danger", "bad", "bad"), ("flat", "", "text")],
)
def test_that_an_icon_has_the_ink_of_its_button_in_both_themes(
    either: Theme, qtbot: QtBot, role: Any, tone: str, wanted: str
) -> None:
    made = wear_icon(button("Do", "x", lambda: None, role), "stop", either, tone)
    qtbot.addWidget(made)
    picture = made.icon().pixmap(16, 16).toImage()
    inks = [picture.pixelColor(x, y) for x in range(picture.width()) for y in range(picture.height())]
    ink = max(inks, key=lambda colour: colour.alpha())
    assert ink.alpha() > 100
    aim = QColor(getattr(either.colours, wanted))
    assert max(abs(ink.red() - aim.red()), abs(ink.green() - aim.green()), abs(ink.blue() - aim.blue())) <= 3


def test_that_a_button_hands_its_function_no_surprise(theme: Theme, qtbot: QtBot) -> None:
    seen: list[tuple[Any, ...]] = []
    made = button("Do", "x", lambda *given: seen.append(given), tip="Does it", accessible="Do the thing")
    qtbot.addWidget(made)
    qtbot.mouseClick(made, Qt.MouseButton.LeftButton)
    assert seen == [()]
    assert (made.toolTip(), made.accessibleName(), made.autoDefault()) == ("Does it", "Do the thing", False)


def test_that_a_key_and_its_words_stand_side_by_side(theme: Theme, qtbot: QtBot) -> None:
    hint = KeyHint("<", "less & more")
    qtbot.addWidget(hint)
    cap, words = hint.findChildren(QLabel)
    assert (cap.text(), cap.property("role"), words.text(), words.property("role")) == (
        "<",
        "key",
        "less & more",
        "quiet",
    )
    assert cap.textFormat() is Qt.TextFormat.PlainText


@pytest.mark.parametrize("kind", [QVBoxLayout, QHBoxLayout, QGridLayout])
def test_that_any_layout_is_emptied_with_what_is_inside_it(theme: Theme, qtbot: QtBot, kind: type) -> None:
    holder = QWidget()
    qtbot.addWidget(holder)
    layout = kind(holder)
    inner = QHBoxLayout()
    deep = QLabel("deep")
    inner.addWidget(deep)
    layout.addWidget(QLabel("flat"))
    layout.addLayout(inner, *((1, 0) if kind is QGridLayout else ()))
    holder.show()
    clear(layout)
    assert layout.count() == 0
    assert deep.isHidden()
    qtbot.waitUntil(lambda: not holder.findChildren(QLabel))


def test_that_restyling_with_the_same_value_touches_nothing(theme: Theme, qtbot: QtBot) -> None:
    label = text("a", "quiet")
    qtbot.addWidget(label)
    polished: list[int] = []

    class Style:
        def unpolish(self, _widget: QWidget) -> None:
            polished.append(0)

        def polish(self, _widget: QWidget) -> None:
            polished.append(1)

    label.style = lambda: Style()  # type: ignore[method-assign,assignment,return-value]
    restyle(label, role="quiet")
    assert polished == []
    restyle(label, role="bad")
    assert polished == [0, 1]
    assert label.property("role") == "bad"


# -- states ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def stack(qtbot: QtBot, theme: Theme) -> QStackedWidget:
    made = QStackedWidget()
    qtbot.addWidget(made)
    made.addWidget(BusyState("Reading"))
    made.resize(1024, 640)
    made.show()
    return made


def test_that_an_error_stands_in_front_and_a_second_one_replaces_it(stack: QStackedWidget, theme: Theme) -> None:
    tried: list[int] = []
    for n in range(3):
        show_error(stack, BadInput(f"No {n}.", "Mend it."), lambda n=n: tried.append(n), "x.error", theme)  # type: ignore[misc]
    front = stack.currentWidget()
    assert isinstance(front, ErrorState)
    assert front.what.text() == "No 2."
    assert stack.count() == 2
    front.findChild(QPushButton, "x.error.retry").click()
    assert tried == [2]


def test_that_an_error_takes_no_other_states_place(stack: QStackedWidget, theme: Theme) -> None:
    empty = EmptyState("Nothing", "Do this.")
    stack.addWidget(empty)
    show_error(stack, BadInput("No.", ""), lambda: None, "x.error", theme)
    assert stack.count() == 3
    assert stack.indexOf(empty) == 1
    assert isinstance(stack.widget(0), BusyState)


@pytest.mark.parametrize(
    ("done", "total", "words", "value"),
    [
        (0, 0, "0", (0, 0)), (12_345, 0, "12,345", (0, 0)), (1, 3, "1 of 3 (33 %)", (3, 1)),
        (2_000, 2_000, "2,000 of 2,000 (100 %)", (2_000, 2_000)), (999, 1_000, "999 of 1,000 (99 %)", (1_000, 999)),
    ],
)  # fmt: skip
def test_that_a_busy_state_gives_a_number_and_never_says_100_too_early(
    theme: Theme, qtbot: QtBot, done: int, total: int, words: str, value: tuple[int, int]
) -> None:
    state = BusyState("Reading")
    qtbot.addWidget(state)
    state.tell(done, total)
    assert state.number.text() == words
    assert (state.bar.maximum(), max(0, state.bar.value())) == value


@pytest.mark.parametrize("width", [900, 1024, 1280])
def test_that_states_stand_whole_in_any_window(either: Theme, qtbot: QtBot, width: int) -> None:
    for state in (
        EmptyState("A title of some length", "Words. " * 40, ("One", lambda: None), ("Two", lambda: None), glyph="runs", theme=either),
        ErrorState(BadInput("It broke. " * 12, "Mend it. " * 20, "trace"), lambda: None, more=("Other way", lambda: None), theme=either),
        BusyState("Reading a file with a long name. " * 4, lambda: None),
    ):  # fmt: skip
        qtbot.addWidget(state)
        state.resize(width - 60, 548)
        state.show()
        for part in (*state.findChildren(QLabel), *state.findChildren(QPushButton)):
            if part.isVisible():
                assert state.rect().contains(part.mapTo(state, part.rect().topLeft())), part
                assert state.rect().contains(part.mapTo(state, part.rect().bottomRight())), part
                if isinstance(part, QLabel) and part.text():
                    assert part.height() >= part.heightForWidth(part.width())
        state.close()
