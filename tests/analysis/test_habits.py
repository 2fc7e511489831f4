"""Habits of annotators on made-up labels whose habits are known."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from workbench.analysis.habits import circles, longer_wins, pace, self_consistency
from workbench.domain.judgement import Item, Judgement, Ranking
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


def item(name: str, *texts: str) -> Item:
    return Item(id=name, prompt=Prompt.from_text(name), candidates=tuple(Candidate(text=t) for t in texts))


def test_that_consistency_compares_each_repeat_with_the_time_before() -> None:
    labels = [
        said("p", "ann", *A, at=0), said("p", "ann", *A, at=1), said("p", "ann", *B, at=2),
        said("q", "ann", *A, at=3), said("q", "bob", *B, at=4), said("r", "bob", at=5), said("r", "bob", at=6),
    ]  # fmt: skip
    found = self_consistency(labels)
    assert found is not None
    assert (found.value, found.count) == (pytest.approx(2 / 3), 3)
    assert found.low < found.value < found.high


def test_that_a_tie_is_the_same_in_either_order_and_a_skip_says_nothing() -> None:
    skip = said("p", "ann", at=1, outcome="skipped", skip_reason="unclear")
    found = self_consistency([said("p", "ann", (0, 1), at=0), skip, said("p", "ann", *TIE, at=2)])
    assert found is not None
    assert (found.value, found.count) == (1.0, 1)
    assert self_consistency([said("p", "ann", *A)]) is None


def test_that_length_counts_every_strict_pair_of_different_length() -> None:
    items = {"p": item("p", "short", "much longer"), "q": item("q", "same", "size"), "r": item("r", "a", "bb", "ccc")}
    labels = [said("p", "ann", *B), said("q", "ann", *A), said("r", "ann", (2,), (0, 1)), said("gone", "ann", *A)]
    found = longer_wins(items, labels)
    assert found is not None
    assert (found.value, found.count) == (1.0, 3)
    assert longer_wins(items, [said("q", "ann", *A)]) is None


def test_that_pace_leaves_pauses_and_rules_out_and_sees_somebody_tire() -> None:
    slowing = [said(f"i{n}", "ann", *A, at=10.0 * n, ms=1000 + 100 * n) for n in range(30)]
    away = said("away", "ann", *A, at=400, ms=400_000)
    rule = said("rule", "rule", *A, ms=5, annotator_kind="rule")
    found = pace([*slowing, away, rule])
    assert set(found) == {"ann"}
    assert found["ann"].items == 30
    assert found["ann"].seconds == pytest.approx(2.45)
    assert found["ann"].drift == pytest.approx((1000 + 100 * 24.5) / (1000 + 100 * 4.5))


def test_that_sittings_are_kept_apart() -> None:
    morning = [said(f"m{n}", "ann", *A, at=10.0 * n, ms=1000) for n in range(9)]
    evening = [said(f"e{n}", "ann", *A, at=30_000 + 10.0 * n, ms=3000) for n in range(9)]
    found = pace([*morning, *evening])["ann"]
    assert found.drift == 1.0  # as one sitting, the end would look three times as slow
    assert pace(morning[:4])["ann"].drift is None


def test_that_a_circle_of_majorities_is_found() -> None:
    ring = [("a", "b", 1.0), ("b", "c", 1.0), ("c", "a", 1.0)]
    assert circles(ring) == (1, 1)
    assert circles([(b, a, r) for a, b, r in ring]) == (1, 1)
    assert circles([("a", "b", 1.0), ("b", "c", 1.0), ("a", "c", 1.0)]) == (0, 1)
    assert circles([*ring, ("a", "c", 1.0)]) == (0, 0)  # a and c are even
    four = [("a", "b", 1.0), ("b", "c", 1.0), ("c", "a", 1.0), ("d", "a", 1.0), ("d", "b", 1.0), ("d", "c", 1.0)]
    assert circles(four) == (1, 4)
