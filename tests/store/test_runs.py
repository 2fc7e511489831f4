"""Runs: states, queue, and what their workers reported, booked exactly once."""

import math
from datetime import UTC, datetime
from pathlib import Path

import pytest

from workbench.domain.errors import Conflict, NotFound
from workbench.domain.events import (
    Checkpointed,
    Failed,
    Finished,
    Metrics,
    Noticed,
    Phase,
    Planned,
    Resumed,
    SampleText,
    Started,
)
from workbench.domain.runs import JobState
from workbench.store.store import Store


def running(store: Store) -> str:
    run = store.runs.create("dpo", {"kind": "dpo", "seed": 1}).id
    store.runs.move(run, JobState.STARTING)
    store.runs.move(run, JobState.RUNNING)
    return run


def test_that_a_new_run_waits_at_the_end_of_the_queue(store: Store, workspace: Path) -> None:
    first = store.runs.create("dpo", {"seed": 1}, snapshot="abc", note="try")
    second = store.runs.create("ppo", {"seed": 2}, name="bold")
    assert (first.id, first.name, first.state, first.folder) == ("dpo-1", "dpo-1", "queued", workspace / "runs/dpo-1")
    assert (first.spec, first.snapshot, first.note) == ({"seed": 1}, "abc", "try")
    assert [r.id for r in store.runs.queue()] == ["dpo-1", second.id]
    assert [r.id for r in store.runs.list()] == [second.id, "dpo-1"]
    assert second.name == "bold"


def test_that_an_id_is_never_given_to_a_folder_that_exists(store: Store, workspace: Path) -> None:
    (workspace / "runs/sft-1").mkdir(parents=True)
    assert store.runs.create("sft", {}).id == "sft-2"
    store.runs.delete("sft-2")
    assert store.runs.create("sft", {}).id == "sft-2"
    with pytest.raises(Conflict):
        store.runs.create("sft", {}, run="sft-2")


def test_that_the_queue_can_be_reordered(store: Store) -> None:
    for _ in range(3):
        store.runs.create("dpo", {})
    store.runs.reorder("dpo-3", 0)
    assert [r.id for r in store.runs.queue()] == ["dpo-3", "dpo-1", "dpo-2"]
    store.runs.reorder("dpo-3", 9)
    assert [r.id for r in store.runs.queue()] == ["dpo-1", "dpo-2", "dpo-3"]
    store.runs.move("dpo-1", JobState.STARTING)
    with pytest.raises(Conflict, match="queue"):
        store.runs.reorder("dpo-1", 0)


def test_that_states_move_only_as_the_domain_allows(store: Store) -> None:
    run = store.runs.create("dpo", {}).id
    with pytest.raises(Conflict, match="can't become done"):
        store.runs.move(run, JobState.DONE)
    started = store.runs.move(run, JobState.STARTING, pid=41)
    assert started.started is not None
    assert started.facts["pid"] == 41
    store.runs.move(run, JobState.RUNNING)
    failed = store.runs.move(run, JobState.FAILED, error_what="Out of memory.", error_hint="Halve the batch.")
    assert failed.ended is not None
    assert failed.error_what == "Out of memory."
    again = store.runs.move(run, JobState.QUEUED)
    assert (again.ended, again.error_what, again.started) == (None, "", failed.started)


def test_that_an_unknown_run_is_named(store: Store) -> None:
    with pytest.raises(NotFound, match="dpo-9"):
        store.runs.get("dpo-9")


def test_that_what_a_worker_reports_is_booked_in_one_go(store: Store) -> None:
    run = running(store)
    record = store.runs.absorb(
        run,
        [
            Started(seq=1, pid=7, pid_started=1.5, host="here", device="cpu"),
            Planned(seq=2, steps=40, rows=300, parameters=260_032),
            Phase(seq=3, name="training"),
            Metrics(seq=4, step=1, values={"loss": 0.7, "kl": 0.0}),
            Metrics(seq=5, step=2, values={"loss": 0.6}),
            SampleText(seq=6, step=2, index=0, prompt="p", completion="c", numbers={"reward": 1.0}),
            Noticed(seq=7, what="One row is cut.", hint="Raise max_length."),
            Checkpointed(seq=8, step=2, folder="checkpoints/2"),
        ],
    )
    assert (record.step, record.steps, record.phase, record.device, record.last_seq) == (2, 40, "training", "cpu", 8)
    assert record.facts["pid"] == 7
    assert record.facts["rows"] == 300
    assert [(p.name, p.step, p.value) for p in store.runs.metrics(run, ["loss"])] == [
        ("loss", 1, 0.7),
        ("loss", 2, 0.6),
    ]
    assert store.runs.latest(run) == {"loss": 0.6, "kl": 0.0}
    assert store.runs.tail(run, "loss", 1) == [0.6]
    assert store.runs.samples(run) == [(2, 0, "p", "c", {"reward": 1.0})]
    assert store.runs.notices(run) == [("One row is cut.", "Raise max_length.")]
    assert store.runs.checkpoints(run) == [2]


def test_that_an_event_seen_twice_is_booked_once(store: Store) -> None:
    run = running(store)
    events = [Metrics(seq=n, step=n, values={"loss": float(n)}) for n in (1, 2, 3)]
    store.runs.absorb(run, events[:2])
    store.runs.absorb(run, events)
    store.runs.absorb(run, events)
    assert [p.step for p in store.runs.metrics(run)] == [1, 2, 3]


def test_that_not_a_number_and_infinity_survive(store: Store) -> None:
    run = running(store)
    store.runs.absorb(run, [Metrics(seq=1, step=1, values={"loss": math.nan, "norm": math.inf})])
    values = {p.name: p.value for p in store.runs.metrics(run)}
    assert math.isnan(values["loss"])
    assert values["norm"] == math.inf
    assert math.isnan(store.runs.latest(run)["loss"])


@pytest.mark.parametrize("together", [True, False], ids=["in one batch", "in two batches"])
def test_that_a_resumed_worker_supersedes_later_steps(store: Store, together: bool) -> None:
    run = running(store)
    before = [
        *(Metrics(seq=n, step=n, values={"loss": float(n)}) for n in (1, 2, 3, 4)),
        SampleText(seq=5, step=4, index=0, prompt="p", completion="late"),
        Checkpointed(seq=6, step=4, folder="checkpoints/4"),
    ]
    after = [Resumed(seq=7, step=2), Metrics(seq=8, step=3, values={"loss": 33.0})]
    for batch in [[*before, *after]] if together else [before, after]:
        store.runs.absorb(run, batch)
    assert [(p.step, p.value) for p in store.runs.metrics(run)] == [(1, 1.0), (2, 2.0), (3, 33.0)]
    assert store.runs.latest(run) == {"loss": 33.0}
    assert store.runs.samples(run) == []
    assert store.runs.checkpoints(run) == []
    assert store.runs.get(run).step == 3


def test_that_points_taken_back_never_give_their_number_to_new_ones(store: Store) -> None:
    run = running(store)
    store.runs.absorb(run, [Metrics(seq=1, step=5, values={"loss": 1.0})])
    seen = store.runs.metrics(run)[-1].rowid
    store.runs.absorb(run, [Resumed(seq=2, step=0), Metrics(seq=3, step=1, values={"loss": 2.0})])
    assert [p.value for p in store.runs.metrics(run, after_rowid=seen)] == [2.0]


def test_that_the_verdict_of_a_failure_is_kept(store: Store) -> None:
    run = running(store)
    store.runs.absorb(run, [Failed(seq=1, error="run_failed", what="The loss is NaN.", hint="Lower the rate.")])
    store.runs.move(run, JobState.FAILED)
    record = store.runs.get(run)
    assert (record.error_kind, record.error_what, record.error_hint) == (
        "run_failed",
        "The loss is NaN.",
        "Lower the rate.",
    )


def test_that_a_living_run_is_not_deleted(store: Store) -> None:
    run = running(store)
    with pytest.raises(Conflict, match="running"):
        store.runs.delete(run)
    store.runs.absorb(run, [Metrics(seq=1, step=1, values={"loss": 1.0}), Finished(seq=2, step=1)])
    store.runs.move(run, JobState.DONE)
    store.runs.delete(run)
    assert store.runs.list() == []
    assert store.runs.metrics(run) == []


def test_that_notes_and_facts_change_without_the_state(store: Store) -> None:
    run = store.runs.create("dpo", {}).id
    record = store.runs.change(run, note="good one", warmed=True)
    assert (record.note, record.facts, record.state) == ("good one", {"warmed": True}, JobState.QUEUED)


def test_that_one_process_supervises_at_a_time(store: Store) -> None:
    assert store.runs.lease_acquire("window", 60)
    assert store.runs.lease_acquire("window", 60)
    assert not store.runs.lease_acquire("command", 60)
    store.runs.lease_release("command")
    assert not store.runs.lease_acquire("command", 60)
    store.runs.lease_release("window")
    assert store.runs.lease_acquire("command", -1)
    assert store.runs.lease_acquire("window", 60)


def test_that_times_come_back_exactly(store: Store) -> None:
    run = running(store)
    moment = datetime(2026, 11, 21, 7, 20, 24, 31521, tzinfo=UTC)
    store.runs.absorb(run, [Metrics(seq=1, step=1, values={"loss": 1.0}, time=moment)])
    assert store.runs.metrics(run)[0].time == moment
