"""Repairs: an annotator mends a response; the repaired against the original is a pair, and by itself a demonstration."""

from __future__ import annotations

import hashlib
import json
import uuid
from datetime import UTC, datetime
from string import ascii_uppercase

from workbench.domain.errors import BadInput
from workbench.domain.judgement import Item, Judgement, Ranking
from workbench.domain.text import Candidate
from workbench.services.settings import SettingsService
from workbench.services.views import Presentation
from workbench.services.workspace import Workspace
from workbench.store.repairs import Repair


class RepairService:
    """Keeps what annotators mend beside the dataset that it was shown in."""

    def __init__(self, workspace: Workspace, settings: SettingsService) -> None:
        self._store = workspace.store.repairs
        self._lane = workspace.lane
        self._settings = settings

    def repair(self, dataset: str, presentation: Presentation, candidate: int, text: str) -> str:
        """Keep a mended candidate; returns the name of the dataset of pairs, `<dataset>-repairs`.

        The pair is judged by you (repaired ≻ original), and the repaired response becomes a row of `<dataset>-demonstrations`, both
        or neither. The same repair again changes nothing. BadInput when there is no repair in it.
        """
        offered = presentation.item.candidates
        if not 0 <= candidate < len(offered):
            raise BadInput(f"The item has no candidate {candidate}.", "Choose one that is shown.")
        original = offered[candidate]
        if not text.strip():
            raise BadInput("A repaired response can't be empty.", "Mend the response, or leave it as it is.")
        if text == original.text:
            raise BadInput("The response is as it was.", "Change what is wrong with it, then keep it.")
        item = Item(
            id=_name(presentation.item, original.text, text),
            prompt=presentation.item.prompt,
            candidates=(Candidate(text=text), original),
        )
        judgement = Judgement(
            id=uuid.uuid4().hex, item=item.id, annotator=self._settings.get().annotator, outcome="ranked",
            ranking=Ranking(tiers=((0,), (1,))), note="repaired", shown=(0, 1), shown_seed=0,
            milliseconds=0,  # the pair was never shown, so it says nothing about places or pace
            created=datetime.now(UTC),
        )  # fmt: skip
        facts = {"Repaired from": f"{dataset}, item {presentation.item.id}, response {ascii_uppercase[candidate]}"}
        pairs = f"{dataset}-repairs"
        source = f"repaired while judging {dataset}"
        self._lane.do(self._store.add, Repair(item, judgement, facts), pairs, f"{dataset}-demonstrations", source)
        return pairs


def _name(item: Item, original: str, text: str) -> str:
    """The same repair of the same response is the same item, whoever makes it."""
    parts = [item.id, item.prompt.key(), original, text]
    return hashlib.sha256(json.dumps(parts, ensure_ascii=False).encode()).hexdigest()
