"""Above the columns: the prompt, how it is given, the seed, start and stop, and how tokens are shown."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QComboBox, QFrame, QHBoxLayout, QPlainTextEdit, QSpinBox, QVBoxLayout, QWidget

from workbench.domain.text import Prompt
from workbench.gui.pages.playground.heat import Legend, Mode
from workbench.gui.theme import Theme
from workbench.gui.widgets.basics import button, text, wear_icon

_MODES: tuple[tuple[Mode, str], ...] = (("text", "Text"), ("probability", "Probability"), ("entropy", "Entropy"))


class PromptEdit(QPlainTextEdit):
    """A text field that says when Ctrl+Enter is pressed in it."""

    submitted = Signal()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Ctrl+Enter starts; everything else is typing."""
        if (
            event.key() in {Qt.Key.Key_Return, Qt.Key.Key_Enter}
            and event.modifiers() & Qt.KeyboardModifier.ControlModifier
        ):
            self.submitted.emit()
        else:
            super().keyPressEvent(event)


class PromptBar(QFrame):
    """What is asked, and how. Wishes are signals."""

    started = Signal()
    stopped = Signal()
    added = Signal()
    presets_wanted = Signal()
    mode_changed = Signal(str)

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self.setProperty("role", "card")
        self.setObjectName("playground.prompt_bar")
        box = QVBoxLayout(self)
        box.setContentsMargins(12, 12, 12, 8)
        box.setSpacing(8)
        self.prompt = PromptEdit()
        self.prompt.setObjectName("playground.prompt")
        self.prompt.setAccessibleName("Prompt")
        self.prompt.setPlaceholderText("What should the models answer or continue?")
        self.prompt.setFont(theme.reading_font())
        self.prompt.setTabChangesFocus(True)
        self.prompt.setFixedHeight(64)
        self.prompt.submitted.connect(self.started)
        box.addWidget(self.prompt)
        self.kind = self._choice("How the prompt is given", "kind", ("Chat", "Raw text"))
        self.kind.setToolTip("Chat goes through the model's template; raw text is continued as it stands.")
        self.seed = QSpinBox()
        self.seed.setRange(0, 2**31 - 1)
        self.seed.setObjectName("playground.seed")
        self.seed.setAccessibleName("Seed of all columns")
        self.seed.setToolTip("The same random numbers for all columns")
        self.seed.lineEdit().setTextMargins(7, 0, 0, 0)
        self.seed.setMinimumWidth(88)
        self.mode = self._choice("How tokens are shown", "mode", tuple(words for _, words in _MODES))
        self.mode.currentIndexChanged.connect(lambda place: self.mode_changed.emit(_MODES[place][0]))
        self.legend = Legend(theme)
        self.legend.show_mode("text")
        self.mode_changed.connect(self.legend.show_mode)
        self.start = wear_icon(
            button("Start", "playground.start", self.started.emit, "primary", tip="Ctrl+Enter"), "playground", theme
        )
        self.stop = wear_icon(button("Stop", "playground.stop", self.stopped.emit, tip="Esc"), "stop", theme)
        for one in (self.start, self.stop):
            one.setMinimumWidth(96)
        self.add = wear_icon(
            button("Column", "playground.add", self.added.emit, accessible="Add a column"), "plus", theme
        )
        self.presets = button("Presets", "playground.presets", self.presets_wanted.emit)
        row = QHBoxLayout()
        row.setSpacing(8)
        left: list[QWidget] = [self.start, self.stop, self.kind, text("Seed", "quiet"), self.seed]
        right: list[QWidget] = [self.legend, text("Show", "quiet"), self.mode, self.add, self.presets]
        for widget in left:
            row.addWidget(widget)
        row.addStretch(1)
        for widget in right:
            row.addWidget(widget)
        box.addLayout(row)
        self.set_running(False)

    def asked(self) -> Prompt:
        """The prompt as it would be given to the models."""
        return Prompt.from_text(self.prompt.toPlainText(), raw=self.kind.currentIndex() == 1)

    def set_running(self, running: bool) -> None:
        """Stop while something runs, Start otherwise."""
        self.start.setVisible(not running)
        self.stop.setVisible(running)

    def _choice(self, name: str, object_name: str, words: tuple[str, ...]) -> QComboBox:
        box = QComboBox()
        box.setObjectName(f"playground.{object_name}")
        box.setAccessibleName(name)
        box.addItems(list(words))
        return box
