"""The general stepper on every architecture: appending, taking back, reordering and joining equal reading the same text anew."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, MambaConfig

from tests.engine.architectures import WINDOW, make_model
from workbench.engine.decoding.general import General

NAMES = [
    "gpt2", "llama", "qwen2", "qwen3", "gemma", "gemma2", "gemma3", "mistral", "phi", "phi3", "neox", "opt", "falcon",
    "mixtral", "qwen2moe", "qwen3moe",
]  # fmt: skip
LONG = [3, 9, 27, 81, 100, 44, 5, 6, 7, 8, 9, 10]
ROWS = [LONG, [3, 9, 40]]
MORE = [[11, 12, 13], [21, 22, 23]]

model_of = cache(make_model)


def mamba() -> Any:
    torch.manual_seed(3)
    config = MambaConfig(vocab_size=128, hidden_size=32, num_hidden_layers=2, state_size=4, eos_token_id=2)
    return AutoModelForCausalLM.from_config(config).eval()


def close(found: torch.Tensor, expected: torch.Tensor) -> None:
    torch.testing.assert_close(found, expected, atol=2e-3, rtol=1e-3)


def test_that_the_texts_here_are_longer_than_the_windows() -> None:
    assert len(LONG) > WINDOW


@pytest.mark.parametrize("name", NAMES)
def test_that_several_tokens_at_once_are_several_steps(name: str) -> None:
    model = model_of(name)
    one, many = General(model), General(model)
    one.prefill(ROWS)
    many.prefill(ROWS)
    told = many.extend(MORE)
    for place in range(3):
        close(told[:, place], one.step([row[place] for row in MORE]))
    assert many.length == one.length == len(LONG) + 3


@pytest.mark.parametrize("name", NAMES)
def test_that_columns_taken_back_leave_no_trace(name: str) -> None:
    stepper = General(model_of(name))
    stepper.prefill(ROWS)
    stepper.extend(MORE)
    stepper.crop(2)
    stepper.reorder([1, 0, 1])
    after = stepper.step([50, 51, 52])
    fresh = General(model_of(name)).prefill([[*ROWS[1], 21, 50], [*ROWS[0], 11, 51], [*ROWS[1], 21, 52]])
    close(after, fresh)


@pytest.mark.parametrize("name", NAMES)
def test_that_rows_that_join_are_what_they_are_alone(name: str) -> None:
    model, new = model_of(name), [[7, 7, 90], list(range(30, 50))]
    stepper = General(model)
    stepper.prefill(ROWS)
    stepper.step([11, 21])
    joined = stepper.admit(new)
    assert stepper.rows == 4
    after = stepper.step([60, 61, 62, 63])
    texts = [[*ROWS[0], 11], [*ROWS[1], 21], *new]
    for row, text in enumerate(texts):
        alone = General(model)
        first = alone.prefill([text])[0]
        if row >= 2:
            close(joined[row - 2], first)
        close(after[row], alone.step([60 + row])[0])


def test_that_the_first_rows_may_join_an_empty_batch() -> None:
    model = model_of("llama")
    close(General(model).admit(ROWS), General(model).prefill(ROWS))


def test_that_rows_of_one_length_join_without_a_mask() -> None:
    model = model_of("llama")
    stepper = General(model)
    stepper.prefill([[3, 4]])
    stepper.admit([[5, 6]])
    close(stepper.step([7, 8]), General(model).prefill([[3, 4, 7], [5, 6, 8]]))


@pytest.mark.parametrize("name", ["llama", "gpt2", "gemma2", "opt"])
def test_that_hidden_states_are_the_last_layer_s(name: str) -> None:
    model = model_of(name)
    stepper = General(model, hidden=True)
    stepper.prefill([LONG])
    told = model(torch.tensor([[*LONG, 11, 12]]), output_hidden_states=True).hidden_states[-1]
    assert stepper.hidden is not None
    close(stepper.hidden, told[:, : len(LONG)])
    stepper.step([11])
    close(stepper.hidden, told[:, len(LONG) : len(LONG) + 1])
    stepper.crop(1)
    stepper.extend([[11, 12]])
    close(stepper.hidden, told[:, len(LONG) :])
    stepper.admit([LONG])
    close(stepper.hidden, told[:, : len(LONG)])
    assert General(model).hidden is None


def test_that_a_model_with_a_recurrent_state_takes_back_and_joins_too() -> None:
    model = mamba()
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


def test_that_the_first_column_can_t_be_taken_back() -> None:
    stepper = General(model_of("llama"))
    stepper.prefill([[3, 4]])
    with pytest.raises(ValueError, match="can't forget 2 of 2"):
        stepper.crop(2)
