"""Several dimensions of one item, before any window: which keys say what of which dimension."""

from datetime import UTC, datetime

import pytest

from workbench.domain.judgement import Aspect, Judgement, Ranking
from workbench.domain.queues import Dimension
from workbench.gui.pages.annotate.draft import Sheet, all_in_words

HELPFUL, HARMLESS = Dimension(name="Helpful"), Dimension(name="Harmless")


def sheet(*shown: int) -> Sheet:
    return Sheet(shown, (HELPFUL, HARMLESS))


def said(one: Sheet) -> dict[str, tuple[tuple[int, ...], ...]]:
    return {aspect.name: aspect.ranking.tiers for aspect in one.aspects}


def test_that_without_dimensions_the_first_verdict_is_the_last() -> None:
    plain = Sheet((1, 0))
    verdict = plain.press(0)
    assert verdict is not None
    assert verdict.ranking == Ranking(tiers=((1,), (0,)))
    assert plain.aspects == ()


def test_that_keys_rank_one_dimension_after_the_other_and_the_last_one_commits() -> None:
    pair = sheet(1, 0)
    assert pair.press(0) is None
    assert pair.here == 1
    assert pair.level() is None
    assert pair.last
    verdict = pair.press(1, much=True)
    assert verdict is not None
    assert verdict.strength == 2
    assert verdict.ranking == Ranking(tiers=((0,), (1,)))
    assert said(pair) == {"Helpful": ((1,), (0,)), "Harmless": ((0, 1),)}


def test_that_much_better_is_asked_over_all_only() -> None:
    pair = sheet(0, 1)
    assert pair.press(0, much=True) is None
    assert pair.here == 0
    assert said(pair) == {}


def test_that_a_dimension_may_be_left_out() -> None:
    pair = sheet(0, 1)
    pair.turn(1)
    pair.press(1)
    assert pair.press(0) is not None
    assert said(pair) == {"Harmless": ((1,), (0,))}


def test_that_turning_stops_at_both_ends() -> None:
    pair = sheet(0, 1)
    assert not pair.turn(-1)
    assert pair.turn(1)
    assert pair.turn(1)
    assert not pair.turn(1)
    assert pair.last


def test_that_a_dimension_can_be_ranked_again_and_enter_goes_on() -> None:
    pair = sheet(0, 1)
    assert pair.accept() is None
    assert pair.here == 0  # nothing was said: Enter doesn't pass over it
    pair.press(0)
    pair.turn(-1)
    assert pair.accept() is None
    assert pair.here == 1
    pair.turn(-1)
    pair.press(1)
    assert said(pair) == {"Helpful": ((1,), (0,))}


def test_that_three_candidates_are_placed_and_accepted_in_each_dimension() -> None:
    three = sheet(2, 0, 1)
    for place in (1, 0):
        three.press(place)
    assert three.begun == 0
    assert three.accept() is None
    assert three.begun is None
    assert three.here == 1
    assert said(three) == {"Helpful": ((0,), (2,), (1,))}


@pytest.mark.parametrize("here", [0, 1, 2])
def test_that_all_bad_is_said_of_the_item_from_any_dimension(here: int) -> None:
    pair = sheet(0, 1)
    pair.go(here)
    assert pair.draft.all_bad().outcome == "all_bad"


def test_that_what_is_kept_speaks_of_candidates_and_comes_back_in_any_order_shown() -> None:
    three = sheet(2, 0, 1)
    three.press(1)
    three.press(0)
    three.accept()
    three.press(2)
    body = three.body()
    assert body == {"aspects": {"Helpful": [[0], [2], [1]], "Harmless": [[1]]}}
    again = sheet(0, 1, 2)
    again.restore(body)
    assert said(again) == said(three)
    assert again.here == 1
    assert again.begun == 1
    assert again.body() == body


def test_that_an_untouched_sheet_is_kept_as_nothing() -> None:
    assert sheet(0, 1).body() == {}


@pytest.mark.parametrize("tiers", [[[0], [5]], [[0], [0]], [[], [1]]])
def test_that_a_kept_draft_that_no_longer_fits_is_left_out(tiers: list[list[int]]) -> None:
    three = sheet(0, 1, 2)
    three.restore({"tiers": tiers, "aspects": {"Helpful": tiers, "Forgotten": [[0]]}})
    assert three.body() == {}


def test_that_an_earlier_judgement_is_where_a_correction_starts_in_every_dimension() -> None:
    earlier = Judgement(
        id="j", item="i", annotator="me", outcome="ranked", ranking=Ranking(tiers=((2,), (0, 1))), shown=(2, 0, 1),
        shown_seed=1, milliseconds=900, created=datetime.now(UTC),
        aspects=(Aspect(name="Harmless", ranking=Ranking(tiers=((0,), (1,), (2,)))),),
    )  # fmt: skip
    three = sheet(2, 0, 1)
    three.remember(earlier)
    assert said(three) == {"Harmless": ((0,), (1,), (2,))}
    assert three.overall.tiers == [[0], [1, 2]]
    assert all_in_words(earlier) == "A ≻ B = C (Harmless B ≻ C ≻ A)"


def test_that_a_dimension_that_is_left_waits_for_no_level_place() -> None:
    three = sheet(0, 1, 2)
    three.press(0)
    three.level()
    three.turn(1)
    three.turn(-1)
    three.press(1)
    assert three.draft.tiers == [[0], [1]]


@pytest.mark.parametrize(
    ("shown", "tiers", "proposed"),
    [
        ((1, 0), [], (((1,), (0,)), True)),
        ((1, 0), [[0], [1]], (((0,), (1,)), True)),
        ((0, 1, 2), [[2], [0]], (((2,), (0,), (1,)), True)),
        ((0, 1, 2), [[2]], (((2,), (0, 1)), False)),
        ((0, 1, 2), [[2], [0, 1]], (((2,), (0, 1)), True)),
    ],
)
def test_that_what_a_label_would_say_is_what_was_said_so_far(
    shown: tuple[int, ...], tiers: list[list[int]], proposed: tuple[tuple[tuple[int, ...], ...], bool]
) -> None:
    one = Sheet(shown)
    one.restore({"tiers": tiers})
    ranking, strength, whole = one.proposed()
    assert ((ranking.tiers, whole), strength) == (proposed, 1)
