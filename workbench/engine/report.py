"""The worker's side of the run folder: writes events, and looks at what is wanted of the run."""

from __future__ import annotations

import os
import platform
import socket
from collections.abc import Callable, Sequence
from importlib import metadata
from typing import TypeVar

import psutil

from workbench.domain.errors import WorkbenchError
from workbench.domain.events import (
    Checkpointed,
    Event,
    Failed,
    Finished,
    Halted,
    Judged,
    Metrics,
    Noticed,
    Phase,
    Planned,
    Resumed,
    Revised,
    SampleText,
    Scored,
    Started,
)
from workbench.domain.runs import Wanted
from workbench.protocol.event_log import EventTail, EventWriter
from workbench.protocol.run_folder import RunFolder

T = TypeVar("T")
_VERSIONS = ("torch", "transformers", "peft", "tokenizers", "safetensors", "numpy")


class Report:
    """Everything that a recipe says goes through here, one line in events.jsonl for each call."""

    def __init__(self, folder: RunFolder) -> None:
        self.folder = folder
        self.restarted = folder.events.exists() and folder.events.stat().st_size > 0
        self.terminated = False
        self.rescue: Callable[[Exception], None] | None = None  # what saves what can be saved before a run fails
        self._writer = EventWriter(folder.events)
        self._seen: tuple[int, int] | None = None
        self._wanted: Wanted = "run"

    def _say(self, event: Event) -> None:
        self._writer.write(event)

    def started(self, device: str = "") -> None:
        """This process has taken the run."""
        self._say(
            Started(
                pid=os.getpid(),
                pid_started=psutil.Process().create_time(),
                host=socket.gethostname(),
                device=device,
                versions={"python": platform.python_version(), **_installed()},
            )
        )

    def resumed(self, step: int) -> None:
        """What was reported for steps after `step` is superseded."""
        self._say(Resumed(step=step))

    def planned(
        self,
        steps: int,
        *,
        rows: int = 0,
        rows_left_out: int = 0,
        trainable_parameters: int = 0,
        parameters: int = 0,
        notes: tuple[str, ...] = (),
    ) -> None:
        """How long the run will be, and on what it trains."""
        self._say(
            Planned(
                steps=steps,
                rows=rows,
                rows_left_out=rows_left_out,
                trainable_parameters=trainable_parameters,
                parameters=parameters,
                notes=notes,
            )
        )

    def phase(self, name: str) -> None:
        """What the worker is doing now."""
        self._say(Phase(name=name))

    def metric(self, step: int, values: dict[str, float] | None = None, **more: float) -> None:
        """Values of metrics at one step, as a dict (names may hold a slash) or as keywords."""
        merged = {name: float(value) for name, value in {**(values or {}), **more}.items()}
        self._say(Metrics(step=step, values=merged))

    def sample(
        self, step: int, index: int, prompt: str, completion: str, numbers: dict[str, float] | None = None
    ) -> None:
        """What the model says to fixed prompt number `index`."""
        self._say(SampleText(step=step, index=index, prompt=prompt, completion=completion, numbers=numbers or {}))

    def notice(self, what: str, hint: str = "") -> None:
        """Something a person should know, though the run goes on."""
        self._say(Noticed(what=what, hint=hint))

    def checkpointed(self, step: int) -> None:
        """A complete checkpoint of `step` is on disk."""
        self._say(Checkpointed(step=step, folder=str(self.folder.checkpoints / str(step))))
        self._writer.sync()

    def booked(self, results: Sequence[Judged] | Sequence[Revised] | Sequence[Scored]) -> None:
        """Results that are kept exactly once and never superseded; they are on the disk when this returns."""
        for event in results:
            self._say(event)
        self._writer.sync()

    def earlier(self, kind: type[T]) -> list[T]:
        """The events of a kind that this run has ever said; lines that can't be read are passed over."""
        tail, found = EventTail(self.folder.events), list[T]()
        while True:
            try:
                events = tail.read()
            except WorkbenchError:
                continue
            if not events:
                return found
            found += [event for event in events if isinstance(event, kind)]

    def halted(self, step: int, wanted: Wanted) -> None:
        """The run ends because it was asked to."""
        self._say(Halted(step=step, wanted="stop" if wanted == "stop" else "pause"))

    def finished(self, step: int, parameters: int = 0, *, model: bool = True) -> None:
        """The run is complete; its result, if it is a model, lies in the model folder."""
        self._say(Finished(step=step, model=str(self.folder.model) if model else None, parameters=parameters))

    def failed(self, error: str, what: str, hint: str = "", details: str = "") -> None:
        """The run can't go on."""
        self._say(Failed(error=error, what=what, hint=hint, details=details))

    def wanted(self) -> Wanted:
        """What is wanted of the run; cheap: the file is read only when it has changed.

        A polite kill (SIGTERM) without a written intent, as at a shutdown of the machine, means: pause.
        """
        try:
            status = self.folder.control.stat()
            seen = (status.st_mtime_ns, status.st_ino)
        except FileNotFoundError:
            seen = (0, 0)
        if seen != self._seen:
            self._wanted, self._seen = self.folder.wanted(), seen
        return "pause" if self.terminated and self._wanted == "run" else self._wanted

    def close(self) -> None:
        """Bring everything onto the disk."""
        self._writer.close()


def _installed() -> dict[str, str]:
    versions = {}
    for name in _VERSIONS:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return versions
