"""Sentences say what a person should make of a figure, and change where the advice changes."""

import pytest

from workbench.analysis import sentences
from workbench.analysis.alpha import Interval
from workbench.analysis.habits import Pace, Share, share


@pytest.mark.parametrize(
    ("value", "word"),
    [
        (-0.1, "worse than chance"), (0.1, "slight"), (0.3, "fair"), (0.5, "moderate"), (0.64, "substantial"),
        (0.9, "almost perfect"), (1.0, "almost perfect"),
    ],
)  # fmt: skip
def test_that_a_kappa_has_landis_and_kochs_word(value: float, word: str) -> None:
    assert sentences.kappa(Interval(value, value - 0.05, value + 0.05), 0.8, 100).startswith(word)


def test_that_a_kappa_reads_as_a_sentence_with_advice() -> None:
    words = sentences.kappa(Interval(0.64, 0.55, 0.72), 0.81, 300)
    assert words == (
        "substantial; of pairs judged by two, about eight of ten agree; good enough to train on; below 0.4 write clearer guidelines"
    )
    assert "write clearer guidelines, with an example" in sentences.kappa(Interval(0.3, 0.2, 0.4), 0.6, 300)
    assert "before you train" in sentences.kappa(Interval(0.5, 0.4, 0.6), 0.7, 300)


def test_that_a_wide_interval_says_how_many_items_make_it_narrow() -> None:
    # width 0.4 with 50 items: a width of 0.2 needs four times as many
    assert "about 150 more items" in sentences.kappa(Interval(0.6, 0.4, 0.8), 0.8, 50)
    assert "too few items" in sentences.raw(Interval(1.0, None, None), 2)


@pytest.mark.parametrize(("value", "word"), [(0.85, "reliable"), (0.7, "tentative"), (0.5, "too low")])
def test_that_alpha_is_read_by_krippendorffs_bounds(value: float, word: str) -> None:
    assert word in sentences.alpha(Interval(value, value - 0.1, value + 0.1), 100)
    assert "half a disagreement" in sentences.alpha(Interval(value, value - 0.1, value + 0.1), 100, ordinal=True)


def test_that_a_side_is_named_only_beyond_chance() -> None:
    assert "show none" in sentences.left(Share(0.53, 0.45, 0.61, 150), "ann")
    assert "ann favoured the left side" in sentences.left(Share(0.62, 0.55, 0.69, 190), "ann")
    assert "annotators favoured the right side" in sentences.left(Share(0.38, 0.31, 0.45, 190))


def test_that_length_counts_only_beyond_chance() -> None:
    assert "no part" in sentences.longer(Share(0.51, 0.48, 0.54, 1000))
    assert "the longer response wins" in sentences.longer(Share(0.6, 0.57, 0.63, 1000))
    assert "the shorter response wins" in sentences.longer(Share(0.4, 0.37, 0.43, 1000))


@pytest.mark.parametrize(
    ("drift", "words"), [(None, "too short"), (1.6, "tiring"), (0.5, "practice or hurry"), (1.0, "steady")]
)
def test_that_fatigue_is_told(drift: float | None, words: str) -> None:
    assert words in sentences.pace(Pace(4.0, drift, 200))


def test_that_an_undecided_pair_says_what_would_decide_it() -> None:
    found = share(55, 100)
    assert found is not None
    words = sentences.win_rate(found, "x", "y")
    assert words == "undecided; if the share stays, about 280 more comparisons decide it"
    more = share(0.55 * 385, 385)
    assert more is not None and more.low == pytest.approx(0.5, abs=0.001)  # as it was said
    better = share(70, 100)
    assert better is not None
    assert sentences.win_rate(better, "x", "y").startswith("x is better than y")
    worse = share(30, 100)
    assert worse is not None
    assert sentences.win_rate(worse, "x", "y").startswith("y is better than x")
    level = share(50, 100)
    assert level is not None
    assert "level" in sentences.win_rate(level, "x", "y")


def test_that_a_strength_is_told_as_a_chance_and_with_its_nearest_rival() -> None:
    assert sentences.strength(0.0, -0.1, 0.1).startswith("would win about five of ten")
    assert sentences.strength(0.9, 0.7, 1.1, "ppo").endswith("not to be told from ppo yet")
    assert sentences.strength(0.1, -0.1, 0.3).endswith("may be average")


@pytest.mark.parametrize(
    ("value", "words"), [(0.81, "about eight of ten"), (0.97, "about 97 of a hundred"), (1.0, "all"), (0.0, "none")]
)
def test_that_shares_are_told_in_counts(value: float, words: str) -> None:
    assert sentences.in_ten(value) == words


def test_that_two_annotators_are_told_not_to_trust_their_consensus() -> None:
    assert "trust this from three" in sentences.accuracy(Interval(0.9, 0.8, 1.0), 2)
    assert "nine of ten" in sentences.accuracy(Interval(0.9, 0.8, 1.0), 3)


def test_that_repeats_golds_circles_and_ties_are_told() -> None:
    good, poor = Share(0.9, 0.85, 0.94, 200), Share(0.5, 0.2, 0.8, 6)
    assert "ann says the same on about nine of ten" in sentences.consistency(good, "ann")
    assert "slow down" in sentences.consistency(poor) and "6 are few" in sentences.consistency(poor)
    assert "as hoped" in sentences.gold(good) and "read the guidelines again" in sentences.gold(poor, "ann")
    assert "one ranking fits" in sentences.circles(0, 4)
    assert "no single ranking" in sentences.circles(1, 4)
    assert "no three models" in sentences.circles(0, 0)
    assert "about three of ten" in sentences.ties(1.0)
