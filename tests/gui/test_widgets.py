"""The small widgets: states, Markdown, tables, family tree, lists, words, notices, palette."""

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import QEvent, QObject, QPoint, Qt, QUrl
from PySide6.QtGui import QTextDocument
from PySide6.QtWidgets import QApplication, QHBoxLayout, QPushButton, QToolButton, QWidget
from pytestqt.qtbot import QtBot

from workbench.domain.errors import BadInput
from workbench.domain.runs import JobState
from workbench.gui.notify import MOST_CARDS, Notifier
from workbench.gui.palette import Entry, FindPalette, best
from workbench.gui.pulse import machine_words
from workbench.gui.status_bar import StatusBar
from workbench.gui.theme import DARK, LIGHT, Theme
from workbench.gui.widgets.basics import Elided, Figure, KeyHint
from workbench.gui.widgets.lineage import LineageView, Member, arrange
from workbench.gui.widgets.markdown import MarkdownView, to_html
from workbench.gui.widgets.row_panel import RowPanel
from workbench.gui.widgets.run_row import RunRow, headline, progress_words
from workbench.gui.widgets.states import BusyState, EmptyState, ErrorState
from workbench.gui.widgets.table import PAGE, ColumnOf, VirtualTable
from workbench.gui.widgets.two_line_list import Line, TwoLineList
from workbench.gui.widgets.words import ago, count, duration, short, size
from workbench.services.hardware import Gpu, HardwareSummary
from workbench.services.views import RowView, RunView

# -- states ------------------------------------------------------------------------------------------------------------


def test_that_an_empty_state_offers_its_steps(qtbot: QtBot, theme: Theme) -> None:
    done: list[str] = []
    state = EmptyState(
        "Nothing",
        "Do this.",
        ("One", lambda: done.append("one")),
        ("Two", lambda: done.append("two")),
        theme=theme,
        glyph="data",
    )
    qtbot.addWidget(state)
    for button in state.buttons:
        qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
    assert done == ["one", "two"]
    assert state.buttons[0].property("role") == "primary"


def test_that_a_busy_state_shows_a_number_and_can_be_cancelled(qtbot: QtBot) -> None:
    done: list[bool] = []
    state = BusyState("Reading", lambda: done.append(True))
    qtbot.addWidget(state)
    state.tell(250, 1000)
    assert state.number.text() == "250 of 1,000 (25 %)"
    assert state.bar.value() == 250
    state.tell(7, 0)
    assert state.number.text() == "7"
    qtbot.mouseClick(state.cancel_button, Qt.MouseButton.LeftButton)
    assert done == [True]


def test_that_an_error_state_says_what_and_keeps_details_until_asked(qtbot: QtBot, theme: Theme) -> None:
    state = ErrorState(BadInput("The file is empty.", "Choose another.", "trace"), lambda: None, theme=theme)
    qtbot.addWidget(state)
    state.show()
    assert state.what.text() == "The file is empty."
    assert state.hint is not None
    assert state.hint.text() == "Choose another."
    assert not state.details.isVisible()
    more = state.findChild(QPushButton, "error.show_details")
    assert more is not None
    qtbot.mouseClick(more, Qt.MouseButton.LeftButton)
    assert state.details.isVisible()


def test_that_a_long_line_is_cut_and_kept_whole_for_readers(qtbot: QtBot) -> None:
    label = Elided("quiet", "a very long name that no one has room for")
    qtbot.addWidget(label)
    label.resize(60, 20)
    label.show()
    assert label.text() == label.toolTip() == "a very long name that no one has room for"
    hint = KeyHint("Ctrl+K", "Find")
    qtbot.addWidget(hint)


# -- Markdown ----------------------------------------------------------------------------------------------------------

HOSTILE = '<script>x</script> <img src="http://tracker/1.png"> ![p](http://tracker/2.png) [l](javascript:x) **b**'


def test_that_html_of_a_model_stays_text() -> None:
    html = to_html(HOSTILE, LIGHT)
    assert "<script" not in html
    assert "<img" not in html
    assert "&lt;script&gt;" in html
    assert "[picture: p]" in html
    assert "<strong>b</strong>" in html
    assert "javascript:" not in html.split("href=")[-1] if "href=" in html else True


def test_that_no_resource_is_ever_loaded(qtbot: QtBot, theme: Theme, tmp_path: Path) -> None:
    view = MarkdownView(theme, "view")
    qtbot.addWidget(view)
    secret = tmp_path / "secret.txt"
    secret.write_text("secret")
    kind = QTextDocument.ResourceType.HtmlResource.value
    assert view.loadResource(kind, QUrl.fromLocalFile(str(secret))) is None
    assert view.loadResource(kind, QUrl("http://example.org/")) is None
    assert not view.openExternalLinks()
    view.show_text(HOSTILE)
    assert "tracker/1.png" in view.toPlainText()


def test_that_code_is_coloured_in_the_themes_tones() -> None:
    html = to_html("```python\ndef f():\n    return 'x'\n```", DARK)
    assert DARK.code_keyword in html
    assert DARK.code_string in html
    assert "<b>" not in to_html("```nolanguage\n<b>\n```", DARK)


def test_that_a_switch_shows_the_text_as_it_stands(qtbot: QtBot, theme: Theme) -> None:
    view = MarkdownView(theme, "view")
    qtbot.addWidget(view)
    view.show_text("# Title\n**bold**")
    assert view.toPlainText() == "Title\nbold"
    view.set_raw(True)
    assert view.toPlainText() == "# Title\n**bold**"
    assert view.raw
    assert view.text == "# Title\n**bold**"


def test_that_a_very_long_text_is_shown_raw_at_once(qtbot: QtBot, theme: Theme) -> None:
    view = MarkdownView(theme, "view")
    qtbot.addWidget(view)
    view.show_text("*a* " * 60_000)
    assert view.toPlainText().startswith("*a*")


def test_that_a_growing_view_is_as_high_as_its_text(qtbot: QtBot, theme: Theme) -> None:
    view = MarkdownView(theme, "view")
    qtbot.addWidget(view)
    view.grow_with_text()
    view.resize(300, 50)
    view.show()
    view.show_text("one")
    low = view.height()
    view.show_text("\n\n".join(["paragraph"] * 20))
    assert view.height() > 5 * low


def test_that_one_row_is_shown_in_full_with_facts_and_raw(qtbot: QtBot, theme: Theme) -> None:
    panel = RowPanel(theme, "row")
    qtbot.addWidget(panel)
    row = RowView(4, "x", "title", (("Prompt", "**p**"), ("Chosen", "yes"), ("Rejected", "")), (("Line", "5"),))
    panel.show_row(row)
    assert panel.title.text() == "Row 5"
    views = panel.findChildren(MarkdownView)
    assert [v.toPlainText() for v in views if v.isVisibleTo(panel)] == ["p", "yes"]
    panel.raw.setChecked(True)
    views = [v for v in panel.findChildren(MarkdownView) if v.isVisibleTo(panel)]
    assert views[0].toPlainText() == "**p**"
    panel.show_row(None)
    assert panel.row is None


# -- tables and lists --------------------------------------------------------------------------------------------------

COLUMNS = (ColumnOf("Number", str, number=True, width=80), ColumnOf("Square", lambda n: str(n * n)))


class Shelf:
    """A million rows, and a note of which pages were asked for."""

    def __init__(self, total: int) -> None:
        self.total = total
        self.asked: list[int] = []

    def fetch(self, offset: int, limit: int, deliver: Callable[[Sequence[Any]], Any]) -> None:
        self.asked.append(offset)
        deliver(range(offset, min(offset + limit, self.total)))


def test_that_a_million_rows_cost_only_the_pages_that_are_looked_at(qtbot: QtBot) -> None:
    shelf = Shelf(1_000_000)
    table = VirtualTable(COLUMNS, "table", "Numbers")
    qtbot.addWidget(table)
    table.resize(400, 300)
    table.show()
    table.rows.show(shelf.fetch, shelf.total)
    table.scrollToBottom()
    table.grab()
    assert table.rows.rowCount() == 1_000_000
    assert table.rows.row(999_999) == 999_999
    assert table.rows.data(table.rows.index(999_999, 1)) == "999998000001"
    assert len(shelf.asked) < 6


def test_that_a_search_grows_while_it_is_scrolled(qtbot: QtBot) -> None:
    shelf = Shelf(250)
    table = VirtualTable(COLUMNS, "table", "Numbers")
    qtbot.addWidget(table)
    table.rows.show(shelf.fetch, None)
    assert table.rows.rowCount() == PAGE
    while table.rows.canFetchMore(table.rootIndex()):
        table.rows.fetchMore(table.rootIndex())
    assert table.rows.rowCount() == 250


def test_that_rows_that_come_too_late_are_dropped(qtbot: QtBot) -> None:
    table = VirtualTable(COLUMNS, "table", "Numbers")
    qtbot.addWidget(table)
    late: list[Callable[[Sequence[Any]], Any]] = []
    table.rows.show(lambda _offset, _limit, deliver: late.append(deliver), 10)
    table.rows.prefetch(0)
    table.rows.show(Shelf(3).fetch, 3)
    late[0](range(10))
    assert table.rows.row(5) is None


def test_that_choosing_a_row_is_told(qtbot: QtBot) -> None:
    table = VirtualTable(COLUMNS, "table", "Numbers")
    qtbot.addWidget(table)
    chosen: list[int] = []
    table.on_row(chosen.append)
    table.rows.show(Shelf(30).fetch, 30)
    table.setCurrentIndex(table.rows.index(7, 0))
    assert chosen == [7]


def test_that_columns_share_the_room_until_one_is_dragged(qtbot: QtBot) -> None:
    columns = (ColumnOf("a", str, width=100), ColumnOf("b", str, share=0.5), ColumnOf("c", str, share=0.5))
    table = VirtualTable(columns, "table", "Shares")
    qtbot.addWidget(table)
    table.resize(700, 200)
    table.show()
    assert 250 <= table.columnWidth(1) <= 310
    table.setColumnWidth(1, 99)
    table.resize(900, 200)
    assert table.columnWidth(1) == 99


def test_that_a_list_keeps_what_was_chosen_when_it_changes(qtbot: QtBot, theme: Theme) -> None:
    lines = TwoLineList(theme, "list", "Things")
    qtbot.addWidget(lines)
    lines.resize(200, 200)
    lines.show()
    heard: list[str] = []
    lines.chosen.connect(heard.append)
    lines.show_lines([Line("a", "A", "first", "mark"), Line("b", "B", "second")])
    assert lines.choose("b")
    lines.show_lines([Line("b", "B", "now first"), Line("c", "C", "new")])
    assert lines.key() == "b"
    assert heard == ["b"]
    assert not lines.choose("zzz")
    lines.grab()


# -- family tree -------------------------------------------------------------------------------------------------------

FAMILY = (
    Member("base", "base", "3 M", ()),
    Member("sft", "sft", "3 M", ("base",)),
    Member("judge", "reward", "3 M", ("sft",)),
    Member("ppo", "ppo", "3 M", ("sft", "judge")),
    Member("dpo", "dpo", "3 M", ("sft",)),
)


def test_that_children_stand_to_the_right_of_all_their_parents() -> None:
    places = arrange(FAMILY)
    for member in FAMILY:
        for parent in member.parents:
            assert places[parent][0] < places[member.name][0]
    assert len(set(places.values())) == len(FAMILY)
    assert places["base"] == (0, 0)


def test_that_a_circle_or_a_missing_parent_does_not_stop_the_tree() -> None:
    places = arrange(
        (Member("a", "sft", "", ("b",)), Member("b", "sft", "", ("a",)), Member("c", "sft", "", ("gone",)))
    )
    assert set(places) >= {"c"}


def test_that_the_tree_is_walked_with_arrows_and_opened_with_enter(qtbot: QtBot, theme: Theme) -> None:
    tree = LineageView(theme, "tree")
    qtbot.addWidget(tree)
    tree.show_members(FAMILY)
    tree.show()
    opened: list[str] = []
    tree.opened.connect(opened.append)
    qtbot.keyClick(tree, Qt.Key.Key_Right)
    assert tree.current == "base"
    qtbot.keyClick(tree, Qt.Key.Key_Right)
    assert tree.current == "sft"
    qtbot.keyClick(tree, Qt.Key.Key_Return)
    assert opened == ["sft"]
    qtbot.mouseClick(tree, Qt.MouseButton.LeftButton, pos=tree.box("dpo").center().toPoint())
    assert tree.current == "dpo"
    qtbot.mouseMove(tree, tree.box("ppo").center().toPoint())
    assert not tree.grab().isNull()
    tree.show_members(FAMILY[:2])
    assert tree.current == ""


# -- words -------------------------------------------------------------------------------------------------------------


def test_that_numbers_and_times_read_well() -> None:
    now = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
    assert [duration(s) for s in (8, 240, 7800, 3600, 273_600)] == ["8 s", "4 min", "2 h 10 min", "1 h", "3 d 4 h"]
    assert ago(now - timedelta(seconds=5), now) == "just now"
    assert ago(now - timedelta(minutes=4), now) == "4 min ago"
    assert ago(now - timedelta(hours=30), now) == "yesterday"
    assert ago(now - timedelta(days=9), now) == "25 Apr 2026"
    assert [count(1, "row"), count(2312, "row"), count(0, "entry", "entries")] == ["1 row", "2,312 rows", "0 entries"]
    assert [short(998), short(2_610_000), short(7.2e9)] == ["998", "2.61 M", "7.2 B"]
    assert [size(812), size(1_500_000), size(3e12)] == ["812 B", "1.4 MiB", "2.7 TiB"]


def run(state: JobState, **facts: Any) -> RunView:
    given = {
        "id": "r1",
        "name": "sft-1",
        "kind": "sft",
        "step": 30,
        "steps": 100,
        "headline": "loss",
        "last": {"loss": 1.2345},
    } | facts
    now = datetime.now(UTC)
    return RunView(
        state=state, created=now, started=now, ended=now if state.ended else None, folder=Path("/x"), **given
    )


def test_that_a_run_says_how_far_it_is() -> None:
    assert headline(run(JobState.RUNNING)) == "loss 1.234"
    assert progress_words(run(JobState.RUNNING, eta_seconds=240.0)) == "30 %, 4 min left"
    assert progress_words(run(JobState.STARTING, steps=0, phase="loading model")) == "loading model"
    assert progress_words(run(JobState.DONE)) == "just now"


def test_that_a_run_row_opens_its_run(qtbot: QtBot, theme: Theme) -> None:
    opened: list[str] = []
    row = RunRow(theme, run(JobState.RUNNING, spark=(1.0, 0.5, float("nan"))), opened.append, "row")
    qtbot.addWidget(row)
    row.show()
    qtbot.mouseClick(row.title, Qt.MouseButton.LeftButton)
    assert opened == ["r1"]


def test_that_the_status_line_shows_the_job_the_queue_and_the_machine(qtbot: QtBot, theme: Theme) -> None:
    shown: list[str] = []
    bar = StatusBar(theme, shown.append)
    qtbot.addWidget(bar)
    bar.show_runs((run(JobState.RUNNING), run(JobState.QUEUED, id="r2"), run(JobState.DONE, id="r3")))
    bar.show_machine(machine_words(HardwareSummary(12.4, 3.14, 8.0)))
    bar.show()
    assert bar.job.text() == "sft-1"
    assert (bar.bar.value(), bar.bar.maximum()) == (30, 100)
    assert bar.queue.text() == "1 queued"
    assert bar.machine.text() == "CPU 12 % · 3.1/8 GiB"
    qtbot.mouseClick(bar.job, Qt.MouseButton.LeftButton)
    assert shown == ["r1"]
    bar.show_runs(())
    assert not bar.job.isVisible()
    bar.show_saved(False)
    assert bar.saved.text() == "Working…"


def test_that_the_busiest_graphics_card_is_named() -> None:
    gpus = (Gpu("a", 3, 1.0, 24.0), Gpu("b", 63, 11.2, 24.0))
    assert machine_words(HardwareSummary(1, 1, 1, gpus)) == "GPU 63 % · 11.2/24 GiB"


# -- notices -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def notices(qtbot: QtBot, theme: Theme) -> Iterator[Notifier]:
    parent = QWidget()
    qtbot.addWidget(parent)
    parent.resize(900, 600)
    made = Notifier(parent, theme, lambda: None)
    parent.show()
    yield made
    for card in made.cards():
        card.leave()


def test_that_a_notice_stands_inside_the_window_and_takes_no_focus(notices: Notifier) -> None:
    before = notices.window().focusWidget()
    notices.tell("A job is done", "Its model is ready.", "good")
    parent = notices.parentWidget()
    assert parent is not None
    assert parent.rect().contains(notices.geometry())
    assert notices.window().focusWidget() is before
    parent.resize(700, 500)
    assert parent.rect().contains(notices.geometry())


def test_that_the_same_words_are_not_stacked_and_old_notices_make_room(notices: Notifier) -> None:
    for _ in range(3):
        notices.tell("Same", "words")
    assert len(notices.cards()) == 1
    for number in range(9):
        notices.tell(f"Thing {number}")
    assert len(notices.cards()) == MOST_CARDS
    assert len(notices.history) == 12


def test_that_bad_news_offers_the_log_and_an_action_runs_once(notices: Notifier, qtbot: QtBot) -> None:
    done: list[bool] = []
    notices.tell("It failed", "Try again.", "bad")
    log = notices.findChild(QPushButton, "notices.action")
    assert log is not None
    assert log.text() == "Log"
    notices.cards()[0].leave()
    notices.tell("Deleted", "", "info", ("Undo", lambda: done.append(True)))
    act = next(b for b in notices.findChildren(QPushButton, "notices.action") if b.text() == "Undo")
    qtbot.mouseClick(act, Qt.MouseButton.LeftButton)
    assert done == [True]
    assert not notices.cards()
    assert not notices.isVisible()


def test_that_a_notice_can_be_closed(notices: Notifier, qtbot: QtBot) -> None:
    notices.tell("Something")
    close = notices.findChild(QToolButton, "notices.close")
    assert close is not None
    qtbot.mouseClick(close, Qt.MouseButton.LeftButton)
    assert not notices.cards()


# -- palette -----------------------------------------------------------------------------------------------------------


def test_that_the_best_match_comes_first() -> None:
    entries = [
        Entry(t, k, "data", lambda: None) for t, k in (("my ppo", "run"), ("ppo-7", "model"), ("Import", "action"))
    ]
    assert [e.title for e in best(entries, "ppo")] == ["ppo-7", "my ppo"]
    assert [e.title for e in best(entries, "ppo model")] == ["ppo-7"]
    assert len(best(entries, "")) == 3
    assert best(entries, "nothing") == []


def test_that_arrows_choose_and_escape_leaves(qtbot: QtBot, theme: Theme) -> None:
    window = QWidget()
    qtbot.addWidget(window)
    window.resize(800, 600)
    window.show()
    done: list[str] = []
    palette = FindPalette(window, theme)
    palette.open([Entry(t, "action", "data", lambda t=t: done.append(t)) for t in ("one", "two", "three")])  # type: ignore[misc]
    qtbot.keyClick(palette.field, Qt.Key.Key_Down)
    qtbot.keyClick(palette.field, Qt.Key.Key_Down)
    qtbot.keyClick(palette.field, Qt.Key.Key_Up)
    qtbot.keyClick(palette.field, Qt.Key.Key_Return)
    assert done == ["two"]
    palette.open([])
    assert palette.nothing.isVisible()
    qtbot.keyClick(palette.field, Qt.Key.Key_Escape)
    assert not palette.isVisible()
    assert palette.mapTo(window, QPoint(0, 0)).x() >= 0


def test_that_a_figure_has_room_for_its_words_and_disturbs_the_row_only_for_more(qtbot: QtBot) -> None:
    class Spy(QObject):
        asked = 0

        def eventFilter(self, _watched: QObject, event: QEvent) -> bool:
            self.asked += event.type() == QEvent.Type.LayoutRequest
            return False

    def needs() -> int:
        return figure.fontMetrics().horizontalAdvance(figure.text())

    row, spy, figure = QWidget(), Spy(), Figure("strong")
    qtbot.addWidget(row)
    QHBoxLayout(row).addWidget(figure)
    row.show()
    figure.setText("1000 / 9999")
    QApplication.sendPostedEvents()
    row.installEventFilter(spy)
    for n in range(1001, 1020):
        figure.setText(f"{n} / 9999")
        QApplication.sendPostedEvents()
        assert figure.width() >= needs()
    assert spy.asked == 0
    before = figure.width()
    figure.setText("123456789 / 9999999999")
    QApplication.sendPostedEvents()
    assert spy.asked > 0
    assert figure.width() >= needs() > before
    figure.setText("1")
    assert figure.width() <= before
    font = figure.font()
    font.setPixelSize(3 * font.pixelSize())
    figure.setFont(font)
    assert figure.width() >= needs()
    figure.setText("")
    assert figure.width() == 0
