"""Mirostat 2: the bound moves as the paper's equations say, and the text's surprise comes near what was asked for."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from workbench.domain.decoding import Sample
from workbench.engine.decoding.chain import Context, chain_for
from workbench.engine.decoding.general import General
from workbench.engine.decoding.measure import Measured, Noted, measured
from workbench.engine.decoding.mirostat import Bound
from workbench.engine.decoding.sample import sample
from workbench.engine.decoding.task import Task

PROMPT = [1, 3, 2]


def told(model: Any, settings: Sample, limit: int = 40) -> list[Measured]:
    noted = [m for m in sample(General(model), Task(PROMPT, limit, frozenset()), settings) if isinstance(m, Noted)]
    return measured(noted)


def test_that_the_bound_moves_by_eta_times_what_the_surprise_was_off() -> None:
    bound = Bound(Sample(mirostat_tau=3.0, mirostat_eta=0.5))
    assert bound.told == (6.0,)
    trace = bound.follow(1 / 16)
    assert trace is not None and (trace.mu, trace.surprise) == (6.0, 4.0)
    assert bound.mu == 6.0 - 0.5 * (4.0 - 3.0)
    bound.follow(1.0)
    assert bound.mu == 5.5 - 0.5 * (0.0 - 3.0)


def test_that_without_mirostat_nothing_is_traced(zoo: dict[str, Any]) -> None:
    assert Bound(Sample()).told == () and Bound(Sample(mirostat_tau=2.0, temperature=0.0)).told == ()
    assert all(m.mirostat is None for m in told(zoo["llama"], Sample(), 5))


def test_that_every_token_tells_bound_and_surprise(zoo: dict[str, Any]) -> None:
    settings = Sample(mirostat_tau=1.5, mirostat_eta=0.3, temperature=3.0)
    chosen = told(zoo["llama"], settings)
    mu = 3.0
    for one in chosen:
        assert one.mirostat is not None and one.mirostat.mu == pytest.approx(mu)
        assert one.mirostat.surprise == pytest.approx(-math.log2(one.p_used), abs=1e-6)
        mu -= 0.3 * (one.mirostat.surprise - 1.5)
    assert any(m.kept < 61 for m in chosen), "the bound cut something"
    assert {o.cut_by for m in chosen for o in m.options} == {None, "mirostat"}


def test_that_the_texts_surprise_nears_what_was_asked_for(zoo: dict[str, Any]) -> None:
    flat = {"temperature": 6.0, "mirostat_eta": 0.2}
    means = {}
    for tau in (1.0, 2.5, 4.0):
        texts = [told(zoo["qwen2"], Sample(mirostat_tau=tau, seed=seed, **flat)) for seed in range(4)]
        surprises = [m.mirostat.surprise for text in texts for m in text[8:]]
        means[tau] = sum(surprises) / len(surprises)
        assert means[tau] == pytest.approx(tau, abs=0.45)
    assert means[1.0] < means[2.5] < means[4.0]


def test_that_the_bound_can_be_found_again_from_what_was_drawn(zoo: dict[str, Any]) -> None:
    """Going on, or the distribution at a token: the logits behind the tokens that stand are enough."""
    settings = Sample(mirostat_tau=2.0, mirostat_eta=0.4, temperature=4.0, seed=5)
    chosen = told(zoo["gpt2"], settings, 12)
    ids = [m.id for m in chosen]
    with torch.inference_mode():
        logits = zoo["gpt2"](torch.tensor([PROMPT + ids])).logits[0, len(PROMPT) - 1 :].float()
    chain = chain_for(settings, frozenset())
    for place in (0, 1, 7, 11):
        bound = Bound(settings)
        bound.replay(chain, logits, PROMPT, ids[:place])
        assert bound.mu == pytest.approx(chosen[place].mirostat.mu, abs=1e-3)


def test_that_rows_of_one_batch_have_bounds_of_their_own() -> None:
    chain = chain_for(Sample(mirostat_tau=3.0), frozenset())
    halves = torch.tensor([[0.5, 0.25, 0.125, 0.125]]).log().repeat(3, 1)
    kept = chain(halves, Context([[0]] * 3, [[]] * 3, (1.5, 2.5, 3.5))).scores.isfinite().sum(-1)
    assert kept.tolist() == [1, 2, 4]
    assert chain(halves, Context([[0]] * 3, [[]] * 3)).scores.isfinite().all(), "2 tau at the start"
