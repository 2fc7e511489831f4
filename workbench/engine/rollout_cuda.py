"""Decoding on a GPU with a cache of fixed shape and a captured step: launching a model's kernels one by one costs more than running them.

Nothing in a step depends on its number but the contents of a few small tensors, so one CUDA graph serves all steps of a batch. When
half of the rows have ended, the rest goes on in a smaller batch with a graph of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from workbench.engine.forward import project
from workbench.engine.graphs import Fixed, Replay, shut
from workbench.engine.rollout_layers import Layers, Slab

GRAPHED_FROM = 16  # new tokens from which a captured step pays for its capture


class Graphed(Layers):
    """A batch of rows in the middle of their texts, as in Layers; needs a model whose cache can be masked freely."""

    def __init__(self, model: Any, prompts: Sequence[Sequence[int]], room: int) -> None:
        super().__init__(model, prompts, room)
        device = self.logits.device
        self._column = torch.tensor([self._length], device=device)
        slabs = [slab for slab in self._cache.layers if isinstance(slab, Slab)]
        self._cache.layers = [Fixed(*slab.buffers, self._column) for slab in slabs]
        self._open = self.columns(room)
        self._shut = self._open.clone()
        self._shut[..., self._length :] = shut(self._open.dtype)
        self._ids = torch.zeros(len(prompts), 1, dtype=torch.long, device=device)
        self._positions = torch.zeros_like(self._ids)
        self._forward = Replay(self._compute, capture=device.type == "cuda")

    def step(self, ids: Tensor, positions: Tensor) -> None:
        """Append a token to every row: ids and positions [B]."""
        self._ids.copy_(ids[:, None])
        self._positions.copy_(positions[:, None] + self._first)
        self._column.fill_(self._length)
        self._shut[..., self._length] = self._open[..., self._length]
        self._length += 1
        self.logits = self._forward()

    def keep(self, rows: Tensor) -> bool:
        """Go on with these rows only, once they are no more than half: each size needs a graph of its own."""
        if 2 * len(rows) > len(self._ids):
            return False
        self._forward.forget()
        for layer in self._cache.layers:
            layer.batch_select_indices(rows)
        self._open, self._shut = self._open[rows], self._shut[rows]
        self._ids, self._positions = self._ids[rows], self._positions[rows]
        return True

    def _compute(self) -> Tensor:
        """[B, V]: logits behind the ids, positions, column and mask that lie in the batch's own tensors."""
        hidden = self._body(
            input_ids=self._ids,
            attention_mask=self._shut,
            position_ids=self._positions,
            past_key_values=self._cache,
            use_cache=True,
        ).last_hidden_state
        return project(self._model, hidden[:, -1])
