"""What holds for all batches, packings, orders and optimizer steps, with inputs made up by hypothesis."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from workbench.domain.errors import RunFailed
from workbench.domain.specs.sft import SftSpec
from workbench.engine.batches import (
    Pair,
    collate,
    count_steps,
    cut,
    epoch_order,
    micro_batches,
    positions,
    rows_at,
)
from workbench.engine.device import Setup
from workbench.engine.optim import make_optimizer, schedule, set_learning_rate, take_step
from workbench.engine.packing import pack
from workbench.engine.pair_forward import shared_rows
from workbench.engine.preferences import Preference, calibration_error, correlation, pair_batch, reward_metrics

CPU = Setup(torch.device("cpu"), torch.float32)
QUICK = settings(max_examples=40, deadline=None)
TOKENS = st.integers(0, 9)
PAIRS = st.lists(
    st.tuples(st.lists(TOKENS, min_size=1, max_size=9), st.lists(TOKENS, max_size=9)), min_size=1, max_size=7
)
DOCUMENTS = st.lists(st.lists(TOKENS, max_size=40), min_size=1, max_size=25)


@QUICK
@given(pairs=PAIRS, pad=TOKENS)
def test_that_a_batch_holds_exactly_its_rows_whatever_the_padding_is(
    pairs: list[tuple[list[int], list[int]]], pad: int
) -> None:
    batch = collate([p for p, _ in pairs], [c for _, c in pairs], pad)
    for row, (prompt, completion) in enumerate(pairs):
        n = len(prompt) + len(completion)
        assert batch.input_ids[row, :n].tolist() == prompt + completion
        assert (batch.input_ids[row, n:] == pad).all()
        assert batch.attention_mask[row].tolist() == [1] * n + [0] * (batch.input_ids.shape[1] - n)
        assert batch.position_ids[row, :n].tolist() == list(range(n))
        assert batch.completion_ids[row][batch.completion_mask[row]].tolist() == completion
        before = batch.before[row][batch.completion_mask[row]].tolist()
        assert before == list(range(len(prompt) - 1, n - 1))
        assert int(batch.last[row]) == n - 1
    assert batch.tokens == sum(len(c) for _, c in pairs)
    assert batch.input_ids.shape[1] == max(len(p) + len(c) for p, c in pairs)
    assert not batch.before[~batch.completion_mask].any()


@QUICK
@given(mask=st.lists(st.lists(st.booleans(), min_size=6, max_size=6), min_size=1, max_size=5))
def test_that_positions_count_what_is_shown(mask: list[list[bool]]) -> None:
    for row, shown in zip(positions(torch.tensor(mask)).tolist(), mask, strict=True):
        assert [place for place, s in zip(row, shown, strict=True) if s] == list(range(sum(shown)))
        assert not any(place for place, s in zip(row, shown, strict=True) if not s)


@QUICK
@given(
    prompt=st.lists(TOKENS, min_size=1, max_size=9), completion=st.lists(TOKENS, max_size=9), most=st.integers(1, 20)
)
def test_that_a_cut_pair_fits_and_begins_as_it_did(prompt: list[int], completion: list[int], most: int) -> None:
    short = cut(Pair(prompt, completion), most)
    assert (short is None) == (len(prompt) >= most)
    if short is not None:
        assert short.length <= most
        assert short.prompt == prompt
        assert short.completion == completion[: len(short.completion)]
        assert len(short.completion) == min(len(completion), most - len(prompt))


@QUICK
@given(lengths=st.lists(st.integers(1, 99), min_size=1, max_size=30), size=st.integers(0, 12), data=st.data())
def test_that_micro_batches_share_out_every_row_once(lengths: list[int], size: int, data: Any) -> None:
    rows = data.draw(st.permutations(range(len(lengths))))
    parts = list(micro_batches(rows, lengths, size))
    assert sorted(row for part in parts for row in part) == list(range(len(lengths)))
    assert all(len(part) <= (size or len(rows)) for part in parts)
    assert len(parts) == (math.ceil(len(rows) / size) if size else 1)
    for first, second in itertools.pairwise(parts):
        assert min(lengths[row] for row in first) >= max(lengths[row] for row in second)


@QUICK
@given(rows=st.integers(1, 40), size=st.integers(1, 17), seed=st.integers(0, 2**31 - 1), step=st.integers(0, 60))
def test_that_the_rows_of_a_step_are_a_slice_of_the_endless_stream(rows: int, size: int, seed: int, step: int) -> None:
    chosen = rows_at(step, rows, size, seed)
    assert len(chosen) == size
    for place, row in enumerate(chosen):
        number = step * size + place
        assert row == epoch_order(rows, number // rows, seed)[number % rows]


@QUICK
@given(rows=st.integers(1, 500), size=st.integers(1, 64), epochs=st.floats(0.01, 5))
def test_that_as_many_steps_are_made_as_the_epochs_need(rows: int, size: int, epochs: float) -> None:
    steps = count_steps(rows, size, epochs, 0)
    assert steps >= 1
    assert steps * size >= rows * epochs
    assert steps == 1 or (steps - 1) * size < rows * epochs


@QUICK
@given(documents=DOCUMENTS, length=st.integers(2, 16), pad=TOKENS, seed=st.integers(0, 99))
def test_that_packing_keeps_every_piece_whole_and_apart(
    documents: list[list[int]], length: int, pad: int, seed: int
) -> None:
    pieces = [ids[start : start + length] for ids in documents for start in range(0, len(ids), length)]
    pieces = [tuple(piece) for piece in pieces if len(piece) > 1]
    if not pieces:
        with pytest.raises(RunFailed):
            pack(documents, length, pad, seed)
        return
    packed = pack(documents, length, pad, seed)
    found = []
    for ids, segments, places in zip(packed.ids, packed.segments, packed.positions, strict=True):
        for number in range(1, segments.max() + 1):
            where = np.flatnonzero(segments == number)
            assert where.tolist() == list(range(where[0], where[-1] + 1))
            assert places[where].tolist() == list(range(len(where)))
            found.append(tuple(ids[where].tolist()))
        assert (ids[segments == 0] == pad).all()
        assert not segments[int((segments > 0).sum()) :].any()
    assert sorted(found) == sorted(pieces)
    assert packed.pieces == len(pieces)
    # Best fit wastes little: no two rows would fit into one.
    lengths = sorted(packed.lengths)
    assert len(lengths) < 2 or lengths[0] + lengths[1] > length


@QUICK
@given(documents=DOCUMENTS, length=st.integers(4, 16), data=st.data())
def test_that_attention_stays_inside_a_document_and_looks_back_only(
    documents: list[list[int]], length: int, data: Any
) -> None:
    documents = [*documents, [1, 2, 3]]
    packed = pack(documents, length, 0, 0)
    rows = data.draw(st.lists(st.integers(0, len(packed) - 1), min_size=1, max_size=4))
    batch = packed.batch(rows)
    segments = torch.from_numpy(packed.segments[rows])[:, : batch.input_ids.shape[1]]
    size = segments.shape[1]
    expected = torch.tensor(
        [[[bool(row[i] == row[j] and j <= i) for j in range(size)] for i in range(size)] for row in segments]
    )
    if batch.attention is None:
        assert (segments <= 1).all()
    else:
        assert torch.equal(batch.attention[:, 0], expected)
        assert batch.attention.any(-1).all()  # a row of the mask without a place would give NaN
    assert batch.targets == packed.targets(rows)
    expected_places = [
        row * size + place
        for row, numbers in enumerate(segments.tolist())
        for place in range(size - 1)
        if numbers[place] == numbers[place + 1] != 0
    ]
    assert batch.places.tolist() == expected_places
    assert batch.labels.tolist() == batch.input_ids.flatten()[batch.places + 1].tolist()


def by_hand(steps: int, rate: float, spec: SftSpec, weight: float, gradients: list[float]) -> float:
    """AdamW on one number (Loshchilov and Hutter 2019, algorithm 2)."""
    first = second = 0.0
    for step in range(1, steps + 1):
        gradient = gradients[step - 1]
        weight -= rate * spec.weight_decay * weight
        first = spec.beta1 * first + (1 - spec.beta1) * gradient
        second = spec.beta2 * second + (1 - spec.beta2) * gradient**2
        corrected = second / (1 - spec.beta2**step)
        weight -= rate * first / (1 - spec.beta1**step) / (math.sqrt(corrected) + spec.epsilon)
    return weight


@QUICK
@given(
    decay=st.floats(0, 0.5),
    beta1=st.floats(0, 0.95),
    beta2=st.floats(0.5, 0.999),
    gradients=st.lists(st.floats(-3, 3), min_size=1, max_size=6),
)
def test_that_a_step_is_adamw_by_hand(decay: float, beta1: float, beta2: float, gradients: list[float]) -> None:
    spec = SftSpec(learning_rate=0.01, weight_decay=decay, beta1=beta1, beta2=beta2, epsilon=1e-4)
    net = nn.Linear(1, 1).double()
    with torch.no_grad():
        net.weight.fill_(0.7), net.bias.fill_(0.3)
    optimizer = make_optimizer(net, spec)
    for gradient in gradients:
        for parameter in net.parameters():
            parameter.grad = torch.full_like(parameter, gradient)
        optimizer.step()
    expected = by_hand(len(gradients), 0.01, spec, 0.7, gradients)
    assert net.weight.item() == pytest.approx(expected, abs=1e-7)
    bare = spec.model_copy(update={"weight_decay": 0.0})
    assert net.bias.item() == pytest.approx(by_hand(len(gradients), 0.01, bare, 0.3, gradients), abs=1e-7)


@QUICK
@given(
    steps=st.integers(1, 300), warmup=st.floats(0, 0.99), kind=st.sampled_from(["cosine", "linear", "constant", "step"])
)
def test_that_the_rate_is_never_zero_never_above_its_peak_and_falls_after_the_rise(
    steps: int, warmup: float, kind: Any
) -> None:
    spec = SftSpec(warmup=warmup, schedule=kind)
    factors = [schedule(step, steps, spec) for step in range(steps)]
    assert all(0 < factor <= 1 for factor in factors)
    top = factors.index(max(factors))
    assert factors[: top + 1] == sorted(factors[: top + 1])
    assert factors[top:] == sorted(factors[top:], reverse=True)


def test_that_a_resumed_optimizer_gets_the_rate_of_its_step_not_of_the_start() -> None:
    spec = SftSpec(learning_rate=1.0, schedule="linear", warmup=0.0)
    rates = [set_learning_rate(make_optimizer(nn.Linear(2, 2), spec), step, 4, spec) for step in range(4)]
    assert rates == [1.0, 0.75, 0.5, 0.25]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_that_a_gradient_that_is_no_number_touches_no_weight(value: float) -> None:
    net = nn.Linear(2, 2)
    before = net.weight.detach().clone()
    net.weight.grad = torch.full((2, 2), value)
    with pytest.raises(RunFailed, match="gradient norm became") as caught:
        take_step(CPU, 1.0, torch.optim.SGD(net.parameters(), lr=1.0))
    assert "lower learning rate" in caught.value.hint
    assert torch.equal(net.weight, before)


def test_that_clipping_keeps_the_direction_and_overlooks_what_has_no_gradient() -> None:
    net = nn.Linear(3, 2)
    net.weight.grad = torch.arange(6.0).view(2, 3)
    direction = net.weight.grad / net.weight.grad.norm()
    weight, bias = net.weight.detach().clone(), net.bias.detach().clone()
    assert take_step(CPU, 0.1, torch.optim.SGD(net.parameters(), lr=1.0)) == pytest.approx([math.sqrt(55)])
    assert torch.equal(net.bias, bias)
    torch.testing.assert_close(weight - net.weight, 0.1 * direction, atol=1e-6, rtol=1e-4)


@QUICK
@given(sizes=st.lists(st.tuples(*[st.integers(1, 6)] * 3), min_size=1, max_size=5))
def test_that_both_sides_of_a_pair_stand_half_a_batch_apart(sizes: list[tuple[int, int, int]]) -> None:
    pairs = [Preference([1] * p, [2] * c, [3] * r, 0.0) for p, c, r in sizes]
    batch = pair_batch(pairs, 0)
    n = len(pairs)
    assert batch.completion_lengths.tolist() == [c for _, c, _ in sizes] + [r for _, _, r in sizes]
    assert batch.prompt_lengths[:n].tolist() == batch.prompt_lengths[n:].tolist()
    assert set(batch.completion_ids[:n][batch.completion_mask[:n]].tolist()) == {2}
    assert set(batch.completion_ids[n:][batch.completion_mask[n:]].tolist()) == {3}
    assert [pair.length for pair in pairs] == [p + max(c, r) for p, c, r in sizes]


@QUICK
@given(sizes=st.lists(st.tuples(*[st.integers(1, 6)] * 3), min_size=1, max_size=5), pad=TOKENS)
def test_that_in_a_row_of_both_sides_each_token_sees_the_prompt_and_its_own_side(
    sizes: list[tuple[int, int, int]], pad: int
) -> None:
    pairs = [
        Preference([100 + n for n in range(p)], [200 + n for n in range(c)], [300 + n for n in range(r)], 0.0)
        for p, c, r in sizes
    ]
    rows = shared_rows(pairs, pad)
    ids, places, shown = rows.input_ids, rows.position_ids, rows.attention[:, 0]
    width = ids.shape[1]
    expected = [ids for pair in pairs for ids in pair.chosen] + [ids for pair in pairs for ids in pair.rejected]
    assert rows.labels.tolist() == expected
    assert rows.mask.sum(1).tolist() == [c for _, c, _ in sizes] + [r for _, _, r in sizes]
    for flat, label in zip(rows.before.tolist(), rows.labels.tolist(), strict=True):
        row, at = divmod(flat, width)
        prompt, place = pairs[row].prompt, label % 100
        seen = [int(ids[row, other]) for other in range(width) if shown[row, at, other]]
        assert seen == prompt + list(range(label - place, label)), "the prompt, then what comes before it on its side"
        assert int(places[row, at]) == len(prompt) + place - 1
    assert shown.any(-1).all()
    assert width == max(p + c + r for p, c, r in sizes) - 2


@QUICK
@given(gaps=st.lists(st.floats(-30, 30), min_size=1, max_size=50))
def test_that_calibration_error_is_a_share_and_swapping_all_labels_swaps_right_and_wrong(gaps: list[float]) -> None:
    found = calibration_error(torch.tensor(gaps))
    assert 0 <= found <= 1
    sure = torch.tensor([60.0] * 4)
    assert calibration_error(sure) == pytest.approx(0, abs=1e-9)
    assert calibration_error(-sure) == pytest.approx(1, abs=1e-9)


@QUICK
@given(x=st.lists(st.floats(-5, 5), min_size=3, max_size=20), scale=st.floats(0.1, 9), shift=st.floats(-9, 9))
def test_that_correlation_is_numpys_and_blind_to_scale(x: list[float], scale: float, shift: float) -> None:
    first = torch.tensor(x, dtype=torch.float64)
    second = torch.linspace(0, 1, len(x), dtype=torch.float64) ** 2
    found = correlation(first, second)
    if first.std() > 1e-3:
        assert found == pytest.approx(float(np.corrcoef(first, second)[0, 1]), abs=1e-9)
        assert correlation(scale * first + shift, second) == pytest.approx(found, abs=1e-6)
        assert correlation(-first, second) == pytest.approx(-found, abs=1e-9)


def test_that_a_prefix_names_where_reward_metrics_were_measured() -> None:
    found = reward_metrics(torch.tensor([2.0, 1.0]), torch.tensor([1.0, 3.0]), torch.tensor([1, 2, 3, 4]), "eval/")
    assert all(name.startswith("eval/") for name in found)
    assert found["eval/accuracy"] == 0.5
    assert found["eval/margin"] == pytest.approx(-0.5)
