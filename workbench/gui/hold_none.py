"""Keeps `None` alive: PySide6 6.12 gives away one reference to it with each call of a void Qt method.

From Python 3.12 on `None` is immortal and nothing happens. On 3.11 the interpreter would abort with "deallocating None"
after some thousands of calls, which is minutes of live curves.
"""

from __future__ import annotations

import ctypes
import sys

PLENTY = 1 << 58


def hold_none() -> bool:
    """Raise the count of references to `None` out of reach; returns whether that was needed and done."""
    if sys.version_info >= (3, 12) or sys.getrefcount(None) > PLENTY // 2:
        return False
    count = ctypes.c_ssize_t.from_address(id(None))
    if abs(count.value - sys.getrefcount(None)) > 100:
        return False  # another layout of objects (a tracing build): hands off
    count.value += PLENTY
    return True
