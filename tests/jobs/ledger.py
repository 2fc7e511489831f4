"""A ledger in one JSON file: what the database does for the supervisor, small enough to read in a test."""

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from workbench.domain.events import Event
from workbench.domain.runs import JobState, can_move
from workbench.domain.specs.sft import SftSpec
from workbench.jobs.launch import Launcher
from workbench.jobs.supervisor import Job, Supervisor
from workbench.protocol.run_folder import RunFolder
from workbench.protocol.wire import decode, encode

FAKE = Path(__file__).with_name("fake_worker.py")


def fake_command(folder: Path) -> list[str]:
    return [sys.executable, str(FAKE), str(folder)]


class FileLedger:
    """Survives the process that uses it, like the database."""

    def __init__(self, home: Path, owner: str = "me") -> None:
        self.home = home
        self.owner = owner

    def _read(self) -> dict[str, Any]:
        path = self.home / "ledger.json"
        return json.loads(path.read_text()) if path.exists() else {"runs": {}, "lease": None}

    def _write(self, book: dict[str, Any]) -> None:
        beside = self.home / f"ledger.{os.getpid()}"
        beside.write_text(json.dumps(book))
        beside.replace(self.home / "ledger.json")

    def add(self, name: str, *, device: str = "auto", **play: object) -> Job:
        folder = self.home / "runs" / name
        RunFolder(folder).create(SftSpec(name=name))
        (folder / "play.json").write_text(json.dumps({"steps": 20, **play}))
        book = self._read()
        book["runs"][name] = {"state": "queued", "device": device, "events": [], "seq": 0, "what": "", "hint": ""}
        self._write(book)
        return self.job(name)

    def job(self, name: str) -> Job:
        run = self._read()["runs"][name]
        return Job(name, self.home / "runs" / name, JobState(run["state"]), run["device"], run["seq"])

    def state(self, name: str) -> JobState:
        return self.job(name).state

    def why(self, name: str) -> tuple[str, str]:
        run = self._read()["runs"][name]
        return run["what"], run["hint"]

    def events(self, name: str) -> list[Event]:
        return [decode(line.encode()) for line in self._read()["runs"][name]["events"]]

    def lease(self) -> bool:
        book = self._read()
        if book["lease"] not in {None, self.owner}:
            return False
        book["lease"] = self.owner
        self._write(book)
        return True

    def expire(self) -> None:
        """The time of whoever holds the lease runs out."""
        self._write(self._read() | {"lease": None})

    def _in(self, *states: str) -> list[Job]:
        return [self.job(name) for name, run in self._read()["runs"].items() if run["state"] in states]

    def live(self) -> list[Job]:
        return self._in("starting", "running")

    def queued(self) -> list[Job]:
        return self._in("queued")

    def absorb(self, job: Job, events: list[Event]) -> None:
        book = self._read()
        run = book["runs"][job.id]
        assert [e.seq for e in events] == list(range(run["seq"] + 1, run["seq"] + 1 + len(events))), "a gap"
        run["events"] += [encode(e).decode() for e in events]
        run["seq"] += len(events)
        self._write(book)

    def move(self, job: Job, state: JobState, what: str = "", hint: str = "") -> None:
        book = self._read()
        run = book["runs"][job.id]
        assert can_move(JobState(run["state"]), state), f"{run['state']} -> {state}"
        run.update(state=str(state), what=what, hint=hint)
        self._write(book)


def supervise(ledger: FileLedger, **options: Any) -> Supervisor:
    return Supervisor(ledger, Launcher(fake_command), **options)


def tick_until(supervisor: Supervisor, condition: Callable[[], bool], seconds: float = 30.0) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        supervisor.tick()
        if condition():
            return
        time.sleep(0.02)
    raise AssertionError("it did not come about in time")
