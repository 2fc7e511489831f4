"""What a worker reported, booked in one transaction: metrics, samples, notices, checkpoints and where the run stands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select, update

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
from workbench.store import schema as t
from workbench.store.dialect import upsert
from workbench.store.feedback import Source, book_feedback


class Ledger:
    """Collects the rows of a batch of events and writes them with one statement for each table."""

    def __init__(self, connection: Connection, run: str, facts: dict[str, Any], spec: dict[str, Any]) -> None:
        self._connection = connection
        self._run = run
        self._spec = spec
        self._points: list[dict[str, Any]] = []
        self._samples: list[dict[str, Any]] = []
        self.fields: dict[str, Any] = {}
        self.facts = dict(facts)

    def book(self, events: Sequence[Event]) -> None:
        """Book events in order and update the run's row."""
        for event in events:
            self._book(event)
        self._flush()
        for what, hint in book_feedback(self._connection, Source(self._run, self._spec), events):
            self._book_fact(Noticed(what=what, hint=hint))
        self._connection.execute(update(t.runs).where(t.runs.c.id == self._run).values(facts=self.facts, **self.fields))

    def _book(self, event: Event) -> None:
        if isinstance(event, Metrics):
            self.fields["step"] = event.step
            common = {"run_id": self._run, "step": event.step, "time": event.time}
            self._points.extend({**common, "name": name, "value": value} for name, value in event.values.items())
        elif isinstance(event, SampleText):
            row = event.model_dump(include={"step", "index", "prompt", "completion", "numbers"})
            self._samples.append({"run_id": self._run, **row})
        elif isinstance(event, Resumed):
            self._flush()
            self._supersede(event.step)
        else:
            self._book_fact(event)

    def _book_fact(self, event: Event) -> None:
        if isinstance(event, Started):
            self.fields |= {"device": event.device, "phase": ""}
            self.facts |= event.model_dump(include={"pid", "pid_started", "host", "versions"})
        elif isinstance(event, Planned):
            self.fields["steps"] = event.steps
            self.facts |= event.model_dump(mode="json", exclude={"seq", "time", "kind", "steps"})
        elif isinstance(event, Phase):
            self.fields["phase"] = event.name
        elif isinstance(event, Noticed):
            row = {"run_id": self._run, "what": event.what, "hint": event.hint, "time": event.time}
            self._connection.execute(insert(t.notices), row)
        elif isinstance(event, Checkpointed):
            row = {"run_id": self._run, "step": event.step, "folder": event.folder, "time": event.time}
            statement = upsert(self._connection, t.checkpoints).values(row)
            self._connection.execute(
                statement.on_conflict_do_update(
                    index_elements=["run_id", "step"], set_={"folder": event.folder, "time": event.time}
                )
            )
        elif isinstance(event, Failed):
            self.fields |= {"error_kind": event.error, "error_what": event.what, "error_hint": event.hint, "phase": ""}
        elif isinstance(event, Finished | Halted):
            self.fields |= {"step": event.step, "phase": ""}

    def _flush(self) -> None:
        """Write the collected points and samples, so that a later Resumed can take them back."""
        if self._points:
            self._connection.execute(insert(t.metrics), self._points)
            newest = {p["name"]: p for p in self._points}
            statement = upsert(self._connection, t.latest)
            self._connection.execute(
                statement.on_conflict_do_update(
                    index_elements=["run_id", "name"],
                    set_={"step": statement.excluded.step, "value": statement.excluded.value},
                ),
                [{k: p[k] for k in ("run_id", "name", "step", "value")} for p in newest.values()],
            )
        if self._samples:
            self._connection.execute(insert(t.samples), self._samples)
        self._points, self._samples = [], []

    def _supersede(self, step: int) -> None:
        """Take back what was reported for later steps: the resumed worker does them again."""
        for table in (t.metrics, t.samples, t.checkpoints):
            self._connection.execute(delete(table).where(table.c.run_id == self._run, table.c.step > step))
        self._connection.execute(delete(t.latest).where(t.latest.c.run_id == self._run))
        last = (
            select(func.max(t.metrics.c.id)).where(t.metrics.c.run_id == self._run).group_by(t.metrics.c.name)
        ).scalar_subquery()
        columns = ("run_id", "name", "step", "value")
        kept = select(*(t.metrics.c[c] for c in columns)).where(t.metrics.c.id.in_(last))
        self._connection.execute(insert(t.latest).from_select(columns, kept))
        self.fields["step"] = step
