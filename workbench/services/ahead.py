"""Items that are fetched before they are needed, so that no label waits for a search. Everything here runs on the lane."""

from __future__ import annotations

from functools import partial

from workbench.services.lane import Lane
from workbench.store.labels import Labels, PlacedItem

AHEAD, REFILL = 8, 4  # items that are fetched at once, and how few are left when more are fetched


class Ahead:
    """What comes next for each annotator in each dataset, in the dataset's order."""

    def __init__(self, labels: Labels, lane: Lane) -> None:
        self._labels, self._lane = labels, lane
        self._items: dict[tuple[str, str], list[PlacedItem]] = {}

    def forget(self, dataset: str, annotator: str) -> None:
        """The annotator goes another way: an undo, a revision, a new start."""
        self._items.pop((dataset, annotator), None)

    def clear(self) -> None:
        """Items have come in that nobody has looked for yet."""
        self._items.clear()

    def upcoming(self, dataset: str, annotator: str, judged: str) -> PlacedItem | None:
        """What comes next when `judged` is done, if it was fetched already; it isn't taken."""
        here = self._items.setdefault((dataset, annotator), [])
        here[:] = [placed for placed in here if placed.item.id != judged]
        return here[0] if here else None

    def take(self, dataset: str, annotator: str) -> PlacedItem | None:
        """The next item; more are fetched at once when there is none, and in the background when few are left."""
        here = self._items.setdefault((dataset, annotator), [])
        if not here:
            here.extend(self._labels.next_unjudged(dataset, annotator, limit=AHEAD))
        if not here:
            return None
        taken = here.pop(0)
        if len(here) < REFILL:
            self._lane.later(partial(self._refill, dataset, annotator, taken.item.id))
        return taken

    def _refill(self, dataset: str, annotator: str, on_screen: str) -> None:
        here = self._items.get((dataset, annotator))
        if here is not None and len(here) < REFILL:
            known = {on_screen, *(placed.item.id for placed in here)}
            here.extend(self._labels.next_unjudged(dataset, annotator, known, AHEAD))
