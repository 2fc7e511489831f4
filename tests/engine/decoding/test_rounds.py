"""Numbers of rounds, by hand."""

from __future__ import annotations

import pytest

from workbench.domain.choices import DraftedToken, DraftRound
from workbench.engine.decoding.measures import Tally
from workbench.engine.decoding.rounds import numbers_of


def drafted(*verdicts: str) -> tuple[DraftedToken, ...]:
    return tuple(
        DraftedToken(id=3, text="x", p=0.5, q=0.5, u=0.1, verdict=verdict, expected=0.6)  # type: ignore[arg-type]
        for verdict in verdicts
    )


ROUNDS = [
    DraftRound(round=1, drafted=drafted("accepted", "accepted"), added=4, verdict="bonus", draft_seconds=1.0,
               target_seconds=2.0),
    DraftRound(round=2, drafted=drafted("accepted", "rejected", "unused"), added=4, verdict="residual", draft_seconds=0.5,
               target_seconds=1.5, plain_seconds=1.5),
    DraftRound(round=3, drafted=drafted("accepted"), added=None, draft_seconds=0.25, target_seconds=0.75),
]  # fmt: skip


def test_that_rounds_are_counted() -> None:
    assert numbers_of(ROUNDS) == {
        "rounds": 3.0,
        "drafted": 6.0,
        "accepted": 4.0,
        "tokens_per_pass": 2.0,
        "acceptance": pytest.approx(0.8),
        "expected_acceptance": pytest.approx(0.6),
        "factor": pytest.approx(6 * 1.5 / 6.0),
    }


def test_that_nothing_is_claimed_that_was_not_measured() -> None:
    assert numbers_of([]) == {}
    silent = [DraftRound(round=1, drafted=(), added=4, verdict="bonus", draft_seconds=0.1, target_seconds=0.2)]
    assert numbers_of(silent) == {"rounds": 1.0, "drafted": 0.0, "accepted": 0.0, "tokens_per_pass": 1.0}


def test_that_a_columns_time_does_not_hold_the_probes() -> None:
    tally = Tally()
    tally.start()
    tally.stop()
    before = tally.numbers()["seconds"]
    tally.note(ROUNDS[1])
    assert tally.numbers()["seconds"] == pytest.approx(before - 1.5)
    assert tally.numbers()["rounds"] == 1.0
