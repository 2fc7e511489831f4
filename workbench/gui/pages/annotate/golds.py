"""Gold items: saying the known answer of one, looking through them, taking one away; each can be taken back."""

from __future__ import annotations

from functools import partial

from PySide6.QtCore import QObject

from workbench.domain.judgement import Judgement, Ranking
from workbench.gui.pages.annotate.draft import tiers_in_words
from workbench.gui.pages.annotate.gold_pane import GoldPane
from workbench.gui.pages.annotate.keys import Command
from workbench.gui.pages.annotate.reach import Reach
from workbench.services.views import KnownAnswer
from workbench.services.workbench import Workbench


class Golds(QObject):
    """What it tells is the same whether an answer was known before or not."""

    def __init__(self, reach: Reach, parent: QObject) -> None:
        super().__init__(parent)
        self._reach = reach
        self.pane = GoldPane(reach.shell.theme, self._clear, reach.leave_side)

    def press(self, asked: Command) -> None:
        """A key while the desk asks for the known answer."""
        desk = self._reach.desk
        here = desk.presentation
        answer = desk.gold.press(asked)
        desk.show_draft()
        if here is not None and answer is not None:
            desk.close_panels()
            self._set(here.item.id, answer, tiers_in_words(here.shown, answer))

    def keep(self, judgement: Judgement) -> None:
        """Make what was judged the item's known answer."""
        if judgement.ranking is None:
            self._reach.shell.notify("Only a ranking can be a known answer.", "Judge the item again first.", "info")
            return
        self._set(judgement.item, judgement.ranking, tiers_in_words(judgement.shown, judgement.ranking))

    def toggle(self) -> None:
        """Open the list of known answers, or go back to the item."""
        if self._reach.desk.side.open == "golds":
            self._reach.leave_side()
            return
        dataset, _ = self._reach.place()
        known = self._reach.services.queues.known_answers
        self._reach.run(known, dataset, then=partial(self._listed, dataset))

    def _listed(self, dataset: str, known: list[KnownAnswer]) -> None:
        if dataset == self._reach.place()[0]:
            self._reach.open_side("golds")
            self.pane.open(known)

    def _set(self, item: str, answer: Ranking, words: str) -> None:
        dataset, _ = self._reach.place()
        kept = partial(self._kept, dataset, item, words)
        self._reach.run(self._reach.services.queues.set_gold, dataset, item, answer, then=kept)

    def _kept(self, dataset: str, item: str, words: str, before: Ranking | None) -> None:
        back = ("Take it back", partial(self._put_back, dataset, item, before))
        hint = "Queues with a share of gold items ask it among the others."
        self._reach.shell.notify(f"The known answer is {words}.", hint, "good", back)
        self._refresh(dataset)

    def _clear(self, known: KnownAnswer) -> None:
        dataset, _ = self._reach.place()
        cleared = partial(self._cleared, dataset, known.item)
        self._reach.run(self._reach.services.queues.clear_gold, dataset, known.item, then=cleared)

    def _cleared(self, dataset: str, item: str, before: Ranking) -> None:
        back = ("Take it back", partial(self._put_back, dataset, item, before))
        self._reach.shell.notify("The known answer is forgotten.", "The item is asked like any other.", "info", back)
        self._refresh(dataset)

    def _put_back(self, dataset: str, item: str, before: Ranking | None) -> None:
        done = partial(self._restored, dataset)
        self._reach.run(put_back, self._reach.services, dataset, item, before, then=done)

    def _restored(self, dataset: str, _answer: None) -> None:
        self._reach.shell.notify("That is taken back.", "", "info")
        self._refresh(dataset)

    def _refresh(self, dataset: str) -> None:
        if self._reach.desk.side.open == "golds" and dataset == self._reach.place()[0]:
            self._reach.run(self._reach.services.queues.known_answers, dataset, then=self.pane.show_known)


def put_back(services: Workbench, dataset: str, item: str, before: Ranking | None) -> None:
    """Let an item's known answer be what it was, or none."""
    if before is not None:
        services.queues.set_gold(dataset, item, before)
    else:
        services.queues.clear_gold(dataset, item)
