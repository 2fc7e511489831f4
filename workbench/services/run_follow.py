"""Following runs for those who watch: the events that have been booked since the last look, whoever booked them."""

from __future__ import annotations

from collections.abc import Iterable

from workbench.domain.events import Event
from workbench.jobs.watch import Watch
from workbench.store.runs import RunRecord


class Follower:
    """Reads run folders up to what the store has booked, so that what was told can also be read from the store.

    That makes watching free of gaps: whoever first takes a feed and then reads the store misses nothing.
    """

    def __init__(self) -> None:
        self._known: dict[str, int] = {}
        self._tails: dict[str, tuple[Watch, list[Event]]] = {}

    def begin(self, records: Iterable[RunRecord]) -> None:
        """Tell from now on only what is booked after this."""
        self._known = {record.id: record.last_seq for record in records}
        self._tails = {}

    def news(self, record: RunRecord) -> list[Event]:
        """Events of this run that were booked since the last call, in order."""
        before = self._known.get(record.id, 0)
        if record.last_seq <= before:
            return []
        watch, ahead = self._tails.get(record.id) or (Watch(record.folder, before), [])
        events = ahead
        while more := watch.read():  # a read stops at damaged lines
            events = events + more
        self._known[record.id] = record.last_seq
        if record.state.ended:
            self._tails.pop(record.id, None)
        else:
            self._tails[record.id] = (watch, [event for event in events if event.seq > record.last_seq])
        return [event for event in events if before < event.seq <= record.last_seq]
