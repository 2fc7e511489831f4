import math
from datetime import UTC

import pytest
from pydantic import ValidationError

from workbench.domain.choices import Alternative, BeamTrace, TokenChoice
from workbench.domain.decoding import Greedy
from workbench.domain.errors import (
    BadInput,
    Conflict,
    NotFound,
    RunFailed,
    StorageFailed,
    TooNew,
    WorkbenchError,
)
from workbench.domain.events import Metrics, Noticed, Planned, parse_event


def test_that_an_event_knows_its_moment_in_universal_time() -> None:
    event = Noticed(what="x")
    assert event.time.tzinfo is UTC
    assert event.seq == 0


@pytest.mark.parametrize(
    "payload",
    [
        {"kind": "metrics", "step": 1, "values": {"loss": "low"}},
        {"kind": "metrics", "values": {}},
        {"kind": "halted", "step": 1, "wanted": "dance"},
        {"kind": "noticed", "what": "x", "colour": "red"},
        {"kind": "phase"},
        {"kind": "unknown"},
        {},
        {"kind": "phase", "name": "x", "seq": -1},
    ],
)
def test_that_the_union_of_events_is_strict(payload: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        parse_event(payload)


def test_that_an_event_can_not_be_changed_but_copied_with_a_number() -> None:
    event = Planned(steps=3)
    with pytest.raises(ValidationError):
        event.steps = 4
    assert event.model_copy(update={"seq": 5}).seq == 5


def test_that_metrics_keep_what_is_not_a_number() -> None:
    event = Metrics(step=1, values={"loss": math.nan})
    assert math.isnan(Metrics.model_validate_json(event.model_dump_json()).values["loss"])


def test_that_a_chosen_token_survives_json() -> None:
    choice = TokenChoice(
        id=5, text=" cat", start=3, end=7, p_model=0.25, p_used=0.5, logprob=math.log(0.25), rank=0, entropy=1.5,
        kept=2, kept_mass=0.5, alternatives=(Alternative(id=6, text=" dog", p_model=0.2, p_used=0.0, cut_by="top_k"),),
        beam=BeamTrace(index=0, parent=1, score=-2.5),
    )  # fmt: skip
    assert TokenChoice.model_validate_json(choice.model_dump_json()) == choice


def test_that_decoding_settings_are_bounded() -> None:
    for wrong in ({"max_new_tokens": 0}, {"repetition_penalty": 0.0}, {"seed": -1}, {"strategy": "sample"}):
        with pytest.raises(ValidationError):
            Greedy.model_validate(wrong)


def test_that_errors_carry_what_happened_and_what_to_do() -> None:
    kinds = [BadInput, NotFound, Conflict, TooNew, StorageFailed, RunFailed]
    for error in kinds:
        made = error("It is so.", "Do this.", "details")
        assert (str(made), made.what, made.hint, made.details) == ("It is so.", "It is so.", "Do this.", "details")
        assert isinstance(made, WorkbenchError)
    assert len({e.kind for e in kinds}) == len(kinds)
