"""What is kept while an item is on screen: the draft of an unfinished ranking, and the lease that keeps it from others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from PySide6.QtCore import QObject, QTimer

from workbench.domain.errors import WorkbenchError
from workbench.gui.pages.annotate.reach import Reach
from workbench.services.views import Presentation

DRAFT_MS = 250  # from the first change to its save, also while a person types on
LEASE_MS = 60_000
SHORTEST_LEASE_MS = 1_000


class DraftKeeper(QObject):
    """Saves what is said of the item on screen, at most a quarter of a second after it was said."""

    def __init__(self, reach: Reach, parent: QObject) -> None:
        super().__init__(parent)
        self._reach = reach
        self._kept: dict[str, Any] = {}
        self._timer = QTimer(self, singleShot=True, interval=DRAFT_MS)
        self._timer.timeout.connect(self.flush)

    def begin(self, kept: dict[str, Any] | None) -> None:
        """Another item is on screen, with what is kept of it."""
        self._timer.stop()
        self._kept = dict(kept or {})

    def changed(self) -> None:
        """Something was said."""
        if not self._timer.isActive():
            self._timer.start()

    def judged(self) -> None:
        """The item is being judged, which ends its draft."""
        self._timer.stop()

    def flush(self) -> None:
        """Save now what isn't saved."""
        self._timer.stop()
        presentation = self._reach.desk.presentation
        body = self._reach.desk.body()
        if presentation is None or body == self._kept:
            return
        self._kept = body
        dataset, _ = self._reach.place()
        self._reach.run(self._reach.services.drafts.save, dataset, presentation.item.id, body or None)


class LeaseKeeper(QObject):
    """Tells the queue from time to time that the item is still being looked at."""

    def __init__(self, reach: Reach, parent: QObject) -> None:
        super().__init__(parent)
        self._reach = reach
        self._timer = QTimer(self, interval=LEASE_MS)
        self._timer.timeout.connect(self._renew)

    def begin(self, minutes: float | None) -> None:
        """An item of a queue is on screen, leased for so long; None where nothing is leased."""
        if minutes is None:
            self._timer.stop()
            return
        self._timer.start(max(SHORTEST_LEASE_MS, min(LEASE_MS, round(minutes * 60_000 / 3))))

    def resume(self, presentation: Presentation, minutes: float, gone: Callable[[], Any]) -> None:
        """The item is looked at again; `gone` is called when somebody else has it by now."""

        def resumed(mine: bool) -> None:
            if self._reach.desk.presentation is presentation:
                self.begin(minutes) if mine else gone()

        self._reach.run(self._reach.services.queues.resume, presentation, then=resumed)

    def release(self, presentation: Presentation | None) -> None:
        """Nobody looks at this item any more: others may have it at once."""
        self._timer.stop()
        if presentation is not None and presentation.queue:
            self._reach.run(self._reach.services.queues.leave, presentation, failed=_quiet)

    def _renew(self) -> None:
        if (presentation := self._reach.desk.presentation) is not None:
            self._reach.run(self._reach.services.queues.renew, presentation, failed=_quiet)


def _quiet(_error: WorkbenchError) -> None:
    """A lease that ended meanwhile is no reason to interrupt: the judgement is kept in any case."""
