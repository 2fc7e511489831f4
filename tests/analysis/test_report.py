"""The whole report: what it lists, the table of every number, the document for machines; and labels that say next to nothing."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from datetime import date
from typing import Any

import pytest

from workbench.analysis.agreement import fleiss_kappa, krippendorff_alpha, raw_agreement
from workbench.analysis.consensus import accuracies
from workbench.analysis.contests import win_rates
from workbench.analysis.habits import by_length, length_gaps, longer_wins, pace, share
from workbench.analysis.label_stats import summary
from workbench.analysis.order import wilson
from workbench.analysis.pairwise import Answer, copeland, settle
from workbench.analysis.ratings import bradley_terry, elo, tally
from workbench.analysis.report import COLUMNS, Report, report
from workbench.analysis.resampled import agreement, pair_agreements
from workbench.analysis.studies import figures, interval
from workbench.analysis.tied_ratings import tied_ratings
from workbench.analysis.votes import VOTES, games_of, pair_votes, picks, sort_out, units_of
from workbench.domain.said import Said, Shape
from workbench.domain.study import StudyText

NOON = 1_780_000_000.0


def said(item: str, who: str, ranks: tuple[int, ...] = (0, 1), minute: float = 0.0, **more: Any) -> Said:
    fields: dict[str, Any] = {
        "outcome": "ranked",
        "shown": tuple(range(max(2, len(ranks)))),
        "milliseconds": 2000,
        **more,
    }
    return Said(item, who, ranks=ranks, created=NOON + 60 * minute, **fields)


def shape(
    name: str, place: int = 0, models: tuple[str | None, ...] = ("m", "n"), lengths: tuple[int, ...] = (9, 3)
) -> Shape:
    return Shape(name, place, place, models, lengths)


def made(items: Sequence[str], judgements: Sequence[Said], **more: Any) -> Report:
    shapes = {name: shape(name, place) for place, name in enumerate(items)}
    return report("pairs", shapes, judgements, **{"golds": {}, "same": lambda item, place: (item, place), **more})


@pytest.fixture(scope="module")
def full() -> Report:
    """Twelve items, two people; one dispute, a repeat, a gold item, a dimension, and half of the items chosen by a model."""
    items = [f"i{n}" for n in range(12)]
    judgements = []
    for n, item in enumerate(items):
        aspects = (("kind", (0, 1)),)
        judgements.append(said(item, "ann", (0, 1) if n % 3 else (1, 0), n, aspects=aspects))
        judgements.append(said(item, "bob", (0, 1) if n % 3 and n != 4 else (1, 0), n + 0.5, aspects=aspects))
    judgements.append(said("i1", "ann", (0, 1), 30, purpose="repeat"))
    judgements.append(said("i2", "cy", (0, 1), 31, purpose="adjudication"))
    chosen = [one for one in judgements if int(one.item[1:]) >= 6]
    return made(items, judgements, golds={"i1": (0, 1)}, chosen=chosen)


def test_that_a_figure_is_found_by_its_name(full: Report) -> None:
    found = full.figure("gold.bob")
    assert found is not None
    assert (found.value, found.count) == (1.0, 1)
    assert full.figure("gold.nobody") is None


def test_that_a_report_holds_every_part(full: Report) -> None:
    assert (full.dataset, full.disputed, full.settled) == ("pairs", 1, 1)
    assert [d.item for d in full.disputes] == ["i4"] == full.named_items
    assert set(full.consistency) == {"ann"} and set(full.golds) == {"ann", "bob"}
    assert set(full.dimensions) == {"kind"} and full.dimensions["kind"].items == 12
    assert set(full.win_rates) == {("m", "n"), ("n", "m")}
    assert sum(part.share.count for part in full.lengths) == 25  # 24 labels and the adjudication; the repeat is none
    assert sum(n for counts in full.days.values() for n in counts.values()) == 26
    assert full.random is not None and full.random.items == 6


def test_that_only_what_a_model_did_not_choose_is_random(full: Report) -> None:
    assert full.random is not None
    assert (full.labels.judgements, full.random.judgements) == (25, 13)
    assert full.figure("random.agreement.raw") is not None
    alone = made(["i0"], [said("i0", "ann")])
    assert alone.random is None and not [f for f in alone.figures if f.group == "Items drawn at random"]


def test_that_the_table_has_every_number_once_with_all_its_columns(full: Report) -> None:
    rows = list(full.rows())
    names = [row[1] for row in rows]
    assert len(names) == len(set(names))
    assert all(len(row) == len(COLUMNS) == 9 for row in rows)
    assert [row[1] for row in rows[: len(full.figures)]] == [figure.name for figure in full.figures]
    by_name = {row[1]: row for row in rows}
    first = full.figures[0]
    assert by_name[first.name] == (
        first.group, first.name, first.title, first.value, first.low, first.high, first.count, first.of, first.sentence
    )  # fmt: skip
    cells = [row for row in rows if row[0] == "Confusion"]
    assert len(cells) == len(VOTES) ** 2
    assert sum(row[3] for row in cells) == 12
    assert by_name["confusion.ann|bob.first|second"][2:8] == (
        "ann said first, bob said second", 1, None, None, 12, "items judged by both"
    )  # fmt: skip
    assert by_name["length.6-6"][0] == "Length" and by_name["length.6-6"][2] == "Longer by 6 to 6 characters preferred"
    days = [row for row in rows if row[0] == "Days"]
    assert sum(row[6] for row in days) == 26


def test_that_sittings_and_days_are_lines_of_the_table() -> None:
    judgements = [said(f"i{n}", "ann", minute=n / 10, milliseconds=1000 + 100 * n) for n in range(40)]
    rows = list(made([f"i{n}" for n in range(40)], judgements).rows())
    (sitting,) = [row for row in rows if row[0] == "Sitting"]
    assert sitting[1:3] == ("sitting.ann.0", "Seconds for an item, ann, minute 0 of a sitting")
    assert sitting[3:8] == (
        pytest.approx(2.95),
        pytest.approx(1.975),
        pytest.approx(3.925),
        40,
        "items; bounds are quartiles",
    )
    days = [row for row in rows if row[0] == "Days"]
    assert [row[3] for row in days] == [40]
    day = date.fromtimestamp(NOON)
    assert days[0][1:3] == (f"day.ann.{day}", f"Judgements on {day}, ann")


def test_that_the_document_for_machines_is_json(full: Report) -> None:
    told = json.loads(json.dumps(full.as_json(), allow_nan=False))
    assert told["items"] == 12 and told["judgements"] == 25
    assert set(told["consistency"]) == {"ann"} and set(told["gold"]) == {"ann", "bob"}
    assert told["consistency"]["ann"] == {**vars(full.consistency["ann"])}
    (rate,) = told["win_rates"]
    assert (rate["first"], rate["second"]) == ("m", "n")
    assert rate["share"]["count"] == rate["wins"] + rate["ties"] + rate["losses"]
    (dispute,) = told["disputed"]
    assert (
        dispute["item"] == "i4"
        and set(dispute["voices"]) == {"ann", "bob"}
        and dispute["share"] == full.disputes[0].share
    )
    assert told["circles"] == {"models": [], "responses": []}
    assert told["random"]["items"] == 6
    assert [figure["name"] for figure in told["figures"]] == [figure.name for figure in full.figures]


def test_that_lists_are_cut_and_say_how_many_there_were() -> None:
    items = [f"i{n}" for n in range(9)]
    judgements = [said(i, who, ranks) for i in items for who, ranks in (("ann", (0, 1)), ("bob", (1, 0)))]
    found = made(items, judgements, most=4)
    assert (len(found.disputes), found.disputed) == (4, 9)


def test_that_circles_name_models_and_items() -> None:
    pairs = {"x": ("a", "b"), "y": ("b", "c"), "z": ("c", "a")}
    shapes = {name: shape(name, models=models) for name, models in pairs.items()}
    found = report("p", shapes, [said(i, "ann") for i in pairs], golds={}, same=lambda item, place: pairs[item][place])
    assert [sorted(c.names) for c in found.model_circles] == [["a", "b", "c"]]
    told = found.as_json()["circles"]
    assert sorted(told["models"][0]["models"]) == ["a", "b", "c"]
    assert len(told["responses"]) == 1 and set(found.named_items) == {"x", "y", "z"}
    assert len(found.named_items) == 3


# Labels that say next to nothing


NOTHING: list[list[Said]] = [
    [],
    [said("i0", "ann", (), outcome="skipped")],
    [said("i0", "ann", (), outcome="all_bad")],
    [said("i0", "ann")],
    [said("i0", "ann", (0, 0))],
    [said("i0", "ann", (0, 0)), said("i0", "bob", (0, 0))],
    [said("i0", "ann"), said("i0", "bob")],
    [said("i0", "ann", milliseconds=0, seen=False)],
    [said("i0", "judge", kind="model")],
    [said("i0", "ann", purpose="repeat")],
    [said("i0", "ann", purpose="extra")],
    [said("i0", "ann", purpose="adjudication")],
    [said(f"i{n}", "ann", (0, 1)) for n in range(5)],
    [said(f"i{n}", who, (0, 0)) for n in range(5) for who in ("ann", "bob", "cy")],
]


@pytest.mark.parametrize("judgements", NOTHING, ids=range(len(NOTHING)))
def test_that_next_to_nothing_has_a_report_without_a_number_that_is_none(judgements: list[Said]) -> None:
    found = made([f"i{n}" for n in range(5)], judgements)
    for figure in found.figures:
        assert math.isfinite(figure.value) and figure.number() and figure.sentence
        assert (figure.low is None) == (figure.high is None)
        assert figure.low is None or (math.isfinite(figure.low) and figure.low <= figure.value + 1e-9)
        assert figure.high is None or figure.value <= figure.high + 1e-9
    json.dumps(found.as_json(), allow_nan=False)
    assert all(len(row) == len(COLUMNS) for row in found.rows())


@pytest.mark.parametrize(
    "units", [[], [{}], [{"a": "first"}], [{"a": "first", "b": "first"}], [{"a": "tie", "b": "tie"}] * 30], ids=range(5)
)
def test_that_one_voice_or_one_value_has_no_kappa(units: list[dict[str, str]]) -> None:
    assert fleiss_kappa(units) is None and krippendorff_alpha(units) is None
    found = agreement([[unit] for unit in units])
    assert (found.fleiss_kappa, found.alpha_nominal, found.alpha_ordinal) == (None, None, None)
    several = any(len(unit) > 1 for unit in units)
    assert (raw_agreement(units) == 1.0) is several
    assert (found.raw is not None) is several
    assert [pair.kappa for pair in pair_agreements([[unit] for unit in units])] == ([None] if several else [])


def test_that_a_perfect_split_is_worse_than_chance() -> None:
    units = [{"a": "first", "b": "second"}, {"a": "second", "b": "first"}]
    assert raw_agreement(units) == 0.0
    assert fleiss_kappa(units) == pytest.approx(-1.0)
    assert krippendorff_alpha(units) == pytest.approx(1 - (4 / 1) / (2 * 2 * 2 / 3))


@pytest.mark.parametrize("votes", [[], [{"a": "first"}], [{"a": "first", "b": "first"}]])
def test_that_accuracies_of_next_to_nothing_do_not_fail(votes: list[dict[str, str]]) -> None:
    found = accuracies([unit for unit in votes if len(unit) > 1])
    assert all(0 <= value.value <= 1 for value in found.values())


@pytest.mark.parametrize("games", [[], [("a", "b", 0.5)] * 4])
def test_that_ratings_without_a_win_are_none_or_level(games: list[tuple[str, str, float]]) -> None:
    strengths = bradley_terry(games)
    assert strengths is None or all(s.value == pytest.approx(0.0) for s in strengths.values())
    assert tied_ratings(games, "davidson") is None
    assert elo(games) == dict.fromkeys({model for game in games for model in game[:2]}, 1000.0)
    assert set(win_rates(games)) == ({("a", "b"), ("b", "a")} if games else set())
    assert tally(games) == ({"a": (0, 4, 0), "b": (0, 4, 0)} if games else {})


def test_that_one_undefeated_model_has_no_finite_strength() -> None:
    assert bradley_terry([("a", "b", 1.0)] * 5) is None
    found = summary(sort_out([said("i0", "ann")]), {"i0": shape("i0")})
    assert [(r.model, r.bradley_terry, r.low, r.high) for r in found.ratings] == [
        ("m", None, None, None),
        ("n", None, None, None),
    ]


@pytest.mark.parametrize(
    ("successes", "count", "low", "high"),
    [
        (0, 1, 0.0, 0.79345),
        (1, 1, 0.20655, 1.0),
        (1, 2, 0.09453, 0.90547),
        (0, 10, 0.0, 0.27753),
        (10, 10, 0.72247, 1.0),
    ],
)
def test_that_wilsons_interval_stays_within_bounds_for_single_cases(
    successes: int, count: int, low: float, high: float
) -> None:
    assert wilson(successes, count) == (pytest.approx(low, abs=1e-5), pytest.approx(high, abs=1e-5))
    found = share(successes, count)
    assert found is not None and (found.low, found.high) == wilson(successes, count)
    assert share(0, 0) is None


@pytest.mark.parametrize(("successes", "count"), [(1, 0), (-1, 4), (5, 4), (0, 0)])
def test_that_an_impossible_share_is_refused(successes: int, count: int) -> None:
    with pytest.raises(ValueError, match="successes are between 0 and the number of trials, which is at least 1"):
        wilson(successes, count)


def test_that_equal_lengths_and_ties_say_nothing_about_length() -> None:
    shapes = {"same": shape("same", lengths=(5, 5)), "other": shape("other", lengths=(9, 3))}
    gaps = length_gaps(shapes, [said("same", "a"), said("other", "a", (0, 0)), said("other", "a", ())])
    assert (gaps, longer_wins(gaps), by_length(gaps)) == ({}, None, [])
    three = {"x": shape("x", lengths=(1, 4, 9), models=("a", "b", "c"))}
    assert length_gaps(three, [said("x", "a", (0, 1, 2))]) == {-3: 1, -8: 1, -5: 1}
    assert length_gaps(three, [said("x", "a", (1, 0, 1))]) == {3: 1, -5: 1}


def test_that_every_preference_is_in_one_bin_of_lengths() -> None:
    gaps = dict.fromkeys(range(1, 8), 1) | {-n: 2 for n in range(1, 8)}
    found = by_length(gaps, bins=3)
    assert sum(part.share.count for part in found) == 21
    assert [part.low for part in found[1:]] == [part.high + 1 for part in found[:-1]]
    assert {part.share.value for part in found} == {1 / 3}
    assert by_length({4: 1}, bins=3)[0].share.count == 1


def test_that_imported_labels_have_no_pace() -> None:
    assert pace([said("i", "ann", milliseconds=0), said("i", "rule", kind="rule")]) == {}


# Votes


@pytest.mark.parametrize(
    ("ranks", "outcome", "size", "votes"),
    [
        ((), "skipped", 2, {}),
        ((), "all_bad", 2, {(0, 1): "all bad"}),
        ((), "all_bad", 3, {(0, 1): "all bad", (0, 2): "all bad", (1, 2): "all bad"}),
        ((0, 1), "ranked", 2, {(0, 1): "first"}),
        ((1, 0), "ranked", 2, {(0, 1): "second"}),
        ((0, 0), "ranked", 2, {(0, 1): "tie"}),
        ((1, 0, 1), "ranked", 3, {(0, 1): "second", (0, 2): "tie", (1, 2): "first"}),
        ((), "skipped", 3, {}),
    ],
)
def test_that_a_judgement_votes_on_each_pair(ranks: Any, outcome: str, size: int, votes: Any) -> None:
    assert pair_votes(ranks, outcome, size) == votes


def test_that_two_responses_of_one_model_never_play_against_each_other() -> None:
    shapes = {
        "pair": shape("pair", models=("m", "m")), "three": shape("three", models=("m", "n", "m"), lengths=(1, 2, 3)),
        "unknown": shape("unknown", models=(None, "n")), "empty": shape("empty", models=("", "n")),
    }  # fmt: skip
    three = said("three", "a", (0, 1, 2))
    assert games_of([said("pair", "a"), three, said("unknown", "a"), said("empty", "a")], shapes) == [
        ("m", "n", 1.0), ("n", "m", 1.0),
    ]  # fmt: skip
    bad = said("three", "a", (), outcome="all_bad", shown=(0, 1, 2))
    assert games_of([bad], shapes) == [("m", "n", 0.5), ("n", "m", 0.5)]
    assert games_of([said("three", "a", (), outcome="skipped", shown=(0, 1, 2))], shapes) == []


def test_that_a_skipped_adjudication_settles_nothing_and_a_skip_is_no_vote() -> None:
    skipped = said("x", "cy", (), outcome="skipped", purpose="adjudication")
    found = sort_out([said("x", "ann"), skipped])
    assert found.settled == frozenset()
    assert [s.annotator for s in found.votes] == ["ann"]
    assert units_of(found.votes) == {"x": [{"ann": "first"}]}
    assert sort_out([said("x", "cy", purpose="adjudication")]).settled == {"x"}


def test_that_a_skip_replaces_a_label_but_is_nothing_to_repeat() -> None:
    first, skip = said("x", "ann"), said("x", "ann", (), 1, outcome="skipped")
    found = sort_out([first, skip])
    assert found.current == [skip]
    again = said("x", "ann", (1, 0), 2, purpose="repeat")
    assert sort_out([first, skip, again]).repeats == [(first, again)]
    assert sort_out([again]).repeats == []


def test_that_picks_look_at_people_who_saw_two() -> None:
    seen = [said("x", "ann", (0, 1), shown=(1, 0)), said("y", "ann", (0, 1)), said("z", "ann", (0, 0))]
    assert picks([*seen, said("w", "bob", seen=False), said("v", "cy", (0, 1, 2), shown=(0, 1, 2))]) == {"ann": (1, 1)}


@pytest.mark.parametrize(
    ("forward", "backward", "confidence", "verdict"),
    [
        (0.9, 0.1, 0.5, "first"), (0.1, 0.9, 0.5, "second"), (0.9, 0.9, 0.5, "inconsistent"), (0.1, 0.1, 0.5, "inconsistent"),
        (0.5, 0.1, 0.5, "inconsistent"), (0.9, 0.5, 0.5, "inconsistent"), (0.5, 0.9, 0.5, "inconsistent"),
        (0.1, 0.5, 0.5, "inconsistent"), (0.75, 0.25, 0.75, "unsure"), (0.75, 0.25, 0.7, "first"), (0.25, 0.75, 0.75, "unsure"),
        (0.25, 0.75, 0.7, "second"), (0.51, 0.49, 0.5, "first"),
    ],
)  # fmt: skip
def test_that_a_judge_has_to_say_the_same_in_both_orders(
    forward: float, backward: float, confidence: float, verdict: str
) -> None:
    assert settle(Answer(0, 1, forward, backward), confidence) == verdict


def test_that_no_wins_are_no_ranking_and_even_wins_are_one_tier() -> None:
    assert copeland(2, []) is None and copeland(3, [(0, 1)]) is None
    even = copeland(3, [(0, 1), (1, 2), (2, 0)])
    assert even is not None and even.tiers == ((0, 1, 2),)
    first = copeland(3, [(2, 0), (2, 1)])
    assert first is not None and first.tiers == ((2,), (0, 1))
    alone = copeland(1, [])
    assert alone is not None and alone.tiers == ((0,),)


# Studies


def told(prompt: int, completion: str = "a b", **measures: float) -> StudyText:
    return StudyText(column=0, prompt=prompt, sample=0, seed=0, completion=completion, measures=measures)


def test_that_a_study_of_one_text_or_equal_texts_has_no_width() -> None:
    assert figures([]) == {}
    alone = figures([told(0, rule=0.5)])["rule"]
    assert (alone.value, alone.low, alone.high, alone.texts) == (0.5, None, None, 1)
    equal = interval([0.25] * 4, 4)
    assert (equal.value, equal.low, equal.high) == (0.25, 0.25, 0.25)


def test_that_a_hopeless_model_has_an_endless_perplexity_and_no_error() -> None:
    found = figures([told(0, logprob=-10.0), told(1, logprob=-150.0)])
    perplexity = found["perplexity"]
    assert perplexity.value == pytest.approx(math.exp(80))
    assert perplexity.high == math.inf and perplexity.low == 0.0
    assert figures([told(0, logprob=-1000.0)])["perplexity"].value == math.inf
    assert type(perplexity).model_validate_json(perplexity.model_dump_json()) == perplexity


def test_that_texts_without_a_word_can_be_compared() -> None:
    found = figures([told(0, ""), told(0, ""), told(1, ""), told(1, "a b c")])
    assert 0.0 <= found["self_bleu"].value <= 1.0


def test_that_a_measure_that_some_texts_lack_is_taken_over_the_others() -> None:
    found = figures([told(0, rule=1.0), told(0), told(1, rule=0.0), told(2)])
    assert (found["rule"].value, found["rule"].texts) == (0.5, 2)
