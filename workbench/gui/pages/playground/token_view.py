"""Shows a column's text as it grows; as heat on demand; every token can be pointed at, walked to and opened."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from PySide6.QtCore import QEvent, QPoint, QPointF, QRectF, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QFocusEvent,
    QFont,
    QGuiApplication,
    QHelpEvent,
    QKeyEvent,
    QKeySequence,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QPolygonF,
    QResizeEvent,
)
from PySide6.QtWidgets import QAbstractScrollArea, QFrame, QToolTip

from workbench.domain.choices import Alternative, TokenChoice
from workbench.gui.pages.playground.heat import Mode
from workbench.gui.pages.playground.token_layout import TokenLayout
from workbench.gui.theme import Theme

MARGIN = 12


class TokenView(QAbstractScrollArea):
    """Paints tokens from a kept layout. `opened` tells which token a person wants to look into."""

    opened = Signal(int)

    def __init__(self, theme: Theme, name: str) -> None:
        super().__init__()
        self._theme = theme
        self.setObjectName(name)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.viewport().setMouseTracking(True)
        self.viewport().setAutoFillBackground(False)
        self._layout = TokenLayout(theme.reading_font())
        self._mark: int | None = None
        self.selected: int | None = None
        self._say()

    @property
    def text(self) -> str:
        """What is shown."""
        return self._layout.text

    @property
    def tokens(self) -> Sequence[TokenChoice]:
        """What was added."""
        return self._layout.tokens

    @property
    def mark(self) -> int | None:
        """Where this column parts from another one, as an offset of the text."""
        return self._mark

    def clear(self) -> None:
        """Show nothing."""
        self._layout.clear()
        self._mark = self.selected = None
        self._scroll()
        self._say()

    def add(self, tokens: Sequence[TokenChoice]) -> None:
        """Append tokens; a view that is at its end stays there."""
        bar = self.verticalScrollBar()
        follows = bar.value() >= bar.maximum() - 4
        self._layout.add(tokens)
        self._scroll()
        if follows:
            bar.setValue(bar.maximum())
        self._say()

    def set_mode(self, mode: Mode) -> None:
        """Plain text, or tokens as heat."""
        self._layout.set(mode=mode, font=self._font(mode))
        self._scroll()

    def set_mark(self, offset: int | None) -> None:
        """Mark where columns part: at the beginning of the token that differs."""
        if offset is not None and (token := self._layout.token_of(offset)) is not None:
            offset = self.tokens[token].start
        if offset != self._mark:
            self._mark = offset
            self.viewport().update()

    def select(self, token: int | None) -> None:
        """Outline a token and bring it into sight."""
        self.selected = token
        if token is not None:
            for box in self._layout.boxes(token):
                bar, top = self.verticalScrollBar(), int(box.top()) + MARGIN
                if not bar.value() <= top <= bar.value() + self.viewport().height() - int(box.height()) - MARGIN:
                    bar.setValue(top - self.viewport().height() // 3)
                break
        self.viewport().update()
        self._say()

    def dress(self) -> None:
        """Take fonts and colours from the theme again."""
        self._layout.set(font=self._font(self._layout.mode))
        self._scroll()

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw the paragraphs in sight, the parting mark and the selected token."""
        painter = QPainter(self.viewport())
        colours = self._theme.colours
        painter.setPen(QColor(colours.text))
        above = self.verticalScrollBar().value() - MARGIN
        painter.translate(MARGIN, -above)
        for paragraph in self._layout.paragraphs:
            if paragraph.top + paragraph.height >= above and paragraph.top <= above + self.viewport().height():
                paragraph.layout.draw(painter, QPointF(0.0, paragraph.top))
        if self._mark is not None and (place := self._layout.place_of(self._mark)) is not None:
            _draw_mark(painter, place, QColor(colours.accent))
        if self.selected is not None:
            painter.setPen(QPen(QColor(colours.text), 2))
            for box in self._layout.boxes(self.selected):
                painter.drawRoundedRect(box.adjusted(-1, 0, 1, 0), 3, 3)
        painter.end()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Lay out for the new width."""
        super().resizeEvent(event)
        self._layout.set(width=self.viewport().width() - 2 * MARGIN)
        self._scroll()

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """A hand over tokens."""
        over = self._token_at(event.position().toPoint())
        shape = Qt.CursorShape.PointingHandCursor if over is not None else Qt.CursorShape.ArrowCursor
        self.viewport().setCursor(shape)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Open the token under the pointer."""
        token = self._token_at(event.position().toPoint())
        if token is not None and event.button() == Qt.MouseButton.LeftButton:
            self.select(token)
            self.opened.emit(token)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        """The press has done it."""
        event.accept()

    def viewportEvent(self, event: QEvent) -> bool:
        """Tell about the token under the pointer."""
        if event.type() == QEvent.Type.ToolTip and isinstance(event, QHelpEvent):
            token = self._token_at(event.pos())
            QToolTip.showText(event.globalPos(), describe(self.tokens[token]) if token is not None else "", self)
            return True
        return super().viewportEvent(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Arrows walk over tokens, Enter opens one, Ctrl+C copies the text."""
        if event.matches(QKeySequence.StandardKey.Copy):
            QGuiApplication.clipboard().setText(self.text)
        elif event.key() in {Qt.Key.Key_Left, Qt.Key.Key_Right} and self.tokens:
            step = 1 if event.key() == Qt.Key.Key_Right else -1
            here = self.selected if self.selected is not None else (-1 if step > 0 else len(self.tokens))
            self.select(min(max(here + step, 0), len(self.tokens) - 1))
        elif event.key() in {Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_Space} and self.selected is not None:
            self.opened.emit(self.selected)
        else:
            super().keyPressEvent(event)

    def focusInEvent(self, event: QFocusEvent) -> None:
        """Show where the focus is."""
        super().focusInEvent(event)
        self.viewport().update()

    def _font(self, mode: Mode) -> QFont:
        font = self._theme.mono_font() if mode != "text" else self._theme.reading_font()
        font.setPixelSize(self._theme.reading_size if mode == "text" else self._theme.reading_size - 1)
        return font

    def _token_at(self, point: QPoint) -> int | None:
        return self._layout.token_at(QPointF(point.x() - MARGIN, point.y() - MARGIN + self.verticalScrollBar().value()))

    def _scroll(self) -> None:
        bar, page = self.verticalScrollBar(), self.viewport().height()
        bar.setRange(0, max(0, int(self._layout.height) + 2 * MARGIN - page))
        bar.setPageStep(page)
        bar.setSingleStep(24)
        self.viewport().update()

    def _say(self) -> None:
        words = f"{len(self.tokens)} tokens"
        if self.selected is not None:
            choice = self.tokens[self.selected]
            words = f"token {self.selected + 1} of {len(self.tokens)}, {choice.text!r}, {choice.p_model:.1%}"
        self.setAccessibleDescription(words)


def describe(choice: TokenChoice) -> str:
    """A token in a few lines: probability, rank, entropy, what was kept, and the best alternatives."""
    name = shown(name_of(choice))
    head = f"<b>{escape(name)}</b> &nbsp; {choice.p_model:.1%}"
    used = f"used {choice.p_used:.1%}, {choice.kept:,} kept ({choice.kept_mass:.0%})"
    facts = f"rank {choice.rank + 1}, entropy {choice.entropy:.2f} nats"
    rows = "".join(_row(a, a.id == choice.id) for a in choice.alternatives[:6])
    return f"{head}<br>{facts}<br>{used}<table cellspacing='0' cellpadding='2'>{rows}</table>"


def name_of(choice: TokenChoice) -> str:
    """A token's text, or the vocabulary's name for one that has none."""
    return choice.text or next((a.text for a in choice.alternatives if a.id == choice.id), f"token {choice.id}")


def shown(text: str) -> str:
    """A piece with its blanks made visible."""
    return text.replace(" ", "␣").replace("\n", "↵").replace("\t", "⇥")


def _row(alternative: Alternative, chosen: bool) -> str:
    name = escape(shown(alternative.text))
    name = f"<b>{name}</b>" if chosen else name
    cut = f" · cut by {alternative.cut_by.replace('_', ' ')}" if alternative.cut_by else ""
    return f"<tr><td>{name}</td><td align='right'>{alternative.p_model:.1%}</td><td>{cut}</td></tr>"


def _draw_mark(painter: QPainter, place: QRectF, colour: QColor) -> None:
    """An upright line with a flag: also seen by who can't see its colour."""
    painter.fillRect(QRectF(place.left() - 1.5, place.top() - 2, 2, place.height() + 2), colour)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(colour)
    x, y = place.left() - 0.5, place.top() - 3
    painter.drawPolygon(QPolygonF([QPointF(x - 5, y), QPointF(x + 5, y), QPointF(x, y + 6)]))
    painter.setBrush(Qt.BrushStyle.NoBrush)
