"""Policy, reference, reward model and critic on one base: the same numbers as apart, and the base's weights once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from tests.engine.adapting import attach_lora, shake, tiny
from workbench.domain.specs.common import LoraPart
from workbench.domain.specs.ppo import PpoSpec
from workbench.engine import forward
from workbench.engine.batches import collate
from workbench.engine.device import Setup
from workbench.engine.models import load_policy, load_reward, load_tokenizer, make_reward_head, save_model
from workbench.engine.roles import load_roles
from workbench.engine.shared_base import fits
from workbench.protocol.run_folder import RunFolder

CPU = Setup(torch.device("cpu"), torch.float32)
BATCH = collate([[1, 403, 407], [1, 270]], [[410, 261, 2], [417, 2]], pad=0)


def reward_adapter(base: Path, folder: Path) -> Path:
    """A reward model trained with a low-rank adapter on a base, in a run folder of its own."""
    torch.manual_seed(5)
    loaded = make_reward_head(base)
    model = attach_lora(loaded, LoraPart(rank=2), folder / "base", head=True)
    shake(model)
    save_model(model, loaded.tokenizer, folder / "model")
    return folder / "model"


def spec_of(base: Path, reward: Path, **more: Any) -> PpoSpec:
    given: dict[str, Any] = {"method": "lora", "lora": LoraPart(rank=2), **more}
    return PpoSpec(base=str(base), reward_model=str(reward), device="cpu", **given)


@pytest.fixture(params=["llama", "gpt2"])
def base(request: pytest.FixtureRequest, stories: Path, tmp_path: Path) -> Path:
    torch.manual_seed(7)
    model = AutoModelForCausalLM.from_config(tiny(request.param), dtype=torch.float32)
    shake(model, 0.2)
    save_model(model, load_tokenizer(stories), tmp_path / "policy")
    return tmp_path / "policy"


def stored(*models: Any) -> int:
    """Bytes of all parameters and buffers, each tensor once."""
    tensors = [t for m in models for t in (*m.parameters(), *m.buffers())]
    return sum({t.data_ptr(): t.numel() * t.element_size() for t in tensors}.values())


@pytest.mark.parametrize("critic", ["auto", "policy"])
def test_that_the_base_is_in_memory_once_and_every_role_says_what_it_says_apart(
    base: Path, tmp_path: Path, critic: Any
) -> None:
    reward = reward_adapter(base, tmp_path / "reward")
    roles = load_roles(spec_of(base, reward, critic=critic), tmp_path, CPU)
    assert roles.shared == "on one base: policy, reference, reward model, critic"
    assert roles.frozen is None
    assert roles.scorer is not None and roles.critic is not None
    alone = stored(load_policy(base).model)
    assert stored(roles.policy.model, roles.scorer, roles.critic) < 1.35 * alone
    with torch.no_grad():
        expected = forward.rewards(load_reward(reward).model, BATCH)
        torch.testing.assert_close(forward.rewards(roles.scorer, BATCH), expected, atol=1e-5, rtol=1e-5)
        policy = forward.completion_logprobs(roles.policy.model, BATCH)
        assert torch.equal(policy, forward.completion_logprobs(load_policy(base).model, BATCH))
        with roles.reference() as reference:
            assert torch.equal(policy, forward.completion_logprobs(reference, BATCH))
        values = forward.values(roles.critic, BATCH)
    if critic == "policy":
        assert not values.any()
    else:
        last = BATCH.completion_lengths - 1
        assert values.gather(1, last[:, None]).abs().sum() > 0


def test_that_training_one_role_moves_no_other(base: Path, tmp_path: Path) -> None:
    roles = load_roles(spec_of(base, reward_adapter(base, tmp_path / "reward")), tmp_path, CPU)
    assert roles.scorer is not None and roles.critic is not None
    trained = [p for p in roles.critic.parameters() if p.requires_grad]
    assert {p.dtype for p in trained} == {torch.float32}
    assert not any(p.requires_grad for p in roles.scorer.parameters())
    with torch.no_grad():
        before = forward.rewards(roles.scorer, BATCH), forward.completion_logprobs(roles.policy.model, BATCH)
        worth = forward.values(roles.critic, BATCH)
    shake(roles.critic)
    with torch.no_grad():
        assert torch.equal(forward.rewards(roles.scorer, BATCH), before[0])
        assert torch.equal(forward.completion_logprobs(roles.policy.model, BATCH), before[1])
        assert not torch.equal(forward.values(roles.critic, BATCH), worth)


def test_that_recomputed_activations_are_those_of_their_own_role(base: Path, tmp_path: Path) -> None:
    reward = reward_adapter(base, tmp_path / "reward")
    found = []
    for again in (False, True):
        torch.manual_seed(0)
        roles = load_roles(spec_of(base, reward, gradient_checkpointing=again), tmp_path, CPU)
        assert roles.critic is not None
        shake(roles.policy.model)
        for model in (roles.policy.model, roles.critic):
            model.train()
        # One backward pass through both: what one recomputes must not run through the other's adapter.
        loss = forward.completion_logprobs(roles.policy.model, BATCH).sum() + forward.values(roles.critic, BATCH).sum()
        loss.backward()
        models = (roles.policy.model, roles.critic)
        found.append([p.grad for m in models for p in m.parameters() if p.requires_grad])
    assert any(g is not None and g.any() for g in found[0])
    for first, second in zip(*found, strict=True):
        torch.testing.assert_close(first, second, atol=1e-5, rtol=1e-4)


def test_that_a_reward_model_on_the_same_merged_weights_is_found_to_fit(base: Path, tmp_path: Path) -> None:
    loaded = load_policy(base)
    tuned = attach_lora(loaded, LoraPart(rank=2), tmp_path / "unused")
    shake(tuned)
    save_model(tuned, loaded.tokenizer, tmp_path / "sft" / "model")
    on_tuned = reward_adapter(tmp_path / "sft" / "model", tmp_path / "reward")
    assert (tmp_path / "reward" / "base").exists()  # the merged weights, written once more
    assert fits(load_policy(tmp_path / "sft" / "model"), on_tuned)
    assert not fits(load_policy(base), on_tuned)
    roles = load_roles(spec_of(tmp_path / "sft" / "model", on_tuned), tmp_path / "ppo", CPU)
    assert "critic" in roles.shared
    full = make_reward_head(base)
    save_model(full.model, full.tokenizer, tmp_path / "full")
    assert not fits(load_policy(base), tmp_path / "full")


@pytest.mark.parametrize("more", [{"method": "full"}, {"method": "bitfit"}], ids=["all weights", "biases"])
def test_that_a_base_that_is_trained_is_not_shared(stories: Path, tmp_path: Path, more: dict[str, Any]) -> None:
    torch.manual_seed(7)
    model = AutoModelForCausalLM.from_config(tiny("gpt2"), dtype=torch.float32)
    save_model(model, load_tokenizer(stories), tmp_path / "policy")
    reward = reward_adapter(tmp_path / "policy", tmp_path / "reward")
    roles = load_roles(spec_of(tmp_path / "policy", reward, **more), tmp_path, CPU)
    assert roles.shared == ""


def test_that_ppo_on_one_base_starts_at_zero_and_goes_on_bit_for_bit(
    stories: Path,
    tmp_path: Path,
    comparisons: list[dict[str, Any]],
    make_run: Callable[..., RunFolder],
    here: Callable[..., Any],
    curves: Callable[..., Any],
    said: Callable[..., Any],
) -> None:
    reward = reward_adapter(stories, tmp_path / "reward")
    settings: dict[str, Any] = {"batch_size": 4, "max_steps": 3, "max_length": 64, "max_new_tokens": 6, "eval_every": 0}
    spec = spec_of(
        stories, reward, learning_rate=0.01, holdout=0.0, sample_count=0, checkpoint_every=2, warmup=0.0, **settings
    )
    straight, broken = make_run(spec, comparisons[:8], "straight"), make_run(spec, comparisons[:8], "broken")
    assert here(straight)[-1]["kind"] == "finished"
    told = curves(straight)
    assert told[1]["kl/k1"] == 0.0
    assert told[3]["kl/k3"] > 0.0
    (planned,) = said(straight, "planned")
    assert "on one base: policy, reference, reward model, critic" in planned["notes"]
    here(broken)
    for newer in [path for path in broken.checkpoints.iterdir() if int(path.name) > 2]:
        for file in newer.iterdir():
            file.unlink()
        newer.rmdir()
    here(broken)
    assert [event["step"] for event in said(broken, "resumed")] == [2]
    assert curves(broken) == told
    ours, theirs = (load_file(folder.model / "adapter_model.safetensors") for folder in (broken, straight))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
