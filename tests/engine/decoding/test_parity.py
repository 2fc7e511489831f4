"""Law 1: greedy and beam equal transformers' generate() token for token, alone and in ragged batches."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from transformers import GenerationConfig

from workbench.domain.decoding import Beam, Greedy
from workbench.engine.decoding.beam import beam
from workbench.engine.decoding.general import General
from workbench.engine.decoding.greedy import greedy
from workbench.engine.decoding.measure import Measured, Noted
from workbench.engine.decoding.task import Outcome, Steps, Task
from workbench.engine.decoding.voice import Voice

ARCHITECTURES = ["gpt2", "qwen2", "llama"]
PROMPTS = [[1, 7, 9, 33], [1, 12], [1, 5, 5, 40, 41, 2, 8]]
TEXTS = ["Once upon a time", "The dog was", "Lily and Tom went to the park. They"]


def finish(steps: Steps) -> tuple[list[int], Outcome]:
    """The tokens of a strategy and how it ended."""
    ids: list[int] = []
    while True:
        try:
            measured = next(steps)
        except StopIteration as ended:
            return ids, ended.value
        if isinstance(measured, Measured | Noted):
            ids.append(measured.id)


def oracle(model: Any, prompt: list[int], eos: list[int], **settings: Any) -> list[int]:
    """What generate() makes of a prompt, without the padding after the end token."""
    plain = {"do_sample": False, "num_beams": 1, "pad_token_id": eos[0], "eos_token_id": eos}
    config = GenerationConfig(**(plain | settings))
    old, model.generation_config = model.generation_config, config
    try:
        rows = model.generate(torch.tensor([prompt]), attention_mask=torch.ones(1, len(prompt), dtype=torch.long))
    finally:
        model.generation_config = old
    ids: list[int] = rows[0, len(prompt) :].tolist()
    ends = [place for place, token in enumerate(ids) if token in eos]
    return ids[: ends[0] + 1] if ends else ids


@pytest.mark.parametrize("prompt", PROMPTS, ids=str)
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_that_greedy_equals_generate(zoo: dict[str, Any], name: str, prompt: list[int]) -> None:
    ids, outcome = finish(greedy(General(zoo[name]), Task(prompt, 30, frozenset({0})), Greedy()))
    assert ids == oracle(zoo[name], prompt, [0], max_new_tokens=30)
    assert outcome.hypotheses[0].ids == tuple(ids)


@pytest.mark.parametrize(
    "rules",
    [{"repetition_penalty": 1.7}, {"no_repeat_ngram": 2}, {"min_new_tokens": 12}, {"no_repeat_ngram": 1}],
    ids=str,
)
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_that_greedy_with_rules_equals_generate(zoo: dict[str, Any], name: str, rules: dict[str, Any]) -> None:
    renamed = {("no_repeat_ngram_size" if key == "no_repeat_ngram" else key): value for key, value in rules.items()}
    for prompt in PROMPTS:
        ids, _ = finish(greedy(General(zoo[name]), Task(prompt, 20, frozenset({0})), Greedy(**rules)))
        assert ids == oracle(zoo[name], prompt, [0], max_new_tokens=20, **renamed)


@pytest.mark.parametrize("early", [False, True, "never"])
@pytest.mark.parametrize("penalty", [0.0, 1.0, 2.0, -0.5])
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_that_beam_equals_generate(zoo: dict[str, Any], name: str, penalty: float, early: Any) -> None:
    settings = Beam(num_beams=4, length_penalty=penalty, early_stopping=early)
    for prompt in PROMPTS:
        ids, _ = finish(beam(General(zoo[name]), Task(prompt, 16, frozenset({0})), settings))
        expected = oracle(
            zoo[name], prompt, [0], max_new_tokens=16, num_beams=4, length_penalty=penalty, early_stopping=early
        )
        assert ids == expected


@pytest.mark.parametrize("ends", [[0], [0, 3, 17]], ids=str)
def test_that_beam_with_several_end_tokens_and_rules_equals_generate(zoo: dict[str, Any], ends: list[int]) -> None:
    settings = Beam(num_beams=3, repetition_penalty=1.4, no_repeat_ngram=3, min_new_tokens=4)
    for prompt in PROMPTS:
        ids, _ = finish(beam(General(zoo["qwen2"]), Task(prompt, 14, frozenset(ends)), settings))
        expected = oracle(
            zoo["qwen2"], prompt, ends, max_new_tokens=14, num_beams=3, repetition_penalty=1.4,
            no_repeat_ngram_size=3, min_new_tokens=4,
        )  # fmt: skip
        assert ids == expected


def test_that_returned_hypotheses_equal_those_of_generate(zoo: dict[str, Any]) -> None:
    model, prompt = zoo["llama"], PROMPTS[0]
    _, outcome = finish(
        beam(General(model), Task(prompt, 12, frozenset({0})), Beam(num_beams=5, num_return=5, length_penalty=1.0))
    )
    made = model.generate(
        torch.tensor([prompt]), attention_mask=torch.ones(1, len(prompt), dtype=torch.long), max_new_tokens=12,
        num_beams=5, num_return_sequences=5, do_sample=False, pad_token_id=0, eos_token_id=0, output_scores=True,
        return_dict_in_generate=True,
    )  # fmt: skip
    ours = [hypothesis.score for hypothesis in outcome.hypotheses]
    assert ours == pytest.approx(made.sequences_scores.tolist(), abs=1e-5)
    for hypothesis, row in zip(outcome.hypotheses, made.sequences[:, len(prompt) :].tolist(), strict=True):
        assert list(hypothesis.ids) == row[: len(hypothesis.ids)]


@pytest.mark.parametrize("text", TEXTS)
def test_that_a_real_model_tells_the_same_story_as_generate(stories: Voice, text: str) -> None:
    prompt = stories.tokenizer(text)["input_ids"]
    ids, _ = finish(greedy(General(stories.model), Task(prompt, 60, frozenset({2})), Greedy()))
    assert ids == oracle(stories.model, prompt, [2], max_new_tokens=60)
    ids, _ = finish(beam(General(stories.model), Task(prompt, 40, frozenset({2})), Beam(num_beams=4)))
    assert ids == oracle(stories.model, prompt, [2], max_new_tokens=40, num_beams=4)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_that_rows_of_a_ragged_batch_are_what_they_are_alone(zoo: dict[str, Any], name: str) -> None:
    together = General(zoo[name])
    logits = together.prefill(PROMPTS)
    outputs: list[list[int]] = [[] for _ in PROMPTS]
    for _ in range(8):
        tokens = logits.argmax(dim=-1)
        for row, token in enumerate(tokens.tolist()):
            outputs[row].append(token)
        logits = together.step(tokens)
    for prompt, output in zip(PROMPTS, outputs, strict=True):
        alone, _ = finish(greedy(General(zoo[name]), Task(prompt, 8, frozenset()), Greedy()))
        assert output == alone


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_that_cropping_and_reordering_the_cache_equal_a_fresh_prefill(zoo: dict[str, Any], name: str) -> None:
    stepper = General(zoo[name])
    stepper.prefill([[1, 7, 9], [1, 8, 30]])
    stepper.step([4, 5])
    stepper.step([6, 7])
    stepper.crop(2)
    stepper.reorder([1, 0, 1])
    after = stepper.step([11, 12, 13])
    fresh = General(zoo[name]).prefill([[1, 8, 30, 11], [1, 7, 9, 12], [1, 8, 30, 13]])
    torch.testing.assert_close(after, fresh, atol=1e-4, rtol=1e-4)
    assert stepper.rows == 3 and stepper.length == 4
