"""Worked examples of the textbooks come out exactly."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from tests.engine.decoding.tables import Table
from tests.engine.decoding.told import finish
from workbench.domain.decoding import Beam, Contrastive, Greedy, Sample
from workbench.engine.decoding.beam import beam
from workbench.engine.decoding.chain import Context, chain_for
from workbench.engine.decoding.contrastive import contrastive
from workbench.engine.decoding.greedy import greedy
from workbench.engine.decoding.measure import Look, measure
from workbench.engine.decoding.task import Task

FOUR = {"cat": 0.4, "dog": 0.3, "bird": 0.2, "elephant": 0.1}
FIVE = {"cat": 0.4, "dog": 0.3, "bird": 0.15, "fish": 0.1, "elephant": 0.05}


def after(settings: Sample, words: dict[str, float]) -> dict[str, float]:
    """What a distribution becomes, without the words that are cut."""
    scores: Tensor = torch.tensor([list(words.values())], dtype=torch.float64).log()
    p = chain_for(settings, frozenset())(scores, Context([[0]], [[]])).scores.softmax(-1)[0].tolist()
    return {word: value for word, value in zip(words, p, strict=True) if value > 0}


def close(found: dict[str, float], **expected: float) -> bool:
    return found == pytest.approx(expected, abs=5e-4)


def test_that_temperature_sharpens_and_flattens() -> None:
    assert close(after(Sample(temperature=0.5), FOUR), cat=0.533, dog=0.3, bird=0.133, elephant=0.033)
    assert close(after(Sample(temperature=1.0), FOUR), **FOUR)
    assert close(after(Sample(temperature=2.0), FOUR), cat=0.3254, dog=0.2818, bird=0.2301, elephant=0.1627)


def test_that_top_k_keeps_k_words_and_shares_their_mass_out_again() -> None:
    assert close(after(Sample(top_k=2), FOUR), cat=0.5714, dog=0.4286)
    assert close(after(Sample(top_k=3), FIVE), cat=0.4706, dog=0.3529, bird=0.1765)


def test_that_top_p_keeps_the_smallest_set_that_reaches_the_mass() -> None:
    assert close(after(Sample(top_p=0.8), FOUR), cat=0.4444, dog=0.3333, bird=0.2222)
    assert close(after(Sample(top_p=0.8), FIVE), cat=0.4706, dog=0.3529, bird=0.1765)
    assert close(after(Sample(top_p=0.5), FIVE), cat=0.5714, dog=0.4286)
    assert close(after(Sample(top_p=0.4), {**FOUR, "cat": 0.41, "elephant": 0.09}), cat=1.0)


def test_that_min_p_is_a_share_of_the_best_word() -> None:
    assert close(after(Sample(min_p=0.3), FIVE), cat=0.4706, dog=0.3529, bird=0.1765)


def test_that_the_order_of_temperature_and_top_p_matters() -> None:
    """Flattened first, top-p 0.8 keeps four of five words; cut first, three."""
    hot = {"temperature": 2.0, "top_p": 0.8}
    assert set(after(Sample(**hot), FIVE)) == {"cat", "dog", "bird", "fish"}
    assert set(after(Sample(**hot, order=("top_p", "temperature")), FIVE)) == {"cat", "dog", "bird"}


def test_that_the_perplexity_of_three_tokens_is_two_point_oh_seven() -> None:
    logits = torch.tensor([[p, 1 - p] for p in (0.9, 0.5, 0.25)]).log()
    told = measure(Look(logits), [0, 1, 2], [0] * 3)
    assert [m.p_model for m in told] == pytest.approx([0.9, 0.5, 0.25])
    assert math.exp(-sum(m.logprob for m in told) / 3) == pytest.approx(2.07, abs=0.005)


END, YES, OK = 0, 1, 2
TREE = {(): (0.1, 0.5, 0.4), (YES,): (0.3, 0.4, 0.3), (OK,): (0.1, 0.2, 0.7)}


def answers(text: tuple[int, ...]) -> tuple[float, ...]:
    """Behind the prompt: yes .5, ok .4, end .1; after "yes" yes .4; after "ok" ok .7; after two words the end."""
    return TREE.get(text[1:], (1.0, 0.0, 0.0))


def test_that_greedy_takes_yes_yes_where_beams_find_ok_ok() -> None:
    task = Task([9], 3, frozenset({END}))
    assert finish(greedy(Table(answers), task, Greedy())).ids == [YES, YES, END]
    told = finish(beam(Table(answers), task, Beam(num_beams=2, length_penalty=0.0, num_return=2)))
    assert told.ids == [OK, OK, END]
    probabilities = {h.ids: math.exp(h.score) for h in told.outcome.hypotheses}
    assert probabilities == pytest.approx({(OK, OK, END): 0.28, (YES, YES, END): 0.2})
    first, second = told.levels[0], told.levels[1]
    assert [(n.id, n.state, round(math.exp(n.logprob), 2)) for n in first.nodes] == [
        (YES, "live", 0.5), (OK, "live", 0.4), (END, "pruned", 0.1),
    ]  # fmt: skip
    live = [(n.id, n.parent, round(math.exp(n.logprob), 2)) for n in second.nodes if n.state == "live"]
    assert live == [(OK, 1, 0.28), (YES, 0, 0.2)]


YEARS = ["1961", "Hawaii", "the", "Honolulu", "Washington", "others"]
EXPERT = (0.10, 0.32, 0.18, 0.16, 0.02, 0.22)
AMATEUR = (0.001, 0.07, 0.04, 0.04, 0.01, 0.839)


def test_that_the_expert_alone_says_hawaii_and_against_the_amateur_1961() -> None:
    """Barack Obama was born in Honolulu, Hawaii. He was born in …"""
    task = Task([9], 1, frozenset())
    assert finish(greedy(Table(lambda text: EXPERT), task, Greedy())).ids == [YEARS.index("Hawaii")]
    settings = Contrastive(amateur="small", alpha=0.05)
    told = finish(contrastive(Table(lambda text: EXPERT), Table(lambda text: AMATEUR), task, settings))
    assert told.ids == [YEARS.index("1961")]
    trace = told.tokens[0].contrast
    scores = {YEARS[option.id]: option.score for option in trace.options}
    expected = {"1961": 4.61, "Hawaii": 1.52, "the": 1.50, "Honolulu": 1.39, "Washington": 0.69}
    assert {word: scores[word] for word in expected} == pytest.approx(expected, abs=0.005)
    assert (trace.expert, trace.amateur) == pytest.approx((0.10, 0.001))
    assert trace.cut == pytest.approx(0.05 * 0.32)


def test_that_an_implausible_token_has_no_score() -> None:
    """With alpha 0.1 the cut is at 0.032: Washington is out, however little the amateur thinks of it."""
    told = finish(
        contrastive(
            Table(lambda text: EXPERT), Table(lambda text: AMATEUR), Task([9], 1, frozenset()), Contrastive(amateur="a")
        )
    )
    scores = {YEARS[option.id]: option.score for option in told.tokens[0].contrast.options}
    assert [word for word, score in scores.items() if score is None] == ["Washington"]
    assert {o.cut_by for o in told.tokens[0].options} == {None, "plausibility"}
