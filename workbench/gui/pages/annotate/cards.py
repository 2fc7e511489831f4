"""What the annotator reads: the prompt, and one card for each candidate, blind."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from PySide6.QtCore import QEvent, QObject, QPoint, Qt
from PySide6.QtGui import QColor, QKeyEvent, QMouseEvent, QPaintEvent, QResizeEvent, QTextCharFormat, QTextCursor
from PySide6.QtWidgets import QApplication, QFrame, QGridLayout, QHBoxLayout, QTextEdit, QVBoxLayout, QWidget

from workbench.analysis.words import Span, word_differences
from workbench.domain.text import Prompt
from workbench.gui.pages.annotate.draft import LETTERS
from workbench.gui.pages.annotate.keycap import KeyButton
from workbench.gui.theme import Theme
from workbench.gui.widgets.basics import restyle, text
from workbench.gui.widgets.markdown import MarkdownView

_ROLES = {"system": "System", "user": "User", "assistant": "Assistant", "tool": "Tool"}


def one_line_ends(words: str) -> str:
    """Line ends as the text view counts them, so that spans fit."""
    return words.replace("\r\n", "\n").replace("\r", "\n")


class ReadingPane(MarkdownView):
    """A view that never takes the keyboard: keys go on to the page."""

    def __init__(self, theme: Theme, name: str, parent: QWidget | None = None) -> None:
        super().__init__(theme, name, parent)
        self.painted = False
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setMinimumHeight(24)
        self.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Leave every key to the page."""
        event.ignore()

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paint, and remember that the text has been on screen."""
        super().paintEvent(event)
        self.painted = True

    def mark(self, spans: Sequence[Span], colour: str) -> None:
        """Mark stretches of the raw text; an empty list takes all marks off."""
        tone = QColor(colour)
        tone.setAlpha(70)
        look = QTextCharFormat()
        look.setBackground(tone)
        marks = []
        for start, end in spans:
            selection = QTextEdit.ExtraSelection()
            cursor = QTextCursor(self.document())
            cursor.setPosition(_utf16(self.text, start))
            cursor.setPosition(_utf16(self.text, end), QTextCursor.MoveMode.KeepAnchor)
            selection.cursor, selection.format = cursor, look
            marks.append(selection)
        self.setExtraSelections(marks)


def _utf16(words: str, place: int) -> int:
    return len(words[:place].encode("utf-16-le")) // 2


class PromptPane(ReadingPane):
    """The whole conversation before the answer; one turn is shown without a heading."""

    def show_prompt(self, prompt: Prompt, *, raw: bool) -> None:
        """Show every turn, with its role when there is more than one."""
        if len(prompt.turns) == 1:
            self.show_text(one_line_ends(prompt.text), raw=raw)
            return
        mark = "{}:" if raw else "**{}**"
        parts = [f"{mark.format(_ROLES[turn.role])}\n\n{one_line_ends(turn.content)}" for turn in prompt.turns]
        self.show_text("\n\n".join(parts), raw=raw)
        self._show_end()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Stay at the last turn: that is what the responses answer."""
        super().resizeEvent(event)
        self._show_end()

    def _show_end(self) -> None:
        bar = self.verticalScrollBar()
        bar.setValue(bar.maximum())


class CandidateCard(QFrame):
    """One candidate under its letter, with a button that does what its key does. It never knows who wrote the text."""

    def __init__(self, place: int, pair: bool, theme: Theme, press: Callable[[int], Any]) -> None:
        super().__init__()
        self.place = place
        letter = LETTERS[place]
        name = ("annotate.left", "annotate.right")[place] if pair else f"annotate.card_{place + 1}"
        self.setObjectName(name)
        self.setProperty("role", "card")
        self.setAccessibleName(f"Response {letter}")
        column = QVBoxLayout(self)
        column.setContentsMargins(16, 8, 12, 12)
        column.setSpacing(8)
        top = QHBoxLayout()
        top.setSpacing(8)
        top.addWidget(text(letter, "section"))
        self.rank = text("", "strong")
        self.rank.setObjectName(f"{name}.rank")
        top.addWidget(self.rank)
        self.earlier = text("", "chip")
        self.earlier.hide()
        top.addWidget(self.earlier)
        top.addStretch(1)
        deed = ("annotate.prefer_left", "annotate.prefer_right")[place] if pair else f"annotate.place_{place + 1}"
        words = f"{letter} is better" if pair else "place next"
        self.button = KeyButton(
            str(place + 1), words, deed, lambda: press(self.place), accessible=f"{words} ({letter})"
        )
        top.addWidget(self.button)
        column.addLayout(top)
        self.pane = ReadingPane(theme, f"{name}.text", self)
        self.pane.setAccessibleName(f"Response {letter}, text")
        column.addWidget(self.pane, 1)

    def show_rank(self, rank: int | None, count: int) -> None:
        """The rank given so far, when there are three and more."""
        self.rank.setText("" if rank is None else f"rank {rank} of {count}")
        restyle(self, chosen="true" if rank is not None else "false")
        self.button.say("place next" if rank is None else "take back")

    def highlight(self, on: bool) -> None:
        """Show at once that this one was chosen."""
        restyle(self, chosen="true" if on else "false")

    def show_earlier(self, words: str) -> None:
        """What was said of it before the judgement was undone."""
        self.earlier.setText(words)
        self.earlier.setVisible(bool(words))


class CandidateBoard(QWidget):
    """The cards side by side or as a grid. Cards can be dragged onto one another where there are three and more."""

    def __init__(self, theme: Theme, press: Callable[[int], Any], dropped: Callable[[int, int, bool], Any]) -> None:
        super().__init__()
        self._theme, self._press, self._dropped = theme, press, dropped
        self.cards: list[CandidateCard] = []
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setSpacing(12)
        self._held: tuple[int, QPoint] | None = None

    def show_texts(self, texts: Sequence[str], *, raw: bool, differences: bool) -> None:
        """Show these candidates from left to right; cards are kept while their number stays."""
        if len(texts) != len(self.cards):
            self._lay_out(len(texts))
        cleaned = [one_line_ends(words) for words in texts]
        for card, words in zip(self.cards, cleaned):
            card.pane.show_text(words, raw=raw or differences)
            card.pane.verticalScrollBar().setValue(0)
        self._mark(cleaned if differences else [])

    @property
    def seen(self) -> bool:
        """Whether the texts have been painted since `forget_seen`; one pass of the window paints all of them."""
        return any(card.pane.painted for card in self.cards)

    def forget_seen(self) -> None:
        """Nobody has seen what is shown from now on."""
        for card in self.cards:
            card.pane.painted = False

    def turn_pages(self, pages: int) -> None:
        """Scroll every card by this many pages."""
        for card in self.cards:
            bar = card.pane.verticalScrollBar()
            bar.setValue(bar.value() + pages * max(1, bar.pageStep() - 24))

    def _mark(self, texts: Sequence[str]) -> None:
        for card in self.cards if not texts else ():
            card.pane.mark([], self._theme.colours.chosen)
        for place in range(1, len(texts)):
            left, right = word_differences(texts[0], texts[place])
            self.cards[place].pane.mark(right, self._theme.colours.rejected)
            if len(texts) == 2:
                self.cards[0].pane.mark(left, self._theme.colours.chosen)

    def _lay_out(self, count: int) -> None:
        for card in self.cards:
            self._grid.removeWidget(card)
            card.hide()
            card.deleteLater()
        across = count if count <= 3 else 2 if count == 4 else 3
        self.cards = [CandidateCard(place, count == 2, self._theme, self._press) for place in range(count)]
        for place, card in enumerate(self.cards):
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
