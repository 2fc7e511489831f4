"""Both completions behind one prompt, against two rows: the same numbers and gradients, and two rows where that can't be."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from torch import nn
from transformers import (
    AutoModelForCausalLM,
    BloomConfig,
    FalconConfig,
    Gemma2Config,
    GPT2Config,
    GPTNeoXConfig,
    LlamaConfig,
    MambaConfig,
    MistralConfig,
    MixtralConfig,
    OPTConfig,
    PhiConfig,
    Qwen3Config,
)

from workbench.engine.device import Setup
from workbench.engine.pair_forward import PairForward, choose_forward, shared_rows, worth_sharing
from workbench.engine.preferences import Preference

CPU = Setup(torch.device("cpu"), torch.float32)
COMMON: dict[str, Any] = {
    "vocab_size": 96,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 64,
}
GROUPED = {**COMMON, "num_key_value_heads": 2}
SMALL = {"vocab_size": 96, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
SHARING: dict[str, Callable[[], Any]] = {
    "llama": lambda: LlamaConfig(**GROUPED),
    "gpt2": lambda: GPT2Config(vocab_size=96, n_embd=32, n_layer=2, n_head=4, n_positions=64),
    "neox": lambda: GPTNeoXConfig(**COMMON),
    "opt": lambda: OPTConfig(**SMALL, ffn_dim=48, word_embed_proj_dim=32, max_position_embeddings=64),
    "phi": lambda: PhiConfig(**COMMON),
    "qwen3": lambda: Qwen3Config(**GROUPED, head_dim=8),
    "gemma2": lambda: Gemma2Config(**GROUPED, head_dim=8, sliding_window=64),
    "mistral": lambda: MistralConfig(**GROUPED, sliding_window=64),
    "mixtral": lambda: MixtralConfig(**GROUPED, num_local_experts=3, num_experts_per_tok=2),
    "falcon": lambda: FalconConfig(**SMALL, alibi=False, max_position_embeddings=64),
}
APART: dict[str, Callable[[], Any]] = {
    "bloom": lambda: BloomConfig(vocab_size=96, hidden_size=32, n_layer=2, n_head=4),
    "falcon with alibi": lambda: FalconConfig(**SMALL, alibi=True),
    "mistral with a window": lambda: MistralConfig(**GROUPED, sliding_window=16),
    "mamba": lambda: MambaConfig(vocab_size=96, hidden_size=32, num_hidden_layers=2, state_size=4),
}


def made(config: Any) -> Any:
    """A random model whose attention and positions matter, with nothing random while it computes."""
    torch.manual_seed(7)
    for name in vars(config):
        if "drop" in name and isinstance(getattr(config, name), float):
            setattr(config, name, 0.0)
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 2:
                parameter.mul_(5)
    return model.eval()


def pair(prompt: int, chosen: int, rejected: int, seed: int = 0) -> Preference:
    """A pair of so many random tokens."""
    numbers = torch.randint(
        3, 96, (prompt + chosen + rejected,), generator=torch.Generator().manual_seed(seed)
    ).tolist()
    return Preference(numbers[:prompt], numbers[prompt : prompt + chosen], numbers[prompt + chosen :], 0.0)


PAIRS = [pair(13, 6, 4, 1), pair(9, 1, 7, 2), pair(1, 3, 1, 3), pair(11, 1, 1, 4)]


def ways(model: nn.Module) -> tuple[PairForward, PairForward]:
    return PairForward(model, 0, CPU, shared=True), PairForward(model, 0, CPU, shared=False)


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("name", SHARING)
def test_that_sharing_the_prompt_changes_neither_logprobs_nor_gradients(name: str, attention: str) -> None:
    model = made(SHARING[name]())
    if attention == "eager":
        model.set_attn_implementation("eager")
    weights = torch.linspace(-1, 1, 8)[:, None]
    found = []
    for way in ways(model):
        scores = way(PAIRS, with_entropy=True)
        (scores.logprobs * weights).sum().backward()
        gradients = {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}
        model.zero_grad()
        found.append((scores, gradients))
    (one, ours), (two, theirs) = found
    assert torch.equal(one.mask, two.mask)
    torch.testing.assert_close(one.logprobs, two.logprobs, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(one.entropy, two.entropy, atol=1e-4, rtol=1e-5)
    assert float(two.logprobs.detach().min()) < -5  # far from uniform: a wrong mask would be seen
    norm = torch.nn.utils.get_total_norm(list(theirs.values()))
    for parameter, gradient in theirs.items():
        assert float((ours[parameter] - gradient).norm()) <= 1e-5 * float(norm)


@pytest.mark.parametrize("name", SHARING)
def test_that_architectures_that_follow_masks_share_the_prompt(name: str) -> None:
    assert choose_forward(made(SHARING[name]()), PAIRS, 0, CPU).shared


@pytest.mark.parametrize("name", APART)
def test_that_architectures_that_place_tokens_otherwise_compute_two_rows(name: str) -> None:
    forward = choose_forward(made(APART[name]()), PAIRS, 0, CPU)
    assert not forward.shared
    assert torch.isfinite(forward(PAIRS).logprobs).all()


def test_that_a_model_that_refuses_such_masks_computes_two_rows() -> None:
    model = made(LlamaConfig(**GROUPED))

    def refuse(module: nn.Module, inputs: Any, given: dict[str, Any]) -> None:
        if given["attention_mask"].ndim == 4:
            raise ValueError("masks have two dimensions here")

    model.model.register_forward_pre_hook(refuse, with_kwargs=True)
    assert not choose_forward(model, PAIRS, 0, CPU).shared


def test_that_a_model_that_says_something_else_computes_two_rows() -> None:
    model = made(LlamaConfig(**GROUPED))

    def overlook(module: nn.Module, inputs: Any, given: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        if given["attention_mask"].ndim == 4:
            given["attention_mask"] = None
        return inputs, given

    model.model.register_forward_pre_hook(overlook, with_kwargs=True)
    assert not choose_forward(model, PAIRS, 0, CPU).shared


def test_that_sharing_is_tried_on_pairs_whose_sides_could_see_each_other() -> None:
    model = made(LlamaConfig(**GROUPED))
    model.model.register_forward_pre_hook(
        lambda module, inputs, given: (
            inputs,
            given | {"attention_mask": None},
        ),
        with_kwargs=True,
    )
    one_token_each = [pair(9, 1, 1, seed) for seed in range(5)]  # on these, a causal mask is the right one
    assert choose_forward(model, one_token_each, 0, CPU).shared
    assert not choose_forward(model, [*one_token_each, pair(9, 5, 5)], 0, CPU).shared


@pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing:FutureWarning")  # peft asks by the old name
@pytest.mark.parametrize("compute", [torch.bfloat16, torch.float16], ids=str)
def test_that_an_adapter_on_frozen_weights_in_reduced_precision_shares_the_prompt(compute: torch.dtype) -> None:
    model = made(LlamaConfig(**GROUPED)).to(compute)
    adapted = get_peft_model(model, LoraConfig(r=4, target_modules="all-linear", task_type="CAUSAL_LM"))
    for parameter in adapted.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.float()
    forward = choose_forward(adapted, PAIRS, 0, CPU._replace(compute=compute))
    assert forward.shared
    one, two = forward(PAIRS).logprobs, forward._replace(shared=False)(PAIRS).logprobs
    assert float((one - two).abs().max().detach()) < 0.2
    one.sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in adapted.parameters() if p.requires_grad)


def test_that_other_attention_kernels_compute_two_rows() -> None:
    model = made(LlamaConfig(**GROUPED))
    model.config._attn_implementation = "flash_attention_2"
    assert not choose_forward(model, PAIRS, 0, CPU).shared


def test_that_neither_side_of_a_pair_sees_the_other() -> None:
    model = made(LlamaConfig(**GROUPED))
    shared, _ = ways(model)
    with torch.no_grad():
        first, second = shared([PAIRS[0]]).logprobs, shared([PAIRS[0]._replace(rejected=[5, 6, 7, 8])]).logprobs
        third = shared([PAIRS[0]._replace(chosen=[5, 6, 7])]).logprobs
    assert torch.equal(first[0], second[0])
    assert not torch.equal(first[1, :4], second[1, :4])
    torch.testing.assert_close(first[1, :4], third[1, :4], atol=1e-6, rtol=0)


def test_that_neighbours_and_padding_change_nothing() -> None:
    shared, _ = ways(made(LlamaConfig(**GROUPED)))
    with torch.no_grad():
        together = shared(PAIRS)
        alone = [shared([one]).logprobs for one in PAIRS]
        other = shared._replace(pad=50)(PAIRS).logprobs
    assert torch.equal(together.logprobs, other)
    for place, (one, found) in enumerate(zip(PAIRS, alone, strict=True)):
        for row, side, size in ((place, 0, len(one.chosen)), (place + len(PAIRS), 1, len(one.rejected))):
            torch.testing.assert_close(together.logprobs[row, :size], found[side, :size], atol=1e-5, rtol=1e-5)
            assert not together.logprobs[row, size:].any()


def test_that_a_row_holds_the_prompt_and_what_predicts_a_token() -> None:
    rows = shared_rows([Preference([1, 2], [3, 4, 5], [6, 7], 0.0), Preference([8], [9], [10], 0.0)], pad=0)
    assert rows.input_ids.tolist() == [[1, 2, 3, 4, 6], [8, 0, 0, 0, 0]]
    assert rows.position_ids.tolist() == [[0, 1, 2, 3, 2], [0, 0, 0, 0, 0]]
    assert rows.segments.tolist() == [[0, 0, 1, 1, 2], [0, 3, 3, 3, 3]]
    assert rows.labels.tolist() == [3, 4, 5, 9, 6, 7, 10]
    assert rows.before.tolist() == [1, 2, 3, 5, 1, 4, 5]
    shown = [[int(seen) for seen in row] for row in rows.attention[0, 0]]
    assert shown == [[1, 0, 0, 0, 0], [1, 1, 0, 0, 0], [1, 1, 1, 0, 0], [1, 1, 1, 1, 0], [1, 1, 0, 0, 1]]
    assert rows.attention[1, 0].any(-1).all()  # no token without anything to look at, which would be NaN


def test_that_long_prompts_are_shared_and_short_ones_before_long_completions_are_not() -> None:
    assert worth_sharing([pair(96, 32, 32)], width=256)
    assert worth_sharing([pair(20, 40, 40)], width=4096)
    assert not worth_sharing([pair(4, 500, 500)], width=64)
    short, long = pair(4, 500, 500), pair(96, 32, 32)
    assert worth_sharing([short, *[long] * 200], width=64)  # all pairs of a run are computed alike


def test_that_tokens_are_counted_as_they_are_computed() -> None:
    model = made(LlamaConfig(**GROUPED))
    shared, apart = ways(model)
    assert shared.tokens(pair(10, 5, 3)) == 16
    assert apart.tokens(pair(10, 5, 3)) == 28
