"""Numbers, times and sizes as people read them, at every edge where one unit becomes the next."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.gui.widgets.fields import label, plain
from workbench.gui.widgets.series import number
from workbench.gui.widgets.words import ago, count, duration, short, size

NOON = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 s"), (0.4, "0 s"), (0.6, "1 s"), (59.4, "59 s"), (59.6, "1 min"), (60, "1 min"), (119, "1 min"),
        (120, "2 min"), (3599, "59 min"), (3600, "1 h"), (3660, "1 h 1 min"), (86_399, "23 h 59 min"),
        (86_400, "1 d"), (90_000, "1 d 1 h"), (604_800, "7 d"),
    ],
)  # fmt: skip
def test_that_a_duration_changes_its_unit_at_the_edge(seconds: float, words: str) -> None:
    assert duration(seconds) == words


@pytest.mark.parametrize("seconds", [-0.5, -1, -1e6])
def test_that_a_clock_set_back_gives_no_negative_duration(seconds: float) -> None:
    assert duration(seconds) == "0 s"


@given(st.floats(0, 1e8), st.floats(0, 1e8))
def test_that_a_longer_duration_never_reads_shorter(one: float, other: float) -> None:
    def seconds(words: str) -> int:
        units = {"s": 1, "min": 60, "h": 3600, "d": 86_400}
        parts = words.split()
        return sum(int(n) * units[unit] for n, unit in zip(parts[::2], parts[1::2]))

    low, high = sorted((one, other))
    assert seconds(duration(low)) <= seconds(duration(high))
    assert seconds(duration(high)) <= high + 0.5


@pytest.mark.parametrize(
    ("back", "words"),
    [
        (timedelta(seconds=59), "just now"), (timedelta(seconds=60), "1 min ago"), (timedelta(minutes=59), "59 min ago"),
        (timedelta(minutes=10), "10 min ago"), (timedelta(hours=1), "1 h ago"),
        (timedelta(hours=2, minutes=10), "2 h 10 min ago"), (timedelta(hours=24), "yesterday"),
        (timedelta(hours=47, minutes=59), "yesterday"),
    ],
)  # fmt: skip
def test_that_a_moment_is_told_by_its_distance(back: timedelta, words: str) -> None:
    assert ago(NOON - back, NOON) == words


def test_that_an_old_moment_is_told_as_a_date_without_a_leading_zero() -> None:
    assert ago(NOON - timedelta(days=2), NOON) == "2 May 2026"


def test_that_a_moment_ahead_of_this_clock_is_just_now() -> None:
    assert ago(NOON + timedelta(hours=3), NOON) == "just now"


def test_that_a_moment_without_a_zone_is_taken_as_universal_time() -> None:
    assert ago(NOON.replace(tzinfo=None) - timedelta(minutes=4), NOON) == "4 min ago"


def test_that_zones_are_compared_as_moments_not_as_clock_faces() -> None:
    tokyo = timezone(timedelta(hours=9))
    assert ago((NOON - timedelta(minutes=7)).astimezone(tokyo), NOON) == "7 min ago"


def test_that_without_a_now_the_present_counts() -> None:
    assert ago(datetime.now(UTC)) == "just now"


@pytest.mark.parametrize(
    ("given_count", "words"), [(0, "0 rows"), (1, "1 row"), (2, "2 rows"), (1_000_000, "1,000,000 rows")]
)
def test_that_a_count_has_its_plural(given_count: int, words: str) -> None:
    assert count(given_count, "row") == words


def test_that_an_odd_plural_can_be_given() -> None:
    assert count(1, "entry", "entries") == "1 entry"
    assert count(3, "entry", "entries") == "3 entries"


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (0, "0"), (7, "7"), (0.5, "0.5"), (0.1234, "0.123"), (999, "999"), (999.4, "999"), (1000, "1 k"), (1234, "1.23 k"),
        (999_400, "999 k"), (999_999, "1 M"), (999_999_999, "1 B"), (1.5e12, "1.5 T"), (2.5e15, "2,500 T"),
        (-2_610_000, "-2.61 M"),
    ],
)  # fmt: skip
def test_that_a_large_count_never_falls_into_exponents(value: float, words: str) -> None:
    assert short(value) == words


@given(st.integers(0, 10**18))
def test_that_a_short_count_stays_within_half_a_percent(value: int) -> None:
    words = short(value)
    assert "e" not in words
    mantissa, _, letter = words.partition(" ")
    factor = {"": 1, "k": 1e3, "M": 1e6, "B": 1e9, "T": 1e12}[letter]
    assert float(mantissa.replace(",", "")) * factor == pytest.approx(value, rel=0.0051, abs=0.5)


@pytest.mark.parametrize(
    ("many", "words"),
    [
        (0, "0 B"), (1, "1 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (1536, "1.5 KiB"), (2**20 - 1, "1.0 MiB"),
        (2**20, "1.0 MiB"), (2**30 - 1, "1.0 GiB"), (5 * 2**30, "5.0 GiB"), (2**40, "1.0 TiB"), (2**50, "1024.0 TiB"),
    ],
)  # fmt: skip
def test_that_a_size_changes_its_unit_before_it_reads_1024(many: int, words: str) -> None:
    assert size(many) == words


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (100.0, "100"), (99.996, "100"), (99.9, "99.9"), (0.001, "0.001"), (0.0009, "9.00e−4"), (-1234.0, "−1\u202f234"),
        (999_999.0, "999\u202f999"), (1e6, "1.00e6"), (-3e-9, "−3.00e−9"), (-0.0, "0"),
    ],
)  # fmt: skip
def test_that_a_value_beside_a_curve_keeps_its_size_and_sign(value: float, words: str) -> None:
    assert number(value) == words


@given(st.floats(-1e300, 1e300))
def test_that_a_value_beside_a_curve_is_off_by_less_than_a_hundredth(value: float) -> None:
    words = number(value).replace("−", "-").replace("\u202f", "")
    assert float(words) == pytest.approx(value, rel=0.0051)
    assert len(words) <= 10


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_that_a_number_in_a_form_means_the_very_same_number_when_read_back(value: float) -> None:
    assert float(plain(value)) == value


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (1.0, "1"), (-2.5, "-2.5"), (9_999_999.0, "9999999"), (1e7, "10000000"), (1e10, "1e10"), (1e16, "1e16"), (1e-4, "0.0001"),
        (1.25e-5, "1.25e-5"), (1e-10, "1e-10"), (1e-100, "1e-100"), (0.1 + 0.2, "0.30000000000000004"),
    ],
)  # fmt: skip
def test_that_a_number_in_a_form_is_as_short_as_it_can_be(value: float, words: str) -> None:
    assert plain(value) == words


def test_that_whole_bounds_are_written_out_with_their_thousands() -> None:
    assert plain(10_000_000) == "10,000,000"
    assert plain(2**63 - 1) == "9,223,372,036,854,775,807"


@pytest.mark.parametrize(
    ("value", "words"), [(True, "yes"), (False, "no"), ("all_linear", "all linear"), ("", ""), (3, "3")]
)
def test_that_a_declared_value_is_shown_as_words(value: object, words: str) -> None:
    assert label(value) == words
