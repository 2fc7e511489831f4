"""A person made of keys: presses one, waits until the next item is painted, presses the next. Used by tests and benchmarks."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from PySide6.QtCore import QEvent, QEventLoop, QObject, Qt, QTimer
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QWidget

from workbench.gui.pages.annotate import AnnotatePage

NO, SHIFT = Qt.KeyboardModifier.NoModifier, Qt.KeyboardModifier.ShiftModifier
Said = tuple[str, tuple[tuple[int, ...], ...] | None, int]
CHOICES: tuple[tuple[str, Qt.KeyboardModifier], ...] = (
    ("1", NO), ("2", NO), ("1", NO), ("2", NO), ("1", SHIFT), ("2", SHIFT), ("0", NO), ("x", NO),
)  # fmt: skip


def meant(key: str, modifier: Qt.KeyboardModifier, shown: tuple[int, ...]) -> Said:
    """What a key says of two candidates."""
    left, right = shown
    if key == "x":
        return "all_bad", None, 1
    if key == "0":
        return "ranked", (tuple(sorted(shown)),), 1
    tiers = ((left,), (right,)) if key == "1" else ((right,), (left,))
    return "ranked", tiers, 2 if modifier == SHIFT else 1


@dataclass
class Day:
    """What was meant, by item, and how long each took: wall-clock milliseconds from key to painted, and processor time."""

    intended: dict[str, Said] = field(default_factory=dict)
    wall: list[float] = field(default_factory=list)
    processor: list[float] = field(default_factory=list)


class _Paints(QObject):
    """Tells when something below a widget was painted, after the paint has gone to the screen."""

    def __init__(self, top: QWidget, told: Callable[[], None]) -> None:
        super().__init__(top)
        self._top, self._told = top, told

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() == QEvent.Type.UpdateRequest and watched is self._top:
            QTimer.singleShot(
                0, self, self._told
            )  # the window paints everything that is dirty in this event, then this comes
        return False


def judge(page: AnnotatePage, items: int, seed: int = 7, patience: float = 60.0) -> Day:
    """Judge so many two-way items with real keys, one after the other as fast as they come."""
    day, choice, loop = Day(), random.Random(seed), QEventLoop()
    state = {"item": "", "wall": 0.0, "processor": 0.0}

    def painted() -> None:
        here = page.presentation
        finished = here is None and bool(day.intended)
        if not page.ready or (here is not None and here.item.id == state["item"]):
            return
        if state["item"]:
            day.wall.append(1000 * (time.perf_counter() - float(state["wall"])))
            day.processor.append(1000 * (time.process_time() - float(state["processor"])))
        state["item"] = ""
        if finished or len(day.intended) == items or here is None:
            loop.quit()
            return
        QTimer.singleShot(0, page, press)

    def press() -> None:
        here = page.presentation
        if here is None or state["item"]:
            return
        key, modifier = choice.choice(CHOICES)
        state["item"] = here.item.id
        day.intended[here.item.id] = meant(key, modifier, here.shown)
        state["processor"], state["wall"] = time.process_time(), time.perf_counter()
        QTest.keyClick(page, key, modifier)

    window = page.window()
    paints = _Paints(window, painted)
    window.installEventFilter(paints)
    limit = QTimer(interval=round(1000 * patience), singleShot=True)
    limit.timeout.connect(loop.quit)
    limit.start()
    QTimer.singleShot(0, page, painted)
    loop.exec()
    limit.stop()
    window.removeEventFilter(paints)
    paints.deleteLater()
    return day


def share(times: list[float], part: float) -> float:
    """The time below which this part of all times lies."""
    return sorted(times)[min(len(times) - 1, int(part * len(times)))]
