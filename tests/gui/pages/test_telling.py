from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from workbench.domain.runs import JobState
from workbench.gui.pages.runs.telling import (
    LOOKS,
    deeds,
    headline_number,
    in_list_order,
    matches,
    numbers,
    progress,
    running_time,
)
from workbench.services.views import RunView

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def view(name: str = "dpo-1", state: JobState = JobState.RUNNING, age: int = 0, **facts: object) -> RunView:
    values: dict[str, object] = {
        "id": name, "name": name, "kind": "dpo", "state": state, "step": 120, "steps": 400,
        "created": NOON - timedelta(hours=age), "started": NOON, "ended": None, "folder": Path("/runs") / name,
    }  # fmt: skip
    return RunView(**(values | facts))  # type: ignore[arg-type]


def test_that_every_state_has_a_word_a_sign_and_a_colour() -> None:
    assert set(LOOKS) == set(JobState)
    assert len({look.sign for look in LOOKS.values()}) == len(JobState)


@pytest.mark.parametrize("state", list(JobState))
def test_that_only_what_can_be_done_is_offered(state: JobState) -> None:
    can = deeds(state)
    assert bool(can.resume) == state.resumable
    assert can.delete == state.ended
    assert can.reorder == (state is JobState.QUEUED)
    assert not (can.pause and can.resume)


def test_that_a_finished_run_offers_nothing_but_deletion() -> None:
    assert deeds(JobState.DONE) == (False, "", False, False, True)


def test_that_progress_names_step_and_time_left() -> None:
    assert progress(view(eta_seconds=125.0)) == "step 120 of 400, 2 min left"
    assert progress(view(state=JobState.DONE, eta_seconds=None)) == "step 120 of 400"
    assert progress(view(steps=0, phase="loading model")) == "loading model"


def test_that_the_time_at_work_ends_with_the_run() -> None:
    assert running_time(view(ended=NOON + timedelta(minutes=4))) == "4 min"
    assert running_time(view(), NOON + timedelta(seconds=8)) == "8 s"
    assert running_time(view(started=None)) == ""


def test_that_the_headline_is_told_with_its_title() -> None:
    told = view(headline="loss", last={"loss": 0.6931, "kl": 3.0})
    assert numbers(told) == "Loss 0.6931"
    assert headline_number(told) == "0.6931"
    assert numbers(view()) == ""


def test_that_a_search_finds_name_kind_state_and_note() -> None:
    run = view(note="with the new prompts")
    for words in ("dpo", "DPO-1 running", "prompts", "new running", ""):
        assert matches(run, words)
    assert not matches(run, "ppo")
    assert not matches(run, "dpo failed")


def test_that_work_comes_first_then_the_queue_in_its_order_then_the_newest() -> None:
    views = [
        view("old", JobState.DONE, 9), view("third", JobState.QUEUED, 5, place=8), view("new", JobState.FAILED, 2),
        view("second", JobState.QUEUED, 1, place=3), view("work", JobState.RUNNING, 8),
    ]  # fmt: skip
    assert [v.name for v in in_list_order(views)] == ["work", "second", "third", "new", "old"]
