"""The prompt as a model reads it: token after token, template and special tokens included."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtGui import QColor, QTextCharFormat, QTextCursor
from PySide6.QtWidgets import QPlainTextEdit, QVBoxLayout, QWidget

from workbench.gui.theme import Theme
from workbench.gui.widgets.basics import text


class ReadingPanel(QWidget):
    """Tokens stand on two grounds in turn, so that their borders are seen; blanks are left as they are."""

    def __init__(self, theme: Theme, model: str, tokens: Sequence[tuple[int, str]]) -> None:
        super().__init__()
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 4, 8, 0)
        box.setSpacing(8)
        box.addWidget(
            text(f"{len(tokens)} tokens go to {model}; the answer begins behind the last.", "quiet", wrap=True)
        )
        self.view = QPlainTextEdit()
        self.view.setObjectName("playground.reading")
        self.view.setAccessibleName("The prompt as the model reads it")
        self.view.setReadOnly(True)
        self.view.setFont(theme.mono_font())
        grounds = [QTextCharFormat(), QTextCharFormat()]
        grounds[1].setBackground(QColor(theme.colours.accent_soft))
        cursor = QTextCursor(self.view.document())
        for place, (_, piece) in enumerate(tokens):
            cursor.insertText(piece, grounds[place % 2])
        box.addWidget(self.view, 1)
