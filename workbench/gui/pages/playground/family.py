"""One family of models on one prompt in one click: base, SFT, PPO, DPO side by side, then all over one text."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from PySide6.QtCore import QObject

from workbench.domain.runs import ModelRef
from workbench.gui.bridge import Bridge
from workbench.gui.pages.playground.column_card import LETTERS
from workbench.gui.pages.playground.columns_row import ColumnsRow
from workbench.gui.pages.playground.lab import Lab
from workbench.gui.pages.playground.round import Round
from workbench.gui.shell import Shell
from workbench.services.models import ModelsService
from workbench.services.views import Column

KINDS = ("base", "pretrain", "sft", "weighted", "dpo", "ppo", "grpo")


class Family(QObject):
    """Puts a family into the columns, lets it speak, and opens the comparison when it has."""

    def __init__(
        self, models: ModelsService, bridge: Bridge, shell: Shell, round: Round, row: ColumnsRow, lab: Lab
    ) -> None:
        super().__init__()
        self._models, self._bridge, self._shell = models, bridge, shell
        self._round, self._row, self._lab = round, row, lab
        self._waiting = ""
        round.ended.connect(self._ended)

    def play(self, start: Callable[[], Any]) -> None:
        """The family of the first column's model answers the prompt with that column's settings."""
        if self._row.cards and not self._round.running and not self._row.masked:
            first = self._row.chosen()[0]
            self._bridge.run(self._models.family, first.model, then=lambda found: self._put(first, found, start))

    def compare(self) -> None:
        """The models of the columns over the last column's text."""
        if self._row.cards and not self._round.running:
            self._lab.open_aligned(len(self._row.cards) - 1)

    def _put(self, first: Column, found: Sequence[ModelRef], start: Callable[[], Any]) -> None:
        chosen = chosen_of(found)
        if len(chosen) < 2:
            self._shell.notify(
                f"{first.model} has no relatives here.", "Train something from it, or choose another model."
            )
            return
        self._row.set_columns([Column(model.name, first.settings) for model in chosen])
        start()
        self._waiting = self._round.asked.id if self._round.asked is not None and self._round.running else ""

    def _ended(self) -> None:
        asked = self._round.asked
        if asked is not None and asked.id == self._waiting and not self._row.masked:
            self.compare()
        self._waiting = ""


def chosen_of(found: Sequence[ModelRef]) -> list[ModelRef]:
    """At most six of a family: the newest of each kind in the order in which they are made; what is left over is the newest rest."""
    newest = {model.kind: model for model in found}
    chosen = [newest[kind] for kind in KINDS if kind in newest][: len(LETTERS)]
    rest = [model for model in reversed(found) if model not in chosen]
    return chosen + rest[: len(LETTERS) - len(chosen)] if len(chosen) < 2 else chosen
