"""Numbers about generated texts: variety, repetition, length. Words are what white space separates."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass


def ngrams(words: Sequence[str], n: int) -> list[tuple[str, ...]]:
    """All runs of n words, in order; raises ValueError for n below 1."""
    if n < 1:
        raise ValueError("n is at least 1")
    return [tuple(words[i : i + n]) for i in range(len(words) - n + 1)]


def distinct_n(texts: Iterable[str], n: int) -> float | None:
    """Distinct n-grams over all n-grams of the texts together, in (0, 1] (Li et al. 2016, arXiv 1510.03055); None without any."""
    found = [gram for text in texts for gram in ngrams(text.split(), n)]
    return len(set(found)) / len(found) if found else None


def repetition(text: str, n: int = 4) -> float:
    """Share of a text's n-grams that occurred in it before, in [0, 1): 1 - distinct / all (Welleck et al. 2020, seq-rep-n).

    A text with fewer than n words repeats nothing: 0.
    """
    found = ngrams(text.split(), n)
    return 1 - len(set(found)) / len(found) if found else 0.0


@dataclass(frozen=True)
class Lengths:
    """How long texts are, in words: how many texts, mean, least, median and greatest."""

    texts: int
    mean: float
    least: int
    median: float
    greatest: int


def lengths(texts: Iterable[str]) -> Lengths | None:
    """Lengths of texts in words; None without texts."""
    counts = sorted(len(text.split()) for text in texts)
    if not counts:
        return None
    half = len(counts) // 2
    median = float(counts[half]) if len(counts) % 2 else (counts[half - 1] + counts[half]) / 2
    return Lengths(len(counts), sum(counts) / len(counts), counts[0], median, counts[-1])
