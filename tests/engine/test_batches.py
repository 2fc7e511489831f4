from __future__ import annotations

import pytest
import torch

from workbench.engine.batches import Pair, collate, count_steps, cut, epoch_order, micro_batches, positions, rows_at

PROMPTS = [[1, 5, 6], [1, 7], [1]]
COMPLETIONS = [[8, 2], [9, 9, 9, 2], [2]]


def test_that_rows_are_padded_on_the_right_with_masks_from_lengths() -> None:
    batch = collate(PROMPTS, COMPLETIONS, pad=2)  # the pad id is the end token: it must not matter
    assert batch.input_ids.tolist() == [[1, 5, 6, 8, 2, 2], [1, 7, 9, 9, 9, 2], [1, 2, 2, 2, 2, 2]]
    assert batch.attention_mask.sum(1).tolist() == [5, 6, 2]
    assert batch.completion_mask.int().tolist() == [[1, 1, 0, 0], [1, 1, 1, 1], [1, 0, 0, 0]]
    assert batch.completion_ids[batch.completion_mask].tolist() == [8, 2, 9, 9, 9, 2, 2]
    assert batch.tokens == 7


def test_that_each_completion_token_is_predicted_from_the_one_before_it() -> None:
    batch = collate(PROMPTS, COMPLETIONS, pad=0)
    following = batch.input_ids.gather(1, batch.before + 1)
    assert torch.equal(following[batch.completion_mask], batch.completion_ids[batch.completion_mask])
    assert batch.last.tolist() == [4, 5, 1]
    assert batch.input_ids.gather(1, batch.last[:, None]).flatten().tolist() == [2, 2, 2]


def test_that_positions_come_from_the_mask() -> None:
    mask = torch.tensor([[0, 0, 1, 1], [1, 1, 1, 0]], dtype=torch.bool)
    assert positions(mask).tolist() == [[0, 0, 0, 1], [0, 1, 2, 0]]


def test_that_a_prompt_without_a_token_is_refused() -> None:
    with pytest.raises(ValueError, match="without a token"):
        collate([[]], [[1]], 0)


def test_that_a_long_completion_is_cut_with_its_end_and_a_long_prompt_leaves_no_pair() -> None:
    pair = Pair([1, 2, 3], [4, 5, 9])
    assert cut(pair, 6) == pair
    assert cut(pair, 5) == Pair([1, 2, 3], [4, 5])
    assert cut(pair, 3) is None


def test_that_micro_batches_hold_every_row_once_with_like_lengths_together() -> None:
    lengths = [5, 50, 6, 49, 7, 48]
    parts = list(micro_batches([0, 1, 2, 3, 4, 5], lengths, 3))
    assert sorted(row for part in parts for row in part) == [0, 1, 2, 3, 4, 5]
    assert parts[0] == [1, 3, 5]
    assert list(micro_batches([3, 1], lengths, 0)) == [[3, 1]]


def test_that_each_epoch_shows_every_row_once_in_an_order_of_its_own() -> None:
    orders = [epoch_order(20, epoch, 7) for epoch in range(3)]
    assert all(sorted(order) == list(range(20)) for order in orders)
    assert orders[0] != orders[1] != orders[2]
    assert epoch_order(20, 0, 7) == orders[0]
    assert epoch_order(20, 0, 8) != orders[0]


@pytest.mark.parametrize(("rows", "size"), [(10, 4), (3, 8), (7, 7), (1, 3)])
def test_that_epochs_follow_each_other_without_a_gap(rows: int, size: int) -> None:
    stream = [row for step in range(30) for row in rows_at(step, rows, size, seed=1)]
    assert len(stream) == 30 * size
    for epoch in range(30 * size // rows):
        assert stream[epoch * rows : (epoch + 1) * rows] == epoch_order(rows, epoch, 1)


@pytest.mark.parametrize(
    ("rows", "size", "epochs", "most", "steps"),
    [(100, 10, 1, 0, 10), (101, 10, 1, 0, 11), (5, 10, 0.1, 0, 1), (9, 1, 9, 4, 4)],
)
def test_that_steps_follow_from_epochs_unless_they_are_given(
    rows: int, size: int, epochs: float, most: int, steps: int
) -> None:
    assert count_steps(rows, size, epochs, most) == steps
