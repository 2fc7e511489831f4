"""What the window tells when a run has ended."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from workbench.domain.runs import JobState
from workbench.gui.pulse import Pulse
from workbench.services.views import RunView


@pytest.mark.parametrize(
    ("state", "facts", "told"),
    [
        (JobState.DONE, {}, ("first is done", "", "good")),
        (JobState.DONE, {"model": "m"}, ("first is done", "Its model is m.", "good")),
        (JobState.DONE, {"name": ""}, ("sft-1 is done", "", "good")),
        (JobState.DONE, {"error_what": "No text.", "error_hint": "Add."}, ("first is done, but: No text.", "Add.", "bad")),
        (JobState.FAILED, {"error_what": "NaN.", "error_hint": "Less."}, ("NaN.", "Less.", "bad")),
        (
            JobState.LOST, {},
            ("first was lost", "Its last checkpoint is kept; it can be resumed from the Runs page.", "bad"),
        ),
        (JobState.PAUSED, {}, None),
        (JobState.STOPPED, {}, None),
        (JobState.RUNNING, {}, None),
    ],
)  # fmt: skip
def test_that_the_end_of_a_run_is_told(
    state: JobState, facts: dict[str, str], told: tuple[str, str, str] | None
) -> None:
    said: list[Any] = []
    run = {"id": "sft-1", "name": "first", "state": state, "model": None, "error_what": "", "error_hint": ""} | facts
    Pulse._tell(
        cast(Pulse, SimpleNamespace(_ended=lambda *words: said.append(words))), cast(RunView, SimpleNamespace(**run))
    )
    assert said == ([] if told is None else [("sft-1", *told)])
