"""Switching between the people at this machine: each has a name, a colour, and their own place in every queue."""

from __future__ import annotations

from PySide6.QtCore import QObject

from workbench.domain.profiles import Colour
from workbench.gui.pages.annotate.person_panel import PersonChip, PersonPanel
from workbench.gui.pages.annotate.reach import Reach
from workbench.services.views import ProfileView


class People(QObject):
    """The chip, its menu, and the panel that adds a person."""

    def __init__(self, reach: Reach, parent: QObject) -> None:
        super().__init__(parent)
        self._reach = reach
        self._people: list[ProfileView] = []
        self.now = reach.shell.settings.annotator
        self.chip = PersonChip(reach.shell.theme, self.use, self.ask_name)
        self.panel = PersonPanel(reach.shell.theme, self.add, reach.leave_side)

    def refresh(self) -> None:
        """Look who there is."""
        self._reach.run(self._reach.services.profiles.list, then=self._listed)

    def ask_name(self) -> None:
        """Open the panel that adds a person."""
        self._reach.open_side("person")
        self.panel.open([person.colour for person in self._people])

    def add(self, name: str, colour: Colour) -> None:
        """Add a person, who judges from then on."""
        add = self._reach.services.profiles.add
        self._reach.run(
            add, name, colour, then=lambda view: self.use(view.name), failed=self._reach.refused(self.panel.say)
        )

    def use(self, name: str) -> None:
        """Judge as this person."""
        self._reach.run(self._reach.services.profiles.use, name, then=self._used)

    def _listed(self, people: list[ProfileView]) -> None:
        self._people = people
        self.chip.show_people(people, self.now)

    def _used(self, person: ProfileView) -> None:
        self.now = person.name
        self._reach.shell.settings_changed(self._reach.shell.settings.model_copy(update={"annotator": person.name}))
        self.refresh()
        if self._reach.desk.side.open == "person":
            self._reach.leave_side()
        self._reach.choose(self._reach.place())
