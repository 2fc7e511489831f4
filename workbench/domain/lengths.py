"""What beam search divides a hypothesis' summed log-probability by: the one rule for the search and for those who look at it."""

from __future__ import annotations

from workbench.domain.decoding import Beam


def length_divisor(settings: Beam, length: int) -> float:
    """What the summed log-probability of `length` tokens is divided by: n^a, or ((5 + n) / 6)^a (Wu et al. 2016, 1609.08144)."""
    base = float(length) if settings.length_rule == "power" else (5.0 + length) / 6.0
    return float(base**settings.length_penalty)
