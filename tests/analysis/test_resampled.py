"""Agreement in one pass against the plain formulas, and its intervals against what they promise."""

import json
import random
from pathlib import Path

import pytest

from workbench.analysis.agreement import cohen_kappas, fleiss_kappa, krippendorff_alpha, raw_agreement
from workbench.analysis.alpha import alpha, bootstrap
from workbench.analysis.resampled import agreement, pair_agreements
from workbench.analysis.votes import ALL_BAD, FIRST, ORDERED, SECOND, TIE, VOTES, Unit

EXACT = 1e-9


def votes(items: int, seed: int = 0, people: str = "abc", pairs: int = 1, truth: float = 0.7) -> list[list[Unit]]:
    draw = random.Random(seed)
    made = []
    for _ in range(items):
        units = []
        for _ in range(pairs):
            right = draw.choice(VOTES)
            unit = {w: right if draw.random() < truth else draw.choice(VOTES) for w in people if draw.random() < 0.8}
            units.append(unit)
        made.append(units)
    return made


def flat(items: list[list[Unit]]) -> list[Unit]:
    return [unit for units in items for unit in units]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("pairs", [1, 3])
def test_that_one_pass_gives_what_the_plain_formulas_give(seed: int, pairs: int) -> None:
    items = votes(60, seed, pairs=pairs)
    units = flat(items)
    found = agreement(items, rounds=50)
    assert found.raw and found.fleiss_kappa and found.alpha_nominal and found.alpha_ordinal
    ordered = [{w: v for w, v in unit.items() if v in ORDERED} for unit in units]
    assert found.raw.value == pytest.approx(raw_agreement(units), abs=EXACT)
    assert found.fleiss_kappa.value == pytest.approx(fleiss_kappa(units), abs=EXACT)
    assert found.alpha_nominal.value == pytest.approx(krippendorff_alpha(units), abs=EXACT)
    assert found.alpha_ordinal.value == pytest.approx(alpha(ordered, "ordinal", ORDERED), abs=EXACT)
    kappas = {f"{p.first}|{p.second}": p.kappa.value for p in pair_agreements(items, 50) if p.kappa}
    assert kappas == pytest.approx(cohen_kappas(units), abs=EXACT)


def test_that_a_draw_of_patterns_is_a_draw_of_items() -> None:
    items = votes(300, 3)
    ours = agreement(items, rounds=4000).fleiss_kappa
    plain = bootstrap(fleiss_kappa, flat(items), rounds=1500)
    assert ours and plain and ours.low is not None and ours.high is not None
    assert ours.low == pytest.approx(plain.low, abs=0.01)
    assert ours.high == pytest.approx(plain.high, abs=0.01)


def test_that_pairs_of_one_item_hang_together_in_the_interval() -> None:
    # The same votes ten times in each item: no more is known than from the items alone.
    single = votes(100, 4)
    repeated = [units * 10 for units in single]
    one, ten = agreement(single).raw, agreement(repeated).raw
    assert one and ten and None not in {one.low, one.high, ten.low, ten.high}
    assert ten.value == pytest.approx(one.value)
    assert ten.high - ten.low == pytest.approx(one.high - one.low, rel=0.05)  # type: ignore[operator]


def test_that_nine_in_ten_intervals_and_more_hold_the_truth() -> None:
    # Two votes agree with probability t² + (1 - t²) / 4 when each is the truth with probability t, else any of four.
    expected = 0.7**2 + (1 - 0.7**2) / 4
    inside = 0
    for seed in range(100):
        found = agreement(votes(120, seed), rounds=200).raw
        assert found and found.low is not None and found.high is not None
        inside += found.low <= expected <= found.high
    assert inside >= 90


def test_that_the_confusion_of_two_annotators_is_counted() -> None:
    items: list[list[Unit]] = [
        [{"b": TIE, "a": FIRST}],
        [{"a": FIRST, "b": FIRST}],
        [{"a": ALL_BAD}],
        [{"a": SECOND, "b": TIE}],
    ]
    (pair,) = pair_agreements(items)
    assert (pair.first, pair.second, pair.items) == ("a", "b", 3)
    assert pair.table == ((1, 1, 0, 0), (0, 0, 0, 0), (0, 1, 0, 0), (0, 0, 0, 0))
    assert pair.raw.value == pytest.approx(1 / 3)


def test_that_full_agreement_has_wilsons_interval_for_the_share_and_none_for_kappa() -> None:
    items: list[list[Unit]] = [[{"a": FIRST, "b": FIRST}], [{"a": SECOND, "b": SECOND}]] * 4
    found = agreement(items)
    assert found.raw and found.raw.value == 1.0 and found.raw.low == pytest.approx(0.6756, abs=1e-4)
    assert found.fleiss_kappa and found.fleiss_kappa.value == 1.0 and found.fleiss_kappa.low is None


def test_that_one_category_or_no_second_vote_is_undefined() -> None:
    same = agreement([[{"a": FIRST, "b": FIRST}]] * 5)
    assert (same.items, same.votes, same.fleiss_kappa, same.alpha_nominal) == (5, 5, None, None)
    assert agreement([[{"a": FIRST}], []]) == agreement([])
    assert agreement([]).raw is None
    assert pair_agreements([[{"a": FIRST}]]) == []


def test_that_pandalm_gives_its_published_agreement(shared: Path) -> None:
    rows = json.loads((shared / "data/pandalm/testset-v1.json").read_text(encoding="utf-8"))
    words = {0: TIE, 1: FIRST, 2: SECOND}
    items: list[list[Unit]] = [[{f"annotator{i}": words[row[f"annotator{i}"]] for i in (1, 2, 3)}] for row in rows]
    found = agreement(items)
    assert found.fleiss_kappa and found.alpha_nominal
    assert found.fleiss_kappa.value == pytest.approx(0.8642, abs=5e-5)
    assert found.alpha_nominal.value == pytest.approx(0.8642, abs=5e-5)
    kappas = [round(pair.kappa.value, 2) for pair in pair_agreements(items) if pair.kappa]
    assert kappas == [0.85, 0.88, 0.86]
