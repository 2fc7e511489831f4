"""Decoding on a GPU with a cache of fixed shape and a captured step: launching a model's kernels one by one costs more than running them.

Nothing in a step depends on its number but the contents of a few small tensors, so one CUDA graph serves all steps of a batch. When
half of the rows have ended, the rest goes on in a smaller batch with a graph of its own. Where capturing fails (layers that look at
their numbers on the host, as experts may), the same step runs without a graph.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers.cache_utils import DynamicLayer

from workbench.engine.forward import project
from workbench.engine.rollout_layers import Layers, Slab

GRAPHED_FROM = 16  # new tokens from which a captured step pays for its capture
_WARM_UPS = 2


class Graphed(Layers):
    """A batch of rows in the middle of their texts, as in Layers; needs a model whose cache can be masked freely."""

    def __init__(self, model: Any, prompts: Sequence[Sequence[int]], room: int) -> None:
        super().__init__(model, prompts, room)
        device = self.logits.device
        self._column = torch.tensor([self._length], device=device)
        self._cache.layers = [_Fixed(slab, self._column) for slab in self._cache.layers if isinstance(slab, Slab)]
        self._open = self.columns(room)
        self._shut = self._open.clone()
        self._shut[..., self._length :] = False if self._open.dtype is torch.bool else torch.finfo(self._open.dtype).min
        self._ids = torch.zeros(len(prompts), 1, dtype=torch.long, device=device)
        self._positions = torch.zeros_like(self._ids)
        self._graph: Any = None
        self._capturing = device.type == "cuda"

    def step(self, ids: Tensor, positions: Tensor) -> None:
        """Append a token to every row: ids and positions [B]."""
        self._ids.copy_(ids[:, None])
        self._positions.copy_(positions[:, None] + self._first)
        self._column.fill_(self._length)
        self._shut[..., self._length] = self._open[..., self._length]
        self._length += 1
        if self._capturing and self._graph is None:
            self._capture()
        if self._graph is None:
            self.logits = self._forward()
        else:
            self._graph.replay()

    def keep(self, rows: Tensor) -> bool:
        """Go on with these rows only, once they are no more than half: each size needs a graph of its own."""
        if 2 * len(rows) > len(self._ids):
            return False
        self._graph = None
        for layer in self._cache.layers:
            layer.batch_select_indices(rows)
        self._open, self._shut = self._open[rows], self._shut[rows]
        self._ids, self._positions = self._ids[rows], self._positions[rows]
        return True

    def _forward(self) -> Tensor:
        """[B, V]: logits behind the ids, positions, column and mask that lie in the batch's own tensors."""
        hidden = self._body(
            input_ids=self._ids,
            attention_mask=self._shut,
            position_ids=self._positions,
            past_key_values=self._cache,
            use_cache=True,
        ).last_hidden_state
        return project(self._model, hidden[:, -1])

    def _capture(self) -> None:
        """Record a step that writes `logits`. Running it several times does no harm: it writes the same column again."""
        # Weights that autocast has cast must not be kept between passes: the graph would read memory that was given back.
        kind, dtype = "cuda", torch.get_autocast_dtype("cuda")
        cast = torch.autocast(kind, dtype=dtype, enabled=torch.is_autocast_enabled(kind), cache_enabled=False)
        try:
            with cast:
                aside = torch.cuda.Stream()
                aside.wait_stream(torch.cuda.current_stream())
                with torch.cuda.stream(aside):
                    for _ in range(_WARM_UPS):
                        self._forward()
                torch.cuda.current_stream().wait_stream(aside)
                graph = torch.cuda.CUDAGraph()
                with torch.cuda.graph(graph):
                    logits = self._forward()
            self._graph, self.logits = graph, logits
        except RuntimeError as error:
            self._capturing = False
            logging.getLogger(__name__).warning("the step can't be captured and runs without a graph: %s", error)


class _Fixed(DynamicLayer):
    """Keys and values of one layer in buffers of fixed shape; the column to write is a number on the device."""

    def __init__(self, slab: Slab, column: Tensor) -> None:
        super().__init__()
        self.lazy_initialization(slab.keys, slab.values)
        self.keys, self.values = slab.buffers
        self._column = column

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        """Write one column; returns all of them, for the mask to tell which count."""
        self.keys.index_copy_(2, self._column, key_states.to(self.keys.dtype))
        self.values.index_copy_(2, self._column, value_states.to(self.values.dtype))
        return self.keys, self.values

    def batch_select_indices(self, indices: Tensor) -> None:
        """Keep these rows only."""
        self.keys, self.values = self.keys.index_select(0, indices), self.values.index_select(0, indices)
