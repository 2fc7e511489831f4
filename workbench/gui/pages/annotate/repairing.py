"""Writing a better response: from nothing it is a demonstration, from a candidate's text also a pair."""

from __future__ import annotations

from functools import partial

from PySide6.QtCore import QObject

from workbench.gui.pages.annotate.draft import LETTERS
from workbench.gui.pages.annotate.reach import Reach


class Repairing(QObject):
    """Opens the writer and keeps what was written."""

    def __init__(self, reach: Reach, parent: QObject) -> None:
        super().__init__(parent)
        self._reach = reach

    def write(self) -> None:
        """The writer, empty or with what was begun."""
        writer = self._reach.desk.write
        if writer.repairs is not None:
            writer.start()
        self._reach.desk.open_panel("write")

    def repair(self, place: int) -> None:
        """The writer with the text of the response at this place; asks which when `place` is below 0."""
        desk = self._reach.desk
        presentation = desk.presentation
        if presentation is None or place >= len(presentation.shown):
            return
        if place < 0:
            desk.open_panel("repair")
            return
        candidate = presentation.shown[place]
        begun = desk.write.written if desk.write.repairs == candidate else ""
        desk.write.start(candidate, presentation.item.candidates[candidate].text, LETTERS[place], begun)
        desk.open_panel("write")

    def save(self, words: str) -> None:
        """Keep it; the item stays, to be judged."""
        desk, services = self._reach.desk, self._reach.services
        presentation, candidate = desk.presentation, desk.write.repairs
        if presentation is None:
            return
        dataset, _ = self._reach.place()
        if candidate is None:
            written = partial(self._saved, presentation.item.id, "Your response is saved as a demonstration.")
            self._reach.run(services.labelling.write_demonstration, dataset, presentation, words, then=written)
            return
        letter = LETTERS[presentation.shown.index(candidate)]
        what = f"Your repair is saved: better than {letter}, and a demonstration."
        repaired = partial(self._saved, presentation.item.id, what)
        self._reach.run(services.repairs.repair, dataset, presentation, candidate, words, then=repaired)

    def _saved(self, item: str, what: str, dataset: str) -> None:
        desk = self._reach.desk
        if desk.presentation is not None and desk.presentation.item.id == item:
            desk.write.start()
            desk.close_panels()
            desk.said()
        self._reach.shell.notify(what, f"It is in the dataset “{dataset}”.", "good")
