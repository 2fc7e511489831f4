"""Runs: their state, their queue, and what their workers reported."""

from __future__ import annotations

import builtins
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, delete, func, insert, select, update

from workbench.domain.errors import Conflict, NotFound
from workbench.domain.events import Event
from workbench.domain.runs import JobState, can_move
from workbench.store import schema as t
from workbench.store.database import Database
from workbench.store.small import Leases
from workbench.store.telemetry import Ledger

SUPERVISOR = "supervisor"


class RunRecord(NamedTuple):
    """One run as it is kept. `spec` is JSON; `facts` holds pid, pid_started, host, versions and the plan's counts."""

    id: str
    name: str
    kind: str
    state: JobState
    spec: dict[str, Any]
    folder: Path
    snapshot: str | None
    synthetic: bool
    place: int
    step: int
    steps: int
    phase: str
    device: str
    facts: dict[str, Any]
    last_seq: int
    created: datetime
    started: datetime | None
    ended: datetime | None
    error_kind: str
    error_what: str
    error_hint: str
    model: str | None
    note: str


class PointRecord(NamedTuple):
    """One point of one metric; `rowid` grows, so that a reader can ask for what came after."""

    rowid: int
    name: str
    step: int
    value: float
    time: datetime


class SampleRecord(NamedTuple):
    """What a model said to a fixed prompt at a step."""

    step: int
    number: int
    prompt: str
    completion: str
    numbers: dict[str, float]


class Runs:
    """The runs of a workspace. Folders inside it are kept relative, so that the workspace can be moved.

    On a server each folder has runs of its own, with a queue and a supervisor (`home`); only their ids are given once for all.
    """

    def __init__(self, database: Database, workspace: Path, leases: Leases, home: str = "") -> None:
        self._database = database
        self._workspace = workspace
        self._leases = leases
        self._home = home
        self._supervisor = f"{SUPERVISOR} of {home}" if home else SUPERVISOR
        self._mine = t.runs.c.home == home

    def create(
        self,
        kind: str,
        spec: dict[str, Any],
        *,
        run: str | None = None,
        name: str = "",
        snapshot: str | None = None,
        synthetic: bool = False,
        note: str = "",
    ) -> RunRecord:
        """Book a queued run at the end of the queue; its id is `kind-N` unless given, its folder `runs/ID`."""
        with self._database.write() as connection:
            if run is None:
                run = self._free_id(connection, kind)
            elif connection.execute(select(t.runs.c.id).where(t.runs.c.id == run)).first():
                raise Conflict(f"There is already a run {run!r}.", "Choose another name.")
            values = {
                "id": run, "name": name or run, "kind": kind, "state": JobState.QUEUED, "spec": spec,
                "folder": f"runs/{run}", "snapshot": snapshot, "synthetic": synthetic, "place": self._end(connection),
                "step": 0, "steps": 0, "phase": "", "device": "", "facts": {}, "last_seq": 0,
                "created": datetime.now(UTC), "error_kind": "", "error_what": "", "error_hint": "", "note": note,
                "home": self._home,
            }  # fmt: skip
            connection.execute(insert(t.runs).values(values))
            return self._get(connection, run)

    def get(self, run: str) -> RunRecord:
        """One run; NotFound."""
        with self._database.read() as connection:
            return self._get(connection, run)

    def list(self, states: Sequence[JobState] | None = None) -> builtins.list[RunRecord]:
        """Runs in these states (all without), newest first."""
        statement = select(t.runs).where(self._mine).order_by(t.runs.c.created.desc(), t.runs.c.place.desc())
        if states is not None:
            statement = statement.where(t.runs.c.state.in_([s.value for s in states]))
        with self._database.read() as connection:
            return [self._record(r) for r in connection.execute(statement)]

    def queue(self) -> builtins.list[RunRecord]:
        """Queued runs, the next one first."""
        queued = select(t.runs).where(self._mine, t.runs.c.state == JobState.QUEUED)
        statement = queued.order_by(t.runs.c.place, t.runs.c.created)
        with self._database.read() as connection:
            return [self._record(r) for r in connection.execute(statement)]

    def reorder(self, run: str, place: int) -> None:
        """Put a queued run at this place of the queue (0 = next); Conflict when it isn't queued."""
        queued = select(t.runs.c.id).where(self._mine, t.runs.c.state == JobState.QUEUED)
        statement = queued.order_by(t.runs.c.place)
        with self._database.write() as connection:
            order = list(connection.execute(statement).scalars())
            if run not in order:
                self._get(connection, run)
                raise Conflict(f"{run} isn't waiting in the queue.", "Only queued runs can be moved.")
            order.remove(run)
            order.insert(max(place, 0), run)
            for position, name in enumerate(order):
                connection.execute(update(t.runs).where(t.runs.c.id == name).values(place=position))

    def move(self, run: str, state: JobState, **facts: Any) -> RunRecord:
        """Move a run to another state (Conflict when that can't be); `facts` are further columns or entries of `facts`.

        Moving into a state that has ended books the time; moving back into the queue clears the last error.
        """
        now = datetime.now(UTC)
        with self._database.write() as connection:
            before = self._get(connection, run)
            if not can_move(before.state, state):
                raise Conflict(f"{run} is {before.state} and can't become {state}.", "Look at the run's present state.")
            values: dict[str, Any] = {"state": state}
            if state.ended:
                values |= {"ended": now, "phase": ""}
            elif state is JobState.QUEUED:
                values |= {"ended": None, "error_kind": "", "error_what": "", "error_hint": ""}
                values["place"] = self._end(connection)
            elif before.started is None:
                values["started"] = now
            self._apply(connection, before, values | facts)
            return self._get(connection, run)

    def change(self, run: str, **facts: Any) -> RunRecord:
        """Change columns (name, note, model, …) or entries of `facts` without touching the state."""
        with self._database.write() as connection:
            self._apply(connection, self._get(connection, run), facts)
            return self._get(connection, run)

    def delete(self, run: str) -> None:
        """Forget a run and its metrics; Conflict while it is alive. Its folder is the caller's."""
        with self._database.write() as connection:
            record = self._get(connection, run)
            if not record.state.ended and record.state is not JobState.QUEUED:
                raise Conflict(f"{run} is {record.state}.", "Stop it first.")
            connection.execute(delete(t.runs).where(t.runs.c.id == run))

    def absorb(self, run: str, events: Sequence[Event]) -> RunRecord:
        """Book what a worker reported, in one transaction; events that are booked already are passed over.

        An event without a number is a reader's own notice, about a damaged line for example, and is always booked.
        """
        with self._database.write() as connection:
            record = self._get(connection, run)
            fresh = [e for e in events if e.seq > record.last_seq or e.seq == 0]
            if not fresh:
                return record
            ledger = Ledger(connection, run, record.facts, record.spec)
            ledger.fields["last_seq"] = max(record.last_seq, *(e.seq for e in fresh))
            ledger.book(fresh)
            return self._get(connection, run)

    def metrics(self, run: str, names: Sequence[str] | None = None, after_rowid: int = 0) -> builtins.list[PointRecord]:
        """Points booked after `after_rowid`, in the order in which they were reported."""
        m = t.metrics.c
        statement = select(m.id, m.name, m.step, m.value, m.time).where(m.run_id == run, m.id > after_rowid)
        if names is not None:
            statement = statement.where(m.name.in_(names))
        with self._database.read() as connection:
            return [PointRecord(*r) for r in connection.execute(statement.order_by(m.id))]

    def tail(self, run: str, name: str, count: int) -> builtins.list[float]:
        """The last values of one metric, oldest first: what a sparkline shows."""
        m = t.metrics.c
        statement = select(m.value).where(m.run_id == run, m.name == name).order_by(m.id.desc()).limit(count)
        with self._database.read() as connection:
            return list(connection.execute(statement).scalars())[::-1]

    def latest(self, run: str) -> dict[str, float]:
        """The last value of every metric."""
        with self._database.read() as connection:
            found = connection.execute(select(t.latest.c.name, t.latest.c.value).where(t.latest.c.run_id == run))
            return {r.name: r.value for r in found}

    def samples(self, run: str) -> builtins.list[SampleRecord]:
        """What the model said to the fixed prompts, by step."""
        s = t.samples.c
        columns = select(s.step, s.index, s.prompt, s.completion, s.numbers)
        with self._database.read() as connection:
            found = connection.execute(columns.where(s.run_id == run).order_by(s.step, s.index, s.id))
            return [SampleRecord(*r) for r in found]

    def notices(self, run: str) -> builtins.list[tuple[str, str]]:
        """(what, hint) of each notice, oldest first."""
        n = t.notices.c
        with self._database.read() as connection:
            found = connection.execute(select(n.what, n.hint).where(n.run_id == run).order_by(n.id))
            return [(what, hint) for what, hint in found]

    def checkpoints(self, run: str) -> builtins.list[int]:
        """The steps of reported checkpoints; older ones may have been pruned from the disk since."""
        c = t.checkpoints.c
        with self._database.read() as connection:
            return list(connection.execute(select(c.step).where(c.run_id == run).order_by(c.step)).scalars())

    def taken(self) -> set[str]:
        """The ids that are given, also by other folders on the same server."""
        with self._database.read() as connection:
            return set(connection.execute(select(t.runs.c.id)).scalars())

    def lease_acquire(self, owner: str, seconds: float) -> bool:
        """Take or renew the right to supervise the queue; False while another process has it."""
        return self._leases.acquire(self._supervisor, owner, seconds)

    def lease_release(self, owner: str) -> None:
        """Give the right to supervise back."""
        self._leases.release(self._supervisor, owner)

    def _free_id(self, connection: Connection, kind: str) -> str:
        number = connection.execute(select(func.count()).where(t.runs.c.kind == kind)).scalar_one() + 1
        taken = set(connection.execute(select(t.runs.c.id)).scalars())
        while f"{kind}-{number}" in taken or (self._workspace / "runs" / f"{kind}-{number}").exists():
            number += 1
        return f"{kind}-{number}"

    def _end(self, connection: Connection) -> int:
        last = select(func.coalesce(func.max(t.runs.c.place), -1)).where(self._mine)
        return int(connection.execute(last).scalar_one()) + 1

    def _get(self, connection: Connection, run: str) -> RunRecord:
        row = connection.execute(select(t.runs).where(self._mine, t.runs.c.id == run)).one_or_none()
        if row is None:
            raise NotFound(f"There is no run {run!r}.", "See the Runs page or `workbench runs list`.")
        return self._record(row)

    def _record(self, row: Row[Any]) -> RunRecord:
        fields = {k: v for k, v in row._mapping.items() if k != "home"}
        fields |= {"state": JobState(row.state), "folder": self._workspace / row.folder}
        return RunRecord(**fields)

    def _apply(self, connection: Connection, record: RunRecord, values: dict[str, Any]) -> None:
        """Values that are columns go there, the others into `facts`."""
        columns = {k: v for k, v in values.items() if k in t.runs.c and k != "facts"}
        loose = {k: v for k, v in values.items() if k not in t.runs.c}
        connection.execute(
            update(t.runs).where(t.runs.c.id == record.id).values(facts={**record.facts, **loose}, **columns)
        )
