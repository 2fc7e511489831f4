import gc
from datetime import UTC, datetime
from pathlib import Path

from workbench.domain.events import Event, Metrics, Resumed, Started
from workbench.domain.runs import JobState
from workbench.services.run_feed import Feed, Feeds, Fresh
from workbench.services.run_views import Pace
from workbench.services.views import RunView

NOW = datetime(2026, 5, 1, 12, 0, 0, tzinfo=UTC)


def view(state: JobState = JobState.RUNNING, run: str = "sft-1") -> RunView:
    return RunView(run, run, "sft", state, 1, 2, NOW, None, None, Path("/r"))


def fresh(*events: Event) -> Fresh:
    made = Fresh()
    made.add(events)
    return made


def loss(*steps: int) -> list[Event]:
    return [Metrics(step=step, values={"loss": float(step)}) for step in steps]


def steps(feed: Feed) -> list[int]:
    return [point.step for news in feed.poll() for point in news.points.get("loss", [])]


def test_that_a_poll_takes_everything_once() -> None:
    feed = Feed()
    assert feed.poll() == []
    feed.put(view(), fresh(*loss(1, 2)))
    feed.put(view(), fresh(*loss(3)))
    assert steps(feed) == [1, 2, 3]
    assert feed.poll() == []


def test_that_news_carry_the_newest_view_and_one_entry_for_each_run() -> None:
    feed = Feed()
    feed.put(view(JobState.STARTING), Fresh())
    feed.put(view(JobState.RUNNING), Fresh())
    feed.put(view(run="dpo-1"), Fresh())
    assert [(n.run, n.view.state) for n in feed.poll()] == [
        ("sft-1", JobState.RUNNING),
        ("dpo-1", JobState.RUNNING),
    ]


def test_that_a_resume_takes_back_later_points_that_nobody_has_seen_yet() -> None:
    feed = Feed()
    feed.put(view(), fresh(*loss(1, 2, 3, 4)))
    feed.put(view(), fresh(Resumed(step=2), *loss(3)))
    (news,) = feed.poll()
    assert [p.step for p in news.points["loss"]] == [1, 2, 3]
    assert news.superseded_after == 2


def test_that_points_before_and_after_a_resume_in_one_batch_are_told_apart() -> None:
    made = fresh(*loss(5, 6), Resumed(step=5), *loss(6))
    assert [(p.step, p.value) for p in made.points["loss"]] == [(5, 5.0), (6, 6.0)]
    assert made.superseded_after == 5


def test_that_of_several_resumes_the_earliest_counts_for_what_was_seen() -> None:
    made = fresh(Resumed(step=8), *loss(9), Resumed(step=4), *loss(5))
    assert made.superseded_after == 4
    assert [p.step for p in made.points["loss"]] == [5]


def test_that_each_watcher_has_its_own_queue_and_a_dropped_one_is_forgotten() -> None:
    feeds = Feeds()
    assert not feeds
    one, other = feeds.new(), feeds.new()
    feeds.put(view(), fresh(*loss(1)))
    assert steps(one) == [1]
    feeds.put(view(), fresh(*loss(2)))
    assert steps(other) == [1, 2]
    assert steps(one) == [2]
    assert feeds
    del one, other
    gc.collect()
    assert not feeds


def at(seconds: float, step: int) -> Metrics:
    return Metrics(step=step, values={}, time=NOW.replace(second=int(seconds)))


def test_that_the_pace_of_the_last_steps_gives_the_seconds_left() -> None:
    pace = Pace()
    assert pace.seconds_left(0, 10) is None
    pace.add([at(0, 1)])
    assert pace.seconds_left(1, 10) is None
    pace.add([at(2, 2), at(2, 2), at(4, 3)])
    assert pace.seconds_left(3, 10) == 14.0
    assert pace.seconds_left(10, 10) is None


def test_that_a_pause_does_not_count_as_slowness() -> None:
    pace = Pace()
    pace.add([at(0, 1), at(1, 2), Started(pid=1, pid_started=1.0, host="here"), at(50, 3), at(51, 4)])
    assert pace.seconds_left(4, 5) == 1.0
