"""The statistics of a dataset's labels: what counts as a vote, a game and a look at the screen."""

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from workbench.analysis.label_stats import label_stats
from workbench.domain.judgement import Item, Judgement, Ranking
from workbench.domain.text import Candidate, Prompt

START = datetime(2026, 5, 1, tzinfo=UTC)


def item(name: str, *models: str | None) -> Item:
    candidates = tuple(Candidate(text=f"{name} {i}", model=model) for i, model in enumerate(models))
    return Item(id=name, prompt=Prompt.from_text(name), candidates=candidates)


def said(
    name: str, who: str, *tiers: tuple[int, ...], shown: tuple[int, ...] = (0, 1), minute: int = 0, **more: Any
) -> Judgement:
    facts = {"outcome": "ranked", "ranking": Ranking(tiers=tiers)} if tiers else {}
    basics = {"shown_seed": 7, "milliseconds": 1200, "created": START + timedelta(minutes=minute)}
    return Judgement(id=f"{name}{who}{minute}", item=name, annotator=who, shown=shown, **{**basics, **facts, **more})


def value(found: Any) -> float | None:
    return None if found is None else found.value


A_FIRST, B_FIRST, TIE = ((0,), (1,)), ((1,), (0,)), ((0, 1),)


def test_that_an_empty_dataset_has_the_fixed_shape_with_nothing_in_it() -> None:
    assert label_stats([], []).as_json() == {
        "items": 0,
        "judgements": 0,
        "annotators": [],
        "agreement": {"raw": None, "cohen_kappa": {}, "fleiss_kappa": None, "alpha_nominal": None},
        "order": {"left_rate": None, "low": None, "high": None},
        "reliability": {"alpha_ordinal": None, "intervals": {}, "accuracy": {}},
        "habits": {"longer_wins": None, "pace": {}},
        "ratings": [],
        "comparison": {"ties": None, "circles": 0, "triples": 0},
    }


def test_that_two_annotators_are_compared_on_what_both_judged() -> None:
    items = [item(n, "x", "y") for n in "pqrs"]
    votes = [
        said("p", "ann", *A_FIRST), said("p", "bob", *A_FIRST), said("q", "ann", *B_FIRST), said("q", "bob", *TIE),
        said("r", "ann", *B_FIRST), said("r", "bob", *B_FIRST), said("s", "ann", *A_FIRST),
    ]  # fmt: skip
    stats = label_stats(items, votes)
    assert (stats.items, stats.judgements, stats.annotators) == (4, 7, ("ann", "bob"))
    assert value(stats.agreement.raw) == pytest.approx(2 / 3)
    # p_o = 2/3; ann: first 1/3, second 2/3; bob: 1/3 each; p_e = 1/9 + 2/9
    assert stats.as_json()["agreement"]["cohen_kappa"] == {"ann|bob": pytest.approx((2 / 3 - 1 / 3) / (2 / 3))}


def test_that_rankings_of_three_are_compared_pair_by_pair() -> None:
    votes = [
        said("p", "ann", (0,), (1,), (2,), shown=(0, 1, 2)),
        said("p", "bob", (0,), (2,), (1,), shown=(2, 1, 0)),
    ]
    assert label_stats([item("p", "x", "y", "z")], votes).agreement.raw.value == pytest.approx(2 / 3)


def test_that_all_bad_is_a_vote_and_a_skip_is_none() -> None:
    votes = [
        said("p", "ann", outcome="all_bad"),
        said("p", "bob", outcome="all_bad"),
        said("p", "cy", outcome="skipped", skip_reason="unclear"),
    ]
    stats = label_stats([item("p", "x", "y")], votes)
    assert (value(stats.agreement.raw), stats.judgements) == (1.0, 3)
    assert [(r.model, r.wins, r.ties, r.losses) for r in stats.ratings] == [("x", 0, 2, 0), ("y", 0, 2, 0)]


def test_that_the_left_rate_looks_at_places_not_at_candidates() -> None:
    items = [item(n, None, None) for n in "pqrs"]
    votes = [
        said("p", "ann", *A_FIRST, shown=(0, 1)),
        said("q", "ann", *A_FIRST, shown=(1, 0)),
        said("r", "ann", *B_FIRST, shown=(1, 0)),
        said("s", "ann", *TIE),
    ]
    stats = label_stats(items, votes)
    assert value(stats.left) == pytest.approx(2 / 3)
    assert stats.ratings == ()


def test_that_labels_that_nobody_saw_here_say_nothing_about_order() -> None:
    votes = [
        said("p", "imported", *A_FIRST, shown_seed=0, milliseconds=0),
        said("p", "rule", *A_FIRST, annotator_kind="rule"),
    ]
    assert label_stats([item("p", "x", "y")], votes).left is None


def test_that_models_are_rated_best_first_with_elo_in_the_order_of_time() -> None:
    items = [item(n, "sft", "ppo") for n in "pqr"]
    votes = [said("r", "ann", *A_FIRST, minute=2), said("p", "ann", *B_FIRST), said("q", "ann", *B_FIRST, minute=1)]
    best, worst = label_stats(items, votes).ratings
    assert (best.model, best.wins, best.ties, best.losses) == ("ppo", 2, 0, 1)
    assert best.bradley_terry is not None and best.low is not None and best.high is not None
    assert best.low < best.bradley_terry < best.high
    assert worst.bradley_terry == pytest.approx(-best.bradley_terry)
    assert best.elo == pytest.approx(label_stats(items, votes[::-1]).ratings[0].elo)


def test_that_a_model_that_never_lost_has_elo_but_no_invented_strength() -> None:
    rating = label_stats([item("p", "x", "y")], [said("p", "ann", *A_FIRST)]).ratings[0]
    assert (rating.model, rating.bradley_terry, rating.low) == ("x", None, None)
    assert rating.elo > 1000


def test_that_candidates_of_one_model_are_no_game_and_strange_items_are_passed_over() -> None:
    stats = label_stats([item("p", "x", "x")], [said("p", "ann", *A_FIRST), said("elsewhere", "ann", *A_FIRST)])
    assert (stats.judgements, stats.ratings) == (1, ())


def test_that_real_verdicts_of_three_people_rate_real_models(shared: Path) -> None:
    rows = json.loads((shared / "data/pandalm/testset-v1.json").read_text(encoding="utf-8"))
    items, votes = [], []
    for row in rows:
        name = str(row["idx"])
        items.append(item(name, *row["cmp_key"].split("_")))
        for who in ("annotator1", "annotator2", "annotator3"):
            votes.append(said(name, who, *{0: TIE, 1: A_FIRST, 2: B_FIRST}[row[who]]))
    stats = label_stats(items, votes)
    assert (stats.items, stats.judgements) == (999, 2997)
    assert value(stats.agreement.fleiss_kappa) == pytest.approx(0.8642, abs=5e-5)
    assert value(stats.agreement.alpha_nominal) == pytest.approx(0.8642, abs=5e-5)
    assert len(stats.ratings) == 5
    assert sum(r.wins for r in stats.ratings) == sum(r.losses for r in stats.ratings)
    json.dumps(stats.as_json(), allow_nan=False)


def test_that_importing_the_statistics_loads_neither_numpy_nor_scipy() -> None:
    code = "import sys, workbench.analysis.label_stats as m; print(sorted({'numpy', 'scipy'} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_that_the_published_agreement_of_real_annotators_comes_with_intervals(shared: Path) -> None:
    rows = json.loads((shared / "data" / "pandalm" / "testset-v1.json").read_text(encoding="utf-8"))
    items, labels = [], []
    for number, row in enumerate(rows):
        items.append(item(str(number), "x", "y"))
        for who in ("annotator1", "annotator2", "annotator3"):
            verdict = int(row[who])
            labels.append(said(str(number), who, *(TIE if verdict == 0 else A_FIRST if verdict == 1 else B_FIRST)))
    stats = label_stats(items, labels)
    assert value(stats.agreement.fleiss_kappa) == pytest.approx(0.8642, abs=5e-5)
    assert value(stats.agreement.alpha_nominal) == pytest.approx(0.8642, abs=5e-5)
    for name in ("raw", "fleiss_kappa", "alpha_nominal"):
        found = getattr(stats.agreement, name)
        assert found.low < found.value < found.high
        assert found.high - found.low < 0.06
    assert set(stats.accuracy) == {"annotator1", "annotator2", "annotator3"}
    assert min(a.value for a in stats.accuracy.values()) > 0.9
    assert stats.ties is not None


def test_that_habits_and_circles_reach_the_document() -> None:
    items = [item("p", "x", "y"), item("q", "y", "z"), item("r", "z", "x")]
    document = label_stats(items, [said(n, "ann", *A_FIRST) for n in "pqr"]).as_json()
    assert document["comparison"] == {"ties": None, "circles": 1, "triples": 1}
    assert document["habits"]["pace"]["ann"]["seconds"] == 1.2
    assert json.dumps(document)
