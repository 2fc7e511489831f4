"""What keys, buttons and dragging do to the item on screen, until there is a verdict to commit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from workbench.domain.judgement import SkipReason
from workbench.gui.pages.annotate.crew import Crew
from workbench.gui.pages.annotate.desk import Desk
from workbench.gui.pages.annotate.draft import Verdict
from workbench.gui.pages.annotate.keys import Command
from workbench.gui.pages.annotate.reach import Reach

PANELS = frozenset({"skip", "note", "write", "repair", "gold"})
LOOKS = frozenset({"differences", "turn", "escape"})  # these change nothing that is said


class Hands:
    """`ready` says whether a key acts; `record` commits a verdict; `wanted` is a panel that opens with the next item."""

    def __init__(self, reach: Reach, crew: Crew, ready: Callable[[], bool], record: Callable[[Verdict], Any]) -> None:
        self._reach, self._crew, self._ready, self._record = reach, crew, ready, record
        self.wanted: Command | None = None

    @property
    def desk(self) -> Desk:
        """What is on screen."""
        return self._reach.desk

    def do(self, asked: Command) -> None:
        """A command that needs the item."""
        if self._ready() and self.desk.presentation is not None:
            self.desk.bottom.forget_early()
            self._act(asked)
        elif self.desk.presentation is not None and asked.name in PANELS:
            self.wanted = asked  # opens with the next item, so that what is typed into it is no command
        elif self.desk.presentation is not None and asked.name not in LOOKS | {"escape"}:
            self.desk.bottom.say_early()

    def _act(self, asked: Command) -> None:
        desk = self.desk
        if any(not panel.isHidden() for panel in (desk.skip, desk.repair, desk.gold)):
            self._pick(asked)
        elif asked.name == "differences":
            desk.differences = not desk.differences
            desk.show_texts()
        elif asked.name in PANELS:
            self._open(asked)
        elif asked.name == "turn":
            self.dimension(desk.sheet.here + asked.place)
        elif asked.name == "escape":
            desk.close_panels()
            self._crew.leave_side()
        else:
            self._take(self._verdict(asked))

    def _pick(self, asked: Command) -> None:
        """A digit while the desk asks for a reason to skip, for the response to repair, or for the known answer."""
        if not self.desk.gold.isHidden() and asked.name in {"place", "level", "accept"}:
            self._crew.golds.press(asked)
        elif asked.name == "place" and not self.desk.skip.isHidden():
            self.desk.skip.digit(asked.place)
        elif asked.name == "place" or (asked.name == "repair" and asked.place):
            self._crew.repairing.repair(asked.place - (asked.name == "repair"))
        elif asked.name in PANELS | {"escape"}:
            self.desk.close_panels()

    def _open(self, asked: Command) -> None:
        if asked.name == "write":
            self._crew.repairing.write()
        elif asked.name == "repair":
            self._crew.repairing.repair(asked.place - 1)
        else:
            self.desk.open_panel(asked.name)

    def _verdict(self, asked: Command) -> Verdict | None:
        sheet = self.desk.sheet
        if asked.name == "place":
            return sheet.press(asked.place, much=asked.much)
        if asked.name == "level":
            return sheet.level()
        return sheet.accept() if asked.name == "accept" else sheet.draft.all_bad()

    def _take(self, verdict: Verdict | None) -> None:
        sheet = self.desk.sheet
        if verdict is not None and verdict.ranking is not None and sheet.begun is not None:
            sheet.go(sheet.begun)
            self.desk.bottom.say_unfinished(sheet.dimensions[sheet.here].name)
            verdict = None
        if verdict is None:
            self.desk.show_draft()
            self._crew.said()
        else:
            self._record(verdict)

    def dimension(self, place: int) -> None:
        """Rank by this dimension now."""
        if self._ready() and self.desk.sheet.go(place):
            self.desk.show_draft()

    def skip(self, reason: SkipReason) -> None:
        """Skip the item."""
        self.desk.close_panels()
        self._record(self.desk.draft.skip(reason))

    def drop(self, place: int, onto: int, level: bool) -> None:
        """A card was dragged onto another one."""
        if not self._ready():
            self.desk.bottom.say_early()
            return
        tiers = self.desk.draft.tiers
        target = next((t for t, tier in enumerate(tiers) if onto in tier), len(tiers))
        self.desk.draft.move(place, target, level=level)
        self.desk.show_draft()
        self._crew.said()

    def item_shown(self) -> None:
        """Another item is on screen: open what was asked for while it came."""
        wanted, self.wanted = self.wanted, None
        if wanted is not None and self.desk.presentation is not None:
            self._open(wanted)
