"""Law 2 without any sampling: the distribution of rounds is added up exactly, and is the target's; that of wrong rules is not."""

from __future__ import annotations

from collections import defaultdict
from functools import cache
from itertools import product

import pytest
import torch
from torch import Tensor

from workbench.engine.decoding.verify import EXACT, WRONG, Rule, acceptance, accepts, residual

Text = tuple[int, ...]


class Tables:
    """p, q and the draft before its chain as random tables: one distribution behind every text, with zeros in all of them."""

    def __init__(self, seed: int, vocabulary: int, zeros: bool = True) -> None:
        self.vocabulary = vocabulary
        self._generator = torch.Generator().manual_seed(seed)
        self._zeros = zeros
        self._known: dict[tuple[str, Text], Tensor] = {}

    def __call__(self, whose: str, text: Text) -> Tensor:
        if (whose, text) not in self._known:
            drawn = torch.rand(self.vocabulary, dtype=torch.float64, generator=self._generator) ** 3
            if self._zeros:
                drawn[torch.randint(self.vocabulary, (1,), generator=self._generator)] = 0.0
            self._known[whose, text] = drawn / drawn.sum()
        return self._known[whose, text]


@cache
def chance(rule: Rule, p: float, q: float) -> float:
    """The measure of the uniform numbers at which a rule takes a token, found by bisection of the rule itself."""
    if not rule.accepts(p, q, 0.0):
        return 0.0
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if rule.accepts(p, q, middle) else (low, middle)
    return high


def law_of_rounds(tables: Tables, rule: Rule, gamma: int, length: int) -> dict[Text, float]:
    """How probable each text of `length` tokens is: every draft, every verdict and every replacement, round after round."""
    found: dict[Text, float] = defaultdict(float)

    def walk(text: Text, place: int, weight: float) -> None:
        if weight == 0.0:
            return
        if len(text) >= length:
            found[text[:length]] += weight
            return
        p, q = tables("p", text), tables("q", text)
        if place == gamma:  # all were taken: the bonus, then the next round
            for token in range(tables.vocabulary):
                walk((*text, token), 0, weight * float(p[token]))
            return
        claimed = tables("raw", text) if rule.sees_raw else q
        instead = rule.residual(p, claimed)
        for token in range(tables.vocabulary):
            taken = chance(rule, float(p[token]), float(claimed[token]))
            walk((*text, token), place + 1, weight * float(q[token]) * taken)
            lost = weight * float(q[token]) * (1.0 - taken)
            for other in range(tables.vocabulary):
                walk((*text, other), 0, lost * float(instead[other]))

    walk((), 0, 1.0)
    return found


def law_of_model(tables: Tables, length: int) -> dict[Text, float]:
    found = {}
    for text in product(range(tables.vocabulary), repeat=length):
        weight = 1.0
        for place in range(length):
            weight *= float(tables("p", text[:place])[text[place]])
        found[text] = weight
    return found


def distance(one: dict[Text, float], other: dict[Text, float]) -> float:
    return max(abs(one.get(text, 0.0) - other.get(text, 0.0)) for text in {*one, *other})


@pytest.mark.parametrize(("vocabulary", "gamma", "length"), [(6, 1, 2), (4, 2, 3), (3, 3, 4)])
@pytest.mark.parametrize("seed", range(3))
def test_that_one_round_leaves_the_targets_distribution_as_it_was(
    vocabulary: int, gamma: int, length: int, seed: int
) -> None:
    tables = Tables(seed, vocabulary)
    assert distance(law_of_rounds(tables, EXACT, gamma, length), law_of_model(tables, length)) < 1e-12


@pytest.mark.parametrize(("vocabulary", "gamma", "length"), [(5, 1, 4), (2, 2, 6)])
def test_that_two_rounds_leave_the_targets_distribution_as_it_was(vocabulary: int, gamma: int, length: int) -> None:
    tables = Tables(7, vocabulary, zeros=vocabulary > 2)
    assert distance(law_of_rounds(tables, EXACT, gamma, length), law_of_model(tables, length)) < 1e-12


@pytest.mark.parametrize("rule", WRONG, ids=lambda rule: rule.name)
@pytest.mark.parametrize("gamma", [1, 2])
def test_that_every_wrong_rule_changes_the_distribution(rule: Rule, gamma: int) -> None:
    tables = Tables(3, 4, zeros=False)
    assert distance(law_of_rounds(tables, rule, gamma, 2), law_of_model(tables, 2)) > 0.01


def test_that_a_greedy_draft_is_told_by_its_one_token() -> None:
    """q of a deterministic draft is one-hot: the token is taken with its own probability, the residual is p without it."""
    p = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64)
    q = torch.tensor([0.0, 1.0, 0.0], dtype=torch.float64)
    assert chance(EXACT, 0.3, 1.0) == pytest.approx(0.3, abs=1e-15)
    assert residual(p, q).tolist() == pytest.approx([5 / 7, 0.0, 2 / 7], abs=1e-15)
    assert float(acceptance(p, q)) == pytest.approx(0.3)


def test_that_equal_distributions_accept_always_and_leave_no_residual_to_divide_by() -> None:
    p = torch.tensor([[0.1, 0.7, 0.2], [1.0, 0.0, 0.0]], dtype=torch.float64)
    assert torch.equal(residual(p, p), p)
    assert acceptance(p, p).tolist() == pytest.approx([1.0, 1.0])
    assert all(accepts(value, value, 1.0 - 2**-53) for value in (1e-300, 0.1, 0.7, 1.0))


def test_that_disjoint_supports_accept_nothing_and_leave_p() -> None:
    p = torch.tensor([0.4, 0.6, 0.0, 0.0], dtype=torch.float64)
    q = torch.tensor([0.0, 0.0, 0.9, 0.1], dtype=torch.float64)
    assert float(acceptance(p, q)) == 0.0
    assert torch.equal(residual(p, q), p)
    assert not accepts(0.0, 0.9, 0.0)


def test_that_acceptance_is_one_minus_the_distance_in_total_variation() -> None:
    torch.manual_seed(1)
    p, q = torch.rand(5, 9, dtype=torch.float64).softmax(-1), torch.rand(5, 9, dtype=torch.float64).softmax(-1)
    assert torch.allclose(acceptance(p, q), 1 - (p - q).abs().sum(-1) / 2, atol=1e-15)
    drawn = sum(float(q[0, x]) * chance(EXACT, float(p[0, x]), float(q[0, x])) for x in range(9))
    assert float(acceptance(p, q)[0]) == pytest.approx(drawn, abs=1e-14)
