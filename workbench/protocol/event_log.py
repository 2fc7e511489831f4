"""events.jsonl: appended and flushed by one worker, tailed by anybody."""

from __future__ import annotations

import contextlib
import io
import math
import os
import re
from pathlib import Path

from workbench.domain.errors import StorageFailed, WorkbenchError
from workbench.domain.events import Event
from workbench.protocol.wire import decode, encode

_SEQ = re.compile(rb'\{"v":1,"seq":(\d+),')


class EventWriter:
    """Appends events with consecutive numbers; a torn last line (from a kill) is cut off on opening."""

    def __init__(self, path: Path) -> None:
        self._last = _repair(path)
        self._file = path.open("ab", buffering=0)

    def write(self, event: Event) -> Event:
        """Number, append and flush one event; returns it with its number."""
        numbered: Event = event.model_copy(update={"seq": self._last + 1})
        _write_whole(self._file, encode(numbered))
        self._last += 1
        return numbered

    def sync(self) -> None:
        """Force what was written onto the disk."""
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Sync and close."""
        self.sync()
        self._file.close()


class EventTail:
    """Reads the complete lines that were added since the last look; survives a missing file and torn lines."""

    def __init__(self, path: Path, after: int = 0) -> None:
        self._path = path
        self._offset = 0
        self.after = after

    def read(self, limit: int = 100_000) -> list[Event]:
        """New events with seq > `after`, in order, at most `limit` of them.

        A complete line that is no event raises BadInput or TooNew once everything before it has been returned; the next call
        goes on behind it.
        """
        try:
            file = self._path.open("rb")
        except FileNotFoundError:
            return []
        events: list[Event] = []
        with file:
            file.seek(self._offset)
            while len(events) < limit:
                line = file.readline()
                if not line.endswith(b"\n"):
                    break
                if _number(line) <= self.after:
                    self._offset += len(line)
                    continue
                try:
                    event = decode(line)
                except WorkbenchError:
                    if events:
                        break
                    self._offset += len(line)
                    raise
                self._offset += len(line)
                if event.seq > self.after:
                    self.after = event.seq
                    events.append(event)
        return events


def _number(line: bytes) -> float:
    """An event's number without reading the rest of the line; infinite when it doesn't stand where our writer puts it."""
    found = _SEQ.match(line)
    return int(found[1]) if found else math.inf


def _write_whole(file: io.FileIO, line: bytes) -> None:
    """Append a line or nothing: half a line would swallow the event after it."""
    begin = os.fstat(file.fileno()).st_size
    written = 0
    try:
        while written < len(line):
            written += file.write(line[written:])
    except OSError as error:
        with contextlib.suppress(OSError):
            file.truncate(begin)
        raise StorageFailed(
            f"The run can't be reported any more: {error.strerror or error}.",
            "Free some space on the disk of the workspace, then resume the run from its last checkpoint.",
        ) from error


def _repair(path: Path) -> int:
    """Cut a torn last line; returns the last complete event's number."""
    if not path.exists():
        return 0
    with path.open("r+b") as file:
        content = file.read()
        complete = content.rfind(b"\n") + 1
        if complete != len(content):
            file.truncate(complete)
    lines = content[:complete].splitlines()
    return decode(lines[-1]).seq if lines else 0
