"""Both steppers, on every architecture: appending, taking back, reordering and joining equal reading the same text anew by the model."""

from __future__ import annotations

import logging
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, MambaConfig

from tests.engine.architectures import WINDOW, make_model
from workbench.domain.decoding import Greedy
from workbench.domain.errors import BadInput
from workbench.engine.decoding.captured import Captured
from workbench.engine.decoding.fast import Fast
from workbench.engine.decoding.general import General
from workbench.engine.decoding.greedy import greedy
from workbench.engine.decoding.stepper import Stepper, stepper_for
from workbench.engine.decoding.task import Task
from workbench.engine.decoding.voice import Voice
from workbench.engine.plans import planned
from workbench.engine.plans.families import read_plan

PLANNED = [
    "gpt2", "llama", "qwen2", "qwen3", "gemma", "gemma3", "mistral", "phi", "phi3", "neox", "opt", "mixtral", "qwen2moe",
    "qwen3moe",
]  # fmt: skip
UNPLANNED = ["gemma2", "falcon"]
CAPTURED = ["gpt2", "llama", "qwen3", "gemma", "phi", "neox", "opt", "falcon", "mixtral"]
KINDS = [(kind, name) for kind in ("general", "fast") for name in PLANNED] + [("general", name) for name in UNPLANNED]
KINDS += [("captured", name) for name in CAPTURED]
LONG = [3, 9, 27, 81, 100, 44, 5, 6, 7, 8, 9, 10]
ROWS = [LONG, [3, 9, 40]]
MORE = [[11, 12, 13], [21, 22, 23]]

model_of = cache(make_model)


@cache
def plan_of(name: str) -> Any:
    plan = read_plan(model_of(name))
    assert plan is not None
    return plan


def make(kind: str, name: str, *, hidden: bool = False) -> Stepper:
    if kind == "captured":  # fixed shapes from the second token on, with so little room that they are made anew
        return Captured(model_of(name), steady=0, room=2)
    return General(model_of(name), hidden=hidden) if kind == "general" else Fast(plan_of(name), hidden=hidden)


def fresh(name: str, *texts: list[int]) -> torch.Tensor:
    """The model's own logits behind texts, each read alone without a cache."""
    with torch.inference_mode():
        return torch.stack([model_of(name)(torch.tensor([text]), use_cache=False).logits[0, -1] for text in texts])


def close(found: torch.Tensor, expected: torch.Tensor) -> None:
    torch.testing.assert_close(found, expected, atol=2e-3, rtol=1e-3)


def test_that_the_texts_here_are_longer_than_the_windows() -> None:
    assert len(LONG) > WINDOW


@pytest.mark.parametrize(("kind", "name"), KINDS)
def test_that_steps_and_several_tokens_at_once_are_the_model_s(kind: str, name: str) -> None:
    one, many = make(kind, name), make(kind, name)
    close(one.prefill(ROWS), fresh(name, *ROWS))
    many.prefill(ROWS)
    told = many.extend(MORE)
    for place in range(3):
        expected = fresh(name, *([*row, *more[: place + 1]] for row, more in zip(ROWS, MORE, strict=True)))
        close(one.step([row[place] for row in MORE]), expected)
        close(told[:, place], expected)
    assert many.length == one.length == len(LONG) + 3


@pytest.mark.parametrize(("kind", "name"), KINDS)
def test_that_columns_taken_back_and_rows_reordered_leave_no_trace(kind: str, name: str) -> None:
    stepper = make(kind, name)
    stepper.prefill(ROWS)
    stepper.extend(MORE)
    stepper.crop(2)
    stepper.reorder([1, 0, 1])
    texts = [[*ROWS[1], 21, 50], [*ROWS[0], 11, 51], [*ROWS[1], 21, 52]]
    close(stepper.step([50, 51, 52]), fresh(name, *texts))
    stepper.reorder([2, 0])
    close(stepper.step([60, 61]), fresh(name, [*texts[2], 60], [*texts[0], 61]))


@pytest.mark.parametrize(("kind", "name"), KINDS)
def test_that_rows_that_join_are_what_they_are_alone(kind: str, name: str) -> None:
    new = [[7, 7, 90], list(range(30, 50))]
    stepper = make(kind, name)
    stepper.prefill(ROWS)
    stepper.step([11, 21])
    close(stepper.admit(new), fresh(name, *new))
    assert stepper.rows == 4
    texts = [[*row, 60 + place] for place, row in enumerate([[*ROWS[0], 11], [*ROWS[1], 21], *new])]
    close(stepper.step([60, 61, 62, 63]), fresh(name, *texts))


@pytest.mark.parametrize("name", PLANNED)
def test_that_the_fast_stepper_says_what_the_general_one_says_to_the_token(name: str) -> None:
    said = []
    for kind in ("general", "fast"):
        stepper = make(kind, name)
        logits, rows = stepper.prefill([*ROWS, [5]]), []
        for _ in range(24):
            rows.append(logits.argmax(-1).tolist())
            logits = stepper.step(rows[-1])
        said.append(rows)
        alone = [m.id for m in greedy(make(kind, name), Task(LONG, 24, frozenset()), Greedy()) if m is not None]
        assert alone == [row[0] for row in rows], "the rows beside it are invisible"
    assert said[0] == said[1]


@pytest.mark.parametrize("kind", ["general", "fast"])
def test_that_beams_of_one_prompt_reorder_often(kind: str) -> None:
    """Rows that share their prompt: only what came after it may be copied."""
    torch.manual_seed(1)
    stepper, texts = make(kind, "llama"), [LONG]
    logits = stepper.prefill([LONG])
    for size in (3, 4, 4, 2, 4, 3):
        rows = torch.randint(len(texts), (size,)).tolist()
        tokens = torch.randint(3, 120, (size,)).tolist()
        stepper.reorder(rows)
        texts = [[*texts[row], token] for row, token in zip(rows, tokens, strict=True)]
        logits = stepper.step(tokens)
        close(logits, fresh("llama", *texts))
    stepper.crop(4)
    close(stepper.step([9] * len(texts)), fresh("llama", *([*text[:-4], 9] for text in texts)))


@pytest.mark.parametrize("kind", ["general", "fast"])
@pytest.mark.parametrize("name", ["llama", "gpt2", "opt", "neox", "gemma3"])
def test_that_hidden_states_are_the_last_layer_s(kind: str, name: str) -> None:
    model, stepper = model_of(name), make(kind, name, hidden=True)
    assert stepper.hidden is None
    told = model(torch.tensor([[*LONG, 11, 12]]), output_hidden_states=True).hidden_states[-1]

    def states() -> torch.Tensor:
        assert stepper.hidden is not None
        return stepper.hidden

    stepper.prefill([LONG])
    close(states(), told[:, : len(LONG)])
    stepper.step([11])
    close(states(), told[:, len(LONG) : len(LONG) + 1])
    stepper.crop(1)
    stepper.extend([[11, 12]])
    close(states(), told[:, len(LONG) :])
    stepper.admit([LONG, LONG[:4]])
    close(states()[0, -len(LONG) :], told[0, : len(LONG)])
    close(states()[1, -4:], told[0, :4])
    assert make(kind, name).hidden is None


@pytest.mark.parametrize("kind", ["general", "fast"])
def test_that_a_batch_may_begin_with_those_that_join(kind: str) -> None:
    close(make(kind, "llama").admit(ROWS), fresh("llama", *ROWS))


def test_that_rows_of_one_length_join_without_a_mask() -> None:
    for kind in ("general", "fast"):
        stepper = make(kind, "llama")
        stepper.prefill([[3, 4]])
        stepper.admit([[5, 6]])
        close(stepper.step([7, 8]), fresh("llama", [3, 4, 7], [5, 6, 8]))


@pytest.mark.parametrize("name", ["llama", "gemma3", "gpt2"])
def test_that_the_cache_grows_when_it_is_full(name: str) -> None:
    text = [3 + place % 50 for place in range(40)]
    rows = planned.Planned(plan_of(name))
    with torch.inference_mode():
        rows.prefill([text[:2], text[:5]], room=1)
        for place in range(5, 40):
            logits = rows.step(torch.tensor([text[place - 3], text[place]]))
        rows.admit([text], room=1)
    close(logits.float(), fresh(name, text[:37], text))


def test_that_columns_of_padding_alone_are_given_up() -> None:
    stepper = make("fast", "llama")
    stepper.prefill([LONG, LONG[:3], LONG[:5]])
    stepper.reorder([1, 2])
    assert stepper.length == 5
    close(stepper.step([50, 51]), fresh("llama", [*LONG[:3], 50], [*LONG[:5], 51]))


def test_that_a_model_with_a_recurrent_state_takes_back_and_joins_too() -> None:
    torch.manual_seed(3)
    config = MambaConfig(vocab_size=128, hidden_size=32, num_hidden_layers=2, state_size=4, eos_token_id=2)
    model = AutoModelForCausalLM.from_config(config).eval()
    stepper = General(model, hidden=True)
    stepper.prefill([LONG])
    stepper.extend([[11, 12, 13]])
    before = stepper.hidden
    stepper.crop(2)
    assert stepper.hidden is before
    close(stepper.step([50]), General(model).prefill([[*LONG, 11, 50]]))
    assert stepper.hidden is not None and stepper.hidden.shape[1] == 1
    joined = stepper.admit([[*LONG, 11, 51]])
    close(joined, General(model).prefill([[*LONG, 11, 51]]))
    close(stepper.step([1, 2]), General(model).prefill([[*LONG, 11, 50, 1], [*LONG, 11, 51, 2]]))


@pytest.mark.parametrize("kind", ["general", "fast"])
def test_that_what_makes_no_sense_is_refused(kind: str) -> None:
    stepper = make(kind, "llama")
    stepper.prefill([[3, 4]])
    with pytest.raises(ValueError, match="can't forget 2 of 2"):
        stepper.crop(2)
    for rows in ([], [[3], []]):
        with pytest.raises(BadInput, match="no tokens"):
            stepper.prefill(rows)
        with pytest.raises(BadInput, match="no tokens"):
            stepper.admit(rows)


def test_which_stepper_a_model_gets(stories: Voice, caplog: pytest.LogCaptureFixture) -> None:
    assert isinstance(stepper_for(stories), Fast)
    assert isinstance(stepper_for(stories, fast=False), General)
    assert stories.plan is stories.plan, "the weights are read once"
    assert stories.plan is not None and stories.plan.bytes > 0
    for name in UNPLANNED:
        assert isinstance(stepper_for(replace(stories, model=model_of(name))), General)
    assert not caplog.records


def test_that_a_plan_that_computes_something_else_is_not_used(
    stories: Voice, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "workbench")
    model = make_model("qwen2")
    plan = plan_of("qwen2")
    wrong = plan._replace(blocks=[plan.blocks[0]._replace(out=lambda x: x * 0), plan.blocks[1]])
    monkeypatch.setattr("workbench.engine.plans.checked.read_plan", lambda model: wrong)
    assert isinstance(stepper_for(replace(stories, model=model)), General)
    assert "disagrees" in caplog.text
