"""Starts a worker that outlives the application: its own session, no open pipe, output into the run's log."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psutil

import workbench
from workbench.domain.errors import StorageFailed
from workbench.jobs.child import Child
from workbench.protocol.run_folder import RunFolder, write_atomically

Command = Callable[[Path], list[str]]


def worker_command(folder: Path) -> list[str]:
    """The command that executes a run folder; -P keeps the folder's own files out of the import path."""
    return [sys.executable, "-P", "-m", "workbench", "worker", str(folder)]


class Launcher:
    """Starts workers as processes of this machine. `threads` is asked at every start; 0 leaves the choice to the libraries."""

    def __init__(self, command: Command = worker_command, threads: Callable[[], int] = lambda: 0) -> None:
        self._command = command
        self._threads = threads

    def start(self, folder: RunFolder, slot: str, after: int) -> Child:
        """Start the worker in a slot ("cpu", "cuda:0"); `after` is the number of the last event before it.

        Raises StorageFailed when the folder can't be written to or the program can't be started.
        """
        try:
            # An old process.json must not speak for the new process if this application dies right now.
            folder.process.unlink(missing_ok=True)
            with folder.log.open("ab") as log:
                process = self._spawn(folder.path, slot, log.fileno())
        except OSError as error:
            raise StorageFailed(
                f"The worker of {folder.path.name} could not be started: {error.strerror or error}.",
                "Check that the run's folder is there, that it may be written to, and that the disk is not full.",
            ) from error
        # From here on it is known by id and start time, like a worker that another application started.
        process.returncode = 0
        child = Child(process.pid, _start_time(process.pid))
        facts = {"pid": child.pid, "started": child.started, "slot": slot, "after": after}
        try:
            write_atomically(folder.process, json.dumps(facts) + "\n")
        except OSError as error:
            child.kill()
            raise StorageFailed(
                f"The run's folder {folder.path} can't be written to: {error.strerror or error}.",
                "Free some disk space or change the folder's permissions, then resume the run.",
            ) from error
        return child

    def _spawn(self, folder: Path, slot: str, log: int) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            self._command(folder),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=folder,
            env=environment(slot, self._threads()),
            start_new_session=True,
        )


def environment(slot: str, threads: int) -> dict[str, str]:
    """The worker's environment: this same package, unbuffered output, one GPU, so many threads."""
    variables = dict(os.environ)
    home = str(Path(workbench.__file__).resolve().parents[1])
    others = [p for p in variables.get("PYTHONPATH", "").split(os.pathsep) if p and p != home]
    variables["PYTHONPATH"] = os.pathsep.join([home, *others])
    variables["PYTHONUNBUFFERED"] = "1"
    if threads > 0:
        variables["WORKBENCH_THREADS"] = variables["OMP_NUM_THREADS"] = str(threads)
    if slot.startswith("cuda:"):
        number = int(slot.removeprefix("cuda:"))
        visible = [d for d in variables.get("CUDA_VISIBLE_DEVICES", "").split(",") if d]
        variables["CUDA_VISIBLE_DEVICES"] = visible[number] if number < len(visible) else str(number)
    return variables


def _start_time(pid: int) -> float:
    try:
        return psutil.Process(pid).create_time()
    except psutil.Error:  # it has already been collected: no start time can fit any more
        return 0.0
