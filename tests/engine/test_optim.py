from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from workbench.domain.errors import RunFailed
from workbench.domain.specs.sft import SftSpec
from workbench.engine.optim import adamw, clip, finite, schedule, set_learning_rate, trainable


def model() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 8), nn.LayerNorm(8), nn.Linear(8, 1))


def test_that_weight_decay_spares_biases_and_norms() -> None:
    optimizer = adamw(model(), SftSpec(weight_decay=0.1))
    decayed, spared = optimizer.param_groups
    assert decayed["weight_decay"] == 0.1
    assert [tuple(p.shape) for p in decayed["params"]] == [(8, 4), (1, 8)]
    assert spared["weight_decay"] == 0.0
    assert all(p.ndim == 1 for p in spared["params"])
    assert len(spared["params"]) == 4


def test_that_only_trainable_parameters_are_optimised_and_none_is_an_error() -> None:
    net = model()
    net[0].requires_grad_(False)
    assert [name for name, _ in trainable(net)] == ["1.weight", "1.bias", "2.weight", "2.bias"]
    net.requires_grad_(False)
    with pytest.raises(RunFailed, match="no trainable parameters") as caught:
        adamw(net, SftSpec())
    assert caught.value.hint


@pytest.mark.parametrize("kind", ["cosine", "linear", "constant"])
def test_that_the_rate_rises_linearly_and_then_falls_or_stays(kind: str) -> None:
    factors = [schedule(step, 100, 0.1, kind) for step in range(100)]
    assert factors[:10] == pytest.approx([(step + 1) / 11 for step in range(10)])
    assert factors[10] == 1.0
    assert all(0 < factor <= 1 for factor in factors)
    rest = factors[10:]
    assert rest == sorted(rest, reverse=True)
    expected = {"constant": 1.0, "linear": 1 - 45 / 90, "cosine": 0.5 * (1 + math.cos(math.pi * 45 / 90))}
    assert factors[55] == pytest.approx(expected[kind])


def test_that_a_run_of_one_step_learns_at_the_full_rate() -> None:
    assert schedule(0, 1, 0.05, "cosine") == 1.0


def test_that_each_group_follows_the_schedule_from_its_own_peak() -> None:
    net = model()
    spec = SftSpec(learning_rate=1e-2, schedule="linear", warmup=0.0)
    optimizer = adamw(net, spec)
    optimizer.add_param_group({"params": [nn.Parameter(torch.zeros(2))], "peak": 1e-3})
    assert set_learning_rate(optimizer, 5, 10, spec) == pytest.approx(5e-3)
    assert optimizer.param_groups[-1]["lr"] == pytest.approx(5e-4)


@pytest.mark.parametrize(("limit", "after"), [(0.5, 0.5), (0.0, 5.0), (10.0, 5.0)])
def test_that_clipping_scales_to_the_limit_and_tells_the_norm_before(limit: float, after: float) -> None:
    parameters = [nn.Parameter(torch.zeros(1)), nn.Parameter(torch.zeros(1)), nn.Parameter(torch.zeros(1))]
    parameters[0].grad, parameters[1].grad = torch.tensor([3.0]), torch.tensor([4.0])
    assert clip(parameters, limit) == pytest.approx(5.0)
    assert math.hypot(*(p.grad.item() for p in parameters if p.grad is not None)) == pytest.approx(after, rel=1e-4)


def test_that_numbers_that_are_none_end_the_run() -> None:
    broken = nn.Parameter(torch.zeros(1))
    broken.grad = torch.tensor([math.inf])
    with pytest.raises(RunFailed, match="gradient norm became inf"):
        clip([broken], 1.0)
    with pytest.raises(RunFailed, match="loss became nan"):
        finite("loss", math.nan)
    assert finite("loss", 1.5) == 1.5
