"""What specs, settings and judgements refuse, with the very sentence that a person reads; and what is just allowed."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from workbench.domain.decoding import ORDER, STRATEGIES, Beam, Contrastive, Sample
from workbench.domain.errors import BadInput
from workbench.domain.judgement import Aspect, Judgement, Ranking, Span
from workbench.domain.queues import OVERALL, Dimension, Guidelines, QueueSpec
from workbench.domain.specs.dpo import DpoSpec
from workbench.domain.specs.judge import RULES, JudgeSpec, rule_file
from workbench.domain.specs.kinds import SPECS, parse_spec
from workbench.domain.specs.online import RewardPart
from workbench.domain.specs.ppo import PpoSpec
from workbench.domain.specs.study import StudySpec, read_columns, write_columns
from workbench.domain.specs.texts import fill_places, need_places

NOW = datetime(2026, 5, 1, tzinfo=UTC)
AB = Ranking(tiers=((0,), (1,)))


def said(**more: Any) -> dict[str, Any]:
    return {
        "id": "j", "item": "i", "annotator": "ann", "outcome": "ranked", "ranking": AB, "shown": (0, 1), "shown_seed": 1,
        "milliseconds": 5, "created": NOW, **more,
    }  # fmt: skip


def refused(kind: type[BaseModel], fields: dict[str, Any]) -> list[str]:
    with pytest.raises(ValidationError) as caught:
        kind(**fields)
    return [problem["msg"].removeprefix("Value error, ") for problem in caught.value.errors()]


SPAN = {"candidate": 0, "start": 3, "end": 5, "comment": "hm"}
THREE = Ranking(tiers=((0,), (1,), (2,)))
GUIDE = {"version": 1, "text": "", "author": "a", "created": NOW}
QUEUE = {"name": "q", "dataset": "d"}
NAMES = f"dimensions have different names, and none is called {OVERALL!r}"


@pytest.mark.parametrize(
    ("kind", "fields", "says"),
    [
        (Ranking, {"tiers": ((0,), (0,))}, "a ranking names every candidate exactly once, in tiers that "),
        (Ranking, {"tiers": ((0,), (2,))}, "a ranking names every candidate exactly once, in tiers that "),
        (Ranking, {"tiers": ((0,), (), (1,))}, "a ranking names every candidate exactly once, in tiers that "),
        (Judgement, said(ranking=None), "a ranking is given exactly when the outcome is 'ranked'"),
        (Judgement, said(outcome="all_bad"), "a ranking is given exactly when the outcome is 'ranked'"),
        (Judgement, said(outcome="skipped", ranking=None), "a skip reason is given exactly when the outcome is 'skipped'"),
        (Judgement, said(skip_reason="unsafe"), "a skip reason is given exactly when the outcome is 'skipped'"),
        (Judgement, said(shown=(0, 2)), "the order shown is a permutation of the candidates"),
        (Judgement, said(shown=(1, 1)), "the order shown is a permutation of the candidates"),
        (Judgement, said(ranking=THREE), "a ranking names every candidate that was shown"),
        (Judgement, said(aspects=(Aspect(name="x", ranking=THREE),)), "the ranking of every dimension names every candidate that was shown"),
        (Judgement, said(aspects=(Aspect(name="x", ranking=AB),) * 2), "each dimension is ranked once"),
        (Judgement, said(spans=(Span(**{**SPAN, "candidate": 2}),)), "a comment belongs to a candidate that was shown"),
        (Span, {**SPAN, "end": 3}, "a span ends after its start"),
        (Span, {**SPAN, "end": 2}, "a span ends after its start"),
        (Span, {**SPAN, "start": 1, "end": 0}, "a span ends after its start"),
        (Guidelines, {**GUIDE, "dimensions": (Dimension(name="Kind"), Dimension(name="kIND"))}, NAMES),
        (Guidelines, {**GUIDE, "dimensions": (Dimension(name="Overall"),)}, NAMES),
        (QueueSpec, {**QUEUE, "strategy": "active"}, "a queue of strategy 'active' names the reward model whose scores order it"),
        (QueueSpec, {**QUEUE, "strategy": "mistakes", "reward_model": ""}, "a queue of strategy 'mistakes' names the reward model whose scores order it"),
        (Sample, {"order": ("top_p", "top_k", "top_p")}, "top_p stands twice"),
        (Sample, {"order": "min_p, top_k,min_p,top_k"}, "min_p, top_k stands twice"),
        (Beam, {"num_beams": 5, "num_groups": 2}, "2 groups can't share 5 beams evenly"),
        (DpoSpec, {"loss": "kto", "batch_size": 1}, "kto compares a step's rows; set batch_size to 2 or more"),
        (DpoSpec, {"loss": "hinge", "label_smoothing": 0.1}, "it has no meaning for the loss hinge; set it to 0"),
        (DpoSpec, {"loss": "kto", "margin_scale": 0.1}, "it has no meaning for the loss kto; set it to 0"),
        (RewardPart, {"function": "file.py"}, "Write FILE.py:NAME or MODULE:NAME"),
        (RewardPart, {"function": ":name"}, "Write FILE.py:NAME or MODULE:NAME"),
        (RewardPart, {"function": "file.py:2x"}, "Write FILE.py:NAME or MODULE:NAME"),
        (RewardPart, {"function": "a-b:name"}, "Write FILE.py:NAME or MODULE:NAME"),
        (RewardPart, {"function": "a..b:name"}, "Write FILE.py:NAME or MODULE:NAME"),
        (RewardPart, {"pattern": "(x"}, "The pattern is no regular expression: missing ), unterminated subpattern at position 0"),
        (PpoSpec, {"dual_clip": 1.0}, "The bound has to be more than 1, or 0 for none"),
        (PpoSpec, {"dual_clip": 0.001}, "The bound has to be more than 1, or 0 for none"),
        (JudgeSpec, {"rule": "nice"}, "a rule is one of story_rule, longer, shorter, or FILE.py:FUNCTION"),
        (JudgeSpec, {"question": "A or B?"}, "the text must hold {prompt}, {a}, {b}"),
        (JudgeSpec, {"question": "{prompt} {a} {b} {y} {x}"}, "nothing is known that could stand for {x}, {y}"),
        (StudySpec, {"columns": "# none"}, "there is no column"),
        (StudySpec, {"columns": "m guess"}, f"column 1: name a strategy, one of {', '.join(STRATEGIES)}"),
        (StudySpec, {"columns": "greedy\nsample =3"}, "column 2: write =3 as SETTING=VALUE"),
        (StudySpec, {"columns": "sample top_k"}, "column 1: write top_k as SETTING=VALUE"),
        (StudySpec, {"columns": "sample temperature=-1 top_k=-2"}, "column 1: temperature: Input should be greater than"),
        (StudySpec, {"columns": "sample top_k=" + "[" * 19_000}, "column 1: top_k: Input should be a valid integer, unable to parse string as an integer"),
    ],
)  # fmt: skip
def test_that_what_makes_no_sense_is_refused_in_words(kind: type[BaseModel], fields: dict[str, Any], says: str) -> None:
    (told,) = refused(kind, fields)
    assert told == says or (says.endswith((" ", "than")) and told.startswith(says))


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        (Span, {**SPAN, "end": 4}),
        (Span, {**SPAN, "start": 0, "end": 0}),
        (Span, {**SPAN, "start": 0, "end": 1}),
        (Judgement, said(spans=(Span(**{**SPAN, "candidate": 1}),))),
        (Judgement, said(aspects=(Aspect(name="x", ranking=AB), Aspect(name="y", ranking=AB)))),
        (QueueSpec, {**QUEUE, "strategy": "random"}),
        (QueueSpec, {**QUEUE, "strategy": "disagreement", "reward_model": None}),
        (QueueSpec, {**QUEUE, "strategy": "active", "reward_model": "rm"}),
        (Beam, {"num_beams": 6, "num_groups": 3}),
        (Beam, {"num_beams": 6, "num_groups": 6}),
        (Beam, {"num_beams": 1, "num_groups": 1}),
        (DpoSpec, {"loss": "kto", "batch_size": 2}),
        (DpoSpec, {"loss": "sigmoid", "batch_size": 1}),
        (DpoSpec, {"loss": "sigmoid", "label_smoothing": 0.1}),
        (DpoSpec, {"loss": "robust", "label_smoothing": 0.1}),
        (DpoSpec, {"loss": "ipo", "margin_scale": 0.1}),
        (RewardPart, {"function": "/a b/rewards.py:score"}),
        (RewardPart, {"function": "C:\\rewards.py:score"}),
        (RewardPart, {"function": "pack.age:score"}),
        (RewardPart, {"pattern": r"\d+$"}),
        (PpoSpec, {"dual_clip": 0.0}),
        (PpoSpec, {"dual_clip": 1.001}),
        (JudgeSpec, {"question": "{prompt} {a} {b}"}),
        (JudgeSpec, {"rule": "my.py:rule"}),
        (StudySpec, {"rule": ""}),
        (StudySpec, {"rule": "longer"}),
    ],
)
def test_that_what_is_just_within_bounds_is_taken(kind: type[BaseModel], fields: dict[str, Any]) -> None:
    made = kind(**fields)
    assert all(getattr(made, name) == value for name, value in fields.items())


def test_that_a_start_of_zero_alone_is_not_the_whole_text() -> None:
    assert refused(Span, {**SPAN, "start": 2, "end": 0}) == ["a span ends after its start"]


def test_that_rules_follow_in_their_usual_order() -> None:
    assert Sample(order=("top_p", "temperature")).order[:2] == ("top_p", "temperature")
    assert Sample(order=("top_p",)).order == ("top_p", *(name for name in ORDER if name != "top_p"))
    assert Sample(order=" min_p ,top_k,, ").order[:3] == ("min_p", "top_k", "temperature")
    assert Sample(order="").order == ORDER


@pytest.mark.parametrize("rule", RULES)
def test_that_rules_of_the_house_need_no_file(rule: str) -> None:
    assert rule_file(rule) is None


@pytest.mark.parametrize(
    ("rule", "read"),
    [("a.py:f", ("a.py", "f")), ("/x:y/a.py:f", ("/x:y/a.py", "f")), ("C:\\a.py:f", ("C:\\a.py", "f"))],
)
def test_that_a_rule_of_ones_own_is_a_file_and_a_function(rule: str, read: tuple[str, str]) -> None:
    assert rule_file(rule) == read


@pytest.mark.parametrize("rule", ["", "a.py", "a.py:", "a.txt:f", "a.py:f()", "longest", "a.py:f:g h"])
def test_that_any_other_rule_is_refused(rule: str) -> None:
    with pytest.raises(ValueError, match=r"^a rule is one of story_rule, longer, shorter, or FILE\.py:FUNCTION$"):
        rule_file(rule)


def test_that_missing_and_unknown_places_are_listed() -> None:
    with pytest.raises(ValueError, match=r"^the text must hold \{a\}, \{c\}$"):
        need_places("{b}", needed=("a", "b", "c"))
    with pytest.raises(ValueError, match=r"^nothing is known that could stand for \{x\}, \{y_z\}$"):
        need_places("{y_z} {b} {x} {ok}", needed=("b",), allowed=("ok",))
    assert fill_places("{a}{b}", {"a": "1"}) == "1{b}"


@pytest.mark.parametrize(
    "value", ["3", "[1, 2]", "true", "null", "text", "two words", "'quoted'", '"', "a=b", "", "NaN", "1e5"]
)
def test_that_any_text_of_a_column_is_written_as_it_will_be_read(value: str) -> None:
    column = read_columns("contrastive amateur=x")[0]
    settings = column.settings.model_copy(update={"amateur": value})
    (back,) = read_columns(write_columns((column._replace(settings=settings),)))
    assert isinstance(back.settings, Contrastive)
    assert back.settings.amateur == value


def test_that_several_columns_are_written_on_lines_of_their_own() -> None:
    text = "m greedy\nsample top_k=3 temperature=0.5"
    assert write_columns(read_columns(text)) == text


def test_that_a_model_may_be_called_like_a_strategy() -> None:
    (column,) = read_columns("greedy sample top_k=2")
    assert (column.model, column.settings) == ("greedy", Sample(top_k=2))


def test_that_every_wrong_field_of_a_spec_is_named_with_what_was_given() -> None:
    with pytest.raises(BadInput) as caught:
        parse_spec({"kind": "ppo", "learning_rate": -1, "rewards": {"pattern": "("}, "more": 2})
    what = caught.value.what
    assert what.startswith("The settings can't be used: learning_rate: input should be greater than 0 (given: -1); ")
    assert "rewards.pattern: value error, The pattern is no regular expression" in what and "(given: '(')" in what
    assert "more: extra inputs are not permitted (given: 2)" in what
    assert caught.value.hint == "Correct the named fields and try again."


def test_that_a_spec_without_a_kind_is_called_spec() -> None:
    with pytest.raises(BadInput) as caught:
        parse_spec({})
    assert caught.value.what.startswith("The settings can't be used: spec: unable to extract tag")


def test_that_what_was_given_is_cut_where_it_is_long() -> None:
    with pytest.raises(BadInput) as caught:
        parse_spec({"kind": "sft", "learning_rate": "x" * 500})
    assert "(given: '" + "x" * 79 + ")" in caught.value.what


@pytest.mark.parametrize("kind", list(SPECS))
def test_that_a_kind_never_stands_in_the_place_of_a_field(kind: str) -> None:
    with pytest.raises(BadInput) as caught:
        parse_spec({"kind": kind, "seed": -1})
    assert caught.value.what.startswith("The settings can't be used: seed: ")


def test_that_a_critic_starts_where_it_knows_most() -> None:
    assert PpoSpec().critic_start == "policy"
    assert PpoSpec(reward_model="rm").critic_start == "reward_model"
    assert PpoSpec(reward_model="rm", critic="shared").critic_start == "shared"
    assert PpoSpec(critic="reward_model").critic_start == "reward_model"
