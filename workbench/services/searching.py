"""Search over many rows in short reads, so that a label never waits for it; what was found is kept for the next page."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import datetime
from threading import Lock

from workbench.services.workspace import Workspace

WINDOW = 5_000
KEPT = 8


@dataclass
class _Found:
    """What a search has found so far: positions up to `scanned`."""

    scanned: int = 0
    positions: list[int] = field(default_factory=list)
    lock: Lock = field(default_factory=Lock)


class Search:
    """Positions of the rows that contain some words. Rows are never changed, only appended, so finds stay true."""

    def __init__(self, workspace: Workspace) -> None:
        self._store = workspace.store.datasets
        self._lane = workspace.lane
        self._kept: OrderedDict[tuple[str, datetime, str], _Found] = OrderedDict()
        self._lock = Lock()

    def matches(self, name: str, words: str, wanted: int | None) -> list[int]:
        """The first `wanted` matches (all when None); only as much is scanned as is needed and new."""
        dataset = self._lane.do(self._store.get, name)
        found = self._remembered((name, dataset.created, words))
        with found.lock:
            while found.scanned < dataset.rows and (wanted is None or len(found.positions) < wanted):
                stop = min(found.scanned + WINDOW, dataset.rows)
                found.positions.extend(self._lane.do(self._store.find, name, words, found.scanned, stop))
                found.scanned = stop
            return list(found.positions)

    def _remembered(self, key: tuple[str, datetime, str]) -> _Found:
        with self._lock:
            found = self._kept.setdefault(key, _Found())
            self._kept.move_to_end(key)
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)
            return found
