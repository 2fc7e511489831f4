from __future__ import annotations

import pytest

from workbench.analysis.reward_rules import as_number, final_answer, has_pattern, near_length, right_answer


@pytest.mark.parametrize(
    ("completion", "answer", "right"),
    [
        ("First 3, then 4.\n#### 12", "3 · 4 = 12\n#### 12", 1.0),
        ("The answer is $1,200.00.", "#### 1200", 1.0),
        ("12 and then 13", "12", 0.0),
        ("No number at all", "12", 0.0),
        (r"so \boxed{7}, as 8 shows", "7", 1.0),
        ("I think it is\nParis.", "Paris", 1.0),
        ("PARIS !", "paris", 1.0),
        ("Paris is not it, London is", "Paris", 0.0),
        ("", "Paris", 0.0),
        ("50%", "50", 1.0),
        ("−3", "-3", 1.0),
        ("one two", "One  two.", 1.0),
    ],
)
def test_that_an_answer_is_right_if_it_is_the_last_thing_said(completion: str, answer: str, right: float) -> None:
    assert right_answer(completion, answer) == right


def test_that_the_marked_answer_goes_before_the_last_number() -> None:
    assert final_answer("#### 5\nthen 6", like="5") == "5"
    assert final_answer("then 6, 7", like="5") == "7"
    assert final_answer("first\n\nlast line \n") == "last line"


def test_that_only_numbers_are_numbers() -> None:
    assert [as_number(text) for text in ("$3,000", "-0.5", ".5", "7.", "12%")] == [3000.0, -0.5, 0.5, 7.0, 12.0]
    assert [as_number(text) for text in ("", "three", "1 2", "v2", ",", "1.2.3")] == [None] * 6


def test_that_a_pattern_is_searched_over_lines() -> None:
    assert has_pattern("<think>a\nb</think> c", "<think>.*</think>") == 1.0
    assert has_pattern("no thought", "<think>.*</think>") == 0.0


def test_that_a_length_earns_less_the_further_it_is_off() -> None:
    assert [near_length("word " * n, 4) for n in (4, 3, 6, 0, 8, 99)] == [1.0, 0.75, 0.5, 0.0, 0.0, 0.0]
