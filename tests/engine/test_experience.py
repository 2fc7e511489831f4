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
from workbench.engine.advantages import RunningMoments
from workbench.engine.batches import collate
from workbench.engine.critic import ValueHead, values
from workbench.engine.device import prepare
from workbench.engine.experience import describe, reward_tokens
from workbench.engine.forward import completion_logprobs, rewards
from workbench.engine.models import load_policy, load_reward, load_tokenizer, make_reward_head
from workbench.engine.online import Judged, check_start, describe_scores, judge, repetition, sample, stream
from workbench.engine.reward_sources import Scores, load_sources
from workbench.engine.roles import load_roles, same_tokens
from workbench.engine.rollout import Rollout
from workbench.engine.text import encode_prompt
from workbench.protocol.run_folder import RunFolder

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


@pytest.mark.parametrize(
    ("fields", "word"),
    [({"critic": "reward_model"}, "none was chosen"), ({"reward_model": "stories"}, "is not a reward model")],
)
def test_that_a_reward_model_that_is_none_is_refused(
    fields: dict[str, str], word: str, stories: Path, tmp_path: Path
) -> None:
    fields = {name: str(stories) if value == "stories" else value for name, value in fields.items()}
    spec = PpoSpec(base=str(stories), **fields)
    with pytest.raises(BadInput, match=word) as caught:
        load_roles(spec, tmp_path, prepare(spec))
    assert caught.value.hint


def test_that_without_a_reward_model_the_critic_starts_as_the_policy(stories: Path, tmp_path: Path) -> None:
    spec = PpoSpec(base=str(stories))
    roles = load_roles(spec, tmp_path, prepare(spec))
    assert roles.scorer is None
    assert roles.critic is not None
    ours, theirs = (dict(m.base_model.named_parameters()) for m in (roles.critic, roles.policy.model))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    assert not roles.critic.score.weight.any()


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
    rollout = sample(roles.policy, prompts, spec, setup, stream(1, 2))
    found = judge(roles, prompts, rollout, spec, setup, afresh=False, critic=True)
    assert torch.equal(found.logprobs, rollout.logprobs)
    anew = judge(roles, prompts, rollout, spec, setup, afresh=True)
    assert anew.ref_logprobs is not None and found.values is not None and anew.values is None
    assert torch.equal(anew.logprobs, anew.ref_logprobs)
    sources = load_sources(spec, roles, RunFolder(tmp_path))
    score = sources.score(prompts, rollout.completions, [{}] * len(prompts), setup)
    assert torch.equal(score.total, score.each["model"])
    torch.testing.assert_close(anew.logprobs, rollout.logprobs, atol=1e-5, rtol=1e-5)
    for row, prompt in enumerate(prompts):
        batch = collate([prompt], [rollout.completions[row]], 0)
        n = len(rollout.completions[row])
        with torch.no_grad():
            torch.testing.assert_close(
                found.values[row, :n], values(roles.critic, batch, roles.policy.model)[0], atol=1e-5, rtol=1e-5
            )
            torch.testing.assert_close(score.total[row], rewards(roles.scorer, batch)[0], atol=1e-5, rtol=1e-5)
        assert not found.values[row, n:].any()
    check_start(roles, rollout, prompts, spec, setup)


def test_that_a_start_at_which_policy_and_reference_differ_ends_the_run(
    stories: Path, judge_folder: Path, tmp_path: Path
) -> None:
    spec = spec_for(stories, judge_folder)
    setup = prepare(spec)
    roles, prompts = load_roles(spec, tmp_path, setup), prompts_of(stories)
    rollout = sample(roles.policy, prompts, spec, setup, stream(1))
    forged = rollout._replace(logprobs=rollout.logprobs - 0.01)
    with pytest.raises(RunFailed, match=r"what was sampled differs by 0\.01"):
        check_start(roles, forged, prompts, spec, setup)
    assert roles.frozen is not None
    with torch.no_grad():
        next(roles.frozen.parameters()).mul_(1.001)
    with pytest.raises(RunFailed, match="policy to reference differs"):
        check_start(roles, rollout, prompts, spec, setup)


SCORE = torch.tensor([2.0, 1.0])


def by_hand(moments: RunningMoments | None = None, **more: Any) -> Any:
    rollout = Rollout([[5, 6, 2], [7, 8]], torch.zeros(2, 3), [True, False])
    judged = Judged(
        logprobs=torch.tensor([[-1.0, -2.0, -3.0], [-1.0, -1.0, 0.0]]),
        ref_logprobs=torch.tensor([[-1.5, -1.5, -3.0], [-2.0, -1.0, 0.0]]),
        values=torch.tensor([[0.1, 0.2, 0.3], [0.4, 0.5, 0.0]]),
    )
    spec = PpoSpec(**{"missing_eos_penalty": 0.25, "gamma": 1.0, "lam": 1.0} | more)
    return reward_tokens([[1], [1, 4]], rollout, judged, SCORE, spec, 0.1, moments or RunningMoments())


def test_that_each_token_is_rewarded_by_kl_and_the_last_one_by_the_score_less_the_penalty_for_not_ending() -> None:
    found = by_hand()
    expected = torch.tensor([[-0.05, 0.05, 2.0], [-0.1, 0.75, 0.0]])
    torch.testing.assert_close(found.rewards, expected)
    torch.testing.assert_close(found.returns, torch.tensor([[2.0, 2.05, 2.0], [0.65, 0.75, 0.0]]))
    torch.testing.assert_close(found.advantages, found.returns - torch.tensor([[0.1, 0.2, 0.3], [0.4, 0.5, 0.0]]))
    assert found.lengths == [4, 4]


def test_that_the_metrics_of_a_rollout_are_their_definitions() -> None:
    scores = Scores(SCORE, {"model": SCORE, "function": torch.tensor([0.0, 3.0])})
    found = describe(by_hand(), 0.1) | describe_scores(scores, [[5, 6, 2], [7, 8]], [True, False])
    assert (found["reward/model"], found["reward/function"]) == (1.5, 1.5)
    assert found["reward/length_correlation"] == pytest.approx(1.0)
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


@pytest.mark.parametrize("kind", ["reward_k2", "reward_k3", "loss_k2", "loss_k3"])
def test_that_another_estimate_of_kl_takes_the_place_of_the_usual_one_or_leaves_the_reward_alone(kind: str) -> None:
    away = torch.tensor([[0.5, -0.5, 0.0], [1.0, 0.0, 0.0]])
    estimate = {"k2": 0.5 * away.square(), "k3": torch.expm1(-away) + away}[kind[-2:]]
    expected = torch.tensor([[0.0, 0.0, 2.0], [0.0, 0.75, 0.0]])
    if kind.startswith("reward"):
        expected = expected - 0.1 * estimate
    torch.testing.assert_close(by_hand(kl_penalty=kind).rewards, expected)


def test_that_scores_are_normalised_by_all_so_far_and_then_limited() -> None:
    moments = RunningMoments()
    moments.update(torch.tensor([0.0, 3.0]))
    found = by_hand(moments, normalize_scores=True, missing_eos_penalty=0.0, kl_coefficient=0.0, kl_penalty="loss_k3")
    seen = torch.tensor([0.0, 3.0, 2.0, 1.0], dtype=torch.float64)
    expected = (SCORE - seen.mean()) / (seen.std() + 1e-4)
    torch.testing.assert_close(found.rewards.sum(1), expected.float())
    limited = by_hand(score_clip=1.5, missing_eos_penalty=0.25, kl_penalty="loss_k3")
    torch.testing.assert_close(limited.rewards.sum(1), torch.tensor([1.5, 0.75]))


def test_that_running_moments_are_those_of_all_numbers_together() -> None:
    numbers = torch.randn(50, generator=torch.Generator().manual_seed(1), dtype=torch.float64) * 3 + 100
    moments = RunningMoments()
    for part in numbers.split([1, 7, 0, 30, 12]):
        moments.update(part)
    assert moments.mean == pytest.approx(float(numbers.mean()), rel=1e-12)
    assert moments.std == pytest.approx(float(numbers.std()), rel=1e-12)
    assert RunningMoments().std == 0.0


def test_that_repetition_is_the_share_of_pairs_that_stood_there_before() -> None:
    assert repetition([1, 2, 3, 4]) == 0.0
    assert repetition([1, 2, 1, 2, 1]) == 0.5
    assert repetition([7]) == repetition([]) == 0.0
