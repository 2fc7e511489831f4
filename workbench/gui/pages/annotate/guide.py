"""The guidelines beside the candidates: to read while judging, and to write, which makes a new version."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from PySide6.QtCore import QEvent, QObject, Qt
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QHBoxLayout, QPlainTextEdit, QStackedLayout, QVBoxLayout, QWidget

from workbench.domain.queues import Dimension, Guidelines
from workbench.gui.theme import Theme
from workbench.gui.widgets.basics import KeyHint, button, text
from workbench.gui.widgets.markdown import MarkdownView
from workbench.gui.widgets.words import ago

Write = Callable[[str, tuple[Dimension, ...]], Any]
_NONE = (
    "This dataset has no guidelines yet. Write what makes a response better here, so that everybody judges by the same."
)
_ABOUT_DIMENSIONS = "Dimensions, one a line: name, colon, sentence. Each is ranked before the ranking over all."


def read_dimensions(lines: str) -> tuple[Dimension, ...]:
    """Dimensions as they are typed: `Helpful: does it answer what was asked?`, one a line."""
    found = []
    for line in lines.splitlines():
        name, _, sentence = line.partition(":")
        if name.strip():
            found.append(Dimension(name=name.strip()[:60], description=sentence.strip()[:400]))
    return tuple(found)


def write_dimensions(dimensions: tuple[Dimension, ...]) -> str:
    """The same the other way round."""
    return "\n".join(f"{d.name}: {d.description}" if d.description else d.name for d in dimensions)


class GuidelinesPane(QWidget):
    """One version to read; Edit turns the same place into a field."""

    def __init__(self, theme: Theme, write: Write, leave: Callable[[], Any]) -> None:
        super().__init__()
        self.setObjectName("annotate.guidelines")
        self.setAccessibleName("Guidelines")
        self._write, self._leave = write, leave
        self.guidelines: Guidelines | None = None
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(8)
        top = QHBoxLayout()
        top.addWidget(text("Guidelines", "heading"))
        self.version = text("", "quiet")
        self.version.setObjectName("annotate.guidelines_version")
        top.addWidget(self.version)
        top.addStretch(1)
        self.edit_button = button(
            "Edit", "annotate.guidelines_edit", self.edit, "link", accessible="Edit the guidelines"
        )
        top.addWidget(self.edit_button)
        column.addLayout(top)
        self.unread = text("Changed since you judged last.", "warning", wrap=True)
        self.unread.setObjectName("annotate.guidelines_unread")
        column.addWidget(self.unread)
        self.stack = QStackedLayout()
        column.addLayout(self.stack, 1)  # first, or what is added to it would be a window of its own
        self.view = MarkdownView(theme, "annotate.guidelines_text")
        self.view.setAccessibleName("Guidelines, text")
        self.stack.addWidget(self.view)
        self.stack.addWidget(self._editor())
        self.show_guidelines(None, unread=False)

    @property
    def editing(self) -> bool:
        """Whether a person is writing a new version."""
        return self.stack.currentIndex() == 1

    def show_guidelines(self, guidelines: Guidelines | None, *, unread: bool) -> None:
        """Show a version. What is being written stays."""
        self.unread.setVisible(unread and guidelines is not None)
        if guidelines == self.guidelines and self.view.text:
            return
        self.guidelines = guidelines
        self.version.setText("" if guidelines is None else f"version {guidelines.version}")
        self.edit_button.setText("Write" if guidelines is None else "Edit")
        if guidelines is None:
            self.version.setToolTip("")
            self.view.show_text(_NONE)
            return
        self.version.setToolTip(f"Written by {guidelines.author}, {ago(guidelines.created)}")
        named = "\n".join(f"- **{d.name}**: {d.description}" if d.description else f"- **{d.name}**"
                          for d in guidelines.dimensions)  # fmt: skip
        self.view.show_text(f"{guidelines.text}\n\n{named}" if named else guidelines.text)

    def edit(self) -> None:
        """Write a new version, starting from this one."""
        old = self.guidelines
        self.words.setPlainText(old.text if old else "")
        self.dimensions.setPlainText(write_dimensions(old.dimensions) if old else "")
        self.stack.setCurrentIndex(1)
        self.edit_button.hide()
        self.words.setFocus()

    def close_editor(self) -> None:
        """Back to reading."""
        self.stack.setCurrentIndex(0)
        self.edit_button.show()
        self._leave()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Ctrl+Enter saves, Escape leaves things as they were."""
        if isinstance(event, QKeyEvent) and event.type() == QEvent.Type.KeyPress:
            if event.key() == Qt.Key.Key_Escape:
                self.close_editor()
                return True
            ctrl = event.modifiers() & Qt.KeyboardModifier.ControlModifier
            if ctrl and event.key() in {Qt.Key.Key_Return, Qt.Key.Key_Enter}:
                self._save()
                return True
        return super().eventFilter(watched, event)

    def _save(self) -> None:
        self._write(self.words.toPlainText().strip(), read_dimensions(self.dimensions.toPlainText()))

    def _editor(self) -> QWidget:
        page = QWidget()
        column = QVBoxLayout(page)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(8)
        self.words = QPlainTextEdit()
        self.words.setObjectName("annotate.guidelines_words")
        self.words.setAccessibleName("Text of the guidelines, in Markdown")
        self.words.setPlaceholderText("What makes a response better? Markdown.")
        self.dimensions = QPlainTextEdit()
        self.dimensions.setObjectName("annotate.guidelines_dimensions")
        self.dimensions.setAccessibleName("Dimensions, one a line")
        self.dimensions.setAccessibleDescription(_ABOUT_DIMENSIONS)
        self.dimensions.setPlaceholderText("Helpful: does it answer what was asked?\nHarmless: could it hurt somebody?")
        self.dimensions.setFixedHeight(96)
        for field in (self.words, self.dimensions):
            field.setTabChangesFocus(True)
            field.installEventFilter(self)
        column.addWidget(self.words, 1)
        column.addWidget(text(_ABOUT_DIMENSIONS, "quiet", wrap=True))
        column.addWidget(self.dimensions)
        row = QHBoxLayout()
        row.addWidget(button("Save new version", "annotate.guidelines_save", self._save, "primary"))
        row.addWidget(button("Cancel", "annotate.guidelines_cancel", self.close_editor))
        row.addStretch(1)
        column.addLayout(row)
        keys = QHBoxLayout()
        keys.addWidget(KeyHint("Ctrl+Enter", "save"))
        keys.addWidget(KeyHint("Esc", "cancel"))
        keys.addStretch(1)
        column.addLayout(keys)
        return page
