"""What a strategy is given and what it says at the end; the words that the strategies share."""

from __future__ import annotations

import random
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Literal

from workbench.engine.decoding.measure import Measured

Reason = Literal["end", "stop", "length", "stopped"]


@dataclass(frozen=True)
class Task:
    """One prompt to continue: at most `limit` tokens; `hits_stop(ids)` tells whether a stop text appears in these tokens."""

    prompt: list[int]
    limit: int
    eos: frozenset[int]
    hits_stop: Callable[[list[int]], bool] | None = None


@dataclass(frozen=True)
class Hypothesis:
    """A finished text as ids, and its score (sum of log-probabilities, divided by the length rule for beams)."""

    ids: tuple[int, ...]
    score: float


@dataclass(frozen=True)
class Outcome:
    """How decoding ended, and what it found, best first."""

    reason: Reason
    hypotheses: tuple[Hypothesis, ...] = ()


# None is a step after which no further token is settled: the caller may look for Stop, or give another column its turn.
Steps = Generator[Measured | None, None, Outcome]


class Uniforms:
    """One uniform number in [0, 1) per position from a seed, the same on every machine and for every model."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def next(self) -> float:
        """The number of the next position."""
        return self._random.random()
