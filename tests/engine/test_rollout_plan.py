"""Plans of a model's weights: each family against its own layers, adapters, and what must be left to the layers."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from peft import LoraConfig, TaskType, get_peft_model
from transformers import LlamaConfig, LlamaForCausalLM

from tests.engine.adapting import attach_lora
from tests.engine.architectures import make_model
from workbench.domain.specs.common import LoraPart
from workbench.engine.batches import collate
from workbench.engine.forward import completion_logprobs
from workbench.engine.models import Loaded
from workbench.engine.plans import checked, reader
from workbench.engine.plans.checked import agrees
from workbench.engine.plans.families import read_plan
from workbench.engine.plans.planned import Planned
from workbench.engine.rollout import Rollout, sample_batch

# peft asks transformers by names that transformers has deprecated, and sets fan_in_fan_out itself, as GPT-2 needs it.
pytestmark = pytest.mark.filterwarnings(
    "ignore:.*is_gradient_checkpointing:FutureWarning", "ignore:fan_in_fan_out", "ignore:.*_pattern keys"
)
PLANNED = ("gpt2", "llama", "qwen2", "qwen3", "gemma", "gemma3", "mistral", "phi", "phi3", "neox", "opt")
EXPERTS = ("mixtral", "qwen2moe", "qwen3moe")
PROMPTS = [[1, 5, 9], [1], [1, 7, 7, 8, 30, 2, 4, 11, 12, 13, 14, 15, 16], [1, 5, 9], [40, 41, 42, 43, 44], [1, 5, 9]]
EOS = [2, 3, 4, 5, 6, 7, 8]


def sample(model: Any, **more: Any) -> Rollout:
    settings = {"max_new_tokens": 16, "eos": EOS, "seed": 3} | more
    return sample_batch(model, PROMPTS, **settings)


def fresh(model: Any, found: Rollout, temperature: float = 1.0) -> torch.Tensor:
    with torch.no_grad():
        return completion_logprobs(model, collate(PROMPTS, found.completions, pad=0), temperature)


def adapted(name: str, **more: Any) -> Any:
    config = LoraConfig(task_type=TaskType.CAUSAL_LM, r=4, target_modules="all-linear", **more)
    model = get_peft_model(make_model(name), config)
    torch.manual_seed(5)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(0.1 * torch.randn_like(parameter))
    return model.eval()


@pytest.fixture(autouse=True)
def _without_words(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, "workbench")


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "packed"])
@pytest.mark.parametrize("name", PLANNED + EXPERTS)
def test_that_a_plan_samples_with_the_models_own_logprobs(
    name: str, packed: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(reader, "_PACKED_FROM", 0 if packed else 2**30)
    model = make_model(name)
    assert read_plan(model) is not None
    found = sample(model)
    assert not caplog.records
    assert len(set(map(len, found.completions))) > 2
    torch.testing.assert_close(found.logprobs, fresh(model, found), atol=1e-4, rtol=0)


@pytest.mark.parametrize("name", PLANNED + EXPERTS)
def test_that_a_plan_says_what_the_models_own_layers_say(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model = make_model(name)
    found = sample(model)
    monkeypatch.setattr(checked, "read_plan", lambda model: None)
    assert sample(model).completions == found.completions


@pytest.mark.parametrize("name", ["gemma2", "falcon"])
def test_that_other_architectures_are_left_to_their_own_layers(name: str) -> None:
    model = make_model(name)
    assert read_plan(model) is None
    found = sample(model)
    torch.testing.assert_close(found.logprobs, fresh(model, found), atol=1e-4, rtol=0)


@pytest.mark.parametrize("name", ["gpt2", "llama", "qwen3", "phi3", "neox", "opt", "mixtral"])
def test_that_adapters_are_part_of_the_plan_and_can_be_switched_off(
    name: str, caplog: pytest.LogCaptureFixture
) -> None:
    model = adapted(name)
    assert read_plan(model) is not None
    found = sample(model, temperature=0.7)
    torch.testing.assert_close(found.logprobs, fresh(model, found, 0.7), atol=1e-4, rtol=0)
    with model.disable_adapter():
        base = sample(model, temperature=0.7)
        torch.testing.assert_close(base.logprobs, fresh(model, base, 0.7), atol=1e-4, rtol=0)
    assert base.completions != found.completions
    assert base.completions == sample(make_model(name), temperature=0.7).completions
    assert not caplog.records


def test_that_an_adapter_of_our_own_recipes_is_planned() -> None:
    model = attach_lora(
        Loaded(make_model("llama"), SimpleNamespace(eos_token_id=None), Path()),
        LoraPart(rank=4, targets="q_proj,v_proj"),
        Path(),
    )
    assert read_plan(model) is not None


@pytest.mark.parametrize("more", [{"use_dora": True}, {"lora_bias": True}], ids=["dora", "bias"])
def test_that_other_adapters_run_through_the_layers(more: dict[str, Any]) -> None:
    model = adapted("gpt2", **more)
    assert read_plan(model) is None
    found = sample(model)
    torch.testing.assert_close(found.logprobs, fresh(model, found), atol=1e-4, rtol=0)


def test_that_a_model_with_something_unread_in_it_is_not_planned() -> None:
    model = make_model("llama")
    model.model.layers[1].mlp.extra = torch.nn.Linear(2, 2)
    assert read_plan(model) is None


def test_that_a_hook_in_a_layer_is_not_passed_over() -> None:
    model = make_model("llama")
    handle = model.model.layers[0].mlp.register_forward_hook(lambda module, args, out: out * 2)
    found = sample(model)
    assert read_plan(model) is None
    torch.testing.assert_close(found.logprobs, fresh(model, found), atol=1e-4, rtol=0)
    handle.remove()
    assert read_plan(model) is not None


def test_that_gradient_checkpointing_with_an_adapter_leaves_the_plan() -> None:
    model = adapted("llama")
    model.get_base_model().enable_input_require_grads()  # a hook on the embedding
    assert read_plan(model) is not None


@pytest.mark.parametrize(
    ("rope", "planned"),
    [
        ({"rope_type": "linear", "factor": 2.0}, True),
        ({"rope_type": "yarn", "factor": 2.0, "original_max_position_embeddings": 32}, True),
        ({"rope_type": "dynamic", "factor": 2.0}, False),
    ],
)
def test_that_rotations_are_the_models_own(rope: dict[str, Any], planned: bool) -> None:
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=64,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=64,
        rope_parameters={"rope_theta": 10000.0, **rope},
        initializer_range=0.3,
    )
    model = LlamaForCausalLM(config).eval()
    assert (read_plan(model) is not None) is planned
    found = sample(model)
    torch.testing.assert_close(found.logprobs, fresh(model, found), atol=1e-4, rtol=0)


def test_that_a_plan_that_is_wrong_is_noticed_and_not_used(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    model = make_model("llama")
    plan = read_plan(model)
    assert plan is not None
    assert agrees(plan, model, PROMPTS)
    blocks = [plan.blocks[0]._replace(out=lambda x: x * 0), plan.blocks[1]]
    assert not agrees(plan._replace(blocks=blocks), model, PROMPTS)
    expected = sample(make_model("llama"))
    monkeypatch.setattr(checked, "read_plan", lambda model: plan._replace(blocks=blocks))
    for _ in range(2):  # what disagreed is never taken for agreed
        caplog.clear()
        assert sample(model).completions == expected.completions
        assert "disagrees" in caplog.text


def test_that_a_plan_is_compared_once_for_each_state_of_a_model(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[Any] = []
    monkeypatch.setattr(checked, "agrees", lambda plan, *more: (compared.append(plan.state), agrees(plan, *more))[1])
    model = adapted("llama")
    for _ in range(2):
        sample(model)
        with torch.no_grad():  # other weights are no other state
            model.get_base_model().lm_head.weight.mul_(0.9)
    assert len(compared) == 1
    with model.disable_adapter():
        sample(model)
        sample(model)
    sample(model)
    assert len(compared) == len(set(compared)) == 2
    sample(adapted("llama"))
    assert len(compared) == 3  # another model
    with torch.autocast("cpu", dtype=torch.bfloat16):
        sample(model)
    assert len(compared) == 4


def test_that_a_plan_is_of_the_weights_as_they_are_now() -> None:
    model = make_model("llama")
    before = sample(model)
    with torch.no_grad():
        model.lm_head.weight.mul_(0.5)
    after = sample(model)
    assert after.completions != before.completions
    torch.testing.assert_close(after.logprobs, fresh(model, after), atol=1e-4, rtol=0)


@pytest.mark.parametrize("name", ["llama", "gpt2", "mixtral"])
def test_that_half_precision_is_computed_in_half_precision(name: str, caplog: pytest.LogCaptureFixture) -> None:
    model = make_model(name, scale=2.0)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        plan = read_plan(model)
        found = sample(model)
        expected = fresh(model, found)
    assert plan is not None
    assert plan.dtype is torch.bfloat16
    assert not caplog.records
    torch.testing.assert_close(found.logprobs, expected, atol=0.1, rtol=0)
    torch.testing.assert_close(found.logprobs, fresh(model, found), atol=0.1, rtol=0)


def test_that_equal_prompts_are_read_once_and_say_different_things(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[list[tuple[int, ...]]] = []
    ours: Callable[..., Any] = Planned._read

    def spied(self: Planned, piece: Any, *args: Any, **more: Any) -> Any:
        read.append(piece.prompts)
        return ours(self, piece, *args, **more)

    monkeypatch.setattr(Planned, "_read", spied)
    model = make_model("llama")
    found = sample(model)
    assert [len(piece) for piece in read[1:]] == [4]  # the first reading is the comparison with the model
    assert len({tuple(found.completions[row]) for row in (0, 3, 5)}) == 3
    torch.testing.assert_close(found.logprobs, fresh(model, found), atol=1e-4, rtol=0)


def test_that_few_tokens_are_left_to_the_layers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checked, "read_plan", lambda model: pytest.fail("reading the weights would not pay"))
    assert len(sample(make_model("llama"), max_new_tokens=2).completions) == len(PROMPTS)


def test_that_rms_norm_is_the_formula() -> None:
    x, gain = torch.randn(5, 7), torch.randn(7)
    expected = x.double() / (x.double().square().mean(-1, keepdim=True) + 1e-3).sqrt() * gain
    torch.testing.assert_close(reader.rms_norm(gain, 1e-3)(x).double(), expected, atol=1e-6, rtol=1e-6)
    assert not reader.rms_norm(gain, 1e-6)(torch.zeros(2, 7)).any()
