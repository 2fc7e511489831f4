"""Items from rankings and pairs: what is kept, what is left out and why, and how pairs and lists weigh."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.engine import losses
from workbench.engine.models import load_tokenizer
from workbench.engine.rankings import (
    Item,
    Opinion,
    Rankings,
    encode_rankings,
    lists_of,
    pairs_of,
    ties_of,
)

Row = dict[str, Any]
TIERS = st.lists(st.integers(0, 3), min_size=2, max_size=6).filter(lambda tiers: len(set(tiers)) > 1)


def ranking(texts: str, tiers: list[int], item: str | None = "i", strength: int = 1, prompt: str = "Hello") -> Row:
    turns = [{"role": "user", "content": prompt}]
    return {
        "prompt": turns, "raw": False, "completions": texts.split("|"), "tiers": tiers, "strength": strength, "item": item,
        "annotator": "Ada",
    }  # fmt: skip


def pair(chosen: str, rejected: str, margin: float | None = None) -> Row:
    turns = [{"role": "user", "content": "Hello"}]
    return {"prompt": turns, "raw": False, "chosen": chosen, "rejected": rejected, "margin": margin, "item": "i"}


def encode(stories: Path, *rows: Row, max_length: int = 60, ties: bool = False) -> Rankings:
    return encode_rankings(list(rows), load_tokenizer(stories), "auto", max_length, ties=ties)


def item(*opinions: tuple[int, ...], strength: float = 1.0) -> Item:
    return Item([1], [[number + 3] for number in range(len(opinions[0]))], [Opinion(o, strength) for o in opinions])


def test_that_every_completion_of_an_item_is_encoded_once_beside_its_prompt(stories: Path) -> None:
    found = encode(stories, ranking("a cat|a dog|a cow", [1, 0, 1]), ranking("one|two", [0, 1], "j", prompt="Count"))
    assert [len(one.completions) for one in found.items] == [3, 2]
    first, second = found.items
    assert first.prompt != second.prompt
    assert all(ids[-1] == 2 and ids.count(2) == 1 for one in found.items for ids in one.completions)
    sizes = [len(first.prompt) + len(ids) for ids in first.completions]
    assert (first.tokens, first.length) == (sum(sizes), max(sizes))


def test_that_what_several_annotators_say_of_an_item_meets_in_one_place(stories: Path) -> None:
    rows = [ranking("a|b", [0, 1]), ranking("c|d", [0, 1], "j"), ranking("a|b", [1, 0], strength=2)]
    found = encode(stories, *rows)
    assert [len(one.opinions) for one in found.items] == [2, 1]
    assert found.items[0].opinions == [Opinion((0, 1), 1.0), Opinion((1, 0), 2.0)]
    assert found.rows == rows[:2]
    assert found.pairs == 3


def test_that_rankings_without_a_name_and_those_of_other_completions_stay_apart(stories: Path) -> None:
    unnamed = ranking("a|b", [0, 1], None)
    assert len(encode(stories, unnamed, unnamed).items) == 2
    assert len(encode(stories, ranking("a|b", [0, 1]), ranking("a|c", [0, 1])).items) == 2


def test_that_a_pair_is_an_item_of_its_own_with_its_margin(stories: Path) -> None:
    found = encode(stories, pair("good", "bad", 2.0), pair("good", "bad", 2.0), pair("good", "worse"))
    assert [one.opinions[0].pairs for one in found.items] == [[(0, 1, 2.0)], [(0, 1, 2.0)], [(0, 1, 0.0)]]


def test_that_a_completion_that_is_too_long_leaves_its_ranking_and_the_rest_is_used(stories: Path) -> None:
    found = encode(stories, ranking("a|" + "long " * 80 + "|b|c", [0, 1, 2, 2]))
    (one,) = found.items
    assert len(one.completions) == 3
    assert found.too_long == 1
    assert one.opinions[0].pairs == [(0, 1, 2.0), (0, 2, 2.0)]
    assert (found.pairs, found.ties) == (2, 1)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (ranking("a|b|c", [0, 0, 0]), "its completions are all tied"),
        (ranking("a|a", [0, 1]), "its completions are the same"),
        (pair("a", "a"), "its completions are the same"),
        (ranking("a|a|b", [0, 1, 1]), "the same completion stands in two tiers"),
        (ranking("a|b|c", [0, 1]), "it doesn't rank each of its completions"),
        (ranking("long " * 80 + "|b", [0, 1]), "no two of its completions fit into 60 tokens with the prompt"),
        (ranking("a|b", [0, 1], prompt="long " * 80), "the prompt alone has 60 tokens or more"),
    ],
)
def test_that_what_teaches_nothing_is_left_out_with_its_reason(stories: Path, row: Row, reason: str) -> None:
    found = encode(stories, row, ranking("good|bad", [0, 1], "other"))
    assert dict(found.left_out) == {reason: 1}
    assert len(found.items) == 1


def test_that_a_tie_of_all_counts_where_ties_teach(stories: Path) -> None:
    (one,) = encode(stories, ranking("a|b|c", [0, 0, 0]), ties=True).items
    assert one.opinions[0].ties == [(0, 1), (0, 2), (1, 2)]
    assert encode(stories, ranking("a|a", [0, 0]), ties=True).items == []


def test_that_a_completion_given_twice_in_one_tier_is_read_once(stories: Path) -> None:
    (one,) = encode(stories, ranking("a|b|a|c", [0, 1, 0, 2])).items
    assert len(one.completions) == 3
    assert one.opinions[0].tiers == (0, 1, 2)


def test_that_one_useless_word_of_an_annotator_leaves_the_others(stories: Path) -> None:
    found = encode(stories, ranking("a|b", [0, 0]), ranking("a|b", [0, 1]))
    assert [one.opinions for one in found.items] == [[Opinion((0, 1), 1.0)]]
    assert found.left_out.total() == 1


@settings(max_examples=40, deadline=None)
@given(said=st.lists(TIERS, min_size=1, max_size=4), strength=st.integers(1, 2))
def test_that_an_item_weighs_one_and_its_pairs_share_it(said: list[list[int]], strength: int) -> None:
    items = [item(tuple(tiers), strength=strength) for tiers in said]
    pairs = pairs_of(items)
    assert float(pairs.weight.double().sum()) == pytest.approx(len(items), rel=1e-6)
    first, place = 0, 0
    for tiers in said:
        k, strict = len(tiers), sum(a < b for a in tiers for b in tiers)
        for _ in range(strict):
            better, worse = int(pairs.better[place]) - first, int(pairs.worse[place]) - first
            assert tiers[better] < tiers[worse]
            assert float(pairs.margin[place]) == (tiers[worse] - tiers[better]) * strength
            assert float(pairs.weight[place]) == pytest.approx(1 / strict)
            place += 1
        first += k
    assert place == len(pairs.better)
    assert len(ties_of(items)) == sum(sum(a == b for a in t for b in t) - len(t) for t in said) // 2


def test_that_a_full_ranking_weighs_each_pair_by_one_over_k_choose_two() -> None:
    assert pairs_of([item((2, 0, 3, 1))]).weight.tolist() == pytest.approx([1 / math.comb(4, 2)] * 6)


def test_that_annotators_of_an_item_share_its_weight_evenly_however_many_pairs_each_gives() -> None:
    pairs = pairs_of([item((0, 1, 1), (2, 1, 0))])
    assert pairs.weight.tolist() == pytest.approx([1 / 4] * 2 + [1 / 6] * 3)


def test_that_lists_name_the_best_first_with_ties_and_shares() -> None:
    lists = lists_of([item((1, 0, 1)), item((0, 0), (1, 0))])
    assert lists.places[0].tolist() == [1, 0, 2]
    assert lists.places[1, :2].tolist() == [3, 4]
    assert lists.places[2, :2].tolist() == [4, 3]
    assert lists.mask.tolist() == [[True] * 3, [True, True, False], [True, True, False]]
    assert lists.tied.tolist() == [[False, False, True], [False, True, False], [False, False, False]]
    assert lists.best.tolist() == [[1, 0, 0], [0.5, 0.5, 0], [1, 0, 0]]
    assert lists.weight.tolist() == [1, 0.5, 0.5]


def test_that_two_annotators_who_disagree_leave_two_scores_equal() -> None:
    pairs = pairs_of([item((0, 1), (1, 0))])
    scores = torch.zeros(2, requires_grad=True)
    losses.reward_pairwise(scores[pairs.better], scores[pairs.worse], weights=pairs.weight).backward()
    assert scores.grad is not None
    assert scores.grad.tolist() == [0, 0]
