"""Groups, schedules, clipping, the four optimizers and their checkpoints, and float16's loss scale."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from workbench.domain.errors import RunFailed
from workbench.domain.specs.sft import SftSpec
from workbench.engine import checkpoint
from workbench.engine.device import Setup
from workbench.engine.loss_scale import HOPELESS, PATIENCE, START, LossScale
from workbench.engine.optim import finite, make_optimizer, schedule, set_learning_rate, take_step, trainable
from workbench.protocol.run_folder import RunFolder

CPU = Setup(torch.device("cpu"), torch.float32)
OPTIMIZERS = ["adamw", "sgd", "adafactor"]


def model() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 8), nn.LayerNorm(8), nn.Linear(8, 1))


def test_that_weight_decay_spares_biases_and_norms() -> None:
    optimizer = make_optimizer(model(), SftSpec(weight_decay=0.1))
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
        make_optimizer(net, SftSpec())
    assert caught.value.hint


@pytest.mark.parametrize("kind", ["cosine", "linear", "constant", "step"])
def test_that_the_rate_rises_linearly_and_then_falls_or_stays(kind: Any) -> None:
    spec = SftSpec(schedule=kind, warmup=0.1, drops=2, drop_factor=0.2)
    factors = [schedule(step, 100, spec) for step in range(100)]
    assert factors[:10] == pytest.approx([(step + 1) / 11 for step in range(10)])
    assert factors[10] == 1.0
    assert all(0 < factor <= 1 for factor in factors)
    rest = factors[10:]
    assert rest == sorted(rest, reverse=True)
    expected = {"constant": 1.0, "linear": 1 - 45 / 90, "cosine": 0.5 * (1 + math.cos(math.pi * 45 / 90)), "step": 0.2}
    assert factors[55] == pytest.approx(expected[kind])


def test_that_the_step_schedule_drops_as_often_as_it_should_and_at_equal_distances() -> None:
    spec = SftSpec(schedule="step", warmup=0.0, drops=3, drop_factor=0.5)
    assert [schedule(step, 8, spec) for step in range(8)] == [1, 1, 0.5, 0.5, 0.25, 0.25, 0.125, 0.125]


def test_that_a_run_of_one_step_learns_at_the_full_rate() -> None:
    assert schedule(0, 1, SftSpec(warmup=0.05)) == 1.0


def test_that_each_group_follows_the_schedule_from_its_own_peak() -> None:
    net = model()
    spec = SftSpec(learning_rate=1e-2, schedule="linear", warmup=0.0)
    optimizer = make_optimizer(net, spec)
    optimizer.add_param_group({"params": [nn.Parameter(torch.zeros(2))], "peak": 1e-3})
    assert set_learning_rate(optimizer, 5, 10, spec) == pytest.approx(5e-3)
    assert optimizer.param_groups[-1]["lr"] == pytest.approx(5e-4)


@pytest.mark.parametrize(("limit", "after"), [(0.5, 0.5), (0.0, 5.0), (10.0, 5.0)])
def test_that_clipping_scales_to_the_limit_and_tells_the_norm_before(limit: float, after: float) -> None:
    parameters = [nn.Parameter(torch.zeros(1)) for _ in range(3)]
    parameters[0].grad, parameters[1].grad = torch.tensor([3.0]), torch.tensor([4.0])
    assert take_step(CPU, limit, torch.optim.SGD(parameters, lr=1.0)) == pytest.approx([5.0])
    assert math.hypot(*(p.item() for p in parameters)) == pytest.approx(after, rel=1e-4)
    assert all(p.grad is None for p in parameters)


def test_that_each_optimizer_of_a_step_is_clipped_by_its_own_norm() -> None:
    first, second = nn.Parameter(torch.zeros(1)), nn.Parameter(torch.zeros(1))
    first.grad, second.grad = torch.tensor([10.0]), torch.tensor([0.5])
    optimizers = [torch.optim.SGD([p], lr=1.0) for p in (first, second)]
    assert take_step(CPU, 1.0, *optimizers) == pytest.approx([10.0, 0.5])
    assert (first.item(), second.item()) == (pytest.approx(-1.0, rel=1e-4), -0.5)


def test_that_numbers_that_are_none_end_the_run() -> None:
    broken = nn.Parameter(torch.zeros(1))
    broken.grad = torch.tensor([math.inf])
    with pytest.raises(RunFailed, match="gradient norm became inf"):
        take_step(CPU, 1.0, torch.optim.SGD([broken], lr=1.0))
    assert broken.item() == 0.0
    with pytest.raises(RunFailed, match="loss became nan"):
        finite("loss", math.nan)
    assert finite("loss", 1.5) == 1.5


def learn(net: nn.Module, optimizer: torch.optim.Optimizer, setup: Setup, steps: range) -> None:
    for step in steps:
        x = torch.randn(3, 4, generator=torch.Generator().manual_seed(step))
        setup.backward((net(x) - 1).square().mean())
        take_step(setup, 1.0, optimizer)


@pytest.mark.parametrize("name", [*OPTIMIZERS, "adamw8bit"])
def test_that_every_optimizer_goes_on_bit_for_bit_from_a_checkpoint(name: Any, tmp_path: Path) -> None:
    if name == "adamw8bit":
        pytest.importorskip("bitsandbytes", reason="bitsandbytes is not installed")
    net = nn.Sequential(model(), nn.Linear(1, 8192), nn.Linear(8192, 1))  # large enough for 8-bit states
    spec = SftSpec(optimizer=name, learning_rate=0.01, weight_decay=0.1)
    optimizer = make_optimizer(net, spec)
    learn(net, optimizer, CPU, range(3))
    folder = RunFolder(tmp_path)
    checkpoint.save(folder, 3, modules={"net": net}, optimizers={"one": optimizer})
    learn(net, optimizer, CPU, range(3, 6))
    straight = [p.detach().clone() for p in net.parameters()]

    again = make_optimizer(net, spec)
    found = checkpoint.load_latest(folder)
    assert found is not None
    found.restore({"net": net}, {"one": again})
    learn(net, again, CPU, range(3, 6))
    assert all(torch.equal(*both) for both in zip(straight, net.parameters(), strict=True))


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_that_every_optimizer_makes_the_loss_small(name: Any) -> None:
    net = model()
    optimizer = make_optimizer(net, SftSpec(optimizer=name, learning_rate=0.05))
    x = torch.randn(8, 4, generator=torch.Generator().manual_seed(1))
    losses = []
    for _ in range(40):
        loss = (net(x) - 1).square().mean()
        losses.append(loss.item())
        CPU.backward(loss)
        take_step(CPU, 0.0, optimizer)
    assert losses[-1] < 0.2 * losses[0]


def test_that_descent_with_momentum_is_that_of_the_textbook() -> None:
    weight = nn.Linear(1, 1, bias=False).requires_grad_()
    with torch.no_grad():
        weight.weight.zero_()
    optimizer = make_optimizer(weight, SftSpec(optimizer="sgd", learning_rate=0.1, momentum=0.5))
    for _ in range(3):
        weight.weight.grad = torch.ones(1, 1)
        take_step(CPU, 0.0, optimizer)
    assert weight.weight.item() == pytest.approx(-0.1 * (1 + 1.5 + 1.75))


def test_that_adafactor_keeps_rows_and_columns_instead_of_matrices() -> None:
    net = nn.Linear(64, 32)
    optimizer = make_optimizer(net, SftSpec(optimizer="adafactor"))
    net.weight.grad, net.bias.grad = torch.ones(32, 64), torch.ones(32)
    take_step(CPU, 0.0, optimizer)
    kept = sum(t.numel() for t in optimizer.state[net.weight].values())
    assert kept < 32 + 64 + 2


def test_that_state_of_another_shape_is_refused(tmp_path: Path) -> None:
    def made(width: int) -> tuple[nn.Module, torch.optim.Optimizer]:
        net = nn.Linear(4, width, bias=False)
        return net, make_optimizer(net, SftSpec(optimizer="adafactor"))

    net, optimizer = made(8)
    net.weight.grad = torch.ones(8, 4)
    take_step(CPU, 0.0, optimizer)
    checkpoint.save(RunFolder(tmp_path), 1, optimizers={"one": optimizer})
    found = checkpoint.load_latest(RunFolder(tmp_path))
    assert found is not None
    with pytest.raises(RunFailed, match="its optimizer has other parameters"):
        found.restore(optimizers={"one": made(9)[1]})


def test_that_a_scaled_step_is_the_unscaled_step_exactly() -> None:
    found = []
    for setup in (CPU, Setup(CPU.device, CPU.compute, LossScale())):
        net = model()
        learn(net, make_optimizer(net, SftSpec()), setup, range(4))
        found.append([p.detach().clone() for p in net.parameters()])
    assert all(torch.equal(*both) for both in zip(*found, strict=True))


def test_that_an_overflow_skips_the_step_of_all_optimizers_and_halves_the_scale() -> None:
    scale = LossScale()
    setup = Setup(CPU.device, CPU.compute, scale)
    good, bad = nn.Parameter(torch.ones(1)), nn.Parameter(torch.ones(1))
    optimizers = [torch.optim.SGD([p], lr=1.0) for p in (good, bad)]
    good.grad, bad.grad = torch.ones(1), torch.tensor([math.inf])
    assert take_step(setup, 1.0, *optimizers) == [0.0, 0.0]
    assert (good.item(), bad.item()) == (1.0, 1.0)
    assert good.grad is None
    assert (scale.value, scale.skipped) == (START / 2, 1)
    assert setup.gauges()["skipped_steps"] == 1.0
    assert "skipped_steps" not in CPU.gauges()


def test_that_the_scale_grows_again_and_that_endless_overflow_ends_the_run() -> None:
    scale = LossScale()
    scale.overflowed()
    for _ in range(PATIENCE):
        scale.passed()
    assert scale.value == START
    for _ in range(HOPELESS - 1):
        scale.overflowed()
    with pytest.raises(RunFailed, match="in a row were skipped") as caught:
        scale.overflowed()
    assert "bfloat16" in caught.value.hint


def test_that_the_scale_survives_a_checkpoint() -> None:
    scale, again = LossScale(), LossScale()
    scale.overflowed()
    scale.passed()
    again.restore(json.loads(json.dumps(scale.state())))
    assert again.state() == scale.state() == {"value": START / 2, "skipped": 1, "good": 1, "in_a_row": 0}


def test_that_overflow_without_end_ends_a_resumed_run_too() -> None:
    scale = LossScale()
    for _ in range(HOPELESS - 1):
        scale.overflowed()
    with pytest.raises(RunFailed):
        scale.overflowed()
    again = LossScale()
    again.restore(scale.state())
    with pytest.raises(RunFailed, match="in a row were skipped"):
        again.overflowed()


def test_that_one_good_step_gives_new_patience_and_the_scale_has_a_ceiling() -> None:
    scale = LossScale()
    for _ in range(3):
        for _ in range(HOPELESS - 1):
            scale.overflowed()
        scale.passed()
    assert scale.value == START / 2 ** (3 * (HOPELESS - 1))
    scale.value = 2.0**24
    for _ in range(PATIENCE):
        scale.passed()
    assert scale.value == 2.0**24


def test_that_an_overflow_makes_the_wait_for_a_larger_scale_begin_anew() -> None:
    scale = LossScale()
    for _ in range(PATIENCE - 1):
        scale.passed()
    scale.overflowed()
    for _ in range(PATIENCE - 1):
        scale.passed()
    assert scale.value == START / 2
    scale.passed()
    assert scale.value == START
