"""Agreement measures against textbook sums and the published values of PandaLM."""

import json
from itertools import combinations
from pathlib import Path

import pytest

from workbench.analysis.agreement import cohen_kappa, cohen_kappas, fleiss_kappa, krippendorff_alpha, raw_agreement

EXACT = 1e-9


def test_that_cohen_kappa_is_the_textbook_sum() -> None:
    # 50 grant proposals: 20 yes-yes, 5 yes-no, 10 no-yes, 15 no-no; p_o = 0.7, p_e = 0.5
    first = ["yes"] * 25 + ["no"] * 25
    second = ["yes"] * 20 + ["no"] * 5 + ["yes"] * 10 + ["no"] * 15
    assert cohen_kappa(first, second) == pytest.approx(0.4, abs=EXACT)


def test_that_cohen_kappa_is_undefined_where_chance_explains_everything() -> None:
    assert cohen_kappa([], []) is None
    assert cohen_kappa(["a", "a"], ["a", "a"]) is None
    with pytest.raises(ValueError, match="same units"):
        cohen_kappa(["a"], [])


def test_that_fleiss_kappa_is_the_textbook_sum() -> None:
    # Fleiss' worked example layout: 10 subjects, 14 raters, 5 categories; P = 0.378, P_e = 0.213, kappa = 0.210
    counts = [
        (0, 0, 0, 0, 14), (0, 2, 6, 4, 2), (0, 0, 3, 5, 6), (0, 3, 9, 2, 0), (2, 2, 8, 1, 1),
        (7, 7, 0, 0, 0), (3, 2, 6, 3, 0), (2, 5, 3, 2, 2), (6, 5, 2, 1, 0), (0, 2, 2, 3, 7),
    ]  # fmt: skip
    units = [
        {str(i): category for i, category in enumerate(c for c, n in enumerate(row) for _ in range(n))}
        for row in counts
    ]
    shares = [sum(n * (n - 1) for n in row) / (14 * 13) for row in counts]
    pooled = [sum(column) / 140 for column in zip(*counts)]
    expected = sum(p * p for p in pooled)
    kappa = fleiss_kappa(units)
    assert kappa == pytest.approx((sum(shares) / 10 - expected) / (1 - expected), abs=EXACT)
    assert kappa == pytest.approx(0.210, abs=5e-4)


def test_that_krippendorff_alpha_handles_missing_votes_as_published() -> None:
    # the example of Krippendorff's "Computing alpha-reliability": four observers, twelve units, nominal alpha 0.743
    observers = {
        "A": "1 2 3 3 2 1 4 1 2 . . .",
        "B": "1 2 3 3 2 2 4 1 2 5 . 3",
        "C": ". 3 3 3 2 3 4 2 2 5 1 .",
        "D": "1 2 3 3 2 4 4 1 2 5 1 .",
    }
    votes = {name: line.split() for name, line in observers.items()}
    units = [{name: line[i] for name, line in votes.items() if line[i] != "."} for i in range(12)]
    assert krippendorff_alpha(units) == pytest.approx(0.743, abs=5e-4)


def test_that_measures_without_two_votes_or_two_categories_are_undefined() -> None:
    for units in ([], [{"a": "x"}]):
        assert raw_agreement(units) is None
        assert fleiss_kappa(units) is None
        assert krippendorff_alpha(units) is None
        assert cohen_kappas(units) == {}
    same = [{"a": "x", "b": "x"}, {"a": "x", "b": "x"}]
    assert (raw_agreement(same), fleiss_kappa(same), krippendorff_alpha(same)) == (1.0, None, None)


def test_that_raw_agreement_counts_pairs_of_votes() -> None:
    assert raw_agreement([{"a": 1, "b": 1, "c": 2}, {"a": 1}]) == pytest.approx(1 / 3, abs=EXACT)


def test_that_systematic_disagreement_is_below_zero() -> None:
    units = [{"a": "x", "b": "y"}, {"a": "y", "b": "x"}]
    assert cohen_kappas(units) == {"a|b": -1.0}
    assert fleiss_kappa(units) == -1.0
    assert krippendorff_alpha(units) == pytest.approx(-0.5, abs=EXACT)


def test_that_the_published_agreement_of_real_annotators_is_reproduced(shared: Path) -> None:
    rows = json.loads((shared / "data/pandalm/testset-v1.json").read_text(encoding="utf-8"))
    names = ("annotator1", "annotator2", "annotator3")
    units = [{name: row[name] for name in names} for row in rows]
    kappas = cohen_kappas(units)
    published = {
        ("annotator1", "annotator2"): 0.85,
        ("annotator1", "annotator3"): 0.88,
        ("annotator2", "annotator3"): 0.86,
    }
    for a, b in combinations(names, 2):
        assert kappas[f"{a}|{b}"] == pytest.approx(published[a, b], abs=5e-3)
    assert fleiss_kappa(units) == pytest.approx(0.8642, abs=5e-5)
    assert krippendorff_alpha(units) == pytest.approx(0.8642, abs=5e-5)
