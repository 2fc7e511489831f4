"""Who wrote what in the item judged last: asked with the key r, told only after the judgement, also after a restart."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from workbench.gui.bridge import Bridge
from workbench.gui.pages.annotate.desk import Desk
from workbench.gui.pages.annotate.draft import LETTERS
from workbench.services.labelling import LabellingService
from workbench.services.views import Presentation

Told = tuple[Presentation, tuple[str, ...]]


class Reveal:
    """Asks the service and writes the answer below the cards. `current` gives the dataset that is on show by then."""

    def __init__(self, labelling: LabellingService, bridge: Bridge, desk: Desk, current: Callable[[], str]) -> None:
        self._labelling, self._bridge, self._desk, self._current = labelling, bridge, desk, current

    def ask(self) -> None:
        """Tell who wrote the responses of the item judged last."""
        if dataset := self._current():
            self._bridge.run(self._look_back, dataset, then=partial(self._tell, dataset))

    def _look_back(self, dataset: str) -> Told | None:
        judged = self._labelling.last_presentation(dataset)
        return None if judged is None else (judged, self._labelling.reveal(judged))

    def _tell(self, dataset: str, found: Told | None) -> None:
        if dataset != self._current():
            return
        here, label = self._desk.presentation, self._desk.bottom.revealed
        if found is None or (here is not None and here.item.id == found[0].item.id):
            label.setText("Judge an item first: models stay hidden until then.")
            return
        judged, models = found
        names = [f"{LETTERS[place]} {models[candidate]}" for place, candidate in enumerate(judged.shown)]
        label.setText("written by: " + "  ·  ".join(names))
