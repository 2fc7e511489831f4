"""Model text as a person may safely read it: Markdown without HTML, nothing fetched, code highlighted; or raw."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import QSize, Qt, QUrl
from PySide6.QtGui import QResizeEvent, QTextBlockFormat, QTextCursor, QTextDocument, QTextOption
from PySide6.QtWidgets import QTextBrowser, QWidget
from shiboken6 import isValid

from workbench.gui.theme import Theme
from workbench.gui.widgets.markup import needs_sheet, sheet, to_html
from workbench.gui.widgets.unseen import visible

LONGEST_MARKDOWN = 200_000
_OPTION = QTextOption()
_OPTION.setTextDirection(Qt.LayoutDirection.LayoutDirectionAuto)  # each paragraph by its first strong character
_OPTION.setWrapMode(QTextOption.WrapMode.WrapAtWordBoundaryOrAnywhere)
_CLOSE = QTextBlockFormat()  # the ground under code has no gaps between its lines
_CLOSE.setLineHeight(0, QTextBlockFormat.LineHeightTypes.SingleHeight.value)


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
        self._paper = self.document()
        theme.changed.connect(self._render)

    @property
    def text(self) -> str:
        """The text that is shown, as it was given."""
        return self._text

    @property
    def raw(self) -> bool:
        """Whether the text is shown as it stands."""
        return self._raw

    @property
    def dressed(self) -> bool:
        """Whether the text is shown as Markdown: it isn't where raw was asked for, or where it is too long."""
        return not self._raw and len(self._text) <= LONGEST_MARKDOWN

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
        self._watch_height()

    def loadResource(self, kind: int, name: QUrl | str) -> Any:
        """Load nothing: neither from the network nor from this disk."""
        return None

    def sizeHint(self) -> QSize:
        """As high as the text when growing with it."""
        if self._grows:
            return QSize(320, max(24, int(self.document().size().height()) + 4))
        return super().sizeHint()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Keep lines as short as they are liked."""
        self._limit_width()
        super().resizeEvent(event)

    def _fit(self) -> None:
        self.setFixedHeight(max(24, int(self.document().size().height()) + 4))

    def _watch_height(self) -> None:
        self._paper.documentLayout().documentSizeChanged.connect(lambda _: self._fit())
        self._fit()

    def _html(self) -> str:
        """What is shown when the text is dressed."""
        return to_html(self._text, self._theme.colours)

    def _plain(self) -> str:
        """What is shown when it isn't."""
        return visible(self._text)

    def _render(self) -> None:
        """Make a new document beside the one that is shown: three times as fast as changing one under the reader's eyes."""
        self._limit_width()
        paper = QTextDocument(self)
        paper.setUndoRedoEnabled(False)
        paper.setDocumentMargin(0)
        paper.setDefaultFont(self._theme.page.font)
        paper.setDefaultTextOption(_OPTION)
        grounds = False
        if self.dressed:
            html = self._html()
            if grounds := needs_sheet(html):
                paper.setDefaultStyleSheet(sheet(self._theme.colours, self._theme.mono))
            paper.setHtml(html)
            paper.setMetaInformation(QTextDocument.MetaInformation.DocumentTitle, "")
        else:
            paper.setPlainText(self._plain())
        self._space_lines(paper, grounds=grounds)
        before, self._paper = self._paper, paper
        self.setDocument(paper)
        if isValid(before):  # Qt takes only the first one away by itself
            before.deleteLater()
        if self._grows:
            self._watch_height()

    def _space_lines(self, paper: QTextDocument, *, grounds: bool) -> None:
        spaced = QTextBlockFormat()
        spaced.setLineHeight(self._theme.page.line, QTextBlockFormat.LineHeightTypes.ProportionalHeight.value)
        cursor = QTextCursor(paper)
        cursor.select(QTextCursor.SelectionType.Document)
        cursor.mergeBlockFormat(spaced)
        block = paper.begin()
        while grounds and block.isValid():
            if block.blockFormat().background().style() != Qt.BrushStyle.NoBrush:
                QTextCursor(block).mergeBlockFormat(_CLOSE)
            block = block.next()

    def _limit_width(self) -> None:
        wanted = self._theme.page.width
        room = self.width() - 14  # the scroll bar's place
        spare = int(room - wanted) if wanted and room > wanted else 0
        if self.viewportMargins().right() != spare:
            self.setViewportMargins(0, 0, spare, 0)
