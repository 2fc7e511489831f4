"""Rows as a person reads them."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.domain.decoding import Sample
from workbench.domain.judgement import Item, Judgement, Ranking
from workbench.domain.text import Candidate, Demonstration, Prompt, Turn
from workbench.services.row_views import TITLE, describe_judgement, describe_outcome, row_view


def said(tiers: tuple[tuple[int, ...], ...] | None = None, **more: object) -> Judgement:
    size = sum(map(len, tiers)) if tiers else 2
    fields: dict[str, object] = {
        "id": "j", "item": "i", "annotator": "ann", "outcome": "ranked" if tiers else "all_bad",
        "ranking": Ranking(tiers=tiers) if tiers else None, "shown": tuple(range(size)), "shown_seed": 0,
        "milliseconds": 1, "created": datetime.now(UTC),
    }  # fmt: skip
    return Judgement.model_validate(fields | more)


def item(*texts: str) -> Item:
    return Item(id="i", prompt=Prompt.from_text("Why?"), candidates=tuple(Candidate(text=t) for t in texts))


@pytest.mark.parametrize(
    ("judgement", "words"),
    [
        (said(((0,), (1,))), "A ≻ B"),
        (said(((1,), (0,)), strength=2), "B ≫ A"),
        (said(((0, 1),)), "A = B"),
        (said(((2,), (0, 3), (1,))), "C ≻ A = D ≻ B"),
        (said(), "all bad"),
        (said(outcome="skipped", skip_reason="wrong_language"), "skipped (wrong language)"),
    ],
)
def test_that_a_verdict_reads_as_a_line(judgement: Judgement, words: str) -> None:
    assert describe_outcome(judgement) == words
    assert describe_judgement(judgement) == f"ann: {words}"


@pytest.mark.parametrize("kind", ["rule", "model"])
def test_that_what_no_person_said_is_called_synthetic(kind: str) -> None:
    assert describe_judgement(said(((0,), (1,)), annotator_kind=kind)) == f"ann ({kind}, synthetic): A ≻ B"


def test_that_a_pair_with_a_verdict_shows_chosen_and_rejected() -> None:
    view = row_view(3, (item("left", "right"), [said(((1,), (0,)))]))
    assert view.texts == (("Prompt", "Why?"), ("Chosen", "right"), ("Rejected", "left"))
    assert ("Judgement", "ann: B ≻ A") in view.facts


@pytest.mark.parametrize(
    "verdicts", [[], [said(((0, 1),))], [said()], [said(((0,), (1,))), said(((1,), (0,)))]],
    ids=["unjudged", "tie", "all bad", "two minds"],
)  # fmt: skip
def test_that_a_pair_without_one_verdict_shows_letters(verdicts: list[Judgement]) -> None:
    view = row_view(0, (item("left", "right"), verdicts))
    assert view.texts[1:] == (("A", "left"), ("B", "right"))


def test_that_many_candidates_keep_their_letters_whatever_was_said() -> None:
    view = row_view(0, (item("x", "y", "z"), [said(((2,), (0,), (1,)))]))
    assert view.texts[1:] == (("A", "x"), ("B", "y"), ("C", "z"))


def test_that_a_candidate_says_where_it_came_from() -> None:
    made = Candidate(text="t", model="m", settings=Sample(temperature=0.5), seed=7, score=1.25)
    both = Item(id="i", prompt=Prompt.from_text("q"), candidates=(made, Candidate(text="u")))
    assert dict(row_view(0, (both, [])).facts) == {"A": "m · sample temperature=0.5 · seed 7 · score 1.25"}


def test_that_conversations_show_each_turn_under_its_role() -> None:
    prompt = Prompt(turns=(Turn(role="system", content="Be kind."), Turn(role="user", content="Hello")))
    view = row_view(0, Demonstration(prompt=prompt, completion="Hi"))
    assert view.texts == (("System", "Be kind."), ("User", "Hello"), ("Completion", "Hi"))
    assert view.title == "Hello"


def test_that_a_raw_prompt_is_called_raw() -> None:
    assert row_view(0, Prompt.from_text("Once", raw=True)).texts == (("Raw prompt", "Once"),)
    assert row_view(0, Prompt.from_text("Once")).texts == (("Prompt", "Once"),)


@given(st.text(), st.integers(0, 10**6))
def test_that_a_title_is_one_short_line_and_the_text_is_whole(text: str, index: int) -> None:
    view = row_view(index, text)
    assert len(view.title) <= TITLE
    assert "\n" not in view.title
    assert view.texts == (("Text", text),)
    assert (view.index, view.id) == (index, str(index + 1))
