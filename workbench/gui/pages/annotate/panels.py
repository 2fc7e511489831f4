"""Small panels that open under the candidates: skip reasons, a note, a better response. None of them is a dialog."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from PySide6.QtCore import QEvent, QObject, QSignalBlocker, Qt
from PySide6.QtGui import QKeyEvent, QTextCursor
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLineEdit, QPlainTextEdit, QVBoxLayout

from workbench.domain.judgement import SkipReason
from workbench.gui.pages.annotate.draft import LETTERS
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

    def __init__(self, closed: Callable[[], Any], changed: Callable[[], Any]) -> None:
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
        self.field.textEdited.connect(lambda _: changed())
        row.addWidget(self.field, 1)
        row.addWidget(KeyHint("Enter", "done"))
        self._closed = closed
        self.field.installEventFilter(self)
        self.hide()

    def start(self, words: str = "") -> None:
        """What an item's note begins with."""
        self.field.setText(words)

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


class RepairPanel(QFrame):
    """Which response is repaired: its digit, or its button."""

    def __init__(self, chosen: Callable[[int], Any]) -> None:
        super().__init__()
        self.setProperty("role", "inset")
        self.setObjectName("annotate.repair_panel")
        self.setAccessibleName("Response to repair")
        row = QHBoxLayout(self)
        row.setContentsMargins(12, 8, 12, 8)
        row.setSpacing(8)
        row.addWidget(text("Repair which response?", "strong"))
        self.buttons: list[KeyButton] = []
        for place, letter in enumerate(LETTERS):
            deed = partial(chosen, place)
            words = f"Repair {letter}"
            choice = KeyButton(str(place + 1), letter, f"annotate.repair_{place + 1}", deed, accessible=words)
            self.buttons.append(choice)
            row.addWidget(choice)
        row.addStretch(1)
        row.addWidget(KeyHint("Esc", "none"))
        self.hide()

    def offer(self, count: int) -> None:
        """Ask which of so many."""
        for place, choice in enumerate(self.buttons):
            choice.setVisible(place < count)
        self.show()


class WritePanel(QFrame):
    """A better response, written by the annotator: from nothing it becomes a demonstration, from a response also a pair."""

    def __init__(self, save: Callable[[str], Any], closed: Callable[[], Any], changed: Callable[[], Any]) -> None:
        super().__init__()
        self.setProperty("role", "inset")
        self.setObjectName("annotate.write_panel")
        self._save, self._closed = save, closed
        self.repairs: int | None = None
        self._original = ""
        column = QVBoxLayout(self)
        column.setContentsMargins(12, 8, 12, 8)
        column.setSpacing(8)
        self.heading = text("", "strong", wrap=True)
        self.heading.setObjectName("annotate.write_heading")
        column.addWidget(self.heading)
        self.field = QPlainTextEdit()
        self.field.setObjectName("annotate.write_field")
        self.field.setAccessibleName("A better response")
        self.field.setPlaceholderText("Write the response that you'd have liked to read.")
        self.field.setTabChangesFocus(True)
        self.field.setFixedHeight(120)
        self.field.installEventFilter(self)
        self.field.textChanged.connect(self._check)
        self.field.textChanged.connect(changed)
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
        self.start()
        self.hide()

    @property
    def written(self) -> str:
        """What was written, where it isn't just the response that is repaired."""
        words = self.field.toPlainText()
        return "" if words.strip() == self._original.strip() else words

    def start(self, repairs: int | None = None, original: str = "", letter: str = "", words: str = "") -> None:
        """Begin with nothing, or with the text of a candidate; `words` is what had been written of it before."""
        self.repairs, self._original = repairs, original
        pair = repairs is not None
        self.heading.setText(
            f"Repair {letter}: the repaired response is kept as better than {letter}, and as a demonstration."
            if pair
            else "Write a better response: it is kept as a demonstration."
        )
        self.save_button.setText("Save the repair" if pair else "Save as demonstration")
        self.save_button.setAccessibleName(self.save_button.text())
        with QSignalBlocker(self.field):  # nobody typed this
            self.field.setPlainText(words or original)
        self.field.moveCursor(QTextCursor.MoveOperation.End)
        self._check()

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
        self.save_button.setEnabled(bool(self.written.strip()))

    def _keep(self) -> None:
        if words := self.written.strip():
            self._save(words)
