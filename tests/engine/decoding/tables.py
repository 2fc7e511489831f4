"""Models that are made up: tables, where what comes next is a function of the text so far, and dice, which are random."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import LlamaConfig, LlamaForCausalLM

Law = Callable[[tuple[int, ...]], Sequence[float]]


class Table:
    """A stepper over a law: `law(text)` gives the probabilities of the next token behind all tokens read, the prompt included."""

    hidden: Tensor | None = None

    def __init__(self, law: Law) -> None:
        self._law = law
        self.texts: list[tuple[int, ...]] = []

    @property
    def rows(self) -> int:
        return len(self.texts)

    @property
    def length(self) -> int:
        return len(self.texts[0])

    def prefill(self, rows: list[list[int]]) -> Tensor:
        self.texts = [tuple(row) for row in rows]
        return self._logits()

    def step(self, ids: Tensor | list[int]) -> Tensor:
        self.texts = [(*text, int(token)) for text, token in zip(self.texts, ids, strict=True)]
        return self._logits()

    def extend(self, ids: list[list[int]]) -> Tensor:
        return torch.stack([self.step([row[i] for row in ids]) for i in range(len(ids[0]))], dim=1)

    def reorder(self, rows: list[int]) -> None:
        self.texts = [self.texts[row] for row in rows]

    def crop(self, count: int) -> None:
        self.texts = [text[: len(text) - count] for text in self.texts]

    def admit(self, rows: list[list[int]]) -> Tensor:
        raise NotImplementedError("tables don't take new rows")

    def _logits(self) -> Tensor:
        return torch.tensor([list(self._law(text)) for text in self.texts]).log()


def die(seed: int) -> Any:
    """A random model with a vocabulary of five and a peaked output."""
    torch.manual_seed(seed)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=5, hidden_size=16, intermediate_size=24, num_hidden_layers=1, num_attention_heads=2,
            max_position_embeddings=32, eos_token_id=0, bos_token_id=1,
        )
    )  # fmt: skip
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.mul_(8.0)
    return model.eval()
