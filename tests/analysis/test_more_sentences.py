"""Sentences at the very value where the advice changes, word for word, and for shares that are nearly none or all."""

from __future__ import annotations

import pytest

from workbench.analysis import sentences
from workbench.analysis.alpha import Interval
from workbench.analysis.habits import Pace, Share

SURE = Interval(0.9, 0.85, 0.95)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (0.0, "none"), (0.001, "hardly any"), (0.0049, "hardly any"), (0.0051, "about 1 of a hundred"), (0.02, "about 2 of a hundred"),
        (0.05, "about 5 of a hundred"), (0.0501, "about one of ten"), (0.149, "about one of ten"), (0.16, "about two of ten"),
        (0.3, "about three of ten"), (0.4, "about four of ten"), (0.5, "about five of ten"), (0.6, "about six of ten"),
        (0.7, "about seven of ten"), (0.8, "about eight of ten"), (0.9, "about nine of ten"), (0.9499, "about nine of ten"),
        (0.95, "about 95 of a hundred"), (0.99, "about 99 of a hundred"), (0.9951, "nearly all"), (0.9999, "nearly all"), (1.0, "all"),
    ],
)  # fmt: skip
def test_that_a_share_is_told_in_tens_or_hundreds(value: float, words: str) -> None:
    assert sentences.in_ten(value) == words


@pytest.mark.parametrize(
    ("value", "word"),
    [
        (-1.0, "worse than chance"), (-1e-9, "worse than chance"), (0.0, "slight"), (0.2, "fair"), (0.4, "moderate"),
        (0.6, "substantial"), (0.8, "almost perfect"), (1.0, "almost perfect"),
    ],
)  # fmt: skip
def test_that_a_kappa_on_the_border_has_the_better_word(value: float, word: str) -> None:
    assert sentences.band(value) == word


@pytest.mark.parametrize(
    ("value", "advice"),
    [
        (0.399, "write clearer guidelines, with an example for each disputed case, before you judge more"),
        (0.4, "enough to compare models; look at the disputed items before you train"),
        (0.599, "enough to compare models; look at the disputed items before you train"),
        (0.6, "good enough to train on; below 0.4 write clearer guidelines"),
    ],
)
def test_that_a_kappa_ends_with_its_advice(value: float, advice: str) -> None:
    words = sentences.kappa(Interval(value, value, value), 0.8, 100)
    assert words == f"{sentences.band(value)}; of pairs judged by two, about eight of ten agree; {advice}"


@pytest.mark.parametrize(
    ("value", "word"),
    [
        (0.8, "reliable (0.8 and above)"),
        (0.799, "good for tentative conclusions (0.667 to 0.8)"),
        (0.667, "good for tentative conclusions (0.667 to 0.8)"),
        (0.666, "too low to rely on (below 0.667): clarify the guidelines and settle the disputed items"),
    ],
)
def test_that_alpha_on_the_border_is_read_by_the_published_bounds(value: float, word: str) -> None:
    sure = Interval(value, value, value)
    assert sentences.alpha(sure, 100) == word
    assert (
        sentences.alpha(sure, 100, ordinal=True)
        == f"{word}; a tie against a preference counts as half a disagreement here"
    )


@pytest.mark.parametrize(
    ("value", "verdict"), [(0.8, "steady"), (0.79, "unsteady: slow down, or mark such items as ties")]
)
def test_that_somebody_is_steady_from_eight_of_ten_on(value: float, verdict: str) -> None:
    found = Share(value, value - 0.1, value + 0.1, 300)
    start = "of items shown again with places swapped,"
    assert sentences.consistency(found) == f"{start} annotators say the same on about eight of ten; {verdict}"
    assert sentences.consistency(found, "ann") == f"{start} ann says the same on about eight of ten; {verdict}"


@pytest.mark.parametrize(
    ("value", "verdict"), [(0.8, "as hoped"), (0.79, "read the guidelines again, or check the known answers")]
)
def test_that_known_answers_are_hoped_for_from_eight_of_ten_on(value: float, verdict: str) -> None:
    found = Share(value, value - 0.1, value + 0.1, 300)
    assert sentences.gold(found, "ann") == f"ann gave the known answer on about eight of ten gold items; {verdict}"
    assert sentences.gold(found).startswith("annotators gave the known answer")


@pytest.mark.parametrize(("low", "high", "few"), [(0.75, 1.0, False), (0.65, 1.0, True)])
def test_that_few_cases_are_told_when_the_interval_is_wide(low: float, high: float, few: bool) -> None:
    told = sentences.gold(Share(0.9, low, high, 1234), "ann").endswith("; 1,234 are few, so the interval is wide")
    assert told is few


def test_that_two_annotators_can_not_outvote_each_other() -> None:
    warning = "two annotators can't outvote each other: trust this from three annotators on"
    assert sentences.accuracy(SURE, 2) == warning
    assert (
        sentences.accuracy(SURE, 3)
        == "right on about nine of ten votes, if the consensus of all (Dawid and Skene) is the truth"
    )


@pytest.mark.parametrize(
    ("share", "side"),
    [
        (Share(0.6, 0.5, 0.7, 1500), ""), (Share(0.4, 0.3, 0.5, 1500), ""), (Share(0.6, 0.501, 0.7, 1500), "left"),
        (Share(0.4, 0.3, 0.499, 1500), "right"),
    ],
)  # fmt: skip
def test_that_half_within_the_interval_is_no_bias(share: Share, side: str) -> None:
    words = sentences.left(share)
    if side:
        assert words == (
            f"annotators favoured the {side} side beyond chance; places are drawn at random, so models are not wronged, "
            "but such labels are noise: read both before you press a key"
        )
    else:
        assert (
            words
            == "half is no bias, and 1,500 choices show none; 1,500 are few, so the interval is wide"[: len(words)]
        )
        assert words.startswith("half is no bias, and 1,500 choices show none")


@pytest.mark.parametrize(
    ("share", "word"),
    [
        (Share(0.6, 0.5, 0.7, 1500), ""), (Share(0.4, 0.3, 0.5, 1500), ""), (Share(0.6, 0.51, 0.7, 1500), "longer"),
        (Share(0.4, 0.3, 0.49, 1500), "shorter"),
    ],
)  # fmt: skip
def test_that_length_plays_a_part_beyond_chance_only(share: Share, word: str) -> None:
    expected = (
        f"the {word} response wins more often than chance; right where it says more, else a reward model learns length: compare with gold items"
        if word
        else "length plays no part that 1,500 preferences could show"
    )
    assert sentences.longer(share) == expected


@pytest.mark.parametrize(
    ("drift", "words"),
    [
        (None, "median of 1,200 items; sittings are too short to tell fatigue"),
        (1.26, "the end of a sitting takes 1.3 times as long as its beginning: tiring, take shorter sittings"),
        (1.25, "steady: the end of a sitting takes 125 % of the time of its beginning"),
        (0.75, "steady: the end of a sitting takes 75 % of the time of its beginning"),
        (
            0.74,
            "the end of a sitting takes 74 % of the time of its beginning: practice or hurry, check the last labels",
        ),
    ],
)
def test_that_the_end_of_a_sitting_is_compared_with_its_beginning(drift: float | None, words: str) -> None:
    assert sentences.pace(Pace(4.0, drift, 1200)) == words


@pytest.mark.parametrize(
    ("value", "low", "high", "rival", "words"),
    [
        (0.0, -0.1, 0.1, "", "would win about five of ten comparisons with a model of average strength; may be average"),
        (1.4, 1.0, 1.8, "", "would win about eight of ten comparisons with a model of average strength"),
        (-1.4, -1.8, -1.0, "", "would win about two of ten comparisons with a model of average strength"),
        (1.4, 0.0, 2.8, "", "would win about eight of ten comparisons with a model of average strength; may be average"),
        (-1.4, -2.8, 0.0, "", "would win about two of ten comparisons with a model of average strength; may be average"),
        (1.4, 1.0, 1.8, "b", "would win about eight of ten comparisons with a model of average strength; not to be told from b yet"),
        (0.0, -0.1, 0.1, "b", "would win about five of ten comparisons with a model of average strength; not to be told from b yet"),
    ],
)  # fmt: skip
def test_that_a_strength_is_told_against_the_average(
    value: float, low: float, high: float, rival: str, words: str
) -> None:
    assert sentences.strength(value, low, high, rival) == words


@pytest.mark.parametrize(
    ("share", "words"),
    [
        (Share(0.7, 0.6, 0.8, 1100), "a is better than b: chance alone hardly explains 1,100 comparisons"),
        (Share(0.3, 0.2, 0.4, 1100), "b is better than a: chance alone hardly explains 1,100 comparisons"),
        (Share(0.5, 0.45, 0.55, 1100), "a and b are level after 1,100 comparisons"),
        (Share(0.519, 0.45, 0.55, 1100), "a and b are level after 1,100 comparisons"),
        (Share(0.481, 0.45, 0.55, 1100), "a and b are level after 1,100 comparisons"),
        # (1.96 / 0.2)² = 96.04 comparisons make ±0.1, 60 are there
        (Share(0.6, 0.47, 0.72, 60), "undecided; if the share stays, about 37 more comparisons decide it"),
        (Share(0.4, 0.28, 0.53, 60), "undecided; if the share stays, about 37 more comparisons decide it"),
        # (1.96 / 0.1)² = 384.1
        (Share(0.55, 0.42, 0.67, 60), "undecided; if the share stays, about 320 more comparisons decide it"),
        (Share(0.6, 0.5, 0.7, 96), "undecided; if the share stays, about 1 more comparisons decide it"),
        (Share(0.6, 0.499, 0.7, 200), "undecided; if the share stays, about 1 more comparisons decide it"),
    ],
)  # fmt: skip
def test_that_two_models_are_told_apart_or_how_many_comparisons_it_takes(share: Share, words: str) -> None:
    assert sentences.win_rate(share, "a", "b") == words


@pytest.mark.parametrize(
    ("found", "triples", "words"),
    [
        (0, 0, "no three models have met pairwise with a majority"),
        (0, 1000, "none of 1,000 triples of models runs in a circle: one ranking fits them all"),
        (1, 1000, "of 1,000 triples of models: no single ranking fits these; more comparisons often dissolve them"),
    ],
)
def test_that_circles_are_told_against_how_many_there_could_be(found: int, triples: int, words: str) -> None:
    assert sentences.circles(found, triples) == words


@pytest.mark.parametrize(
    ("nu", "words"), [(0.0, "none"), (2.0, "about five of ten"), (0.5, "about two of ten"), (8.0, "about eight of ten")]
)
def test_that_the_weight_of_ties_is_told_as_a_share(nu: float, words: str) -> None:
    assert sentences.ties(nu) == f"between models of the same strength, {words} comparisons end in a tie"


@pytest.mark.parametrize(
    ("low", "high", "items", "tail"),
    [
        (None, None, 3, "; too few items for an interval"),
        (0.5, None, 3, "; too few items for an interval"),
        (None, 0.5, 3, "; too few items for an interval"),
        (0.0, 0.3, 50, ""),
        (0.5, 0.9, 50, "; the interval is wide: about 150 more items judged by two make it ±0.1"),
        (0.0, 1.0, 7, "; the interval is wide: about 170 more items judged by two make it ±0.1"),
        (0.2, 0.8, 200, "; the interval is wide: about 1,600 more items judged by two make it ±0.1"),
    ],
)
def test_that_a_wide_interval_says_what_to_do(low: float | None, high: float | None, items: int, tail: str) -> None:
    start = "about seven of ten pairs of votes agree; chance alone makes votes agree too, so judge by kappa or alpha"
    assert sentences.raw(Interval(0.7, low, high), items) == start + tail
