"""From scripted answers to rankings: both orders, drops, Copeland, ties, and agreement with people."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations, permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.analysis.pairwise import Answer, agreement_with, copeland, judge_pairs, rank_scores, settle
from workbench.domain.judgement import Ranking

Likes = Callable[[int, int], float]  # P(the one shown first is better) of candidates (first, second)


def asked(size: int, likes: Likes) -> list[Answer]:
    return [Answer(i, j, likes(i, j), likes(j, i)) for i, j in combinations(range(size), 2)]


def by_quality(quality: list[int], sure: float = 0.9) -> Likes:
    return lambda first, second: sure if quality[first] > quality[second] else 1 - sure


@pytest.mark.parametrize(
    ("forward", "backward", "verdict"),
    [
        (0.9, 0.2, "first"), (0.2, 0.9, "second"), (0.9, 0.9, "inconsistent"), (0.1, 0.1, "inconsistent"),
        (0.5, 0.1, "inconsistent"), (0.9, 0.5, "inconsistent"), (0.55, 0.45, "unsure"), (0.49, 0.6, "unsure"),
    ],
)  # fmt: skip
def test_that_only_what_both_orders_say_counts(forward: float, backward: float, verdict: str) -> None:
    assert settle(Answer(0, 1, forward, backward), confidence=0.6) == verdict


def test_that_without_a_bound_every_consistent_verdict_is_sure() -> None:
    assert settle(Answer(0, 1, 0.5000001, 0.4999999)) == "first"


def test_that_a_judge_who_always_takes_the_first_says_nothing() -> None:
    found = judge_pairs(3, asked(3, lambda first, second: 0.8))
    assert found.ranking is None
    assert (found.pairs, found.inconsistent, found.unsure, found.first, found.probability) == (3, 3, 0, 6, 0.0)


@pytest.mark.parametrize("quality", list(permutations(range(4))))
def test_that_a_steady_judge_gives_its_own_order(quality: tuple[int, ...]) -> None:
    found = judge_pairs(4, asked(4, by_quality(list(quality))))
    assert found.ranking is not None
    assert [tier[0] for tier in found.ranking.tiers] == sorted(range(4), key=lambda i: -quality[i])
    assert (found.pairs, found.inconsistent, found.first) == (6, 0, 6)
    assert found.probability == pytest.approx(0.9)


def test_that_a_doubt_between_equals_is_a_tie_below_the_winner() -> None:
    likes = by_quality([2, 1, 0])
    found = judge_pairs(3, asked(3, lambda a, b: 0.8 if {a, b} == {1, 2} else likes(a, b)))
    assert found.ranking == Ranking(tiers=((0,), (1, 2)))
    assert found.inconsistent == 1


def test_that_a_circle_is_a_tie_of_all() -> None:
    wins = [(0, 1), (1, 2), (2, 0)]
    assert copeland(3, wins) == Ranking(tiers=((0, 1, 2),))


def test_that_a_candidate_which_no_verdict_names_leaves_no_ranking() -> None:
    assert copeland(3, [(0, 1)]) is None
    assert copeland(4, [(0, 1), (2, 3)]) is None
    assert copeland(2, []) is None
    assert copeland(4, [(0, 1), (2, 3), (1, 2)]) == Ranking(tiers=((0,), (1, 2), (3,)))


def test_that_pairs_below_the_confidence_are_dropped_and_counted_apart() -> None:
    found = judge_pairs(2, asked(2, by_quality([1, 0], sure=0.7)), confidence=0.75)
    assert (found.ranking, found.unsure, found.inconsistent, found.probability) == (None, 1, 0, 0.0)


@given(st.lists(st.floats(-10, 10), min_size=2, max_size=6))
def test_that_scores_rank_like_numbers(scores: list[float]) -> None:
    ranking = rank_scores(scores)
    for i, j in combinations(range(len(scores)), 2):
        assert (ranking.tier_of(i) < ranking.tier_of(j)) == (scores[i] > scores[j])


def test_that_scores_within_the_margin_share_a_tier() -> None:
    assert rank_scores([1.0, 3.0, 1.4, 0.0], margin=0.5) == Ranking(tiers=((1,), (0, 2), (3,)))


def test_that_agreement_counts_pairs_that_both_order_strictly() -> None:
    ranking = Ranking(tiers=((0,), (1,), (2,)))
    assert agreement_with(ranking, [[0, 1, 2]]) == (3, 3)
    assert agreement_with(ranking, [[2, 1, 0], [0, 1, 1]]) == (2, 5)
    assert agreement_with(ranking, []) == (0, 0)
    assert agreement_with(Ranking(tiers=((0, 1, 2),)), [[0, 1, 2]]) == (0, 0)
