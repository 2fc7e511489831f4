"""The critic: a model of its own with a scalar head, or a head on the policy's body."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from workbench.engine import forward
from workbench.engine.batches import Batch


class ValueHead(nn.Module):
    """A linear map from hidden states [..., H] to values [..., 1] in float32, zero at first (as in lm-human-preferences)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.score = nn.Linear(width, 1, bias=False)
        nn.init.zeros_(self.score.weight)

    def forward(self, hidden: Tensor) -> Tensor:
        """Values of hidden states."""
        with torch.autocast(hidden.device.type, enabled=False):
            result: Tensor = self.score(hidden.float())
        return result


def value_head(policy: Any, device: torch.device) -> ValueHead:
    """An empty head that fits the policy's body."""
    return ValueHead(int(forward.core(policy).config.get_text_config().hidden_size)).to(device)


def values(critic: Any, batch: Batch, policy: Any) -> Tensor:
    """[B, T]: value of the state before each completion token, zero on padding; a mere head reads the policy's hidden states."""
    if not isinstance(critic, ValueHead):
        return forward.values(critic, batch)
    return values_at(critic, forward.completion_states(policy, batch), batch)


def values_at(head: ValueHead, hidden: Tensor, batch: Batch) -> Tensor:
    """[B, T] values of hidden states [N, H] that predict the completion tokens, zero on padding."""
    return forward.spread(head(hidden).squeeze(-1), batch.completion_mask)
