"""Disputes, win rates and circles on made-up labels."""

from collections.abc import Hashable

import pytest

from workbench.analysis.contests import circles, disputes, in_words, model_circles, response_circles, win_rates
from workbench.analysis.votes import deciding, games_of, picks, sort_out, units_of
from workbench.domain.said import Said, Shape

RING = [("a", "b", 1.0), ("b", "c", 1.0), ("c", "a", 1.0)]


def said(item: str, who: str, *ranks: int, purpose: str = "label", outcome: str = "ranked", at: float = 0.0) -> Said:
    shown = tuple(range(len(ranks) or 2))
    return Said(
        item, who, outcome if ranks or outcome != "ranked" else "all_bad", ranks, shown, 900, at, purpose=purpose
    )  # type: ignore[arg-type]


def shape(item: str, position: int, *models: str, prompt: int = 0) -> Shape:
    return Shape(item, position, prompt or position, models, tuple(range(10, 10 + len(models))))


def apart(item: str, candidate: int) -> Hashable:
    return item, candidate


def test_that_disputed_items_come_worst_first_with_what_everybody_said() -> None:
    made = [
        said("p", "ann", 0, 1), said("p", "bob", 1, 0), said("q", "ann", 0, 1), said("q", "bob", 0, 1), said("q", "cy", 0, 0),
        said("r", "ann", 0, 1), said("r", "bob", 0, 1), said("s", "ann", 0, 1),
    ]  # fmt: skip
    found = sort_out(made)
    shapes = {name: shape(name, n, "x", "y") for n, name in enumerate("pqrs")}
    first, second = disputes(found, units_of(found.votes), shapes)
    assert (first.item, first.position, first.share) == ("p", 0, 1.0)
    assert first.voices == (("ann", "1 ≻ 2"), ("bob", "2 ≻ 1"))
    assert (second.item, second.share) == ("q", pytest.approx(2 / 3))
    assert second.voices[2] == ("cy", "1 = 2")


def test_that_an_adjudication_settles_a_dispute_decides_its_games_and_is_no_vote() -> None:
    made = [said("p", "ann", 0, 1), said("p", "bob", 1, 0), said("p", "eve", 1, 0, purpose="adjudication")]
    found = sort_out(made)
    shapes = {"p": shape("p", 0, "x", "y")}
    assert [s.annotator for s in found.votes] == ["ann", "bob"]
    assert disputes(found, units_of(found.votes), shapes) == []
    assert games_of(deciding(found), shapes) == [("x", "y", 0.0)]


def test_that_a_newer_label_replaces_an_older_one_and_repeats_and_extras_are_no_labels() -> None:
    made = [
        said("p", "ann", 0, 1), said("p", "ann", 1, 0, at=1), said("p", "ann", 0, 1, purpose="repeat", at=2),
        said("p", "bob", 0, 0, purpose="extra", at=3),
    ]  # fmt: skip
    found = sort_out(made)
    assert [s.ranks for s in found.current] == [(1, 0)]
    assert [(before.ranks, again.ranks) for before, again in found.repeats] == [((1, 0), (0, 1))]


def test_that_verdicts_are_put_into_words() -> None:
    assert in_words(said("p", "ann", 1, 0, 1, 2)) == "2 ≻ 1 = 3 ≻ 4"
    assert in_words(said("p", "ann")) == "all bad"
    assert in_words(said("p", "ann", outcome="skipped")) == "skipped"


def test_that_win_rates_stand_both_ways_round_and_count_ties_as_halves() -> None:
    rates = win_rates([("a", "b", 1.0), ("b", "a", 0.0), ("a", "b", 0.5), ("b", "a", 1.0), ("a", "c", 0.5)])
    ours, theirs = rates["a", "b"], rates["b", "a"]
    assert (ours.wins, ours.ties, ours.losses) == (2, 1, 1)
    assert (theirs.wins, theirs.ties, theirs.losses) == (1, 1, 2)
    assert ours.share.value == pytest.approx(0.625)
    assert ours.share.value + theirs.share.value == pytest.approx(1)
    assert ours.share.low + theirs.share.high == pytest.approx(1)
    assert rates["a", "c"].share.count == 1
    assert ("b", "c") not in rates


def test_that_picks_look_at_places() -> None:
    swapped = said("p", "ann", 0, 1)._replace(shown=(1, 0))
    unseen = said("q", "ann", 0, 1)._replace(seen=False)
    assert picks([said("p", "ann", 0, 1), swapped, unseen, said("r", "ann", 0, 0)]) == {"ann": (1, 1)}


def test_that_a_circle_of_majorities_is_found() -> None:
    assert circles(RING) == (1, 1)
    assert circles([(b, a, r) for a, b, r in RING]) == (1, 1)
    assert circles([("a", "b", 1.0), ("b", "c", 1.0), ("a", "c", 1.0)]) == (0, 1)
    assert circles([*RING, ("a", "c", 1.0)]) == (0, 0)  # a and c are even
    four = [*RING, ("d", "a", 1.0), ("d", "b", 1.0), ("d", "c", 1.0)]
    assert circles(four) == (1, 4)


@pytest.mark.parametrize("size", [3, 5, 7, 9])
def test_that_a_regular_tournament_has_as_many_circles_as_can_be(size: int) -> None:
    # Kendall and Babington Smith 1940: at most (n³ - n) / 24 circular triads of an odd number n
    games = [(f"m{i}", f"m{(i + step) % size}", 1.0) for i in range(size) for step in range(1, size // 2 + 1)]
    assert circles(games) == ((size**3 - size) // 24, size * (size - 1) * (size - 2) // 6)


def test_that_a_circle_of_models_names_the_items_against_its_closest_majority() -> None:
    games = [("p", [("a", "b", 1.0)]), ("q", [("b", "c", 1.0)]), ("q2", [("b", "c", 1.0)])]
    games += [("r", [("c", "a", 1.0)]), ("r2", [("a", "c", 1.0)]), ("r3", [("c", "a", 1.0)]), ("p2", [("a", "b", 1.0)])]
    (circle,) = model_circles(games)
    assert circle.names == ("a", "b", "c")
    assert circle.items == ("r2",)


def test_that_a_majority_of_votes_can_run_in_a_circle_within_an_item() -> None:
    made = [said("p", "ann", 0, 1, 2), said("p", "bob", 2, 0, 1), said("p", "cy", 1, 2, 0)]
    (circle,) = response_circles(made, {"p": shape("p", 6, "x", "y", "z")}, apart)
    assert set(circle.names) == {"7/1", "7/2", "7/3"}
    assert circle.items == ("p",)
    assert response_circles(made[:1], {"p": shape("p", 6, "x", "y", "z")}, apart) == []


def test_that_pairs_of_the_same_responses_in_several_items_can_run_in_a_circle() -> None:
    texts = {"p": ("A", "B"), "q": ("B", "C"), "r": ("C", "A"), "s": ("A", "B")}
    shapes = {name: shape(name, n, "x", "y", prompt=5 if name != "s" else 6) for n, name in enumerate(texts)}
    made = [said(name, "ann", 0, 1) for name in texts]

    def same(item: str, candidate: int) -> Hashable:
        return shapes[item].prompt, texts[item][candidate]

    (circle,) = response_circles(made, shapes, same)
    assert set(circle.items) == {"p", "q", "r"}
    assert response_circles(made, shapes, apart) == []
