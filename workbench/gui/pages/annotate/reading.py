"""A pane to read in: never takes the keyboard by itself, shows the beginning of a long text at once, tells how much is left."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtGui import QKeyEvent, QPaintEvent, QTextCharFormat, QTextCursor
from PySide6.QtWidgets import QTextEdit, QWidget

from workbench.gui.theme import Theme
from workbench.gui.widgets.markdown import MarkdownView
from workbench.gui.widgets.markup import to_html

AT_ONCE = 6_000  # characters of Markdown that are laid out before the first paint: more than any card shows
_LATER = 30  # milliseconds after the first paint


class ReadingPane(MarkdownView):
    """A view that leaves keys to the page. `scrolled` tells that what is seen, or what is left below, has changed."""

    scrolled = Signal()

    def __init__(self, theme: Theme, name: str, parent: QWidget | None = None) -> None:
        super().__init__(theme, name, parent)
        self.painted = False
        self._layers: dict[str, list[tuple[int, int, QTextCharFormat]]] = {}
        self._first = ""  # what is shown of a long text until the rest is laid out
        self._rest = QTimer(self)
        self._rest.setSingleShot(True)
        self._rest.setInterval(_LATER)
        self._rest.timeout.connect(self.complete)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setMinimumHeight(24)
        self.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        bar = self.verticalScrollBar()
        bar.valueChanged.connect(lambda _: self.scrolled.emit())
        bar.rangeChanged.connect(lambda *_: self.scrolled.emit())

    def show_text(self, words: str, *, raw: bool | None = None) -> None:
        """Show a text from its beginning, without marks; the rest of a long one follows when the beginning is on screen."""
        self._layers.clear()
        self._rest.stop()
        plain = self._raw if raw is None else raw
        self._first = beginning(words) if len(words) > AT_ONCE and not plain else ""
        super().show_text(words, raw=raw)
        self.verticalScrollBar().setValue(0)

    def complete(self) -> None:
        """Lay out the rest of a long text now; what is on screen stays where it is."""
        self._rest.stop()
        if self._first:
            self._first = ""
            place = self.verticalScrollBar().value()
            self._render()
            if place:  # somebody was faster; else Qt lays out lazily what is below
                self.document().documentLayout().documentSize()
                self.verticalScrollBar().setValue(place)

    @property
    def below(self) -> float:
        """The share of the text that is below what is seen, from 0 to 1."""
        bar = self.verticalScrollBar()
        laid_out = len(self._first) / len(self._text) if self._first else 1.0
        seen = (bar.value() + bar.pageStep()) / max(1, bar.maximum() + bar.pageStep())
        return max(0.0, 1.0 - laid_out * min(1.0, seen))

    def turn(self, pages: float) -> None:
        """Scroll by this many pages, with two lines in common."""
        bar = self.verticalScrollBar()
        bar.setValue(round(bar.value() + pages * max(1, bar.pageStep() - 24)))

    def mark(self, layer: str, places: Sequence[tuple[int, int, QTextCharFormat]]) -> None:
        """Mark stretches of the document (in its own positions); each layer replaces what it marked before."""
        if not places and layer not in self._layers:
            return
        self._layers[layer] = list(places)
        self._show_marks()

    def _show_marks(self) -> None:
        marks = []
        for start, end, look in (one for layer in self._layers.values() for one in layer):
            selection = QTextEdit.ExtraSelection()
            cursor = QTextCursor(self.document())
            cursor.setPosition(start)
            cursor.setPosition(end, QTextCursor.MoveMode.KeepAnchor)
            selection.cursor, selection.format = cursor, look
            marks.append(selection)
        self.setExtraSelections(marks)

    def _render(self) -> None:
        super()._render()
        self._show_marks()  # cursors of the document before mark nothing in this one

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Leave every key to the page."""
        event.ignore()

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paint, and remember that the text has been on screen."""
        super().paintEvent(event)
        self.painted = True
        if self._first and not self._rest.isActive():
            self._rest.start()

    def _html(self) -> str:
        return to_html(self._first or self._text, self._theme.colours)


def beginning(words: str) -> str:
    """About `AT_ONCE` characters of a long text, up to the end of a paragraph or at least of a word."""
    for gap in ("\n\n", "\n", " "):
        cut = words.rfind(gap, AT_ONCE // 2, AT_ONCE)
        if cut > 0:
            return words[:cut]
    return words[:AT_ONCE]
