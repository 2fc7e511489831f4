from datetime import UTC, datetime
from itertools import combinations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from workbench.domain.judgement import Comparison, Item, Judgement, Ranking, comparisons, ranking_from_scores
from workbench.domain.text import Candidate, Prompt

NOW = datetime(2026, 5, 1, tzinfo=UTC)


@st.composite
def rankings(draw: st.DrawFn) -> Ranking:
    size = draw(st.integers(1, 9))
    places = draw(st.lists(st.integers(0, 4), min_size=size, max_size=size))
    tiers = [tuple(i for i in range(size) if places[i] == place) for place in sorted(set(places))]
    return Ranking(tiers=tuple(tiers))


def judgement(**fields: Any) -> Judgement:
    given = {
        "id": "j", "item": "i", "annotator": "me", "outcome": "ranked", "ranking": Ranking(tiers=((1,), (0,))),
        "shown": (1, 0), "shown_seed": 7, "milliseconds": 900, "created": NOW,
    }  # fmt: skip
    return Judgement(**{**given, **fields})


def test_that_a_ranking_of_the_design_reads_as_two_over_nought_over_one_level_with_three() -> None:
    ranking = Ranking(tiers=((2,), (0,), (1, 3)))
    assert ranking.size == 4
    assert [ranking.tier_of(i) for i in range(4)] == [1, 2, 0, 2]
    pairs = {(c.chosen, c.rejected, c.margin) for c in comparisons(ranking)}
    assert pairs == {(2, 0, 1.0), (2, 1, 2.0), (2, 3, 2.0), (0, 1, 1.0), (0, 3, 1.0)}


def test_that_best_pairs_come_first() -> None:
    pairs = comparisons(Ranking(tiers=((2,), (0,), (1,))))
    assert [(c.chosen, c.rejected) for c in pairs] == [(2, 0), (2, 1), (0, 1)]


@pytest.mark.parametrize(
    "tiers",
    [
        (),
        ((),),
        ((0,), ()),
        ((0, 0),),
        ((0,), (0,)),
        ((1,),),
        ((0,), (2,)),
        ((-1,), (0,)),
    ],
)
def test_that_a_ranking_names_every_candidate_exactly_once(tiers: tuple[tuple[int, ...], ...]) -> None:
    with pytest.raises(ValidationError):
        Ranking(tiers=tiers)


@given(rankings())
def test_that_there_is_a_comparison_for_each_pair_that_is_not_tied_and_for_no_other(ranking: Ranking) -> None:
    pairs = comparisons(ranking)
    assert all(ranking.tier_of(c.chosen) < ranking.tier_of(c.rejected) for c in pairs)
    strict = [p for p in combinations(range(ranking.size), 2) if ranking.tier_of(p[0]) != ranking.tier_of(p[1])]
    assert sorted(tuple(sorted((c.chosen, c.rejected))) for c in pairs) == sorted(strict)


@given(rankings(), st.integers(1, 2))
def test_that_the_margin_counts_tiers_times_strength(ranking: Ranking, strength: int) -> None:
    for pair in comparisons(ranking, strength):
        assert pair.margin == (ranking.tier_of(pair.rejected) - ranking.tier_of(pair.chosen)) * strength


@given(rankings())
def test_that_scores_made_from_a_ranking_give_the_ranking_back(ranking: Ranking) -> None:
    scores = [-float(ranking.tier_of(i)) for i in range(ranking.size)]
    back = ranking_from_scores(scores)
    assert [set(t) for t in back.tiers] == [set(t) for t in ranking.tiers]


def test_that_equal_scores_share_a_tier_and_higher_is_better() -> None:
    assert ranking_from_scores([0.5, 2.0, 0.5]).tiers == ((1,), (0, 2))
    assert ranking_from_scores([1.0]).tiers == ((0,),)


def test_that_a_tie_of_all_gives_no_comparison() -> None:
    assert comparisons(Ranking(tiers=((0, 1, 2),))) == ()


def test_that_a_comparison_stands_for_one_tier_unless_it_says_more() -> None:
    assert Comparison(chosen=0, rejected=1).margin == 1.0


@pytest.mark.parametrize(
    "fields",
    [
        {"ranking": None},
        {"outcome": "all_bad"},
        {"outcome": "skipped", "ranking": None},
        {"outcome": "all_bad", "ranking": None, "skip_reason": "unsafe"},
        {"skip_reason": "unclear"},
        {"shown": (0, 0)},
        {"shown": (0, 2)},
        {"shown": (0, 1, 2)},
        {"strength": 3},
        {"strength": 0},
        {"milliseconds": -1},
        {"outcome": "shrug"},
        {"skip_reason": "bored", "outcome": "skipped", "ranking": None},
        {"annotator_kind": "oracle"},
        {"mood": "good"},
    ],
)
def test_that_a_judgement_that_contradicts_itself_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        judgement(**fields)


def test_that_each_outcome_comes_with_its_parts() -> None:
    assert judgement().outcome == "ranked"
    assert judgement(outcome="all_bad", ranking=None).ranking is None
    assert judgement(outcome="skipped", ranking=None, skip_reason="unsafe").skip_reason == "unsafe"


def test_that_a_judgement_survives_json_and_can_not_be_changed() -> None:
    made = judgement(strength=2, note="clear", annotator_kind="rule")
    assert Judgement.model_validate_json(made.model_dump_json()) == made
    with pytest.raises(ValidationError):
        made.note = "other"


@pytest.mark.parametrize("count", [0, 1, 10])
def test_that_an_item_has_two_to_nine_candidates(count: int) -> None:
    with pytest.raises(ValidationError):
        Item(id="i", prompt=Prompt.from_text("Hi"), candidates=tuple(Candidate(text=str(i)) for i in range(count)))
