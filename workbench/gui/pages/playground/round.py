"""One round: every column is asked, what the decoder says is brought once a frame, and the end is told.

A blind round shuffles the columns by a seed that is kept with the vote, and hides who speaks until the vote or `reveal`.
"""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial

from PySide6.QtCore import QObject, QTimer, Signal

from workbench.domain.errors import WorkbenchError
from workbench.domain.text import Candidate, Prompt
from workbench.gui.bridge import Bridge
from workbench.gui.pages.playground.branching import ids_of, with_room
from workbench.gui.pages.playground.columns_row import ColumnsRow
from workbench.services.labelling import SEED_BITS, order_shown
from workbench.services.playground import PlaygroundService
from workbench.services.views import Column, ColumnNews

FRAME = 16  # milliseconds between two looks at what the decoder said


@dataclass(frozen=True)
class Asked:
    """What a round asked. `columns` and `order` go by places on the screen: at place p stands what a person had put at `order[p]`.

    `order_seed` is what the order was drawn from; None when models and settings were in sight. Going on and branching keep the `id`.
    """

    prompt: Prompt
    columns: tuple[Column, ...]
    order: tuple[int, ...]
    order_seed: int | None = None
    prefill: str = ""
    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    created: datetime = field(default_factory=lambda: datetime.now(UTC))


class Round(QObject):
    """Runs a round over the row of columns; `asked` is None when there is nothing on the page to speak of."""

    running_changed = Signal(bool)
    refused = Signal(object)
    ended = Signal()

    def __init__(self, service: PlaygroundService, bridge: Bridge, row: ColumnsRow) -> None:
        super().__init__()
        self._service, self._bridge, self._row = service, bridge, row
        self.asked: Asked | None = None
        self.running = False
        self._in_sight = True
        self._timer = QTimer(self)
        self._timer.setInterval(FRAME)
        self._timer.timeout.connect(self._look)

    @property
    def blind(self) -> bool:
        """Whether it is still hidden who speaks."""
        return self._row.masked

    def start(self, prompt: Prompt, seed: int, *, blind: bool, prefill: str = "") -> None:
        """Ask all columns; what was under way ends."""
        self._row.disclose()
        order_seed = secrets.randbits(SEED_BITS) if blind else None
        places = len(self._row.cards)
        order = tuple(range(places)) if order_seed is None else order_shown(places, order_seed)
        self._row.arrange(order)
        self.asked = Asked(prompt, tuple(self._row.columns(seed)), order, order_seed, prefill)
        if blind:
            self._row.conceal()
        self._row.begin()
        self._ask(self.asked, range(places), [()] * places)

    def go_on(self) -> None:
        """Let columns that were stopped, failed or reached their limit go on; with the same seed nothing shows the seam."""
        places = self._row.unfinished()
        if self.running or self.asked is None or not places:
            return
        cards = [self._row.cards[place] for place in places]
        columns = list(self.asked.columns)
        for place, card in zip(places, cards, strict=True):
            reached = card.news is not None and card.news.reason == "length"
            settings = with_room(columns[place].settings, len(card.tokens), reached)
            columns[place] = Column(columns[place].model, settings)
        starts = [ids_of(card.tokens) for card in cards]
        self.asked = replace(self.asked, columns=tuple(columns))
        self._row.begin(places)
        self._ask(self.asked, places, starts)

    def branch(self, place: int, position: int, token: int, *, new: bool) -> None:
        """Go on from a token's place with another token, in a new column at the right or in the same one."""
        if self.running or self.asked is None or self.blind or (new and self._row.full):
            return
        kept = self._row.cards[place].tokens[: position + 1]
        column = self.asked.columns[place]
        column = Column(column.model, with_room(column.settings, len(kept), False))
        columns, order, goal = list(self.asked.columns), self.asked.order, place
        if new:
            goal = len(columns)
            self._row.add(self._row.cards[place].column, quietly=True)
            columns.append(column)
            order = (*order, goal)
        columns[goal] = column
        self.asked = replace(self.asked, columns=tuple(columns), order=order)
        self._row.branch(goal, kept, token)
        self._ask(self.asked, [goal], [(*ids_of(kept[:-1]), token)])

    def stop(self) -> None:
        """End every column before its next token."""
        if self.running:
            self._bridge.run(self._service.stop)

    def reveal(self) -> None:
        """Show who spoke."""
        self._row.disclose()

    def show(self, asked: Asked, news: Sequence[ColumnNews]) -> None:
        """Show a round that was kept; nothing may be under way."""
        self._row.disclose()
        self._row.set_models(list(dict.fromkeys([*self._row.models, *(column.model for column in asked.columns)])))
        self._row.set_columns(asked.columns)
        self.asked = asked
        self._row.begin()
        self._row.take(news)
        self._set_running(False)

    def drop(self) -> None:
        """The columns are others now: end what is under way and forget it."""
        self.stop()
        self.asked = None

    def candidates(self) -> Sequence[Candidate] | None:
        """The texts to judge, in the order in which a person had put the columns; None when they can't be compared."""
        if self.asked is None or self.running:
            return None
        return self._row.candidates(self.asked.columns, self.asked.order)

    def in_sight(self, visible: bool) -> None:
        """Nothing is drawn out of sight; what the decoder says waits."""
        self._in_sight = visible
        if visible and self.running:
            self._timer.start()
        elif not visible:
            self._timer.stop()

    def _ask(self, asked: Asked, places: Sequence[int], starts: Sequence[tuple[int, ...]]) -> None:
        self._set_running(True)
        columns = [replace(asked.columns[place], start=start) for place, start in zip(places, starts, strict=True)]
        self._bridge.run(
            self._service.start, asked.prompt, columns, prefill=asked.prefill, places=tuple(places),
            then=lambda _: self._began(), failed=partial(self._refuse, tuple(places)),
        )  # fmt: skip

    def _began(self) -> None:
        if self._in_sight:
            self._timer.start()

    def _refuse(self, places: Sequence[int], error: WorkbenchError) -> None:
        """Nothing was begun; what columns had said before stays."""
        told = [ColumnNews(place, done=True, error_what=error.what, error_hint=error.hint) for place in places]
        self._row.take(told)
        self._set_running(False)
        self.refused.emit(error)

    def _look(self) -> None:
        """One frame: everything that came since the last."""
        self._row.take(self._service.poll() if self.asked is not None else [])
        if self._row.done or self.asked is None:
            self._set_running(False)
            if self.asked is not None:
                self.ended.emit()

    def _set_running(self, running: bool) -> None:
        self.running = running
        if not running:
            self._timer.stop()
        self._row.lock(running)
        self.running_changed.emit(running)
