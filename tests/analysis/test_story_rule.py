"""The rule that stands in for people in the starter kit."""

import pytest

from workbench.analysis.story_rule import HAPPY, NAMES, SAD, THINGS, asked_for, is_happy, is_whole, score_story

REQUEST = "Tell me a story about Mia and a lantern."


def test_that_a_request_names_its_hero_and_thing() -> None:
    assert asked_for(REQUEST) == ("Mia", "lantern")
    assert asked_for("Tell me something.") == ("", "")


def test_that_a_story_with_all_four_criteria_scores_one() -> None:
    score = score_story(
        REQUEST, "Mia was a fox. She found a lantern. It was lost and found. Mia laughed all day. The end."
    )
    assert score.total == 1.0


@pytest.mark.parametrize(
    ("story", "missing"),
    [
        ("It was cold. It rained. Tom found a lantern. Tom laughed. The end.", "hero"),
        ("It was cold. It rained. Mia found a kite. Mia laughed. The end.", "thing"),
        ("It was cold. It rained. Mia found a lantern. Mia cried. The end.", "happy"),
        ("It was cold. It rained. Mia found a lantern. Mia laughed.", "ends"),
    ],
)
def test_that_each_criterion_costs_a_quarter(story: str, missing: str) -> None:
    score = score_story(REQUEST, story)
    assert not getattr(score, missing)
    assert score.total == 0.75


def test_that_a_fragment_counts_half() -> None:
    whole = "Mia was a fox. She found a lantern. It was red. Mia laughed."
    assert is_whole(f"{whole} The end.")
    assert not is_whole(f". {whole} The end.")
    assert not is_whole(f"and {whole} The end.")
    assert not is_whole("Mia found a lantern. Mia laughed. The end. The end.")
    assert score_story(REQUEST, "Mia found a lantern. Mia laughed. The end.").total == 0.5


def test_that_only_the_last_sentence_decides_the_ending() -> None:
    assert not is_happy("Mia was happy. Then it rained. The end.")
    assert is_happy("Mia cried. Then she smiled. The end.")


def test_that_a_sad_word_spoils_a_happy_ending() -> None:
    assert not is_happy("Mia was happy but alone. The end.")


def test_that_repeating_the_closing_words_is_no_happy_ending() -> None:
    assert not is_happy("The end. The end.")
    assert not is_happy("")


def test_that_parts_of_words_do_not_count() -> None:
    assert not score_story(REQUEST, "Miami has lanternfish. The end.").hero
    assert not score_story(REQUEST, "Miami has lanternfish. The end.").thing


def test_that_the_word_lists_do_not_overlap() -> None:
    assert not HAPPY & SAD
    assert len(set(NAMES)) == len(NAMES)
    assert len(set(THINGS)) == len(THINGS)
