"""Optimizers with parameter groups, the learning-rate schedule as a function of the step, clipping, and the step itself."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from workbench.domain.errors import RunFailed
from workbench.domain.specs.common import TrainingSpec
from workbench.engine.device import Setup


class NotFinite(RunFailed):
    """A number that a run depends on became NaN or infinite: its weights are worth no checkpoint."""


def trainable(model: nn.Module) -> list[tuple[str, nn.Parameter]]:
    """Names and parameters that get gradients; raises RunFailed when there is none."""
    named = [(name, parameter) for name, parameter in model.named_parameters() if parameter.requires_grad]
    if not named:
        raise RunFailed(
            "The model has no trainable parameters.", "Choose full training, or adapter targets that the model has."
        )
    return named


def make_optimizer(model: nn.Module, spec: TrainingSpec, learning_rate: float | None = None) -> torch.optim.Optimizer:
    """The spec's optimizer over the trainable parameters; weight decay on matrices only (not on biases and norms)."""
    named = trainable(model)
    matrices = [parameter for _, parameter in named if parameter.ndim >= 2]
    vectors = [parameter for _, parameter in named if parameter.ndim < 2]
    groups: list[dict[str, Any]] = [
        {"params": matrices, "weight_decay": spec.weight_decay},
        {"params": vectors, "weight_decay": 0.0},
    ]
    rate = spec.learning_rate if learning_rate is None else learning_rate
    optimizer = _made([group for group in groups if group["params"]], spec, rate)
    for group in optimizer.param_groups:
        group["peak"] = rate
    return optimizer


def _made(groups: list[dict[str, Any]], spec: TrainingSpec, rate: float) -> torch.optim.Optimizer:
    if spec.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=rate, momentum=spec.momentum, fused=True)
    if spec.optimizer == "adafactor":
        # The rate is relative here: it multiplies the root mean square of each matrix.
        return torch.optim.Adafactor(groups, lr=rate)
    adam: dict[str, Any] = {"lr": rate, "betas": (spec.beta1, spec.beta2), "eps": spec.epsilon}
    if spec.optimizer == "adamw":
        return torch.optim.AdamW(groups, **adam, fused=True)
    from bitsandbytes.optim import AdamW8bit

    made: torch.optim.Optimizer = AdamW8bit(groups, **adam)
    return made


def schedule(step: int, steps: int, spec: TrainingSpec) -> float:
    """Factor in (0, 1] on the peak learning rate for step `step` of 0 … steps-1: linear warm-up, then the spec's schedule.

    Warm-up is a share of the steps; cosine and linear reach zero one step after the last. The step schedule multiplies by
    `drop_factor` `drops` times, at equal distances behind the warm-up.
    """
    rising = round(spec.warmup * steps)
    if step < rising:
        return (step + 1) / (rising + 1)
    passed = (step - rising) / max(1, steps - rising)
    if spec.schedule == "step":
        return spec.drop_factor ** int(passed * (spec.drops + 1))
    if spec.schedule == "constant":
        return 1.0
    return 0.5 * (1 + math.cos(math.pi * passed)) if spec.schedule == "cosine" else 1 - passed


def set_learning_rate(optimizer: torch.optim.Optimizer, step: int, steps: int, spec: TrainingSpec) -> float:
    """Set each group's rate for a step (counted from 0); returns the first group's."""
    factor = schedule(step, steps, spec)
    for group in optimizer.param_groups:
        group["lr"] = group["peak"] * factor
    return float(optimizer.param_groups[0]["lr"])


def take_step(setup: Setup, max_norm: float, *optimizers: torch.optim.Optimizer) -> list[float]:
    """Clip each optimizer's gradient to `max_norm` (0 = leave it), step, and clear it; returns the norms before clipping.

    Raises NotFinite when a norm isn't finite, before any weight is touched. With a loss scale the gradients are unscaled
    first, and one that isn't finite makes all optimizers skip this step; the norms are zero then.
    """
    groups = [[p for group in optimizer.param_groups for p in group["params"]] for optimizer in optimizers]
    if setup.scale is not None:
        for group in groups:
            if gradients := [parameter.grad for parameter in group if parameter.grad is not None]:
                torch._foreach_mul_(gradients, 1 / setup.scale.value)
    totals = [_norm(group) for group in groups]
    norms = [float(total) for total in totals]
    if setup.scale is None:
        norms = [finite("gradient norm", norm) for norm in norms]
    elif all(map(math.isfinite, norms)):
        setup.scale.passed()
    else:
        for optimizer in optimizers:
            optimizer.zero_grad(set_to_none=True)
        setup.scale.overflowed()
        return [0.0] * len(optimizers)
    for optimizer, group, total, norm in zip(optimizers, groups, totals, norms, strict=True):
        _shorten(group, max_norm, total, norm)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    return norms


def _norm(parameters: Iterable[nn.Parameter]) -> Tensor:
    return torch.nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None], foreach=True)


def _shorten(parameters: Iterable[nn.Parameter], max_norm: float, total: Tensor, norm: float) -> None:
    if 0 < max_norm < norm:
        with_gradient = [parameter for parameter in parameters if parameter.grad is not None]
        torch.nn.utils.clip_grads_with_norm_(with_gradient, max_norm, total, foreach=True)


def finite(what: str, value: float) -> float:
    """The value; raises NotFinite when it is NaN or infinite."""
    if not math.isfinite(value):
        raise NotFinite(
            f"The {what} became {value}.",
            "Resume from the last checkpoint with a lower learning rate or more warm-up; check the data for empty rows.",
        )
    return value
