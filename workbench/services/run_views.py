"""How a run looks in a list: its headline metric, its sparkline, the time it still needs."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from datetime import datetime

from workbench.domain.events import Event, Metrics, Resumed, Started
from workbench.domain.headlines import headline
from workbench.domain.runs import JobState
from workbench.services.views import RunView
from workbench.services.workspace import Workspace
from workbench.store.runs import RunRecord

SPARK = 60
PACE = 40
_TROUBLED = frozenset({JobState.FAILED, JobState.LOST, JobState.DONE})


class Pace:
    """How fast a run goes, from the moments at which its last steps were reported."""

    def __init__(self) -> None:
        self._moments: deque[tuple[datetime, int]] = deque(maxlen=PACE)

    def add(self, events: Iterable[Event]) -> None:
        """Take the moments out of events."""
        for event in events:
            if isinstance(event, Started | Resumed):
                self._moments.clear()
            elif isinstance(event, Metrics) and (not self._moments or event.step > self._moments[-1][1]):
                self._moments.append((event.time, event.step))

    def seconds_left(self, step: int, steps: int) -> float | None:
        """Seconds for the steps that are left; None before two steps were seen."""
        if len(self._moments) < 2 or steps <= step:
            return None
        (first, begin), (last, end) = self._moments[0], self._moments[-1]
        return (last - first).total_seconds() / (end - begin) * (steps - step)


class RunViews:
    """Makes views from records; a view is made again only when its record has changed."""

    def __init__(self, workspace: Workspace) -> None:
        self._lane = workspace.lane
        self._runs = workspace.store.runs
        self._made: dict[str, tuple[RunRecord, RunView]] = {}
        self._paces: dict[str, Pace] = {}

    def pace(self, run: str, events: list[Event]) -> None:
        """Learn from new events how fast a run goes."""
        self._paces.setdefault(run, Pace()).add(events)

    def of(self, record: RunRecord) -> RunView:
        """The view of a record."""
        return self.all([record])[0]

    def all(self, records: list[RunRecord]) -> list[RunView]:
        """The views of records, in their order; what must be read for them is read in one visit to the lane."""
        views = {record.id: view for record in records if (view := self._known(record)) is not None}
        changed = [record for record in records if record.id not in views]
        if changed:
            for record, (spark, last) in zip(changed, self._lane.do(self._values, changed), strict=True):
                views[record.id] = self._make(record, spark, last)
                self._made[record.id] = (record, views[record.id])
        return [views[record.id] for record in records]

    def _known(self, record: RunRecord) -> RunView | None:
        made = self._made.get(record.id)
        return made[1] if made is not None and made[0] == record else None

    def _values(self, records: list[RunRecord]) -> list[tuple[list[float], dict[str, float]]]:
        return [
            (self._runs.tail(r.id, headline(r.kind), SPARK), self._runs.latest(r.id)) if r.last_seq else ([], {})
            for r in records
        ]

    def forget(self, run: str) -> None:
        """The run has been deleted."""
        self._made.pop(run, None)
        self._paces.pop(run, None)

    def _make(self, record: RunRecord, spark: list[float], last: dict[str, float]) -> RunView:
        troubled = record.state in _TROUBLED
        return RunView(
            id=record.id,
            name=record.name,
            kind=record.kind,
            state=record.state,
            step=record.step,
            steps=record.steps,
            created=record.created,
            started=record.started,
            ended=record.ended,
            folder=record.folder,
            phase=record.phase,
            headline=headline(record.kind),
            spark=tuple(spark),
            last=last,
            eta_seconds=self._eta(record),
            error_what=record.error_what if troubled else "",
            error_hint=record.error_hint if troubled else "",
            model=record.model,
            note=record.note,
            place=record.place,
        )

    def _eta(self, record: RunRecord) -> float | None:
        pace = self._paces.get(record.id)
        if pace is None or record.state is not JobState.RUNNING:
            return None
        return pace.seconds_left(record.step, record.steps)
