"""Models that are tables: what comes next is a function of the text so far."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

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
