"""Texts with places: what must stand in them, what may, and how they are filled."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from workbench.domain.specs.judge import CRITERION, RULES, JudgeSpec, rule_file
from workbench.domain.specs.revise import ReviseSpec
from workbench.domain.specs.texts import fill_places, lines_of, need_places


def test_that_what_is_filled_in_is_not_filled_again() -> None:
    assert fill_places("{a} and {b}, {c}", {"a": "{b}", "b": "x"}) == "{b} and x, {c}"


@pytest.mark.parametrize("text", ["nothing", "{a}", "{a} {b} {d}"])
def test_that_a_text_without_its_places_or_with_others_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"must hold|nothing is known"):
        need_places(text, needed=("a", "b"), allowed=("c",))


def test_that_other_braces_are_left_alone() -> None:
    assert need_places('{"json": {}} {a}', needed=("a",)) == '{"json": {}} {a}'


def test_that_lines_are_trimmed_and_notes_passed_over() -> None:
    assert lines_of(" one \n\n# two\n  # three\nfour #4\n") == ("one", "four #4")


@pytest.mark.parametrize(
    "fields", [{"question": "A or B?"}, {"question": "{prompt} {a} {b} {x}"}, {"rule": "nice"}, {"rule": "a.py"}]
)
def test_that_a_judge_that_could_not_ask_is_refused(fields: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        JudgeSpec.model_validate(fields)


@pytest.mark.parametrize(
    "fields", [{"critique_request": "Criticise."}, {"revision_request": " "}, {"revision_request": "{x}"}]
)
def test_that_a_reviser_that_could_not_ask_is_refused(fields: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        ReviseSpec.model_validate(fields)


def test_that_the_usual_texts_say_what_they_should() -> None:
    assert "{criterion}" in JudgeSpec().question
    assert JudgeSpec().criterion == CRITERION
    assert len(lines_of(ReviseSpec().principles)) == 6


def test_that_rules_are_built_in_or_functions_of_files() -> None:
    assert [rule_file(rule) for rule in RULES] == [None] * len(RULES)
    assert rule_file("/a b/c:d.py:good") == ("/a b/c:d.py", "good")
