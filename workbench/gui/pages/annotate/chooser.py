"""The chooser of what is judged: datasets with their queues below them, and the way to a new queue."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from PySide6.QtCore import QSignalBlocker, Qt
from PySide6.QtWidgets import QComboBox

from workbench.services.views import DatasetView, QueueView

Place = tuple[str, str]  # a dataset, and one of its queues or ""
Choose = Callable[[Place], Any]
_NEW = ("", "")


class QueueChooser(QComboBox):
    """Opened with Q; arrows and Enter choose."""

    def __init__(self, choose: Choose, new_queue: Callable[[], Any], leave: Callable[[], Any]) -> None:
        super().__init__()
        self._choose, self._new_queue, self._leave = choose, new_queue, leave
        self._places: list[Place] = []
        self._chosen: Place = _NEW
        self.setObjectName("annotate.queue")
        self.setAccessibleName("Dataset or queue to judge")
        self.setToolTip("What is judged   Q")
        self.setMinimumWidth(160)
        self.setMaximumWidth(320)
        self.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToContents)
        self.activated.connect(self._activated)

    def hidePopup(self) -> None:
        """Whatever was chosen, the keyboard goes back to the item."""
        super().hidePopup()
        self._leave()

    def show_places(self, datasets: Sequence[DatasetView], queues: Sequence[QueueView], chosen: Place) -> None:
        """What can be judged; a closed queue is listed and says so."""
        with QSignalBlocker(self):
            self.clear()
            self._places, self._chosen = [], chosen
            for view in datasets:
                self._add((view.name, ""), view.name, f"{view.judged} of {view.rows} judged")
                for queue in (q for q in queues if q.dataset == view.name):
                    closed = "" if queue.state == "open" else " (closed)"
                    tip = f"{queue.judged:,} of {queue.size:,} judged, {queue.left_for_you:,} left for you"
                    self._add((view.name, queue.name), f"{view.name} › {queue.name}{closed}", tip)
            if datasets:
                self.insertSeparator(self.count())
                self._places.append(_NEW)
                self._add(
                    _NEW, "New queue…", "A queue of its own order, with repeats, known answers, and several people"
                )
            self._show_chosen()

    def _add(self, place: Place, words: str, tip: str) -> None:
        self._places.append(place)
        self.addItem(words)
        self.setItemData(self.count() - 1, tip, Qt.ItemDataRole.ToolTipRole)

    def _show_chosen(self) -> None:
        self.setCurrentIndex(self._places.index(self._chosen) if self._chosen in self._places else -1)

    def _activated(self, index: int) -> None:
        place = self._places[index]
        if place == _NEW:
            self._show_chosen()
            self._new_queue()
        else:
            self._choose(place)
