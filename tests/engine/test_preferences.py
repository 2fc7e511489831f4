"""Comparisons as ids, what is left out and why, and the numbers a reward model is judged by."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch

from workbench.domain.errors import BadInput
from workbench.engine.models import load_tokenizer
from workbench.engine.preferences import (
    Preference,
    calibration_error,
    correlation,
    encode_preferences,
    length_metrics,
    mismatched,
    pair_batch,
    reward_metrics,
)

Row = dict[str, Any]


def row(chosen: str, rejected: str, prompt: str = "Hello", margin: float | None = None) -> Row:
    turns = [{"role": "user", "content": prompt}]
    return {"prompt": turns, "raw": False, "chosen": chosen, "rejected": rejected, "margin": margin}


def encode(stories: Path, *rows: Row, max_length: int = 60, shorten: bool = False) -> Any:
    return encode_preferences(list(rows), load_tokenizer(stories), "auto", max_length, shorten=shorten)


def test_that_both_sides_share_the_prompt_and_end_with_one_end_token(stories: Path) -> None:
    (pair,) = encode(stories, row("a cat", "a dog")).pairs
    assert pair.chosen[-1] == pair.rejected[-1] == 2
    assert pair.chosen.count(2) == pair.rejected.count(2) == 1
    assert pair.prompt[0] == 1
    assert pair.length == len(pair.prompt) + max(len(pair.chosen), len(pair.rejected))


def test_that_long_rows_are_left_out_for_a_reward_model_and_cut_for_dpo(stories: Path) -> None:
    rows = [row("a cat", "a dog"), row("a cat " * 50, "a dog"), row("a", "b", prompt="word " * 90)]
    strict = encode(stories, *rows)
    assert (len(strict.pairs), strict.cut) == (1, 0)
    assert sum(strict.left_out.values()) == 2
    loose = encode(stories, *rows, shorten=True)
    assert (len(loose.pairs), loose.cut) == (2, 1)
    assert 2 not in loose.pairs[1].chosen
    assert loose.pairs[1].length == 60
    assert [one["chosen"] for one in loose.rows] == ["a cat", "a cat " * 50]


def test_that_equal_completions_are_left_out_also_when_they_are_equal_only_up_to_the_cut(stories: Path) -> None:
    found = encode(stories, row("a cat", "a cat"), row("a cat " * 50 + "x", "a cat " * 50 + "y"), shorten=True)
    assert not found.pairs
    assert sorted(found.left_out) == [
        "both completions are the same",
        "both completions are the same up to where they are cut",
    ]


def test_that_an_empty_completion_is_just_an_end_token(stories: Path) -> None:
    (pair,) = encode(stories, row("a cat", "")).pairs
    assert pair.rejected == [2]


def test_that_the_margin_is_kept_and_is_zero_when_unknown(stories: Path) -> None:
    found = encode(stories, row("a", "b", margin=1.5), row("a", "b"))
    assert [pair.margin for pair in found.pairs] == [1.5, 0.0]


def test_that_a_batch_holds_chosen_rows_first() -> None:
    pairs = [Preference([1, 5], [6, 2], [7, 8, 2], 0.0), Preference([1], [9, 2], [3, 2], 0.0)]
    batch = pair_batch(pairs, pad=0)
    assert batch.completion_ids.tolist() == [[6, 2, 0], [9, 2, 0], [7, 8, 2], [3, 2, 0]]
    assert batch.prompt_lengths.tolist() == [2, 1, 2, 1]


def test_that_each_prompt_gets_the_completions_of_the_next_other_prompt() -> None:
    pairs = [Preference([ids], [10 + n, 2], [20 + n, 2], 0.0) for n, ids in enumerate([1, 1, 3, 4, 1, 1])]
    found = mismatched(pairs, 50)
    assert [pair.prompt for pair in found] == [pair.prompt for pair in pairs]
    assert [pair.chosen[0] - 10 for pair in found] == [2, 2, 3, 4, 2, 2]
    assert [pair.rejected[0] - 20 for pair in found] == [2, 2, 3, 4, 2, 2]


def test_that_strangers_are_cut_to_fit_and_never_empty() -> None:
    pairs = [Preference([1] * 7, [5, 2], [6, 2], 0.0), Preference([1], [7] * 7, [8] * 3, 0.0)]
    found = mismatched(pairs, 8)
    assert (found[0].chosen, found[0].rejected) == ([7], [8])
    assert (found[1].chosen, found[1].rejected) == ([5, 2], [6, 2])


def test_that_pairs_of_a_single_prompt_have_no_strangers() -> None:
    with pytest.raises(BadInput, match="All pairs have the same prompt"):
        mismatched([Preference([1], [2], [3], 0.0)] * 3, 50)


def test_that_the_metrics_are_their_definitions() -> None:
    chosen, rejected = torch.tensor([1.0, 2.0, 0.0]), torch.tensor([0.0, 3.0, -2.0])
    lengths = torch.tensor([1, 2, 3, 4, 5, 6])
    found = reward_metrics(chosen, rejected, lengths, "eval/")
    assert found["eval/accuracy"] == pytest.approx(2 / 3)
    assert found["eval/margin"] == pytest.approx(2 / 3)
    assert found["eval/chosen_reward"] == pytest.approx(1.0)
    assert found["eval/rejected_reward"] == pytest.approx(1 / 3)
    both = torch.stack([torch.cat([chosen, rejected]), lengths.float()])
    assert found["eval/length_bias"] == pytest.approx(float(torch.corrcoef(both)[0, 1]), abs=1e-6)


def test_that_a_model_as_often_right_as_it_is_sure_has_no_calibration_error() -> None:
    gap = math.log(3)  # 75 % sure
    assert calibration_error(torch.tensor([gap, gap, gap, -gap])) == pytest.approx(0.0, abs=1e-6)
    assert calibration_error(torch.tensor([gap] * 4)) == pytest.approx(0.25)
    assert calibration_error(torch.tensor([-gap] * 4)) == pytest.approx(0.75)
    assert calibration_error(torch.tensor([50.0, 50.0])) == pytest.approx(0.0)


def test_that_errors_in_different_bins_do_not_cancel() -> None:
    weak, strong = 0.01, math.log(9)  # 50 % and 90 % sure
    found = calibration_error(torch.tensor([weak, -strong]))
    assert found == pytest.approx((0.5 + 0.9) / 2, abs=0.01)


def test_that_a_tie_counts_as_wrong_and_constant_scores_have_no_length_bias() -> None:
    same = torch.zeros(3)
    found = reward_metrics(same, same, torch.arange(6))
    assert found["accuracy"] == 0.0
    assert found["length_bias"] == 0.0
    assert correlation(torch.tensor([1.0, 2.0]), torch.tensor([4.0, 2.0])) == pytest.approx(-1.0)


def test_that_accuracy_is_told_apart_by_which_side_is_longer() -> None:
    gaps = torch.tensor([1.0, -1.0, 2.0, 1.0, -3.0, 0.5])
    better, worse = torch.tensor([10, 10, 20, 5, 5, 8]), torch.tensor([10, 12, 10, 20, 10, 9])
    found = length_metrics(gaps, better, worse)
    assert found == {
        "longer_wins": pytest.approx((0.5 + 0 + 1 + 0 + 0 + 0) / 6),
        "accuracy/similar_length": pytest.approx(2 / 3),
        "accuracy/longer_better": 1.0,
        "accuracy/shorter_better": 0.5,
    }
    assert set(length_metrics(gaps[:1], better[:1], worse[:1])) == {"longer_wins", "accuracy/similar_length"}
