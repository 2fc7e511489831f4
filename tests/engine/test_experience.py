"""Roles and rollouts of PPO: what fits together, what is refused, and rewards, advantages and metrics done by hand."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from workbench.domain.errors import BadInput, RunFailed
from workbench.domain.specs.ppo import PpoSpec
from workbench.domain.text import Prompt
from workbench.engine.batches import collate
from workbench.engine.critic import ValueHead, values
from workbench.engine.device import prepare
from workbench.engine.experience import Judged, check_start, describe, judge, reward_tokens, sample, stream
from workbench.engine.forward import completion_logprobs, rewards
from workbench.engine.models import load_policy, load_reward, load_tokenizer, make_reward_head
from workbench.engine.roles import load_roles, same_tokens
from workbench.engine.rollout import Rollout
from workbench.engine.text import encode_prompt

TEXTS = ["Once upon a time", "Lily", "The dog was very big and it ran to the", "One day, a boy"]


def spec_for(stories: Path, judge_folder: Path, **more: Any) -> PpoSpec:
    return PpoSpec(**{"base": str(stories), "reward_model": str(judge_folder), "max_new_tokens": 10} | more)


def prompts_of(stories: Path) -> list[list[int]]:
    tokenizer = load_tokenizer(stories)
    return [encode_prompt(tokenizer, Prompt.from_text(text, raw=True)) for text in TEXTS]


@pytest.mark.parametrize("method", ["full", "lora"])
def test_that_reference_and_reward_model_stay_as_they_were_while_policy_and_critic_can_learn(
    method: str, stories: Path, judge_folder: Path, tmp_path: Path
) -> None:
    spec = spec_for(stories, judge_folder, method=method)
    roles = load_roles(spec, tmp_path, prepare(spec))
    batch = collate([[1, 5, 6]], [[7, 8, 9]], 0)
    start, score = (
        completion_logprobs(load_policy(stories).model, batch),
        rewards(load_reward(judge_folder).model, batch),
    )
    with torch.no_grad():
        for model in (roles.policy.model, roles.critic):
            for parameter in model.parameters():
                if parameter.requires_grad:
                    parameter.add_(0.05)
        assert not torch.allclose(completion_logprobs(roles.policy.model, batch), start, atol=1e-3)
        assert not torch.allclose(
            values(roles.critic, batch, roles.policy.model)[0, 0], values(roles.scorer, batch, None)[0, 0], atol=1e-3
        )
        with roles.reference() as reference:
            assert torch.equal(completion_logprobs(reference, batch), start)
        assert torch.equal(rewards(roles.scorer, batch), score)


def test_that_the_critic_starts_as_the_reward_model(stories: Path, judge_folder: Path, tmp_path: Path) -> None:
    spec = spec_for(stories, judge_folder)
    roles = load_roles(spec, tmp_path, prepare(spec))
    batch = collate([[1, 5, 6]], [[7, 8, 9]], 0)
    with torch.no_grad():
        assert torch.equal(rewards(roles.critic, batch), rewards(roles.scorer, batch))


@pytest.mark.parametrize("start", ["policy", "shared"])
@pytest.mark.parametrize("method", ["full", "lora"])
def test_that_a_critic_with_an_empty_head_values_everything_at_zero_until_it_learns(
    start: str, method: str, stories: Path, judge_folder: Path, tmp_path: Path
) -> None:
    spec = spec_for(stories, judge_folder, critic=start, method=method)
    roles = load_roles(spec, tmp_path, prepare(spec))
    batch = collate([[1, 5, 6], [1]], [[7, 8, 9], [4]], 0)
    with roles.valuing() as critic:
        found = values(critic, batch, roles.policy.model)
        assert isinstance(critic, ValueHead) == (start == "shared")
        assert found.shape == (2, 3) and not found.any()
        found.sum().backward()
        learned = [p for p in critic.parameters() if p.requires_grad and p.grad is not None and p.grad.any()]
        with torch.no_grad():
            for parameter in learned:
                parameter.sub_(parameter.grad)
        after = values(critic, batch, roles.policy.model)
        assert after[0].all() and after[1, 0] and not after[1, 1:].any()


def test_that_a_run_without_need_of_them_has_neither_reference_nor_critic(
    stories: Path, judge_folder: Path, tmp_path: Path
) -> None:
    spec = spec_for(stories, judge_folder)
    roles = load_roles(spec, tmp_path, prepare(spec), reference=False, critic=False)
    assert (roles.frozen, roles.critic) == (None, None)
    with roles.scoring() as scorer:
        assert not any(p.requires_grad for p in scorer.parameters())


def test_that_models_with_different_tokenizers_are_refused(stories: Path, judge_folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(judge_folder, other)
    content = json.loads((other / "tokenizer.json").read_text())
    vocabulary = content["model"]["vocab"]
    first, second = list(vocabulary)[400:402]
    vocabulary[first], vocabulary[second] = vocabulary[second], vocabulary[first]
    (other / "tokenizer.json").write_text(json.dumps(content))
    with pytest.raises(BadInput, match="different tokenizers: 2 of 512"):
        load_roles(spec_for(stories, other), tmp_path, prepare(spec_for(stories, other)))
    same_tokens(load_policy(stories), load_reward(judge_folder))


@pytest.mark.parametrize(("which", "word"), [("", "needs a reward model"), ("policy", "is not a reward model")])
def test_that_a_reward_model_that_is_none_is_refused(which: str, word: str, stories: Path, tmp_path: Path) -> None:
    spec = spec_for(stories, stories).model_copy(update={"reward_model": str(stories) if which else ""})
    with pytest.raises(BadInput, match=word) as caught:
        load_roles(spec, tmp_path, prepare(spec))
    assert caught.value.hint


def test_that_the_padding_of_a_reward_model_never_ends_a_text(stories: Path) -> None:
    loaded = make_reward_head(stories)
    assert loaded.tokenizer.pad_token_id == loaded.model.config.pad_token_id == 0
    assert loaded.tokenizer.get_vocab() == load_tokenizer(stories).get_vocab()


@pytest.mark.parametrize("size", [0, 1])
def test_that_what_the_models_say_about_a_rollout_is_what_they_say_row_by_row(
    size: int, stories: Path, judge_folder: Path, tmp_path: Path
) -> None:
    spec = spec_for(stories, judge_folder, micro_batch_size=size, temperature=0.7)
    setup = prepare(spec)
    roles, prompts = load_roles(spec, tmp_path, setup), prompts_of(stories)
    rollout = sample(roles, prompts, spec, setup, stream(1, 2))
    found = judge(roles, prompts, rollout, spec, setup, afresh=False)
    assert torch.equal(found.logprobs, rollout.logprobs)
    anew = judge(roles, prompts, rollout, spec, setup, afresh=True)
    assert torch.equal(anew.logprobs, anew.ref_logprobs)
    torch.testing.assert_close(anew.logprobs, rollout.logprobs, atol=1e-5, rtol=0)
    for row, prompt in enumerate(prompts):
        batch = collate([prompt], [rollout.completions[row]], 0)
        n = len(rollout.completions[row])
        with torch.no_grad():
            torch.testing.assert_close(
                found.values[row, :n], values(roles.critic, batch, roles.policy.model)[0], atol=1e-5, rtol=1e-5
            )
            torch.testing.assert_close(found.score[row], rewards(roles.scorer, batch)[0], atol=1e-5, rtol=1e-5)
        assert not found.values[row, n:].any()
    check_start(roles, rollout, prompts, spec, setup)


def test_that_a_start_at_which_policy_and_reference_differ_ends_the_run(
    stories: Path, judge_folder: Path, tmp_path: Path
) -> None:
    spec = spec_for(stories, judge_folder)
    setup = prepare(spec)
    roles, prompts = load_roles(spec, tmp_path, setup), prompts_of(stories)
    rollout = sample(roles, prompts, spec, setup, stream(1))
    forged = rollout._replace(logprobs=rollout.logprobs - 0.01)
    with pytest.raises(RunFailed, match=r"what was sampled differs by 0\.01"):
        check_start(roles, forged, prompts, spec, setup)
    assert roles.frozen is not None
    with torch.no_grad():
        next(roles.frozen.parameters()).mul_(1.001)
    with pytest.raises(RunFailed, match="policy to reference differs"):
        check_start(roles, rollout, prompts, spec, setup)


def by_hand(**more: Any) -> Any:
    rollout = Rollout([[5, 6, 2], [7, 8]], torch.zeros(2, 3), [True, False])
    judged = Judged(
        logprobs=torch.tensor([[-1.0, -2.0, -3.0], [-1.0, -1.0, 0.0]]),
        ref_logprobs=torch.tensor([[-1.5, -1.5, -3.0], [-2.0, -1.0, 0.0]]),
        values=torch.tensor([[0.1, 0.2, 0.3], [0.4, 0.5, 0.0]]),
        score=torch.tensor([2.0, 1.0]),
    )
    spec = PpoSpec(missing_eos_penalty=0.25, gamma=1.0, lam=1.0, **more)
    return reward_tokens([[1], [1, 4]], rollout, judged, spec, 0.1)


def test_that_each_token_is_rewarded_by_kl_and_the_last_one_by_the_score_less_the_penalty_for_not_ending() -> None:
    found = by_hand()
    expected = torch.tensor([[-0.05, 0.05, 2.0], [-0.1, 0.75, 0.0]])
    torch.testing.assert_close(found.rewards, expected)
    torch.testing.assert_close(found.returns, torch.tensor([[2.0, 2.05, 2.0], [0.65, 0.75, 0.0]]))
    torch.testing.assert_close(found.advantages, found.returns - torch.tensor([[0.1, 0.2, 0.3], [0.4, 0.5, 0.0]]))
    assert found.lengths == [4, 4]


def test_that_the_metrics_of_a_rollout_are_their_definitions() -> None:
    found = describe(by_hand(), 0.1)
    assert found["reward/score"] == pytest.approx(1.5)
    assert found["reward/total"] == pytest.approx((2.0 + 0.65) / 2)
    assert found["reward/std"] == pytest.approx(0.5)
    assert found["kl/k1"] == pytest.approx((0.5 - 0.5 + 1.0) / 2)
    k3 = [torch.expm1(torch.tensor(-d)).item() + d for d in (0.5, -0.5, 1.0)]
    assert found["kl/k3"] == pytest.approx(sum(k3) / 2)
    assert found["kl/beta"] == 0.1
    assert found["length/mean"] == 2.5
    assert found["length/eos_rate"] == 0.5
    gains = torch.tensor([1.9, 1.85, 1.7, 0.25, 0.25])
    assert found["advantage/mean"] == pytest.approx(float(gains.mean()))
    assert found["advantage/std"] == pytest.approx(float(gains.std(correction=0)))
    returns = torch.tensor([2.0, 2.05, 2.0, 0.65, 0.75])
    assert found["value/explained_variance"] == pytest.approx(
        1 - float(gains.var(correction=0) / returns.var(correction=0)), abs=1e-5
    )


def test_that_whitened_rewards_change_what_is_learned_and_not_what_is_reported() -> None:
    plain, white = by_hand(), by_hand(whiten_rewards=True)
    assert torch.equal(plain.rewards, white.rewards)
    assert not torch.allclose(plain.returns, white.returns)


def test_that_a_stream_depends_on_its_numbers_only() -> None:
    draws = [torch.rand(3, generator=stream(*n)).tolist() for n in ((0, 1, 2), (0, 1, 2), (0, 1, 3), (1, 1, 2))]
    assert draws[0] == draws[1]
    assert len({tuple(draw) for draw in draws}) == 3
