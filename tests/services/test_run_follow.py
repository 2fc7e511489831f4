from datetime import UTC, datetime
from pathlib import Path

import pytest

from workbench.domain.events import Metrics
from workbench.domain.runs import JobState
from workbench.protocol.event_log import EventWriter
from workbench.services.run_follow import Follower
from workbench.store.runs import RunRecord


@pytest.fixture
def log(tmp_path: Path) -> EventWriter:
    return EventWriter(tmp_path / "events.jsonl")


def write(log: EventWriter, *steps: int) -> None:
    for step in steps:
        log.write(Metrics(step=step, values={"loss": 1.0}))


def record(folder: Path, last_seq: int, state: JobState = JobState.RUNNING) -> RunRecord:
    now = datetime.now(UTC)
    return RunRecord(
        "sft-1", "sft-1", "sft", state, {}, folder, None, False, 0, 0, 0, "", "cpu", {}, last_seq, now, None, None,
        "", "", "", None, "",
    )  # fmt: skip


def numbers(follower: Follower, one: RunRecord) -> list[int]:
    return [event.seq for event in follower.news(one)]


def test_that_only_what_the_store_has_booked_is_told(tmp_path: Path, log: EventWriter) -> None:
    follower = Follower()
    write(log, 1, 2, 3, 4)
    assert numbers(follower, record(tmp_path, 0)) == []
    assert numbers(follower, record(tmp_path, 2)) == [1, 2]
    assert numbers(follower, record(tmp_path, 2)) == []
    write(log, 5)
    assert numbers(follower, record(tmp_path, 5)) == [3, 4, 5]
    log.close()


def test_that_following_begins_behind_what_was_booked_then(tmp_path: Path, log: EventWriter) -> None:
    write(log, 1, 2, 3)
    follower = Follower()
    follower.begin([record(tmp_path, 2)])
    assert numbers(follower, record(tmp_path, 3)) == [3]
    log.close()


def test_that_a_run_that_ended_and_is_resumed_goes_on_where_it_was(tmp_path: Path, log: EventWriter) -> None:
    follower = Follower()
    write(log, 1, 2)
    assert numbers(follower, record(tmp_path, 2, JobState.PAUSED)) == [1, 2]
    write(log, 3)
    assert numbers(follower, record(tmp_path, 3)) == [3]
    log.close()


def test_that_a_damaged_line_hides_nothing_behind_it(tmp_path: Path, log: EventWriter) -> None:
    follower = Follower()
    write(log, 1)
    with (tmp_path / "events.jsonl").open("ab") as file:
        file.write(b"no event\nnor this\n")
    write(log, 2, 3)
    assert numbers(follower, record(tmp_path, 3)) == [1, 2, 3]
    log.close()
