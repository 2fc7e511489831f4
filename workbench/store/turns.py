"""Whose turn it is to write into a file.

SQLite lets waiting writers try again and again, at growing distances, and whoever happens to try in the right moment gets the lock:
among sixteen, one may go without for any length of time. Here everybody tries at short random distances, and a writer who has
waited long draws a number. As long as there are numbers, they alone are served, smallest first; the farther back, the less often one
looks, so that waiting costs little. A number is a byte that is locked
at its place in a small file beside the database, so the system takes back the numbers of a process that dies.

SQLite's own lock still decides who writes. Where a system lacks locks of open files, there are no numbers, and nothing is worse than that.
"""

from __future__ import annotations

import os
import random
import struct
import time
from collections.abc import Callable
from pathlib import Path

try:
    from fcntl import F_OFD_GETLK, F_OFD_SETLK, F_OFD_SETLKW, F_UNLCK, F_WRLCK, fcntl

    NUMBERS = True
except ImportError:  # not Linux
    NUMBERS = False

HUNGRY = 1.0  # seconds after which a writer draws a number
SHORTEST, LONGEST = 0.0002, 0.003  # seconds between two tries
FARTHEST = 16  # whoever has this many or more before them looks this many times less often
_LOCK = struct.Struct("hhqqi4x")  # the system's struct flock: kind, whence, start, length (0: to the end), process
_NUMBER = struct.Struct("q")  # the file holds two: the number drawn last, and the one that is served
_DRAWING = 0  # this byte is locked while a number is drawn


class Turns:
    """The numbers of one database's writers, as one of them sees it. For one thread at a time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: int | None = None

    def take(self, attempt: Callable[[], bool], patience: float) -> bool:
        """Attempt until it succeeds; False when nothing has gone on for `patience` seconds."""
        if not self._waiting(0) and attempt():
            return True
        begun = time.monotonic()
        number, served, deadline = 0, -1, begun + patience
        try:
            while (now := time.monotonic()) < deadline:
                first = not self._waiting(number)
                if first and attempt():
                    return True
                if number:
                    if first and served != number:
                        self._write(1, number)
                    if (seen := self._read(1)) != served:  # somebody was served meanwhile
                        served, deadline = seen, now + patience
                elif now - begun > HUNGRY:
                    number = self._draw()
                before = 1 if first else max(1, min(number - served, FARTHEST))
                time.sleep(before * random.uniform(SHORTEST, LONGEST))
        finally:
            if number:
                self._lock(F_OFD_SETLK, F_UNLCK, number)
        return False

    def close(self) -> None:
        """Close the file; it is opened again when it is needed."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _waiting(self, number: int) -> bool:
        """Whether somebody has a smaller number; without a number (0), whether anybody has one."""
        if number == 1 or not self._there():
            return False
        return self._lock(F_OFD_GETLK, F_WRLCK, 1, number - 1 if number else 0) != F_UNLCK

    def _draw(self) -> int:
        """The next number, held; 0 where there are none."""
        if not self._there():
            return 0
        self._lock(F_OFD_SETLKW, F_WRLCK, _DRAWING)
        try:
            number = max(0, self._read(0)) + 1
            self._write(0, number)
            self._lock(F_OFD_SETLK, F_WRLCK, number)
        finally:
            self._lock(F_OFD_SETLK, F_UNLCK, _DRAWING)
        return number

    def _there(self) -> bool:
        """Whether there is a file for numbers, on a disk that can lock."""
        if self._file is None and NUMBERS:
            try:
                self._file = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o666)
                self._lock(F_OFD_GETLK, F_WRLCK, _DRAWING)
            except OSError:  # the database will say what is wrong with the place, if anything is
                self.close()
        return self._file is not None

    def _read(self, place: int) -> int:
        assert self._file is not None
        content = os.pread(self._file, _NUMBER.size, place * _NUMBER.size)
        return int(_NUMBER.unpack(content.ljust(_NUMBER.size, b"\0"))[0])

    def _write(self, place: int, number: int) -> None:
        assert self._file is not None
        os.pwrite(self._file, _NUMBER.pack(number), place * _NUMBER.size)

    def _lock(self, how: int, kind: int, start: int, length: int = 1) -> int:
        """Lock or unlock bytes of the file, or ask; returns the kind of the lock that stands in the way, if that was asked."""
        assert self._file is not None
        answer = fcntl(self._file, how, _LOCK.pack(kind, os.SEEK_SET, start, length, 0))
        return int(_LOCK.unpack(answer)[0])
