from datetime import UTC, datetime

import pytest
from pydantic import ValidationError

from workbench.domain.runs import TRANSITIONS, JobState, MetricPoint, ModelRef, can_move

S = JobState


def test_that_every_state_says_where_it_may_go() -> None:
    assert set(TRANSITIONS) == set(JobState)


def reachable(start: JobState) -> set[JobState]:
    seen, front = {start}, [start]
    while front:
        fresh = TRANSITIONS[front.pop()] - seen
        seen |= fresh
        front += fresh
    return seen


def test_that_every_state_can_be_reached_from_the_queue() -> None:
    assert reachable(S.QUEUED) == set(JobState)


def test_that_done_is_the_only_state_without_a_way_out() -> None:
    assert [s for s in JobState if not TRANSITIONS[s]] == [S.DONE]


def test_that_no_state_moves_to_itself() -> None:
    assert not any(can_move(s, s) for s in JobState)


def test_that_what_can_be_resumed_may_go_back_to_the_queue_and_nothing_else_may() -> None:
    assert {s for s in JobState if can_move(s, S.QUEUED)} == {s for s in JobState if s.resumable}


def test_that_whatever_is_resumable_has_ended() -> None:
    assert all(s.ended for s in JobState if s.resumable)
    assert not any(s.ended for s in (S.QUEUED, S.STARTING, S.RUNNING))


@pytest.mark.parametrize("state", [S.DONE, S.FAILED, S.PAUSED, S.STOPPED, S.LOST])
def test_that_a_run_can_end_in_every_way_while_it_starts_or_runs(state: JobState) -> None:
    assert can_move(S.STARTING, state)
    assert can_move(S.RUNNING, state)


def test_that_a_queued_run_can_be_cancelled_but_not_finish() -> None:
    assert can_move(S.QUEUED, S.STOPPED)
    assert not can_move(S.QUEUED, S.DONE)
    assert not can_move(S.QUEUED, S.FAILED)


def test_that_a_run_that_was_given_up_may_still_be_found_alive_or_ended() -> None:
    assert {S.RUNNING, S.DONE, S.FAILED, S.STOPPED, S.PAUSED} <= TRANSITIONS[S.LOST]


def test_that_a_state_is_its_word() -> None:
    assert [str(s) for s in JobState] == "queued starting running paused stopped done failed lost".split()


def test_that_a_model_keeps_its_lineage_through_json() -> None:
    model = ModelRef(
        name="ppo-1", path="/m/ppo-1", kind="ppo", form="adapter", parents=("base", "reward-1"), run="ppo-1",
        parameters=12, created=datetime(2026, 5, 1, tzinfo=UTC),
    )  # fmt: skip
    assert ModelRef.model_validate_json(model.model_dump_json()) == model
    with pytest.raises(ValidationError):
        ModelRef(name="x", path="/x", kind="wizard", created=datetime.now(UTC))


def test_that_a_point_is_a_value_at_a_step() -> None:
    point = MetricPoint(name="loss", step=3, value=0.5, time=datetime(2026, 5, 1, tzinfo=UTC))
    assert MetricPoint.model_validate_json(point.model_dump_json()) == point
