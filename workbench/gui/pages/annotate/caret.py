"""A pane with a caret: select with Shift and the arrows or with the mouse, and see which stretches have comments."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from PySide6.QtCore import QPoint, QRect, Qt, Signal
from PySide6.QtGui import QColor, QFocusEvent, QFont, QKeyEvent, QPainter, QPaintEvent, QTextCharFormat, QTextCursor
from PySide6.QtWidgets import QTextEdit, QWidget

from workbench.domain.judgement import Span
from workbench.gui.pages.annotate.reading import ReadingPane
from workbench.gui.theme import Theme
from workbench.gui.widgets.unseen import visible

if TYPE_CHECKING:
    from workbench.gui.widgets.source_map import SourceMap

_MOUSE = Qt.TextInteractionFlag.TextSelectableByMouse
_BOTH = _MOUSE | Qt.TextInteractionFlag.TextSelectableByKeyboard
_CELLS = re.compile("[\ufdd0-\ufdef]")  # stand in Qt's text where a cell of a table begins
_MOVES = {
    Qt.Key.Key_Left, Qt.Key.Key_Right, Qt.Key.Key_Up, Qt.Key.Key_Down, Qt.Key.Key_Home, Qt.Key.Key_End, Qt.Key.Key_PageUp,
    Qt.Key.Key_PageDown,
}  # fmt: skip
_ASKS = {
    Qt.Key.Key_C: "comment", Qt.Key.Key_Return: "comment", Qt.Key.Key_Enter: "comment", Qt.Key.Key_Delete: "remove",
    Qt.Key.Key_Backspace: "remove", Qt.Key.Key_W: "whole", Qt.Key.Key_Escape: "leave",
}  # fmt: skip


class CommentPane(ReadingPane):
    """In caret mode the arrows move a caret here, and no key acts on the item. `asked` tells comment, whole, remove or leave."""

    asked = Signal(str)

    def __init__(self, theme: Theme, name: str, parent: QWidget | None = None) -> None:
        super().__init__(theme, name, parent)
        self.caret = False
        self._map: SourceMap | None = None
        self._numbers: list[tuple[int, int]] = []

    def enter(self) -> None:
        """Put the caret on the first line that is seen, or leave it in a selection, and take the keyboard."""
        self.complete()
        self.caret = True
        self.setTextInteractionFlags(_BOTH)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        if not self.textCursor().hasSelection():
            self.setTextCursor(self.cursorForPosition(QPoint(1, 1)))
        self.setFocus()

    def leave(self) -> None:
        """Give the keyboard back; a selection stays to be seen."""
        self.caret = False
        self.setTextInteractionFlags(_MOUSE)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)

    def selected(self) -> tuple[int, int] | None:
        """The characters of the text that are selected, or the word at the caret; None where there is neither."""
        cursor = self.textCursor()
        start, end = cursor.selectionStart(), cursor.selectionEnd()
        if start == end:
            around = self.places.word(start)
            if around is None:
                return None
            start, end = around
        return self.places.source(start, end)

    @property
    def here(self) -> int | None:
        """The character of the text at the caret."""
        around = self.places.word(self.textCursor().position())
        position = self.textCursor().position()
        found = self.places.source(position, position + 1) or (around and self.places.source(*around))
        return found[0] if found else None

    @property
    def places(self) -> SourceMap:
        """Where what is shown stands in the text; made when it is first asked for."""
        if self._map is None:
            from workbench.gui.widgets.source_map import SourceMap

            self.complete()
            self._map = SourceMap(self.text, self.document().toRawText(), dressed=self.dressed)
        return self._map

    def read(self, start: int, end: int) -> str:
        """What is shown of these characters of the text: without Markdown's marks, unless the text is shown raw."""
        place = self.places.document(start, end)
        if place is None:  # only marks, or what can't be found again
            return visible(self.text[start:end])
        units = self.document().toRawText().encode("utf-16-le")[2 * place[0] : 2 * place[1]]  # as Qt counts
        return _CELLS.sub(" ", units.decode("utf-16-le"))

    def show_comments(self, spans: Sequence[Span]) -> None:
        """Underline what has comments, with their numbers."""
        colours = self._theme.colours
        look = QTextCharFormat()
        look.setUnderlineStyle(QTextCharFormat.UnderlineStyle.WaveUnderline)
        look.setUnderlineColor(QColor(colours.accent))
        soft = QColor(colours.accent)
        soft.setAlpha(36)
        look.setBackground(soft)
        found = [
            (number, self.places.document(span.start, span.end)) for number, span in enumerate(spans, 1) if span.end
        ]
        self._numbers = [(number, place[1]) for number, place in found if place is not None]
        self.mark("comments", [(*place, look) for _, place in found if place is not None])
        self.viewport().update()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """In caret mode: move, select, ask; every other key does nothing. Else: leave every key to the page."""
        if not self.caret or event.modifiers() & Qt.KeyboardModifier.AltModifier:
            event.ignore()
        elif event.key() in _MOVES:
            QTextEdit.keyPressEvent(self, event)
        elif event.modifiers() & Qt.KeyboardModifier.ControlModifier:
            event.ignore()
        elif event.key() in _ASKS:
            self.asked.emit(_ASKS[Qt.Key(event.key())])
        else:
            event.accept()

    def focusOutEvent(self, event: QFocusEvent) -> None:
        """Whoever goes elsewhere has left the caret mode."""
        super().focusOutEvent(event)
        if self.caret and event.reason() not in {
            Qt.FocusReason.ActiveWindowFocusReason,
            Qt.FocusReason.PopupFocusReason,
        }:
            self.leave()

    def paintEvent(self, event: QPaintEvent) -> None:
        """The text, and the numbers of its comments behind what they are about."""
        super().paintEvent(event)
        if not self._numbers:
            return
        painter = QPainter(self.viewport())
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        font = QFont(self.font())
        font.setPixelSize(13)
        font.setBold(True)
        painter.setFont(font)
        for number, position in self._numbers:
            cursor = QTextCursor(self.document())
            cursor.setPosition(position)
            at = self.cursorRect(cursor)
            words = str(number)
            box = QRect(at.left() + 1, max(0, at.top() - 4), painter.fontMetrics().horizontalAdvance(words) + 6, 15)
            box.moveRight(min(box.right(), self.viewport().width() - 1))
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(QColor(self._theme.colours.accent))
            painter.drawRoundedRect(box, 4, 4)
            painter.setPen(QColor(self._theme.colours.on_accent))
            painter.drawText(box, Qt.AlignmentFlag.AlignCenter, words)
        painter.end()

    def show_text(self, words: str, *, raw: bool | None = None) -> None:
        """Show a text from its beginning, without marks."""
        self._numbers = []
        if self.caret:
            self.leave()
        super().show_text(words, raw=raw)

    def _render(self) -> None:
        self._map = None
        super()._render()
