"""Comparisons within groups: advantages and weights against their formulas, and the identities that they keep."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from workbench.domain.specs.grpo import GrpoSpec
from workbench.engine.advantages import effective_sample_size, group_relative, softmax_weights
from workbench.engine.groups import compare, weigh

QUICK = settings(max_examples=40, deadline=None)
SCORES = torch.tensor([1.0, 2.0, 6.0, 4.0, 4.0, 4.0], dtype=torch.float64)
ENDED = torch.tensor([True, False, True, True, False, True])
REWARDS = st.lists(st.floats(-5, 5), min_size=6, max_size=6)


def spec_for(**more: object) -> GrpoSpec:
    return GrpoSpec.model_validate({"group_size": 3, **more})


def by_hand(rewards: list[float], variant: str, scale: str) -> list[float]:
    found = []
    for start in range(0, len(rewards), 3):
        group = torch.tensor(rewards[start : start + 3], dtype=torch.float64)
        for index, value in enumerate(group.tolist()):
            others = [v for place, v in enumerate(group.tolist()) if place != index]
            against = sum(others) / 2 if variant == "rloo" else float(group.mean())
            spread = {
                "group": float(group.std()) + 1e-4,
                "batch": float(torch.tensor(rewards, dtype=torch.float64).std()) + 1e-4,
                "none": 1.0,
            }[scale]
            found.append((value - against) / spread)
    return found


@pytest.mark.parametrize("variant", ["grpo", "dapo", "dr_grpo", "rloo"])
@pytest.mark.parametrize("scale", ["group", "batch", "none"])
def test_that_advantages_are_their_definition(variant: str, scale: str) -> None:
    found = compare(SCORES, ENDED, spec_for(variant=variant, scale=scale))
    assert found.advantages.tolist() == pytest.approx(by_hand(SCORES.tolist(), variant, scale), abs=1e-9)
    assert found.learned.tolist() == [True] * 3 + [False] * 3
    assert found.counted.all()
    assert found.flat == 0.5


def test_that_a_completion_that_does_not_end_pays_and_may_be_masked() -> None:
    found = compare(SCORES, ENDED, spec_for(missing_eos_penalty=1.0, mask_unfinished=True, scale="none"))
    assert found.advantages.tolist() == pytest.approx(by_hand([1, 1, 6, 4, 3, 4], "grpo", "none"))
    assert found.learned.tolist() == found.counted.tolist() == ENDED.tolist()
    assert found.flat == 0.0


def test_that_rloo_takes_kl_from_the_reward_and_the_others_do_not() -> None:
    away = torch.tensor([0.0, 0.0, 10.0, 0.0, 0.0, 0.0], dtype=torch.float64)
    found = compare(SCORES, ENDED, spec_for(variant="rloo", beta=0.1), away)
    assert found.advantages.tolist() == pytest.approx(by_hand([1, 2, 5, 4, 4, 4], "rloo", "none"))
    plain = compare(SCORES, ENDED, spec_for(beta=0.1), away)
    assert torch.equal(plain.advantages, compare(SCORES, ENDED, spec_for()).advantages)


@QUICK
@given(rewards=REWARDS, shift=st.floats(-100, 100), variant=st.sampled_from(["grpo", "dapo", "dr_grpo", "rloo"]))
def test_that_a_constant_added_to_all_rewards_changes_no_advantage(
    rewards: list[float], shift: float, variant: str
) -> None:
    scores = torch.tensor(rewards, dtype=torch.float64).round(decimals=3)
    before, after = (compare(scores + c, ENDED, spec_for(variant=variant, scale="none")) for c in (0.0, shift))
    torch.testing.assert_close(after.advantages, before.advantages, atol=1e-9, rtol=1e-9)
    assert float(before.advantages.view(2, 3).sum(1).abs().max()) < 1e-9


def test_that_a_group_with_one_member_contributes_nothing() -> None:
    for scale in ("group", "batch", "none"):
        assert not group_relative(torch.tensor([[1.0], [5.0], [-3.0]]), scale).any()  # type: ignore[arg-type]
    alone = spec_for().model_copy(update={"group_size": 1})
    found = compare(SCORES, ENDED, alone)
    assert not found.learned.any()
    assert not found.advantages.any()
    assert found.flat == 1.0


def weights(rewards: list[list[float]], beta: float, spread: float = 1.0) -> list[Tensor]:
    flat = torch.tensor([one for group in rewards for one in group], dtype=torch.float64)
    return list(weigh(flat, [len(group) for group in rewards], beta, spread).each.split([len(g) for g in rewards]))


def test_that_weights_are_the_softmax_within_a_prompt_times_its_completions() -> None:
    for group, found in zip(
        [[1.0, 2.0, 4.0], [0.5, 0.0]], weights([[1.0, 2.0, 4.0], [0.5, 0.0]], 0.7, 2.0), strict=True
    ):
        powers = [torch.tensor(r / 1.4, dtype=torch.float64).exp() for r in group]
        expected = torch.stack(powers) / sum(powers) * len(group)
        torch.testing.assert_close(found, expected)


def test_that_a_large_beta_weighs_all_alike_and_a_small_one_only_the_best() -> None:
    rewards = [[1.0, 3.0, 2.0], [0.0, -1.0]]
    for group in weights(rewards, 1e9):
        torch.testing.assert_close(group, torch.ones_like(group), atol=1e-8, rtol=0)
    first, second = weights(rewards, 1e-6)
    assert first.tolist() == [0.0, 3.0, 0.0]
    assert second.tolist() == [2.0, 0.0]


@QUICK
@given(rewards=REWARDS, shift=st.floats(-50, 50), beta=st.floats(0.05, 20))
def test_that_a_constant_added_to_all_rewards_changes_no_weight(
    rewards: list[float], shift: float, beta: float
) -> None:
    groups = [rewards[:2], rewards[2:]]
    moved = [[value + shift for value in group] for group in groups]
    for before, after in zip(weights(groups, beta), weights(moved, beta), strict=True):
        torch.testing.assert_close(after, before, atol=1e-7, rtol=1e-7)
        assert float(before.mean()) == pytest.approx(1.0)


def test_that_the_effective_sample_size_runs_from_one_to_all() -> None:
    found = effective_sample_size(softmax_weights(torch.tensor([[1.0, 1.0, 1.0, 1.0], [0.0, 99.0, 0.0, 0.0]]), 1.0))
    assert found.tolist() == pytest.approx([4.0, 1.0])
    ragged = weigh(torch.tensor([2.0, 2.0, 7.0, 7.0, 7.0]), [2, 3], 1.0).effective
    assert ragged.tolist() == pytest.approx([2.0, 3.0])
