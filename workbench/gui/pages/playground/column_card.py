"""One column: who speaks, its text as it comes, and its numbers. Masked, it shows nothing but the text, and that at the end."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping, Sequence

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QFrame, QHBoxLayout, QPlainTextEdit, QStackedLayout, QVBoxLayout

from workbench.domain.choices import Aside, DraftRound, TokenChoice
from workbench.gui.pages.playground.branching import replaced
from workbench.gui.pages.playground.column_head import ColumnHead
from workbench.gui.pages.playground.heat import Mode
from workbench.gui.pages.playground.numbers import Foot, counted, with_perplexity
from workbench.gui.pages.playground.token_view import TokenView
from workbench.gui.theme import Theme
from workbench.gui.widgets.basics import restyle, rule, text
from workbench.services.views import Column, ColumnNews

LETTERS = "ABCDEF"
LEAST = 44  # pixels of text that are always in sight
HIDDEN = "Hidden until you vote"


class _Mask(QFrame):
    """Stands where the head was in a blind round."""

    def __init__(self) -> None:
        super().__init__()
        self.letter = text("", "chip")
        row = QHBoxLayout(self)
        row.setContentsMargins(12, 6, 8, 6)
        row.addWidget(self.letter)
        row.addWidget(text(HIDDEN, "quiet"), 1)
        self.hide()


class ColumnCard(QFrame):
    """A column of the page. It knows no service: news is given to it, wishes are signals."""

    token_opened = Signal(int)

    def __init__(self, theme: Theme, models: Sequence[str], column: Column) -> None:
        super().__init__()
        self._theme = theme
        self.news: ColumnNews | None = None
        self.masked = False
        self._held: list[TokenChoice] = []  # tokens of a masked column: the view tells too much
        self.asides: list[Aside] = []
        self._pending: tuple[TokenChoice, int] | None = None  # a branch's token, until the decoder tells how long it is
        self._letter = ""
        self._waiting_since = 0.0
        self._phase = ""
        self.setProperty("role", "card")
        self.setMinimumWidth(248)
        self._box = QVBoxLayout(self)
        self._box.setContentsMargins(1, 8, 1, 8)
        self._box.setSpacing(8)
        self.head = ColumnHead(theme, models, column)
        self._mask = _Mask()
        self._box.addWidget(self.head)
        self._box.addWidget(self._mask)
        self._box.addWidget(rule())
        self._stack = QStackedLayout()
        self.view = TokenView(theme, "playground.tokens")
        self.view.opened.connect(self.token_opened)
        self._words = text("", "quiet", wrap=True, select=True)
        self._words.setAlignment(Qt.AlignmentFlag.AlignTop | Qt.AlignmentFlag.AlignLeft)
        self._words.setContentsMargins(12, 12, 12, 12)
        self.plain = QPlainTextEdit()
        self.plain.setReadOnly(True)
        self.plain.setFrameShape(QFrame.Shape.NoFrame)
        self.plain.document().setDocumentMargin(12)
        for part in (self.view, self._words, self.plain):
            part.setMinimumHeight(LEAST)
            self._stack.addWidget(part)
        self._box.addLayout(self._stack, 1)
        self._line = rule()
        self._box.addWidget(self._line)
        self.foot = Foot()
        self._box.addWidget(self.foot)
        self.dress()
        self.reset()

    @property
    def column(self) -> Column:
        """What a person has chosen here."""
        return self.head.column

    @property
    def done(self) -> bool:
        """Whether the text has ended, by itself or by an error."""
        return self.news is not None

    @property
    def said(self) -> str:
        """What the column has said so far."""
        return self.view.text or "".join(choice.text for choice in self._held)

    @property
    def tokens(self) -> tuple[TokenChoice, ...]:
        """Every token so far."""
        return (*self.view.tokens, *self._held)

    @property
    def numbers(self) -> dict[str, float]:
        """What is known about the text in numbers, whether it is shown or not."""
        if self.news is None:
            return {}
        return {**with_perplexity({**self.news.numbers, **counted(self.tokens)}), **self.foot.numbers}

    @property
    def overflow(self) -> int:
        """By how many pixels the text is higher than the column."""
        return self.view.verticalScrollBar().maximum() if self._stack.currentWidget() is self.view else 0

    def take_over(self, other: ColumnCard) -> None:
        """Show what another column shows."""
        self.begin(other.tokens)
        if other.news is not None:
            self._finish(other.news)
        self.foot.add(other.foot.numbers)

    def set_place(self, place: int, removable: bool) -> None:
        """Which letter the column has; names follow it."""
        self._letter = letter = LETTERS[place]
        self.setAccessibleName(f"Column {letter}")
        self.head.set_place(letter, removable)
        self._mask.letter.setText(letter)
        self.view.setObjectName(f"playground.{letter.lower()}.tokens")
        self.plain.setObjectName(f"playground.{letter.lower()}.text")
        for view in (self.view, self.plain):
            view.setAccessibleName(f"Text of column {letter}")
        self.foot.set_letter(letter)

    def set_mode(self, mode: Mode) -> None:
        """Text, or tokens as heat."""
        self.view.set_mode(mode)

    def conceal(self) -> None:
        """Take everything that tells who speaks out of the window, until `disclose`."""
        self.masked = True
        self._box.removeWidget(self.head)
        self.head.setParent(None)  # out of the window, and of what screen readers see
        self.head.hide()  # a layout that had just taken it in would show it by itself, as a window of its own
        self._mask.show()
        for part in (self._line, self.foot):
            part.hide()

    def disclose(self) -> None:
        """Show who spoke, with the numbers and the tokens."""
        if not self.masked:
            return
        self.masked = False
        self._mask.hide()
        self._box.insertWidget(0, self.head)
        self.head.show()
        for part in (self._line, self.foot):
            part.show()
        self.plain.clear()
        self.view.add(self._held)
        self._held = []
        if self.news is not None:
            self._finish(self.news)

    def show_plain(self) -> None:
        """All masked columns have ended: show this one's text, and nothing else."""
        if self.failed or not self.said:
            why = "This column failed; why is told once you reveal."
            self._show_words(why if self.failed else "The model said nothing.")
            return
        self.plain.setPlainText(self.said)
        self._stack.setCurrentWidget(self.plain)

    def reset(self, words: str = "The text will appear here.") -> None:
        """Forget the last text."""
        self.news = None
        self._phase = ""
        self._held, self.asides = [], []
        self._pending = None
        self.view.clear()
        self.plain.clear()
        self._show_words(words)
        self.foot.clear()

    @property
    def failed(self) -> bool:
        """Whether the text was broken off by an error."""
        return self.news is not None and bool(self.news.error_what)

    @property
    def unfinished(self) -> bool:
        """Whether the column could go on: it was stopped, reached its limit, or failed on its way."""
        return self.news is not None and (self.news.reason in {"stopped", "length"} or self.failed)

    def begin(self, kept: Sequence[TokenChoice] = (), branch: int | None = None) -> None:
        """Wait for the first news behind these tokens; with `branch`, that token stands in the place of the last of them."""
        kept = tuple(kept)
        rounds = [aside for aside in self.asides if isinstance(aside, DraftRound)] if kept and branch is None else []
        self.reset("")
        self.asides = list(rounds)
        if branch is not None:
            self._pending = kept[-1], branch
            kept = kept[:-1]
        if kept and not self.masked:
            self._stack.setCurrentWidget(self.view)
            self.view.add(kept)
            return
        self._held = list(kept)
        self._phase = "starting the decoder"
        self._waiting_since = time.perf_counter()
        self.tick()

    def tick(self) -> None:
        """Tell how long a phase lasts."""
        if self._phase and not self.done:
            self._show_words(f"{self._phase.capitalize()} … {time.perf_counter() - self._waiting_since:.0f} s")

    def take(self, news: ColumnNews) -> None:
        """Show what happened."""
        if news.phase and news.phase != self._phase and not self.tokens:
            self._phase, self._waiting_since = news.phase, time.perf_counter()
            self.tick()
        elif not news.phase and not news.done and not news.tokens and not self.tokens:
            self._phase = "reading the prompt"
            self.tick()
        self.asides.extend(news.asides)
        if self._pending is not None and (news.tokens or news.done):
            news = self._with_branch(news, *self._pending)
        if news.tokens and self.masked:
            self._phase = "writing"
            self._held.extend(news.tokens)
        elif news.tokens:
            self._phase = ""
            self._stack.setCurrentWidget(self.view)
            self.view.add(news.tokens)
            self.foot.counting(len(self.view.tokens))
        if news.done:
            self._finish(news)

    def _with_branch(self, news: ColumnNews, choice: TokenChoice, token: int) -> ColumnNews:
        """The news with the token that was branched to in front, as long as the decoder's offsets say that it is."""
        self._pending = None
        end = news.tokens[0].start if news.tokens else len(news.text) if not news.error_what else None
        first = replaced(choice, token, None if end is None else max(0, end - choice.start))
        return dataclasses.replace(news, tokens=(first, *news.tokens))

    def set_stale(self, token: int | None) -> None:
        """From this token on the settings would say something else (None: nowhere); told in words too."""
        self.view.set_stale(token)
        self.foot.set_stale(token is not None)

    def show_measured(self, numbers: Mapping[str, float]) -> None:
        """Numbers that came after the text."""
        self.foot.add(numbers)

    def hasHeightForWidth(self) -> bool:
        """No: a column takes the height there is and scrolls inside, though some of its labels wrap."""
        return False

    def dress(self) -> None:
        """Icons and fonts in the theme's colours."""
        self.head.dress()
        self.view.dress()
        self.plain.setFont(self._theme.reading_font())

    def _finish(self, news: ColumnNews) -> None:
        self.news = news
        self._phase = ""
        if self.masked:
            self._show_words("Ready; waiting for the others.")
            return
        if news.error_what:
            if not self.view.tokens:
                self._show_words(f"{news.error_what} {news.error_hint}".strip(), "bad")
            self.foot.failed(news.error_what if self.view.tokens else "")
            return
        if self.view.tokens:
            self._stack.setCurrentWidget(self.view)
        else:
            self._show_words("Stopped before the first token." if news.stopped else "The model said nothing.")
        self.foot.ended(news, self.view.tokens)

    def _show_words(self, words: str, role: str = "quiet") -> None:
        self._words.setText(words)
        restyle(self._words, role=role)
        self._stack.setCurrentWidget(self._words)
