"""News of runs for whoever looks: a queue in memory for each watcher, filled by the supervising thread."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Iterable

from workbench.domain.events import Event, Metrics, Resumed
from workbench.domain.runs import MetricPoint
from workbench.services.views import RunNews, RunView


class Fresh:
    """New points of one run, collected until somebody takes them."""

    def __init__(self) -> None:
        self.points: dict[str, list[MetricPoint]] = {}
        self.superseded_after: int | None = None

    def add(self, events: Iterable[Event]) -> None:
        """Take the points out of events, in order."""
        for event in events:
            if isinstance(event, Metrics):
                for name, value in event.values.items():
                    point = MetricPoint(name=name, step=event.step, value=value, time=event.time)
                    self.points.setdefault(name, []).append(point)
            elif isinstance(event, Resumed):
                self.supersede(event.step)

    def supersede(self, step: int) -> None:
        """Forget points after `step`, and remember that the watcher must do so too."""
        self.points = {n: kept for n, points in self.points.items() if (kept := [p for p in points if p.step <= step])}
        before = self.superseded_after
        self.superseded_after = step if before is None else min(before, step)

    def merge(self, other: Fresh) -> None:
        """Append what came later."""
        if other.superseded_after is not None:
            self.supersede(other.superseded_after)
        for name, points in other.points.items():
            self.points.setdefault(name, []).extend(points)


class Feed:
    """One watcher's queue. `poll` only looks into memory, so a window may call it as often as it likes."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: dict[str, tuple[RunView, Fresh]] = {}

    def put(self, view: RunView, fresh: Fresh) -> None:
        """Add news of a run to what is not yet collected."""
        with self._lock:
            collected = self._waiting[view.id][1] if view.id in self._waiting else Fresh()
            collected.merge(fresh)
            self._waiting[view.id] = (view, collected)

    def poll(self) -> list[RunNews]:
        """What happened since the last call, one entry for each run."""
        if not self._waiting:
            return []
        with self._lock:
            waiting, self._waiting = self._waiting, {}
        return [RunNews(run, view, fresh.points, fresh.superseded_after) for run, (view, fresh) in waiting.items()]


class Feeds:
    """Every watcher's queue; one that nobody holds any more is forgotten."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._feeds: weakref.WeakSet[Feed] = weakref.WeakSet()

    def __bool__(self) -> bool:
        """Whether anybody watches."""
        return len(self._feeds) > 0

    def new(self) -> Feed:
        """A queue for one more watcher."""
        feed = Feed()
        with self._lock:
            self._feeds.add(feed)
        return feed

    def put(self, view: RunView, fresh: Fresh) -> None:
        """Tell everybody."""
        with self._lock:
            feeds = list(self._feeds)
        for feed in feeds:
            feed.put(view, fresh)
