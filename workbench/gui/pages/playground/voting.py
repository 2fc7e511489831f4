"""From a press on the vote bar to a label in the workspace: what was on screen, with models, settings, seeds and the order shown."""

from __future__ import annotations

import time

from PySide6.QtCore import QObject

from workbench.domain.judgement import Judgement
from workbench.gui.bridge import Bridge
from workbench.gui.pages.playground.round import Asked, Round
from workbench.gui.pages.playground.vote_bar import VoteBar, ranking_of
from workbench.services.playground import PlaygroundService


class Voting(QObject):
    """One vote, or one item to rank, for each round. A vote on a blind round reveals it."""

    def __init__(self, service: PlaygroundService, bridge: Bridge, bar: VoteBar, round: Round) -> None:
        super().__init__()
        self._service, self._bridge, self.bar, self._round = service, bridge, bar, round
        self._kept = False
        self._since = time.perf_counter()
        bar.voted.connect(self.vote)
        bar.sent.connect(self.send)
        bar.revealed.connect(self.reveal)

    def close(self, columns: int) -> None:
        """A new round begins, or the columns have changed: nothing to vote on yet."""
        self._kept = False
        self._since = time.perf_counter()
        self.bar.offer(columns, ready=False, kept=False, blind=self._round.blind)

    def open(self, columns: int) -> None:
        """The round has ended."""
        ready = self._round.candidates() is not None
        self.bar.offer(columns, ready=ready, kept=self._kept, blind=self._round.blind, ended=True)

    def vote(self, best: int) -> None:
        """Keep the texts as an item with this judgement; `best` is a place on the screen."""
        asked, candidates = self._round.asked, self._round.candidates()
        if asked is None or candidates is None or self._kept:
            return
        self._kept = True  # one vote a round, however fast somebody presses
        dataset, ranking = self.bar.dataset.text(), ranking_of(best, asked.order)
        blind = self._round.blind
        self._bridge.run(
            self._service.vote, dataset, asked.prompt, candidates,
            outcome="all_bad" if ranking is None else "ranked", ranking=ranking,
            milliseconds=round(1000 * (time.perf_counter() - self._since)),
            shown=asked.order, shown_seed=asked.order_seed or 0, blind=blind,
            then=lambda judgement: self._voted(judgement, dataset, asked), failed=self._failed,
        )  # fmt: skip

    def send(self) -> None:
        """Keep the texts as an item to be ranked blind."""
        asked, candidates = self._round.asked, self._round.candidates()
        if asked is None or candidates is None or self._kept:
            return
        self._kept = True
        dataset = self.bar.dataset.text()
        self._bridge.run(
            self._service.send_to_ranking, dataset, asked.prompt, candidates,
            then=lambda _: self._keep(f"Sent to {dataset}, to be ranked blind."), failed=self._failed,
        )  # fmt: skip

    def reveal(self) -> None:
        """Show who spoke without a vote; a vote after this is one with models in sight."""
        self._round.reveal()
        self.open(len(self.bar.best) if self._round.asked is None else len(self._round.asked.columns))

    def _voted(self, judgement: Judgement, dataset: str, asked: Asked) -> None:
        if self._round.asked is asked:
            self._round.reveal()
            self._keep(f"Vote kept in {dataset}, signed {judgement.annotator}.")

    def _failed(self, error: Exception) -> None:
        self._kept = False
        self._bridge.report(error)  # type: ignore[arg-type]

    def _keep(self, words: str) -> None:
        asked = self._round.asked
        self.bar.offer(len(asked.columns) if asked else 0, ready=True, kept=True, blind=self._round.blind)
        self.bar.told.setText(words)
