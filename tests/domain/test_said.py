"""Judgements as statistics see them: small, without texts, and still the whole story."""

from datetime import UTC, datetime

import pytest

from tests.domain.test_settled import weak_orders
from workbench.domain.judgement import Aspect, Item, Judgement, Ranking
from workbench.domain.said import on_screen, ranks_of, ranks_of_tiers, said_of, shape_of
from workbench.domain.text import Candidate, Prompt

WHEN = datetime(2026, 5, 6, 7, 8, 9, tzinfo=UTC)


def judgement(**more: object) -> Judgement:
    fields = {
        "id": "j", "item": "i", "annotator": "ada", "outcome": "ranked", "ranking": Ranking(tiers=((1,), (0,))),
        "shown": (1, 0), "shown_seed": 3, "milliseconds": 1500, "created": WHEN,
    }  # fmt: skip
    return Judgement.model_validate(fields | more)


@pytest.mark.parametrize("size", [1, 2, 3, 4])
def test_that_the_ranks_are_the_tiers_of_the_candidates(size: int) -> None:
    for ranking in weak_orders(size):
        ranks = ranks_of(ranking)
        assert ranks == tuple(ranking.tier_of(c) for c in range(size))
        assert set(ranks) == set(range(len(ranking.tiers)))


def test_that_the_short_way_for_two_says_the_same_of_lists() -> None:
    assert ranks_of_tiers([[0], [1]]) == ranks_of_tiers(((0,), (1,))) == (0, 1)
    assert ranks_of_tiers([[1], [0]]) == ranks_of_tiers(((1,), (0,))) == (1, 0)
    assert ranks_of_tiers([[0, 1]]) == (0, 0)
    assert ranks_of_tiers([[2], [0, 1]]) == (1, 1, 0)


def test_that_everything_that_statistics_look_at_is_kept() -> None:
    aspects = (Aspect(name="helpful", ranking=Ranking(tiers=((0,), (1,)))),)
    found = said_of(judgement(queue="q", purpose="repeat", aspects=aspects))
    assert found == (
        "i", "ada", "ranked", (1, 0), (1, 0), 1500, WHEN.timestamp(), "person", True, "repeat", "q", (("helpful", (0, 1)),)
    )  # fmt: skip


@pytest.mark.parametrize(
    ("outcome", "more"), [("all_bad", {"ranking": None}), ("skipped", {"ranking": None, "skip_reason": "unsafe"})]
)
def test_that_what_ranks_nothing_has_no_ranks(outcome: str, more: dict[str, object]) -> None:
    found = said_of(judgement(outcome=outcome, **more))
    assert (found.outcome, found.ranks) == (outcome, ())


@pytest.mark.parametrize(
    ("kind", "milliseconds", "seed", "seen"),
    [("person", 1, 0, True), ("person", 0, 7, True), ("person", 0, 0, False), ("rule", 5, 5, False),
     ("model", 5, 5, False)],
)  # fmt: skip
def test_that_only_a_person_who_was_shown_an_order_saw_it(kind: str, milliseconds: int, seed: int, seen: bool) -> None:
    assert on_screen(kind, milliseconds, seed) == seen
    told = said_of(judgement(annotator_kind=kind, milliseconds=milliseconds, shown_seed=seed))
    assert told.seen == seen


def test_that_an_item_s_shape_has_its_models_and_lengths_and_no_text() -> None:
    texts = (
        Candidate(text="a secret", model="m-1"),
        Candidate(text="", model=None),
        Candidate(text="ä🦊", model="m-2"),
    )
    shape = shape_of(Item(id="i", prompt=Prompt.from_text("what?"), candidates=texts), position=4, prompt=2)
    assert shape == ("i", 4, 2, ("m-1", None, "m-2"), (8, 0, 2))
    assert "secret" not in repr(shape)
