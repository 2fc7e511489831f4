"""Small panels that open under the candidates: skip reasons, a note, a better response. None of them is a dialog."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from PySide6.QtCore import QEvent, QObject, Qt
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLineEdit, QPlainTextEdit, QVBoxLayout

from workbench.domain.judgement import SkipReason
from workbench.gui.pages.annotate.keycap import KeyButton
from workbench.gui.widgets.basics import KeyHint, button, text

REASONS: tuple[tuple[SkipReason, str], ...] = (
    ("unclear", "Unclear"),
    ("unsafe", "Unsafe"),
    ("wrong_language", "Wrong language"),
    ("other", "Other"),
)


class SkipPanel(QFrame):
    """Why an item is skipped: the digits 1 to 4, or the buttons."""

    def __init__(self, chosen: Callable[[SkipReason], Any]) -> None:
        super().__init__()
        self.setProperty("role", "inset")
        self.setObjectName("annotate.skip_panel")
        self.setAccessibleName("Reason to skip")
        row = QHBoxLayout(self)
        row.setContentsMargins(12, 8, 12, 8)
        row.setSpacing(8)
        row.addWidget(text("Skip, because it is", "strong"))
        self.buttons: list[KeyButton] = []
        for place, (reason, words) in enumerate(REASONS, 1):
            deed = partial(chosen, reason)
            choice = KeyButton(str(place), words, f"annotate.skip_{reason}", deed, accessible=f"Skip: {words}")
            self.buttons.append(choice)
            row.addWidget(choice)
        row.addStretch(1)
        row.addWidget(KeyHint("Esc", "don't skip"))
        self._chosen = chosen
        self.hide()

    def digit(self, place: int) -> None:
        """The digit key for the reason at this place, from 0."""
        if 0 <= place < len(REASONS):
            self._chosen(REASONS[place][0])


class NotePanel(QFrame):
    """A note that is kept with the judgement of this item."""

    def __init__(self, closed: Callable[[], Any]) -> None:
        super().__init__()
        self.setProperty("role", "inset")
        self.setObjectName("annotate.note_panel")
        row = QHBoxLayout(self)
        row.setContentsMargins(12, 8, 12, 8)
        row.setSpacing(8)
        row.addWidget(text("Note", "strong"))
        self.field = QLineEdit()
        self.field.setObjectName("annotate.note_field")
        self.field.setAccessibleName("Note about this item")
        self.field.setPlaceholderText("Kept with your judgement of this item")
        self.field.setMaxLength(4000)
        self.field.returnPressed.connect(closed)
        row.addWidget(self.field, 1)
        row.addWidget(KeyHint("Enter", "done"))
        self._closed = closed
        self.field.installEventFilter(self)
        self.hide()

    @property
    def note(self) -> str:
        """What was written, without white space around it."""
        return self.field.text().strip()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Escape closes the panel and keeps the note."""
        if isinstance(event, QKeyEvent) and event.type() == QEvent.Type.KeyPress and event.key() == Qt.Key.Key_Escape:
            self._closed()
            return True
        return super().eventFilter(watched, event)


class WritePanel(QFrame):
    """A better response, written by the annotator: it becomes a demonstration."""

    def __init__(self, save: Callable[[str], Any], closed: Callable[[], Any]) -> None:
        super().__init__()
        self.setProperty("role", "inset")
        self.setObjectName("annotate.write_panel")
        self._save, self._closed = save, closed
        column = QVBoxLayout(self)
        column.setContentsMargins(12, 8, 12, 8)
        column.setSpacing(8)
        self.field = QPlainTextEdit()
        self.field.setObjectName("annotate.write_field")
        self.field.setAccessibleName("A better response")
        self.field.setPlaceholderText(
            "Write the response that you'd have liked to read. It is kept as a demonstration."
        )
        self.field.setTabChangesFocus(True)
        self.field.setFixedHeight(96)
        self.field.installEventFilter(self)
        self.field.textChanged.connect(self._check)
        column.addWidget(self.field)
        row = QHBoxLayout()
        row.setSpacing(8)
        self.save_button = button("Save as demonstration", "annotate.write_save", self._keep, "primary")
        row.addWidget(self.save_button)
        row.addWidget(button("Cancel", "annotate.write_cancel", closed))
        row.addStretch(1)
        row.addWidget(KeyHint("Ctrl+Enter", "save"))
        row.addWidget(KeyHint("Esc", "cancel"))
        column.addLayout(row)
        self._check()
        self.hide()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Ctrl+Enter saves, Escape closes and keeps what was written until the next item."""
        if isinstance(event, QKeyEvent) and event.type() == QEvent.Type.KeyPress:
            if event.key() == Qt.Key.Key_Escape:
                self._closed()
                return True
            ctrl = event.modifiers() & Qt.KeyboardModifier.ControlModifier
            if ctrl and event.key() in {Qt.Key.Key_Return, Qt.Key.Key_Enter}:
                self._keep()
                return True
        return super().eventFilter(watched, event)

    def _check(self) -> None:
        self.save_button.setEnabled(bool(self.field.toPlainText().strip()))

    def _keep(self) -> None:
        if words := self.field.toPlainText().strip():
            self._save(words)
