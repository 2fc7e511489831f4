"""Mirostat 2 (Basu et al. 2020, arXiv 2007.14966): a bound mu on surprise that follows what was drawn, so that the text's surprise nears tau.

Everything is in bits. The rule of the chain cuts by the bound; here stands how the bound moves.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from workbench.domain.choices import MirostatTrace
from workbench.domain.decoding import Sample
from workbench.engine.decoding.chain import Chain, Context


@dataclass
class Bound:
    """The bound of one row; `mu` is None where mirostat is off."""

    settings: Sample
    mu: float | None = None

    def __post_init__(self) -> None:
        """It starts at 2 tau."""
        if self.settings.mirostat_tau and self.settings.temperature > 0:
            self.mu = 2.0 * self.settings.mirostat_tau

    @property
    def told(self) -> tuple[float, ...]:
        """The bound as a chain's context has it."""
        return () if self.mu is None else (self.mu,)

    def follow(self, p_used: float) -> MirostatTrace | None:
        """Move the bound by a token that was drawn with this probability: mu -= eta * (surprise - tau)."""
        if self.mu is None:
            return None
        trace = MirostatTrace(mu=self.mu, surprise=-math.log2(max(p_used, 2.0**-1000)))
        self.mu -= self.settings.mirostat_eta * (trace.surprise - self.settings.mirostat_tau)
        return trace

    def drawn(self, scores: Tensor, token: int) -> MirostatTrace | None:
        """Move the bound by a token that was drawn from scores [V]."""
        return None if self.mu is None else self.follow(float(scores.softmax(dim=-1)[token]))

    def replay(self, chain: Chain, logits: Tensor, prompt: list[int], ids: Sequence[int], place: int = 0) -> None:
        """Follow the tokens of `ids` from `place` on that stand already; row i of logits [n, V] is what the i-th of them was drawn from."""
        for row, token in enumerate(ids[place : place + len(logits)]):
            context = Context([prompt], [list(ids[: place + row])], self.told)
            used = chain(logits[row : row + 1], context).scores.softmax(dim=-1)
            self.follow(float(used[0, token]))
