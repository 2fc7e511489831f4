"""Agreement between annotators: raw share, Cohen's kappa, Fleiss' kappa, Krippendorff's alpha for nominal categories.

Votes are given as units: for each thing that was judged, a mapping from annotator to category. Units with fewer than two
votes say nothing about agreement and are passed over. Every function returns None where its value is undefined.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from itertools import combinations

Unit = Mapping[str, Hashable]


def raw_agreement(units: Iterable[Unit]) -> float | None:
    """Share of all pairs of votes on the same unit that agree, in [0, 1]; each pair of annotators counts once per unit."""
    same = total = 0
    for unit in units:
        for a, b in combinations(unit.values(), 2):
            same += a == b
            total += 1
    return same / total if total else None


def cohen_kappa(first: Sequence[Hashable], second: Sequence[Hashable]) -> float | None:
    """Two annotators' votes on the same units in the same order: (p_o - p_e) / (1 - p_e), Cohen 1960.

    p_o is the share of equal votes, p_e the share expected from each annotator's own frequencies. Raises ValueError for
    sequences of different length; None for no votes, or when both used one and the same category throughout.
    """
    if len(first) != len(second):
        raise ValueError("both annotators vote on the same units")
    count = len(first)
    if not count:
        return None
    observed = sum(a == b for a, b in zip(first, second)) / count
    mine, yours = Counter(first), Counter(second)
    expected = sum(mine[c] * yours[c] for c in mine) / count**2
    return None if expected == 1.0 else (observed - expected) / (1 - expected)


def cohen_kappas(units: Iterable[Unit]) -> dict[str, float | None]:
    """Cohen's kappa of every two annotators that share a unit, keyed "A|B" in the order of their names."""
    shared: dict[tuple[str, str], tuple[list[Hashable], list[Hashable]]] = {}
    for unit in units:
        for a, b in combinations(sorted(unit), 2):
            mine, yours = shared.setdefault((a, b), ([], []))
            mine.append(unit[a])
            yours.append(unit[b])
    return {f"{a}|{b}": cohen_kappa(*votes) for (a, b), votes in sorted(shared.items())}


def fleiss_kappa(units: Iterable[Unit]) -> float | None:
    """Fleiss 1971: (P - P_e) / (1 - P_e) with P the mean share of agreeing pairs per unit, P_e from pooled frequencies.

    Units may have different numbers of votes; each unit with at least two has the same weight in P.
    """
    shares: list[float] = []
    pooled: Counter[Hashable] = Counter()
    for votes, counts in _counted(units):
        pooled.update(counts)
        shares.append(sum(n * (n - 1) for n in counts.values()) / (votes * (votes - 1)))
    total = sum(pooled.values())
    if not total:
        return None
    expected = sum((n / total) ** 2 for n in pooled.values())
    return None if len(pooled) == 1 else (sum(shares) / len(shares) - expected) / (1 - expected)


def krippendorff_alpha(units: Iterable[Unit]) -> float | None:
    """Krippendorff's alpha for nominal data: 1 - D_o / D_e over the coincidences of values (Krippendorff 2011, eq. for nominal).

    Missing votes are allowed; a unit with m votes gives each of its ordered pairs the weight 1 / (m - 1).
    """
    disagreeing = 0.0
    pooled: Counter[Hashable] = Counter()
    for votes, counts in _counted(units):
        pooled.update(counts)
        disagreeing += sum(n * (votes - n) for n in counts.values()) / (votes - 1)
    total = sum(pooled.values())
    expected = sum(n * (total - n) for n in pooled.values()) / (total - 1) if total > 1 else 0.0
    return None if expected == 0.0 else 1 - disagreeing / expected


def _counted(units: Iterable[Unit]) -> Iterator[tuple[int, Counter[Hashable]]]:
    """How many votes a unit has, and how many for each value; a unit with one vote says nothing about agreement."""
    for unit in units:
        if len(unit) > 1:
            yield len(unit), Counter(unit.values())
