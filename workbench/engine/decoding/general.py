"""The stepper for every architecture: the model's own forward pass and cache.

Rows may have different lengths: shorter ones are padded on the left and masked, so that the last column is the newest token of every
row. Layers with a window keep their whole past here and are masked, so that columns can be taken back; a model whose past can't
be taken back (a recurrent state) reads its text again.
"""

from __future__ import annotations

import inspect
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer

from workbench.domain.errors import BadInput
from workbench.engine.forward import core, prompt_cache, virtual_tokens


class General:
    """Next-token logits of a batch of rows, with the model's own forward pass and cache; the methods are those of `Stepper`."""

    def __init__(self, model: Any, *, hidden: bool = False) -> None:
        self._model = model
        self._inner = inner = core(model)
        accepted = inspect.signature(inner.forward).parameters
        self._keeps = "logits_to_keep" in accepted
        self._has_positions = "position_ids" in accepted
        self._has_cache = "past_key_values" in accepted
        self._wants_hidden = hidden
        self._cache: DynamicCache | None = None
        self._mask: Tensor | None = None
        self._ids = torch.empty((0, 0), dtype=torch.long)
        self.hidden: Tensor | None = None

    @property
    def rows(self) -> int:
        """How many rows are held."""
        return int(self._ids.shape[0])

    @property
    def length(self) -> int:
        """How many columns are held, padding included."""
        return int(self._ids.shape[1])

    @torch.inference_mode()
    def prefill(self, rows: list[list[int]]) -> Tensor:
        """Read the prompts (ragged lists of ids) from scratch; returns the next token's logits, float32 [B, V]."""
        if not rows or not all(rows):
            raise BadInput("A prompt has no tokens.", "Type a prompt; a model needs at least one token to continue.")
        width = max(map(len, rows))
        self._ids = torch.tensor(
            [[r[0]] * (width - len(r)) + r for r in rows], dtype=torch.long, device=self._model.device
        )
        self._mask = self._mask_of([len(r) for r in rows], width)
        return self._read()[:, -1]

    @torch.inference_mode()
    def step(self, ids: Tensor | list[int]) -> Tensor:
        """Append one token to every row; returns the next token's logits, float32 [B, V]."""
        column = torch.as_tensor(ids, dtype=torch.long, device=self._ids.device).view(-1, 1)
        return self._append(column)[:, -1]

    @torch.inference_mode()
    def extend(self, ids: list[list[int]]) -> Tensor:
        """Append T tokens to every row; returns the logits behind each of them, float32 [B, T, V]."""
        return self._append(torch.tensor(ids, dtype=torch.long, device=self._ids.device))

    @torch.inference_mode()
    def reorder(self, rows: list[int]) -> None:
        """Make row i what row `rows[i]` was; rows may be repeated or dropped."""
        if rows == list(range(self.rows)):
            return
        index = torch.tensor(rows, dtype=torch.long, device=self._ids.device)
        self._ids = self._ids.index_select(0, index)
        if self._mask is not None:
            self._mask = self._mask.index_select(0, index)
        if self._cache is not None:
            self._cache.reorder_cache(index)

    @torch.inference_mode()
    def crop(self, count: int) -> None:
        """Forget the newest `count` columns."""
        if not 0 <= count < self.length:
            raise ValueError(f"can't forget {count} of {self.length} columns")
        if count == 0:
            return
        self._ids = self._ids[:, :-count]
        if self._mask is not None:
            self._mask = self._mask[:, :-count]
        if self._cache is None:
            return
        if self._plain():
            self._cache.crop(-count)
        else:
            told = self.hidden
            self._read()
            self.hidden = told

    @torch.inference_mode()
    def admit(self, rows: list[list[int]]) -> Tensor:
        """Let new rows join behind those that are held; returns their next token's logits, float32 [n, V]."""
        if not self.rows:
            return self.prefill(rows)
        new = General(self._model, hidden=self._wants_hidden)
        logits = new.prefill(rows)
        width, held = max(self.length, new.length), self.rows
        for part in (self, new):
            part._widen(width)
        self._ids = torch.cat([self._ids, new._ids])
        if self._mask is not None or new._mask is not None:
            self._mask = torch.cat([self._seen(held), new._seen(len(rows))])
        if self._cache is not None and new._cache is not None and self._plain():
            for mine, other in zip(self._cache.layers, new._cache.layers, strict=True):
                mine.keys, mine.values = torch.cat([mine.keys, other.keys]), torch.cat([mine.values, other.values])
        elif self._cache is not None:
            logits = self._read()[held:, -1]
        self.hidden = new.hidden
        return logits

    def _widen(self, width: int) -> None:
        """Put masked columns before everything that is held."""
        more = width - self.length
        if not more:
            return
        self._mask = functional.pad(self._seen(self.rows), (more, 0))
        self._ids = functional.pad(self._ids, (more, 0))
        if self._cache is not None and self._plain():
            for layer in self._cache.layers:
                layer.keys, layer.values = (functional.pad(t, (0, 0, more, 0)) for t in (layer.keys, layer.values))

    def _seen(self, rows: int) -> Tensor:
        """[rows, virtual tokens + columns]: the mask, of ones where there is none."""
        if self._mask is not None:
            return self._mask
        width = self._ids.shape[1] + virtual_tokens(self._model)
        return torch.ones(rows, width, dtype=torch.long, device=self._ids.device)

    def _mask_of(self, lengths: list[int], width: int) -> Tensor | None:
        """1 where a row has a token. Learned virtual tokens, if there are any, stand before the padding; every row sees them."""
        if min(lengths) == width:
            return None
        columns = torch.arange(width, device=self._ids.device)
        padding = width - torch.tensor(lengths, device=self._ids.device)
        return functional.pad((columns[None, :] >= padding[:, None]).long(), (virtual_tokens(self._model), 0), value=1)

    def _plain(self) -> bool:
        """Whether the cache is nothing but keys and values of every column."""
        return self._cache is not None and all(type(layer) is DynamicLayer for layer in self._cache.layers)

    def _read(self) -> Tensor:
        """Read all that is held into an empty cache."""
        self._cache = prompt_cache(self._model, self.rows) if self._has_cache else None
        if self._cache is not None and not virtual_tokens(self._model):
            layers = self._cache.layers
            if all(type(layer) in {DynamicLayer, DynamicSlidingWindowLayer} for layer in layers):
                self._cache.layers = [DynamicLayer() for _ in layers]
        return self._forward(self._ids, 1, self.length)

    def _append(self, ids: Tensor) -> Tensor:
        self._ids = torch.cat([self._ids, ids], dim=1)
        if self._mask is not None:
            self._mask = torch.cat([self._mask, torch.ones_like(ids)], dim=1)
        return self._forward(ids if self._has_cache else self._ids, ids.shape[1], ids.shape[1])

    def _forward(self, ids: Tensor, last: int, states: int) -> Tensor:
        """[B, last, V]: logits behind the last columns of ids [B, T]; the states of the last `states` columns are kept if wanted."""
        extra: dict[str, Any] = {"logits_to_keep": last} if self._keeps else {}
        if self._cache is not None:
            extra.update(past_key_values=self._cache, use_cache=True)
        if self._mask is not None:
            extra["attention_mask"] = self._mask
            if self._has_positions:
                positions = (self._mask.cumsum(dim=1) - 1).clamp(min=0)
                extra["position_ids"] = positions[:, -ids.shape[1] :]
        if self._wants_hidden:
            extra["output_hidden_states"] = True
        told = self._inner(input_ids=ids, **extra)
        if self._wants_hidden:
            self.hidden = told.hidden_states[-1][:, -states:].float()
        logits: Tensor = told.logits
        return logits[:, -last:].float()
