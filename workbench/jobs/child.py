"""One worker process, known by its id and start time, and how it ended."""

from __future__ import annotations

import contextlib
import os
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import psutil

from workbench.domain.events import Event, Failed, Finished, Halted
from workbench.domain.runs import JobState, Wanted
from workbench.protocol.run_folder import RunFolder, read_json

# The kernel counts start times in ticks since boot, and the time of boot moves when the clock is set.
START_TOLERANCE = 2.0


class Child:
    """A worker process. A process id alone may have been given to somebody else since, so the start time must fit too."""

    def __init__(self, pid: int, started: float) -> None:
        self.pid = pid
        self.started = started
        self.exit_code: int | None = None
        self._process = self._find()

    def _find(self) -> psutil.Process | None:
        try:
            process = psutil.Process(self.pid)
            fits = abs(process.create_time() - self.started) < START_TOLERANCE
        except psutil.Error:
            return None
        return process if fits else None

    def alive(self) -> bool:
        """Whether the process still works; collects its exit code when it was started by this application."""
        if self._process is None:
            return False
        try:
            self.exit_code = self._process.wait(timeout=0)
        except psutil.TimeoutExpired:
            with contextlib.suppress(psutil.Error):
                if self._process.is_running() and self._process.status() != psutil.STATUS_ZOMBIE:
                    return True
                self.exit_code = self._process.wait(timeout=0.2)  # it ended between the two looks
        except psutil.Error:
            pass
        self._process = None
        return False

    def terminate(self) -> None:
        """Ask the process and everything it started to end."""
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """End the process and everything it started, at once."""
        self._signal(signal.SIGKILL if hasattr(signal, "SIGKILL") else signal.SIGTERM)

    def _signal(self, number: signal.Signals) -> None:
        if not self.alive():
            return
        with contextlib.suppress(ProcessLookupError, PermissionError, psutil.Error):
            if hasattr(os, "killpg") and os.getpgid(self.pid) == self.pid:
                os.killpg(self.pid, number)
            elif self._process is not None:
                self._process.send_signal(number)


@dataclass(frozen=True)
class Launched:
    """What process.json says: which process has the run, in which slot, and the last event that was there before it."""

    pid: int
    started: float
    slot: str
    after: int


def read_launched(folder: RunFolder) -> Launched | None:
    """The launch that the folder tells of; None when there was none or the file can't be read."""
    try:
        facts = read_json(folder.process)
        return Launched(int(facts["pid"]), float(facts["started"]), str(facts["slot"]), int(facts["after"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def find_worker(folder: Path) -> Child | None:
    """A worker that runs on this folder though no process.json tells of it: its launcher died before writing it."""
    for process in psutil.process_iter():
        try:
            words = process.cmdline()
            if words[-1:] == [str(folder)] and any("worker" in word for word in words[:-1]):
                return Child(process.pid, process.create_time())
        except psutil.Error:
            continue
    return None


class Ending(NamedTuple):
    """How a run stands after its process has gone: the state, and for a person what happened and what to do."""

    state: JobState
    what: str = ""
    hint: str = ""


def how_it_ended(events: list[Event], exit_code: int | None, wanted: Wanted) -> Ending:
    """Judge a process that is gone by the events of this launch, then by what was wanted, then by its exit code.

    What a person cancelled is never booked as failed, also when it had to be killed.
    """
    for event in reversed(events):
        if isinstance(event, Finished):
            return Ending(JobState.DONE)
        if isinstance(event, Halted):
            return Ending(JobState.PAUSED if event.wanted == "pause" else JobState.STOPPED)
        if isinstance(event, Failed):
            if wanted == "stop":
                return Ending(JobState.STOPPED)
            return Ending(JobState.FAILED, event.what, event.hint)
    if wanted == "stop":
        return Ending(JobState.STOPPED)
    if wanted == "pause":
        return Ending(JobState.PAUSED)
    return _without_a_word(exit_code)


def _without_a_word(exit_code: int | None) -> Ending:
    log = "Look at the end of its log; resume the run to continue from its last checkpoint."
    if exit_code is not None and exit_code > 0:
        return Ending(JobState.FAILED, f"The worker ended with exit code {exit_code} and gave no reason.", log)
    if exit_code is not None and exit_code < 0:
        name = _signal_name(-exit_code)
        memory = (
            "If nobody ended it, the system may have run out of memory: try a smaller batch. "
            if exit_code == -9
            else ""
        )
        return Ending(JobState.LOST, f"The worker was killed ({name}).", memory + log)
    return Ending(JobState.LOST, "The worker has gone without saying how it ended.", log)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
