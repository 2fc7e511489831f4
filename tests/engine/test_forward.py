from __future__ import annotations

from typing import Any

import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel

from workbench.engine import forward
from workbench.engine.batches import collate
from workbench.engine.models import Loaded, make_reward_head

PROMPTS = [[1, 403, 407], [1, 261, 378, 383, 286], [1, 270]]
COMPLETIONS = [[410, 261, 2], [417, 2], [300, 301, 302, 303, 2]]


def by_hand(model: Any, temperature: float = 1.0) -> list[list[float]]:
    """Log-probabilities one sequence at a time, with the model's own head on every position."""
    result = []
    for prompt, completion in zip(PROMPTS, COMPLETIONS, strict=True):
        with torch.no_grad():
            logits = model(torch.tensor([prompt + completion])).logits[0] / temperature
        logs = logits.log_softmax(-1)
        result.append([logs[len(prompt) - 1 + t, token].item() for t, token in enumerate(completion)])
    return result


@pytest.mark.parametrize("temperature", [1.0, 0.7])
def test_that_batched_logprobs_are_those_of_each_sequence_alone(loaded: Loaded, temperature: float) -> None:
    batch = collate(PROMPTS, COMPLETIONS, loaded.pad)
    with torch.no_grad():
        found = forward.completion_logprobs(loaded.model, batch, temperature)
    for row, expected in zip(found, by_hand(loaded.model, temperature), strict=True):
        assert row[: len(expected)].tolist() == pytest.approx(expected, abs=1e-4)
        assert (row[len(expected) :] == 0).all()


def test_that_a_model_of_another_architecture_scores_the_same_way() -> None:
    torch.manual_seed(0)
    model = GPT2LMHeadModel(GPT2Config(vocab_size=512, n_embd=32, n_layer=2, n_head=2, n_positions=64)).eval()
    batch = collate(PROMPTS, COMPLETIONS, pad=0)
    with torch.no_grad():
        found = forward.completion_logprobs(model, batch)
    for row, expected in zip(found, by_hand(model), strict=True):
        assert row[: len(expected)].tolist() == pytest.approx(expected, abs=1e-4)


def test_that_the_head_sees_completion_positions_only_and_in_chunks(
    loaded: Loaded, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []
    loaded.model.lm_head.register_forward_hook(lambda module, given, out: seen.append(out.shape[0]))
    batch = collate(PROMPTS, COMPLETIONS, loaded.pad)
    whole = forward.completion_logprobs(loaded.model, batch)
    whole.sum().backward()
    assert seen == [batch.tokens]
    gradient = loaded.model.lm_head.weight.grad.clone()
    loaded.model.zero_grad()
    monkeypatch.setattr(forward, "KEPT_VALUES", 3 * 512)
    monkeypatch.setattr(forward, "CHUNK_VALUES", 3 * 512)
    parts = forward.completion_logprobs(loaded.model, batch)
    assert max(seen[1:]) == 3
    parts.sum().backward()
    assert torch.allclose(parts, whole, atol=1e-5)
    assert torch.allclose(loaded.model.lm_head.weight.grad, gradient, atol=1e-4)


def test_that_entropy_is_between_zero_and_that_of_the_even_distribution(loaded: Loaded) -> None:
    batch = collate(PROMPTS, COMPLETIONS, loaded.pad)
    with torch.no_grad():
        logprobs, entropy = forward.completion_logprobs(loaded.model, batch, with_entropy=True)
    assert logprobs.shape == entropy.shape == batch.completion_mask.shape
    inside = entropy[batch.completion_mask]
    assert (inside > 0).all()
    assert (inside < torch.tensor(512.0).log()).all()
    assert (entropy[~batch.completion_mask] == 0).all()


def test_that_rewards_do_not_depend_on_padding_even_when_pad_is_the_end_token(loaded: Loaded) -> None:
    judge = make_reward_head(loaded.path)
    with torch.no_grad():
        together = forward.rewards(judge.model, collate(PROMPTS, COMPLETIONS, pad=2))
        alone = [
            forward.rewards(judge.model, collate([p], [c], pad=2)).item()
            for p, c in zip(PROMPTS, COMPLETIONS, strict=True)
        ]
    assert together.tolist() == pytest.approx(alone, abs=1e-5)


def test_that_values_are_those_of_the_state_before_each_token(loaded: Loaded) -> None:
    critic = make_reward_head(loaded.path)
    batch = collate(PROMPTS, COMPLETIONS, loaded.pad)
    with torch.no_grad():
        values = forward.values(critic.model, batch)
        shorter = forward.rewards(critic.model, collate(PROMPTS, [ids[:1] for ids in COMPLETIONS], loaded.pad))
    assert values.shape == batch.completion_mask.shape
    assert values[:, 1].tolist() == pytest.approx(shorter.tolist(), abs=1e-5)
    assert (values[~batch.completion_mask] == 0).all()


def test_that_a_critic_that_starts_at_zero_says_zero(loaded: Loaded) -> None:
    critic = make_reward_head(loaded.path, zero=True)
    with torch.no_grad():
        assert not forward.values(critic.model, collate(PROMPTS, COMPLETIONS, 0)).any()
