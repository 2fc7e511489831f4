"""Ties, weights and gradients of the reward model's losses, against sums done by hand in float64."""

import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from workbench.engine import losses


def numbers(*shape: int, seed: int = 7) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def efron(scores: list[float], tiers: list[list[int]]) -> float:
    """Efron's partial likelihood, member by member, as his paper writes it."""
    loss, left = 0.0, [i for tier in tiers for i in tier]
    for tier in tiers:
        whole, tied = sum(math.exp(scores[i]) for i in left), sum(math.exp(scores[i]) for i in tier)
        for number, member in enumerate(tier):
            loss += math.log(whole - number / len(tier) * tied) - scores[member]
        left = [i for i in left if i not in tier]
    return loss


TIERS = ([[2], [0, 3], [1]], [[0, 1, 2, 3]], [[3, 1], [0, 2]], [[1], [0], [2], [3]], [[0, 2, 3], [1]])


@pytest.mark.parametrize("tiers", TIERS)
def test_that_ties_are_treated_as_efron_treats_them_in_whatever_order_they_are_listed(tiers: list[list[int]]) -> None:
    scores = numbers(1, 4)
    expected = efron(scores[0].tolist(), tiers)
    for turned in (tiers, [tier[::-1] for tier in tiers]):
        listed = torch.tensor([[i for tier in turned for i in tier]])
        tied = torch.tensor([[place > 0 for tier in turned for place in range(len(tier))]])
        found = losses.reward_listwise(scores, listed, "plackett_luce", tied=tied)
        assert float(found) == pytest.approx(expected, abs=1e-12)
        wide = torch.cat([torch.full((1, 1), torch.nan, dtype=torch.float64), scores, scores], 1)
        names = torch.cat([torch.tensor([[-1]]), listed + 1, torch.full((1, 4), -1)], 1)
        padded = F.pad(tied, (1, 4))
        mask = torch.tensor([[0, 1, 1, 1, 1, 0, 0, 0, 0]])
        again = losses.reward_listwise(wide, names, "plackett_luce", mask, padded)
        assert float(again) == pytest.approx(expected, abs=1e-12)


def test_that_a_tie_is_best_at_equal_scores_and_then_says_as_much_as_a_guess() -> None:
    listed, tied = torch.tensor([[0, 1, 2]]), torch.tensor([[False, True, True]])
    scores = torch.tensor([[0.3, 0.3, 0.3]], dtype=torch.float64, requires_grad=True)
    loss = losses.reward_listwise(scores, listed, "plackett_luce", tied=tied)
    loss.backward()
    assert loss.item() == pytest.approx(math.log(math.factorial(3)))
    assert scores.grad.abs().max() < 1e-12
    apart = losses.reward_listwise(torch.tensor([[0.5, 0.3, 0.1]]), listed, "plackett_luce", tied=tied)
    assert apart.item() > loss.item()


def test_that_weights_make_a_sum_of_which_equal_ones_are_the_mean() -> None:
    c, r, scores = numbers(4), numbers(4, seed=1), numbers(4, 3)
    order = torch.tensor([[2, 0, 1]]).repeat(4, 1)
    weights = torch.tensor([0.5, 0.0, 2.0, 1.0], dtype=torch.float64)
    for one in (
        lambda rows, w: losses.reward_pairwise(c[rows], r[rows], "hinge", 0.3, 0.2, w),
        lambda rows, w: losses.reward_listwise(scores[rows], order[rows], "plackett_luce", weights=w),
        lambda rows, w: losses.reward_listwise(scores[rows], torch.softmax(scores[rows], -1), weights=w),
    ):
        everything = slice(None)
        assert float(one(everything, torch.full((4,), 0.25))) == pytest.approx(float(one(everything, None)))
        apart = sum(float(weights[i]) * float(one(slice(i, i + 1), None)) for i in range(4))
        assert float(one(everything, weights)) == pytest.approx(apart)


@pytest.mark.parametrize("kind", ["bradley_terry", "hinge", "mse", "softmax", "plackett_luce"])
def test_that_the_gradient_of_every_reward_loss_is_its_derivative(kind: Any) -> None:
    scores = numbers(3, 4).requires_grad_(True)
    listed = torch.tensor([[2, 0, 3, 1], [1, 3, 0, -1], [0, 1, -1, -1]])
    tied = torch.tensor([[0, 0, 1, 0], [0, 1, 1, 0], [0, 0, 0, 0]])
    weights = torch.tensor([1.0, 0.5, 2.0], dtype=torch.float64)

    def loss(given: torch.Tensor) -> torch.Tensor:
        if kind == "softmax":
            target = torch.tensor([[0, 0.5, 0.5, 0], [1, 0, 0, 0], [0, 0, 1, 0]])
            return losses.reward_listwise(given, target.double(), kind, weights=weights)
        if kind == "plackett_luce":
            return losses.reward_listwise(given, listed, kind, None, tied, weights)
        return losses.reward_pairwise(given[:, 0], given[:, 1], kind, 0.37, 0.1, weights)

    assert torch.autograd.gradcheck(loss, scores)
