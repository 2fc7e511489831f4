"""Reading what there is before the first new token: the prompt, then the tokens that the answer already has."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from workbench.engine.decoding.stepper import Stepper
from workbench.engine.decoding.task import Task

CHUNK = 64  # tokens of the answer that are read at once: the logits behind all of them are held together


def opened(stepper: Stepper, task: Task, visit: Callable[[int, Tensor], None] | None = None) -> Tensor:
    """Read prompt and start -> the logits behind them, [1, V].

    `visit(place, logits)` is told the logits [n, V] that the tokens of `task.start` from `place` on were chosen from.
    """
    logits = stepper.prefill([task.prompt])
    for place in range(0, len(task.start), CHUNK):
        behind = stepper.extend([list(task.start[place : place + CHUNK])])[0]
        if visit is not None:
            visit(place, torch.cat([logits, behind[:-1]]))
        logits = behind[-1:]
    return logits
