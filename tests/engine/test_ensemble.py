"""The ensemble of heads: each minimises its own convex loss, labels bring heads together where they speak and nowhere else."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn.functional import logsigmoid

from workbench.engine.ensemble import disagreement, feature_scale, fit_heads

WIDTH = 6


def _pairs(count: int, seed: int = 0) -> torch.Tensor:
    """Differences that lie in the first three directions only."""
    made = torch.randn(count, WIDTH, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    made[:, 3:] = 0
    return made * made[:, :1].sign()


def test_that_heads_without_labels_are_the_prior() -> None:
    trained = torch.arange(WIDTH, dtype=torch.float64)
    found = fit_heads(torch.zeros(0, WIDTH), trained, 2.0, heads=4000, prior=3.0, seed=1)
    assert (found.mean(0) - trained).abs().max() < 0.1
    assert found.std(0).tolist() == pytest.approx([1.5] * WIDTH, rel=0.06)


def test_that_every_head_is_at_the_minimum_of_an_independent_statement_of_its_loss() -> None:
    d, trained, prior, seed, heads = _pairs(40), torch.ones(WIDTH, dtype=torch.float64), 0.7, 5, 3
    scale = feature_scale(d)
    found = fit_heads(d, trained, scale, heads=heads, prior=prior, seed=seed)
    generator = torch.Generator().manual_seed(seed)
    width = prior / scale
    anchors = trained + width * torch.randn(heads, WIDTH, generator=generator, dtype=torch.float64)
    drawn = torch.poisson(torch.ones(heads, len(d), dtype=torch.float64), generator=generator)
    for head, anchor, weights in zip(found, anchors, drawn, strict=True):
        w = head.clone().requires_grad_(True)
        loss = -(weights * logsigmoid(d @ w)).sum() + (w - anchor).square().sum() / (2 * width**2)
        loss.backward()
        assert w.grad is not None
        assert float(w.grad.norm()) < 1e-5 * float(loss.detach())


def test_that_labels_bring_heads_together_only_where_they_speak() -> None:
    trained = torch.zeros(WIDTH, dtype=torch.float64)
    few, many = (fit_heads(_pairs(n), trained, 1.0, heads=64, prior=1.0, seed=3) for n in (2, 400))
    for heads in (few, many):
        assert heads[:, 3:].std(0).tolist() == pytest.approx([1.0] * 3, rel=0.35)
    assert float(many[:, :3].std(0).max()) < 0.6 * float(few[:, :3].std(0).min())
    known, unknown = torch.zeros(2, WIDTH), torch.zeros(2, WIDTH)
    known[0, 0], unknown[0, 4] = 1.0, 1.0
    assert disagreement(unknown, many) > 2 * disagreement(known, many)


def test_that_the_same_seed_gives_the_same_heads_and_another_seed_others() -> None:
    a, b, c = (fit_heads(_pairs(20), torch.zeros(WIDTH), 1.0, heads=4, prior=1.0, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(a, b)
    assert not torch.equal(a, c)


def test_that_disagreement_is_the_deviation_of_chances_over_pairs() -> None:
    heads = torch.tensor([[1.0], [-1.0]], dtype=torch.float64)
    features = torch.tensor([[0.0], [math.log(3)], [0.0]], dtype=torch.float64)
    expected = (0.25 + 0.0 + 0.25) / 3  # chances 3/4 and 1/4, then 1/2 and 1/2
    assert disagreement(features, heads) == pytest.approx(expected)
    assert disagreement(features, heads[:1].repeat(5, 1)) == 0
    certain = 1000 * torch.tensor([[1.0], [-1.0]], dtype=torch.float64)
    assert disagreement(torch.tensor([[0.0], [1.0]]), certain) == pytest.approx(0.5)


def test_that_equal_features_have_a_scale() -> None:
    assert feature_scale(torch.zeros(3, 4)) == 1.0
    assert feature_scale(torch.zeros(0, 4)) == 1.0
    assert feature_scale(torch.tensor([[3.0, 4.0]])) == 5.0
