"""The supervisor's ledger, kept in the workspace's database."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from workbench.domain.errors import Conflict, NotFound, WorkbenchError
from workbench.domain.events import Event
from workbench.domain.runs import JobState, ModelKind
from workbench.jobs.supervisor import Job
from workbench.services.models import ModelsService
from workbench.services.studies import StudiesService
from workbench.services.workspace import Workspace
from workbench.store.runs import RunRecord

LEASE = 6.0
SLICE = 2_000
LIVE = (JobState.STARTING, JobState.RUNNING)
KINDS: dict[str, ModelKind] = {k: k for k in ("pretrain", "sft", "reward", "ppo", "dpo", "grpo", "weighted")}


class RunLedger:
    """Books states and events of runs, and registers the models that they make. `heard` is told of every event booked."""

    def __init__(
        self, workspace: Workspace, models: ModelsService, owner: str, heard: Callable[[str, list[Event]], None]
    ) -> None:
        self._lane = workspace.lane
        self._runs = workspace.store.runs
        self._models = models
        self._studies = StudiesService(workspace)
        self._owner = owner
        self._heard = heard
        self._renewed = -LEASE

    def lease(self) -> bool:
        """Take or renew the right to supervise; a workspace where nothing goes on needs no supervisor."""
        now = time.monotonic()
        if now - self._renewed < LEASE / 3:
            return True
        if not self._records((*LIVE, JobState.QUEUED)):
            return False
        if not self._lane.do(self._runs.lease_acquire, self._owner, LEASE):
            self._renewed = -LEASE
            return False
        self._renewed = now
        return True

    def release(self) -> None:
        """Let another process supervise at once."""
        if self._renewed > 0:
            self._renewed = -LEASE
            self._lane.do(self._runs.lease_release, self._owner)

    def live(self) -> list[Job]:
        """Runs that are starting or running."""
        return [_job(record) for record in self._records(LIVE)]

    def queued(self) -> list[Job]:
        """Runs that wait, first in queue first."""
        return [_job(record) for record in self._lane.do(self._runs.queue)]

    def absorb(self, job: Job, events: list[Event]) -> None:
        """Book new events, then tell of them; many are booked in slices of one transaction each, so that a label never waits long."""
        for start in range(0, len(events), SLICE):
            self._lane.do(self._runs.absorb, job.id, events[start : start + SLICE])
        self._heard(job.id, events)

    def move(self, job: Job, state: JobState, what: str = "", hint: str = "") -> None:
        """Book a new state. What a finished run made is registered first, so that a crash in between loses nothing.

        When somebody else has moved or deleted the run meanwhile, that stands.
        """
        facts: dict[str, str | None] = {}
        if what:
            facts = {"error_what": what, "error_hint": hint}
        if state is JobState.DONE:
            facts |= self._register(job) | self._leave(job)
        try:
            self._lane.do(self._runs.move, job.id, state, **facts)
        except (Conflict, NotFound):
            return

    def _register(self, job: Job) -> dict[str, str | None]:
        folder = job.folder / "model"
        known = next((model.name for model in self._models.list() if model.run == job.id), None)
        if known is not None or not folder.is_dir():
            return {"model": known}
        record = self._lane.do(self._runs.get, job.id)
        parents = tuple(str(record.spec[role]) for role in ("base", "reward_model") if record.spec.get(role))
        try:
            made = self._models.register_result(
                record.name, KINDS[record.kind], folder, parents=parents, run=job.id, synthetic=record.synthetic
            )
        except WorkbenchError as error:
            return {"error_what": f"The model can't be used: {error.what}", "error_hint": error.hint}
        return {"model": made.name}

    def _leave(self, job: Job) -> dict[str, str | None]:
        """What a study was asked to leave."""
        if self._lane.do(self._runs.get, job.id).kind != "study":
            return {}
        try:
            self._studies.leave(job.id)
        except WorkbenchError as error:
            return {"error_what": f"Its texts didn't become items to rank: {error.what}", "error_hint": error.hint}
        return {}

    def _records(self, states: Sequence[JobState]) -> list[RunRecord]:
        return self._lane.do(self._runs.list, states)


def _job(record: RunRecord) -> Job:
    by_rule = record.kind == "judge" and record.spec.get("judge") == "rule"  # a GPU would only be kept from others
    device = "cpu" if by_rule else str(record.spec.get("device", "auto"))
    return Job(record.id, record.folder, record.state, device, record.last_seq)
