"""What workers report, booked once and in order, whatever the numbers and however the news is cut into batches."""

import math
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from workbench.domain.errors import Conflict, NotFound
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
from workbench.domain.runs import TRANSITIONS, JobState
from workbench.store.store import Store

ODD = [math.nan, math.inf, -math.inf, 0.0, 5e-324, 1.7e308, -1e-300, 0.1 + 0.2]
LIVE = (JobState.STARTING, JobState.RUNNING)


def running(store: Store, kind: str = "dpo") -> str:
    run = store.runs.create(kind, {"kind": kind}).id
    for state in LIVE:
        store.runs.move(run, state)
    return run


def same(a: float, b: float) -> bool:
    return (math.isnan(a) and math.isnan(b)) or a == b


def lived(lives: list[int]) -> list[Event]:
    """A log of a run that was resumed at these steps, three steps forward each time."""
    events: list[Event] = []
    step = 0
    for at in [*lives, 0]:
        for _ in range(3):
            step += 1
            events.append(Metrics(seq=len(events) + 1, step=step, values={"loss": float(len(events)), "kl": -1.0}))
            events.append(SampleText(seq=len(events) + 1, step=step, index=0, prompt="p", completion=f"c{len(events)}"))
            events.append(Checkpointed(seq=len(events) + 1, step=step, folder=f"checkpoints/{step}"))
        step = min(step, at)
        events.append(Resumed(seq=len(events) + 1, step=step))
    return events[:-1]


def expected(events: list[Event]) -> dict[int, float]:
    """The loss of each step that stands, by the rule itself."""
    points: dict[int, float] = {}
    for event in events:
        if isinstance(event, Metrics):
            points[event.step] = event.values["loss"]
        elif isinstance(event, Resumed):
            points = {s: v for s, v in points.items() if s <= event.step}
    return points


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lives=st.lists(st.integers(0, 8), max_size=4), cuts=st.lists(st.integers(1, 7), min_size=1, max_size=5))
def test_that_any_cut_into_batches_seen_twice_books_the_same(store: Store, lives: list[int], cuts: list[int]) -> None:
    run = running(store)
    events = lived(lives)
    at = n = 0
    while at < len(events):
        stop = at + cuts[n % len(cuts)]
        store.runs.absorb(run, events[max(0, at - 3) : stop])
        at, n = stop, n + 1
    points = expected(events)
    assert [(p.step, p.value) for p in store.runs.metrics(run, ["loss"])] == sorted(points.items())
    assert store.runs.latest(run)["loss"] == points[max(points)]
    assert [s.step for s in store.runs.samples(run)] == sorted(points)
    assert store.runs.checkpoints(run) == sorted(points)
    record = store.runs.get(run)
    assert (record.step, record.last_seq) == (max(points), len(events))


@pytest.mark.parametrize("value", ODD, ids=repr)
def test_that_a_number_comes_back_to_the_last_bit(store: Store, value: float) -> None:
    run = running(store)
    store.runs.absorb(run, [Metrics(seq=1, step=1, values={"loss": value})])
    (point,) = store.runs.metrics(run)
    assert same(point.value, value)
    assert same(store.runs.latest(run)["loss"], value)
    assert same(store.runs.tail(run, "loss", 5)[0], value)


@pytest.mark.parametrize("value", ODD, ids=repr)
def test_that_a_sample_s_numbers_and_texts_come_back(store: Store, value: float) -> None:
    run = running(store)
    text = 'مرحبا\n"quoted"\x00 👋' * 10
    store.runs.absorb(run, [SampleText(seq=1, step=3, index=2, prompt=text, completion="", numbers={"reward": value})])
    (sample,) = store.runs.samples(run)
    assert (sample.step, sample.number, sample.prompt, sample.completion) == (3, 2, text, "")
    assert same(sample.numbers["reward"], value)


def test_that_a_curve_goes_on_after_a_number_that_is_none(store: Store) -> None:
    run = running(store)
    values = [1.0, math.nan, 0.5, math.inf, 0.25]
    store.runs.absorb(run, [Metrics(seq=n, step=n, values={"loss": v}) for n, v in enumerate(values, 1)])
    assert [str(v) for v in store.runs.tail(run, "loss", 3)] == ["0.5", "inf", "0.25"]
    assert store.runs.latest(run) == {"loss": 0.25}


@pytest.mark.parametrize("name", ["eval/accuracy", "a b", "πθ", "'; --", "x" * 500, ""])
def test_that_a_metric_may_have_any_name(store: Store, name: str) -> None:
    run = running(store)
    store.runs.absorb(run, [Metrics(seq=1, step=1, values={name: 1.0, "other": 2.0})])
    assert [p.value for p in store.runs.metrics(run, [name])] == [1.0]
    assert store.runs.tail(run, name, 1) == [1.0]


def test_that_no_names_asked_for_means_no_points_and_none_means_all(store: Store) -> None:
    run = running(store)
    store.runs.absorb(run, [Metrics(seq=1, step=1, values={"a": 1.0, "b": 2.0})])
    assert store.runs.metrics(run, []) == []
    assert store.runs.metrics(run, ["c"]) == []
    assert len(store.runs.metrics(run)) == 2


def test_that_each_run_keeps_its_points_to_itself(store: Store) -> None:
    first, second = running(store), running(store)
    store.runs.absorb(first, [Metrics(seq=1, step=5, values={"loss": 1.0})])
    store.runs.absorb(second, [Metrics(seq=1, step=5, values={"loss": 2.0})])
    store.runs.absorb(second, [Resumed(seq=2, step=0)])
    assert store.runs.latest(first) == {"loss": 1.0}
    assert store.runs.latest(second) == {}
    assert len(store.runs.metrics(first)) == 1


def test_that_a_resume_takes_back_only_what_is_later_than_its_step(store: Store) -> None:
    run = running(store)
    events: list[Event] = [Metrics(seq=n, step=n, values={"loss": float(n)}) for n in (1, 2, 3)]
    events += [Noticed(seq=4, what="kept"), Resumed(seq=5, step=2)]
    record = store.runs.absorb(run, events)
    assert [p.step for p in store.runs.metrics(run)] == [1, 2]
    assert record.step == 2
    assert store.runs.notices(run) == [("kept", "")]


def test_that_a_metric_that_was_only_reported_later_disappears_with_a_resume(store: Store) -> None:
    run = running(store)
    store.runs.absorb(
        run, [Metrics(seq=1, step=1, values={"loss": 1.0}), Metrics(seq=2, step=2, values={"eval/loss": 9.0})]
    )
    store.runs.absorb(run, [Resumed(seq=3, step=1)])
    assert store.runs.latest(run) == {"loss": 1.0}


def test_that_a_reader_s_own_notice_is_booked_every_time_and_moves_no_number(store: Store) -> None:
    run = running(store)
    store.runs.absorb(run, [Metrics(seq=7, step=1, values={"loss": 1.0})])
    for _ in range(2):
        assert store.runs.absorb(run, [Noticed(what="Line 3 is damaged.", hint="It was passed over.")]).last_seq == 7
    assert store.runs.notices(run) == [("Line 3 is damaged.", "It was passed over.")] * 2


def test_that_nothing_new_changes_nothing(store: Store) -> None:
    run = running(store)
    before = store.runs.get(run)
    assert store.runs.absorb(run, []) == before
    with pytest.raises(NotFound, match="dpo-99"):
        store.runs.absorb("dpo-99", [])


def test_that_a_checkpoint_written_again_is_listed_once(store: Store) -> None:
    run = running(store)
    store.runs.absorb(run, [Checkpointed(seq=n, step=10, folder=f"checkpoints/{n}") for n in (1, 2)])
    assert store.runs.checkpoints(run) == [10]


@pytest.mark.parametrize(
    "last", [Finished(seq=3, step=9), Halted(seq=3, step=9, wanted="pause"), Failed(seq=3, error="x", what="Out.")]
)
def test_that_a_phase_ends_with_the_run(store: Store, last: Event) -> None:
    run = running(store)
    assert store.runs.absorb(run, [Phase(seq=1, name="training"), Phase(seq=2, name="saving")]).phase == "saving"
    assert store.runs.absorb(run, [last]).phase == ""


def test_that_a_second_start_replaces_the_facts_of_the_first_and_keeps_the_plan(store: Store) -> None:
    run = running(store)
    store.runs.absorb(
        run,
        [Started(seq=1, pid=1, pid_started=1.0, host="a", device="cpu"), Planned(seq=2, steps=9, rows=4, parameters=2)],
    )
    record = store.runs.absorb(run, [Started(seq=3, pid=2, pid_started=2.0, host="b", device="cuda")])
    assert (record.facts["pid"], record.facts["host"], record.device) == (2, "b", "cuda")
    assert (record.steps, record.facts["rows"]) == (9, 4)


@pytest.mark.parametrize("before", JobState)
def test_that_a_run_moves_exactly_where_its_state_allows(store: Store, before: JobState) -> None:
    for after in JobState:
        run = store.runs.create("sft", {}).id
        store.runs.change(run, state=before)
        if after in TRANSITIONS[before]:
            moved = store.runs.move(run, after)
            assert moved.state is after
            assert (moved.ended is not None) == after.ended
        else:
            with pytest.raises(Conflict, match=f"{run} is {before} and can't become {after}"):
                store.runs.move(run, after)
            assert store.runs.get(run).state is before


def test_that_a_run_queued_again_stands_last_and_without_its_old_error(store: Store) -> None:
    first, second = running(store, "sft"), store.runs.create("sft", {}).id
    store.runs.move(first, JobState.FAILED, error_kind="x", error_what="Out of memory.", error_hint="Less.")
    again = store.runs.move(first, JobState.QUEUED)
    assert [r.id for r in store.runs.queue()] == [second, first]
    assert (again.error_kind, again.error_what, again.error_hint, again.ended) == ("", "", "", None)


@pytest.mark.parametrize(("place", "order"), [(-5, "cabd"), (0, "cabd"), (1, "acbd"), (3, "abdc"), (99, "abdc")])
def test_that_a_place_beyond_the_queue_is_its_end(store: Store, place: int, order: str) -> None:
    for name in "abcd":
        store.runs.create("sft", {}, run=name)
    store.runs.reorder("c", place)
    assert "".join(r.id for r in store.runs.queue()) == order
    store.runs.create("sft", {}, run="e")
    assert [r.id for r in store.runs.queue()][-1] == "e"
    with pytest.raises(NotFound):
        store.runs.reorder("nobody", 0)


def test_that_runs_are_listed_by_state_newest_first(store: Store) -> None:
    runs = [store.runs.create("sft", {}).id for _ in range(3)]
    store.runs.move(runs[1], JobState.STARTING)
    assert [r.id for r in store.runs.list()] == runs[::-1]
    assert [r.id for r in store.runs.list([JobState.QUEUED])] == [runs[2], runs[0]]
    assert store.runs.list([]) == []


def test_that_a_point_keeps_the_time_of_its_report_in_any_zone(store: Store) -> None:
    run = running(store)
    moment = datetime(2026, 3, 29, 1, 59, 59, 999999, tzinfo=UTC)
    elsewhere = moment.astimezone(tz=None) + timedelta(seconds=1)
    store.runs.absorb(run, [Metrics(seq=1, step=1, values={"a": 1.0}, time=elsewhere)])
    assert store.runs.metrics(run)[0].time == elsewhere
