from datetime import UTC, datetime

import pytest

from workbench.domain.judgement import Judgement, Ranking, SkipReason
from workbench.gui.pages.annotate.draft import Draft, Verdict, in_words


def tiers(verdict: Verdict | None) -> tuple[tuple[int, ...], ...]:
    assert verdict is not None
    assert verdict.ranking is not None
    return verdict.ranking.tiers


def judged(ranking: tuple[tuple[int, ...], ...], shown: tuple[int, ...], strength: int = 1) -> Judgement:
    return Judgement(
        id="j", item="i", annotator="me", outcome="ranked", ranking=Ranking(tiers=ranking), strength=strength,
        shown=shown, shown_seed=1, milliseconds=900, created=datetime.now(UTC),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("shown", "place", "wanted"),
    [((0, 1), 0, ((0,), (1,))), ((0, 1), 1, ((1,), (0,))), ((1, 0), 0, ((1,), (0,))), ((1, 0), 1, ((0,), (1,)))],
)
def test_that_a_key_means_the_card_at_its_place_whatever_the_order_shown(
    shown: tuple[int, ...], place: int, wanted: tuple[tuple[int, ...], ...]
) -> None:
    verdict = Draft(shown).press(place)
    assert tiers(verdict) == wanted
    assert verdict is not None
    assert verdict.strength == 1


def test_that_shift_means_much_better() -> None:
    verdict = Draft((0, 1)).press(0, much=True)
    assert verdict is not None
    assert verdict.strength == 2


def test_that_zero_is_a_tie_of_two() -> None:
    assert tiers(Draft((1, 0)).level()) == ((0, 1),)


def test_that_a_key_without_a_card_does_nothing() -> None:
    assert Draft((0, 1)).press(2) is None
    draft = Draft((0, 1, 2))
    assert draft.press(7) is None
    assert draft.tiers == []


def test_that_keys_place_one_after_the_other_and_enter_accepts() -> None:
    draft = Draft((2, 0, 1))
    for place in (1, 0, 2):
        assert draft.press(place) is None
    assert [draft.rank_of(p) for p in range(3)] == [2, 1, 3]
    assert tiers(draft.accept()) == ((0,), (2,), (1,))


def test_that_the_same_key_takes_a_place_back_and_later_ones_move_up() -> None:
    draft = Draft((0, 1, 2, 3))
    for place in (0, 1, 2, 0):
        draft.press(place)
    assert draft.tiers == [[1], [2]]
    assert draft.open == [0, 3]
    assert draft.rank_of(0) is None


def test_that_zero_puts_the_next_one_level_with_the_last_placed() -> None:
    draft = Draft((0, 1, 2, 3))
    draft.press(2)
    draft.level()
    draft.press(0)
    draft.press(1)
    draft.press(3)
    assert tiers(draft.accept()) == ((0, 2), (1,), (3,))
    assert [draft.rank_of(p) for p in (2, 0, 1, 3)] == [1, 1, 3, 4]


def test_that_zero_pressed_twice_levels_nothing() -> None:
    draft = Draft((0, 1, 2))
    draft.press(0)
    draft.level()
    draft.level()
    draft.press(1)
    assert draft.tiers == [[0], [1]]


def test_that_zero_before_any_place_does_nothing() -> None:
    draft = Draft((0, 1, 2))
    draft.level()
    draft.press(1)
    assert draft.tiers == [[1]]


def test_that_taking_the_only_one_back_forgets_levelling() -> None:
    draft = Draft((0, 1, 2))
    draft.press(0)
    draft.level()
    draft.press(0)
    draft.press(1)
    assert draft.tiers == [[1]]


def test_that_enter_waits_while_two_are_open_and_puts_a_single_one_last() -> None:
    draft = Draft((0, 1, 2))
    draft.press(2)
    assert draft.accept() is None
    draft.press(0)
    assert tiers(draft.accept()) == ((2,), (0,), (1,))


def test_that_enter_and_shift_mean_nothing_where_they_are_not_offered() -> None:
    assert Draft((0, 1)).accept() is None
    draft = Draft((0, 1, 2))
    draft.press(0, much=True)
    assert draft.tiers == []


def test_that_dragging_can_insert_before_level_and_at_the_end() -> None:
    draft = Draft((0, 1, 2))
    draft.move(0, 0, level=False)
    draft.move(1, 0, level=False)
    assert draft.tiers == [[1], [0]]
    draft.move(2, 1, level=True)
    assert draft.tiers == [[1], [0, 2]]
    draft.move(1, 9, level=False)
    assert draft.tiers == [[0, 2], [1]]


def test_that_dragging_out_of_the_own_tier_leaves_no_empty_tier() -> None:
    draft = Draft((0, 1, 2), [[0], [1], [2]])
    draft.move(0, 2, level=True)
    assert draft.tiers == [[1], [2, 0]]


@pytest.mark.parametrize("reason", ["unclear", "unsafe", "wrong_language", "other"])
def test_that_a_skip_has_its_reason(reason: SkipReason) -> None:
    assert Draft((0, 1)).skip(reason) == Verdict("skipped", skip_reason=reason)


def test_that_all_bad_has_no_ranking() -> None:
    assert Draft((0, 1)).all_bad() == Verdict("all_bad")


def test_that_an_earlier_ranking_is_where_a_correction_starts() -> None:
    draft = Draft((2, 0, 1))
    draft.remember(judged(((1,), (0, 2)), (2, 0, 1)))
    assert draft.tiers == [[2], [1, 0]]
    assert tiers(draft.accept()) == ((1,), (0, 2))


def test_that_a_judgement_is_told_in_the_letters_that_were_shown() -> None:
    assert in_words(judged(((1,), (0,)), (0, 1))) == "B ≻ A"
    assert in_words(judged(((1,), (0,)), (1, 0))) == "A ≻ B"
    assert in_words(judged(((1,), (0,)), (1, 0), strength=2)) == "A ≻≻ B"
    assert in_words(judged(((2,), (0, 1)), (0, 1, 2))) == "C ≻ A = B"


def test_that_all_bad_and_skips_are_told_in_words() -> None:
    base = judged(((1,), (0,)), (0, 1)).model_dump() | {"ranking": None}
    assert in_words(Judgement(**base | {"outcome": "all_bad"})) == "all bad"
    skipped = Judgement(**base | {"outcome": "skipped", "skip_reason": "wrong_language"})
    assert in_words(skipped) == "skipped (wrong language)"


def test_that_nothing_is_level_before_the_first_or_after_the_last_place() -> None:
    draft = Draft((2, 0, 1))
    draft.level()
    assert not draft.levelling
    for place in (0, 1, 2):
        draft.press(place)
    draft.level()
    assert not draft.levelling


@pytest.mark.parametrize(
    ("tier", "level", "tiers"),
    [
        (-1, False, [[2], [0], [1]]),
        (9, False, [[0], [1], [2]]),
        (1, False, [[0], [2], [1]]),
        (1, True, [[0], [1, 2]]),
        (2, True, [[0], [1], [2]]),
        (-1, True, [[2], [0], [1]]),
    ],
)
def test_that_a_card_is_dropped_where_it_was_let_go(tier: int, level: bool, tiers: list[list[int]]) -> None:
    draft = Draft((0, 1, 2), [[0], [1]], levelling=True)
    draft.move(2, tier, level=level)
    assert draft.tiers == tiers
    assert not draft.levelling  # the next key places anew


def test_that_a_pair_that_was_judged_before_begins_without_a_ranking() -> None:
    draft = Draft((1, 0))
    draft.remember(judged(((0,), (1,)), (1, 0)))
    assert draft.tiers == []
