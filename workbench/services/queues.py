"""Queues of items: who is asked what, in which order, by how many; and items whose answer is known."""

from __future__ import annotations

import builtins
from collections.abc import Iterator
from typing import Literal

from workbench.domain.judgement import Judgement, Ranking
from workbench.domain.queues import QueueSpec
from workbench.services.datasets import checked_name
from workbench.services.settings import SettingsService
from workbench.services.views import KnownAnswer, Presentation, QueueView
from workbench.services.workspace import Workspace
from workbench.store.queues import QueueFigures


class QueueService:
    """The queues of a workspace, as the annotator named in the settings sees them."""

    def __init__(self, workspace: Workspace, settings: SettingsService) -> None:
        self._store = workspace.store
        self._queues = workspace.store.queues
        self._lane = workspace.lane
        self._settings = settings

    def list(self, dataset: str = "") -> builtins.list[QueueView]:
        """Every queue (over a dataset), oldest first."""
        found = self._lane.do(self._queues.list, self._me, dataset)
        return [_view(figures) for figures in found]

    def get(self, name: str) -> QueueView:
        """One queue; NotFound."""
        return _view(self._lane.do(self._queues.get, name, self._me))

    def create(self, spec: QueueSpec) -> QueueView:
        """Make a queue; labels go on while its items are put in order."""
        checked_name(spec.name)
        self._walk(self._queues.making(spec))
        return self.get(spec.name)

    def refresh(self, name: str) -> QueueView:
        """Order again what nobody has answered (after new scores, labels or models); labels go on meanwhile."""
        self._walk(self._queues.ordering(name))
        return self.get(name)

    def close(self, name: str) -> None:
        """Ask nothing more in a queue; what was said in it stays."""
        self._lane.do(self._queues.set_open, name, False)

    def reopen(self, name: str) -> None:
        """Go on asking in a queue that was closed."""
        self._lane.do(self._queues.set_open, name, True)

    def delete(self, name: str) -> None:
        """Take a queue away; what was said in it stays."""
        self._lane.do(self._queues.delete, name)

    def renew(self, presentation: Presentation) -> bool:
        """Keep the item on screen from others for longer; False when it isn't kept any more."""
        if not presentation.queue:
            return True
        return self._lane.do(self._queues.renew, presentation.queue, presentation.item.id, self._me)

    def leave(self, presentation: Presentation) -> None:
        """Let others have the item on screen, when it isn't looked at any more."""
        if presentation.queue:
            self._lane.do(self._queues.leave, presentation.queue, self._me)

    def resume(self, presentation: Presentation) -> bool:
        """Keep an item on screen from others again that was left; False when others have or look at all that it needs."""
        if not presentation.queue or presentation.purpose == "repeat":
            return True
        return self._lane.do(self._queues.resume, presentation.queue, presentation.item.id, self._me)

    def voices(self, dataset: str, item: str) -> builtins.list[Judgement]:
        """What others say of an item by now, for whoever settles it."""
        return [j for j in self._lane.do(self._store.labels.for_item, item, dataset) if j.annotator != self._me]

    def set_gold(self, dataset: str, item: str, ranking: Ranking) -> Ranking | None:
        """Say what an item's answer is; returns what it was before. Queues with a share of gold items mix it in."""
        return self._lane.do(self._store.golds.set, dataset, item, ranking, self._me)

    def clear_gold(self, dataset: str, item: str) -> Ranking:
        """Forget an item's answer, and return it; NotFound when it has none."""
        return self._lane.do(self._store.golds.clear, dataset, item)

    def known_answers(self, dataset: str) -> builtins.list[KnownAnswer]:
        """The known answers of a dataset to read, each with whether you have judged its item."""
        return [KnownAnswer(*known) for known in self._lane.do(self._store.golds.known, dataset, self._me)]

    def golds(self, dataset: str) -> dict[str, Ranking]:
        """The known answers of a dataset, by item."""
        return self._lane.do(self._store.golds.all, dataset)

    def _walk(self, steps: Iterator[int]) -> None:
        """Take each step on its own, so that a label need not wait for all of them."""
        while self._lane.do(next, steps, None) is not None:
            pass

    @property
    def _me(self) -> str:
        return self._settings.get().annotator


def _view(figures: QueueFigures) -> QueueView:
    record = figures.record
    state: Literal["open", "closed"] = "open" if record.state == "open" else "closed"
    return QueueView(
        record.name, figures.dataset, record.spec, figures.size, record.full, figures.left, state, record.created
    )
