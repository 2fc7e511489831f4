"""The conversation before the answer: roles marked, a system prompt shown as one, what lies further back folded away."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from typing import Any

from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QHBoxLayout, QWidget

from workbench.domain.text import Prompt, Turn
from workbench.gui.pages.annotate.keycap import KeyButton
from workbench.gui.pages.annotate.reading import ReadingPane
from workbench.gui.theme import Theme
from workbench.gui.widgets.basics import text
from workbench.gui.widgets.markup import to_html
from workbench.gui.widgets.unseen import visible
from workbench.gui.widgets.words import count

ROLES = {"system": "System", "user": "User", "assistant": "Assistant", "tool": "Tool"}
KEPT = 3  # turns that are always shown: what was asked last, what was said before it, and what that answered
WORTH = 2  # fewer hidden turns aren't worth a fold


class PromptPane(ReadingPane):
    """The conversation; one turn is shown without a heading. `heading` is the line above it, with the fold's key."""

    def __init__(self, theme: Theme, name: str) -> None:
        super().__init__(theme, name)
        self._prompt: Prompt | None = None
        self.unfolded = False
        self.heading = PromptHeading(self.toggle_fold)

    @property
    def folded_turns(self) -> int:
        """How many turns could be, or are, folded away; a system prompt is never among them."""
        if self._prompt is None:
            return 0
        spare = sum(turn.role != "system" for turn in self._prompt.turns) - KEPT
        return spare if spare >= WORTH else 0

    def show_prompt(self, prompt: Prompt, *, raw: bool) -> None:
        """Show the last turns, with their roles when there is more than one; a new prompt is folded again."""
        if prompt != self._prompt:
            self.unfolded = False
        self._prompt = prompt
        self.show_text(prompt.text if len(prompt.turns) == 1 else prompt.transcript, raw=raw)
        self._show_fold()

    def toggle_fold(self) -> None:
        """Show every turn, or only the last ones."""
        if self.folded_turns:
            self.unfolded = not self.unfolded
            self._render()
            self._show_fold()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Stay at the last turn: that is what the responses answer."""
        super().resizeEvent(event)
        self._show_end()

    def _show_fold(self) -> None:
        self.heading.show_fold(self.folded_turns, self.unfolded)
        self._show_end()

    def _show_end(self) -> None:
        if self._prompt is not None and len(self._prompt.turns) > 1:
            bar = self.verticalScrollBar()
            bar.setValue(bar.maximum())

    def _turns(self) -> tuple[list[Turn], int, list[Turn]]:
        """System prompts, how many turns are folded, and the turns to show."""
        assert self._prompt is not None
        system = [turn for turn in self._prompt.turns if turn.role == "system"]
        others = [turn for turn in self._prompt.turns if turn.role != "system"]
        hidden = 0 if self.unfolded else self.folded_turns
        return system, hidden, others[hidden:]

    def _html(self) -> str:
        if self._prompt is None or len(self._prompt.turns) == 1:
            return super()._html()
        system, hidden, turns = self._turns()
        # Each turn is dressed alone, so that none can reach into the next one or write a heading like these.
        parts = [self._turn_html(turn, "system") for turn in system]
        if hidden:
            parts.append(f'<p class="system">… {escape(count(hidden, "earlier turn"))} folded</p>')
        return "".join([*parts, *(self._turn_html(turn, "role") for turn in turns)])

    def _turn_html(self, turn: Turn, style: str) -> str:
        body = to_html(turn.content, self._theme.colours)
        inside = f'<div class="system">{body}</div>' if turn.role == "system" else body
        return f'<p class="{style}">▎{ROLES[turn.role]}</p>{inside}'

    def _plain(self) -> str:
        if self._prompt is None or len(self._prompt.turns) == 1:
            return super()._plain()
        system, hidden, turns = self._turns()
        parts = [f"{ROLES[turn.role]}:\n\n{visible(turn.content)}" for turn in [*system, *turns]]
        if hidden:
            parts.insert(len(system), f"… {count(hidden, 'earlier turn')} folded")
        return "\n\n".join(parts)


class PromptHeading(QWidget):
    """The line above the prompt: its name, the fold's key when there is something to fold, and tools for reading."""

    def __init__(self, fold: Callable[[], Any]) -> None:
        super().__init__()
        self.row = QHBoxLayout(self)
        self.row.setContentsMargins(0, 0, 0, 0)
        self.row.setSpacing(4)
        self.row.addWidget(text("Prompt", "quiet"))
        self.fold = KeyButton("P", "", "annotate.unfold", fold)
        self.fold.hide()
        self.row.addWidget(self.fold)
        self.row.addStretch(1)
        self.tools: dict[str, KeyButton] = {}

    def add(self, key: str, words: str, name: str, run: Callable[[], Any]) -> KeyButton:
        """A tool for reading, at the right end."""
        made = self.tools[name] = KeyButton(key, words, f"annotate.{name}", run)
        self.row.addWidget(made)
        return made

    def show_fold(self, turns: int, unfolded: bool) -> None:
        """Say how many turns are folded away, or can be."""
        self.fold.setVisible(turns > 0)
        self.fold.say(f"fold {count(turns, 'earlier turn')}" if unfolded else f"show {count(turns, 'earlier turn')}")
