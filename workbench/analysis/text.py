"""Numbers about generated texts: variety, repetition, length. Words are what white space separates."""

from __future__ import annotations

import math
from collections import Counter
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


def self_bleu(texts: Sequence[str], n: int = 4) -> float | None:
    """How alike texts are, in [0, 1]: the mean BLEU of each against all others (Zhu et al. 2018, arXiv 1802.01886).

    BLEU is the geometric mean of the clipped precisions of 1- to n-grams times the brevity penalty (Papineni et al. 2002); above
    single words one is added to matches and counts (Lin and Och 2004), so that short texts have a value. None for fewer than two texts.
    """
    if len(texts) < 2:
        return None
    split = [text.split() for text in texts]
    return sum(_bleu(one, [*split[:i], *split[i + 1 :]], n) for i, one in enumerate(split)) / len(split)


def _bleu(words: list[str], references: list[list[str]], n: int) -> float:
    if not words:
        return 1.0 if any(not reference for reference in references) else 0.0
    logs = 0.0
    for size in range(1, n + 1):
        counts = Counter(ngrams(words, size))
        most: Counter[tuple[str, ...]] = Counter()
        for reference in references:
            most |= Counter(ngrams(reference, size))
        more = 0 if size == 1 else 1
        matched, total = (counts & most).total() + more, counts.total() + more
        if not matched:
            return 0.0
        logs += math.log(matched / total)
    closest = min((abs(len(reference) - len(words)), len(reference)) for reference in references)[1]
    brevity = min(1.0, math.exp(1 - closest / len(words)))
    return brevity * math.exp(logs / n)


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
