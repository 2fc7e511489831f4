import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.domain.errors import BadInput, TooNew
from workbench.domain.events import (
    Checkpointed,
    Event,
    Failed,
    Finished,
    Halted,
    Metrics,
    Noticed,
    Phase,
    Planned,
    Resumed,
    SampleText,
    Started,
)
from workbench.protocol.wire import decode, encode

ONE_OF_EACH: list[Event] = [
    Started(pid=1, pid_started=2.5, host="here", device="cpu", versions={"torch": "2"}),
    Resumed(step=3),
    Planned(steps=9, rows=4, notes=("two rows are too long",)),
    Phase(name="loading model"),
    Metrics(step=1, values={"loss": 0.5, "kl/k1": -1e-300}),
    SampleText(step=1, index=0, prompt="Hi", completion="Grüße\nan\u2028alle 🎈", numbers={"reward": 1.0}),
    Checkpointed(step=2, folder="checkpoints/2"),
    Noticed(what="A row was cut.", hint="Raise max_length."),
    Finished(step=9, model="model", parameters=12),
    Halted(step=4, wanted="pause"),
    Failed(error="bad_input", what="No rows.", hint="Import some.", details="Traceback"),
]


@pytest.mark.parametrize("event", ONE_OF_EACH, ids=lambda e: e.kind)
def test_that_each_kind_of_event_is_one_line_and_comes_back_the_same(event: Event) -> None:
    line = encode(event)
    assert line.count(b"\n") == 1
    assert line.endswith(b"\n")
    assert json.loads(line)["v"] == 1
    assert decode(line) == event


def test_that_not_a_number_and_infinity_are_kept() -> None:
    back = decode(encode(Metrics(step=1, values={"a": math.nan, "b": math.inf, "c": -math.inf})))
    assert isinstance(back, Metrics)
    assert math.isnan(back.values["a"])
    assert (back.values["b"], back.values["c"]) == (math.inf, -math.inf)


def test_that_a_line_with_not_a_number_is_still_strict_json() -> None:
    line = encode(Metrics(step=1, values={"loss": math.nan}))
    json.loads(line, parse_constant=lambda word: pytest.fail(f"{word} is not JSON"))


@given(st.text(), st.floats(allow_nan=False), st.integers(0, 10**9))
def test_that_any_text_and_any_number_survive(text: str, value: float, step: int) -> None:
    event = SampleText(step=step, index=0, prompt=text, completion=text, numbers={"reward": value})
    back = decode(encode(event))
    assert back.model_dump() == event.model_dump()


def test_that_broken_text_is_reported_with_marks_rather_than_not_at_all() -> None:
    event = Failed(error="bad_input", what="No file r\udcffws.", details="half a pair: \ud800")
    back = decode(encode(event))
    assert isinstance(back, Failed)
    assert back.what == "No file r?ws."
    assert back.time == event.time


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"\n",
        b"null\n",
        b"[]\n",
        b"7\n",
        b"{\n",
        b"{}\n",
        b'{"v": 1}\n',
        b'{"v": 1, "kind": "dance"}\n',
        b'{"v": 1, "kind": "resumed"}\n',
        b'{"v": 1, "kind": "resumed", "step": "soon"}\n',
        b'{"v": 1, "kind": "resumed", "step": 3, "more": 1}\n',
        b'{"kind": "resumed", "step": 3}\n',
        b'{"v": "one", "kind": "resumed", "step": 3}\n',
        b'{"v": null, "kind": "resumed", "step": 3}\n',
        b"\xff\xfe\n",
    ],
)
def test_that_what_is_no_event_is_refused_loudly(line: bytes) -> None:
    with pytest.raises(BadInput) as caught:
        decode(line)
    assert caught.value.hint


def test_that_a_later_version_is_told_apart_from_damage() -> None:
    with pytest.raises(TooNew):
        decode(b'{"v": 2, "kind": "something new"}\n')
