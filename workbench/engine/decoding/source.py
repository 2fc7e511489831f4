"""What a search chooses from: one model's distribution after the chain. Contrastive decoding brings a source of its own."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from workbench.engine.decoding.chain import Chain, Context, Processed
from workbench.engine.decoding.measure import Look, Measured, measure
from workbench.engine.decoding.opening import opened
from workbench.engine.decoding.stepper import Stepper
from workbench.engine.decoding.task import Task


class Source(Protocol):
    """Scores for the next token of every row; rows are hypotheses behind one prompt."""

    def begin(self) -> float:
        """Read prompt and start into one row; the summed score of the tokens of `start`."""

    def look(self, outputs: list[list[int]]) -> Processed:
        """The next token's scores [B, V] behind each row's output, minus infinity for what the rules forbid."""

    def tell(self, processed: Processed, rows: list[int], ids: list[int]) -> list[Measured]:
        """Describe the choice of token `ids[i]` in row `rows[i]`."""

    def advance(self, rows: list[int], ids: list[int]) -> None:
        """Make row i what row `rows[i]` was, with token `ids[i]` appended."""


class Model:
    """One model: scores are log-probabilities after the chain, as transformers has them in beam search."""

    def __init__(self, stepper: Stepper, task: Task, chain: Chain) -> None:
        self._stepper, self._task, self._chain = stepper, task, chain
        self._logits = torch.empty(0)

    def begin(self) -> float:
        """Read; tokens that the rules forbid today add nothing to the sum."""
        start, sums = self._task.start, [0.0]

        def add(place: int, logits: Tensor) -> None:
            outputs = [list(start[: place + row]) for row in range(len(logits))]
            sums.append(summed(self._processed(logits, outputs).scores, start[place : place + len(logits)]))

        self._logits = opened(self._stepper, self._task, add)
        return sum(sums)

    def look(self, outputs: list[list[int]]) -> Processed:
        """Log-probabilities after the chain."""
        return self._processed(self._logits, outputs)

    def tell(self, processed: Processed, rows: list[int], ids: list[int]) -> list[Measured]:
        """As every strategy tells its choices."""
        return measure(Look.of(self._logits, processed), rows, ids)

    def advance(self, rows: list[int], ids: list[int]) -> None:
        """One pass of the model."""
        self._stepper.reorder(rows)
        self._logits = self._stepper.step(ids)

    def _processed(self, logits: Tensor, outputs: list[list[int]]) -> Processed:
        context = Context([self._task.known] * len(outputs), outputs)
        return self._chain(torch.log_softmax(logits, dim=-1), context)


def summed(scores: Tensor, ids: tuple[int, ...]) -> float:
    """The sum of scores[i, ids[i]] over those that are finite."""
    found = scores[range(len(ids)), list(ids)]
    return float(found[found.isfinite()].double().sum())
