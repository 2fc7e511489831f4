"""Sampling: one uniform number a position, the model's own distribution, and a text that its seed makes again."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
import torch
from scipy.stats import chisquare

from workbench.domain.decoding import Greedy, Sample
from workbench.engine.decoding.general import General
from workbench.engine.decoding.greedy import greedy
from workbench.engine.decoding.sample import draw, sample
from workbench.engine.decoding.task import Steps, Task, Uniforms

PROMPT = [1, 3, 2]


def ids_of(steps: Steps) -> list[int]:
    return [measured.id for measured in steps if measured is not None]


def told(model: Any, settings: Sample, limit: int = 20) -> list[int]:
    return ids_of(sample(General(model), Task(PROMPT, limit, frozenset({0})), settings))


def test_that_the_same_seed_gives_the_same_text_and_others_give_others(zoo: dict[str, Any]) -> None:
    hot = {seed: told(zoo["llama"], Sample(seed=seed, temperature=8.0)) for seed in range(4)}
    assert told(zoo["llama"], Sample(seed=2, temperature=8.0)) == hot[2]
    assert len({tuple(ids) for ids in hot.values()}) == 4


def test_that_temperature_zero_and_k_one_are_greedy(zoo: dict[str, Any]) -> None:
    plain = ids_of(greedy(General(zoo["gpt2"]), Task(PROMPT, 20, frozenset({0})), Greedy()))
    assert told(zoo["gpt2"], Sample(temperature=0.0, seed=9)) == plain
    assert told(zoo["gpt2"], Sample(top_k=1, seed=9)) == plain


def test_that_two_drawn_tokens_have_the_models_distribution(dice: Any) -> None:
    with torch.inference_mode():
        first = torch.softmax(dice(torch.tensor([PROMPT])).logits[0, -1].double(), -1)
        rows = torch.tensor([[*PROMPT, token] for token in range(5)])
        second = torch.softmax(dice(rows).logits[:, -1].double(), -1)
    expected = (first[:, None] * second).flatten()
    count = 300
    seen = Counter(
        tuple(ids_of(sample(General(dice), Task(PROMPT, 2, frozenset()), Sample(seed=seed)))) for seed in range(count)
    )
    observed = [seen[(i, j)] for i in range(5) for j in range(5)]
    likely = expected * count >= 5
    rest = [sum(o for o, keep in zip(observed, likely, strict=True) if not keep)]
    wanted = [float(count * expected[~likely].sum())]
    table = [o for o, keep in zip(observed, likely, strict=True) if keep], (count * expected[likely]).tolist()
    extra = (rest, wanted) if wanted[0] > 1 else ([], [])
    got = table[0] + extra[0]
    scale = sum(got) / sum(table[1] + extra[1])
    assert chisquare(got, [e * scale for e in table[1] + extra[1]]).pvalue > 0.001


def test_that_the_inverse_of_the_distribution_is_taken_in_order_of_ids() -> None:
    scores = torch.tensor([[0.2, 0.5, 0.0, 0.3]]).log().repeat(6, 1)
    uniforms = [0.0, 0.19, 0.21, 0.69, 0.71, 1.0 - 2**-53]
    assert draw(scores, uniforms).tolist() == [0, 0, 1, 1, 3, 3]


def test_that_a_token_without_probability_is_never_drawn() -> None:
    scores = torch.full((2, 7), -torch.inf)
    scores[:, 3] = 0.0
    assert draw(scores, [0.0, 1.0 - 2**-53]).tolist() == [3, 3]
    first_cut = torch.tensor([[-torch.inf, 1.0, -torch.inf]])
    assert draw(first_cut, [0.0]).tolist() == [1]


def test_that_columns_share_their_random_numbers(zoo: dict[str, Any]) -> None:
    """With common random numbers a tiny change of temperature leaves nearly every token as it was."""
    model = zoo["qwen2"]
    same = [
        told(model, Sample(seed=s, temperature=1.0), 5) == told(model, Sample(seed=s, temperature=1.0001), 5)
        for s in range(20)
    ]
    assert sum(same) >= 18


def test_that_uniform_numbers_depend_on_seed_and_position_only() -> None:
    one, two = Uniforms(7), Uniforms(7)
    first = [one.next() for _ in range(50)]
    assert first == [two.next() for _ in range(50)]
    assert all(0.0 <= u < 1.0 for u in first)
    assert first[0] == pytest.approx(0.32383276483316237)
