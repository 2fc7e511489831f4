"""Watching one run from outside: its new events, whether its process lives, and how it ended.

A run that was just launched and one that an earlier application launched are watched by the same code: everything that is
needed stands in the run's folder.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from workbench.domain.errors import WorkbenchError
from workbench.domain.events import Event, Noticed
from workbench.jobs.child import Child, Ending, Launched, find_worker, how_it_ended, read_launched
from workbench.protocol.event_log import EventTail
from workbench.protocol.run_folder import RunFolder

TERMINATE_AFTER = 120.0
KILL_AFTER = 20.0


@dataclass(frozen=True)
class Look:
    """What one look at a run has shown; `ending` is set when its process is gone and every event was read."""

    events: list[Event]
    spoke: bool
    ending: Ending | None


class Watch:
    """Follows one run from an event number on."""

    def __init__(self, folder: Path, after: int = 0) -> None:
        self.folder = RunFolder(folder)
        self._tail = EventTail(self.folder.events, after)
        self._launched = read_launched(self.folder)
        self._terminated = 0.0

    @cached_property
    def _child(self) -> Child | None:
        if self._launched is not None:
            return Child(self._launched.pid, self._launched.started)
        return find_worker(self.folder.path)

    @property
    def slot(self) -> str:
        """The slot that the run's process occupies."""
        return self._launched.slot if self._launched is not None else "cpu"

    @property
    def after(self) -> int:
        """Number of the last event that was read."""
        return self._tail.after

    def read(self, limit: int = 20_000) -> list[Event]:
        """New events, in order. A damaged line becomes a notice without a number, and the reading goes on behind it."""
        try:
            return self._tail.read(limit)
        except WorkbenchError as error:
            return [Noticed(what=error.what, hint=error.hint)]

    def look(self) -> Look:
        """Read what is new and judge the process; it is asked first, so that its last words are not missed."""
        alive = self._child is not None and self._child.alive()
        events = self.read()
        begun = self._launched.after if self._launched is not None else 0
        spoke = self._tail.after > begun
        if alive or events:
            return Look(events, spoke, None)
        return Look(events, spoke, self._judge())

    def _judge(self) -> Ending:
        """The verdict on a process that is gone, from everything that it wrote since it was launched."""
        begun = self._launched.after if self._launched is not None else 0
        words: list[Event] = []
        tail = EventTail(self.folder.events, begun)
        while True:
            try:
                more = tail.read()
            except WorkbenchError:
                continue
            if not more:
                break
            words = (words + more)[-1000:]
        return how_it_ended(words, self._child.exit_code if self._child else None, self.folder.wanted())

    def press(self, terminate_after: float = TERMINATE_AFTER, kill_after: float = KILL_AFTER) -> None:
        """A stop that was asked for and is not heeded: terminate after a grace time, kill after another one.

        The moment of asking is when control.json was written, so the clock runs on across restarts. A pause never kills.
        """
        if self._child is None or self.folder.wanted() != "stop":
            return
        if self._terminated and time.time() - self._terminated > kill_after:
            self._child.kill()
        elif not self._terminated and time.time() - self.folder.control.stat().st_mtime > terminate_after:
            self._terminated = time.time()
            self._child.terminate()


def occupied(folder: Path) -> Launched | None:
    """The launch whose process still has this run folder, if any."""
    launched = read_launched(RunFolder(folder))
    if launched is not None and Child(launched.pid, launched.started).alive():
        return launched
    return None
