"""Scores of all completions of items: the same whether a prompt is computed once for all of them or once for each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import BloomConfig, BloomForSequenceClassification

from workbench.domain.specs.reward import RewardSpec
from workbench.engine import item_forward
from workbench.engine.device import Setup
from workbench.engine.item_forward import ItemForward, choose_forward, shared_items, worth_sharing
from workbench.engine.models import Loaded, make_reward_head, make_trainable
from workbench.engine.pair_forward import sides_apart
from workbench.engine.rankings import Item, Opinion
from workbench.engine.reward_settings import set_pooling

SETUP = Setup(torch.device("cpu"), torch.float32)
SIZES = st.lists(
    st.tuples(st.integers(1, 6), st.lists(st.integers(1, 5), min_size=2, max_size=4)), min_size=1, max_size=4
)


def item(prompt: int, completions: list[int]) -> Item:
    """Distinct ids: the prompt counts up from 10, completion k from 100·k, each with EOS (2) at its end."""
    said = [[100 * number + place for place in range(size)] + [2] for number, size in enumerate(completions, start=1)]
    return Item(list(range(10, 10 + prompt)), said, [Opinion(tuple(range(len(said))), 1.0)])


ITEMS = [item(30, [4, 9]), item(7, [3, 3, 8, 1]), item(18, [12, 2, 5])]


@pytest.fixture
def judge(stories: Path) -> Loaded:
    torch.manual_seed(2)
    return make_reward_head(stories)


def both(model: Any) -> tuple[ItemForward, ItemForward]:
    return ItemForward(model, 0, SETUP, shared=True), ItemForward(model, 0, SETUP, shared=False)


@pytest.mark.parametrize("pooling", ["last", "mean", "eos"])
def test_that_scores_and_gradients_are_the_same_with_prompts_shared_and_apart(judge: Loaded, pooling: str) -> None:
    set_pooling(judge.model.config, pooling, 2)
    found = []
    for forward in both(judge.model):
        judge.model.zero_grad(set_to_none=True)
        scores = forward(ITEMS)
        (scores * torch.linspace(-1, 2, len(scores))).sum().backward()
        gradients = [p.grad.flatten() for p in judge.model.parameters() if p.grad is not None]
        found.append((scores.detach(), torch.cat(gradients)))
    (one, first), (two, second) = found
    assert len(one) == 9
    torch.testing.assert_close(one, two, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(first, second, rtol=1e-3, atol=1e-4)
    assert float(one.std()) > 0.05


def test_that_an_item_scores_the_same_alone_and_among_others(judge: Loaded) -> None:
    for forward in both(judge.model):
        with torch.no_grad():
            together = forward(ITEMS)
            alone = torch.cat([forward([one]) for one in ITEMS])
        torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)


@settings(max_examples=30, deadline=None)
@given(sizes=SIZES, pad=st.integers(0, 3))
def test_that_a_shared_row_holds_its_item_and_each_side_sees_the_prompt_and_itself(
    sizes: list[tuple[int, list[int]]], pad: int
) -> None:
    items = [item(prompt, completions) for prompt, completions in sizes]
    rows = shared_items(items, pad)
    seen = sides_apart(rows.segments)[:, 0]
    place = 0
    for number, one in enumerate(items):
        length = len(one.prompt) + sum(map(len, one.completions))
        assert rows.input_ids[number, :length].tolist() == one.prompt + [i for ids in one.completions for i in ids]
        assert (rows.input_ids[number, length:] == pad).all()
        for ids in one.completions:
            start, end = (int(t[place]) - number * rows.input_ids.shape[1] for t in (rows.starts, rows.ends))
            assert rows.input_ids[number, start : end + 1].tolist() == ids
            begin = len(one.prompt)
            assert rows.position_ids[number, start : end + 1].tolist() == list(range(begin, begin + len(ids)))
            expected = [*range(len(one.prompt)), *range(start, end + 1)]
            assert seen[number, end].nonzero().flatten().tolist() == expected
            place += 1
    assert seen.any(-1).all()  # a token without anything to look at would give NaN


def test_that_each_completion_goes_through_the_model_once(judge: Loaded) -> None:
    fed: list[int] = []

    def count(_: Any, given: tuple[Any, ...], named: dict[str, Any]) -> None:
        fed.append(int((named["input_ids"] != 0).sum()))  # 0 is the padding, and no item's id

    judge.model.model.register_forward_pre_hook(count, with_kwargs=True)
    shared, apart = both(judge.model)
    with torch.no_grad():
        apart(ITEMS)
        assert sum(fed) == sum(apart.tokens(one) for one in ITEMS) == sum(one.tokens for one in ITEMS)
        fed.clear()
        for one in ITEMS:
            shared([one])
    assert sum(fed) == sum(shared.tokens(one) for one in ITEMS)


def test_that_prompts_are_shared_where_that_is_less_work(judge: Loaded) -> None:
    assert choose_forward(judge.model, ITEMS, 0, SETUP).shared
    long = [item(1, [90] * 9)]
    assert not worth_sharing(long, 8)
    assert worth_sharing([item(40, [5, 5])], 8)
    assert not choose_forward(judge.model, [item(1, [95] * 9)], 0, SETUP).shared


def test_that_eos_pooling_may_share_prompts_too(judge: Loaded) -> None:
    set_pooling(judge.model.config, "eos", 2)
    assert choose_forward(judge.model, [item(40, [20, 20])], 0, SETUP).shared


@pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing:FutureWarning")  # peft asks by the old name
def test_that_an_adapter_on_a_body_in_bfloat16_shares_prompts_too(stories: Path, tmp_path: Path) -> None:
    torch.manual_seed(2)
    loaded = make_reward_head(stories, dtype=torch.bfloat16)
    spec = RewardSpec(method="lora", base=str(stories))
    model = make_trainable(loaded, spec, tmp_path / "base", head=True)
    setup = SETUP._replace(compute=torch.bfloat16)
    forward = choose_forward(model, ITEMS, 0, setup)
    assert forward.shared
    with torch.no_grad():
        one, two = forward(ITEMS), forward._replace(shared=False)(ITEMS)
    assert one.dtype == torch.float32
    torch.testing.assert_close(one, two, rtol=0.0, atol=0.1)


def test_that_a_model_that_tells_places_apart_in_another_way_gets_a_row_for_each_completion() -> None:
    config = BloomConfig(vocab_size=1000, hidden_size=16, n_layer=1, n_head=2, num_labels=1, pad_token_id=0)
    model = BloomForSequenceClassification(config).eval()
    assert not choose_forward(model, ITEMS, 0, SETUP).shared


def test_that_a_model_that_answers_otherwise_or_not_at_all_is_found_out(
    judge: Loaded, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = item_forward.states_at

    def other(*given: Any) -> Any:
        return plain(*given) * 1.5

    monkeypatch.setattr(item_forward, "states_at", other)  # it is what shared rows are read by
    assert not choose_forward(judge.model, ITEMS, 0, SETUP).shared

    def refusing(*_: Any) -> Any:
        raise ValueError("no such mask")

    monkeypatch.setattr(item_forward, "states_at", refusing)
    assert not choose_forward(judge.model, ITEMS, 0, SETUP).shared


@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize("size", [0, 1, 2])
def test_that_parts_hold_every_item_once_and_no_more_than_asked_for(judge: Loaded, together: bool, size: int) -> None:
    forward = ItemForward(judge.model, 0, SETUP, together)
    rows = [2, 0, 1, 2]
    parts = forward.parts(rows, forward.lengths(ITEMS), size)
    assert sorted(row for part in parts for row in part) == sorted(rows)
    assert all(len(part) <= (size or 4) for part in parts)
