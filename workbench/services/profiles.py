"""Profiles: several people at one machine, each with a name that signs their judgements and a colour."""

from __future__ import annotations

import builtins
from datetime import UTC, datetime

from workbench.domain.errors import BadInput, NotFound
from workbench.domain.profiles import COLOURS, Colour, Profile, free_colour
from workbench.services.settings import SettingsService
from workbench.services.views import ProfileView
from workbench.services.workspace import Workspace

LONGEST = 80


class ProfileService:
    """Who judges here, and who does now: the one whom the settings name as annotator."""

    def __init__(self, workspace: Workspace, settings: SettingsService) -> None:
        self._store = workspace.store.profiles
        self._lane = workspace.lane
        self._settings = settings

    def list(self) -> builtins.list[ProfileView]:
        """Every profile, oldest first; the present annotator is among them, with a profile or without."""
        found = [ProfileView(p.name, p.colour, judged) for p, judged in self._lane.do(self._store.list)]
        me = self._settings.get().annotator
        if all(view.name != me for view in found):
            judged = self._lane.do(self._store.judged, me)
            found.append(ProfileView(me, free_colour([view.colour for view in found]), judged))
        return found

    def current(self) -> ProfileView:
        """Whoever judges now."""
        me = self._settings.get().annotator
        return next(view for view in self.list() if view.name == me)

    def add(self, name: str, colour: Colour | None = None) -> ProfileView:
        """Make a profile, with the first free colour unless one is given; Conflict when the name is a judge's or taken."""
        name = name.strip()
        if not name or len(name) > LONGEST or not name.isprintable():
            raise BadInput(f"A profile needs a name of at most {LONGEST} characters.", "Give it a short name.")
        if colour is not None and colour not in COLOURS:
            raise BadInput(f"There is no colour {colour!r}.", f"Colours are: {', '.join(COLOURS)}.")
        self._settings.refuse_judges_name(name)
        chosen = colour or free_colour([p.colour for p, _ in self._lane.do(self._store.list)])
        self._lane.do(self._store.add, Profile(name=name, colour=chosen, created=datetime.now(UTC)))
        return ProfileView(name, chosen, self._lane.do(self._store.judged, name))

    def use(self, name: str) -> ProfileView:
        """Judge as this person from now on; NotFound when there is no such profile.

        Whoever judged before without a profile gets one, so that they find their way back.
        """
        me, views = self._settings.get().annotator, self.list()
        kept = {profile.name for profile, _ in self._lane.do(self._store.list)}
        for view in views:
            if view.name == name:
                if me not in kept and name != me:
                    before = next(other for other in views if other.name == me)
                    self._lane.do(self._store.add, Profile(name=me, colour=before.colour, created=datetime.now(UTC)))
                self._settings.change(annotator=name)
                return view
        raise NotFound(f"There is no profile called {name!r}.", "Add it first.")
