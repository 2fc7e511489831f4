"""Numbers under a column: how varied and how repetitive a text is, how likely, and how fast it came."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from workbench.domain.choices import Aside, DraftRound
from workbench.engine.decoding.naming import Spoken
from workbench.engine.decoding.rounds import numbers_of


def distinct(ids: Sequence[int], size: int) -> float:
    """Share of the n-grams that are different from each other (Li et al. 2016, 1510.03055); 1 for too short texts."""
    grams = [tuple(ids[i : i + size]) for i in range(len(ids) - size + 1)]
    return len(set(grams)) / len(grams) if grams else 1.0


def repetition(ids: Sequence[int]) -> float:
    """Share of the 4-grams that repeat an earlier one (Welleck et al. 2020, 1908.04319); 0 for too short texts."""
    return 1.0 - distinct(ids, 4)


class Tally:
    """Counts a column's tokens and the time that its steps took (not the time it waited for columns of other models).

    `together` is how many seconds steps took that were made for several columns at once: each of them had to wait for those.
    """

    def __init__(self, together: Callable[[], float] = lambda: 0.0) -> None:
        self._together = together
        self._before = self._shared = together()
        self._ids: list[int] = []
        self._pieces: list[str] = []
        self._logprob = 0.0
        self._rounds: list[DraftRound] = []
        self._seconds = 0.0
        self._first: float | None = None
        self._since = 0.0

    def start(self) -> None:
        """A step of this column begins."""
        self._since, self._shared = time.perf_counter(), self._together()

    def stop(self, *tokens: Spoken) -> None:
        """The step has ended, with or without tokens."""
        self._seconds += time.perf_counter() - self._since - (self._together() - self._shared)
        for one in tokens:
            self._ids.append(one.id)
            self._pieces.append(one.text)
            self._logprob += one.logprob
        if tokens and self._first is None:
            self._first = self.seconds

    @property
    def seconds(self) -> float:
        """What the column's steps have taken so far."""
        return self._seconds + self._together() - self._before

    def note(self, aside: Aside) -> None:
        """Keep what an aside says about the text's numbers; time that was spent on measuring alone is not the column's."""
        if isinstance(aside, DraftRound):
            self._rounds.append(aside)
            self._seconds -= aside.plain_seconds or 0.0

    @property
    def ids(self) -> list[int]:
        """The tokens so far."""
        return self._ids

    @property
    def text(self) -> str:
        """The text so far."""
        return "".join(self._pieces)

    def numbers(self) -> dict[str, float]:
        """Tokens, seconds, tokens_per_second, first_token_seconds, logprob (nats), distinct_1, distinct_2, repetition; those of its rounds."""
        ids = self.ids
        found = {
            "tokens": float(len(ids)),
            "seconds": self.seconds,
            "logprob": self._logprob,
            "distinct_1": distinct(ids, 1),
            "distinct_2": distinct(ids, 2),
            "repetition": repetition(ids),
        }
        if self._first is not None and self.seconds > 0:
            found["first_token_seconds"] = self._first
            found["tokens_per_second"] = len(ids) / self.seconds
        found |= numbers_of(self._rounds)
        return found
