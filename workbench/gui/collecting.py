"""Python's garbage is collected on the window's thread only.

The collector runs on whichever thread makes the object that is one too many. On a thread that works for a page it would take apart what
the window has left in circles, and a widget that is deleted off its thread takes the process with it.
"""

from __future__ import annotations

import gc

from PySide6.QtCore import QObject, QTimer

EVERY_MS = 250


class Collector(QObject):
    """Collects garbage from time to time on the thread of its parent; nobody else does while it lives."""

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        gc.disable()
        self._timer = QTimer(self, interval=EVERY_MS)
        self._timer.timeout.connect(collect_what_is_due)
        self._timer.start()

    def stop(self) -> None:
        """Leave collecting to Python again."""
        self._timer.stop()
        gc.enable()


def collect_what_is_due() -> int | None:
    """Collect the oldest generation whose count is above its threshold, as Python would; returns which one that was."""
    counts, limits = gc.get_count(), gc.get_threshold()
    due = next((number for number in (2, 1, 0) if 0 < limits[number] < counts[number]), None)
    if due is not None:
        gc.collect(due)
    return due
