"""Steps of fixed shape: equal to plain ones whatever a search does with its rows; with a graph where there is a GPU."""

from __future__ import annotations

import random
from functools import cache
from typing import Any

import pytest
import torch

from tests.engine.architectures import make_model
from workbench.engine.decoding import captured
from workbench.engine.decoding.captured import Captured
from workbench.engine.decoding.general import General
from workbench.engine.decoding.stepper import stepper_for
from workbench.engine.decoding.voice import Voice
from workbench.engine.graphs import Replay

ROWS = [[3, 9, 27, 81, 100], [3, 9], [5, 6, 7, 8]]
NAMES = ("gpt2", "llama", "qwen3", "neox", "opt", "falcon")

model_of = cache(make_model)


def close(found: torch.Tensor, expected: torch.Tensor) -> None:
    assert found.dtype is torch.float32
    torch.testing.assert_close(found, expected, atol=2e-4, rtol=1e-3)


def pair(name: str = "llama", *, steady: int = 0, room: int = 64) -> tuple[Captured, General]:
    """The two kinds of step behind the same prompts."""
    both = Captured(model_of(name), steady=steady, room=room), General(model_of(name))
    close(both[0].prefill(ROWS), both[1].prefill(ROWS))
    return both


def walk(fixed: Captured, plain: General, count: int, first: int = 20) -> None:
    """The same tokens on both roads, each answer compared."""
    for place in range(count):
        ids = [(first + 7 * place + row) % 100 for row in range(plain.rows)]
        close(fixed.step(ids), plain.step(ids))


def test_that_shapes_are_fixed_only_once_a_text_runs_steadily() -> None:
    fixed, plain = pair(steady=3)
    walk(fixed, plain, 3)
    assert not fixed.frozen
    walk(fixed, plain, 1)
    assert fixed.frozen
    walk(fixed, plain, 4)
    close(fixed.prefill(ROWS[:2]), plain.prefill(ROWS[:2]))
    assert not fixed.frozen, "another prompt begins plainly"
    walk(fixed, plain, 3)
    assert not fixed.frozen


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("name", NAMES)
def test_that_a_long_text_is_the_plain_one_though_its_room_ends(name: str, attention: str) -> None:
    model = make_model(name)
    model.set_attn_implementation(attention)
    fixed, plain = Captured(model, steady=0, room=4), General(model)
    close(fixed.prefill(ROWS), plain.prefill(ROWS))
    walk(fixed, plain, 14)
    assert fixed.frozen
    assert fixed.length == plain.length


def test_that_a_draft_s_columns_are_taken_back_in_place() -> None:
    fixed, plain = pair()
    walk(fixed, plain, 6)
    for taken in (1, 3, 2):
        fixed.crop(taken)
        plain.crop(taken)
        assert fixed.frozen
        walk(fixed, plain, taken + 1, first=40 + taken)
    assert fixed.length == plain.length


def test_that_more_columns_than_came_singly_can_be_taken_back() -> None:
    fixed, plain = pair()
    walk(fixed, plain, 3)
    for stepper in (fixed, plain):
        stepper.crop(4)  # a column of the prompts too
    assert not fixed.frozen
    walk(fixed, plain, 3, first=60)


def test_that_taking_nothing_back_changes_nothing() -> None:
    fixed, plain = pair()
    walk(fixed, plain, 2)
    fixed.crop(0)
    assert fixed.frozen
    walk(fixed, plain, 1)
    with pytest.raises(ValueError, match="can't forget"):
        fixed.crop(fixed.length)
    with pytest.raises(ValueError, match="can't forget"):
        fixed.crop(-1)


def test_that_beams_are_put_in_order_in_place_and_dropped_plainly() -> None:
    fixed, plain = pair()
    walk(fixed, plain, 2)
    for order in ([1, 1, 0], [2, 0, 1]):
        for stepper in (fixed, plain):
            stepper.reorder(order)
        assert fixed.frozen
        walk(fixed, plain, 2, first=50)
    for stepper in (fixed, plain):
        stepper.reorder([2, 0])
    assert not fixed.frozen
    assert fixed.rows == 2
    walk(fixed, plain, 3)
    assert fixed.frozen


def test_that_several_tokens_at_once_and_newcomers_go_through_the_plain_road() -> None:
    fixed, plain = pair()
    walk(fixed, plain, 2)
    more = [[11, 12], [21, 22], [31, 32]]
    close(fixed.extend(more), plain.extend(more))
    assert not fixed.frozen
    walk(fixed, plain, 2)
    assert fixed.frozen
    close(fixed.admit([[7, 7, 90]]), plain.admit([[7, 7, 90]]))
    assert not fixed.frozen
    walk(fixed, plain, 3, first=70)


def test_that_any_walk_equals_the_plain_one() -> None:
    dice = random.Random(4)
    fixed, plain = pair(room=5)
    for turn in range(40):
        deed = dice.choice(["step", "step", "step", "crop", "reorder", "extend"])
        rows = [dice.randrange(plain.rows) for _ in range(dice.choice([2, 3, 3]))]
        taken = dice.randrange(1, 3) if plain.length > 8 else 0
        ids = [[dice.randrange(100) for _ in range(2)] for _ in range(plain.rows)]
        if deed == "step" or plain.length > 50:
            close(fixed.step([row[0] for row in ids]), plain.step([row[0] for row in ids]))
        elif deed == "extend":
            close(fixed.extend(ids), plain.extend(ids))
        else:
            for stepper in (fixed, plain):
                stepper.crop(taken) if deed == "crop" else stepper.reorder(rows)
        assert (fixed.rows, fixed.length) == (plain.rows, plain.length), turn


class Overwriting(Replay):
    """What a graph does: every answer lies in the same tensor."""

    def __call__(self) -> torch.Tensor:
        told = super().__call__()
        self._place = told if getattr(self, "_place", None) is None else self._place.copy_(told)
        return self._place


def test_that_what_was_told_stays_what_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    """A replay overwrites its own tensors; logits that a distribution view keeps must not change."""
    monkeypatch.setattr(captured, "Replay", Overwriting)
    fixed, plain = pair()
    walk(fixed, plain, 2)
    kept = fixed.step([1, 2, 3])
    copy = kept.clone()
    fixed.step([4, 5, 6])
    assert torch.equal(kept, copy)


class Deaf(torch.nn.Module):
    """A model that reads no mask of four axes right: it sees every column of the buffer."""

    def __init__(self, inner: Any) -> None:
        super().__init__()
        self._inner, self.config, self.device, self.dtype = inner, inner.config, inner.device, inner.dtype

    def forward(self, input_ids: Any, position_ids: Any = None, past_key_values: Any = None, **more: Any) -> Any:
        if more.get("attention_mask") is not None and more["attention_mask"].ndim == 4:
            more.pop("attention_mask")
        return self._inner(input_ids, position_ids=position_ids, past_key_values=past_key_values, **more)


def test_that_a_model_that_ignores_the_mask_keeps_to_plain_steps(caplog: pytest.LogCaptureFixture) -> None:
    model: Any = Deaf(model_of("llama"))
    model.base_model = model_of("llama").base_model
    fixed, plain = Captured(model, steady=0), General(model_of("llama"))
    close(fixed.prefill(ROWS), plain.prefill(ROWS))
    walk(fixed, plain, 6)
    assert not fixed.frozen
    assert caplog.text.count("disagree") == 1


@pytest.mark.parametrize("name", ["mistral", "gemma2", "gemma3"])
def test_that_layers_with_a_window_keep_to_plain_steps(name: str) -> None:
    fixed, plain = pair(name)
    walk(fixed, plain, 10)
    assert not fixed.frozen


def test_that_a_gpu_gets_captured_steps_and_a_cpu_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    class Elsewhere:
        """A model that says where it is."""

        def __init__(self, device: str) -> None:
            self.inner, self.device = model_of("llama"), torch.device(device)

        def __getattr__(self, name: str) -> Any:
            return getattr(self.inner, name)

    def voice(device: str) -> Voice:
        made = Voice(Elsewhere(device), None, frozenset(), None)  # type: ignore[arg-type]
        made.do_without_plan()
        return made

    assert type(stepper_for(voice("cuda"))) is Captured
    assert type(stepper_for(voice("cuda"), hidden=True)) is General
    assert type(stepper_for(voice("cpu"))) is General


def test_that_a_computation_that_cannot_be_captured_is_made_each_time(caplog: pytest.LogCaptureFixture) -> None:
    if torch.cuda.is_available():
        pytest.skip("here it can be captured")
    place = torch.zeros(1)
    replay = Replay(lambda: place + 1, capture=True)
    for number in (1.0, 2.0):
        place.fill_(number)
        assert replay().item() == number + 1
    assert caplog.text.count("without a graph") == 1


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("name", NAMES)
def test_that_replayed_steps_are_the_plain_ones(name: str) -> None:
    model = make_model(name).to("cuda")
    fixed, plain = Captured(model, steady=2, room=8), General(model)
    torch.testing.assert_close(fixed.prefill(ROWS), plain.prefill(ROWS))
    for place in range(24):
        ids = [(20 + 7 * place + row) % 100 for row in range(3)]
        if place in {9, 16}:
            for stepper in (fixed, plain):
                stepper.crop(2)
                stepper.reorder([2, 0, 0])
        torch.testing.assert_close(fixed.step(ids), plain.step(ids), atol=1e-3, rtol=1e-3)
    assert fixed.frozen
