"""What a captured step needs: a computation replayed as one CUDA graph, and a cache whose shape never changes."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from transformers.cache_utils import DynamicLayer

_WARM_UPS = 2


class Replay:
    """A computation on tensors that stay where they are: captured at its first call on a GPU, replayed from then on.

    Where it can't be captured (layers that look at their numbers on the host, as experts may), or on a CPU, it is computed each time.
    Capturing runs it several times, so running it twice must do no harm. What a replay returns is overwritten by the next one.
    """

    def __init__(self, compute: Callable[[], Tensor], *, capture: bool) -> None:
        self._compute, self._wanted = compute, capture
        self._graph: Any = None
        self._told: Tensor | None = None

    def __call__(self) -> Tensor:
        """What the computation gives for what lies in its tensors now."""
        if self._wanted and self._graph is None:
            self._capture()
        if self._graph is None or self._told is None:
            return self._compute()
        self._graph.replay()
        return self._told

    def forget(self) -> None:
        """The tensors are others now: capture anew at the next call."""
        self._graph = self._told = None

    def _capture(self) -> None:
        # Weights that autocast has cast must not be kept between passes: the graph would read memory that was given back.
        kind, dtype = "cuda", torch.get_autocast_dtype("cuda")
        cast = torch.autocast(kind, dtype=dtype, enabled=torch.is_autocast_enabled(kind), cache_enabled=False)
        try:
            with cast:
                aside = torch.cuda.Stream()
                aside.wait_stream(torch.cuda.current_stream())
                with torch.cuda.stream(aside):
                    for _ in range(_WARM_UPS):
                        self._compute()
                torch.cuda.current_stream().wait_stream(aside)
                graph = torch.cuda.CUDAGraph()
                with torch.cuda.graph(graph):
                    told = self._compute()
            self._graph, self._told = graph, told
        except RuntimeError as error:
            self._wanted = False
            logging.getLogger(__name__).warning("the step can't be captured and runs without a graph: %s", error)


class Fixed(DynamicLayer):
    """Keys and values of one layer in buffers of fixed shape [B, heads, width, size]; the column to write is a number on the device."""

    def __init__(self, keys: Tensor, values: Tensor, column: Tensor) -> None:
        super().__init__()
        self.lazy_initialization(keys, values)
        self.keys, self.values = keys, values
        self._column = column

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        """Write one column; returns all of them, for the mask to tell which count."""
        self.keys.index_copy_(2, self._column, key_states.to(self.keys.dtype))
        self.values.index_copy_(2, self._column, value_states.to(self.values.dtype))
        return self.keys, self.values

    def batch_select_indices(self, indices: Tensor) -> None:
        """Keep these rows only, in new buffers."""
        self.keys, self.values = self.keys.index_select(0, indices), self.values.index_select(0, indices)

    def put_in_order(self, indices: Tensor) -> None:
        """Make row i what row `indices[i]` was, for as many rows as there are, in the same buffers."""
        self.keys.copy_(self.keys.index_select(0, indices))
        self.values.copy_(self.values.index_select(0, indices))


def openness(columns: Tensor, inner: Any) -> Tensor:
    """A mask over a cache, as attention takes it: from bool [B, width], to [B, 1, 1, width] of bool (SDPA) or of what is added (eager)."""
    seen = columns[:, None, None]
    if inner.config._attn_implementation == "sdpa":
        return seen
    return torch.zeros(seen.shape, dtype=inner.dtype, device=seen.device).masked_fill(~seen, shut(inner.dtype))


def shut(dtype: torch.dtype) -> float | bool:
    """What closes a column in a mask of this type."""
    return False if dtype is torch.bool else torch.finfo(dtype).min
