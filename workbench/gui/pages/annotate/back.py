"""Looking back: the last judgements in words, an item's revisions, and judging it again."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from PySide6.QtCore import QObject

from workbench.domain.judgement import Judgement
from workbench.gui.pages.annotate.history import KEPT, HistoryPane
from workbench.gui.pages.annotate.reach import Reach
from workbench.services.views import Presentation, Said


class LookingBack(QObject):
    """Opens the list and brings an item back."""

    def __init__(self, reach: Reach, parent: QObject, gold: Callable[[Judgement], Any]) -> None:
        super().__init__(parent)
        self._reach = reach
        self.wanted = ""  # an item that somebody asked for, to show once its dataset is here
        self.pane = HistoryPane(reach.shell.theme, self._look, self._again, gold, reach.leave_side)

    def toggle(self) -> None:
        """Open the list, or go back to the item."""
        if self._reach.desk.side.open == "history":
            self._reach.leave_side()
            return
        dataset, _ = self._reach.place()
        recent = self._reach.services.labelling.recent
        self._reach.run(recent, dataset, KEPT, then=partial(self._listed, dataset))

    def refresh(self) -> None:
        """A judgement was made or taken back while the list is open."""
        if self._reach.desk.side.open == "history":
            dataset, _ = self._reach.place()
            recent = self._reach.services.labelling.recent
            self._reach.run(recent, dataset, KEPT, then=self.pane.show_said)

    def bring(self) -> None:
        """Put the item on the desk that was asked for."""
        item, self.wanted = self.wanted, ""
        if item:
            dataset, _ = self._reach.place()
            self._reach.run(self._reach.services.labelling.bring, dataset, item, then=partial(self._back, dataset))

    def _listed(self, dataset: str, said: list[Said]) -> None:
        if dataset == self._reach.place()[0]:
            self._reach.open_side("history")
            self.pane.show_said(said)
            self.pane.list.setFocus()

    def _look(self, item: str) -> None:
        dataset, _ = self._reach.place()
        shown = partial(self._told, item)
        self._reach.run(self._reach.services.labelling.history, dataset, item, then=shown)

    def _told(self, item: str, said: list[Judgement]) -> None:
        self.pane.show_revisions(item, said)

    def _again(self, item: str) -> None:
        dataset, _ = self._reach.place()
        self._reach.run(self._reach.services.labelling.revise, dataset, item, then=partial(self._back, dataset))

    def _back(self, dataset: str, presentation: Presentation) -> None:
        if dataset == self._reach.place()[0]:
            self._reach.leave_side()
            self._reach.show(presentation)
