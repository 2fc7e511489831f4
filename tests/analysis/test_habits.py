"""Habits of annotators on made-up labels whose habits are known."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from workbench.analysis.habits import (
    Share,
    by_length,
    days,
    gold_accuracy,
    left_picks,
    length_gaps,
    longer_wins,
    overall,
    pace,
    self_consistency,
    sitting,
)
from workbench.analysis.order import wilson
from workbench.analysis.votes import sort_out
from workbench.domain.judgement import Item, Judgement, Ranking
from workbench.domain.said import said_of, shape_of
from workbench.domain.text import Candidate, Prompt

START = datetime(2026, 5, 1, tzinfo=UTC)
A, B, TIE = ((0,), (1,)), ((1,), (0,)), ((1, 0),)


def said(name: str, who: str, *tiers: tuple[int, ...], at: float = 0.0, ms: int = 1000, **more: Any) -> Judgement:
    facts: dict[str, Any] = {"outcome": "ranked", "ranking": Ranking(tiers=tiers)} if tiers else {"outcome": "all_bad"}
    size = sum(map(len, tiers)) or 2
    basics = {
        "shown": tuple(range(size)),
        "shown_seed": 1,
        "milliseconds": ms,
        "created": START + timedelta(seconds=at),
    }
    return Judgement(id=f"{name}{who}{at}", item=name, annotator=who, **{**basics, **facts, **more})


def consistent(*made: Judgement) -> dict[str, Share]:
    return self_consistency(sort_out([said_of(j) for j in made]).repeats)


def item(name: str, *texts: str) -> Item:
    return Item(id=name, prompt=Prompt.from_text(name), candidates=tuple(Candidate(text=t) for t in texts))


def test_that_consistency_compares_each_repeat_with_what_was_said_before() -> None:
    again: dict[str, Any] = {"purpose": "repeat", "shown": (1, 0)}
    found = consistent(
        said("p", "ann", *A, at=0), said("p", "ann", *A, at=1, **again), said("p", "ann", *B, at=2, **again),
        said("q", "ann", *A, at=3), said("q", "bob", *B, at=4), said("r", "bob", at=5), said("r", "bob", at=6, **again),
    )  # fmt: skip
    assert {who: (s.value, s.count) for who, s in found.items()} == {"ann": (0.5, 2), "bob": (1.0, 1)}
    whole = overall(found)
    assert whole is not None
    assert (whole.value, whole.count) == (pytest.approx(2 / 3), 3)
    assert whole.low < whole.value < whole.high


def test_that_a_label_that_was_corrected_is_no_repeat() -> None:
    assert consistent(said("p", "ann", *A, at=0), said("p", "ann", *B, at=1)) == {}


def test_that_a_tie_is_the_same_in_either_order_and_a_skip_says_nothing() -> None:
    skip = said("p", "ann", at=1, outcome="skipped", skip_reason="unclear", purpose="repeat")
    found = consistent(said("p", "ann", (0, 1), at=0), skip, said("p", "ann", *TIE, at=2, purpose="repeat"))
    assert (found["ann"].value, found["ann"].count) == (1.0, 1)
    assert consistent(said("p", "ann", *A)) == {}
    assert consistent(said("p", "ann", *A, purpose="repeat")) == {}  # what it repeats was undone


def test_that_a_repeated_ranking_of_many_counts_by_its_pairs() -> None:
    found = consistent(
        said("p", "ann", (0,), (1,), (2,), at=0), said("p", "ann", (0,), (2,), (1,), at=1, purpose="repeat")
    )
    assert (found["ann"].value, found["ann"].count) == (pytest.approx(2 / 3), 1)


def test_that_gold_items_are_compared_with_their_known_answers() -> None:
    golds = {"p": (0, 1), "q": (1, 0), "r": (0, 1, 1), "t": (0, 0)}
    made = [
        said("p", "ann", *A), said("q", "ann", *A), said("r", "ann", (0,), (2,), (1,)), said("t", "ann", *TIE),
        said("p", "bob"), said("q", "bob", outcome="skipped", skip_reason="unclear"), said("other", "bob", *A),
    ]  # fmt: skip
    found = gold_accuracy(map(said_of, made), golds)
    assert (found["ann"].value, found["ann"].count) == (pytest.approx(3 / 4), 4)
    assert (found["bob"].value, found["bob"].count) == (0.0, 1)


def wins(items: dict[str, Item], labels: list[Judgement]) -> Share | None:
    return longer_wins(length_gaps({name: shape_of(i) for name, i in items.items()}, map(said_of, labels)))


def test_that_length_counts_every_strict_pair_of_different_length() -> None:
    items = {"p": item("p", "short", "much longer"), "q": item("q", "same", "size"), "r": item("r", "a", "bb", "ccc")}
    labels = [said("p", "ann", *B), said("q", "ann", *A), said("r", "ann", (2,), (0, 1))]
    found = wins(items, labels)
    assert found is not None
    assert (found.value, found.count) == (1.0, 3)
    assert wins(items, [said("q", "ann", *A)]) is None


def test_that_pace_leaves_pauses_and_rules_out_and_sees_somebody_tire() -> None:
    slowing = [said(f"i{n}", "ann", *A, at=10.0 * n, ms=1000 + 100 * n) for n in range(30)]
    away = said("away", "ann", *A, at=400, ms=400_000)
    rule = said("rule", "rule", *A, ms=5, annotator_kind="rule")
    found = pace(map(said_of, [*slowing, away, rule]))
    assert set(found) == {"ann"}
    assert found["ann"].items == 30
    assert found["ann"].seconds == pytest.approx(2.45)
    assert found["ann"].drift == pytest.approx((1000 + 100 * 24.5) / (1000 + 100 * 4.5))


def test_that_sittings_are_kept_apart() -> None:
    morning = [said(f"m{n}", "ann", *A, at=10.0 * n, ms=1000) for n in range(9)]
    evening = [said(f"e{n}", "ann", *A, at=30_000 + 10.0 * n, ms=3000) for n in range(9)]
    found = pace(map(said_of, [*morning, *evening]))["ann"]
    assert found.drift == 1.0  # as one sitting, the end would look three times as slow
    assert pace(map(said_of, morning[:4]))["ann"].drift is None


def test_that_left_picks_are_counted_for_each_annotator_with_wilsons_interval() -> None:
    made = [
        said("p", "ann", *A), said("q", "ann", *A, shown=(1, 0)), said("r", "ann", *B, shown=(1, 0)), said("s", "ann", *TIE),
        said("p", "bob", *B), said("q", "rule", *A, annotator_kind="rule"), said("q", "import", *A, ms=0, shown_seed=0),
    ]  # fmt: skip
    found = left_picks(map(said_of, made))
    assert {who: (s.value, s.count) for who, s in found.items()} == {"ann": (pytest.approx(2 / 3), 3), "bob": (0.0, 1)}
    assert (found["ann"].low, found["ann"].high) == pytest.approx(wilson(2, 3))


def test_that_length_is_told_by_how_much_longer() -> None:
    gaps = {5: 30, -5: 30, 50: 45, -60: 15, 400: 60}
    parts = by_length(gaps, bins=3)
    assert [(p.low, p.high, p.share.count) for p in parts] == [(5, 5, 60), (50, 60, 60), (400, 400, 60)]
    assert [p.share.value for p in parts] == [0.5, 0.75, 1.0]
    assert by_length({}) == []
    assert [(p.low, p.high) for p in by_length({3: 100, 9: 1}, bins=4)] == [(3, 3), (9, 9)]


def test_that_a_sitting_is_told_in_parts_of_five_minutes() -> None:
    made = [said(f"i{n}", "ann", *A, at=30.0 * n, ms=1000 + n) for n in range(20)]
    (first, second) = sitting(map(said_of, made))["ann"]
    assert (first.minute, first.count, second.minute, second.count) == (0, 10, 5, 10)
    assert first.middle == pytest.approx(1.0045)
    assert first.low < first.middle < first.high < second.low
    assert sitting(map(said_of, made[:4])) == {}


def test_that_days_are_counted_by_the_clock_of_the_place() -> None:
    made = [said("p", "ann", *A, at=0), said("q", "ann", *A, at=86_399), said("r", "ann", *A, at=86_400)]
    assert days(map(said_of, made), UTC) == {"ann": {START.date(): 2, (START + timedelta(days=1)).date(): 1}}
    east = timezone(timedelta(hours=3))
    assert list(days(map(said_of, made), east)["ann"].values()) == [1, 2]
    assert days([said_of(said("p", "import", *A, ms=0, shown_seed=0))], UTC) == {}
