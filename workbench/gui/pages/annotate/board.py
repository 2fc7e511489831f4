"""The cards side by side or as a grid: scrolled together or apart, compared word by word, dragged onto one another."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from PySide6.QtCore import QEvent, QObject, QPoint, Qt, Signal
from PySide6.QtGui import QMouseEvent
from PySide6.QtWidgets import QApplication, QGridLayout, QWidget

from workbench.domain.judgement import Span
from workbench.gui.pages.annotate.cards import CandidateCard
from workbench.gui.pages.annotate.commenting import Commenting
from workbench.gui.pages.annotate.comparing import Comparison
from workbench.gui.pages.annotate.draft import in_words
from workbench.gui.theme import Theme
from workbench.services.views import Presentation


class CandidateBoard(QWidget):
    """The cards side by side or as a grid. Cards can be dragged onto one another where there are three and more."""

    focus_moved = Signal()
    spans_changed = Signal()
    released = Signal()  # a field or a caret is done with the keyboard

    def __init__(
        self,
        theme: Theme,
        press: Callable[[int], Any],
        repair: Callable[[int], Any],
        dropped: Callable[[int, int, bool], Any],
    ) -> None:
        super().__init__()
        self._theme, self._press, self._repair, self._dropped = theme, press, repair, dropped
        self.cards: list[CandidateCard] = []
        self.focused: int | None = None
        self.together = False
        self._leading = False
        self._comparison = Comparison(theme)
        self._commenting = Commenting(self.spans_changed.emit, self.released.emit)
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setSpacing(12)
        self._held: tuple[int, QPoint] | None = None

    def show_texts(
        self, texts: Sequence[str], *, raw: bool, differences: bool, shown: Sequence[int] | None = None
    ) -> None:
        """Show these candidates from left to right, `shown` being their indices; cards are kept while their number stays."""
        if [card.pane.text for card in self.cards] != list(texts):
            self.set_spans(())  # another item: what was said of the last one isn't about it
        if len(texts) != len(self.cards):
            self._lay_out(len(texts))
        for card, words in zip(self.cards, texts):
            card.pane.show_text(words, raw=raw or differences)
        self.compare(differences)
        self._commenting.watch(self.cards, range(len(texts)) if shown is None else shown)

    @property
    def spans(self) -> tuple[Span, ...]:
        """Comments on parts of the texts, by candidate index and by characters of the text as it was given."""
        return self._commenting.spans

    def set_spans(self, spans: Iterable[Span]) -> None:
        """Begin with these comments, for the item that is shown; `spans_changed` is not emitted."""
        self._commenting.start(spans)

    def comment(self) -> None:
        """Comment on what is selected, or start selecting with the keyboard."""
        self._commenting.begin(self.focused or 0)

    def undo_comment(self) -> bool:
        """Take the last change of a comment back; False when there is none."""
        return self._commenting.undo()

    def redo_comment(self) -> bool:
        """Make that change again; False when there is none."""
        return self._commenting.redo()

    def compare(self, on: bool) -> None:
        """Mark the words in which the others differ from the focused (or else the first) text; with two, in both."""
        self._comparison.show(self.cards, self.focused or 0, on=on)

    def show_earlier(self, presentation: Presentation) -> None:
        """Say on the cards what was said of the item before, where it is judged again."""
        previous = presentation.previous
        words, tier = "", presentation.shown
        if previous is not None:
            by = "" if previous.annotator_kind == "person" else f"by {previous.annotator}, synthetic: "
            words = f"before: {by}{in_words(previous.model_copy(update={'shown': presentation.shown}))}"
            tier = previous.ranking.tiers[0] if previous.ranking is not None else tier
        for card in self.cards:
            card.show_earlier(words if presentation.shown[card.place] in tier else "")

    def move_focus(self, step: int) -> None:
        """Point the keys that read at the next card, or the one before."""
        if self.cards:
            start = -1 if self.focused is None and step > 0 else self.focused or 0
            self.focus_on((start + step) % len(self.cards))

    def focus_on(self, place: int | None) -> None:
        """Point the keys that read at this card, or at none."""
        if place != self.focused:
            self.focused = place
            for card in self.cards:
                card.show_focus(card.place == place)
            if self._comparison.on:
                self.compare(True)
            self.focus_moved.emit()

    @property
    def seen(self) -> bool:
        """Whether the texts have been painted since `forget_seen`; one pass of the window paints all of them."""
        return any(card.pane.painted for card in self.cards)

    def forget_seen(self) -> None:
        """Nobody has seen what is shown from now on."""
        for card in self.cards:
            card.pane.painted = False

    def turn_pages(self, pages: int) -> None:
        """Scroll by this many pages: the focused card, or all; together, the others follow the longest."""
        self._scroll(lambda card: card.pane.turn(pages))

    def turn_lines(self, lines: int) -> None:
        """Scroll by a few lines, like `turn_pages`."""
        self._scroll(lambda card: card.pane.turn(0.12 * lines))

    def _scroll(self, turn: Callable[[CandidateCard], Any]) -> None:
        chosen = [card for card in self.cards if self.focused in {None, card.place}]
        if self.together and self.cards:
            chosen = [max(self.cards, key=lambda card: card.pane.verticalScrollBar().maximum())]
        for card in chosen:
            turn(card)

    def scroll_together(self, on: bool) -> None:
        """From now on all texts show the same share of themselves, or each scrolls alone."""
        self.together = on
        if on and self.cards:
            self._follow(self.cards[self.focused or 0])

    def _follow(self, leader: CandidateCard) -> None:
        """Bring the others to the share of the text that the leader shows."""
        if self._leading or not self.together or not self.isVisible():
            return
        self._leading = True
        bar = leader.pane.verticalScrollBar()
        share = bar.value() / bar.maximum() if bar.maximum() else 0.0
        for card in self.cards:
            other = card.pane.verticalScrollBar()
            if card is not leader and bar.maximum():
                other.setValue(round(share * other.maximum()))
        self._leading = False

    def _lay_out(self, count: int) -> None:
        for card in self.cards:
            self._grid.removeWidget(card)
            card.hide()
            card.deleteLater()
        across = count if count <= 3 else 2 if count == 4 else 3
        self.cards = [
            CandidateCard(place, count == 2, self._theme, self._press, self._repair, self._commenting)
            for place in range(count)
        ]
        self.focused = None
        for place, card in enumerate(self.cards):
            card.pane.verticalScrollBar().valueChanged.connect(lambda _, card=card: self._follow(card))
            self._grid.addWidget(card, place // across, place % across)
            if count > 2:
                card.installEventFilter(self)
                card.setCursor(Qt.CursorShape.OpenHandCursor)
                card.setToolTip("Drag onto another card: it is placed before that one, with Shift level with it.")
        for line in range(3):
            self._grid.setColumnStretch(line, 1 if line < across else 0)
            self._grid.setRowStretch(line, 1 if line < -(-count // across) else 0)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Follow a card that is dragged by its border or heading."""
        if isinstance(watched, CandidateCard) and isinstance(event, QMouseEvent):
            here = watched.mapTo(self, event.position().toPoint())
            if event.type() == QEvent.Type.MouseButtonPress:
                self._held = (watched.place, here)
            elif event.type() == QEvent.Type.MouseButtonRelease and self._held is not None:
                place, start = self._held
                self._held = None
                if (here - start).manhattanLength() >= QApplication.startDragDistance():
                    self._drop(place, here, bool(event.modifiers() & Qt.KeyboardModifier.ShiftModifier))
        return super().eventFilter(watched, event)

    def _drop(self, place: int, here: QPoint, level: bool) -> None:
        for card in self.cards:
            if card.geometry().contains(here) and card.place != place:
                self._dropped(place, card.place, level)
