"""Those who help the page: each minds one thing beside the judgement itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from PySide6.QtCore import QObject
from PySide6.QtWidgets import QWidget

from workbench.gui.pages.annotate.after import Effects, Retraining
from workbench.gui.pages.annotate.back import LookingBack
from workbench.gui.pages.annotate.golds import Golds
from workbench.gui.pages.annotate.guiding import Guiding
from workbench.gui.pages.annotate.keeping import DraftKeeper, LeaseKeeper
from workbench.gui.pages.annotate.people import People
from workbench.gui.pages.annotate.places import Places
from workbench.gui.pages.annotate.reach import Reach
from workbench.gui.pages.annotate.repairing import Repairing
from workbench.gui.pages.annotate.reveal import Reveal, Voices
from workbench.services.views import LabelProgress, Presentation


class Crew(QObject):
    """Guidelines, history, queues, people, drafts, leases, repairs, aftercare."""

    def __init__(self, reach: Reach, page: QWidget) -> None:
        super().__init__(page)
        self._reach = reach
        self.guiding = Guiding(reach, self)
        self.golds = Golds(reach, self)
        self.back = LookingBack(reach, self, self.golds.keep)
        self.places = Places(reach, self)
        self.people = People(reach, self)
        self.drafts = DraftKeeper(reach, self)
        self.leases = LeaseKeeper(reach, self)
        self.repairing = Repairing(reach, self)
        self.effects = Effects(reach, self)
        self.retraining = Retraining(reach, self)
        self.reveal: Reveal
        self.voices: Voices
        self._front = False
        self._deeds: dict[str, Callable[[], Any]] = {}

    @property
    def panes(self) -> dict[str, QWidget]:
        """What can stand beside the candidates."""
        return {
            "guidelines": self.guiding.pane, "history": self.back.pane, "queue": self.places.panel,
            "person": self.people.panel, "golds": self.golds.pane,
        }  # fmt: skip

    def settle(self) -> None:
        """The desk is made."""
        reach, desk = self._reach, self._reach.desk
        self.reveal = Reveal(reach.services.labelling, reach.bridge, desk, lambda: reach.place()[0])
        self.voices = Voices(reach.services.queues, reach.bridge, desk, lambda: reach.place()[0])
        desk.top.manage.setMenu(self.places.menu)
        self.places.checks = (
            ("Known answer of this item…   K", "annotate.menu_gold", desk.ask_gold),
            ("Known answers…   Shift+K", "annotate.menu_golds", self.golds.toggle),
        )
        reach.open_side("guidelines" if reach.guidelines_open else "")
        self._deeds = {
            "reveal": self.reveal.ask, "voices": self.voices.ask, "guidelines": self.guiding.toggle, "history": self.back.toggle,
            "golds": self.golds.toggle,
            "queue": desk.top.queue.showPopup, "new_queue": self.places.open_panel,
            "person": self.people.chip.showMenu, "effects": self.effects.toggle,
            "retrain": self.retraining.retrain, "mistakes": self.retraining.mistakes,
            "statistics": lambda: reach.shell.go("statistics", dataset=reach.place()[0]),
        }  # fmt: skip

    def do(self, name: str) -> bool:
        """What needs no item on screen; False when it is none of these."""
        deed = self._deeds.get(name)
        if deed is None or (not self._reach.place()[0] and name not in {"person"}):
            return False
        deed()
        return True

    def leave_side(self) -> None:
        """Escape closes what was opened beside the item."""
        if self._reach.desk.side.open not in {"", "guidelines"}:
            self._reach.leave_side()

    def item_shown(self, presentation: Presentation | None, progress: LabelProgress) -> None:
        """Another item is on screen."""
        if presentation is not None:
            self.guiding.show_for(presentation.guidelines, progress)
        else:
            self.guiding.look()
        if presentation is not None and presentation.purpose == "adjudication":
            self._reach.desk.bottom.tell("To be settled: V tells what the others said")
        if presentation is not None and presentation.draft:
            self._reach.desk.restore(presentation.draft)
        self.drafts.begin(presentation.draft if presentation is not None else None)
        if self._front:
            self.leases.begin(self._lease_of(presentation))
        else:
            self.leases.release(presentation)  # the page was left while the item was on its way
        self.effects.changed()
        self.back.refresh()

    def said(self) -> None:
        """Something was said of the item on screen."""
        self.drafts.changed()
        self.effects.changed()

    def shown(self) -> None:
        """The page is in front: the item on screen is this person's again, unless somebody else has taken it."""
        self.people.refresh()
        here, was_front, self._front = self._reach.desk.presentation, self._front, True
        minutes = self._lease_of(here)
        if here is not None and minutes is not None and not was_front:
            self.leases.resume(here, minutes, self._gone)

    def hidden(self) -> None:
        """Another page is in front: others may have the item; what was begun is kept."""
        self._front = False
        self.drafts.flush()
        self.leases.release(self._reach.desk.presentation)

    def _gone(self) -> None:
        hint = "What you had begun is kept with it. Here is the next one."
        self._reach.shell.notify("Somebody else has taken the item that you left.", hint)
        self._reach.choose(self._reach.place())

    def _lease_of(self, presentation: Presentation | None) -> float | None:
        """For how many minutes an item is kept from others; None where nothing is leased."""
        queue = self.places.queue() if presentation is not None and presentation.queue else None
        return None if queue is None else queue.spec.lease_minutes

    def closing(self) -> None:
        """The workspace is being left."""
        self.drafts.flush()
        self.leases.release(self._reach.desk.presentation)
        self.retraining.stop()
