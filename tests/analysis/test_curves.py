import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.analysis.curves import Ema, ema, envelope

NUMBERS = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=200)


def test_that_the_average_is_the_sum_done_by_hand() -> None:
    smooth = ema(np.array([1.0, 2.0, 4.0]), 0.5)
    assert smooth.tolist() == pytest.approx([1.0, (0.5 + 2) / 1.5, (0.25 + 1 + 4) / 1.75])


def test_that_weight_zero_changes_nothing_and_copies() -> None:
    values = np.array([3.0, 1.0])
    smooth = ema(values, 0.0)
    assert smooth.tolist() == [3.0, 1.0]
    assert smooth is not values


def test_that_a_constant_stays_a_constant_from_the_first_point() -> None:
    assert ema(np.full(50, 7.0), 0.99).tolist() == pytest.approx([7.0] * 50)


def test_that_not_a_number_stays_a_gap_and_does_not_spread() -> None:
    smooth = ema(np.array([1.0, np.nan, 1.0, np.inf, 1.0]), 0.9)
    assert np.isnan(smooth[1])
    assert np.isinf(smooth[3])
    assert smooth[[0, 2, 4]].tolist() == pytest.approx([1.0, 1.0, 1.0])


@pytest.mark.parametrize("weight", [-0.1, 1.0, 2.0])
def test_that_a_weight_outside_its_bounds_is_refused(weight: float) -> None:
    with pytest.raises(ValueError, match="weight"):
        ema(np.array([1.0]), weight)


@given(NUMBERS, st.floats(0.0, 0.99))
def test_that_the_average_stays_between_the_extremes_seen_so_far(values: list[float], weight: float) -> None:
    smooth = ema(np.array(values), weight)
    slack = 1e-6 * (1 + np.max(np.abs(values)))
    assert np.all(smooth <= np.maximum.accumulate(values) + slack)
    assert np.all(smooth >= np.minimum.accumulate(values) - slack)


def test_that_a_short_series_is_returned_as_it_is() -> None:
    x, y = np.arange(8.0), np.arange(8.0)
    assert envelope(x, y, 2) == (x, y)


def test_that_a_single_peak_among_a_million_points_survives() -> None:
    x = np.arange(1_000_000.0)
    y = np.zeros_like(x)
    y[123_457], y[777_777] = 9.0, -9.0
    short_x, short_y = envelope(x, y, 300)
    assert len(short_x) <= 1200
    assert short_y.max() == 9.0
    assert short_y.min() == -9.0
    assert short_x[np.argmax(short_y)] == 123_457


@given(
    st.lists(st.floats(allow_nan=True, allow_infinity=False, width=32), min_size=1, max_size=400), st.integers(1, 20)
)
def test_that_the_envelope_keeps_ends_order_and_extremes(values: list[float], buckets: int) -> None:
    y = np.array(values)
    x = np.arange(float(len(y)))
    short_x, short_y = envelope(x, y, buckets)
    assert short_x[0] == 0.0
    assert short_x[-1] == len(y) - 1
    assert np.all(np.diff(short_x) > 0)
    assert len(short_x) <= max(4 * buckets, min(len(x), 4 * buckets))
    if np.isfinite(y).any():
        assert np.nanmax(short_y) == np.nanmax(y)
        assert np.nanmin(short_y) == np.nanmin(y)


def test_that_no_bucket_is_refused() -> None:
    with pytest.raises(ValueError, match="bucket"):
        envelope(np.arange(9.0), np.arange(9.0), 0)


def test_that_an_average_fed_in_pieces_equals_one_fed_at_once() -> None:
    values = np.sin(np.arange(300.0))
    live = Ema(0.9)
    pieces = np.concatenate([live.extend(values[:7]), live.extend(values[7:7]), live.extend(values[7:])])
    assert pieces.tolist() == ema(values, 0.9).tolist()
