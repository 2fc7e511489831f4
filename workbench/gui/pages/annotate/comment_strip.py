"""Under a card: its comments with their numbers, and the small field in which one is written."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from PySide6.QtCore import QEvent, QObject, Qt
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLineEdit, QScrollArea, QVBoxLayout, QWidget

from workbench.domain.judgement import Span
from workbench.gui.widgets.basics import Elided, KeyHint, button, clear, text

LONGEST_QUOTE = 36
ROW = 30


class CommentStrip(QFrame):
    """Shows comments; `save` gets what was written, None when the writing was given up."""

    def __init__(
        self, name: str, save: Callable[[str | None], Any], edit: Callable[[Span], Any], remove: Callable[[Span], Any]
    ) -> None:
        super().__init__()
        self._name, self._save, self._edit, self._remove = name, save, edit, remove
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        self._area = QScrollArea()
        self._area.setObjectName(f"{name}.comments")
        self._area.setAccessibleName("Comments")
        self._area.setWidgetResizable(True)
        self._area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        holder = QWidget()
        self._rows = QVBoxLayout(holder)
        self._rows.setContentsMargins(0, 0, 0, 0)
        self._rows.setSpacing(0)
        self._area.setWidget(holder)
        column.addWidget(self._area)
        self._build_editor(column)
        self.show_comments(())

    def show_comments(self, comments: Sequence[tuple[Span, str]]) -> None:
        """List these comments, each with the words that it is about."""
        clear(self._rows)
        for number, (span, quoted) in enumerate(comments, 1):
            self._rows.addWidget(self._row(number, span, quoted))
        self._rows.addStretch(1)
        self._area.setVisible(bool(comments))
        self._area.setFixedHeight(min(3, len(comments)) * ROW)
        self.setVisible(bool(comments) or not self.editor.isHidden())

    @property
    def listed(self) -> bool:
        """Whether any comment is listed."""
        return not self._area.isHidden()

    def write(self, quoted: str, comment: str = "") -> None:
        """Open the field for a new comment, or for one that exists."""
        self.quoted.setText(quoted)
        self.field.setText(comment)
        self.editor.show()
        self.show()
        self.field.setFocus()

    def close_field(self) -> None:
        """Close the field, whatever is in it."""
        self.editor.hide()
        self.setVisible(not self._area.isHidden())

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Escape gives the writing up."""
        if isinstance(event, QKeyEvent) and event.type() == QEvent.Type.KeyPress and event.key() == Qt.Key.Key_Escape:
            self._save(None)
            return True
        return super().eventFilter(watched, event)

    def _build_editor(self, column: QVBoxLayout) -> None:
        self.editor = QFrame()
        self.editor.setProperty("role", "inset")
        row = QHBoxLayout(self.editor)
        row.setContentsMargins(8, 4, 8, 4)
        row.setSpacing(8)
        self.quoted = Elided("quiet")
        row.addWidget(self.quoted, 1)
        self.field = QLineEdit()
        self.field.setObjectName(f"{self._name}.comment_field")
        self.field.setAccessibleName("Comment")
        self.field.setPlaceholderText("What about it? Enter keeps it, Esc gives up")
        self.field.setMaxLength(4000)
        self.field.returnPressed.connect(lambda: self._save(self.field.text().strip() or None))
        self.field.installEventFilter(self)
        row.addWidget(self.field, 2)
        row.addWidget(KeyHint("Enter", "keep"))
        self.editor.hide()
        column.addWidget(self.editor)

    def _row(self, number: int, span: Span, quoted: str) -> QWidget:
        line = QFrame()
        line.setFixedHeight(ROW)
        line.setAccessibleName(f"Comment {number} on {quoted}: {span.comment}")
        row = QHBoxLayout(line)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(8)
        key = text(str(number))
        key.setProperty("role", "key")
        row.addWidget(key)
        row.addWidget(Elided("quiet", quoted), 1)
        row.addWidget(Elided("", span.comment), 2)
        for word, run in (("edit", self._edit), ("delete", self._remove)):
            one = button(word, f"{self._name}.{word}_comment_{number}", partial(run, span), "link")
            one.setAccessibleName(f"{word.capitalize()} comment {number}")
            row.addWidget(one)
        return line


def quote(words: str) -> str:
    """Words that a comment is about, in one short line."""
    inside = " ".join(words.split())
    return f"“{inside if len(inside) <= LONGEST_QUOTE else inside[: LONGEST_QUOTE - 1] + '…'}”"
