"""Above the columns: prompt, system prompt, start of the answer, how they are given, the seed, and what else can be done."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QAction, QKeyEvent
from PySide6.QtWidgets import QCheckBox, QComboBox, QFrame, QHBoxLayout, QMenu, QPlainTextEdit, QSpinBox, QVBoxLayout

from workbench.domain.text import Prompt, Turn
from workbench.gui.pages.playground.heat import MODES, Legend
from workbench.gui.pages.playground.memory import Remembered
from workbench.gui.theme import Theme
from workbench.gui.widgets.basics import button, text, wear_icon
from workbench.services.views import Column


class PromptEdit(QPlainTextEdit):
    """A text field that says when Ctrl+Enter is pressed in it."""

    submitted = Signal()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Ctrl+Enter starts; everything else is typing."""
        if (
            event.key() in {Qt.Key.Key_Return, Qt.Key.Key_Enter}
            and event.modifiers() & Qt.KeyboardModifier.ControlModifier
        ):
            if event.modifiers() & Qt.KeyboardModifier.ShiftModifier:
                event.ignore()  # the page lets columns go on
            else:
                self.submitted.emit()
        else:
            super().keyPressEvent(event)


class PromptBar(QFrame):
    """What is asked, and how. Wishes are signals."""

    started = Signal()
    stopped = Signal()
    went_on = Signal()
    added = Signal()
    linked = Signal(bool)
    mode_changed = Signal(str)

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._theme = theme
        self.setProperty("role", "card")
        self.setObjectName("playground.prompt_bar")
        box = QVBoxLayout(self)
        box.setContentsMargins(12, 12, 12, 8)
        box.setSpacing(8)
        self.system = self._edit("system", "System prompt", "System prompt (chat only)", 44)
        self.prompt = self._edit("prompt", "Prompt", "What should the models answer or continue?", 64)
        self.prefill = self._edit("prefill", "Start of the answer", "How every answer begins", 44)
        box.addWidget(self.prompt)
        around = QHBoxLayout()
        around.setSpacing(8)
        around.addWidget(self.system)
        around.addWidget(self.prefill)
        box.addLayout(around)
        self._build_choices()
        self._build_buttons()
        row = QHBoxLayout()
        row.setSpacing(8)
        for widget in (self.start, self.stop, self.go_on, self.kind, text("Seed", "quiet"), self.seed, self.blind):
            row.addWidget(widget)
        row.addStretch(1)
        for widget in (self.mode, self.add, self.more):
            row.addWidget(widget)
        box.addLayout(row)
        box.addWidget(self.legend, 0, Qt.AlignmentFlag.AlignRight)
        self.show_context(False)
        self.set_running(False)

    def asked(self) -> Prompt:
        """The prompt as it would be given to the models."""
        words, system = self.prompt.toPlainText(), self.system.toPlainText().strip()
        if self.raw or not system or not self.context.isChecked():
            return Prompt.from_text(words, raw=self.raw)
        return Prompt(turns=(Turn(role="system", content=system), Turn(role="user", content=words)))

    def show_asked(self, prompt: Prompt, prefill: str, seed: int) -> None:
        """Show what another round asked."""
        first = prompt.turns[0]
        self.system.setPlainText(first.content if len(prompt.turns) > 1 and first.role == "system" else "")
        self.prompt.setPlainText(prompt.text)
        self.prefill.setPlainText(prefill)
        self.context.setChecked(bool(self.system.toPlainText() or prefill))
        self.kind.setCurrentIndex(int(prompt.raw))
        self.seed.setValue(seed)

    def opening(self) -> str:
        """How every answer begins; nothing while that can't be seen."""
        return self.prefill.toPlainText() if self.context.isChecked() else ""

    @property
    def raw(self) -> bool:
        """Whether the prompt is continued as it stands."""
        return self.kind.currentIndex() == 1

    def state(self, columns: list[Column]) -> Remembered:
        """What to remember."""
        return Remembered(
            prompt=self.prompt.toPlainText(), system=self.system.toPlainText(), prefill=self.prefill.toPlainText(),
            raw=self.raw, seed=self.seed.value(), mode=self.mode.currentIndex(), blind=self.blind.isChecked(),
            same=self.same.isChecked(),
        ).with_columns(columns)  # fmt: skip

    def set_state(self, kept: Remembered) -> None:
        """Show what was remembered; a prompt that somebody has typed meanwhile stays."""
        if not self.prompt.toPlainText():
            self.prompt.setPlainText(kept.prompt)
        self.system.setPlainText(kept.system)
        self.prefill.setPlainText(kept.prefill)
        self.context.setChecked(bool(kept.system or kept.prefill))
        self.kind.setCurrentIndex(int(kept.raw))
        self.seed.setValue(kept.seed)
        self.blind.setChecked(kept.blind)
        self.same.setChecked(kept.same)

    def show_context(self, shown: bool) -> None:
        """Show or hide system prompt and start of the answer; what stands in them counts only while it can be seen."""
        self.system.setVisible(shown)
        self.prefill.setVisible(shown)

    def set_running(self, running: bool, can_go_on: bool = False) -> None:
        """Stop while something runs, Start otherwise; Go on when a column has more to say."""
        focused = self.start.hasFocus() or self.stop.hasFocus()
        self.start.setVisible(not running)
        self.stop.setVisible(running)
        self.go_on.setEnabled(can_go_on and not running)
        if focused:
            (self.stop if running else self.start).setFocus()

    def dress(self) -> None:
        """The theme's fonts."""
        for edit in (self.system, self.prompt, self.prefill):
            edit.setFont(self._theme.reading_font())

    def _build_choices(self) -> None:
        self.kind = self._choice("How the prompt is given", "kind", ("Chat", "Raw text"))
        self.kind.setToolTip("Chat goes through the model's template; raw text is continued as it stands.")
        self.seed = QSpinBox()
        self.seed.setRange(0, 2**31 - 1)
        self.seed.setObjectName("playground.seed")
        self.seed.setAccessibleName("Seed of all columns")
        self.seed.setToolTip("The same random numbers for all columns")
        self.seed.lineEdit().setTextMargins(7, 0, 0, 0)
        self.seed.setMinimumWidth(88)
        self.blind = QCheckBox("Blind")
        self.blind.setObjectName("playground.blind")
        self.blind.setAccessibleName("Blind: shuffle the columns and hide who speaks until the vote")
        self.blind.setToolTip("Shuffle the columns and hide who speaks until you vote")
        self.mode = self._choice("How tokens are shown", "mode", tuple(words for _, words in MODES))
        self.mode.currentIndexChanged.connect(lambda place: self.mode_changed.emit(MODES[place][0]))
        self.legend = Legend(self._theme)
        self.legend.show_mode("text")
        self.mode_changed.connect(self.legend.show_mode)

    def _build_buttons(self) -> None:
        theme = self._theme
        self.start = wear_icon(
            button("Start", "playground.start", self.started.emit, "primary", tip="Ctrl+Enter"), "playground", theme
        )
        self.stop = wear_icon(button("Stop", "playground.stop", self.stopped.emit, tip="Esc"), "stop", theme)
        for one in (self.start, self.stop):
            one.setMinimumWidth(96)
        self.go_on = button(
            "Go on", "playground.go_on", self.went_on.emit,
            tip="Let columns that were stopped or reached their limit go on (Ctrl+Shift+Enter)",
        )  # fmt: skip
        self.add = wear_icon(
            button("Column", "playground.add", self.added.emit, accessible="Add a column"), "plus", theme
        )
        self.more = wear_icon(
            button("More", "playground.more", lambda: None, accessible="More of the playground"), "more", theme
        )
        self.menu = QMenu(self.more)
        self.menu.setObjectName("playground.more.menu")
        self.same = self._switch("Same settings in all columns", self.linked.emit)
        self.context = self._switch("System prompt and start of the answer", self.show_context)
        self.menu.addSeparator()
        self.more.setMenu(self.menu)

    def offer(self, title: str, run: Callable[[], Any]) -> QAction:
        """One more thing in the menu."""
        action = self.menu.addAction(title)
        action.triggered.connect(lambda: run())
        return action

    def _switch(self, title: str, run: Callable[[bool], Any]) -> QAction:
        action = self.menu.addAction(title)
        action.setCheckable(True)
        action.toggled.connect(run)
        return action

    def _edit(self, name: str, accessible: str, placeholder: str, height: int) -> PromptEdit:
        edit = PromptEdit()
        edit.setObjectName(f"playground.{name}")
        edit.setAccessibleName(accessible)
        edit.setPlaceholderText(placeholder)
        edit.setFont(self._theme.reading_font())
        edit.setTabChangesFocus(True)
        edit.setFixedHeight(height)
        edit.submitted.connect(self.started)
        return edit

    def _choice(self, name: str, object_name: str, words: tuple[str, ...]) -> QComboBox:
        box = QComboBox()
        box.setObjectName(f"playground.{object_name}")
        box.setAccessibleName(name)
        box.addItems(list(words))
        return box
