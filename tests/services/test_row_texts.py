"""Rows as a person reads them: titles, headings, facts; for each kind and each state of judgement."""

from datetime import UTC, datetime

import pytest

from workbench.domain.judgement import Item, Judgement, Ranking
from workbench.domain.text import Candidate, Demonstration, Prompt
from workbench.services.row_views import describe_outcome, row_view

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def pair(*candidates: Candidate) -> Item:
    offered = candidates or (Candidate(text="left"), Candidate(text="right"))
    return Item(id="x", prompt=Prompt.from_text("Why?"), candidates=offered)


def judged(*tiers: tuple[int, ...], **fields: object) -> Judgement:
    size = sum(map(len, tiers)) or 2
    base = {
        "id": "j", "item": "x", "annotator": "me", "outcome": "ranked" if tiers else "all_bad",
        "ranking": Ranking(tiers=tiers) if tiers else None, "shown": tuple(range(size)), "shown_seed": 0,
        "milliseconds": 1, "created": NOW,
    }  # fmt: skip
    return Judgement.model_validate(base | fields)


def test_that_a_document_is_its_text() -> None:
    view = row_view(4, "Once upon\na time.")
    assert (view.index, view.id, view.title, view.facts) == (4, "5", "Once upon a time.", ())
    assert view.texts == (("Text", "Once upon\na time."),)


def test_that_a_demonstration_ends_with_its_completion() -> None:
    view = row_view(2, Demonstration(prompt=Prompt.from_text("Hi"), completion="Hello!"))
    assert view.texts == (("Prompt", "Hi"), ("Completion", "Hello!"))
    assert (view.id, view.title) == ("3", "Hi")


@pytest.mark.parametrize("length", [119, 120, 121, 5000])
def test_that_a_title_has_at_most_120_characters_and_says_when_it_was_cut(length: int) -> None:
    title = row_view(0, "x" * length).title
    assert len(title) == min(length, 120)
    assert title.endswith("…") == (length > 120)


def test_that_a_title_is_one_line_in_any_script() -> None:
    assert row_view(0, "  مرحبا \t\n  بالعالم\u2003👋 ").title == "مرحبا بالعالم 👋"
    assert row_view(0, " \n ").title == ""


def test_that_an_item_nobody_judged_shows_its_candidates_by_letter() -> None:
    view = row_view(0, (pair(), []))
    assert view.id == "x"
    assert view.texts == (("Prompt", "Why?"), ("A", "left"), ("B", "right"))
    assert view.facts == ()


@pytest.mark.parametrize(("tiers", "chosen"), [(((0,), (1,)), "left"), (((1,), (0,)), "right")])
def test_that_a_judged_pair_shows_what_was_chosen_first(tiers: tuple[tuple[int, ...], ...], chosen: str) -> None:
    view = row_view(0, (pair(), [judged(*tiers)]))
    rejected = {"left": "right", "right": "left"}[chosen]
    assert view.texts[1:] == (("Chosen", chosen), ("Rejected", rejected))


def test_that_two_who_agree_make_one_chosen_answer_and_two_facts() -> None:
    view = row_view(0, (pair(), [judged((1,), (0,)), judged((1,), (0,), annotator="you", strength=2)]))
    assert view.texts[1] == ("Chosen", "right")
    assert view.facts == (("Judgement", "me: B ≻ A"), ("Judgement", "you: B ≫ A"))


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (judged((0,), (1,)), "A ≻ B"),
        (judged((0,), (1,), strength=2), "A ≫ B"),
        (judged((1, 0)), "B = A"),
        (judged((8,), (0, 7), (1, 2, 3), (4,), (6, 5)), "I ≻ A = H ≻ B = C = D ≻ E ≻ G = F"),
        (judged(), "all bad"),
        (judged(outcome="skipped", skip_reason="wrong_language"), "skipped (wrong language)"),
        (judged(outcome="skipped", skip_reason="other"), "skipped (other)"),
    ],
)
def test_that_an_outcome_is_told_in_signs(said: Judgement, words: str) -> None:
    assert describe_outcome(said) == words


def test_that_facts_of_the_source_come_after_judgements_and_origins() -> None:
    item = pair(Candidate(text="a", model="m"), Candidate(text="b"))
    view = row_view(0, (item, [judged((0,), (1,))]), (("Line in the source", "7"),))
    assert [head for head, _ in view.facts] == ["Judgement", "A", "Line in the source"]


@pytest.mark.parametrize("text", ["", "‮gnp.exe", "<b>bold</b>", "a\x00b", "line\r\nline", "x" * 200_000])
def test_that_texts_are_passed_on_to_the_letter(text: str) -> None:
    assert row_view(0, text).texts == (("Text", text),)
    assert row_view(0, Demonstration(prompt=Prompt.from_text(text), completion=text)).texts[1][1] == text
