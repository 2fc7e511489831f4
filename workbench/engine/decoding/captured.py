"""The stepper on a GPU: once a text runs steadily, its step has fixed shapes and is replayed as one CUDA graph.

Capturing costs some twenty steps and holds for one batch of rows, so the first tokens, several tokens at once and anything that changes
rows go through `General`; what a search does to a batch of the same size (columns taken back, rows put in order) is done in
place. The first step of fixed shape is compared with the plain one: a model that doesn't honour such a mask keeps to plain steps.
"""

from __future__ import annotations

import logging
from typing import Any

import torch
from torch import Tensor
from transformers.cache_utils import DynamicLayer

from workbench.engine.decoding.general import General
from workbench.engine.forward import core, virtual_tokens
from workbench.engine.graphs import Fixed, Replay, openness, shut
from workbench.engine.rollout_layers import maskable

STEADY = 8  # single tokens in a row, before a capture is expected to pay
_ROOM = 256  # columns for new tokens; when they are full, there is another capture
_TOLERANCE = {torch.float32: 1e-3, torch.float16: 2e-2, torch.bfloat16: 5e-2}  # of the largest logit


class Captured(General):
    """Next-token logits of a batch of rows, the same as `General`'s; steady runs are replayed. It tells no hidden states."""

    def __init__(self, model: Any, *, steady: int = STEADY, room: int = _ROOM) -> None:
        super().__init__(model)
        self._able = self._has_cache and self._has_positions and maskable(model) and not virtual_tokens(model)
        self._steady, self._room, self._calm = steady, room, 0
        self._frozen: _Frozen | None = None

    @property
    def frozen(self) -> bool:
        """Whether the next single token takes a step of fixed shape."""
        return self._frozen is not None

    @torch.inference_mode()
    def reorder(self, rows: list[int]) -> None:
        """Make row i what row `rows[i]` was; rows may be repeated or dropped."""
        if self._frozen is not None and len(rows) == self.rows:
            index = torch.tensor(rows, dtype=torch.long, device=self._ids.device)
            self._frozen.put_in_order(index)
            self._ids = self._ids.index_select(0, index)
            self._mask = None if self._mask is None else self._mask.index_select(0, index)
            return
        self._thaw()
        super().reorder(rows)

    @torch.inference_mode()
    def crop(self, count: int) -> None:
        """Forget the newest `count` columns."""
        if self._frozen is not None and 0 < count <= self._frozen.steps:
            self._frozen.forget(count)
            self._ids = self._ids[:, :-count]
            self._mask = None if self._mask is None else self._mask[:, :-count]
            return
        if count:
            self._thaw()
        super().crop(count)

    @torch.inference_mode()
    def admit(self, rows: list[list[int]]) -> Tensor:
        """Let new rows join behind those that are held; returns their next token's logits, float32 [n, V]."""
        self._thaw()
        return super().admit(rows)

    def _read(self) -> Tensor:
        self._frozen, self._calm = None, 0
        return super()._read()

    def _append(self, ids: Tensor) -> Tensor:
        if ids.shape[1] > 1:
            self._thaw()
            return super()._append(ids)
        if self._frozen is not None and self._frozen.full:
            self._thaw(calm=self._steady)
        if self._frozen is not None:
            self._note(ids)
            return self._frozen.step(ids)
        logits = super()._append(ids)
        self._calm += 1
        if self._able and self._calm > self._steady and self._plain():
            self._freeze(ids, logits)
        return logits

    def _note(self, ids: Tensor) -> None:
        """Keep what was said beside the cache, as the plain road does."""
        self._ids = torch.cat([self._ids, ids], dim=1)
        if self._mask is not None:
            self._mask = torch.cat([self._mask, torch.ones_like(ids)], dim=1)

    def _freeze(self, ids: Tensor, logits: Tensor) -> None:
        """Go on in fixed shapes, if they give for the newest token what the plain step gave."""
        assert self._cache is not None
        self._frozen = frozen = _Frozen(self._model, self._cache, self._seen(self.rows), self._room)
        frozen.steps = 1
        frozen.forget(1)
        apart = (frozen.step(ids) - logits).abs().max()
        near = _TOLERANCE.get(core(self._model).dtype, 1e-3) * logits.abs().max().clamp(min=1)
        if bool(apart <= near):
            return
        logging.getLogger(__name__).warning("steps of fixed shape disagree with the model; plain ones are taken")
        self._able = False
        self._read()

    def _thaw(self, calm: int = 0) -> None:
        """Go back to a cache that holds what is said and no more."""
        if self._frozen is not None and self._cache is not None:
            self._cache.layers = self._frozen.layers()
        self._frozen, self._calm = None, calm


class _Frozen:
    """A batch in the middle of its texts, in tensors that stay where they are: ids, positions and one column's number, mask, cache."""

    def __init__(self, model: Any, cache: Any, seen: Tensor, room: int) -> None:
        self._inner, self._cache = core(model), cache
        rows, self._length = seen.shape
        self.steps = 0  # how many of the newest columns came here, one by one
        device = seen.device
        self._column = torch.zeros(1, dtype=torch.long, device=device)
        self._ids = torch.zeros(rows, 1, dtype=torch.long, device=device)
        self._positions = seen.sum(dim=1, keepdim=True) - 1  # of the newest token
        columns = torch.nn.functional.pad(seen.bool(), (0, room))
        self._mask = openness(columns, self._inner)
        self._shut = shut(self._mask.dtype)
        self._open = True if self._mask.dtype is torch.bool else 0.0
        cache.layers = [
            Fixed(_with_room(layer.keys, room), _with_room(layer.values, room), self._column) for layer in cache.layers
        ]
        self._compute = Replay(self._forward, capture=device.type == "cuda")

    @property
    def full(self) -> bool:
        """Whether there is no column left for another token."""
        return self._length == self._mask.shape[-1]

    def step(self, ids: Tensor) -> Tensor:
        """Append one token to every row, ids [B, 1]; returns float32 [B, 1, V] of its own."""
        self._ids.copy_(ids)
        self._positions.add_(1)
        self._column.fill_(self._length)
        self._mask[..., self._length] = self._open
        self._length += 1
        self.steps += 1
        return self._compute().float().clone()

    def forget(self, count: int) -> None:
        """Take back so many of the columns that came here."""
        self._length -= count
        self.steps -= count
        self._mask[..., self._length : self._length + count] = self._shut
        self._positions.sub_(count)

    def put_in_order(self, rows: Tensor) -> None:
        """Make row i what row `rows[i]` was, for as many rows as there are."""
        for layer in self._cache.layers:
            layer.put_in_order(rows)
        for part in (self._mask, self._positions):
            part.copy_(part.index_select(0, rows))

    def layers(self) -> list[DynamicLayer]:
        """The cache as a plain one holds it."""
        plain = []
        for fixed in self._cache.layers:
            layer = DynamicLayer()
            layer.lazy_initialization(fixed.keys, fixed.values)
            layer.keys, layer.values = (part[:, :, : self._length] for part in (fixed.keys, fixed.values))
            plain.append(layer)
        return plain

    def _forward(self) -> Tensor:
        """[B, 1, V]: logits behind what lies in the batch's own tensors."""
        told = self._inner(
            input_ids=self._ids,
            attention_mask=self._mask,
            position_ids=self._positions,
            past_key_values=self._cache,
            use_cache=True,
        )
        logits: Tensor = told.logits[:, -1:]
        return logits


def _with_room(part: Tensor, room: int) -> Tensor:
    """[B, heads, columns + room, size], in memory of its own."""
    return torch.nn.functional.pad(part, (0, 0, 0, room))
