"""events.jsonl: appended and flushed by one worker, tailed by anybody."""

from __future__ import annotations

import os
from pathlib import Path

from workbench.domain.events import Event
from workbench.protocol.wire import decode, encode


class EventWriter:
    """Appends events with consecutive numbers; a torn last line (from a kill) is cut off on opening."""

    def __init__(self, path: Path) -> None:
        self._last = _repair(path)
        self._file = path.open("ab", buffering=0)

    def write(self, event: Event) -> Event:
        """Number, append and flush one event; returns it with its number."""
        self._last += 1
        numbered: Event = event.model_copy(update={"seq": self._last})
        self._file.write(encode(numbered))
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
        """New events with seq > `after`, in order, at most `limit` of them."""
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
                self._offset += len(line)
                event = decode(line)
                if event.seq > self.after:
                    self.after = event.seq
                    events.append(event)
        return events


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
