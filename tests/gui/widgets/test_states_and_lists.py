"""Empty, busy, failed; labels, buttons and lists; one row in full."""

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QAccessible, QTextDocument
from PySide6.QtWidgets import QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget
from pytestqt.qtbot import QtBot

from workbench.domain.errors import BadInput
from workbench.gui.theme import DARK, LIGHT, Theme
from workbench.gui.widgets.basics import Card, Elided, KeyHint, button, clear, plain_tip, restyle, rule, text, wear_icon
from workbench.gui.widgets.markdown import MarkdownView
from workbench.gui.widgets.row_panel import RowPanel
from workbench.gui.widgets.states import BusyState, EmptyState, ErrorState
from workbench.gui.widgets.two_line_list import Line, TwoLineList
from workbench.services.views import RowView


def words_of(widget: QWidget) -> list[str]:
    return [label.text() for label in widget.findChildren(QLabel) if label.isVisibleTo(widget) and label.text()]


def test_that_an_empty_state_without_steps_has_no_buttons(qtbot: QtBot, theme: Theme) -> None:
    state = EmptyState("Nothing", "Here.", name="page.empty", glyph="data", theme=theme)
    qtbot.addWidget(state)
    assert words_of(state) == ["Nothing", "Here."]
    assert state.findChildren(QPushButton) == state.buttons == []


def test_that_steps_are_named_in_order_and_only_the_first_is_the_main_one(qtbot: QtBot) -> None:
    state = EmptyState("T", "W", ("a", list), ("b", list), ("c", list), name="page.empty")
    qtbot.addWidget(state)
    assert [b.objectName() for b in state.buttons] == [f"page.empty.step{n}" for n in (1, 2, 3)]
    assert [b.property("role") for b in state.buttons] == ["primary", None, None]
    assert [b.accessibleName() for b in state.buttons] == ["a", "b", "c"]


def test_that_words_of_a_state_are_plain_text_that_wraps(qtbot: QtBot) -> None:
    state = EmptyState("<b>T</b>", "x " * 200)
    qtbot.addWidget(state)
    assert state.title.textFormat() is Qt.TextFormat.PlainText
    assert state.words.wordWrap()
    assert state.minimumSizeHint().width() <= 640


@pytest.mark.parametrize("glyph", ["data", ""])
def test_that_the_icon_of_a_state_follows_the_theme(qtbot: QtBot, theme: Theme, glyph: str) -> None:
    state = EmptyState("T", "W", glyph=glyph, theme=theme)
    qtbot.addWidget(state)
    state.show()
    mark = next(label for label in state.findChildren(QLabel) if not label.text())
    light = mark.pixmap().toImage()
    theme.apply("dark")
    dark = mark.pixmap().toImage()
    theme.apply("light")
    assert (light != dark) == bool(glyph)
    assert mark.isVisible() == bool(glyph)


@pytest.mark.parametrize(
    ("done", "total", "words", "shown"),
    [
        (0, 0, "", "0"), (1_234, 0, "", "1,234"), (0, 10, "", "0 of 10 (0 %)"), (1, 3, "", "1 of 3 (33 %)"),
        (3, 3, "", "3 of 3 (100 %)"), (2, 3, "two files", "two files"),
    ],
)  # fmt: skip
def test_that_progress_is_told_as_a_number(qtbot: QtBot, done: int, total: int, words: str, shown: str) -> None:
    state = BusyState("Reading")
    qtbot.addWidget(state)
    state.tell(done, total, words)
    assert state.number.text() == shown
    assert state.bar.maximum() == total


@pytest.mark.parametrize("total", [2**31, 5 * 2**30, 2**45])
def test_that_progress_through_a_file_of_many_gibibytes_does_not_fail(qtbot: QtBot, total: int) -> None:
    state = BusyState("Reading")
    qtbot.addWidget(state)
    state.tell(total // 2, total)
    assert state.bar.value() / state.bar.maximum() == pytest.approx(0.5, abs=0.01)
    assert "(50 %)" in state.number.text()
    state.tell(2**40, 0)
    assert state.bar.maximum() == 0


def test_that_work_that_cannot_be_cancelled_offers_no_button(qtbot: QtBot) -> None:
    state = BusyState("Opening", name="window.busy")
    qtbot.addWidget(state)
    assert state.findChildren(QPushButton) == []
    assert (state.bar.objectName(), state.bar.accessibleName()) == ("window.busy.bar", "Opening")
    assert (state.bar.minimum(), state.bar.maximum()) == (0, 0), "nobody knows yet how long"


def test_that_an_error_without_hint_retry_or_details_is_just_its_words(qtbot: QtBot, theme: Theme) -> None:
    state = ErrorState(BadInput("It broke."), theme=theme)
    qtbot.addWidget(state)
    assert state.hint is None
    assert words_of(state) == ["It broke."]
    assert state.findChildren(QPushButton) == []
    assert state.accessibleName() == "Error: It broke."


def test_that_details_come_and_go_and_can_be_copied_but_not_changed(qtbot: QtBot) -> None:
    state = ErrorState(BadInput("W", "H", "line 1\nline 2"), name="x.error")
    qtbot.addWidget(state)
    state.show()
    more = state.findChild(QPushButton, "x.error.show_details")
    assert more is not None
    for visible in (True, False, True):
        qtbot.mouseClick(more, Qt.MouseButton.LeftButton)
        assert state.details.isVisible() is visible
    assert state.details.toPlainText() == "line 1\nline 2"
    assert state.details.isReadOnly()


def test_that_an_error_can_be_tried_again_with_the_keyboard(qtbot: QtBot) -> None:
    tries: list[bool] = []
    state = ErrorState(BadInput("W"), lambda: tries.append(True))
    qtbot.addWidget(state)
    state.show()
    again = state.findChild(QPushButton, "error.retry")
    assert again is not None
    again.setFocus()
    qtbot.keyClick(again, Qt.Key.Key_Space)
    assert tries == [True]


def test_that_a_label_shows_markup_as_it_stands(qtbot: QtBot) -> None:
    label = text("<b>x</b> & y", "quiet", wrap=True, select=True)
    qtbot.addWidget(label)
    assert label.textFormat() is Qt.TextFormat.PlainText
    assert label.property("role") == "quiet"
    assert label.textInteractionFlags() & Qt.TextInteractionFlag.TextSelectableByMouse


def test_that_a_button_is_heard_once_and_has_a_name_to_read(qtbot: QtBot) -> None:
    done: list[int] = []
    made = button("+", "x.add", lambda: done.append(1), "flat", accessible="Add a row", tip="Adds one")
    qtbot.addWidget(made)
    qtbot.mouseClick(made, Qt.MouseButton.LeftButton)
    assert done == [1]
    assert (made.objectName(), made.accessibleName(), made.toolTip()) == ("x.add", "Add a row", "Adds one")
    assert not made.autoDefault(), "Enter in a field must not press it"


def test_that_an_icon_changes_with_the_theme_until_its_button_is_gone(qtbot: QtBot, theme: Theme) -> None:
    import shiboken6

    made = wear_icon(button("Go", "x.go", list), "check", theme)
    light = made.icon().pixmap(16).toImage()
    theme.apply("dark")
    assert made.icon().pixmap(16).toImage() != light
    shiboken6.delete(made)
    theme.apply("light")


def test_that_restyling_is_seen_at_once(qtbot: QtBot, theme: Theme) -> None:
    label = text("words", "quiet")
    qtbot.addWidget(label)
    label.show()
    restyle(label, role="bad")
    assert label.palette().windowText().color().name().upper() == LIGHT.bad
    restyle(label, role="good")
    assert label.palette().windowText().color().name().upper() == LIGHT.good


def test_that_a_card_is_named_by_its_heading(qtbot: QtBot) -> None:
    card, bare = Card("Disk"), Card()
    qtbot.addWidget(card)
    qtbot.addWidget(bare)
    assert card.accessibleName() == "Disk"
    assert words_of(card) == ["Disk"]
    assert bare.accessibleName() == ""
    assert rule().property("role") == "rule"
    hint = KeyHint("Ctrl+K", "Find")
    qtbot.addWidget(hint)
    assert words_of(hint) == ["Ctrl+K", "Find"]


def test_that_clearing_a_layout_empties_the_layouts_inside_it(qtbot: QtBot) -> None:
    holder = QWidget()
    qtbot.addWidget(holder)
    outer, inner = QVBoxLayout(holder), QHBoxLayout()
    labels = [text(str(n)) for n in range(3)]
    outer.addWidget(labels[0])
    outer.addLayout(inner)
    inner.addWidget(labels[1])
    inner.addWidget(labels[2])
    outer.addStretch(1)
    clear(outer)
    assert outer.count() == inner.count() == 0
    assert all(label.isHidden() for label in labels)


@pytest.mark.parametrize("words", ["plain", "<b>x</b>", "a & b", "two\n  lines <x>", '"q" <', "&lt;"])
def test_that_a_tip_shows_any_words_as_they_stand(words: str) -> None:
    tip = plain_tip(words)
    paper = QTextDocument()
    paper.setHtml(tip)
    assert tip == words or paper.toPlainText() == words


@pytest.mark.parametrize("words", ["short", "a long name " * 20, "שלום עולם " * 20, ""])
def test_that_a_cut_line_is_read_aloud_whole(qtbot: QtBot, theme: Theme, words: str) -> None:
    label = Elided("quiet", words)
    qtbot.addWidget(label)
    label.resize(90, 20)
    label.show()
    aloud = QAccessible.queryAccessibleInterface(label)
    assert aloud is not None
    assert label.text() == words
    assert aloud.text(QAccessible.Text.Name) == words
    assert label.cut.endswith("…") == (len(words) > 20)


def test_that_a_cut_line_is_cut_again_when_it_widens_or_its_letters_grow(qtbot: QtBot) -> None:
    label = Elided("", "just some twenty letters")
    qtbot.addWidget(label)
    label.resize(400, 20)
    label.show()
    assert not label.cut.endswith("…")
    font = label.font()
    font.setPixelSize(60)
    label.setFont(font)
    assert label.cut.endswith("…")
    label.resize(2000, 80)
    assert not label.cut.endswith("…")


@pytest.fixture
def lines(qtbot: QtBot, theme: Theme) -> TwoLineList:
    made = TwoLineList(theme, "list", "Things")
    qtbot.addWidget(made)
    made.resize(220, 220)
    made.show()
    return made


def test_that_a_list_with_nothing_in_it_has_no_key(lines: TwoLineList) -> None:
    lines.show_lines([])
    assert lines.key() == ""
    assert not lines.choose("a")
    assert not lines.grab().isNull()


def test_that_arrows_choose_in_a_list(lines: TwoLineList, qtbot: QtBot) -> None:
    heard: list[str] = []
    lines.chosen.connect(heard.append)
    lines.show_lines([Line(k, k.upper(), "under") for k in "abc"])
    lines.choose("a")
    qtbot.keyClick(lines, Qt.Key.Key_Down)
    qtbot.keyClick(lines, Qt.Key.Key_End)
    assert heard == ["a", "b", "c"]


def test_that_a_quiet_choice_and_a_new_list_are_not_told(lines: TwoLineList) -> None:
    heard: list[str] = []
    lines.show_lines([Line(k, k, "") for k in "abc"])
    lines.chosen.connect(heard.append)
    assert lines.choose("b", quietly=True)
    lines.show_lines([Line(k, k, "") for k in "cba"])
    assert (lines.key(), heard) == ("b", [])
    lines.show_lines([Line("x", "x", "")])
    assert (lines.key(), heard) == ("", [])


def test_that_an_entry_is_read_aloud_with_both_lines(lines: TwoLineList) -> None:
    lines.show_lines([Line("k", "<i>Title</i>", "under & more", "mark")])
    entry = lines.item(0)
    assert entry.data(Qt.ItemDataRole.AccessibleTextRole) == "<i>Title</i>, under & more"
    paper = QTextDocument()
    paper.setHtml(entry.toolTip())
    assert paper.toPlainText() == "<i>Title</i>\nunder & more"


def test_that_entries_grow_with_the_letters(lines: TwoLineList, theme: Theme) -> None:
    lines.show_lines([Line("k", "t", "u")])
    small = lines.sizeHintForRow(0)
    theme.apply("light", 20)
    large = lines.sizeHintForRow(0)
    theme.apply("light")
    assert large == small + 14


@pytest.fixture
def panel(qtbot: QtBot, theme: Theme) -> RowPanel:
    made = RowPanel(theme, "row")
    qtbot.addWidget(made)
    return made


def test_that_no_row_says_how_to_get_one(panel: RowPanel) -> None:
    assert words_of(panel) == ["One row", "Choose a row to read it in full."]
    assert not panel.raw.isVisibleTo(panel)


def test_that_a_row_shows_texts_in_order_with_names_and_the_facts(panel: RowPanel) -> None:
    panel.show_row(
        RowView(1_233, "x", "t", (("Prompt", "p"), ("Chosen", " \n")), (("Source", "a.jsonl"), ("Line", "7")))
    )
    shown = words_of(panel)
    assert shown == ["Row 1,234", "Prompt", "Chosen", "(empty)", "Source", "a.jsonl", "Line", "7"]
    view = panel.findChild(MarkdownView, "row.text.prompt")
    assert view is not None
    assert view.accessibleName() == "Prompt"


def test_that_raw_stays_raw_for_the_next_row(panel: RowPanel) -> None:
    panel.show_row(RowView(0, "x", "t", (("Prompt", "*a*"),), ()))
    panel.raw.setChecked(True)
    panel.show_row(RowView(1, "y", "t", (("Prompt", "*b*"),), ()))
    views = [v for v in panel.findChildren(MarkdownView) if v.isVisibleTo(panel)]
    assert [v.toPlainText() for v in views] == ["*b*"]


def test_that_chosen_and_rejected_have_their_colours_in_both_themes(panel: RowPanel, theme: Theme) -> None:
    panel.show_row(RowView(0, "x", "t", (("Chosen", "a"), ("Rejected", "b")), ()))

    def sheets() -> list[str]:
        return [
            label.styleSheet() for label in panel.findChildren(QLabel) if label.styleSheet() and not label.isHidden()
        ]

    assert sheets() == [f"color: {LIGHT.chosen}", f"color: {LIGHT.rejected}"]
    theme.apply("dark")
    dark = sheets()
    theme.apply("light")
    assert dark == [f"color: {DARK.chosen}", f"color: {DARK.rejected}"]
