"""The grid of plots: its axis, its columns, its smoothing, and what it leaves out."""

from datetime import UTC, datetime

import pytest
from PySide6.QtWidgets import QLabel
from pytestqt.qtbot import QtBot

from workbench.domain.runs import MetricPoint
from workbench.gui.pages.runs.curves import CurvesTab
from workbench.gui.theme import Theme

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
pytestmark = pytest.mark.qt_log_ignore("propagateSizeHints")  # the off-screen platform has no window manager


def points(name: str, values: list[float], first: int = 1) -> list[MetricPoint]:
    return [MetricPoint(name=name, step=first + i, value=value, time=NOON) for i, value in enumerate(values)]


@pytest.fixture
def curves(qtbot: QtBot, theme: Theme) -> CurvesTab:
    made = CurvesTab(theme)
    qtbot.addWidget(made)
    made.resize(950, 600)
    made.show()
    return made


def test_that_the_axis_of_all_plots_is_named_once(curves: CurvesTab) -> None:
    assert curves.axis.isHidden()
    curves.show_runs([("r", "run", "sft")])
    curves.fill("r", {name: points(name, [1.0, 2.0]) for name in ("loss", "learning_rate", "epoch")})
    assert curves.axis.isVisible()
    assert sum("step" in label.text() for label in curves.findChildren(QLabel) if label.isVisible()) == 1
    curves.show_runs([("other", "other", "sft")])
    assert curves.axis.isHidden()


@pytest.mark.parametrize(("width", "across"), [(250, 1), (599, 1), (650, 2), (950, 3), (2400, 4)])
def test_that_as_many_plots_stand_side_by_side_as_there_is_room_for(
    curves: CurvesTab, qtbot: QtBot, width: int, across: int
) -> None:
    curves.show_runs([("r", "run", "sft")])
    curves.fill("r", {name: points(name, [1.0]) for name in ("loss", "learning_rate", "epoch", "grad_norm", "kl")})
    curves.resize(width, 600)
    grid = curves._grid
    columns = {grid.getItemPosition(grid.indexOf(plot))[1] for plot in curves.plots.values()}  # type: ignore[index]
    assert columns == set(range(across))


def test_that_points_of_a_run_that_is_not_on_show_are_dropped(curves: CurvesTab) -> None:
    curves.show_runs([("r", "run", "sft")])
    curves.add("gone", {"loss": points("loss", [1.0])})
    curves.fill("gone", {"loss": points("loss", [1.0])})
    curves.cut("gone", 0)
    assert curves.plots == {}
    assert curves.nothing.isVisible()


@pytest.mark.parametrize("weight", [0.0, 0.3, 0.6, 0.9, 0.99])
def test_that_the_slider_holds_the_weight_it_was_given(qtbot: QtBot, theme: Theme, weight: float) -> None:
    tab = CurvesTab(theme, weight)
    qtbot.addWidget(tab)
    assert tab.weight == pytest.approx(weight, abs=0.01)
    assert tab.amount.text() == ("off" if weight == 0 else f"{tab.weight:.2f}")


def test_that_new_metrics_join_smoothed_and_in_the_scale_chosen(curves: CurvesTab) -> None:
    curves.show_runs([("r", "run", "sft")])
    curves.slider.setValue(0)
    curves.log.setChecked(True)
    curves.add("r", {"loss": points("loss", [4.0, 0.0])})
    plot = curves.plots["loss"]
    assert plot.log
    assert plot.lines[0].buffer.smooth.tolist() == [4.0, 0.0]
