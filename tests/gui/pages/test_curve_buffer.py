import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.steps import steps
from workbench.analysis.curves import Ema, ema
from workbench.gui.widgets.series import CurveBuffer, number


def test_that_points_come_back_in_order_after_many_appends() -> None:
    buffer = CurveBuffer()
    for step in range(1, 2001):
        buffer.append([step], [step * 0.5])
    assert len(buffer) == 2000
    assert buffer.steps.tolist() == list(range(1, 2001))
    assert buffer.last == 1000.0


def test_that_an_empty_buffer_has_no_last_and_no_best() -> None:
    buffer = CurveBuffer()
    assert buffer.last is None
    assert buffer.best("up") is None
    assert len(buffer.shown(0, 10, 100, smooth=False)[0]) == 0


def test_that_best_follows_the_good_direction_and_skips_what_is_not_finite() -> None:
    buffer = CurveBuffer()
    buffer.append([1, 2, 3, 4], [2.0, float("nan"), -1.0, float("inf")])
    assert buffer.best("up") == 2.0
    assert buffer.best("down") == -1.0
    assert buffer.best("none") is None


def test_that_a_resumed_run_replaces_what_it_superseded() -> None:
    buffer = CurveBuffer()
    buffer.append([1, 2, 3, 4], [1.0, 2.0, 3.0, 4.0])
    buffer.cut_after(2)
    assert buffer.steps.tolist() == [1, 2]
    buffer.append([3], [30.0])
    assert buffer.values.tolist() == [1.0, 2.0, 30.0]


def test_that_points_given_twice_are_kept_once() -> None:
    buffer = CurveBuffer()
    buffer.append([1, 2, 3], [1.0, 2.0, 3.0])
    buffer.append([2, 3, 4], [2.0, 3.0, 4.0])
    assert buffer.steps.tolist() == [1, 2, 3, 4]


def test_that_the_average_is_of_raw_values_whichever_way_they_came() -> None:
    raw = np.cos(np.arange(500.0))
    buffer = CurveBuffer()
    buffer.smoothen(0.9)
    for i in range(0, 500, 7):
        buffer.append(np.arange(i, min(i + 7, 500)).tolist(), raw[i : i + 7].tolist())
    assert buffer.smooth.tolist() == pytest.approx(ema(raw, 0.9).tolist())
    buffer.smoothen(0.5)
    assert buffer.smooth.tolist() == pytest.approx(ema(raw, 0.5).tolist())
    buffer.cut_after(99)
    assert buffer.smooth.tolist() == pytest.approx(ema(raw[:100], 0.5).tolist())


def test_that_memory_is_bounded_and_no_peak_is_lost_when_it_is_thinned() -> None:
    buffer = CurveBuffer(capacity=1000)
    values = np.zeros(20_000)
    values[137], values[9_999] = 50.0, -50.0
    for start in range(0, 20_000, 100):
        buffer.append(np.arange(start, start + 100.0).tolist(), values[start : start + 100].tolist())
    assert len(buffer) <= 1000
    assert buffer.best("up") == 50.0
    assert buffer.best("down") == -50.0
    assert np.all(np.diff(buffer.steps) > 0)


def test_that_a_view_is_clipped_with_one_point_beyond_each_end() -> None:
    buffer = CurveBuffer()
    buffer.append(list(range(100)), [float(i) for i in range(100)])
    x, _ = buffer.shown(10, 20, 500, smooth=False)
    assert x.tolist() == [float(i) for i in range(9, 22)]


def test_that_a_view_needs_no_more_points_than_four_for_each_pixel() -> None:
    buffer = CurveBuffer()
    buffer.append(list(range(50_000)), np.random.default_rng(0).normal(size=50_000).tolist())
    x, y = buffer.shown(0, 50_000, 300, smooth=False)
    assert len(x) == len(y) <= 1200
    assert y.max() == buffer.best("up")


def test_that_a_tick_on_a_long_curve_smooths_the_new_point_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    buffer = CurveBuffer()
    buffer.smoothen(0.9)
    buffer.append(list(range(20_000)), [0.0] * 20_000)
    smoothed: list[int] = []
    extend = Ema.extend
    monkeypatch.setattr(Ema, "extend", lambda self, values: smoothed.append(len(values)) or extend(self, values))
    for step in range(3):
        buffer.append([20_000 + step], [1.0])
        buffer.shown(0, 30_000, 400, smooth=True)
    assert smoothed == [1, 1, 1]


def test_that_a_tick_is_no_more_calls_on_a_longer_curve() -> None:
    def tick(points: int) -> int:
        buffer = CurveBuffer()
        buffer.append(list(range(points)), [0.0] * points)

        def work() -> None:
            buffer.append([points], [1.0])
            buffer.shown(0, 2 * points, 400, smooth=True)

        return steps(work)

    tick(10_000)  # the first one imports
    assert tick(100_000) <= tick(10_000)


@given(st.lists(st.lists(st.integers(0, 50), max_size=8).map(sorted), max_size=20))
def test_that_steps_always_ascend(batches: list[list[int]]) -> None:
    buffer = CurveBuffer(capacity=64)
    for batch in batches:
        unique = sorted(set(batch))
        buffer.append([float(s) for s in unique], [float(s) for s in unique])
    assert np.all(np.diff(buffer.steps) > 0)
    assert buffer.steps.tolist() == buffer.values.tolist()


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"), (1.23456, "1.235"), (-0.5, "−0.5"), (12345.6, "12\u202f346"), (2e-5, "2.00e−5"), (3.2e7, "3.20e7"),
        (float("nan"), "not a number"), (float("inf"), "∞"), (float("-inf"), "−∞"), (640, "640"),
    ],
)  # fmt: skip
def test_that_numbers_are_short_and_honest(value: float, text: str) -> None:
    assert number(value) == text
