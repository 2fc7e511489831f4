"""Beside the settings: does it fit, what is computed, and the same as a command."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QGridLayout, QHBoxLayout, QPlainTextEdit, QSizePolicy, QVBoxLayout, QWidget

from workbench.gui.theme import Theme
from workbench.gui.widgets.basics import Card, button, clear, text, wear_icon
from workbench.gui.widgets.words import count
from workbench.services.views import Fit


class FitCard(Card):
    """Whether the run fits this machine and its data, in sentences with a mark that isn't colour alone."""

    def __init__(self) -> None:
        super().__init__("Fit check")
        self.setObjectName("train.fit")
        self._lines = QVBoxLayout()
        self._lines.setSpacing(6)
        self.column.addLayout(self._lines)
        self.say("Choose a model and data first.")

    def say(self, words: str) -> None:
        """One quiet sentence instead of a verdict."""
        clear(self._lines)
        self._lines.addWidget(text(words, "quiet", wrap=True))

    def show_fit(self, fit: Fit) -> None:
        """The verdict first, then what troubles, then what to know."""
        clear(self._lines)
        if fit.trouble:
            self._add("✕  It can't start like this.", "bad")
            for sentence in fit.trouble:
                self._add(sentence, "")
        else:
            self._add("✓  It can start.", "good")
        numbers = f"{count(fit.rows, 'row')}, {count(fit.steps, 'step')}"
        if fit.memory_gib:
            numbers += f", about {fit.memory_gib:.1f} of {fit.available_gib:.1f} GiB memory"
        self._add(numbers, "")
        for sentence in fit.notes:
            self._add(sentence, "quiet")

    def _add(self, words: str, role: Any) -> None:
        self._lines.addWidget(text(words, role, wrap=True, select=True))


class FormulaCard(Card):
    """The loss as it will be computed, and what each of its terms is called in the plots."""

    def __init__(self, theme: Theme) -> None:
        super().__init__("What is computed")
        self.setObjectName("train.formula")
        self._theme = theme
        self._lines = QVBoxLayout()
        self._lines.setSpacing(8)
        self.column.addLayout(self._lines)
        self._terms = QGridLayout()
        self._terms.setHorizontalSpacing(12)
        self._terms.setVerticalSpacing(4)
        self._terms.setColumnStretch(1, 1)
        self.column.addLayout(self._terms)

    def show_formula(self, lines: Sequence[str], terms: Sequence[tuple[str, str]], note: str = "") -> None:
        """Lines of the formula in plain signs, then pairs of (term, what it is)."""
        clear(self._lines)
        clear(self._terms)
        for line in lines:
            label = text(line, "mono", wrap=True, select=True)
            label.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Minimum)
            self._lines.addWidget(label)
        for row, (term, words) in enumerate(terms):
            self._terms.addWidget(text(term, "mono"), row, 0, Qt.AlignmentFlag.AlignTop)
            self._terms.addWidget(text(words, "quiet", wrap=True), row, 1)
        if note:
            self._lines.addWidget(text(note, "quiet", wrap=True))


class CommandCard(Card):
    """The equivalent command line, to copy."""

    def __init__(self, theme: Theme, copied: Callable[[], Any]) -> None:
        super().__init__()
        self.setObjectName("train.command_card")
        self._copied = copied
        top = QHBoxLayout()
        top.addWidget(text("The same as a command", "heading"))
        top.addStretch(1)
        self.copy = wear_icon(button("Copy", "train.copy_command", self._copy, "flat"), "copy", theme)
        self.copy.setAccessibleName("Copy the command")
        top.addWidget(self.copy)
        self.column.addLayout(top)
        self.line = QPlainTextEdit()
        self.line.setObjectName("train.command")
        self.line.setAccessibleName("Equivalent command line")
        self.line.setReadOnly(True)
        self.line.setTabChangesFocus(True)
        self.line.setProperty("role", "log")
        self.line.setFixedHeight(92)
        self.column.addWidget(self.line)

    def show_command(self, words: str) -> None:
        """Another command."""
        if words != self.line.toPlainText():
            self.line.setPlainText(words)
        self.copy.setEnabled(bool(words))

    def _copy(self) -> None:
        QGuiApplication.clipboard().setText(self.line.toPlainText())
        self._copied()


class Side(QWidget):
    """The three cards, one below the other."""

    def __init__(self, theme: Theme, copied: Callable[[], Any]) -> None:
        super().__init__()
        column = QVBoxLayout(self)
        column.setContentsMargins(4, 16, 16, 16)
        column.setSpacing(12)
        self.fit = FitCard()
        self.formula = FormulaCard(theme)
        self.command = CommandCard(theme, copied)
        for card in (self.fit, self.formula, self.command):
            column.addWidget(card)
        column.addStretch(1)
