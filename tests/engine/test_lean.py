"""Passes in few kernels say what the model's own layers say, gradients included, and stand aside where they don't know a part."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from peft import LoraConfig, TaskType, get_peft_model
from torch import Tensor
from transformers import LlamaConfig, LlamaForCausalLM, LlamaForSequenceClassification

from tests.engine.architectures import WINDOW, make_model
from workbench.engine import lean
from workbench.engine.forward import core, states_at
from workbench.engine.models import use_gradient_checkpointing, without_dropout

pytestmark = pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing:FutureWarning")  # peft asks by the old name

LEAN = ("llama", "qwen2", "mistral")
NAMES = ("gpt2", "llama", "qwen2", "qwen3", "gemma", "gemma2", "gemma3", "mistral", "phi", "phi3", "neox", "opt")
NAMES += ("falcon", "mixtral", "qwen2moe", "qwen3moe")
LENGTH = WINDOW  # Mistral's layers see the whole text
FEW, MOST = torch.tensor([1, 2, 5, 9, 15]), torch.arange(2 * LENGTH)


def ids(length: int = LENGTH) -> Tensor:
    return torch.randint(3, 128, (2, length), generator=torch.Generator().manual_seed(4))


def model_of(name: str) -> Any:
    model = make_model(name, scale=4.0)
    without_dropout(model)
    return model


def with_adapter(model: Any) -> Any:
    config = LoraConfig(task_type=TaskType.CAUSAL_LM, r=4, target_modules="all-linear")
    adapted = get_peft_model(model, config)
    with torch.no_grad():
        for parameter in adapted.parameters():
            if parameter.requires_grad:
                parameter.add_(0.1 * torch.randn_like(parameter))
    return adapted


def passed(model: Any, places: Tensor, texts: Tensor | None = None) -> tuple[Tensor, list[Tensor]]:
    """States at places, and the gradients of all that is trained."""
    found = states_at(model, places, ids() if texts is None else texts)
    weights = [parameter for parameter in core(model).base_model.parameters() if parameter.requires_grad]
    pull = torch.randn(found.shape, generator=torch.Generator().manual_seed(9))
    return found.detach(), list(torch.autograd.grad((found * pull).sum(), weights, materialize_grads=True))


def own(model: Any, places: Tensor, monkeypatch: pytest.MonkeyPatch) -> tuple[Tensor, list[Tensor]]:
    """The same by the model's own layers."""
    with monkeypatch.context() as patched:
        patched.setattr(lean, "applies", lambda body, ids: False)
        return passed(model, places)


def same(found: tuple[Tensor, list[Tensor]], expected: tuple[Tensor, list[Tensor]]) -> None:
    for one, other in zip([found[0], *found[1]], [expected[0], *expected[1]], strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=2e-5 * max(1.0, float(other.abs().max())))


@pytest.mark.parametrize("places", [FEW, MOST], ids=["few", "most"])
@pytest.mark.parametrize("name", NAMES)
def test_that_states_and_gradients_are_those_of_the_models_layers(
    name: str, places: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = model_of(name)
    assert lean.applies(core(model).base_model, ids()) == (name in LEAN)
    same(passed(model, places), own(model, places, monkeypatch))


@pytest.mark.parametrize("name", LEAN)
def test_that_adapters_are_computed_and_trained(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model = with_adapter(model_of(name))
    assert lean.applies(core(model).base_model, ids())
    on = passed(model, FEW)
    same(on, own(model, FEW, monkeypatch))
    with model.disable_adapter(), torch.no_grad():
        off = states_at(model, FEW, ids())
    assert not torch.allclose(on[0], off, atol=1e-3)


@pytest.mark.parametrize("places", [FEW, MOST], ids=["few", "most"])
def test_that_training_and_evaluation_say_the_same_to_the_last_bit(places: Tensor) -> None:
    model = model_of("llama")
    with torch.no_grad():
        told = [states_at(model.train(mode), places, ids()) for mode in (True, False)]
    assert torch.equal(*told)
    assert torch.equal(passed(model.train(), places)[0], told[1])


def test_that_a_reward_model_comes_this_way_too(monkeypatch: pytest.MonkeyPatch) -> None:
    config = LlamaConfig(
        vocab_size=128, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4, num_labels=1
    )
    model = LlamaForSequenceClassification(config)
    assert lean.applies(model.base_model, ids())
    same(passed(model, FEW), own(model, FEW, monkeypatch))


def test_that_padding_behind_a_text_changes_nothing() -> None:
    model, texts = model_of("llama"), ids()
    padded = torch.cat([texts, texts.new_full((2, 5), 2)], 1)
    places = torch.tensor([0, 3, LENGTH + 1])
    moved = places + torch.tensor([0, 0, 5])
    with torch.no_grad():
        torch.testing.assert_close(
            states_at(model, places, texts), states_at(model, moved, padded), rtol=1e-5, atol=1e-5
        )


def hook(model: Any) -> None:
    model.model.layers[0].mlp.register_forward_hook(lambda module, given, result: result * 2)


def replace(model: Any) -> None:
    norm = model.model.layers[0].input_layernorm
    norm.forward = lambda x: x * norm.weight


def dropout(model: Any) -> None:
    model.model.layers[1].self_attn.attention_dropout = 0.1


def activation(model: Any) -> None:
    model.model.layers[0].mlp.act_fn = torch.nn.GELU()


def eager(model: Any) -> None:
    model.set_attn_implementation("eager")


@pytest.mark.parametrize("change", [hook, replace, dropout, activation, eager, use_gradient_checkpointing])
def test_that_what_isnt_known_is_left_to_the_layers(
    change: Callable[[Any], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = model_of("llama").train()
    assert lean.applies(model.model, ids())
    change(model)
    assert not lean.applies(model.model, ids())


def test_that_a_reference_with_dropout_says_what_a_policy_without_says_to_the_last_bit() -> None:
    reference = make_model("llama", scale=4.0)
    assert reference.model.layers[0].self_attn.attention_dropout > 0
    with torch.no_grad():
        assert torch.equal(states_at(reference, FEW, ids()), states_at(model_of("llama").train(), FEW, ids()))


def test_that_a_text_longer_than_the_window_is_left_to_the_layers() -> None:
    body = model_of("mistral").model
    assert lean.applies(body, ids(WINDOW))
    assert not lean.applies(body, ids(WINDOW + 1))


def test_that_rotations_that_depend_on_the_text_and_half_precision_are_left_to_the_layers() -> None:
    config = LlamaConfig(
        vocab_size=128,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=1,
        num_attention_heads=4,
        rope_parameters={"rope_theta": 10000.0, "rope_type": "dynamic", "factor": 2.0},
    )
    assert not lean.applies(LlamaForCausalLM(config).model, ids())
    body = model_of("llama").model
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert not lean.applies(body, ids())
    assert not lean.applies(model_of("llama").bfloat16().model, ids())


def test_that_a_wrong_pass_is_noticed_and_not_used(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    right = lean._norm
    monkeypatch.setattr(lean, "_norm", lambda module, x: right(module, x) * 1.01)
    model = model_of("llama")
    same(passed(model, FEW), own(model, FEW, monkeypatch))
    passed(model, FEW)
    assert caplog.text.count("disagrees") == 1


def test_that_comparing_leaves_the_mode_alone() -> None:
    model = model_of("llama").train()
    model.model.layers[0].mlp.eval()
    assert lean.applies(model.model, ids())
    assert model.model.training
    assert [layer.mlp.training for layer in model.model.layers] == [False, True]


def test_that_the_gradients_written_by_hand_are_right() -> None:
    torch.manual_seed(0)

    def random(*shape: int) -> Tensor:
        return torch.randn(*shape, dtype=torch.float64, requires_grad=True)

    assert torch.autograd.gradcheck(lambda x, gain: lean._Norm.apply(x, gain, 1e-5), (random(2, 3, 8), random(8)))
    assert torch.autograd.gradcheck(lean._Gate.apply, (random(2, 3, 5), random(2, 3, 5)))
    angles = torch.randn(1, 4, 1, 3, dtype=torch.float64)
    cos, sin = angles.cos().repeat(1, 1, 1, 2), angles.sin()
    assert torch.autograd.gradcheck(lambda x: lean._Turn.apply(x, cos, sin), (random(2, 4, 2, 6),))


def test_that_norm_turn_and_gate_are_their_formulas() -> None:
    x, gain = torch.randn(4, 7, 16), torch.randn(16)
    double = x.double()
    expected = double / (double.square().mean(-1, keepdim=True) + 1e-3).sqrt() * gain
    torch.testing.assert_close(lean._Norm.apply(x, gain, 1e-3).double(), expected, atol=1e-6, rtol=1e-6)
    assert not lean._Norm.apply(torch.zeros(2, 16), gain, 1e-6).any()
    angle = torch.tensor(0.3)
    found = lean._Turn.apply(torch.tensor([1.0, 2.0]).view(1, 1, 1, 2), angle.cos().expand(2), angle.sin()[None])
    by_hand = torch.stack([angle.cos() - 2 * angle.sin(), 2 * angle.cos() + angle.sin()])
    torch.testing.assert_close(found.flatten(), by_hand)
    up = torch.randn(4, 7, 16)
    torch.testing.assert_close(lean._Gate.apply(x, up), x * x.sigmoid() * up)
