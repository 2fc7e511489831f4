"""Models with an encoder and a decoder (T5, BART): the encoder reads the prompt once, the decoder writes the answer from a token of its own.

Rules therefore see the decoder's tokens only, as in transformers; the prompt gets the end token that such encoders were trained with.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache
from transformers.cache_utils import EncoderDecoderCache
from transformers.modeling_outputs import BaseModelOutput

from workbench.domain.errors import BadInput


def encodes(model: Any) -> bool:
    """Whether a model has an encoder of its own for the prompt."""
    return bool(getattr(model.config, "is_encoder_decoder", False))


def decoder_opening(model: Any) -> list[int]:
    """What the decoder reads before its first word: its start token and, where the model wants one forced, the token behind it."""
    settings = getattr(model, "generation_config", None)
    start = getattr(settings, "decoder_start_token_id", None)
    if start is None:
        start = getattr(model.config, "decoder_start_token_id", None)
    if start is None:
        raise BadInput(
            "The model's config has no decoder_start_token_id.", "Add it to config.json; T5 takes the padding."
        )
    forced = getattr(settings, "forced_bos_token_id", None)
    return [int(start)] if forced is None else [int(start), int(forced)]


class EncoderDecoder:
    """The stepper for such models; the methods are those of `Stepper`. Columns are the decoder's."""

    def __init__(self, model: Any) -> None:
        self._model = model
        self._memory = torch.empty(0)  # [B, S, H]
        self._mask = torch.empty(0)  # [B, S]
        self._cache: EncoderDecoderCache | None = None
        self._rows = self._length = 0
        self.hidden: Tensor | None = None

    @property
    def rows(self) -> int:
        """How many rows are held."""
        return self._rows

    @property
    def length(self) -> int:
        """How many columns the decoder has read."""
        return self._length

    @torch.inference_mode()
    def prefill(self, rows: list[list[int]]) -> Tensor:
        """Let the encoder read prompts (ragged lists of ids) -> logits of the answers' first tokens, float32 [B, V]."""
        if not rows or not all(rows):
            raise BadInput("A prompt has no tokens.", "Type a prompt; a model needs at least one token to read.")
        width, device = max(map(len, rows)), self._model.device
        ids = torch.tensor([row + [row[-1]] * (width - len(row)) for row in rows], device=device)
        lengths = torch.tensor([len(row) for row in rows], device=device)
        self._mask = (torch.arange(width, device=device)[None] < lengths[:, None]).long()
        self._memory = self._model.get_encoder()(input_ids=ids, attention_mask=self._mask).last_hidden_state
        self._cache = EncoderDecoderCache(DynamicCache(), DynamicCache())
        self._rows, self._length = len(rows), 0
        opening = decoder_opening(self._model)
        return self._forward(torch.tensor([opening] * len(rows), device=device))[:, -1]

    @torch.inference_mode()
    def step(self, ids: Tensor | list[int]) -> Tensor:
        """Append one token to every row; returns the next token's logits, float32 [B, V]."""
        return self._forward(torch.as_tensor(ids, dtype=torch.long, device=self._memory.device).view(-1, 1))[:, -1]

    @torch.inference_mode()
    def extend(self, ids: list[list[int]]) -> Tensor:
        """Append T tokens to every row; returns the logits behind each of them, float32 [B, T, V]."""
        return self._forward(torch.tensor(ids, dtype=torch.long, device=self._memory.device))

    @torch.inference_mode()
    def reorder(self, rows: list[int]) -> None:
        """Make row i what row `rows[i]` was; rows may be repeated or dropped."""
        if rows == list(range(self._rows)) or self._cache is None:
            return
        index = torch.tensor(rows, dtype=torch.long, device=self._memory.device)
        self._memory, self._mask = self._memory.index_select(0, index), self._mask.index_select(0, index)
        self._cache.reorder_cache(index)
        self._rows = len(rows)

    @torch.inference_mode()
    def crop(self, count: int) -> None:
        """Forget the newest `count` columns."""
        if not 0 <= count < self._length or self._cache is None:
            raise ValueError(f"can't forget {count} of {self._length} columns")
        if count:
            self._cache.self_attention_cache.crop(-count)
            self._length -= count

    def admit(self, rows: list[list[int]]) -> Tensor:
        """Begin with these rows; others can't join those that are under way, whose decoder is further on."""
        if self._rows:
            raise ValueError("an encoder-decoder takes no new rows into a running batch")
        return self.prefill(rows)

    def _forward(self, ids: Tensor) -> Tensor:
        """[B, T, V]: the logits behind each of the decoder's new tokens [B, T]."""
        told = self._model(
            decoder_input_ids=ids, encoder_outputs=BaseModelOutput(last_hidden_state=self._memory),
            attention_mask=self._mask, past_key_values=self._cache, use_cache=True,
        )  # fmt: skip
        self._length += ids.shape[1]
        logits: Tensor = told.logits
        return logits.float()
