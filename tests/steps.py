"""How much work something is, counted in calls of functions: the same on every machine, however busy it is."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType


def steps(work: Callable[[], object]) -> int:
    """How many functions, Python's and C's, are called while `work` runs in this thread."""
    count = 0

    def note(_frame: FrameType, event: str, _argument: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(note)
    try:
        work()
    finally:
        sys.setprofile(None)
    return count


def growth(work: Callable[[int], object], size: int) -> float:
    """How many times as much work twice the size is: 2 where work grows with the size, 4 where it grows with its square."""
    work(size // 2)  # what is loaded or made at the first time isn't counted
    return steps(lambda: work(2 * size)) / steps(lambda: work(size))
