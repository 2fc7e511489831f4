"""Word differences on the cards: of two with each other, of three and more with one of them."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtGui import QColor, QTextCharFormat

from workbench.analysis.words import Span, word_differences
from workbench.gui.pages.annotate.cards import CandidateCard
from workbench.gui.pages.annotate.draft import LETTERS
from workbench.gui.theme import Theme
from workbench.gui.widgets.unseen import visible
from workbench.gui.widgets.words import count

_Line = QTextCharFormat.UnderlineStyle


class Comparison:
    """Marks differing words in raw texts. Colour never stands alone: one side is underlined, the other one dotted."""

    def __init__(self, theme: Theme) -> None:
        self.on = False
        self._theme = theme
        self._known: dict[tuple[str, str], tuple[list[Span], list[Span]]] = {}

    def show(self, cards: Sequence[CandidateCard], measure: int, *, on: bool) -> None:
        """Mark what differs from the card at `measure`, or take all marks off."""
        if not on and not self.on:
            return
        self.on = on
        measure = min(measure, len(cards) - 1)
        texts = [visible(card.pane.text) for card in cards] if on else []
        pairs = {
            place: self._differences(texts[measure], words) for place, words in enumerate(texts) if place != measure
        }
        self._known = {(texts[measure], texts[place]): found for place, found in pairs.items()}
        for card in cards:
            if not on:
                self._mark(card, [], first=True)
                card.show_compared("")
            elif card.place == measure:
                two = len(cards) == 2
                spans = pairs[1 - measure][0] if two else []
                self._mark(card, spans, first=True)
                card.show_compared(count(len(spans), "difference") if two else "the measure")
            else:
                spans = pairs[card.place][1]
                self._mark(card, spans, first=False)
                card.show_compared(f"{count(len(spans), 'difference')} from {LETTERS[measure]}")

    def _differences(self, left: str, right: str) -> tuple[list[Span], list[Span]]:
        return self._known.get((left, right)) or word_differences(left, right)

    def _mark(self, card: CandidateCard, spans: Sequence[Span], *, first: bool) -> None:
        colour = QColor(self._theme.colours.chosen if first else self._theme.colours.rejected)
        look = QTextCharFormat()
        look.setUnderlineColor(colour)
        look.setUnderlineStyle(_Line.SingleUnderline if first else _Line.DashUnderline)
        soft = QColor(colour)
        soft.setAlpha(56)
        look.setBackground(soft)
        places = utf16_places(visible(card.pane.text), [place for span in spans for place in span])
        card.pane.mark("differences", [(places[start], places[end], look) for start, end in spans])


def utf16_places(words: str, places: Sequence[int]) -> dict[int, int]:
    """Where these places of a text are in Qt's document, which counts signs outside the first plane twice."""
    if words.isascii():
        return {place: place for place in places}
    found, at, units = {}, 0, 0
    for place in sorted(set(places)):
        units += len(words[at:place].encode("utf-16-le")) // 2
        found[place], at = units, place
    return found
