"""What is told of a token goes over the pipe in plain values, and is there what it is here."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from workbench.domain.choices import (
    BeamTrace,
    ContrastOption,
    ContrastTrace,
    DraftTrace,
    MirostatTrace,
    SearchOption,
    SearchTrace,
    TokenChoice,
)
from workbench.engine.decoding import measures
from workbench.engine.decoding.measure import Look, measure
from workbench.engine.decoding.measures import Tally
from workbench.engine.decoding.naming import Spoken, choice, fields
from workbench.protocol import decode_wire as wire


class Named:
    """Pieces of a model without a tokenizer."""

    def __getitem__(self, token: int) -> str:
        return f"<{token}>"


PIECES: Any = Named()
TRACES: dict[str, Any] = {
    "beam": BeamTrace(index=1, parent=0, score=-3.5, pruned=True),
    "contrast": ContrastTrace(
        expert=0.5, amateur=0.25, score=0.7, cut=0.05,
        options=(ContrastOption(id=3, text="", expert=0.5, amateur=0.25, score=None),),
    ),
    "search": SearchTrace(
        penalty=0.5, against=2, score=0.1,
        options=(SearchOption(id=4, text="", p=0.5, penalty=0.1, against=2, score=0.1),),
    ),
    "draft": DraftTrace(round=1, position=2, p=0.5, q=None, u=None, verdict="bonus"),
    "mirostat": MirostatTrace(mu=5.0, surprise=2.5),
}  # fmt: skip


def spoken(text: str = " cat", start: int = 7, **traces: Any) -> Spoken:
    logits = torch.randn(1, 40, generator=torch.Generator().manual_seed(1))
    return Spoken(measure(Look(logits), [0], [5])[0]._replace(**traces), text, start)


@pytest.mark.parametrize("name", TRACES)
def test_that_plain_values_are_over_the_pipe_what_the_object_is_here(name: str) -> None:
    told = [spoken(**{name: TRACES[name]}), spoken('\u2603\n"', 11)]
    line = wire.to_line(wire.PlainTokens(job=3, column=1, choices=[fields(PIECES, one) for one in told]))
    expected = wire.Tokens(job=3, column=1, choices=tuple(choice(PIECES, one) for one in told))
    assert wire.read_reply(line) == expected
    assert line == wire.to_line(expected), "to the byte"


def test_that_every_field_of_a_token_is_told() -> None:
    assert set(fields(PIECES, spoken())) == set(TokenChoice.model_fields)


def test_that_a_token_has_its_place_its_numbers_and_named_alternatives() -> None:
    one = spoken(beam=TRACES["beam"])
    told = choice(PIECES, one)
    assert (told.id, told.text, told.start, told.end, one.end) == (5, " cat", 7, 11, 11)
    for name in ("p_model", "p_used", "logprob", "rank", "entropy", "kept", "kept_mass", "beam"):
        assert getattr(told, name) == getattr(one.measured, name)
    assert [(a.id, a.text, a.p_model, a.p_used, a.cut_by) for a in told.alternatives] == [
        (o.id, f"<{o.id}>", o.p_model, o.p_used, o.cut_by) for o in one.measured.options
    ]
    assert len(told.alternatives) == 20


@pytest.mark.parametrize("name", ["contrast", "search"])
def test_that_what_a_strategy_weighed_gets_its_texts(name: str) -> None:
    told = getattr(choice(PIECES, spoken(**{name: TRACES[name]})), name)
    assert [option.text for option in told.options] == [f"<{option.id}>" for option in TRACES[name].options]


def test_that_a_tally_counts_tokens_texts_and_log_probabilities() -> None:
    tally, told = Tally(), [spoken("a", 0), spoken("b", 1), spoken("", 2)]
    tally.start()
    tally.stop()
    assert "first_token_seconds" not in tally.numbers()
    tally.stop(*told[:2])
    first = tally.numbers()["first_token_seconds"]
    tally.stop(told[2])
    numbers = tally.numbers()
    assert (tally.text, tally.ids) == ("ab", [5, 5, 5])
    assert (numbers["tokens"], numbers["first_token_seconds"]) == (3.0, first)
    assert numbers["logprob"] == pytest.approx(3 * told[0].logprob)
    assert (numbers["distinct_1"], numbers["distinct_2"]) == (pytest.approx(1 / 3), 0.5)


def test_that_time_for_several_columns_is_counted_for_each_and_once(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, shared = [0.0], [2.0]
    monkeypatch.setattr(measures, "time", SimpleNamespace(perf_counter=lambda: clock[0]))
    tally = Tally(lambda: shared[0])
    tally.start()
    clock[0], shared[0] = 5.0, 6.0  # four seconds of a step for all, one of this column's own
    tally.stop(spoken())
    assert tally.seconds == 5.0
    clock[0], shared[0] = 8.0, 9.0  # three more for all, in another column's turn
    assert tally.seconds == 8.0
    assert tally.numbers()["first_token_seconds"] == 5.0
