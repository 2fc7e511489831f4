"""The journal of a merge: a folder in the workspace with a copy of what is merged, from before the first slice until after the last.

Whoever finds it and no process that is at work can complete the merge from it. It appears by one rename, with the whole copy in
it, so that a merge has either not begun or can be completed, also when the other workspace is out of reach by then.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from workbench.domain.errors import Conflict, StorageFailed
from workbench.store.database import Database, explained
from workbench.store.other_workspace import copied_workspace, copy_workspace, other_workspace
from workbench.store.sqlite import DATABASE

FOLDER, FACTS, BROUGHT = "merging", "merge.json", "brought.json"
TRY_AGAIN = (
    "Open the workspace again to try once more, or give the merge up: workbench label merge WORKSPACE --abandon. "
    "What it has brought stays."
)
_TOLERANCE = 0.01  # seconds between two readings of when a process began


class Begun(NamedTuple):
    """A merge that was begun: from which folder, with which names, and by which process; 0 once it has given up."""

    other: Path
    rename: Mapping[str, str]
    process: int
    started: float

    @property
    def at_work(self) -> bool:
        """Whether the process that began it lives; our own is asked elsewhere."""
        import psutil

        try:
            return abs(psutil.Process(self.process).create_time() - self.started) < _TOLERANCE
        except psutil.Error:
            return False


class Journal:
    """The journal of one workspace, which has at most one merge at a time."""

    def __init__(self, workspace: Path) -> None:
        self._folder = workspace / FOLDER

    def read(self) -> Begun | None:
        """The merge that isn't complete; None when there is none, StorageFailed when it can't be read."""
        try:
            facts = json.loads((self._folder / FACTS).read_text(encoding="utf-8"))
            return Begun(Path(facts["other"]), facts["rename"], facts["process"], facts["started"])
        except (FileNotFoundError, ValueError, LookupError, TypeError) as error:
            if not self._folder.exists():
                return None
            raise StorageFailed("A merge isn't complete, and its journal is damaged.", TRY_AGAIN, str(error)) from error

    def brought(self) -> dict[str, Any]:
        """What it has brought by now, as it was told; empty before its first slice."""
        try:
            told = json.loads((self._folder / BROUGHT).read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            return {}
        return told if isinstance(told, dict) else {}

    def tell(self, brought: Mapping[str, Any]) -> None:
        """Write down what it has brought by now. For people only, so it may be a slice late when the process is killed."""
        _write(self._folder / BROUGHT, json.dumps(brought), sync=False)

    def begin(self, other: Path, rename: Mapping[str, str]) -> None:
        """Copy the other workspace and sign the journal; Conflict when another merge has been begun meanwhile."""
        with explained():
            self._clear_away()
            mine = self._folder.with_name(f".{FOLDER}-{os.getpid()}")
            mine.mkdir()
            try:
                copy_workspace(other, mine / DATABASE)
                _write(mine / FACTS, _facts(other, rename))
                _rename(mine, self._folder)
            finally:
                shutil.rmtree(mine, ignore_errors=True)

    def take_over(self, begun: Begun) -> None:
        """Sign a journal that nobody works on."""
        _write(self._folder / FACTS, _facts(begun.other, begun.rename))

    def let_go(self, begun: Begun) -> None:
        """Take the signature back: this process lives on, but doesn't work on it any more."""
        with contextlib.suppress(OSError):  # then it is taken for at work until this process ends
            _write(self._folder / FACTS, _facts(begun.other, begun.rename, signed=False))

    @contextlib.contextmanager
    def source(self, begun: Begun) -> Iterator[Database]:
        """What is merged: the copy; of a workspace on a server there is none, and the server is read again."""
        copy = self._folder / DATABASE
        with copied_workspace(copy) if copy.exists() else other_workspace(begun.other) as database:
            yield database

    def end(self) -> None:
        """The merge is complete or given up: its name goes first."""
        with explained():
            gone = self._folder.with_name(f".{FOLDER}-{os.getpid()}")
            self._folder.rename(gone)
            shutil.rmtree(gone, ignore_errors=True)

    def _clear_away(self) -> None:
        """Take away what processes left that died before they began, or after they were done."""
        import psutil

        for old in self._folder.parent.glob(f".{FOLDER}-*"):
            number = old.name.rpartition("-")[2]
            if number == str(os.getpid()) or not (number.isdigit() and psutil.pid_exists(int(number))):
                shutil.rmtree(old, ignore_errors=True)


def _facts(other: Path, rename: Mapping[str, str], *, signed: bool = True) -> str:
    import psutil

    process = psutil.Process()
    who = {"process": process.pid, "started": process.create_time()} if signed else {"process": 0, "started": 0.0}
    return json.dumps({"other": str(other), "rename": dict(rename), **who}, indent=1) + "\n"


def _write(path: Path, text: str, *, sync: bool = True) -> None:
    beside = path.with_name(f".{path.name}.tmp")
    with beside.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        if sync:
            os.fsync(file.fileno())
    beside.replace(path)


def _rename(folder: Path, name: Path) -> None:
    try:
        folder.rename(name)
    except OSError as error:
        if not name.exists():
            raise
        raise Conflict(
            "Another process merges something into this workspace now.", "Wait until it is complete, then merge."
        ) from error
