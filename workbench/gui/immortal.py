"""Keeps Python's constants alive: PySide6 6.12 gives away a reference to `None` with each call of a void Qt method.

`True`, `False` and small numbers suffer in the same way on other roads. From Python 3.12 on they are immortal and nothing
happens here. On 3.11 the interpreter would abort with "deallocating None" after some thousands of calls, which is a minute
of live curves.
"""

from __future__ import annotations

import ctypes
import sys
from typing import Any

PLENTY = 1 << 58
CONSTANTS: tuple[Any, ...] = (None, True, False, Ellipsis, NotImplemented, (), "", b"", *range(-5, 257))


def hold_constants() -> int:
    """Raise the count of references to each constant out of reach; returns for how many that was needed and done."""
    if sys.version_info >= (3, 12):
        return 0
    return sum(_hold(constant) for constant in CONSTANTS)


def _hold(constant: Any) -> bool:
    known = sys.getrefcount(constant)
    count = ctypes.c_ssize_t.from_address(id(constant))
    if known > PLENTY // 2 or abs(count.value - known) > 100:
        return False  # held already, or another layout of objects (a tracing build): hands off
    count.value += PLENTY
    return True
