"""Every cut equals transformers' processor on random scores with ties and minus infinity; wrong versions of it don't."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from transformers.generation.logits_process import (
    EpsilonLogitsWarper,
    EtaLogitsWarper,
    LogitsProcessor,
    MinPLogitsWarper,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
    TypicalLogitsWarper,
)

from workbench.engine.decoding import cuts
from workbench.engine.decoding.cuts import Cut

ROWS, VOCABULARY, SEEDS = 16, 40, range(12)
NOTHING_READ = torch.zeros(ROWS, 1, dtype=torch.long)
CUTS: list[tuple[Callable[[float], Cut], Callable[[float], LogitsProcessor], list[float]]] = [
    (cuts.temperature, TemperatureLogitsWarper, [0.37, 2.0]),
    (lambda k: cuts.top_k(int(k)), lambda k: TopKLogitsWarper(int(k)), [1, 2, 5, 10_000]),
    (cuts.top_p, TopPLogitsWarper, [0.05, 0.5, 0.95]),
    (cuts.min_p, MinPLogitsWarper, [0.02, 0.1, 0.5, 1.0]),
    (cuts.typical_p, TypicalLogitsWarper, [0.1, 0.2, 0.5, 0.95]),
    (cuts.epsilon, EpsilonLogitsWarper, [3e-4, 0.02, 0.3, 0.9]),
    (cuts.eta, EtaLogitsWarper, [3e-4, 0.02, 0.3, 0.9]),
]
CASES = [(mine, theirs, value) for mine, theirs, values in CUTS for value in values]


def scores(seed: int) -> Tensor:
    """Random scores [B, V]: flat and peaked rows, many of them with ties, some tokens cut already."""
    generator = torch.Generator().manual_seed(seed)
    spread = torch.linspace(0.3, 6.0, ROWS)[:, None]
    values = torch.randn(ROWS, VOCABULARY, generator=generator).mul(spread).round(decimals=0 if seed % 2 else 3)
    values[torch.rand(ROWS, VOCABULARY, generator=generator) < 0.2] = -torch.inf
    values[0, 1:] = -torch.inf  # one token alone is left
    values[0, 0] = 1.0
    return values


@pytest.mark.parametrize(("mine", "theirs", "value"), CASES, ids=lambda part: getattr(part, "__name__", str(part)))
def test_that_a_cut_equals_the_processor_of_transformers(
    mine: Callable[[float], Cut], theirs: Callable[[float], LogitsProcessor], value: float
) -> None:
    for seed in SEEDS:
        given = scores(seed)
        before = given.clone()
        made = mine(value)(given)
        torch.testing.assert_close(made, theirs(value)(NOTHING_READ, given.clone()), rtol=0, atol=0)
        assert torch.equal(given, before), "the input is left alone"
        assert bool(made.isfinite().any(-1).all()), "every row keeps a token"


def _top_k_without_ties(scores: Tensor) -> Tensor:
    kept = torch.zeros_like(scores, dtype=torch.bool).scatter(-1, scores.topk(5).indices, True)
    return scores.masked_fill(~kept, -torch.inf)


def _top_p_that_stops_short(scores: Tensor) -> Tensor:
    """Drops the token that reaches the mass."""
    descending, order = torch.sort(scores, descending=True)
    cut = descending.softmax(-1).cumsum(-1) > 0.5
    cut[..., 0] = False
    return scores.masked_fill(torch.zeros_like(cut).scatter(-1, order, cut), -torch.inf)


def _min_p_of_scores(scores: Tensor) -> Tensor:
    return scores.masked_fill(scores < 0.1 * scores.amax(-1, keepdim=True), -torch.inf)


def _typical_from_the_top(scores: Tensor) -> Tensor:
    return cuts.top_p(0.5)(scores)


def _epsilon_after_a_cut_of_nothing(scores: Tensor) -> Tensor:
    return scores.masked_fill(scores.exp() < 0.02, -torch.inf)


def _eta_with_entropy_in_bits(scores: Tensor) -> Tensor:
    p = scores.softmax(-1)
    entropy = torch.special.entr(p).sum(-1, keepdim=True) / math.log(2)
    least = (math.sqrt(0.02) * torch.exp(-entropy)).clamp(max=0.02)
    return scores.masked_fill((p < least) & (scores < scores.amax(-1, keepdim=True)), -torch.inf)


WRONG: list[tuple[Cut, LogitsProcessor]] = [
    (lambda scores: scores * 0.37, TemperatureLogitsWarper(0.37)),
    (_top_k_without_ties, TopKLogitsWarper(5)),
    (_top_p_that_stops_short, TopPLogitsWarper(0.5)),
    (_min_p_of_scores, MinPLogitsWarper(0.1)),
    (_typical_from_the_top, TypicalLogitsWarper(0.5)),
    (_epsilon_after_a_cut_of_nothing, EpsilonLogitsWarper(0.02)),
    (_eta_with_entropy_in_bits, EtaLogitsWarper(0.02)),
]


@pytest.mark.parametrize("pair", WRONG, ids=lambda pair: pair[0].__name__)
def test_that_a_wrong_cut_is_caught_by_these_scores(pair: tuple[Cut, LogitsProcessor]) -> None:
    wrong, theirs = pair
    assert not all(torch.equal(wrong(scores(seed)), theirs(NOTHING_READ, scores(seed))) for seed in SEEDS)


def kept(cut: Cut, *probabilities: float) -> list[bool]:
    """Which tokens of a distribution a cut leaves."""
    flags: list[bool] = cut(torch.tensor([probabilities]).log()).isfinite()[0].tolist()
    return flags


def test_that_ties_with_the_kth_token_stay() -> None:
    assert kept(cuts.top_k(2), 0.4, 0.2, 0.2, 0.1, 0.1) == [True, True, True, False, False]


def test_that_the_nucleus_keeps_the_token_that_reaches_the_mass() -> None:
    assert kept(cuts.top_p(0.7), 0.5, 0.3, 0.15, 0.05) == [True, True, False, False]


def test_that_a_token_exactly_at_the_share_of_the_best_stays() -> None:
    assert kept(cuts.min_p(0.25), 0.5, 0.25, 0.125, 0.125) == [True, True, True, True]
    assert kept(cuts.min_p(0.26), 0.5, 0.25, 0.125, 0.125) == [True, True, False, False]


def test_that_typical_sampling_may_drop_the_most_probable_token() -> None:
    """H = 1.75 nats; the surprises are 0.92 and 2.30: the rare tokens are nearer to it."""
    flags = kept(cuts.typical_p(0.2), 0.4, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1)
    assert flags == [False, True, True, True, True, True, True], "ties with the last one stay too"


def test_that_epsilon_keeps_the_best_where_nothing_is_probable_enough() -> None:
    assert kept(cuts.epsilon(0.45), 0.4, 0.3, 0.3) == [True, False, False]
    assert kept(cuts.epsilon(0.3), 0.4, 0.35, 0.25) == [True, True, False]


def test_that_eta_asks_less_where_the_entropy_is_high() -> None:
    """A flat distribution over 100 has H = ln 100: sqrt(0.09) / 100 = 0.003 lies below every token's 0.01."""
    assert all(kept(cuts.eta(0.09), *([0.01] * 100)))
    assert kept(cuts.epsilon(0.09), *([0.01] * 100)) == [True] * 100, "all are the best"
    assert kept(cuts.eta(0.09), 0.97, 0.02, 0.01) == [True, False, False]


def test_that_surprise_is_bounded_in_bits() -> None:
    """-log2 of 1/2, 1/4, 1/8, 1/8 is 1, 2, 3, 3; in nats, 2.1 would let all but none go."""
    halves = torch.tensor([[0.5, 0.25, 0.125, 0.125]]).log()
    bound = torch.tensor([2.1])
    assert cuts.surprise_up_to(halves, bound).isfinite().tolist() == [[True, True, False, False]]
    assert cuts.surprise_up_to(halves, bound * 0.0).isfinite().tolist() == [[True, False, False, False]]
    nats = halves.masked_fill(-halves.log_softmax(-1) > 2.1, -torch.inf)
    assert nats.isfinite().all(), "the test would see the commonest mistake"
