"""Model text as a person may safely read it: Markdown without HTML, nothing fetched, code highlighted; or raw."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import QSize, Qt, QUrl
from PySide6.QtGui import QFontMetricsF, QTextBlockFormat, QTextCursor, QTextDocument
from PySide6.QtWidgets import QTextBrowser, QWidget

from workbench.gui.theme import Theme
from workbench.gui.widgets.markup import sheet, to_html
from workbench.gui.widgets.unseen import visible

LONGEST_MARKDOWN = 200_000
LINE_DISTANCE = 1.5  # of the letters' size, from one line of reading text to the next


class MarkdownView(QTextBrowser):
    """A read-only view of one text. Links don't open and pictures don't load, wherever they point to."""

    def __init__(self, theme: Theme, name: str, parent: QWidget | None = None, *, raw: bool = False) -> None:
        super().__init__(parent)
        self.setObjectName(name)
        self.setAccessibleName("Text")
        self.setOpenLinks(False)
        self.setOpenExternalLinks(False)
        self.document().setDocumentMargin(0)
        self._theme, self._raw, self._text = theme, raw, ""
        self._grows = False
        theme.changed.connect(self._render)

    @property
    def text(self) -> str:
        """The text that is shown, as it was given."""
        return self._text

    @property
    def raw(self) -> bool:
        """Whether the text is shown as it stands."""
        return self._raw

    def show_text(self, words: str, *, raw: bool | None = None) -> None:
        """Show a text, as Markdown or raw."""
        self._text = words
        self._raw = self._raw if raw is None else raw
        self._render()

    def set_raw(self, raw: bool) -> None:
        """Switch between Markdown and raw text."""
        if raw != self._raw:
            self._raw = raw
            self._render()

    def grow_with_text(self) -> None:
        """Be as high as the text; for a view inside something that scrolls."""
        self._grows = True
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.document().documentLayout().documentSizeChanged.connect(lambda _: self._fit())

    def loadResource(self, kind: int, name: QUrl | str) -> Any:
        """Load nothing: neither from the network nor from this disk."""
        return None

    def sizeHint(self) -> QSize:
        """As high as the text when growing with it."""
        if self._grows:
            return QSize(320, max(24, int(self.document().size().height()) + 4))
        return super().sizeHint()

    def _fit(self) -> None:
        self.setFixedHeight(max(24, int(self.document().size().height()) + 4))

    def _render(self) -> None:
        font = self._theme.reading_font()
        self.document().setDefaultFont(font)
        if self._raw or len(self._text) > LONGEST_MARKDOWN:
            self.setPlainText(visible(self._text))
            self._space_lines()
            return
        self.document().setDefaultStyleSheet(sheet(self._theme.colours, self._theme.mono))
        self.setHtml(to_html(self._text, self._theme.colours))
        self.document().setMetaInformation(QTextDocument.MetaInformation.DocumentTitle, "")
        self._space_lines()

    def _space_lines(self) -> None:
        font = self._theme.reading_font()
        share = 100 * LINE_DISTANCE * font.pixelSize() / QFontMetricsF(font).height()
        spaced = QTextBlockFormat()
        spaced.setLineHeight(max(100.0, share), QTextBlockFormat.LineHeightTypes.ProportionalHeight.value)
        cursor = QTextCursor(self.document())
        cursor.select(QTextCursor.SelectionType.Document)
        cursor.mergeBlockFormat(spaced)
