"""Law 2 by chi-square on real tiny models: speculative decoding passes, and every deliberately wrong rule fails the same test."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
import torch

from tests.engine.decoding.tables import die
from workbench.domain.choices import LosslessReport
from workbench.domain.decoding import Speculative
from workbench.domain.errors import BadInput
from workbench.engine.decoding.general import General
from workbench.engine.decoding.lossless import Tried, _tested, chi_square, expectation, lossless
from workbench.engine.decoding.pieces import Pieces
from workbench.engine.decoding.remembered import Remembered
from workbench.engine.decoding.task import Task
from workbench.engine.decoding.verify import EXACT
from workbench.engine.decoding.voice import Voice

TASK = Task([1, 3, 2, 4, 3], 8, frozenset({0}))
SAMPLES = 500


class Named:
    """Pieces of a model without a tokenizer."""

    def __getitem__(self, token: int) -> str:
        return f"<{token}>"


@pytest.fixture(scope="module")
def other() -> Any:
    """Its distribution is far from the first die's."""
    return die(12)


def report(target: Any, draft: Any | None, settings: Speculative, samples: int = SAMPLES) -> LosslessReport:
    pieces: Any = Named()
    other = None if draft is None else General(draft)
    found = lossless(General(target), TASK, settings, other, samples, pieces)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("temperature", "top_p", "gamma", "found_out"), [(1.7, 0.95, 3, (0, 1)), (3.0, 0.9, 1, (0, 2))]
)
def test_that_drawn_texts_have_the_models_distribution_and_wrong_rules_are_found(
    dice: Any, other: Any, temperature: float, top_p: float, gamma: int, found_out: tuple[int, ...]
) -> None:
    """Sharp settings show a wrong residual, strong rules a q that was read before them; drafts that are always kept show anywhere."""
    rules = {"temperature": temperature, "top_p": top_p, "repetition_penalty": 1.1}
    found = report(dice, other, Speculative(draft="other", gamma=gamma, **rules))
    assert found.exact.p > 0.001
    assert found.exact.impossible == 0
    assert found.exact.degrees >= 5
    assert all(found.wrong[place].p < 1e-5 for place in found_out)
    assert found.exact.acceptance is not None
    assert 0.1 < found.exact.acceptance < 0.9  # a draft so near that nothing is rejected would test nothing


def test_that_ngrams_leave_the_distribution_as_it_was(dice: Any) -> None:
    found = report(dice, None, Speculative(temperature=2.0, gamma=2))
    assert found.exact.p > 0.001
    kept, without_residual, unwarped = found.wrong
    assert kept.p < 1e-5
    assert without_residual.p < 1e-5
    assert unwarped.p == found.exact.p  # n-grams have no rules of their own: there is nothing to read too early


def test_that_expected_counts_are_those_of_the_model(dice: Any) -> None:
    expected = expectation(Remembered(General(dice)), TASK, Speculative(temperature=2.0), 400)
    assert sum(expected.values()) == pytest.approx(400)
    with torch.inference_mode():
        first = torch.softmax(dice(torch.tensor([TASK.prompt])).logits[0, -1].double() / 2.0, -1)
        second = torch.softmax(dice(torch.tensor([[*TASK.prompt, 3]])).logits[0, -1].double() / 2.0, -1)
    wanted = 400 * float(first[3] * second[2])
    assert wanted >= 5
    assert expected[(3, 2)] == pytest.approx(wanted, rel=1e-4)
    assert expected[(0,)] == pytest.approx(400 * float(first[0]), rel=1e-4)  # an end token ends the text
    assert all(value >= 5 for value in expected.values())


def test_that_the_statistic_is_pearsons() -> None:
    statistic, degrees, p = chi_square([18, 22, 20], [20.0, 20.0, 20.0])
    assert (statistic, degrees) == (pytest.approx(0.4), 2)
    assert p == pytest.approx(0.8187307530779818)  # e^-0.2
    assert chi_square([7], [7.0]) == (0.0, 0, 1.0)


def test_that_a_text_which_cannot_come_fails_the_test_alone(dice: Any) -> None:
    pieces: Any = Named()
    told = Tried(Counter({(1, 2): 50, (3, 3): 49, (4, 4): 1}), 100, 60)
    tested = _tested(EXACT, told, {(1, 2): 50.0, (3, 3): 50.0}, pieces)
    assert (tested.p, tested.impossible, tested.acceptance) == (0.0, 1, 0.6)
    assert [cell.text for cell in tested.cells] == ["<1><2>", "<3><3>"]


def test_that_what_is_remembered_is_what_the_model_says(dice: Any) -> None:
    remembered, plain = Remembered(General(dice)), General(dice)
    for _ in range(2):
        assert torch.equal(remembered.prefill([TASK.prompt]), plain.prefill([TASK.prompt]))
        assert torch.allclose(remembered.extend([[1, 2, 3]]), plain.extend([[1, 2, 3]]), atol=1e-5)
        remembered.crop(2), plain.crop(2)
        assert torch.allclose(remembered.extend([[4, 2]]), plain.extend([[4, 2]]), atol=1e-5)
        remembered.crop(3), plain.crop(3)
        assert torch.allclose(remembered.step([2]), plain.step([2]), atol=1e-5)


def test_that_the_test_can_be_stopped_and_tells_how_far_it_is(dice: Any, other: Any) -> None:
    told: list[tuple[int, int]] = []
    pieces: Any = Named()
    settings = Speculative(temperature=2.0)
    whole = lossless(General(dice), TASK, settings, General(other), 100, pieces, progress=lambda *at: told.append(at))
    assert whole is not None
    assert told == [(50 * n, 400) for n in range(1, 9)]
    left = iter(range(30))
    assert (
        lossless(General(dice), TASK, settings, None, 100, pieces, wanted=lambda: next(left, None) is not None) is None
    )


def test_that_greedy_decoding_has_no_distribution_to_test(dice: Any) -> None:
    with pytest.raises(BadInput, match="nothing is drawn"):
        report(dice, None, Speculative(temperature=0.0))


def test_that_a_real_model_passes_with_its_own_vocabulary(stories: Voice) -> None:
    prompt = stories.tokenizer.encode("Once upon a time there was a")
    task = Task(prompt, 8, stories.eos)
    settings = Speculative(temperature=0.8, top_k=8, gamma=2)
    found = lossless(General(stories.model), task, settings, None, 300, Pieces(stories.tokenizer))
    assert found is not None
    assert found.exact.p > 0.001
    assert found.exact.cells[0].text.startswith(" ")
