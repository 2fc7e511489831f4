"""What the rounds of speculative decoding come to: acceptance against its expectation, tokens for each pass, speed against plain."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from workbench.domain.choices import DraftRound


@dataclass(frozen=True)
class AtPlace:
    """Drafted tokens at one place of a round (from 0): how many were judged, how many taken, how many should have been."""

    judged: int
    taken: int
    expected: float


@dataclass(frozen=True)
class Speculation:
    """Sums over rounds. `spread` is the standard deviation of `taken` if every draft is taken with its own expected chance.

    Each chance is that of its place and text (the sum of min(p, q)), so the sum is the expectation given what came before.
    `plain_seconds` is the mean of the plain steps that were timed between rounds, None where none was.
    """

    rounds: int
    drafted: int
    judged: int
    taken: int
    expected: float
    spread: float
    tokens: int
    seconds: float
    draft_seconds: float
    plain_seconds: float | None
    probes: int
    places: tuple[AtPlace, ...]

    @property
    def acceptance(self) -> float | None:
        """Share of the judged drafts that were taken."""
        return self.taken / self.judged if self.judged else None

    @property
    def tokens_per_pass(self) -> float:
        """Tokens that one pass of the target gave; plain decoding gives 1."""
        return self.tokens / self.rounds if self.rounds else 0.0

    @property
    def factor(self) -> float | None:
        """How many times as fast as plain decoding it was, by its own clock; below 1 it was slower."""
        if self.plain_seconds is None or self.seconds <= 0 or not self.tokens:
            return None
        return self.plain_seconds * self.tokens / self.seconds


def speculation(rounds: Sequence[DraftRound]) -> Speculation:
    """Add up rounds."""
    judged = [[token for token in one.drafted if token.verdict != "unused"] for one in rounds]
    flat = [token for tokens in judged for token in tokens]
    taken = sum(token.verdict == "accepted" for token in flat)
    plain = [one.plain_seconds for one in rounds if one.plain_seconds is not None]
    depth = max((len(tokens) for tokens in judged), default=0)
    columns = [[tokens[place] for tokens in judged if place < len(tokens)] for place in range(depth)]
    return Speculation(
        rounds=len(rounds),
        drafted=sum(len(one.drafted) for one in rounds),
        judged=len(flat),
        taken=taken,
        expected=sum(token.expected for token in flat),
        spread=math.sqrt(sum(token.expected * (1.0 - min(1.0, token.expected)) for token in flat)),
        tokens=taken + sum(one.added is not None for one in rounds),
        seconds=sum(one.draft_seconds + one.target_seconds for one in rounds),
        draft_seconds=sum(one.draft_seconds for one in rounds),
        plain_seconds=sum(plain) / len(plain) if plain else None,
        probes=len(plain),
        places=tuple(
            AtPlace(len(c), sum(t.verdict == "accepted" for t in c), sum(t.expected for t in c)) for c in columns
        ),
    )
