"""The consensus of noisy voters, simulated so that the truth is known."""

import random
from collections import Counter

import pytest

from workbench.analysis.consensus import Unit, dawid_skene


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
