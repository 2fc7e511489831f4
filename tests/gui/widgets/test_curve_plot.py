"""Live plots: what is drawn and when, gaps, logarithms, legends, both themes, and buffers that stay bounded."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QWheelEvent
from PySide6.QtWidgets import QApplication, QLabel
from pytestqt.qtbot import QtBot

from workbench.domain.metrics import Metric, metric
from workbench.gui.theme import DARK, LIGHT, Theme
from workbench.gui.widgets.curve import CurvePlot, Line
from workbench.gui.widgets.series import CurveBuffer

NAN = float("nan")


def buffer_of(*values: float, weight: float = 0.0) -> CurveBuffer:
    made = CurveBuffer()
    made.smoothen(weight)
    made.append([float(n) for n in range(1, len(values) + 1)], list(values))
    return made


@pytest.fixture
def plot(qtbot: QtBot, theme: Theme) -> CurvePlot:
    made = CurvePlot(metric("loss"), theme)
    qtbot.addWidget(made)
    made.resize(480, 240)
    made.show()
    return made


def drawn(plot: CurvePlot, line: int = 0) -> tuple[list[float], list[float]]:
    """(x, y) of the main line, NaN as None so that lists can be compared."""
    x, y = plot._items[line][1].getData()
    return ([], []) if x is None else (x.tolist(), [None if math.isnan(v) else v for v in y.tolist()])


def raw_points(plot: CurvePlot, line: int = 0) -> int:
    x, _ = plot._items[line][0].getData()
    return 0 if x is None else len(x)


def shown_labels(plot: CurvePlot) -> str:
    return " ".join(label.text() for label in plot.findChildren(QLabel) if not label.isHidden())


def last(plot: CurvePlot) -> QLabel:
    found = plot.findChild(QLabel, "runs.plot.loss.last")
    assert found is not None
    return found


def test_that_a_plot_is_named_and_explains_its_metric(plot: CurvePlot) -> None:
    about: Metric = metric("loss")
    assert plot.objectName() == "runs.plot.loss"
    assert plot.accessibleName() == f"{about.title}: {about.sentence}"
    assert about.sentence in plot.toolTip()
    assert "Lower is better." in plot.toolTip()
    assert about.title in shown_labels(plot)


def test_that_an_empty_plot_can_be_drawn(plot: CurvePlot) -> None:
    plot.redraw()
    plot.set_lines([])
    plot.redraw()
    plot.set_lines([Line("run", CurveBuffer())])
    plot.redraw()
    assert drawn(plot) == ([], [])
    assert last(plot).text() == ""
    assert not plot.grab().isNull()


def test_that_nothing_is_drawn_until_asked_and_nothing_twice(plot: CurvePlot) -> None:
    values = buffer_of(3.0, 2.0)
    plot.set_lines([Line("run", values)])
    assert plot.draws == 0
    plot.redraw()
    plot.redraw()
    assert plot.draws == 1
    values.append([3.0], [1.0])
    plot.redraw()
    assert plot.draws == 2
    assert drawn(plot) == ([1.0, 2.0, 3.0], [3.0, 2.0, 1.0])


def test_that_the_newest_value_and_the_best_are_told(plot: CurvePlot) -> None:
    plot.set_lines([Line("run", buffer_of(3.0, 0.5, 2.0))])
    plot.redraw()
    assert last(plot).text() == "2"
    assert last(plot).toolTip() == "Best so far: 0.5"
    assert last(plot).property("role") == "strong"


@pytest.mark.parametrize(("value", "words"), [(NAN, "not a number"), (math.inf, "∞"), (-math.inf, "−∞")])
def test_that_a_broken_number_is_told_in_red_and_leaves_a_gap(plot: CurvePlot, value: float, words: str) -> None:
    values = buffer_of(1.0, value)
    plot.set_lines([Line("run", values)])
    plot.redraw()
    assert last(plot).text() == words
    assert last(plot).property("role") == "bad"
    assert drawn(plot) == ([1.0, 2.0], [1.0, None])
    values.append([3.0], [2.0])
    plot.redraw()
    assert last(plot).property("role") == "strong"
    assert drawn(plot)[1] == [1.0, None, 2.0]


def test_that_the_smoothed_line_lies_over_the_raw_one_and_can_be_switched_off(plot: CurvePlot) -> None:
    plot.set_lines([Line("run", buffer_of(0.0, 10.0, 0.0, 10.0, weight=0.9))])
    plot.redraw()
    assert raw_points(plot) == 4
    assert 0.0 < drawn(plot)[1][3] < 10.0
    plot.set_options(log=False, smooth=False)
    plot.redraw()
    assert raw_points(plot) == 0
    assert drawn(plot)[1] == [0.0, 10.0, 0.0, 10.0]


def test_that_held_out_values_are_never_smoothed(plot: CurvePlot) -> None:
    held = Line("held out", buffer_of(0.0, 10.0, weight=0.9), colour=1, held_out=True)
    plot.set_lines([Line("run", buffer_of(1.0, 1.0)), held])
    plot.redraw()
    assert drawn(plot, 1)[1] == [0.0, 10.0]
    assert plot._items[1][1].opts["pen"].style() is Qt.PenStyle.DashLine
    assert plot._items[0][1].opts["pen"].style() is Qt.PenStyle.SolidLine


def test_that_logarithms_have_gaps_where_there_is_none(plot: CurvePlot) -> None:
    plot.set_lines([Line("run", buffer_of(100.0, 0.0, -5.0, 0.01))])
    plot.set_options(log=True, smooth=False)
    plot.redraw()
    assert drawn(plot)[1] == [pytest.approx(2.0), None, None, pytest.approx(-2.0)]
    assert last(plot).text() == "0.01", "the words stay in the metric's own unit"
    plot.set_options(log=False, smooth=False)
    plot.redraw()
    assert drawn(plot)[1] == [100.0, 0.0, -5.0, 0.01]


def test_that_a_resumed_run_redraws_what_it_superseded(plot: CurvePlot) -> None:
    values = buffer_of(1.0, 2.0, 3.0)
    plot.set_lines([Line("run", values)])
    plot.redraw()
    values.cut_after(1)
    plot.redraw()
    assert drawn(plot) == ([1.0], [1.0])
    assert last(plot).text() == "1"


def test_that_several_runs_are_told_apart_in_a_legend(plot: CurvePlot) -> None:
    plot.set_lines([Line("dpo-1", buffer_of(1.0)), Line("<b>&", buffer_of(0.25), colour=8, held_out=True)])
    plot.redraw()
    legend = shown_labels(plot)
    assert "dpo\u20111" in legend, "a name is not broken at its dash"
    assert "&lt;b>&amp;" in legend
    assert "<b>0.25</b>" in legend
    assert LIGHT.series[0] in legend
    assert LIGHT.series[8 % len(LIGHT.series)] in legend
    assert last(plot).text() == ""
    plot.set_lines([Line("dpo-1", buffer_of(1.0))])
    assert "dpo" not in shown_labels(plot)


def test_that_lines_that_go_take_their_curves_along(plot: CurvePlot) -> None:
    item = plot._plot.getPlotItem()
    plot.set_lines([Line(str(n), buffer_of(1.0)) for n in range(4)])
    many = len(item.items)
    plot.set_lines([Line("one", buffer_of(1.0))])
    assert len(item.items) == many - 6


def test_that_a_plot_follows_the_theme_at_the_next_draw(plot: CurvePlot, theme: Theme) -> None:
    plot.set_lines([Line("a", buffer_of(1.0, 2.0)), Line("b", buffer_of(2.0, 1.0), colour=1)])
    plot.redraw()
    theme.apply("dark")
    plot.dress()
    plot.redraw()
    pen = plot._items[1][1].opts["pen"].color().name().upper()
    ground = plot._plot.backgroundBrush().color().name().upper()
    theme.apply("light")
    plot.dress()
    assert (pen, ground) == (DARK.series[1].upper(), DARK.surface.upper())
    assert plot._items[1][1].opts["pen"].color().name().upper() == LIGHT.series[1].upper()


def test_that_a_long_run_is_drawn_with_few_points_and_every_peak(plot: CurvePlot) -> None:
    values = np.zeros(100_000)
    values[54_321] = 9.0
    buffer = CurveBuffer()
    buffer.append(np.arange(100_000.0).tolist(), values.tolist())
    plot.set_lines([Line("run", buffer)])
    plot.redraw()
    x, y = drawn(plot)
    assert len(x) <= 4 * 480
    assert max(y) == 9.0


@pytest.mark.parametrize("control", [False, True])
def test_that_the_wheel_scrolls_the_page_unless_control_is_held(plot: CurvePlot, control: bool) -> None:
    plot.set_lines([Line("run", buffer_of(*map(float, range(50))))])
    plot.redraw()
    plot.grab()
    before = plot._plot.getViewBox().viewRange()[0]
    port = plot._plot.viewport()
    spot = QPointF(port.rect().center())
    held = Qt.KeyboardModifier.ControlModifier if control else Qt.KeyboardModifier.NoModifier
    turn = QWheelEvent(
        spot, port.mapToGlobal(spot), QPoint(), QPoint(0, 120), Qt.MouseButton.NoButton, held, Qt.ScrollPhase.NoScrollPhase, False
    )  # fmt: skip
    QApplication.sendEvent(port, turn)
    assert (plot._plot.getViewBox().viewRange()[0] != before) == control
    assert turn.isAccepted() == control


def test_that_a_plot_takes_no_stop_of_the_tab_key(plot: CurvePlot) -> None:
    assert plot._plot.focusPolicy() is Qt.FocusPolicy.NoFocus
    assert plot._plot.accessibleName() == f"Plot of {metric('loss').title}"


@given(st.lists(st.lists(st.floats(-1e6, 1e6), max_size=300), max_size=8))
@settings(deadline=None)
def test_that_a_buffer_stays_bounded_however_its_points_come(batches: list[list[float]]) -> None:
    buffer = CurveBuffer(capacity=64)
    step = 0
    everything: list[float] = []
    for batch in batches:
        buffer.append([float(step + n) for n in range(len(batch))], batch)
        step += len(batch)
        everything += batch
        assert len(buffer) <= 64
    assert np.all(np.diff(buffer.steps) > 0)
    if everything:
        assert buffer.last == everything[-1]
        assert buffer.best("up") == max(everything)
        assert buffer.best("down") == min(everything)


def test_that_a_long_run_that_is_read_at_once_stays_within_the_capacity() -> None:
    buffer = CurveBuffer(capacity=1000)
    buffer.append([float(n) for n in range(50_000)], [0.0] * 49_999 + [7.0])
    assert len(buffer) <= 1000
    assert (buffer.last, buffer.steps[-1]) == (7.0, 49_999.0)
    assert buffer.steps[0] == 0.0


def test_that_every_change_and_nothing_else_counts_as_a_version() -> None:
    buffer = buffer_of(1.0, 2.0)
    seen = [buffer.version]
    buffer.append([], [])
    buffer.cut_after(10)
    assert buffer.version == seen[-1]
    for change in (lambda: buffer.append([3.0], [3.0]), lambda: buffer.cut_after(2), lambda: buffer.smoothen(0.5)):
        change()
        assert buffer.version > seen[-1]
        seen.append(buffer.version)


def test_that_a_weight_that_cannot_be_is_refused() -> None:
    for weight in (-0.1, 1.0):
        with pytest.raises(ValueError, match="weight"):
            CurveBuffer().smoothen(weight)
