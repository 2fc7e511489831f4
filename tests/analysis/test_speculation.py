"""Sums over the rounds of speculative decoding, against ones done by hand."""

import math

import pytest

from workbench.analysis.speculation import AtPlace, speculation
from workbench.domain.choices import DraftedToken, DraftRound


def token(verdict: str, expected: float) -> DraftedToken:
    return DraftedToken(id=1, text="a", p=0.5, q=0.5, u=0.5, verdict=verdict, expected=expected)  # type: ignore[arg-type]


ROUNDS = (
    DraftRound(
        round=1, drafted=(token("accepted", 0.8), token("accepted", 0.5)), added=3, verdict="bonus",
        draft_seconds=0.001, target_seconds=0.003,
    ),
    DraftRound(
        round=2, drafted=(token("rejected", 0.5), token("unused", 0.9)), added=4, verdict="residual",
        draft_seconds=0.001, target_seconds=0.003, plain_seconds=0.0024,
    ),
    DraftRound(round=3, drafted=(), added=5, verdict="bonus", target_seconds=0.002, plain_seconds=0.0026),
)  # fmt: skip


def test_that_only_judged_drafts_count_as_judged() -> None:
    found = speculation(ROUNDS)
    assert (found.rounds, found.drafted, found.judged, found.taken) == (3, 4, 3, 2)
    assert found.acceptance == pytest.approx(2 / 3) and found.expected == pytest.approx(1.8)
    assert found.spread == pytest.approx(math.sqrt(0.16 + 0.25 + 0.25))


def test_that_speed_is_reckoned_from_what_was_timed() -> None:
    found = speculation(ROUNDS)
    assert found.tokens == 5 and found.tokens_per_pass == pytest.approx(5 / 3)
    assert found.seconds == pytest.approx(0.010) and found.plain_seconds == pytest.approx(0.0025) and found.probes == 2
    assert found.factor == pytest.approx(5 * 0.0025 / 0.010)


def test_that_acceptance_is_told_by_place() -> None:
    assert speculation(ROUNDS).places == (AtPlace(2, 1, pytest.approx(1.3)), AtPlace(1, 1, 0.5))


def test_that_nothing_yet_is_no_number() -> None:
    found = speculation(())
    assert found.acceptance is None and found.factor is None and found.tokens_per_pass == 0.0 and found.places == ()
    assert speculation(ROUNDS[:1]).factor is None, "no plain step was timed"
