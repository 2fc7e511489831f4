"""Decoding step by step through the model's own layers: any architecture, any device, any adapter that peft wraps around modules."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers.cache_utils import DynamicCache, DynamicLayer

from workbench.engine.forward import core, project, prompt_cache, virtual_tokens
from workbench.engine.graphs import openness
from workbench.engine.plans.prefill import Piece, padded, pieces


class Layers:
    """A batch of rows in the middle of their texts. `logits` [B, V] are those of the next token.

    New tokens are written behind the longest prompt; a mask closes the gap behind shorter ones. Where the cache can't be masked
    freely, prompts must have one length, and no row is ever dropped. Learned virtual tokens stand before every row.
    """

    def __init__(self, model: Any, prompts: Sequence[Sequence[int]], room: int) -> None:
        device = next(model.parameters()).device
        lengths = torch.tensor([len(ids) for ids in prompts], device=device)
        self._model, self._body = model, core(model).base_model
        self._first = virtual_tokens(model)
        self._length, self._mask = int(lengths.max()) + self._first, None
        self._free = maskable(model)
        self._cache = DynamicCache() if self._free else prompt_cache(model, len(prompts))
        if self._free:
            found = [(piece.rows, self._read(piece, room, len(prompts))) for piece in pieces(prompts, device)]
            rows, states = (torch.cat(column) for column in zip(*found, strict=True))
            hidden = states[rows.argsort()]
        else:
            hidden = run(self._body, padded(prompts, device), self._cache)[:, -1]
        self.logits = project(model, hidden)
        self._lengths = lengths + self._first
        if int(lengths.min()) < int(lengths.max()):
            self._mask = self.columns(room)

    def columns(self, room: int) -> Tensor:
        """[B, 1, 1, width]: which columns of the cache a new token may look at: the row's prompt, and all behind the longest."""
        lengths, inner = self._lengths, core(self._model)
        columns = torch.arange(self._length + room, device=lengths.device)
        return openness((columns < lengths[:, None]) | (columns >= lengths.max()), inner)

    def _read(self, piece: Piece, room: int, rows: int) -> Tensor:
        """Read some prompts into their rows of the cache; returns their last hidden states, in the order of `piece.rows`."""
        cache, device = prompt_cache(self._model, len(piece.prompts)), piece.rows.device
        # Causal attention keeps tokens from seeing the padding behind them, so no mask is needed.
        states = run(self._body, padded(piece.prompts, device), cache)
        if not self._cache.layers:
            self._cache.layers = [Slab(layer, rows, self._length, room) for layer in cache.layers]
        for slab, layer in zip(self._cache.layers, cache.layers, strict=True):
            slab.fill(piece.rows, layer.keys[piece.source], layer.values[piece.source])
        last = torch.tensor([len(ids) - 1 for ids in piece.prompts], device=device)
        return states[piece.source, last[piece.source]]

    def step(self, ids: Tensor, positions: Tensor) -> None:
        """Append a token to every row: ids and positions [B]."""
        self._length += 1
        hidden = self._body(
            input_ids=ids[:, None],
            attention_mask=None if self._mask is None else self._mask[..., : self._length],
            position_ids=positions[:, None] + self._first,
            past_key_values=self._cache,
            use_cache=True,
        ).last_hidden_state
        self.logits = project(self._model, hidden[:, -1])

    def keep(self, rows: Tensor) -> bool:
        """Go on with these rows only, if that can be done."""
        if self._free:
            for layer in self._cache.layers:
                layer.batch_select_indices(rows)
            self._mask = None if self._mask is None else self._mask[rows]
        return self._free


def maskable(model: Any) -> bool:
    """Whether all layers keep the whole past, and attention takes a mask over it (no window, no recurrent state)."""
    config = core(model).config
    layers = DynamicCache(config=config).layers
    return config._attn_implementation in {"sdpa", "eager"} and all(type(layer) is DynamicLayer for layer in layers)


def run(body: Any, ids: Tensor, cache: DynamicCache) -> Tensor:
    """[B, L, H]: last hidden states of ids [B, L] behind what the cache holds; keys and values go into the cache."""
    places = torch.arange(ids.shape[1], device=ids.device).expand_as(ids) + cache.get_seq_length()
    states: Tensor = body(input_ids=ids, position_ids=places, past_key_values=cache, use_cache=True).last_hidden_state
    return states


class Slab(DynamicLayer):
    """Keys and values of one layer, [B, heads, length, width], in a buffer with room to grow: a step copies one column."""

    def __init__(self, like: DynamicLayer, rows: int, length: int, room: int) -> None:
        super().__init__()
        self.lazy_initialization(like.keys, like.values)
        self._length = length
        self._keys = like.keys.new_zeros((rows, like.keys.shape[1], length + room, like.keys.shape[3]))
        self._values = like.values.new_zeros((*self._keys.shape[:3], like.values.shape[3]))
        self._show()

    def _show(self) -> None:
        self.keys, self.values = self._keys[:, :, : self._length], self._values[:, :, : self._length]

    @property
    def buffers(self) -> tuple[Tensor, Tensor]:
        """Keys and values with all their room."""
        return self._keys, self._values

    def fill(self, rows: Tensor, keys: Tensor, values: Tensor) -> None:
        """Put prefilled rows at the front."""
        self._keys[rows, :, : keys.shape[2]] = keys
        self._values[rows, :, : values.shape[2]] = values

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        """Write the new columns behind the others; returns everything up to them."""
        end = self._length + key_states.shape[2]
        self._keys[:, :, self._length : end] = key_states
        self._values[:, :, self._length : end] = value_states
        self._length = end
        self._show()
        return self.keys, self.values

    def batch_select_indices(self, indices: Tensor) -> None:
        """Keep these rows only."""
        self._keys, self._values = self._keys.index_select(0, indices), self._values.index_select(0, indices)
        self._show()
