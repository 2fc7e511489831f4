"""The one lane on which a process uses its store: a single thread, short work, in order. Long readings go beside it."""

from __future__ import annotations

import contextlib
import functools
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from workbench.domain.errors import Conflict

P = ParamSpec("P")
T = TypeVar("T")


class Lane:
    """Runs functions one after another on its own thread; callers wait for the result or get the error."""

    def __init__(self) -> None:
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="lane")
        self._thread: int | None = None
        self._open = True
        self._readers = 0
        self._left = threading.Condition()

    def do(self, fn: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a short function on the lane and return its result; on the lane itself it runs at once."""
        if threading.get_ident() == self._thread:
            return fn(*args, **kwargs)
        try:
            waiting = self._executor.submit(self._on_lane, functools.partial(fn, *args, **kwargs))
        except RuntimeError as error:
            raise _closed() from error
        return waiting.result()

    def beside(self, read: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a reading function of the store at once on the caller's own thread, so that no label waits for it.

        It sees what was committed before it began. What is read in several parts may change between them, as on the lane.
        """
        with self._left:
            if not self._open:
                raise _closed()
            self._readers += 1
        try:
            return read(*args, **kwargs)
        finally:
            with self._left:
                self._readers -= 1
                self._left.notify_all()

    def later(self, fn: Callable[[], object]) -> None:
        """Run a short function when the lane is free, for nobody: whoever needs what it prepares does it again if it fails."""
        with contextlib.suppress(RuntimeError):  # the lane is closing
            self._executor.submit(self._on_lane, fn)

    def close(self, last: Callable[[], object] = lambda: None) -> None:
        """Wait for whoever reads beside, finish what was handed in and then `last`, and end the thread."""
        with self._left:
            self._open = False
            self._left.wait_for(lambda: self._readers == 0)
        try:
            self.do(last)
        finally:
            self._executor.shutdown(wait=True)

    def _on_lane(self, work: Callable[[], T]) -> T:
        self._thread = threading.get_ident()
        return work()


def _closed() -> Conflict:
    return Conflict("The workspace is closed.", "Open it again.")
