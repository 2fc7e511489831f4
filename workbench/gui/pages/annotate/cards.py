"""One candidate's card, blind: its letter, its rank, its text, and how much of it is left below."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

from PySide6.QtCore import Qt
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QPushButton, QSizePolicy, QVBoxLayout

from workbench.domain.judgement import Span
from workbench.gui.pages.annotate.caret import CommentPane
from workbench.gui.pages.annotate.comment_strip import CommentStrip
from workbench.gui.pages.annotate.draft import LETTERS
from workbench.gui.pages.annotate.keycap import KeyButton
from workbench.gui.theme import Theme
from workbench.gui.widgets.basics import button, restyle, text, wear_icon

ROOMY, NARROW = 400, 270  # widths of a card from which its heading says all, and some of it, in words


class CommentDeeds(Protocol):
    """Who keeps the comments."""

    def save(self, place: int, words: str | None) -> None:
        """Keep what was written on the card at this place; None gives it up."""

    def edit(self, place: int, span: Span) -> None:
        """Open a comment's field again."""

    def remove(self, span: Span) -> None:
        """Take a comment away."""


class CandidateCard(QFrame):
    """One candidate under its letter, with a button that does what its key does. It never knows who wrote the text."""

    def __init__(
        self,
        place: int,
        pair: bool,
        theme: Theme,
        press: Callable[[int], Any],
        repair: Callable[[int], Any],
        commented: CommentDeeds,
    ) -> None:
        super().__init__()
        self.place = place
        self._pair, self._width = pair, ROOMY
        self._ranked: tuple[int | None, int] = (None, 2)
        letter = LETTERS[place]
        name = ("annotate.left", "annotate.right")[place] if pair else f"annotate.card_{place + 1}"
        self.setObjectName(name)
        self.setProperty("role", "card")
        self.setAccessibleName(f"Response {letter}")
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)  # as wide as the others
        column = QVBoxLayout(self)
        column.setContentsMargins(16, 8, 12, 12)
        column.setSpacing(8)
        top = QHBoxLayout()
        top.setSpacing(8)
        self.letter = text(letter, "section")
        top.addWidget(self.letter)
        self.rank = text("", "strong")
        self.rank.setObjectName(f"{name}.rank")
        top.addWidget(self.rank)
        self.earlier = text("", "chip")
        self.earlier.hide()
        top.addWidget(self.earlier)
        self.compared = text("", "chip")
        self.compared.hide()
        top.addWidget(self.compared)
        top.addStretch(1)
        self.left = text("", "quiet")
        self.left.setObjectName(f"{name}.left_below")
        self.left.setToolTip("How much of the text is below what you see")
        top.addWidget(self.left)
        self.pencil = _repair_button(f"{name}.repair", letter, theme, lambda: repair(self.place))
        top.addWidget(self.pencil)
        deed = ("annotate.prefer_left", "annotate.prefer_right")[place] if pair else f"annotate.place_{place + 1}"
        words = "is better" if pair else "place next"
        spoken = f"{letter} {words}" if pair else f"{words} ({letter})"
        self.button = KeyButton(str(place + 1), "", deed, lambda: press(self.place), accessible=spoken)
        top.addWidget(self.button)
        column.addLayout(top)
        self.pane = CommentPane(theme, f"{name}.text", self)
        self.pane.setAccessibleName(f"Response {letter}, text")
        self.pane.scrolled.connect(self._tell_what_is_left)
        column.addWidget(self.pane, 1)
        self.hint = text(
            "Arrows move, Shift selects · Enter comments, W on the whole · Delete · Esc leaves", "quiet", wrap=True
        )
        self.hint.hide()
        column.addWidget(self.hint)
        self.comments = CommentStrip(
            name, partial(commented.save, place), partial(commented.edit, place), commented.remove
        )
        column.addWidget(self.comments)
        self._say()

    def show_rank(self, rank: int | None, count: int) -> None:
        """The rank given so far, when there are three and more."""
        restyle(self, chosen="true" if rank is not None else "false")
        if self._ranked != (rank, count):
            self._ranked = rank, count
            self._say()

    def show_focus(self, on: bool) -> None:
        """Show whether keys that read (scrolling, comparing, commenting) mean this card."""
        restyle(self.letter, role="letter" if on else "section")
        self.letter.setAccessibleName(f"{self.letter.text()}, in focus" if on else self.letter.text())

    def show_compared(self, words: str) -> None:
        """What the marked words are compared with."""
        self.compared.setText(words)
        self.compared.setVisible(bool(words))

    def _tell_what_is_left(self) -> None:
        percent = round(100 * self.pane.below)
        below = " below" if self._width >= ROOMY else ""
        self.left.setText(f"▾ {percent} %{below}" if percent and self._width >= NARROW else "")
        self.left.setAccessibleName(f"{percent} % of the text is below" if percent else "")

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Say less where there is less room."""
        super().resizeEvent(event)
        width = next((width for width in (ROOMY, NARROW) if self.width() >= width), 0)
        if width != self._width:
            self._width = width
            self._say()
            self._tell_what_is_left()

    def _say(self) -> None:
        """The rank, and what the button does, in as many words as there is room for."""
        rank, count = self._ranked
        letter, roomy = LETTERS[self.place], self._width >= ROOMY
        self.rank.setText("" if rank is None else f"rank {rank} of {count}" if roomy else f"rank {rank}")
        self.rank.setAccessibleName("" if rank is None else f"rank {rank} of {count}")
        if self._pair:
            words = f"{letter} is better" if roomy else "better"
        else:
            words = ("place next" if roomy else "next") if rank is None else "take back" if roomy else "back"
        self.button.say(words if self._width >= NARROW else "")
        self.pencil.setVisible(self._width >= NARROW)  # its key is always there

    def highlight(self, on: bool) -> None:
        """Show at once that this one was chosen."""
        restyle(self, chosen="true" if on else "false")

    def show_earlier(self, words: str) -> None:
        """What was said of it before the judgement was undone."""
        self.earlier.setText(words)
        self.earlier.setVisible(bool(words))


def _repair_button(name: str, letter: str, theme: Theme, run: Callable[[], Any]) -> QPushButton:
    """A pencil that never takes the keyboard: its key is Shift+E and the card's digit."""
    made = button("", name, run, "flat", accessible=f"Repair response {letter}", tip=f"Repair {letter}   Shift+E")
    made.setFocusPolicy(Qt.FocusPolicy.NoFocus)
    made.setFixedSize(32, 28)
    return wear_icon(made, "pencil", theme)
