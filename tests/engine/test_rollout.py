"""The batched sampler against fresh forward passes, one row at a time, and the distribution it should follow."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM, MistralConfig, MistralForCausalLM

from tests.engine.adapting import attach_lora
from workbench.domain.specs.common import LoraPart
from workbench.engine import rollout
from workbench.engine.batches import collate
from workbench.engine.forward import completion_logprobs
from workbench.engine.models import Loaded
from workbench.engine.plans import prefill
from workbench.engine.rollout import Rollout, sample_batch

PROMPTS = [[1, 5, 9], [1], [1, 7, 7, 8, 30, 2, 4, 11], [1, 3, 4, 5], [1, 5, 9], [40, 41, 42, 43, 44]]
EOS = [2, 3, 4, 5]  # several, so that rows of an untrained model end early and at different times


def llama(**more: Any) -> LlamaForCausalLM:
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=50,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=64,
        initializer_range=0.3,
        **more,
    )
    return LlamaForCausalLM(config).eval()


def windowed() -> MistralForCausalLM:
    torch.manual_seed(0)
    config = MistralConfig(
        vocab_size=50,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        sliding_window=4,
        initializer_range=0.3,
    )
    return MistralForCausalLM(config).eval()


def gpt2() -> GPT2LMHeadModel:
    torch.manual_seed(0)
    config = GPT2Config(vocab_size=50, n_embd=32, n_layer=2, n_head=4, n_positions=64, initializer_range=0.3)
    return GPT2LMHeadModel(config).eval()


def eager() -> LlamaForCausalLM:
    return llama(attn_implementation="eager")


def sample(model: Any, prompts: list[list[int]] = PROMPTS, **more: Any) -> Rollout:
    settings = {"max_new_tokens": 12, "temperature": 1.0, "eos": EOS, "seed": 3} | more
    return sample_batch(model, prompts, **settings)


@pytest.mark.parametrize("make", [llama, eager, gpt2, windowed])
@pytest.mark.parametrize("temperature", [1.0, 0.7])
def test_that_logprobs_kept_while_decoding_are_those_of_a_fresh_forward(
    make: Callable[[], Any], temperature: float
) -> None:
    model = make()
    found = sample(model, temperature=temperature)
    fresh = completion_logprobs(model, collate(PROMPTS, found.completions, pad=0), temperature)
    torch.testing.assert_close(found.logprobs, fresh.detach(), atol=5e-5, rtol=0)


@pytest.mark.parametrize("make", [llama, eager])
def test_that_an_end_that_the_model_doesnt_know_ends_nothing(make: Callable[[], Any]) -> None:
    expected, found = sample(make()), sample(make(), eos=[*EOS, 10**6])
    assert found.completions == expected.completions
    assert found.ended == expected.ended
    assert any(found.ended)


@pytest.mark.parametrize("make", [llama, gpt2, windowed])
def test_that_greedy_rows_do_not_depend_on_the_rest_of_the_batch(make: Callable[[], Any]) -> None:
    model = make()
    together = sample(model, temperature=0)
    for row, prompt in enumerate(PROMPTS):
        alone = sample(model, [prompt], temperature=0)
        assert alone.completions[0] == together.completions[row]
        assert alone.ended[0] == together.ended[row]


def test_that_greedy_is_what_transformers_generates() -> None:
    model = llama()
    found = sample(model, temperature=0)
    for prompt, completion in zip(PROMPTS, found.completions):
        ids = torch.tensor([prompt])
        theirs = model.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            do_sample=False,
            max_new_tokens=12,
            eos_token_id=EOS,
            pad_token_id=0,
        )
        assert theirs[0, len(prompt) :].tolist() == completion


def test_that_sampled_rows_do_not_depend_on_the_group_or_on_dropping_ended_rows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = llama()
    whole = sample(model)
    assert len(set(map(len, whole.completions))) > 2
    assert sample(model, rows_at_once=2).completions == whole.completions
    monkeypatch.setattr(rollout, "_KEEP", 0.0)
    assert sample(model).completions == whole.completions
    monkeypatch.setattr(prefill, "_PREFILL_TOKENS", 1)
    assert sample(model).completions == whole.completions


def test_that_a_seed_repeats_a_rollout_and_another_one_does_not() -> None:
    model = llama()
    assert sample(model).completions == sample(model).completions
    assert sample(model).completions != sample(model, seed=4).completions


def test_that_a_generators_state_is_all_that_is_needed_to_continue() -> None:
    model, generator = llama(), torch.Generator().manual_seed(9)
    sample(model, generator=generator)
    state = generator.get_state()
    expected = sample(model, generator=generator)
    again = torch.Generator()
    again.set_state(state)
    found = sample(model, generator=again)
    assert found.completions == expected.completions
    assert torch.equal(found.logprobs, expected.logprobs)


def test_that_global_random_numbers_are_left_alone() -> None:
    before = torch.get_rng_state()
    sample(llama())
    assert torch.equal(torch.get_rng_state(), before)


def test_that_a_row_ends_with_its_end_token_or_at_the_limit() -> None:
    found = sample(llama())
    assert any(found.ended)
    for completion, ended in zip(found.completions, found.ended):
        assert not set(completion[:-1]) & set(EOS)
        assert ended == (completion[-1] in EOS)
        assert ended or len(completion) == 12


def test_that_logprobs_behind_the_end_are_zero() -> None:
    found = sample(llama())
    assert found.logprobs.shape == (len(PROMPTS), max(map(len, found.completions)))
    for completion, row in zip(found.completions, found.logprobs):
        assert not row[len(completion) :].any()
        assert (row[: len(completion)] < 0).all()


def test_that_without_end_tokens_all_rows_run_to_the_limit() -> None:
    found = sample(llama(), eos=[])
    assert {len(c) for c in found.completions} == {12}
    assert not any(found.ended)


def test_that_samples_follow_the_models_distribution() -> None:
    model, rows = llama(), 4000
    found = sample(model, [[1, 5, 9]] * rows, max_new_tokens=1, eos=[], rows_at_once=4000)
    logits = model(torch.tensor([[1, 5, 9]])).logits[0, -1].detach()
    counts = torch.bincount(torch.tensor([c[0] for c in found.completions]), minlength=50)
    torch.testing.assert_close(counts / rows, logits.softmax(-1), atol=0.03, rtol=0)


def test_that_top_k_and_top_p_leave_only_likely_tokens() -> None:
    model = llama()
    logits = model(torch.tensor([[1, 5, 9]])).logits[0, -1].detach()
    order = logits.argsort(descending=True).tolist()
    found = sample(model, [[1, 5, 9]] * 300, max_new_tokens=1, eos=[], top_k=3)
    assert {c[0] for c in found.completions} == set(order[:3])
    kept = int((logits.softmax(-1).sort(descending=True).values.cumsum(-1) < 0.6).sum()) + 1
    found = sample(model, [[1, 5, 9]] * 300, max_new_tokens=1, eos=[], top_p=0.6)
    assert {c[0] for c in found.completions} <= set(order[:kept])
    assert {c[0] for c in sample(model, [[1, 5, 9]] * 20, max_new_tokens=1, eos=[], top_p=0.0).completions} == {
        order[0]
    }


def test_that_chances_at_both_ends_choose_tokens_that_are_possible() -> None:
    logits = torch.tensor([[-torch.inf, 0.0, -torch.inf, 0.0, -torch.inf]] * 2)
    settings = rollout._Settings(1, 1.0, (), 0, 1.0)
    chosen, scores = rollout._choose(logits, torch.tensor([0.0, 1 - 2**-24]), settings)
    assert chosen.tolist() == [1, 3]
    assert torch.isfinite(scores).all()


def test_that_logprobs_can_take_part_in_a_backward_pass() -> None:
    found = sample(llama())
    weight = torch.ones_like(found.logprobs, requires_grad=True)
    (found.logprobs * weight).sum().backward()
    assert torch.equal(weight.grad, found.logprobs)  # type: ignore[arg-type]


def test_that_a_model_in_training_mode_is_sampled_without_dropout_and_stays_in_training_mode() -> None:
    model = llama(attention_dropout=0.5)
    quiet = sample(model)
    model.train()
    assert sample(model).completions == quiet.completions
    assert model.training


def test_that_an_adapter_takes_part_and_can_be_switched_off() -> None:
    base = sample(llama(), temperature=0)
    model = attach_lora(Loaded(llama(), SimpleNamespace(eos_token_id=None), Path()), LoraPart(rank=4), Path())
    assert sample(model, temperature=0).completions == base.completions
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                parameter.normal_()
    assert sample(model, temperature=0).completions != base.completions
    with model.disable_adapter():
        assert sample(model, temperature=0).completions == base.completions


def test_that_an_empty_prompt_is_refused() -> None:
    with pytest.raises(ValueError, match="without a token"):
        sample(llama(), [[1], []])
