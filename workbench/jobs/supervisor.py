"""The supervisor: a queue, one slot for each device, adoption of running work; it holds no state that a restart would miss.

What it knows of runs it asks of a ledger, which services keep in the database; what it knows of processes it reads from run
folders. So a supervisor that starts after a crash does exactly what the old one would have done next.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from workbench.domain.errors import WorkbenchError
from workbench.domain.events import Event
from workbench.domain.runs import JobState
from workbench.jobs.launch import Launcher
from workbench.jobs.watch import KILL_AFTER, TERMINATE_AFTER, Look, Watch, occupied
from workbench.protocol.run_folder import RunFolder


@dataclass(frozen=True)
class Job:
    """What the supervisor must know of a run; `device` is what its spec asks for, `last_seq` the last event absorbed."""

    id: str
    folder: Path
    state: JobState
    device: str
    last_seq: int


class Ledger(Protocol):
    """Where runs are booked."""

    def lease(self) -> bool:
        """Take or renew the right to supervise; False while another process has it."""

    def live(self) -> list[Job]:
        """Runs that are starting or running."""

    def queued(self) -> list[Job]:
        """Runs that wait, first in queue first."""

    def absorb(self, job: Job, events: list[Event]) -> None:
        """Book new events."""

    def move(self, job: Job, state: JobState, what: str = "", hint: str = "") -> None:
        """Book a new state, with the reason if it is an error."""


class Supervisor:
    """Watches live runs and starts queued ones; `tick` is one round."""

    def __init__(
        self,
        ledger: Ledger,
        launcher: Launcher,
        slots: tuple[str, ...] = ("cpu",),
        terminate_after: float = TERMINATE_AFTER,
        kill_after: float = KILL_AFTER,
    ) -> None:
        self._ledger = ledger
        self._launcher = launcher
        self._slots = slots
        self._terminate_after = terminate_after
        self._kill_after = kill_after
        self._watches: dict[str, Watch] = {}
        self.in_charge = False

    def tick(self) -> None:
        """One round: absorb news, judge processes that are gone, press those that don't heed a stop, start what fits."""
        in_charge = self._ledger.lease()
        if in_charge != self.in_charge:
            self._watches.clear()  # another process may have absorbed events meanwhile
            self.in_charge = in_charge
        if not in_charge:
            return
        live = self._ledger.live()
        for gone in set(self._watches) - {job.id for job in live}:
            del self._watches[gone]
        taken = [slot for job in live if (slot := self._watch(job)) is not None]
        for job in self._ledger.queued():
            slot = self._free_slot(job.device, taken)
            if slot is not None and self._start(job, slot):
                taken.append(slot)

    def _watch(self, job: Job) -> str | None:
        """Look at one run; returns the slot that it still occupies."""
        watch = self._watches.get(job.id)
        if watch is None:
            watch = self._watches[job.id] = Watch(job.folder, job.last_seq)
        look = watch.look()
        if look.events:
            self._ledger.absorb(job, look.events)
        self._book(job, look)
        if look.ending is not None:
            del self._watches[job.id]
            return None
        watch.press(self._terminate_after, self._kill_after)
        return watch.slot

    def _book(self, job: Job, look: Look) -> None:
        if look.ending is not None:
            self._ledger.move(job, look.ending.state, look.ending.what, look.ending.hint)
        elif job.state is JobState.STARTING and look.spoke:
            self._ledger.move(job, JobState.RUNNING)

    def _free_slot(self, device: str, taken: list[str]) -> str | None:
        """A free slot of the device asked for; "auto" takes GPUs only, where there are any."""
        gpus = [slot for slot in self._slots if slot != "cpu"]
        fitting = gpus if device != "cpu" and gpus else ["cpu"]
        return next((slot for slot in fitting if slot not in taken), None)

    def _start(self, job: Job, slot: str) -> bool:
        self._ledger.move(job, JobState.STARTING)
        if occupied(job.folder) is not None:
            return True  # its last process has not gone yet; the next round watches it as it would any other
        try:
            self._launcher.start(RunFolder(job.folder), slot, job.last_seq)
        except WorkbenchError as error:
            self._ledger.move(job, JobState.FAILED, error.what, error.hint)
            return False
        return True
