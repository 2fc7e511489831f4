"""Law 1 on every architecture that the learning core is tested on: greedy, beam and the chain of sampling equal generate()'s.

Prompts are ragged (generate() gets them padded in one batch), one token alone (what is left of an empty one), and as long as the context allows.
"""

from __future__ import annotations

from functools import cache
from typing import Any, Literal

import pytest
import torch
from transformers import GenerationConfig

from tests.engine.architectures import make_model
from tests.engine.decoding.told import finish
from workbench.domain.decoding import Beam, Greedy, Sample
from workbench.engine.decoding.beam import beam
from workbench.engine.decoding.chain import Context, chain_for
from workbench.engine.decoding.general import General
from workbench.engine.decoding.greedy import greedy
from workbench.engine.decoding.sample import sample
from workbench.engine.decoding.stepper import stepper_for
from workbench.engine.decoding.task import Task
from workbench.engine.decoding.voice import Voice

ARCHITECTURES = [
    "gpt2", "llama", "qwen2", "qwen3", "gemma", "gemma2", "gemma3", "mistral", "phi", "phi3", "neox", "opt", "falcon",
    "mixtral", "qwen2moe", "qwen3moe",
]  # fmt: skip
EOS = 2
RAGGED = [[1], [1, 7, 9, 33], [1, 5, 5, 40, 41, 3, 8, 17, 99, 23, 56]]
FULL = [1, *range(10, 69)]  # 60 of 64 positions


@cache
def model_of(name: str) -> Any:
    return make_model(name)


def oracle(model: Any, prompts: list[list[int]], **settings: Any) -> Any:
    """What generate() makes of prompts in one batch, padded on the left."""
    width = max(map(len, prompts))
    ids = torch.tensor([[EOS] * (width - len(p)) + p for p in prompts])
    mask = torch.tensor([[0] * (width - len(p)) + [1] * len(p) for p in prompts])
    config = GenerationConfig(**{"do_sample": False, "pad_token_id": EOS, "eos_token_id": EOS, **settings})
    old, model.generation_config = model.generation_config, config
    try:
        return model.generate(ids, attention_mask=mask)
    finally:
        model.generation_config = old


def continuations(made: Any, width: int) -> list[list[int]]:
    """The new tokens of each row up to the end token."""
    rows = made[:, width:].tolist()
    return [row[: row.index(EOS) + 1] if EOS in row else row for row in rows]


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_that_greedy_equals_generate(name: str) -> None:
    model = model_of(name)
    for prompts, limit in ((RAGGED, 14), ([FULL], 4)):
        expected = continuations(oracle(model, prompts, max_new_tokens=limit), max(map(len, prompts)))
        for prompt, ids in zip(prompts, expected, strict=True):
            task = Task(prompt, limit, frozenset({EOS}))
            assert finish(greedy(General(model), task, Greedy())).ids == ids


@pytest.mark.parametrize(("early", "penalty"), [(False, 1.0), (True, 0.0), ("never", 2.0)])
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_that_beam_equals_generate(name: str, early: bool | Literal["never"], penalty: float) -> None:
    model = model_of(name)
    settings = Beam(num_beams=3, length_penalty=penalty, early_stopping=early)
    same = {"num_beams": 3, "length_penalty": penalty, "early_stopping": early}
    for prompts, limit in ((RAGGED, 9), ([FULL], 4)):
        expected = continuations(oracle(model, prompts, max_new_tokens=limit, **same), max(map(len, prompts)))
        for prompt, ids in zip(prompts, expected, strict=True):
            task = Task(prompt, limit, frozenset({EOS}))
            assert finish(beam(General(model), task, settings)).ids == ids


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_that_the_chain_of_sampling_equals_the_scores_of_generate(name: str) -> None:
    """generate() draws, our stepper reads what it drew, and at every step both have the same distribution, cut tokens included."""
    model = model_of(name)
    rules = {"temperature": 3.0, "top_k": 40, "top_p": 0.95, "min_p": 0.01, "repetition_penalty": 1.2}
    torch.manual_seed(0)
    made = oracle(
        model, RAGGED[1:2], max_new_tokens=10, do_sample=True, typical_p=0.9, eta_cutoff=1e-3, epsilon_cutoff=1e-3,
        output_scores=True, return_dict_in_generate=True, **rules,
    )  # fmt: skip
    drawn = continuations(made.sequences, len(RAGGED[1]))[0]
    chain = chain_for(Sample(**rules, typical_p=0.9, eta=1e-3, epsilon=1e-3), frozenset({EOS}))
    stepper = General(model)
    logits = stepper.prefill(RAGGED[1:2])
    for place, theirs in enumerate(made.scores):
        ours = chain(logits, Context(RAGGED[1:2], [drawn[:place]])).scores
        torch.testing.assert_close(ours.softmax(-1), theirs.softmax(-1), rtol=1e-3, atol=2e-4)
        assert 1 <= int(ours.isfinite().sum()) < 128
        if place + 1 < len(made.scores):
            logits = stepper.step([drawn[place]])


@pytest.mark.parametrize("name", ["llama", "gpt2", "neox"])
def test_that_a_draw_of_one_candidate_is_what_generate_draws(name: str) -> None:
    model = model_of(name)
    task = Task(RAGGED[2], 12, frozenset({EOS}))
    expected = continuations(oracle(model, RAGGED[2:], max_new_tokens=12, do_sample=True, top_k=1), len(RAGGED[2]))
    assert finish(sample(General(model), task, Sample(top_k=1, seed=3))).ids == expected[0]


@pytest.mark.parametrize("beams", [1, 4])
def test_that_a_real_model_at_its_contexts_end_says_what_generate_says(stories: Voice, beams: int) -> None:
    """stories260K reads 512 tokens; both steppers, since it has a plan."""
    long = stories.tokenizer("Lily and Tom went to the park. They saw a big dog. " * 40)["input_ids"][:506]
    for fast in (True, False):
        stepper = stepper_for(stories, fast=fast)
        for prompt, limit in ((long, 6), ([1], 12)):
            expected = continuations(
                oracle(stories.model, [prompt], max_new_tokens=limit, num_beams=beams), len(prompt)
            )
            task = Task(prompt, limit, frozenset({EOS}))
            steps = greedy(stepper, task, Greedy()) if beams == 1 else beam(stepper, task, Beam(num_beams=beams))
            assert finish(steps).ids == expected[0]
