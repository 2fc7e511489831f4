"""Comments on the cards: where a key or the mouse selects, a field opens, and what is kept is marked and listed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

from workbench.domain.judgement import Span
from workbench.gui.pages.annotate.cards import CandidateCard
from workbench.gui.pages.annotate.comment_strip import quote
from workbench.gui.pages.annotate.comments import Comments


class Commenting:
    """Keeps the comments on the item that is shown. `changed` is called after each change, `released` when typing is over."""

    def __init__(self, changed: Callable[[], Any], released: Callable[[], Any]) -> None:
        self._changed, self._released = changed, released
        self._cards: Sequence[CandidateCard] = ()
        self._shown: Sequence[int] = ()
        self._comments = Comments()
        self._about: Span | None = None  # what the open field is about; its comment is a placeholder
        self._instead: Span | None = None

    @property
    def spans(self) -> tuple[Span, ...]:
        """The comments; candidates are indices of the item, never places on the screen."""
        return self._comments.spans

    def start(self, spans: Iterable[Span]) -> None:
        """Begin with these comments; what was done before can't be undone."""
        self._comments = Comments(spans)
        self._show()

    def watch(self, cards: Sequence[CandidateCard], shown: Sequence[int]) -> None:
        """These cards show these candidates now."""
        if cards is not self._cards:
            for card in cards:
                card.pane.asked.connect(partial(self._asked, card.place))
        self._cards, self._shown = cards, shown
        self._show()

    def begin(self, focused: int) -> None:
        """The key C: comment on what the mouse has selected, or put a caret into the focused card."""
        if not self._cards:
            return
        for card in self._cards:
            if card.pane.textCursor().hasSelection() and not card.pane.caret:
                self._asked(card.place, "comment")
                return
        card = self._cards[min(focused, len(self._cards) - 1)]
        card.hint.show()
        card.pane.enter()

    def undo(self) -> bool:
        """Take the last change of a comment back; False when there is none."""
        return self._told(self._comments.undo())

    def redo(self) -> bool:
        """Make the change again that was taken back last; False when there is none."""
        return self._told(self._comments.redo())

    def save(self, place: int, words: str | None) -> None:
        """Keep what was written on the card at this place; None gives it up."""
        about, self._about = self._about, None
        self._cards[place].comments.close_field()
        if about is not None and words:
            self._comments.put(about.model_copy(update={"comment": words}), self._instead)
            self._told(True)
        self._instead = None
        self._leave(place)

    def edit(self, place: int, span: Span) -> None:
        """Open a comment's field again."""
        self._write(place, span, span)

    def remove(self, span: Span) -> None:
        """Take a comment away; undo brings it back."""
        self._comments.remove(span)
        self._told(True)

    def _asked(self, place: int, what: str) -> None:
        pane, candidate = self._cards[place].pane, self._shown[place]
        here = pane.here
        known = None if here is None else self._comments.at(candidate, here)
        if what == "leave":
            self._leave(place)
        elif what == "remove":
            if known is not None:
                self.remove(known)
        elif what == "comment" and known is not None and not pane.textCursor().hasSelection():
            self.edit(place, known)
        else:
            found = (0, 0) if what == "whole" else pane.selected()
            if found is not None:
                self._write(place, Span(candidate=candidate, start=found[0], end=found[1], comment="…"), None)

    def _write(self, place: int, about: Span, instead: Span | None) -> None:
        for card in self._cards:
            card.comments.close_field()
        self._about, self._instead = about, instead
        card = self._cards[place]
        card.hint.hide()
        card.comments.write(about_words(card, about), instead.comment if instead is not None else "")

    def _leave(self, place: int) -> None:
        card = self._cards[place]
        card.hint.hide()
        card.pane.leave()
        cursor = card.pane.textCursor()
        cursor.clearSelection()
        card.pane.setTextCursor(cursor)
        self._released()

    def _told(self, done: bool) -> bool:
        if done:
            self._show()
            self._changed()
        return done

    def _show(self) -> None:
        for card, candidate in zip(self._cards, self._shown):
            spans = self._comments.of(candidate)
            if spans or card.comments.listed:
                card.pane.show_comments(spans)
                card.comments.show_comments([(span, about_words(card, span)) for span in spans])


def about_words(card: CandidateCard, span: Span) -> str:
    """What a comment is about, as its reader sees it."""
    return quote(card.pane.read(span.start, span.end)) if span.end else "the whole response"
