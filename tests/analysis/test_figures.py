"""Figures: which there are for what was measured, what they rest on, and how they read as numbers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from workbench.analysis import sentences
from workbench.analysis.alpha import Interval
from workbench.analysis.contests import win_rates
from workbench.analysis.figures import (
    Figure,
    agreement_figures,
    habit_figures,
    model_figures,
    random_figures,
    reliability_figures,
)
from workbench.analysis.habits import Pace, Share, share
from workbench.analysis.label_stats import LabelStats, Rating
from workbench.analysis.ratings import Strength
from workbench.analysis.resampled import Agreement, PairAgreement

RAW, KAPPA = Interval(0.8, 0.7, 0.9), Interval(0.6, 0.5, 0.7)
ALPHA, ORDINAL = Interval(0.61, 0.51, 0.71), Interval(0.9, 0.85, 0.95)
AGREED = Agreement(40, 90, RAW, KAPPA, ALPHA, ORDINAL)
NOTHING = Agreement(0, 0)
LEFT = Share(0.7, 0.6, 0.8, 90)
NO_TABLE = ((0,) * 4,) * 4


def stats(**more: Any) -> LabelStats:
    return LabelStats(**{"items": 40, "judgements": 90, "annotators": ("ann", "bob"), "agreement": NOTHING, **more})


def rating(model: str, value: float | None, reach: float = 0.1, **more: Any) -> Rating:
    low, high = (None, None) if value is None else (value - reach, value + reach)
    return Rating(model, value, low, high, **{"elo": 1000.0, "wins": 6, "ties": 3, "losses": 1, **more})


def by_name(figures: Iterable[Figure]) -> dict[str, Figure]:
    listed = list(figures)
    found = {figure.name: figure for figure in listed}
    assert len(found) == len(listed), "two figures of one name"
    return found


def figure(value: float, low: float | None = None, high: float | None = None, kind: Any = "number") -> Figure:
    return Figure("name", "Title", value, low, high, 10, "items", "sentence", "Agreement", kind)


@pytest.mark.parametrize(
    ("kind", "value", "low", "high", "number"),
    [
        ("number", 0.644, 0.549, 0.721, "0.64 [0.55, 0.72]"),
        ("number", -0.25, None, None, "−0.25"),
        ("number", -0.001, None, None, "0.00"),
        ("number", -0.001, -0.25, 0.004, "0.00 [−0.25, 0.00]"),
        ("number", 0.5, None, 0.7, "0.50"),
        ("number", 0.5, 0.3, None, "0.50"),
        ("number", 0.5, 0.0, 1.0, "0.50 [0.00, 1.00]"),
        ("share", 0.644, 0.549, 0.721, "64 % [55 %, 72 %]"),
        ("share", 0.64, 0.6301, 0.65, "64.0 % [63.0 %, 65.0 %]"),
        ("share", 0.64, 0.63, 0.65, "64 % [63 %, 65 %]"),
        ("share", 0.0, 0.0, 0.3, "0 % [0 %, 30 %]"),
        ("share", 1.0, 0.7, 1.0, "100 % [70 %, 100 %]"),
        ("share", 0.004, None, None, "0.4 %"),
        ("share", 0.01, None, None, "1 %"),
        ("share", 0.99, None, None, "99 %"),
        ("share", 0.996, None, None, "99.6 %"),
        ("seconds", 4.25, None, None, "4.2 s"),
        ("seconds", 61.0, 3.0, 70.0, "61.0 s [3.0 s, 70.0 s]"),
        ("count", 12345.4, None, None, "12,345"),
        ("count", 0, None, None, "0"),
    ],
)
def test_that_a_figure_reads_as_people_write_it(
    kind: Any, value: float, low: float | None, high: float | None, number: str
) -> None:
    assert figure(value, low, high, kind).number() == number


def test_that_no_value_is_a_dash() -> None:
    assert figure(0.5).told(None) == "–"


def test_that_machines_get_every_field() -> None:
    assert figure(0.5, 0.4, 0.6, "share").as_json() == {
        "name": "name", "title": "Title", "value": 0.5, "low": 0.4, "high": 0.6, "count": 10, "of": "items",
        "sentence": "sentence", "group": "Agreement", "kind": "share",
    }  # fmt: skip


def test_that_agreement_has_one_figure_for_each_measure_that_is_defined() -> None:
    found = by_name(agreement_figures(AGREED))
    assert {name: (f.title, f.value, f.low, f.high, f.kind) for name, f in found.items()} == {
        "agreement.raw": ("Raw agreement", 0.8, 0.7, 0.9, "share"),
        "agreement.fleiss_kappa": ("Fleiss' kappa", 0.6, 0.5, 0.7, "number"),
        "agreement.alpha_nominal": ("Krippendorff's alpha", 0.61, 0.51, 0.71, "number"),
        "agreement.alpha_ordinal": ("Krippendorff's alpha (ordinal)", 0.9, 0.85, 0.95, "number"),
    }
    assert {(f.count, f.of, f.group) for f in found.values()} == {(40, "items judged by several", "Agreement")}
    assert [f.sentence for f in found.values()] == [
        sentences.raw(RAW, 40), sentences.kappa(KAPPA, 0.8, 40), sentences.alpha(ALPHA, 40),
        sentences.alpha(ORDINAL, 40, ordinal=True),
    ]  # fmt: skip


@pytest.mark.parametrize("missing", ["fleiss_kappa", "alpha_nominal", "alpha_ordinal"])
def test_that_a_measure_that_is_undefined_has_no_figure(missing: str) -> None:
    found = by_name(agreement_figures(Agreement(**{**vars(AGREED), missing: None})))
    assert f"agreement.{missing}" not in found and len(found) == 3


def test_that_nothing_judged_twice_has_no_figure_at_all() -> None:
    assert list(agreement_figures(NOTHING)) == []
    assert list(reliability_figures(stats(), {}, {}, {})) == []
    assert list(habit_figures(stats())) == []
    assert list(model_figures(stats(), {})) == []
    assert list(random_figures(stats())) == []


def test_that_a_dimension_is_named_in_names_and_titles() -> None:
    found = by_name(reliability_figures(stats(), {}, {}, {"harmless": AGREED}))
    assert list(found) == [f"agreement.harmless.{m}" for m in ("raw", "fleiss_kappa", "alpha_nominal", "alpha_ordinal")]
    assert found["agreement.harmless.raw"].title == "Raw agreement, harmless"


def test_that_pairs_of_annotators_have_cohens_kappa_where_it_is_defined() -> None:
    pairs = (
        PairAgreement("ann", "bob", 12, RAW, KAPPA, NO_TABLE),
        PairAgreement("ann", "cy", 3, RAW, None, NO_TABLE),
    )
    found = by_name(reliability_figures(stats(pairs=pairs), {}, {}, {}))
    assert list(found) == ["agreement.cohen_kappa.ann|bob"]
    one = found["agreement.cohen_kappa.ann|bob"]
    assert (one.title, one.number(), one.count, one.of) == (
        "Cohen's kappa, ann and bob", "0.60 [0.50, 0.70]", 12, "items judged by both"
    )  # fmt: skip
    assert one.sentence == sentences.kappa(KAPPA, 0.8, 12)


def test_that_one_annotator_is_not_told_twice_and_several_are_told_together_first() -> None:
    alone = by_name(reliability_figures(stats(), {"ann": LEFT}, {"ann": LEFT}, {}))
    assert list(alone) == ["consistency.ann", "gold.ann"]
    half = Share(0.5, 0.4, 0.6, 10)
    found = by_name(reliability_figures(stats(), {"ann": LEFT, "bob": half}, {}, {}))
    assert list(found) == ["consistency", "consistency.ann", "consistency.bob"]
    whole = share(0.7 * 90 + 5, 100)
    assert whole is not None
    together = found["consistency"]
    assert (together.value, together.low, together.high, together.count) == (whole.value, whole.low, whole.high, 100)
    assert (together.title, found["consistency.ann"].title) == ("Self-consistency", "Self-consistency, ann")
    assert (together.of, together.kind, together.group) == ("repeats", "share", "Agreement")
    assert together.sentence == sentences.consistency(whole)
    assert found["consistency.ann"].sentence == sentences.consistency(LEFT, "ann")


def test_that_known_answers_and_the_consensus_say_who_is_right() -> None:
    found = by_name(
        reliability_figures(stats(agreement=AGREED, accuracy={"ann": RAW, "bob": KAPPA}), {}, {"ann": LEFT}, {})
    )
    gold, right = found["gold.ann"], found["accuracy.bob"]
    assert (gold.title, gold.of, gold.count, gold.sentence) == (
        "Gold accuracy, ann", "gold items", 90, sentences.gold(LEFT, "ann")
    )  # fmt: skip
    assert (right.title, right.number(), right.count, right.of, right.group) == (
        "Accuracy against the consensus, bob", "60 % [50 %, 70 %]", 40, "items judged by several", "Agreement"
    )  # fmt: skip
    assert right.sentence == sentences.accuracy(KAPPA, 2)


def test_that_habits_are_side_length_and_time() -> None:
    longer, slow = Share(0.55, 0.5, 0.6, 300), Pace(4.25, 1.5, 60)
    made = stats(left=LEFT, left_by={"ann": LEFT}, longer_wins=longer, pace={"ann": slow})
    found = by_name(habit_figures(made))
    assert {name: (f.title, f.number(), f.count, f.of, f.kind) for name, f in found.items()} == {
        "left.ann": ("Left response preferred, ann", "70 % [60 %, 80 %]", 90, "strict choices", "share"),
        "longer": ("Longer response preferred", "55 % [50 %, 60 %]", 300, "preferences", "share"),
        "pace.ann": ("Time for an item, ann", "4.2 s", 60, "items", "seconds"),
    }
    assert {f.group for f in found.values()} == {"Habits"}
    assert found["left.ann"].sentence == sentences.left(LEFT, "ann")
    assert found["longer"].sentence == sentences.longer(longer)
    assert found["pace.ann"].sentence == sentences.pace(slow)


def test_that_a_model_has_a_strength_by_each_way_of_counting_ties_and_an_elo() -> None:
    one = rating("m", 0.5, davidson=Strength(0.4, 0.3, 0.5), rao_kupper=Strength(0.45, 0.35, 0.55), elo=1033.6)
    found = by_name(model_figures(stats(ratings=(one,)), {}))
    assert {name: (f.title, f.number(), f.count, f.of) for name, f in found.items()} == {
        "bradley_terry.m": ("Bradley–Terry, m", "0.50 [0.40, 0.60]", 10, "comparisons"),
        "davidson.m": ("Davidson, m", "0.40 [0.30, 0.50]", 10, "comparisons"),
        "rao_kupper.m": ("Rao–Kupper, m", "0.45 [0.35, 0.55]", 10, "comparisons"),
        "elo.m": ("Elo, m", "1,034", 10, "comparisons"),
    }
    assert {f.group for f in found.values()} == {"Models"}
    assert "1000 at the start" in found["elo.m"].sentence


def test_that_a_model_without_a_finite_strength_has_its_elo_alone() -> None:
    assert list(by_name(model_figures(stats(ratings=(rating("m", None),)), {}))) == ["elo.m"]


@pytest.mark.parametrize(
    ("values", "rivals"),
    [
        ([("a", 1.0, 0.1), ("b", 0.5, 0.1), ("c", -1.5, 0.1)], ["", "", ""]),
        ([("a", 1.0, 0.3), ("b", 0.5, 0.3), ("c", -1.5, 0.1)], ["b", "a", ""]),
        ([("a", 1.0, 0.3), ("b", 0.5, 0.3), ("c", 0.0, 0.3)], ["b", "c", "b"]),
        ([("a", 1.0, 0.25), ("b", 0.5, 0.25)], ["b", "a"]),
        ([("a", 1.0, 0.25), ("x", None, 0.0), ("b", 0.5, 0.25)], ["b", "a"]),
        ([("a", 1.0, 0.1)], [""]),
    ],
)
def test_that_a_model_is_told_which_neighbour_it_can_not_be_told_from(
    values: list[tuple[str, float | None, float]], rivals: list[str]
) -> None:
    figures = model_figures(stats(ratings=tuple(rating(*one) for one in values)), {})
    told = [f.sentence for f in figures if f.name.startswith("bradley_terry.")]
    for sentence, rival in zip(told, rivals, strict=True):
        assert ("not to be told from" in sentence) == bool(rival)
        assert f"not to be told from {rival} yet" in sentence or not rival


def test_that_a_rival_is_named_once_and_not_for_each_way_of_counting_ties() -> None:
    more = {"davidson": Strength(0.4, 0.3, 0.5)}
    found = by_name(model_figures(stats(ratings=(rating("a", 0.5, 0.3, **more), rating("b", 0.4, 0.3))), {}))
    assert "told from b" in found["bradley_terry.a"].sentence
    assert "told from" not in found["davidson.a"].sentence


def test_that_two_models_have_one_win_rate_between_them() -> None:
    rates = win_rates([("b", "a", 1.0), ("a", "b", 0.0), ("a", "b", 0.5), ("a", "b", 1.0)])
    assert len(rates) == 2
    found = by_name(model_figures(stats(), rates))
    assert list(found) == ["wins.a|b"]
    one = found["wins.a|b"]
    assert (one.title, one.value, one.count, one.of, one.group) == (
        "a preferred over b", 1.5 / 4, 4, "comparisons", "Models"
    )  # fmt: skip


def test_that_circles_and_ties_are_told_where_there_could_be_some() -> None:
    games = (rating("a", 0.1), rating("b", -0.1))
    found = by_name(model_figures(stats(ratings=games, circles=(2, 5), ties=0.8), {}))
    assert (found["circles"].number(), found["circles"].count, found["circles"].of) == ("2", 5, "triples")
    assert found["circles"].sentence == sentences.circles(2, 5)
    assert (found["ties"].number(), found["ties"].count) == ("0.80", 10)  # 20 results of two models are 10 comparisons
    assert found["ties"].sentence == sentences.ties(0.8)
    none = by_name(model_figures(stats(ratings=games, circles=(0, 0)), {}))
    assert "circles" not in none and "ties" not in none
    assert by_name(model_figures(stats(circles=(0, 4)), {}))["circles"].number() == "0"
    assert by_name(model_figures(stats(ties=0.0), {}))["ties"].number() == "0.00"


def test_that_figures_on_random_items_say_so_and_keep_to_the_main_ones() -> None:
    longer = Share(0.55, 0.5, 0.6, 300)
    strong = rating("m", 0.5, davidson=Strength(0.4, 0.3, 0.5))
    found = by_name(random_figures(stats(agreement=AGREED, left=LEFT, longer_wins=longer, ratings=(strong,), ties=1.0)))
    assert list(found) == [
        "random.agreement.raw", "random.agreement.fleiss_kappa", "random.agreement.alpha_nominal",
        "random.agreement.alpha_ordinal", "random.left", "random.longer", "random.bradley_terry.m",
    ]  # fmt: skip
    assert {f.group for f in found.values()} == {"Items drawn at random"}
    assert all("on random items" in f.title for f in found.values())
    assert (found["random.left"].value, found["random.longer"].value) == (0.7, 0.55)
    assert (found["random.left"].of, found["random.left"].kind) == ("choices", "share")
    strength = found["random.bradley_terry.m"]
    assert (strength.title, strength.number()) == ("Bradley–Terry, m, on random items", "0.50 [0.40, 0.60]")
