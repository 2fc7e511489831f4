"""The one lane on which a process uses its store: a single thread, short work, in order."""

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

    def do(self, fn: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a short function on the lane and return its result; on the lane itself it runs at once."""
        if threading.get_ident() == self._thread:
            return fn(*args, **kwargs)
        try:
            waiting = self._executor.submit(self._on_lane, functools.partial(fn, *args, **kwargs))
        except RuntimeError as error:
            raise Conflict("The workspace is closed.", "Open it again.") from error
        return waiting.result()

    def later(self, fn: Callable[[], object]) -> None:
        """Run a short function when the lane is free, for nobody: whoever needs what it prepares does it again if it fails."""
        with contextlib.suppress(RuntimeError):  # the lane is closing
            self._executor.submit(self._on_lane, fn)

    def close(self) -> None:
        """Finish what was handed in, then end the thread."""
        self._executor.shutdown(wait=True)

    def _on_lane(self, work: Callable[[], T]) -> T:
        self._thread = threading.get_ident()
        return work()
