"""Guidelines of the dataset on show: which version, whether it was read, and writing the next one."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from PySide6.QtCore import QObject

from workbench.domain.queues import Dimension, Guidelines
from workbench.gui.pages.annotate.guide import GuidelinesPane
from workbench.gui.pages.annotate.reach import GUIDELINES, Reach
from workbench.services.views import LabelProgress


class Guiding(QObject):
    """Folds the pane in and out, and marks a version that this annotator hasn't judged by."""

    def __init__(self, reach: Reach, parent: QObject) -> None:
        super().__init__(parent)
        self._reach = reach
        self.pane = GuidelinesPane(reach.shell.theme, self._write, reach.leave_side)
        self._read: dict[str, int] = {}

    def show_for(self, guidelines: Guidelines | None, progress: LabelProgress) -> None:
        """The guidelines that the item on screen is judged by."""
        dataset, _ = self._reach.place()
        last = progress.last
        seen = self._read.get(dataset, 0)
        changed = guidelines is not None and last is not None and last.guideline < guidelines.version
        unread = guidelines is not None and changed and seen < guidelines.version
        self.pane.show_guidelines(guidelines, unread=unread)
        if unread and self._reach.desk.side.open == "guidelines":
            self._mark_read()
        else:
            self._reach.desk.top.show_unread(unread)

    def look(self) -> None:
        """The guidelines of the dataset on show, where no item brings them along."""
        dataset, _ = self._reach.place()
        self._reach.run(self._reach.services.guidelines.get, dataset, then=partial(self._found, dataset))

    def _found(self, dataset: str, guidelines: Guidelines | None) -> None:
        if dataset == self._reach.place()[0] and self._reach.desk.presentation is None:
            self.pane.show_guidelines(guidelines, unread=False)
            self._reach.desk.top.show_unread(False)

    def toggle(self) -> None:
        """Fold them in or out; how it was left is remembered."""
        opened = self._reach.desk.side.open != "guidelines"
        self._reach.shell.remember(GUIDELINES, "yes" if opened else "no")
        self._reach.leave_side()
        if opened:
            self._mark_read()

    def _mark_read(self) -> None:
        """The pane goes on saying that the version is new while its item is on screen; the button's mark goes."""
        if self.pane.guidelines is not None:
            self._read[self._reach.place()[0]] = self.pane.guidelines.version
        self._reach.desk.top.show_unread(False)

    def _write(self, words: str, dimensions: tuple[Dimension, ...]) -> None:
        dataset, _ = self._reach.place()
        write = self._reach.services.guidelines.write
        self._reach.run(write, dataset, words, dimensions, then=partial(self._written, dataset))

    def _written(self, dataset: str, guidelines: Guidelines) -> None:
        if dataset != self._reach.place()[0]:
            return
        desk = self._reach.desk
        self._read[dataset] = guidelines.version
        self.pane.close_editor()
        self.pane.show_guidelines(guidelines, unread=False)
        desk.top.show_unread(False)
        if desk.presentation is not None:  # the item on screen is judged by the new version, with what was said of it
            body = desk.body()
            self._reach.show(replace(desk.presentation, guidelines=guidelines, draft=body))
        self._reach.shell.notify(f"Guidelines: version {guidelines.version} is in force.", "", "good")
