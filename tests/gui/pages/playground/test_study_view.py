"""The study view: a table that sorts, plots that name their points, files that hold everything."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QImage
from PySide6.QtWidgets import QListView, QWidget
from pytestqt.qtbot import QtBot

from tests.gui.pages.playground.made_up import study
from workbench.domain.study import Figure, Study
from workbench.gui.pages.playground.study_plot import ticks
from workbench.gui.pages.playground.study_view import StudyView, three_digits
from workbench.gui.theme import Theme


@pytest.fixture
def saved() -> dict[str, bytes]:
    return {}


@pytest.fixture
def view(qtbot: QtBot, theme: Theme, saved: dict[str, bytes]) -> Any:
    made = StudyView(theme, saved.__setitem__)
    qtbot.addWidget(made)
    made.resize(1100, 620)
    made.show()
    return made


def labels(view: Any) -> list[str]:
    return [view.rows.data(view.rows.index(row, 0)) for row in range(view.rows.rowCount())]


def heading(view: Any, title: str) -> int:
    titles = [view.rows.headerData(n, Qt.Orientation.Horizontal) for n in range(view.rows.columnCount())]
    return titles.index(title)


def test_that_a_click_on_a_heading_sorts_by_value_with_missing_ones_last(view: Any, qtbot: QtBot) -> None:
    view.show_study(study())
    assert labels(view) == ["greedy", "sample 0.7", "sample 1.0", "sample 1.5", "beam 4"]
    header = view.table.horizontalHeader()
    for _ in range(2):
        place = QPoint(header.sectionViewportPosition(heading(view, "Perplexity")) + 5, 8)
        qtbot.mouseClick(header.viewport(), Qt.MouseButton.LeftButton, pos=place)
        assert labels(view)[-1] == "beam 4"
    view.table.sortByColumn(heading(view, "Speed"), Qt.SortOrder.AscendingOrder)
    assert labels(view)[0] == "beam 4" and labels(view)[-1] == "greedy"
    view.table.sortByColumn(0, Qt.SortOrder.DescendingOrder)
    assert labels(view)[0] == "sample 1.5"


def test_that_cells_tell_value_interval_and_the_best(view: Any) -> None:
    view.show_study(study())
    cell = view.rows.index(4, heading(view, "Reward"))
    assert view.rows.data(cell) == "1.36 ± 0.080"
    assert view.rows.data(cell, Qt.ItemDataRole.FontRole).bold()
    assert (
        view.rows.data(cell, Qt.ItemDataRole.ToolTipRole)
        == "Reward 1.36, 95 % interval 1.28 to 1.44, 96 texts, the best"
    )
    assert view.rows.data(view.rows.index(0, heading(view, "Reward")), Qt.ItemDataRole.FontRole) is None
    assert view.rows.data(view.rows.index(4, heading(view, "Perplexity"))) == "–"
    tip = view.rows.headerData(heading(view, "Self-BLEU"), Qt.Orientation.Horizontal, Qt.ItemDataRole.ToolTipRole)
    assert "Less is better" in tip
    assert "5 columns over 24 prompts, 4 texts for each" in view.told.text()


def test_that_quality_is_plotted_against_diversity_and_speed(view: Any) -> None:
    view.show_study(study())
    left, right = view.plots
    assert left.accessibleName() == "Reward against Distinct-2" and right.accessibleName() == "Reward against Speed"
    assert left.places == [4, 0, 1, 2, 3] and right.places == [4, 3, 2, 1, 0]
    assert left.front == {0, 1, 2, 3, 4} and right.front == {0, 4}
    view.upwards.setCurrentIndex(view.upwards.findData("perplexity"))
    assert left.places == [0, 1, 2, 3], "a column without the figure isn't drawn"
    view.across[0].setCurrentIndex(view.across[0].findData("self_bleu"))
    assert left.accessibleName() == "Perplexity against Self-BLEU"


def test_that_table_and_plots_pick_the_same_column(view: Any, qtbot: QtBot) -> None:
    view.show_study(study())
    left, right = view.plots
    view.table.sortByColumn(heading(view, "Reward"), Qt.SortOrder.DescendingOrder)
    view.table.selectRow(2)
    assert left.current == right.current == 1
    qtbot.keyClick(left, Qt.Key.Key_Right)
    assert left.current == right.current == 2 and labels(view)[view.table.currentIndex().row()] == "sample 1.0"
    assert "Distinct-2 0.83" in left.accessibleDescription() and "Reward 0.84" in left.bubble.words
    qtbot.mouseClick(right.viewport(), Qt.MouseButton.LeftButton, pos=right._point(4).toPoint())
    assert left.current == 4 and labels(view)[view.table.currentIndex().row()] == "beam 4"
    for key, there in ((Qt.Key.Key_Home, 4), (Qt.Key.Key_End, 3), (Qt.Key.Key_Left, 2)):
        qtbot.keyClick(left, key)
        assert left.current == there
    view.table.sortByColumn(0, Qt.SortOrder.AscendingOrder)
    assert labels(view)[view.table.currentIndex().row()] == "sample 1.0", "sorting keeps the row that was picked"


def test_that_names_hide_no_point_and_stay_inside(view: Any) -> None:
    view.show_study(study())
    plot = view.plots[0]
    points = [plot._point(n) for n in plot.places]
    area = plot._area()
    assert all(area.contains(point) for point in points)
    assert plot.spot_at(points[0]) == 4 and plot.spot_at(area.topLeft()) is None


def test_that_names_of_points_in_a_heap_are_led_out_or_left_out(view: Any) -> None:
    few = study()
    same = tuple(
        few.columns[n % 5].model_copy(update={"label": f"column number {n}", "figures": few.columns[0].figures})
        for n in range(40)
    )
    view.show_study(few.model_copy(update={"columns": (*same, few.columns[3])}))
    view.grab()
    named = view.plots[0].named
    assert 5 < len(named) < 41 and len(set(named)) == len(named), "as many as there is room for, and none upon another"
    view.show_study(few)
    view.grab()
    assert sorted(view.plots[0].named) == [0, 1, 2, 3, 4]


def test_that_csv_and_png_hold_the_study(view: Any, qtbot: QtBot, saved: dict[str, bytes]) -> None:
    view.show_study(study())
    for button in (view.csv_button, view.png_button):
        qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
    rows = list(csv.DictReader(io.StringIO(saved["study.csv"].decode())))
    assert len(rows) == sum(len(column.figures) for column in study().columns)
    one = next(row for row in rows if row["column"] == "beam 4" and row["measure"] == "reward")
    assert float(one["value"]) == 1.36 and one["texts"] == "96" and '"strategy":"beam"' in one["settings"]
    image = QImage.fromData(saved["study.png"])
    assert image.width() == 2 * view.width() and image.height() == 2 * view.height()


def test_that_plots_show_something_else_where_a_side_is_missing(view: Any) -> None:
    names = {"logprob": 1.0, "tokens": 2.0}
    bare = study().model_copy(update={"prompts": 1})
    columns = tuple(
        c.model_copy(update={"figures": {n: Figure(value=v, low=v, high=v) for n, v in names.items()}})
        for c in bare.columns
    )
    view.show_study(bare.model_copy(update={"columns": columns}))
    assert [chooser.currentData() for chooser in (view.upwards, *view.across)] == ["logprob", "tokens", "logprob"]
    assert view.rows.data(view.rows.index(0, 2)) == "1.00", "an interval of nothing isn't written"
    assert "over 1 prompt, 4 texts" in view.told.text()


def test_that_an_empty_study_is_a_sentence(view: Any) -> None:
    view.show_study(study())
    view.show_study(Study(prompts=0, samples=0, columns=()))
    assert view.told.text() == "No study is shown." and view.plots[0].walked(None, Qt.Key.Key_Right) is None
    assert not view.grab().isNull() and view.csv().count(b"\n") == 1


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (1234.5, "1,234"),
        (61.04, "61.0"),
        (1.365, "1.36"),
        (0.123, "0.12"),
        (0.0312, "0.031"),
        (0.0, "0.00"),
        (-0.5, "-0.50"),
    ],
)
def test_how_numbers_are_shortened(value: float, words: str) -> None:
    assert three_digits(value) == words


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [
        (0.376, 1.014, ["0.4", "0.6", "0.8", "1.0"]), (-0.07, 1.55, ["0.0", "0.5", "1.0", "1.5"]),
        (78, 222, ["100", "150", "200"]), (0.0011, 0.0032, ["0.0015", "0.0020", "0.0025", "0.0030"]),
        (900, 5100, ["1,000", "2,000", "3,000", "4,000", "5,000"]),
    ],
)  # fmt: skip
def test_that_axes_have_round_numbers(low: float, high: float, words: list[str]) -> None:
    assert [said for _, said in ticks(low, high)] == words
    assert all(low <= value <= high for value, _ in ticks(low, high))


def test_that_everything_to_use_has_a_name(view: Any) -> None:
    for widget in view.findChildren(QWidget):
        if (
            widget.focusPolicy() == Qt.FocusPolicy.StrongFocus
            and not isinstance(widget, QListView)
            and widget.objectName()[:3] != "qt_"
        ):
            assert widget.objectName().startswith("playground.study.") and widget.accessibleName(), widget
