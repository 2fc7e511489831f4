"""What is told on request only: who wrote what in the item judged last, and what others said of an item that is to be settled."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from workbench.domain.judgement import Judgement
from workbench.gui.bridge import Bridge
from workbench.gui.pages.annotate.desk import Desk
from workbench.gui.pages.annotate.draft import LETTERS, in_words
from workbench.services.labelling import LabellingService
from workbench.services.queues import QueueService
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
        here, tell = self._desk.presentation, self._desk.bottom.tell
        if found is None or (here is not None and here.item.id == found[0].item.id):
            tell("Judge an item first: models stay hidden until then.")
            return
        judged, models = found
        names = [f"{LETTERS[place]} {models[candidate]}" for place, candidate in enumerate(judged.shown)]
        tell("written by: " + "  ·  ".join(names))


class Voices:
    """Who settles a disagreement may read what it is, after thinking for themselves; in any other queue others stay unheard."""

    def __init__(self, queues: QueueService, bridge: Bridge, desk: Desk, current: Callable[[], str]) -> None:
        self._queues, self._bridge, self._desk, self._current = queues, bridge, desk, current

    def ask(self) -> None:
        """Tell what others said of the item on screen, if it is one to settle."""
        here = self._desk.presentation
        if here is None or here.purpose != "adjudication":
            words = "What others say stays unheard, but in a queue of disagreements."
            self._desk.bottom.tell(words if here is not None else "")
            return
        told = partial(self._tell, here)
        self._bridge.run(self._queues.voices, self._current(), here.item.id, then=told)

    def _tell(self, here: Presentation, said: list[Judgement]) -> None:
        if self._desk.presentation is here:
            voices = [f"{j.annotator}: {as_shown(j, here)}{f' – {j.note}' if j.note else ''}" for j in said]
            self._desk.bottom.tell("  ·  ".join(voices) or "Nobody else has said anything.")


def as_shown(judgement: Judgement, here: Presentation) -> str:
    """Somebody's judgement in the letters that stand over the cards now."""
    return in_words(judgement.model_copy(update={"shown": here.shown}))
