"""The one owner of the KV cache: prefill, step, reorder, crop, over any causal language model of transformers.

Strategies never call the model; they ask the stepper for the next logits. Rows may have different lengths: shorter ones are padded
on the left and masked, so that the last column is the newest token of every row.
"""

from __future__ import annotations

import inspect
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache

from workbench.domain.errors import BadInput
from workbench.engine.forward import core, prompt_cache, virtual_tokens


def context_length(model: Any) -> int | None:
    """How many positions the model has for a text (None when its configuration names no bound)."""
    config = model.config.get_text_config()
    length = getattr(config, "max_position_embeddings", None)
    return int(length) - virtual_tokens(model) if length else None


class Stepper:
    """Next-token logits of a batch of rows, with the model's own forward pass and cache."""

    def __init__(self, model: Any) -> None:
        self._model = model
        self._inner = inner = core(model)
        accepted = inspect.signature(inner.forward).parameters
        self._keep = {"logits_to_keep": 1} if "logits_to_keep" in accepted else {}
        self._has_positions = "position_ids" in accepted
        self._has_cache = "past_key_values" in accepted
        self._cache: DynamicCache | None = None
        self._mask: Tensor | None = None
        self._ids = torch.empty((0, 0), dtype=torch.long)

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
        device = self._model.device
        self._ids = torch.tensor([[r[0]] * (width - len(r)) + r for r in rows], dtype=torch.long, device=device)
        self._mask = None
        if min(map(len, rows)) < width:
            lengths = torch.tensor([len(r) for r in rows], device=device)
            columns = torch.arange(width, device=device)
            self._mask = (columns[None, :] >= (width - lengths)[:, None]).long()
            # Learned virtual tokens, if there are any, stand before the padding; every row sees them.
            self._mask = torch.nn.functional.pad(self._mask, (virtual_tokens(self._model), 0), value=1)
        self._cache = prompt_cache(self._model, len(rows)) if self._has_cache else None
        return self._forward(self._ids)

    @torch.inference_mode()
    def step(self, ids: Tensor | list[int]) -> Tensor:
        """Append one token to every row; returns the next token's logits, float32 [B, V]."""
        column = torch.as_tensor(ids, dtype=torch.long, device=self._ids.device).view(-1, 1)
        self._ids = torch.cat([self._ids, column], dim=1)
        if self._mask is not None:
            self._mask = torch.cat([self._mask, torch.ones_like(column)], dim=1)
        return self._forward(column if self._has_cache else self._ids)

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

    def crop(self, count: int) -> None:
        """Forget the newest `count` columns."""
        if not 0 <= count < self.length:
            raise ValueError(f"can't forget {count} of {self.length} columns")
        if count == 0:
            return
        self._ids = self._ids[:, :-count]
        if self._mask is not None:
            self._mask = self._mask[:, :-count]
        if self._cache is not None:
            self._cache.crop(-count)

    def _forward(self, ids: Tensor) -> Tensor:
        extra: dict[str, Any] = dict(self._keep)
        if self._cache is not None:
            extra.update(past_key_values=self._cache, use_cache=True)
        if self._mask is not None:
            extra["attention_mask"] = self._mask
            if self._has_positions:
                positions = (self._mask.cumsum(dim=1) - 1).clamp(min=0)
                extra["position_ids"] = positions[:, -ids.shape[1] :]
        logits: Tensor = self._inner(input_ids=ids, **extra).logits
        return logits[:, -1, :].float()
