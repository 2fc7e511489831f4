"""The columns beside one another: added, removed, lettered, arranged, masked, and marked where they part."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QHBoxLayout, QScrollArea, QWidget

from workbench.domain.choices import TokenChoice
from workbench.domain.text import Candidate
from workbench.gui.pages.playground.column_card import LETTERS, ColumnCard
from workbench.gui.pages.playground.heat import Mode
from workbench.gui.pages.playground.parting import Partings
from workbench.gui.theme import Theme
from workbench.services.views import Column, ColumnNews


class ColumnsRow(QScrollArea):
    """Up to six columns. It knows no service."""

    changed = Signal()
    numbered = Signal()
    settings_wanted = Signal(int)
    token_opened = Signal(int, int)
    looked = Signal(int)
    told = Signal(object)

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._theme = theme
        self.setObjectName("playground.columns")
        self.setWidgetResizable(True)
        self.cards: list[ColumnCard] = []
        self.models: list[str] = []
        self.linked = False
        self.mode: Mode = "text"
        self._partings = Partings()
        self._homes: list[ColumnCard] = []  # the cards as a person has put them, whatever order a blind round shows
        inner = QWidget()
        self._row = QHBoxLayout(inner)
        self._row.setContentsMargins(0, 0, 0, 0)
        self._row.setSpacing(12)
        self.setWidget(inner)

    @property
    def full(self) -> bool:
        """Whether there is no letter left."""
        return len(self.cards) >= len(LETTERS)

    @property
    def done(self) -> bool:
        """Whether all have ended."""
        return all(card.done for card in self.cards)

    @property
    def masked(self) -> bool:
        """Whether it is hidden who speaks."""
        return any(card.masked for card in self.cards)

    def columns(self, seed: int) -> list[Column]:
        """What would speak, with one seed for all."""
        chosen = [card.column for card in self.cards]
        return [Column(c.model, c.settings.model_copy(update={"seed": seed})) for c in chosen]

    def chosen(self) -> list[Column]:
        """What a person has chosen, in the order in which they put it, to the letter."""
        return [card.column for card in self._homes]

    def set_models(self, models: Sequence[str]) -> None:
        """The models that columns can choose from."""
        self.models = list(models)
        for card in self.cards:
            card.head.set_models(models)

    def set_columns(self, columns: Sequence[Column]) -> None:
        """Replace all columns; a model that is gone is replaced by the first there is."""
        for card in self.cards:
            self._drop(card)
        self.cards, self._homes = [], []
        for column in columns[: len(LETTERS)]:
            self._add(column)
        self._renumber()
        self.numbered.emit()

    def add(self, column: Column, *, quietly: bool = False) -> None:
        """One more at the right, if there is room; `quietly` when what the others said goes on to count."""
        if not self.full:
            self._add(column)
            self._renumber()
            if not quietly:
                self.numbered.emit()

    def link(self, linked: bool) -> None:
        """Whether all columns have the settings of the one that was changed last; linking starts with the first column's."""
        self.linked = linked
        if linked and self.cards:
            self._edited(self.cards[0])

    def set_mode(self, mode: Mode) -> None:
        """Text, or tokens as heat."""
        self.mode = mode
        for card in self.cards:
            card.set_mode(mode)

    def lock(self, locked: bool) -> None:
        """While columns speak none can be removed."""
        for card in self.cards:
            card.head.lock(locked)

    def begin(self, places: Sequence[int] | None = None) -> None:
        """All wait for their first news, or these go on behind what they have said."""
        self._partings = Partings()
        for place, card in enumerate(self.cards):
            if places is None:
                card.begin()
            elif place in places:
                card.begin(card.tokens)

    def branch(self, place: int, kept: Sequence[TokenChoice], token: int) -> None:
        """A column waits behind these tokens, with `token` in the place of the last."""
        self._partings = Partings()
        self.cards[place].begin(kept, token)

    def unfinished(self) -> list[int]:
        """The columns that could go on."""
        return [place for place, card in enumerate(self.cards) if card.unfinished]

    def arrange(self, order: Sequence[int]) -> None:
        """Show at place p the column that a person has put at `order[p]`."""
        self.cards = [self._homes[home] for home in order]
        for place, card in enumerate(self.cards):
            self._row.removeWidget(card)
            self._row.insertWidget(place, card, 1)
        self._renumber()

    def conceal(self) -> None:
        """Hide who speaks, until `disclose`."""
        for card in self.cards:
            card.conceal()

    def disclose(self) -> None:
        """Show who spoke."""
        for card in self.cards:
            card.disclose()
        self.look()

    def reset(self) -> None:
        """Forget all texts."""
        for card in self.cards:
            card.reset()

    def take(self, news: Sequence[ColumnNews]) -> None:
        """One frame's news."""
        masked = self.masked
        for one in news:
            if one.column < len(self.cards):
                self.cards[one.column].take(one)
                if not masked:
                    self.told.emit(one)
        for card in self.cards:
            card.tick()
        if news and not masked:
            self.look()
        elif news and self.done:
            for card in self.cards:
                card.show_plain()

    def candidates(self, asked: Sequence[Column], order: Sequence[int]) -> list[Candidate] | None:
        """The texts as candidates with model, settings and seed, in the order in which a person had put the columns.

        None unless at least two columns all ended with a text. `asked` and `order` speak of places on the screen.
        """
        found: dict[int, Candidate] = {}
        for home, card, column in zip(order, self.cards, asked, strict=True):
            if card.news is None or card.news.error_what or not card.news.completion:
                return None
            seed = column.settings.seed
            said = Candidate(text=card.news.completion, model=column.model, settings=column.settings, seed=seed)
            found[home] = said
        return [found[home] for home in sorted(found)] if len(found) >= 2 else None

    def dress(self) -> None:
        """The theme has changed."""
        for card in self.cards:
            card.dress()

    def look(self) -> None:
        """Mark where columns part."""
        places = self._partings.look([c.said for c in self.cards], [c.done and not c.failed for c in self.cards])
        for card, place in zip(self.cards, places, strict=True):
            card.view.set_mark(place)

    def _add(self, column: Column) -> None:
        card = ColumnCard(self._theme, self.models, column)
        card.head.settings_wanted.connect(lambda: self.settings_wanted.emit(self.cards.index(card)))
        card.head.looked.connect(lambda: self.looked.emit(self.cards.index(card)))
        card.head.removed.connect(partial(self._remove, card))
        card.head.changed.connect(lambda: self._edited(card))
        card.token_opened.connect(lambda token: self.token_opened.emit(self.cards.index(card), token))
        card.set_mode(self.mode)
        self.cards.append(card)
        self._homes.append(card)
        self._row.addWidget(card, 1)

    def _edited(self, card: ColumnCard) -> None:
        if self.linked:
            for other in self.cards:
                if other is not card:
                    other.head.set_settings(card.column.settings, quietly=True)
        self.changed.emit()

    def _remove(self, card: ColumnCard) -> None:
        self.cards.remove(card)
        self._homes.remove(card)
        self._drop(card)
        self._partings = Partings()
        self._renumber()
        self.numbered.emit()

    def _drop(self, card: ColumnCard) -> None:
        self._row.removeWidget(card)
        card.setParent(None)
        card.head.deleteLater()  # in a masked column it has no parent that would take it along
        card.deleteLater()

    def _renumber(self) -> None:
        for place, card in enumerate(self.cards):
            card.set_place(place, len(self.cards) > 1)
