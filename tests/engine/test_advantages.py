"""Advantages against recursions done by hand in float64, and the identities that define them."""

import math

import pytest
import torch
from torch import Tensor

from workbench.engine import advantages

LENGTHS = (5, 1, 3, 0)


def numbers(*shape: int, seed: int = 3) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def ragged_mask() -> Tensor:
    return torch.arange(6)[None] < torch.tensor(LENGTHS)[:, None]


def gae_by_hand(rewards: list[float], values: list[float], gamma: float, lam: float) -> list[float]:
    """The definition as a double sum: A_t = Σ_l (γλ)^l δ_{t+l}."""
    n = len(rewards)
    after = [*values[1:], 0.0]
    deltas = [r + gamma * v1 - v0 for r, v0, v1 in zip(rewards, values, after)]
    return [sum((gamma * lam) ** k * deltas[t + k] for k in range(n - t)) for t in range(n)]


@pytest.mark.parametrize(("gamma", "lam"), [(1.0, 0.95), (0.9, 0.5), (1.0, 1.0), (0.97, 0.0)])
def test_that_gae_is_the_discounted_sum_of_temporal_differences(gamma: float, lam: float) -> None:
    rewards, values = numbers(4, 6), numbers(4, 6, seed=4)
    found, returns = advantages.gae(rewards, values, ragged_mask(), gamma, lam)
    for b, n in enumerate(LENGTHS):
        expected = gae_by_hand(rewards[b, :n].tolist(), values[b, :n].tolist(), gamma, lam)
        assert found[b, :n].tolist() == pytest.approx(expected)
        assert returns[b, :n].tolist() == pytest.approx([a + v for a, v in zip(expected, values[b, :n].tolist())])
        assert not found[b, n:].any()
        assert not returns[b, n:].any()


def test_that_with_lambda_one_returns_are_the_sums_of_what_follows() -> None:
    rewards, values, mask = numbers(4, 6), numbers(4, 6, seed=4), ragged_mask()
    _, returns = advantages.gae(rewards, values, mask, 1.0, 1.0)
    inside = rewards * mask
    torch.testing.assert_close(returns, inside.flip(1).cumsum(1).flip(1) * mask)


def test_that_a_perfect_critic_leaves_no_advantage() -> None:
    rewards, mask = numbers(4, 6), ragged_mask()
    values = (rewards * mask).flip(1).cumsum(1).flip(1)
    found, _ = advantages.gae(rewards, values, mask, 1.0, 0.95)
    torch.testing.assert_close(found, torch.zeros_like(found))


def test_that_gae_skips_tokens_outside_of_the_mask_wherever_they_stand() -> None:
    rewards, values = numbers(1, 3), numbers(1, 3, seed=4)
    plain, plain_returns = advantages.gae(rewards, values, torch.ones(1, 3))
    mask = torch.tensor([[0, 1, 0, 1, 1, 0]])
    spread_rewards, spread_values = (torch.full((1, 6), torch.nan, dtype=torch.float64) for _ in range(2))
    spread_rewards[mask.bool()], spread_values[mask.bool()] = rewards[0], values[0]
    found, returns = advantages.gae(spread_rewards, spread_values, mask)
    torch.testing.assert_close(found[mask.bool()], plain[0])
    torch.testing.assert_close(returns[mask.bool()], plain_returns[0])
    assert not found[mask == 0].any()


def test_that_gae_carries_no_gradient_and_changes_no_input() -> None:
    rewards, values = numbers(2, 3), numbers(2, 3, seed=4).requires_grad_()
    before = rewards.clone()
    found, returns = advantages.gae(rewards, values, torch.ones(2, 3))
    assert not found.requires_grad
    assert not returns.requires_grad
    assert torch.equal(rewards, before)


def test_that_the_score_falls_on_the_last_completion_token() -> None:
    score, kl, mask = torch.tensor([10.0, 20.0, 30.0, 40.0]), numbers(4, 6).float(), ragged_mask()
    found = advantages.shaped_rewards(score, kl, mask, 0.1)
    for b, n in enumerate(LENGTHS):
        expected = [-0.1 * float(k) for k in kl[b, :n]]
        if n:
            expected[-1] += float(score[b])
        assert found[b, :n].tolist() == pytest.approx(expected)
        assert not found[b, n:].any()


def test_that_nan_behind_the_end_never_gets_in() -> None:
    mask = ragged_mask()
    hidden = torch.where(mask, 0.0, torch.nan)
    rewards = advantages.shaped_rewards(numbers(4), numbers(4, 6) + hidden, mask, 0.1)
    found, returns = advantages.gae(rewards + hidden, numbers(4, 6) + hidden, mask)
    white = advantages.whiten(numbers(4, 6) + hidden, mask)
    for x in (rewards, found, returns, white):
        assert torch.isfinite(x).all()
        assert not x[~mask].any()


def test_that_kl_estimates_are_their_formulas() -> None:
    lp, ref = numbers(3, 4), numbers(3, 4, seed=4)
    for b in range(3):
        for t in range(4):
            d = float(lp[b, t] - ref[b, t])
            for kind, expected in (("k1", d), ("k2", d * d / 2), ("k3", math.exp(-d) - 1 + d)):
                assert float(advantages.kl(lp, ref, kind)[b, t]) == pytest.approx(expected)  # type: ignore[arg-type]


def test_that_k1_and_k3_have_the_true_kl_as_mean() -> None:
    p, q = torch.softmax(numbers(7), 0), torch.softmax(numbers(7, seed=5), 0)
    true = float((p * (p / q).log()).sum())
    for kind in ("k1", "k3"):
        assert float((p * advantages.kl(p.log(), q.log(), kind)).sum()) == pytest.approx(true)  # type: ignore[arg-type]


def test_that_the_gradient_of_k2_is_that_of_the_kl() -> None:
    x, q = numbers(7).requires_grad_(), torch.softmax(numbers(7, seed=5), 0)
    p = torch.softmax(x, 0)
    (true,) = torch.autograd.grad((p * (p / q).log()).sum(), x, retain_graph=True)
    (found,) = torch.autograd.grad((p.detach() * advantages.kl(p.log(), q.log(), "k2")).sum(), x)
    torch.testing.assert_close(found, true)


def test_that_equal_policies_have_exactly_no_kl() -> None:
    lp = numbers(3, 4).float()
    for kind in ("k1", "k2", "k3"):
        assert not advantages.kl(lp, lp, kind).any()  # type: ignore[arg-type]
    assert (advantages.kl(lp, numbers(3, 4, seed=8).float(), "k3") >= 0).all()


def test_that_whitening_gives_mean_zero_and_unit_variance_inside_the_mask() -> None:
    x, mask = numbers(4, 6) * 3 + 5, ragged_mask()
    inside = advantages.whiten(x, mask)[mask]
    assert float(inside.mean()) == pytest.approx(0.0, abs=1e-12)
    assert float(inside.var()) == pytest.approx(1.0, abs=1e-6)


def test_that_whitening_without_shift_keeps_the_mean() -> None:
    x, mask = numbers(4, 6) * 3 + 5, ragged_mask()
    inside = advantages.whiten(x, mask, shift_mean=False)[mask]
    assert float(inside.mean()) == pytest.approx(float(x[mask].mean()))
    assert float(inside.var()) == pytest.approx(1.0, abs=1e-6)


def test_that_whitening_one_token_or_none_gives_zeros() -> None:
    one = torch.tensor([[1, 0], [0, 0]])
    assert not advantages.whiten(numbers(2, 2), one).any()
    assert not advantages.whiten(numbers(2, 2), torch.zeros(2, 2)).any()


@pytest.mark.parametrize("scale", ["group", "batch", "none"])
def test_that_group_relative_advantages_are_their_formula(scale: str) -> None:
    rewards = numbers(3, 4)
    found = advantages.group_relative(rewards, scale)  # type: ignore[arg-type]
    for n in range(3):
        row = rewards[n].tolist()
        mean = sum(row) / 4
        spread = math.sqrt(sum((r - mean) ** 2 for r in row) / 3)
        divisor = {"group": spread + 1e-4, "batch": float(rewards.std()) + 1e-4, "none": 1.0}[scale]
        assert found[n].tolist() == pytest.approx([(r - mean) / divisor for r in row])


def test_that_groups_without_spread_or_of_one_give_no_advantage() -> None:
    assert not advantages.group_relative(torch.full((2, 4), 0.3)).abs().gt(1e-3).any()
    assert not advantages.group_relative(numbers(3, 1)).any()


def test_that_softmax_weights_go_from_equal_to_best_of_n() -> None:
    rewards = numbers(3, 4)
    torch.testing.assert_close(advantages.softmax_weights(rewards, 1e9), torch.full((3, 4), 0.25, dtype=torch.float64))
    best = advantages.softmax_weights(rewards, 1e-3)
    assert torch.equal(best.argmax(1), rewards.argmax(1))
    assert float(best.max(1).values.min()) > 0.99
    torch.testing.assert_close(advantages.softmax_weights(rewards + 5, 0.7), advantages.softmax_weights(rewards, 0.7))


def test_that_the_adaptive_weight_follows_the_paper() -> None:
    controller = advantages.AdaptiveKL(0.15, 6.0, 10_000)
    assert controller.update(60.0, 512) == pytest.approx(0.15 * (1 + 0.2 * 512 / 10_000))
    assert controller.update(6.6, 512) == pytest.approx(0.15 * (1 + 0.2 * 0.0512) * (1 + 0.1 * 0.0512))
    assert advantages.AdaptiveKL(0.15, 6.0, 10_000).update(0.0, 512) == pytest.approx(0.15 * (1 - 0.2 * 0.0512))


def test_that_a_target_of_zero_keeps_the_weight() -> None:
    controller = advantages.AdaptiveKL(0.05, 0.0, 10_000)
    assert controller.update(100.0, 512) == 0.05
    assert controller.beta == 0.05


@pytest.mark.parametrize(
    "call",
    [
        lambda: advantages.kl(numbers(1), numbers(1), "k9"),  # type: ignore[arg-type]
        lambda: advantages.group_relative(numbers(1, 2), "other"),  # type: ignore[arg-type]
    ],
)
def test_that_unknown_kinds_are_refused(call: object) -> None:
    with pytest.raises(ValueError, match="unknown"):
        call()  # type: ignore[operator]
