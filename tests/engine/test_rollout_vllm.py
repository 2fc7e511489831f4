"""Rollouts by vLLM: the weights that it gets, the refusals, and, where it is installed, the same tokens as the model's own."""

from __future__ import annotations

import gc
import importlib.util
import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from peft import IA3Config, LoraConfig, get_peft_model
from torch import Tensor
from transformers import AutoModelForCausalLM, LlamaConfig

from tests.engine.adapting import ENDS, shake, tiny
from workbench.domain.errors import BadInput
from workbench.engine import rollout_vllm
from workbench.engine.adapters import quiet
from workbench.engine.rollout import sample_batch
from workbench.engine.rollout_vllm import merged_weights, sample_with_vllm, trouble_with

PROMPTS = [[3, 4, 5], [6, 7, 8, 9, 10, 11], [12]]
TARGETS = {"llama": ["q_proj", "v_proj", "down_proj"], "gpt2": ["c_attn", "c_fc"]}
HERE = importlib.util.find_spec("vllm") is not None
needs_vllm = pytest.mark.skipif(not HERE, reason="vLLM is not installed")


@pytest.fixture(autouse=True)
def one_engine_at_a_time() -> Iterator[None]:
    """An engine keeps its share of the memory until it is gone."""
    yield
    for engine in list(rollout_vllm._engines.values()):
        engine.llm_engine.engine_core.shutdown()
    rollout_vllm._engines.clear()
    gc.collect()


def model_of(config: Any) -> Any:
    torch.manual_seed(0)
    return AutoModelForCausalLM.from_config(config, dtype=torch.float32).eval()


def adapted(model: Any, config: Any) -> Any:
    with quiet():
        return get_peft_model(model, config)


def with_lora(kind: str, **more: Any) -> Any:
    model = adapted(model_of(tiny(kind)), LoraConfig(r=4, target_modules=TARGETS[kind], **more))
    shake(model, 0.3)
    return model.eval()


@pytest.mark.parametrize("kind", ["llama", "gpt2"])
@pytest.mark.parametrize("rslora", [False, True])
def test_that_weights_are_those_of_the_merged_model_under_its_plain_names(kind: str, rslora: bool) -> None:
    model = with_lora(kind, use_rslora=rslora)
    found: dict[str, Tensor] = dict(merged_weights(model))
    with quiet():
        plain = model.merge_and_unload().state_dict()
    assert set(found) == set(plain)
    for name, tensor in found.items():
        torch.testing.assert_close(tensor, plain[name], atol=1e-6, rtol=1e-5, msg=name)


def test_that_reading_merged_weights_leaves_the_model_as_it_was() -> None:
    model = with_lora("llama")
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    list(merged_weights(model))
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())


def test_that_what_can_not_be_merged_is_named() -> None:
    assert trouble_with(model_of(tiny("llama"))) == trouble_with(with_lora("llama")) == ""
    assert "DoRA" in trouble_with(with_lora("llama", use_dora=True))
    ia3 = IA3Config(target_modules=["k_proj", "down_proj"], feedforward_modules=["down_proj"])
    assert trouble_with(adapted(model_of(tiny("llama")), ia3)) == "adapters other than LoRA"
    with pytest.raises(BadInput, match="DoRA"):
        roll(with_lora("llama", use_dora=True))


@pytest.mark.skipif(HERE, reason="vLLM is installed")
def test_that_without_vllm_the_run_ends_with_what_to_do() -> None:
    with pytest.raises(BadInput, match="isn't installed") as caught:
        roll(model_of(tiny("llama")))
    assert "rollout_engine" in caught.value.hint


def test_that_log_probabilities_are_the_policys_own_at_the_temperature() -> None:
    model = model_of(tiny("llama"))
    native = sample_batch(model, PROMPTS, max_new_tokens=9, temperature=0.7, eos=(2,), seed=3)
    found = rollout_vllm._logprobs(model, PROMPTS, native.completions, 0.7)
    torch.testing.assert_close(found, native.logprobs, atol=1e-5, rtol=1e-5)


def test_that_an_engine_that_seeds_everything_leaves_a_runs_random_numbers_alone() -> None:
    torch.manual_seed(5)
    random.seed(5)
    np.random.seed(5)
    with rollout_vllm._same_random_numbers():
        torch.manual_seed(0)
        random.seed(0)
        np.random.seed(0)
    after = torch.rand(1).item(), random.random(), float(np.random.rand())
    torch.manual_seed(5)
    random.seed(5)
    np.random.seed(5)
    assert after == (torch.rand(1).item(), random.random(), float(np.random.rand()))


def roll(model: Any, seed: int = 0, temperature: float = 1.0, **more: Any) -> Any:
    settings = {"max_new_tokens": 12, "eos": (2,), "longest": 64, "share": 0.15} | more
    generator = torch.Generator().manual_seed(seed)
    return sample_with_vllm(model, PROMPTS, temperature=temperature, generator=generator, **settings)


def wide() -> Any:
    """A Llama with heads as wide as vLLM wants them."""
    config = LlamaConfig(
        vocab_size=512, hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=1, head_dim=32, max_position_embeddings=128, **ENDS,
    )  # fmt: skip
    model = model_of(config)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 2:
                parameter.mul_(6.0)
    return model


@needs_vllm
def test_that_vllm_takes_the_likeliest_tokens_of_the_policy_as_it_now_is() -> None:
    model = adapted(wide(), LoraConfig(r=4, target_modules=TARGETS["llama"])).eval()
    for size in (0.0, 0.3, 0.5):  # each time the policy has learned something else
        shake(model, size)
        theirs = roll(model, temperature=0.0)
        ours = sample_batch(model, PROMPTS, max_new_tokens=12, temperature=0.0, eos=(2,))
        assert theirs.completions == ours.completions
        assert theirs.ended == ours.ended


@needs_vllm
def test_that_vllms_rows_follow_their_seeds_and_end_at_an_end() -> None:
    model = wide()
    one, again, other = roll(model, 1), roll(model, 1), roll(model, 2)
    assert one.completions == again.completions != other.completions
    assert torch.equal(one.logprobs, again.logprobs)
    likely = roll(model, 1, eos=(one.completions[0][3],))
    assert likely.ended[0]
    assert likely.completions[0] == one.completions[0][: one.completions[0].index(one.completions[0][3]) + 1]


@needs_vllm
def test_that_vllm_samples_from_the_policys_distribution() -> None:
    """First tokens of one prompt, many times: a chi-square against the policy's own probabilities."""
    from scipy.stats import chisquare

    model, count = wide(), 2000
    generator = torch.Generator().manual_seed(11)
    said = sample_with_vllm(
        model, [PROMPTS[0]] * count, max_new_tokens=1, generator=generator, longest=64, share=0.2, temperature=1.5
    )
    chances = (model(torch.tensor([PROMPTS[0]])).logits[0, -1].double() / 1.5).softmax(-1).detach()
    likely = (chances * count > 8).nonzero().squeeze(-1).tolist()
    tokens = [ids[0] for ids in said.completions]
    seen = [tokens.count(token) for token in likely]
    expected = [float(chances[token]) * count for token in likely]
    rest = count - sum(seen), count - sum(expected)
    assert chisquare([*seen, rest[0]], [*expected, rest[1]]).pvalue > 1e-3
