"""What is said once: can't be changed, holds nothing that nobody knows, and keeps every number through JSON."""

from __future__ import annotations

import json
import math
from typing import Any, get_args

import pytest
from pydantic import ValidationError

from workbench.domain.choices import MAX_ALTERNATIVES, Alternative, Stage, TokenChoice
from workbench.domain.decoding import Greedy
from workbench.domain.events import Event, Finished, Started
from workbench.domain.frozen import Frozen
from workbench.domain.judgement import Ranking
from workbench.domain.serving import Offered, ServeSettings, Serving
from workbench.domain.settings import Settings
from workbench.domain.study import Figure
from workbench.domain.text import Candidate, Demonstration, Prompt, Turn

ALL = [
    Turn(role="user", content="Hi"), Prompt.from_text("Hi"), Candidate(text="Ho"), Settings(), Serving(),
    Offered(name="a", path="/a"), ServeSettings(), Greedy(), Figure(value=1.0), Ranking(tiers=((0,), (1,))),
    Demonstration(prompt=Prompt.from_text("Hi"), completion="Ho"), Finished(step=3),
    Alternative(id=1, text="a", p_model=0.5, p_used=0.5), Stage(rule="model", kept=1, mass=1.0, entropy=0.0),
]  # fmt: skip


def every_kind() -> list[type[Frozen]]:
    found: list[type[Frozen]] = []
    left = [Frozen]
    while left:
        below = left.pop().__subclasses__()
        found += below
        left += below
    return found


@pytest.mark.parametrize("said", ALL, ids=lambda s: type(s).__name__)
def test_that_what_is_said_can_not_be_changed(said: Frozen) -> None:
    name = next(iter(type(said).model_fields))
    with pytest.raises(ValidationError, match="frozen"):
        setattr(said, name, getattr(said, name))


@pytest.mark.parametrize("said", ALL, ids=lambda s: type(s).__name__)
def test_that_a_field_that_nobody_knows_is_refused(said: Frozen) -> None:
    with pytest.raises(ValidationError, match="Extra inputs"):
        type(said).model_validate(said.model_dump() | {"more": 1})


@pytest.mark.parametrize("said", ALL, ids=lambda s: type(s).__name__)
def test_that_json_brings_it_back_equal_and_with_the_same_hash_of_fields(said: Frozen) -> None:
    back = type(said).model_validate_json(said.model_dump_json())
    assert back == said
    assert back.model_dump_json() == said.model_dump_json()


@pytest.mark.parametrize("value", [math.inf, -math.inf])
def test_that_infinity_survives_json_in_every_room_that_speaks_of_numbers(value: float) -> None:
    choice = TokenChoice(
        id=5,
        text="",
        start=0,
        end=3,
        p_model=0.5,
        p_used=1.0,
        logprob=value,
        rank=0,
        entropy=value,
        kept=1,
        kept_mass=0.5,
    )
    for said in (
        Figure(value=value, low=value),
        Serving(speed=value),
        Stage(rule="m", kept=1, mass=1.0, entropy=value),
        choice,
    ):
        text = said.model_dump_json()
        json.loads(text, parse_constant=lambda word: pytest.fail(f"{word} is not JSON"))
        assert type(said).model_validate_json(text) == said


def test_that_not_a_number_survives_json() -> None:
    assert math.isnan(Figure.model_validate_json(Figure(value=math.nan).model_dump_json()).value)


def test_that_no_kind_of_what_is_said_has_rules_of_its_own() -> None:
    kinds = every_kind()
    assert len(kinds) > 40
    for kind in kinds:
        config: Any = kind.model_config
        assert (config["frozen"], config["extra"], config["ser_json_inf_nan"]) == (True, "forbid", "strings"), kind


def test_that_two_events_never_share_what_they_hold() -> None:
    one, two = Started(pid=1, pid_started=0.0, host="a"), Started(pid=1, pid_started=0.0, host="a")
    one.versions["torch"] = "2"
    assert two.versions == {}


def test_that_every_event_has_a_kind_of_its_own() -> None:
    kinds = [event.model_fields["kind"].default for event in get_args(get_args(Event)[0])]
    assert len(kinds) == len(set(kinds)) > 10


def test_that_a_choice_tells_a_screenful_of_alternatives() -> None:
    assert MAX_ALTERNATIVES == 20
