"""From a press on the vote bar to a label in the workspace: what was on screen, with its models, settings and seed."""

from __future__ import annotations

import time
from collections.abc import Sequence

from workbench.domain.judgement import Judgement
from workbench.domain.text import Candidate, Prompt
from workbench.gui.bridge import Bridge
from workbench.gui.pages.playground.vote_bar import VoteBar, ranking_of
from workbench.services.playground import PlaygroundService


class Voting:
    """One vote, or one item to rank, for each round."""

    def __init__(self, service: PlaygroundService, bridge: Bridge, bar: VoteBar) -> None:
        self._service, self._bridge, self.bar = service, bridge, bar
        self._prompt: Prompt | None = None
        self._candidates: Sequence[Candidate] | None = None
        self._kept = False
        self._since = time.perf_counter()
        bar.voted.connect(self.vote)
        bar.sent.connect(self.send)

    def close(self, columns: int) -> None:
        """A new round begins, or the columns have changed: nothing to vote on yet."""
        self._prompt, self._candidates, self._kept = None, None, False
        self._since = time.perf_counter()
        self.bar.offer(columns, False, False)

    def open(self, columns: int, prompt: Prompt, candidates: Sequence[Candidate] | None) -> None:
        """The round has ended with these texts (None when they can't be compared)."""
        self._prompt, self._candidates = prompt, candidates
        self.bar.offer(columns, candidates is not None, self._kept)

    def vote(self, best: int) -> None:
        """Keep the texts as an item with this judgement."""
        if self._candidates is None or self._prompt is None or self._kept:
            return
        dataset, ranking = self.bar.dataset.text(), ranking_of(best, len(self._candidates))
        self._bridge.run(
            self._service.vote, dataset, self._prompt, self._candidates,
            outcome="all_bad" if ranking is None else "ranked", ranking=ranking,
            milliseconds=round(1000 * (time.perf_counter() - self._since)),
            then=lambda judgement: self._voted(judgement, dataset),
        )  # fmt: skip

    def send(self) -> None:
        """Keep the texts as an item to be ranked blind."""
        if self._candidates is None or self._prompt is None or self._kept:
            return
        dataset = self.bar.dataset.text()
        self._bridge.run(
            self._service.send_to_ranking, dataset, self._prompt, self._candidates,
            then=lambda _: self._keep(f"Sent to {dataset}, to be ranked blind."),
        )  # fmt: skip

    def _voted(self, judgement: Judgement, dataset: str) -> None:
        self._keep(f"Vote kept in {dataset}, signed {judgement.annotator}.")

    def _keep(self, words: str) -> None:
        self._kept = True
        self.bar.offer(len(self._candidates or ()), True, True)
        self.bar.told.setText(words)
