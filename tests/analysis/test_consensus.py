"""The consensus of noisy voters, simulated so that the truth is known."""

import math
import random
from collections import Counter

import pytest

from workbench.analysis.consensus import Unit, accuracies, dawid_skene


def votes(accuracy: dict[str, float], count: int, seed: int = 0) -> tuple[list[str], list[Unit]]:
    draw = random.Random(seed)
    truth = [draw.choice("xyz") for _ in range(count)]
    units: list[Unit] = [
        {who: t if draw.random() < a else draw.choice([c for c in "xyz" if c != t]) for who, a in accuracy.items()}
        for t in truth
    ]
    return truth, units


def test_that_known_accuracies_are_recovered() -> None:
    accuracy = {"ann": 0.95, "bob": 0.8, "cid": 0.6, "dot": 0.7}
    truth, units = votes(accuracy, 3000)
    found = dawid_skene(units)
    assert found is not None
    for who, right in accuracy.items():
        assert found.accuracy[who] == pytest.approx(right, abs=0.04)
    assert sum(a == b for a, b in zip(found.best(), truth, strict=True)) / len(truth) > 0.9


def test_that_one_good_annotator_outweighs_two_who_guess() -> None:
    accuracy = {"good": 0.95, "also good": 0.9, "guess 1": 0.36, "guess 2": 0.36, "guess 3": 0.36}
    truth, units = votes(accuracy, 2000, seed=1)
    found = dawid_skene(units)
    assert found is not None
    majority = [Counter(unit.values()).most_common(1)[0][0] for unit in units]
    right = sum(a == b for a, b in zip(found.best(), truth, strict=True))
    assert right > sum(a == b for a, b in zip(majority, truth, strict=True)) + 100


def test_that_probabilities_are_probabilities_and_missing_votes_are_allowed() -> None:
    found = dawid_skene([{"a": 1, "b": 1}, {"a": 2}, {}, {"b": 2, "c": 1}])
    assert found is not None
    assert len(found.truth) == 3
    for row in found.truth:
        assert sum(row) == pytest.approx(1.0)
    for table in found.confusion.values():
        for row in table:
            assert sum(row) == pytest.approx(1.0)
    assert sum(found.share) == pytest.approx(1.0)


def test_that_unanimous_votes_are_the_truth_and_no_votes_say_nothing() -> None:
    found = dawid_skene([{"a": "x", "b": "x"}, {"a": "y", "b": "y"}] * 10)
    assert found is not None
    assert found.best() == ["x", "y"] * 10
    assert min(found.accuracy.values()) > 0.99
    assert dawid_skene([]) is None
    assert dawid_skene([{}]) is None


def plain_em(units: list[Unit], rounds: int, prior: float = 0.01) -> tuple[list[dict[str, float]], dict[str, float]]:
    """Dawid and Skene's equations 2.3 to 2.5, vote by vote, to compare with: truths, and each annotator's accuracy."""
    people = sorted({w for unit in units for w in unit})
    truth = [{c: sum(v == c for v in unit.values()) / len(unit) for c in "xyz"} for unit in units]

    def maximise() -> tuple[dict[str, float], dict[tuple[str, str, str], float]]:
        share = {c: sum(t[c] for t in truth) + prior for c in "xyz"}
        whole = sum(share.values())
        table = {}
        for w in people:
            for c in "xyz":
                counts = {d: prior + sum(t[c] for t, u in zip(truth, units) if u.get(w) == d) for d in "xyz"}
                table |= {(w, c, d): n / sum(counts.values()) for d, n in counts.items()}
        return {c: n / whole for c, n in share.items()}, table

    for _ in range(rounds):
        share, table = maximise()
        for number, unit in enumerate(units):
            weights = {c: share[c] * math.prod(table[w, c, str(v)] for w, v in unit.items()) for c in "xyz"}
            truth[number] = {c: weight / sum(weights.values()) for c, weight in weights.items()}
    share, table = maximise()
    return truth, {w: sum(share[c] * table[w, c, c] for c in "xyz") for w in people}


def test_that_the_equations_of_dawid_and_skene_are_followed_to_a_billionth() -> None:
    _, units = votes({"ann": 0.9, "bob": 0.7, "cid": 0.6}, 60, seed=3)
    units = [{w: v for w, v in unit.items() if (n + len(w)) % 5} or unit for n, unit in enumerate(units)]
    found = dawid_skene(units, rounds=7, tolerance=0.0)
    truth, accuracy = plain_em(units, 7)
    assert found is not None
    assert found.accuracy == pytest.approx(accuracy, abs=1e-9)
    for row, expected in zip(found.truth, truth, strict=True):
        assert dict(zip(map(str, found.categories), row, strict=True)) == pytest.approx(expected, abs=1e-9)


def test_that_accuracies_have_intervals_that_hold_the_truth() -> None:
    known = {"ann": 0.95, "bob": 0.8, "cid": 0.65}
    _, units = votes(known, 1500, seed=2)
    found = accuracies(units, rounds=60)
    plain = dawid_skene(units)
    assert plain is not None
    for who, right in known.items():
        value = found[who]
        assert value.value == pytest.approx(plain.accuracy[who], abs=1e-9)
        assert value.low is not None and value.high is not None
        assert value.low < value.value < value.high
        assert value.low - 0.02 <= right <= value.high + 0.02
    assert accuracies([]) == {}
