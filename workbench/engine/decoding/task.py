"""What a strategy is given and what it says at the end; the words that the strategies share."""

from __future__ import annotations

import random
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Literal

from workbench.domain.choices import Aside
from workbench.engine.decoding.measure import Measured, Noted

Reason = Literal["end", "stop", "length", "stopped"]


@dataclass(frozen=True)
class Task:
    """One prompt to continue: at most `limit` tokens; `hits_stop(ids)` tells whether a stop text appears in these tokens.

    `start` are tokens that the answer already has (it goes on, or branches). They are outputs like all others: for the rules, for
    the limit, for `hits_stop` and for the place in the sequence of random numbers. Going on with the same seed therefore gives
    the text that would have come without the stop. They are fewer than `limit`, and none of them ends the text.
    """

    prompt: list[int]
    limit: int
    eos: frozenset[int]
    hits_stop: Callable[[list[int]], bool] | None = None
    start: tuple[int, ...] = ()
    seen: list[int] | None = None

    @property
    def known(self) -> list[int]:
        """What the rules take for the prompt: `seen` where an encoder reads the prompt, so that it isn't the decoder's own text."""
        return self.prompt if self.seen is None else self.seen

    @property
    def context(self) -> list[int]:
        """What the model has to read before it says the next token."""
        return [*self.prompt, *self.start]


@dataclass(frozen=True)
class Hypothesis:
    """A finished text as ids (`Task.start` included).

    `score` is for strategies that compare several: the sum of log-probabilities, divided by the length rule.
    """

    ids: tuple[int, ...]
    score: float = 0.0


@dataclass(frozen=True)
class Outcome:
    """How decoding ended, and what it found, best first."""

    reason: Reason
    hypotheses: tuple[Hypothesis, ...] = ()


# None is a step after which no further token is settled: the caller may look for Stop, or give another column its turn. Asides
# tell what was looked at besides; their texts are filled in by decode().
Steps = Generator[Measured | Noted | Aside | None, None, Outcome]


class Uniforms:
    """One uniform number in [0, 1) per position from a seed, the same on every machine and for every model.

    The first `used` positions are passed over: their tokens are there already.
    """

    def __init__(self, seed: int, used: int = 0) -> None:
        self._random = random.Random(seed)
        for _ in range(used):
            self._random.random()

    def next(self) -> float:
        """The number of the next position."""
        return self._random.random()
