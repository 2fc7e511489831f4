"""What training takes of several opinions on one item, and what each pair of them weighs."""

import itertools
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.domain.judgement import (
    Judgement,
    Purpose,
    Ranking,
    comparisons,
    pair_share,
    ranking_from_scores,
    settled,
)

START = datetime(2026, 1, 1, tzinfo=UTC)
PURPOSES: tuple[Purpose, ...] = ("label", "repeat", "extra", "adjudication")


def said(number: int, purpose: Purpose = "label", outcome: str = "ranked", minute: int | None = None) -> Judgement:
    parts: dict[str, Any] = {"ranked": {"ranking": Ranking(tiers=((0,), (1,)))}, "skipped": {"skip_reason": "other"}}
    return Judgement.model_validate(
        {
            "id": str(number), "item": "i", "annotator": f"person {number}", "outcome": outcome, "shown": (0, 1),
            "shown_seed": 1, "milliseconds": 5, "purpose": purpose,
            "created": START + timedelta(minutes=number if minute is None else minute), **parts.get(outcome, {}),
        }
    )  # fmt: skip


def weak_orders(size: int) -> list[Ranking]:
    """Every ranking of so many candidates, ties and all."""
    found = set()
    for ranks in itertools.product(range(size), repeat=size):
        tiers = [tuple(i for i in range(size) if ranks[i] == rank) for rank in sorted(set(ranks))]
        found.add(tuple(tiers))
    return [Ranking(tiers=tiers) for tiers in sorted(found)]


@pytest.mark.parametrize(("size", "count"), [(1, 1), (2, 3), (3, 13), (4, 75)])
def test_that_there_are_as_many_rankings_as_the_ordered_bell_numbers(size: int, count: int) -> None:
    assert len(weak_orders(size)) == count


@pytest.mark.parametrize("ranking", weak_orders(4), ids=lambda r: str(r.tiers))
def test_that_comparisons_are_the_strict_pairs_of_the_tiers(ranking: Ranking) -> None:
    pairs = {(c.chosen, c.rejected): c.margin for c in comparisons(ranking)}
    expected = {
        (a, b): float(ranking.tier_of(b) - ranking.tier_of(a))
        for a in range(4)
        for b in range(4)
        if ranking.tier_of(a) < ranking.tier_of(b)
    }
    assert pairs == expected


@pytest.mark.parametrize("ranking", weak_orders(4), ids=lambda r: str(r.tiers))
def test_that_scores_made_of_tiers_give_the_ranking_back_in_tiers_of_the_same_members(ranking: Ranking) -> None:
    again = ranking_from_scores([-float(ranking.tier_of(c)) for c in range(4)])
    assert [set(tier) for tier in again.tiers] == [set(tier) for tier in ranking.tiers]


@pytest.mark.parametrize("opinions", [1, 2, 5])
@pytest.mark.parametrize("pairs", [1, 3, 6, 36])
def test_that_the_pairs_of_all_opinions_on_an_item_weigh_one(opinions: int, pairs: int) -> None:
    assert Fraction(pair_share(opinions, pairs)).limit_denominator(10_000) * opinions * pairs == 1


def test_that_an_opinion_without_a_strict_pair_doesn_t_divide_by_nothing() -> None:
    assert pair_share(2, 0) == 0.5


def test_that_labels_count_and_checks_don_t() -> None:
    opinions = [said(n, purpose) for n, purpose in enumerate(("label", "repeat", "extra", "label"))]
    assert settled(opinions) == [opinions[0], opinions[3]]
    assert [j.counts for j in opinions] == [True, False, False, True]


def test_that_an_adjudication_stands_alone() -> None:
    opinions = [said(0), said(1), said(2, "adjudication"), said(3)]
    assert settled(opinions) == [opinions[2]]


def test_that_the_newest_adjudication_stands_wherever_it_is_listed() -> None:
    opinions = [said(0, "adjudication", minute=9), said(1), said(2, "adjudication", minute=4)]
    assert settled(opinions) == [opinions[0]]
    assert settled(opinions[::-1]) == [opinions[0]]


def test_that_a_skipped_adjudication_settles_nothing() -> None:
    opinions = [said(0), said(1), said(2, "adjudication", "skipped")]
    assert settled(opinions) == opinions  # it is an opinion like others: one that names no pair
    opinions = [said(0), said(1, "adjudication", minute=1), said(2, "adjudication", "skipped", minute=2)]
    assert settled(opinions) == [opinions[1]]


def test_that_all_bad_can_settle() -> None:
    opinions = [said(0), said(1), said(2, "adjudication", "all_bad")]
    assert settled(opinions) == [opinions[2]]


def test_that_nothing_said_settles_nothing() -> None:
    assert settled([]) == []


@given(st.lists(st.tuples(st.sampled_from(PURPOSES), st.sampled_from(["ranked", "all_bad", "skipped"])), max_size=8))
def test_that_what_is_settled_is_either_one_verdict_or_all_labels(kinds: list[tuple[Purpose, str]]) -> None:
    opinions = [said(n, purpose, outcome) for n, (purpose, outcome) in enumerate(kinds)]
    found = settled(opinions)
    assert all(j.counts for j in found)
    verdicts = [j for j in opinions if j.purpose == "adjudication" and j.outcome != "skipped"]
    assert found == (verdicts[-1:] or [j for j in opinions if j.counts])
