"""Variety, repetition and length of texts, and the left-pick interval, by hand."""

import math

import pytest

from workbench.analysis.order import left_pick_rate, wilson
from workbench.analysis.text import Lengths, distinct_n, lengths, ngrams, repetition, self_bleu


def test_that_distinct_n_is_taken_over_all_texts_together() -> None:
    assert distinct_n(["a b a", "a b"], 1) == pytest.approx(2 / 5)
    assert distinct_n(["a b a", "a b"], 2) == pytest.approx(2 / 3)
    assert distinct_n(["a"], 2) is None


def test_that_a_loop_is_almost_all_repetition_and_short_texts_repeat_nothing() -> None:
    assert repetition("la " * 103) == pytest.approx(0.99)
    assert repetition("one two three four five") == 0.0
    assert repetition("one two") == 0.0


def test_that_ngrams_keep_their_order_and_n_is_at_least_one() -> None:
    assert ngrams(["a", "b", "c"], 2) == [("a", "b"), ("b", "c")]
    with pytest.raises(ValueError, match="at least 1"):
        ngrams(["a"], 0)


def test_that_lengths_are_in_words() -> None:
    assert lengths(["a b c", "a", "a b"]) == Lengths(3, 2.0, 1, 2.0, 3)
    assert lengths(["a b", "a"]) == Lengths(2, 1.5, 1, 1.5, 2)
    assert lengths([]) is None


def test_that_wilson_is_the_published_interval() -> None:
    # 81 of 263 at 95 %: 0.2553 to 0.3662 (Newcombe 1998, method 3, example 1)
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert wilson(0, 20)[0] == 0.0
    assert wilson(20, 20)[1] == pytest.approx(1.0)
    for bad in ((1, 0), (3, 2), (-1, 5)):
        with pytest.raises(ValueError):
            wilson(*bad)


def test_that_the_left_rate_is_undefined_without_choices() -> None:
    assert left_pick_rate(0, 0) == (None, None, None)
    rate, low, high = left_pick_rate(3, 1)
    assert rate == 0.75
    assert low is not None and high is not None and 0 < low < 0.75 < high < 1


def test_that_self_bleu_is_one_for_one_text_said_again_and_zero_for_strangers() -> None:
    assert self_bleu(["the cat sat on the mat"] * 3) == pytest.approx(1.0)
    assert self_bleu(["ok", "ok"]) == pytest.approx(1.0)
    assert self_bleu(["a b c d e", "f g h i j"]) == 0.0
    assert self_bleu(["", "a b"]) == 0.0 and self_bleu(["", ""]) == 1.0
    assert self_bleu(["alone"]) is None and self_bleu([]) is None


def test_that_self_bleu_agrees_with_the_sum_by_hand() -> None:
    # "a b c d" against "a b x y": 2 of 4 words, (1 + 1) / (3 + 1) pairs, (0 + 1) / (2 + 1) triples, (0 + 1) / (1 + 1) fours.
    expected = (2 / 4 * 2 / 4 * 1 / 3 * 1 / 2) ** 0.25
    assert self_bleu(["a b c d", "a b x y"]) == pytest.approx(expected)


def test_that_a_short_text_pays_for_its_brevity() -> None:
    whole, short = "a b c d e f g h", "a b c d"
    one = self_bleu([short, whole])
    assert one is not None
    # The short one is wholly inside the long one, at the price of exp(1 - 8 / 4); the long one has half of its words matched.
    longer = (4 / 8 * 4 / 8 * 3 / 7 * 2 / 6) ** 0.25
    assert one == pytest.approx((math.exp(-1) + longer) / 2)
