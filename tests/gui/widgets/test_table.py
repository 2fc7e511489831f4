"""A table of pages: a million rows, slow and failing shelves, shrinking data, growing searches, keys, tips."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PySide6.QtCore import QModelIndex, Qt
from PySide6.QtWidgets import QTableView
from pytestqt.qtbot import QtBot

from workbench.gui.widgets.table import PAGE, PAGES_KEPT, ColumnOf, PagedModel, VirtualTable

COLUMNS = (ColumnOf("Number", str, number=True, width=80), ColumnOf("Text", lambda n: f"row {n}"))
TIP = Qt.ItemDataRole.ToolTipRole
Deliver = Callable[[Sequence[Any]], Any]


class Shelf:
    """Rows that are delivered at once, or when asked to."""

    def __init__(self, total: int, *, slow: bool = False) -> None:
        self.total, self.slow = total, slow
        self.asked: list[int] = []
        self.waiting: list[tuple[int, int, Deliver]] = []

    def fetch(self, offset: int, limit: int, deliver: Deliver) -> None:
        self.asked.append(offset)
        if self.slow:
            self.waiting.append((offset, limit, deliver))
        else:
            deliver(range(offset, min(offset + limit, self.total)))

    def hand_over(self) -> None:
        waiting, self.waiting = self.waiting, []
        for offset, limit, deliver in waiting:
            deliver(range(offset, min(offset + limit, self.total)))


@pytest.fixture
def table(qtbot: QtBot) -> VirtualTable:
    made = VirtualTable(COLUMNS, "rows", "Rows")
    qtbot.addWidget(made)
    made.resize(400, 320)
    made.show()
    return made


def words(model: PagedModel, row: int, column: int = 1, role: Qt.ItemDataRole = Qt.ItemDataRole.DisplayRole) -> Any:
    return model.data(model.index(row, column), role)


def test_that_an_empty_table_asks_for_nothing(table: VirtualTable) -> None:
    shelf = Shelf(0)
    table.rows.show(shelf.fetch, 0)
    table.grab()
    assert table.rows.rowCount() == 0
    assert shelf.asked == []


def test_that_no_shelf_means_no_rows(table: VirtualTable) -> None:
    table.rows.show(Shelf(5).fetch, 5)
    table.rows.show(None, None)
    assert table.rows.rowCount() == 0
    assert not table.rows.canFetchMore(QModelIndex())


def test_that_the_first_look_at_a_million_rows_asks_for_one_page(table: VirtualTable) -> None:
    shelf = Shelf(1_000_000)
    table.rows.show(shelf.fetch, shelf.total)
    table.grab()
    assert shelf.asked == [0]


@pytest.mark.parametrize("row", [0, 99, 100, 500_000, 999_999])
def test_that_any_of_a_million_rows_is_reached_at_once(table: VirtualTable, row: int) -> None:
    shelf = Shelf(1_000_000)
    table.rows.show(shelf.fetch, shelf.total)
    table.grab()
    table.scrollTo(table.rows.index(row, 0))
    table.grab()
    assert words(table.rows, row) == f"row {row}"
    assert len(shelf.asked) <= 4


def test_that_the_last_row_can_be_reached_with_the_keyboard(table: VirtualTable, qtbot: QtBot) -> None:
    chosen: list[int] = []
    table.on_row(chosen.append)
    table.rows.show(Shelf(1_000_000).fetch, 1_000_000)
    table.setFocus()
    table.setCurrentIndex(table.rows.index(0, 0))
    qtbot.keyClick(table, Qt.Key.Key_End, Qt.KeyboardModifier.ControlModifier)
    qtbot.keyClick(table, Qt.Key.Key_Up)
    qtbot.keyClick(table, Qt.Key.Key_Home, Qt.KeyboardModifier.ControlModifier)
    assert chosen == [0, 999_999, 999_998, 0]


def test_that_tab_leaves_the_table_instead_of_walking_through_cells(table: VirtualTable) -> None:
    assert not table.tabKeyNavigation()
    assert table.selectionBehavior() is QTableView.SelectionBehavior.SelectRows
    assert table.selectionMode() is QTableView.SelectionMode.SingleSelection


def test_that_a_row_on_its_way_is_shown_as_such_and_asked_for_once(table: VirtualTable) -> None:
    shelf = Shelf(10, slow=True)
    table.rows.show(shelf.fetch, 10)
    assert [words(table.rows, r) for r in (0, 5, 9)] == ["…", "…", "…"]
    assert words(table.rows, 0, role=TIP) is None
    assert shelf.asked == [0]
    shelf.hand_over()
    assert words(table.rows, 9) == "row 9"


def test_that_the_view_hears_which_rows_have_come(table: VirtualTable) -> None:
    shelf = Shelf(250, slow=True)
    table.rows.show(shelf.fetch, 250)
    heard: list[tuple[int, int, int]] = []
    table.rows.dataChanged.connect(lambda a, b, _roles: heard.append((a.row(), b.row(), b.column())))
    table.rows.prefetch(2)
    shelf.hand_over()
    assert (200, 249, 1) in heard


def test_that_a_page_that_is_here_is_not_fetched_again(table: VirtualTable) -> None:
    shelf = Shelf(300)
    table.rows.show(shelf.fetch, 300)
    for _ in range(3):
        table.rows.prefetch(1)
    assert shelf.asked.count(100) == 1


def test_that_only_the_last_pages_are_kept(table: VirtualTable) -> None:
    shelf = Shelf(1_000_000)
    table.rows.show(shelf.fetch, shelf.total)
    for page in range(PAGES_KEPT + 10):
        table.rows.prefetch(page)
    assert table.rows.row(0) is None
    assert table.rows.row((PAGES_KEPT + 9) * PAGE) == (PAGES_KEPT + 9) * PAGE
    assert words(table.rows, 0) == "…"
    assert words(table.rows, 0) == "row 0", "a page that was dropped comes back when it is looked at"


def test_that_rows_that_never_come_are_not_asked_for_for_ever(table: VirtualTable) -> None:
    shelf = Shelf(40)
    table.rows.show(shelf.fetch, 100)
    assert words(table.rows, 70) == "…"
    asked = len(shelf.asked)
    assert words(table.rows, 70) is None
    assert words(table.rows, 39) == "row 39"
    table.grab()
    assert len(shelf.asked) == asked


def test_that_the_same_page_of_other_rows_is_asked_for_anew(table: VirtualTable) -> None:
    first, second = Shelf(10, slow=True), Shelf(10)
    table.rows.show(first.fetch, 10)
    table.rows.prefetch(0)
    table.rows.show(second.fetch, 10)
    assert words(table.rows, 3) == "…"
    assert second.asked == [0]
    first.hand_over()
    assert words(table.rows, 3) == "row 3"


@pytest.mark.parametrize("total", [0, 1, 99, 100, 101, 200, 250])
def test_that_a_search_finds_its_own_end(table: VirtualTable, total: int) -> None:
    shelf = Shelf(total)
    table.rows.show(shelf.fetch, None)
    while table.rows.canFetchMore(QModelIndex()):
        table.rows.fetchMore(QModelIndex())
    assert table.rows.rowCount() == total
    assert len(shelf.asked) == len(set(shelf.asked)) == total // PAGE + 1


def test_that_a_search_under_way_is_not_asked_twice(table: VirtualTable) -> None:
    shelf = Shelf(500, slow=True)
    table.rows.show(shelf.fetch, None)
    assert not table.rows.canFetchMore(QModelIndex())
    table.rows.fetchMore(QModelIndex())
    assert shelf.asked == [0]
    shelf.hand_over()
    assert table.rows.canFetchMore(QModelIndex())


def test_that_scrolling_back_in_a_long_search_paints_what_was_dropped(table: VirtualTable) -> None:
    shelf = Shelf(100_000)
    table.rows.show(shelf.fetch, None)
    for _ in range(PAGES_KEPT + 5):
        table.rows.fetchMore(QModelIndex())
    rows = table.rows.rowCount()
    heard: list[int] = []
    table.rows.dataChanged.connect(lambda first, _last, _roles: heard.append(first.row()))
    table.rows.prefetch(0)
    assert heard == [0]
    assert table.rows.rowCount() == rows
    assert table.rows.canFetchMore(QModelIndex()), "there is still more below"


def test_that_headings_name_columns_and_rows_count_from_one(table: VirtualTable) -> None:
    head = table.rows.headerData
    assert [head(c, Qt.Orientation.Horizontal) for c in (0, 1)] == ["Number", "Text"]
    assert [head(r, Qt.Orientation.Vertical) for r in (0, 999_999)] == ["1", "1,000,000"]
    assert head(0, Qt.Orientation.Horizontal, Qt.ItemDataRole.DecorationRole) is None


def test_that_numbers_stand_at_the_right_like_their_heading(table: VirtualTable) -> None:
    table.rows.show(Shelf(1).fetch, 1)
    side = Qt.ItemDataRole.TextAlignmentRole
    for column, flag in ((0, Qt.AlignmentFlag.AlignRight), (1, Qt.AlignmentFlag.AlignLeft)):
        assert words(table.rows, 0, column, side) & flag
        assert table.rows.headerData(column, Qt.Orientation.Horizontal, side) & flag


def text_table(qtbot: QtBot, *rows: str) -> PagedModel:
    made = VirtualTable((ColumnOf("Text", str),), "texts", "Texts")
    qtbot.addWidget(made)
    made.rows.show(lambda _offset, _limit, deliver: deliver(rows), len(rows))
    made.rows.prefetch(0)
    return made.rows


def test_that_a_cell_is_one_line_and_its_tip_keeps_the_lines(qtbot: QtBot) -> None:
    model = text_table(qtbot, "one\n\n  two\tthree ")
    assert words(model, 0, 0) == "one two three"
    assert words(model, 0, 0, TIP) == "one\n\n  two\tthree "


def test_that_a_very_long_text_costs_only_its_beginning(qtbot: QtBot) -> None:
    model = text_table(qtbot, "x" * 1_000_000)
    assert len(words(model, 0, 0)) == 400
    assert len(words(model, 0, 0, TIP)) == 1000


@pytest.mark.parametrize("given_text", ["<b>bold</b>", "a < b", "<img src='file:///etc/passwd'>", "&lt;"])
def test_that_html_in_a_row_is_text_in_its_tip(qtbot: QtBot, given_text: str) -> None:
    from PySide6.QtGui import QTextDocument

    paper = QTextDocument()
    paper.setHtml(words(text_table(qtbot, given_text), 0, 0, TIP))
    assert paper.toPlainText() == given_text


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25, deadline=None)
@given(total=st.integers(1, 20_000), looks=st.lists(st.integers(0, 19_999), max_size=40))
def test_that_every_look_ends_at_the_right_row(qtbot: QtBot, total: int, looks: list[int]) -> None:
    model = PagedModel(COLUMNS)
    shelf = Shelf(total, slow=True)
    model.show(shelf.fetch, total)
    for look in looks:
        row = look % total
        words(model, row)
        shelf.hand_over()
        assert model.row(row) == row
    assert model.rowCount() == total


def test_that_a_table_in_a_table_has_no_rows(table: VirtualTable) -> None:
    table.rows.show(Shelf(5).fetch, 5)
    inside = table.rows.index(0, 0)
    assert table.rows.rowCount(inside) == table.rows.columnCount(inside) == 0
    assert table.rows.columnCount() == 2


def test_that_clearing_the_choice_is_not_told_as_a_row(table: VirtualTable) -> None:
    chosen: list[int] = []
    table.on_row(chosen.append)
    table.rows.show(Shelf(5).fetch, 5)
    table.setCurrentIndex(table.rows.index(2, 0))
    table.setCurrentIndex(QModelIndex())
    assert chosen == [2]


def test_that_a_table_is_named_for_tests_and_for_screen_readers(table: VirtualTable) -> None:
    assert (table.objectName(), table.accessibleName()) == ("rows", "Rows")
    assert table.columnWidth(0) == 80


def test_that_shares_never_starve_a_column(qtbot: QtBot) -> None:
    made = VirtualTable((ColumnOf("a", str, share=0.1), ColumnOf("b", str)), "narrow", "Narrow")
    qtbot.addWidget(made)
    made.resize(120, 200)
    made.show()
    assert made.columnWidth(0) >= 80
