"""The stepper for models whose weights could be read into a plan: on a CPU, about three times as fast as the model's own forward."""

from __future__ import annotations

import torch
from torch import Tensor

from workbench.domain.errors import BadInput
from workbench.engine.plans.planned import Planned
from workbench.engine.plans.reader import Plan

_ROOM = 96  # columns for new tokens at first; the cache grows by itself


class Fast:
    """Next-token logits of a batch of rows by a plan of the weights; the methods are those of `Stepper`."""

    def __init__(self, plan: Plan, *, hidden: bool = False) -> None:
        self._rows = Planned(plan)
        self._every = hidden

    @property
    def rows(self) -> int:
        """How many rows are held."""
        return self._rows.rows

    @property
    def length(self) -> int:
        """How many columns are held, padding included."""
        return self._rows.length

    @property
    def hidden(self) -> Tensor | None:
        """The last layer's states behind the last call, if they were asked for."""
        return self._rows.states.float() if self._every and self.rows else None

    @torch.inference_mode()
    def prefill(self, rows: list[list[int]]) -> Tensor:
        """Read the prompts (ragged lists of ids) from scratch; returns the next token's logits, float32 [B, V]."""
        if not rows or not all(rows):
            raise BadInput("A prompt has no tokens.", "Type a prompt; a model needs at least one token to continue.")
        return self._rows.prefill(rows, _ROOM, every=self._every).float()

    @torch.inference_mode()
    def step(self, ids: Tensor | list[int]) -> Tensor:
        """Append one token to every row; returns the next token's logits, float32 [B, V]."""
        return self._rows.step(torch.as_tensor(ids, dtype=torch.long).view(-1)).float()

    @torch.inference_mode()
    def extend(self, ids: list[list[int]]) -> Tensor:
        """Append T tokens to every row; returns the logits behind each of them, float32 [B, T, V]."""
        return self._rows.extend(torch.tensor(ids, dtype=torch.long)).float()

    @torch.inference_mode()
    def reorder(self, rows: list[int]) -> None:
        """Make row i what row `rows[i]` was; rows may be repeated or dropped."""
        self._rows.reorder(rows)

    def crop(self, count: int) -> None:
        """Forget the newest `count` columns."""
        if not 0 <= count < self.length:
            raise ValueError(f"can't forget {count} of {self.length} columns")
        self._rows.crop(count)

    @torch.inference_mode()
    def admit(self, rows: list[list[int]]) -> Tensor:
        """Let new rows join behind those that are held; returns their next token's logits, float32 [n, V]."""
        if not rows or not all(rows):
            raise BadInput("A prompt has no tokens.", "Type a prompt; a model needs at least one token to continue.")
        return self._rows.admit(rows, _ROOM, every=self._every).float()
