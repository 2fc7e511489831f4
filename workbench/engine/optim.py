"""AdamW with parameter groups, the learning-rate schedule as a function of the step, clipping."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from workbench.domain.errors import RunFailed
from workbench.domain.specs.common import TrainingSpec


def trainable(model: nn.Module) -> list[tuple[str, nn.Parameter]]:
    """Names and parameters that get gradients; raises RunFailed when there is none."""
    named = [(name, parameter) for name, parameter in model.named_parameters() if parameter.requires_grad]
    if not named:
        raise RunFailed(
            "The model has no trainable parameters.", "Choose full training, or adapter targets that the model has."
        )
    return named


def adamw(model: nn.Module, spec: TrainingSpec, learning_rate: float | None = None) -> torch.optim.AdamW:
    """AdamW over the trainable parameters; weight decay on matrices only (not on biases, norms and other vectors)."""
    named = trainable(model)
    matrices = [parameter for _, parameter in named if parameter.ndim >= 2]
    vectors = [parameter for _, parameter in named if parameter.ndim < 2]
    groups: list[dict[str, Any]] = [
        {"params": matrices, "weight_decay": spec.weight_decay},
        {"params": vectors, "weight_decay": 0.0},
    ]
    rate = spec.learning_rate if learning_rate is None else learning_rate
    optimizer = torch.optim.AdamW(
        [group for group in groups if group["params"]],
        lr=rate,
        betas=(spec.beta1, spec.beta2),
        eps=spec.epsilon,
        fused=True,
    )
    for group in optimizer.param_groups:
        group["peak"] = rate
    return optimizer


def schedule(step: int, steps: int, warmup: float, kind: str) -> float:
    """Factor in (0, 1] on the peak learning rate for step `step` of 0 … steps-1: linear warm-up, then decay.

    `warmup` is a share of the steps; cosine and linear reach zero one step after the last.
    """
    rising = round(warmup * steps)
    if step < rising:
        return (step + 1) / (rising + 1)
    if kind == "constant":
        return 1.0
    passed = (step - rising) / max(1, steps - rising)
    return 0.5 * (1 + math.cos(math.pi * passed)) if kind == "cosine" else 1 - passed


def set_learning_rate(optimizer: torch.optim.Optimizer, step: int, steps: int, spec: TrainingSpec) -> float:
    """Set each group's rate for a step (counted from 0); returns the first group's."""
    factor = schedule(step, steps, spec.warmup, spec.schedule)
    for group in optimizer.param_groups:
        group["lr"] = group["peak"] * factor
    return float(optimizer.param_groups[0]["lr"])


def clip(parameters: Iterable[nn.Parameter], max_norm: float) -> float:
    """Scale gradients to a norm of at most `max_norm` (0 = leave them); returns the norm before.

    Raises RunFailed when it is not a number, before the weights are touched.
    """
    with_gradient = [parameter for parameter in parameters if parameter.grad is not None]
    gradients: list[Tensor] = [parameter.grad for parameter in with_gradient if parameter.grad is not None]
    total = torch.nn.utils.get_total_norm(gradients, foreach=True)
    norm = finite("gradient norm", float(total))
    if 0 < max_norm < norm:
        torch.nn.utils.clip_grads_with_norm_(with_gradient, max_norm, total, foreach=True)
    return norm


def finite(what: str, value: float) -> float:
    """The value, or RunFailed when it is NaN or infinite."""
    if not math.isfinite(value):
        raise RunFailed(
            f"The {what} became {value}.",
            "Resume from the last checkpoint with a lower learning rate or more warm-up; check the data for empty rows.",
        )
    return value
