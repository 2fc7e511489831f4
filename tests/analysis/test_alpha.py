"""Alpha against its published worked example, and intervals that behave as intervals must."""

import random
from fractions import Fraction

import pytest

from workbench.analysis.agreement import Unit, fleiss_kappa, krippendorff_alpha, raw_agreement
from workbench.analysis.alpha import alpha, bootstrap

# Krippendorff's worked example: four observers, twelve units, dots are missing.
OBSERVERS = {"A": "1233214 12...", "B": "12332241 25.3", "C": ".3332342 251.", "D": "12332441 251."}
OBSERVERS = {who: said.replace(" ", "") for who, said in OBSERVERS.items()}
WORKED: list[Unit] = [
    {who: int(said[u]) for who, said in OBSERVERS.items() if said[u] != "."} for u in range(12)
]  # fmt: skip


@pytest.mark.parametrize(("level", "published"), [("nominal", 0.743), ("ordinal", 0.815), ("interval", 0.849)])
def test_that_alpha_is_the_published_one_at_every_level(level: str, published: float) -> None:
    assert alpha(WORKED, level) == pytest.approx(published, abs=6e-4)  # type: ignore[arg-type]


def test_that_alpha_is_exact_from_the_published_coincidences() -> None:
    # Krippendorff 2011, the matrix of coincidences of this very example, and his three metrics, in fractions.
    third = Fraction(1, 3)
    rows = [
        [7, 4 * third, third, third, 0], [4 * third, 10, 4 * third, third, 0], [third, 4 * third, 8, third, 0],
        [third, third, third, 4, 0], [0, 0, 0, 0, 3],
    ]  # fmt: skip
    margin = [sum(row) for row in rows]
    assert margin == [9, 13, 10, 5, 3]
    levels = {
        "nominal": lambda a, b: Fraction(a != b),
        "interval": lambda a, b: Fraction((a - b) ** 2),
        "ordinal": lambda a, b: (
            (Fraction(sum(margin[min(a, b) : max(a, b) + 1])) - Fraction(margin[a] + margin[b], 2)) ** 2
        ),
    }
    cells = [(a, b) for a in range(5) for b in range(5)]
    for level, metric in levels.items():
        observed = sum(rows[a][b] * metric(a, b) for a, b in cells)
        expected = sum(margin[a] * margin[b] * metric(a, b) for a, b in cells if a != b)
        exact = 1 - (sum(margin) - 1) * observed / expected
        assert alpha(WORKED, level) == pytest.approx(float(exact), abs=1e-12)  # type: ignore[arg-type]
    assert alpha(WORKED, "nominal") == pytest.approx(904 / 1216, abs=1e-12)


def test_that_the_nominal_alpha_is_that_of_the_plain_function() -> None:
    assert alpha(WORKED, "nominal") == pytest.approx(krippendorff_alpha(WORKED), abs=1e-12)


def test_that_the_order_of_ordinal_categories_counts() -> None:
    units: list[Unit] = [
        {"a": "low", "b": "middle"},
        {"a": "high", "b": "high"},
        {"a": "low", "b": "low"},
        {"a": "middle", "b": "high"},
    ]
    right = alpha(units, "ordinal", ["low", "middle", "high"])
    wrong = alpha(units, "ordinal", ["middle", "low", "high"])
    assert right is not None
    assert wrong is not None
    assert right > wrong


def test_that_alpha_without_disagreement_to_expect_is_undefined() -> None:
    assert alpha([], "nominal") is None
    assert alpha([{"a": 1}], "ordinal") is None
    assert alpha([{"a": 1, "b": 1}, {"a": 1, "b": 1}], "interval") is None


def test_that_a_bootstrap_interval_holds_the_value_and_narrows_with_units() -> None:
    draw = random.Random(3)
    units: list[Unit] = [
        {"a": (t := draw.randrange(3)), "b": t if draw.random() < 0.8 else draw.randrange(3)} for _ in range(400)
    ]
    few, many = bootstrap(raw_agreement, units[:40], 400), bootstrap(raw_agreement, units, 400)
    assert few is not None
    assert many is not None
    for found in (few, many):
        assert found.low <= found.value <= found.high
    assert (many.high - many.low) < 0.6 * (few.high - few.low)


def test_that_the_interval_of_a_share_is_near_the_binomial_one() -> None:
    units: list[Unit] = [{"a": 1, "b": 1 if i < 80 else 2} for i in range(100)]
    found = bootstrap(raw_agreement, units, 2000, seed=1)
    assert found is not None
    assert found.value == 0.8
    assert found.low == pytest.approx(0.8 - 1.96 * 0.04, abs=0.02)
    assert found.high == pytest.approx(0.8 + 1.96 * 0.04, abs=0.02)


def test_that_an_undefined_measure_has_no_interval_and_a_seed_repeats_it() -> None:
    assert bootstrap(fleiss_kappa, [{"a": 1, "b": 1}]) is None
    assert bootstrap(fleiss_kappa, WORKED, 100, 5) == bootstrap(fleiss_kappa, WORKED, 100, 5)
