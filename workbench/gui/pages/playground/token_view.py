"""Shows a column's text as it grows; as heat on demand; every token can be pointed at, walked to and opened."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QEvent, QPoint, QPointF, QRect, QRectF, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QFocusEvent,
    QFont,
    QGuiApplication,
    QKeyEvent,
    QKeySequence,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QPolygonF,
    QResizeEvent,
)
from PySide6.QtWidgets import QAbstractScrollArea, QFrame

from workbench.domain.choices import TokenChoice
from workbench.gui.pages.playground.bubble import Bubble
from workbench.gui.pages.playground.heat import Mode
from workbench.gui.pages.playground.token_layout import TokenLayout
from workbench.gui.pages.playground.token_words import describe, facts, name_of, shown
from workbench.gui.theme import Colours, Theme

MARGIN = 12
FADED = 0.35  # how much of the ground lies over stale text
_WALKS = {Qt.Key.Key_Left, Qt.Key.Key_Right, Qt.Key.Key_Up, Qt.Key.Key_Down, Qt.Key.Key_Home, Qt.Key.Key_End}
_OPENS = {Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_Space}


class TokenView(QAbstractScrollArea):
    """Paints tokens from a kept layout.

    How to place it: one in each column, `add` tokens as they come, `set_mode` from the list of MODES (heat.py), `set_mark` where
    columns part, `set_kl` when an alignment has told it, `set_stale` when a setting would choose something else. `opened` tells
    which token a person wants to look into (Enter, a click); `pointed` which one they stand on, -1 for none.
    """

    opened = Signal(int)
    pointed = Signal(int)

    def __init__(self, theme: Theme, name: str) -> None:
        super().__init__()
        self._theme = theme
        self.setObjectName(name)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.viewport().setMouseTracking(True)
        self.viewport().setAutoFillBackground(False)
        self.bubble = Bubble(self)
        self._layout = TokenLayout(theme.reading_font())
        self._mark: int | None = None
        self._over: int | None = None
        self.stale: int | None = None
        self.selected: int | None = None
        self.verticalScrollBar().valueChanged.connect(lambda _: self.bubble.hide())
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
        self._mark = self.selected = self.stale = self._over = None
        self.bubble.hide()
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
        self.bubble.hide()
        self._layout.set(mode=mode, font=self._font(mode))
        self._scroll()

    def set_kl(self, values: Sequence[float | None]) -> None:
        """KL to the reference in nats at each token from the first on; None or nothing where it isn't known."""
        self._layout.set(kl=tuple(values))
        self._scroll()

    def set_mark(self, offset: int | None) -> None:
        """Mark where columns part: at the beginning of the token that differs."""
        if offset is not None and (token := self._layout.token_of(offset)) is not None:
            offset = self.tokens[token].start
        if offset != self._mark:
            self._mark = offset
            self.viewport().update()

    def set_stale(self, token: int | None) -> None:
        """Everything from this token on would be something else under the settings that a person looks at; None: nothing."""
        if token != self.stale:
            self.stale = token
            self.viewport().update()
            self._say()

    def select(self, token: int | None) -> None:
        """Outline a token and bring it into sight."""
        if token == self.selected:
            return
        self.selected = token
        self._reveal()
        self.viewport().update()
        self._say()
        self.pointed.emit(-1 if token is None else token)

    def dress(self) -> None:
        """Take fonts and colours from the theme again."""
        self._layout.set(font=self._font(self._layout.mode))
        self._scroll()

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw the paragraphs in sight, what is stale, the parting mark, the token under the pointer and the selected one."""
        painter = QPainter(self.viewport())
        colours = self._theme.colours
        painter.setPen(QColor(colours.text))
        above = self.verticalScrollBar().value() - MARGIN
        painter.translate(MARGIN, -above)
        for paragraph in self._layout.paragraphs:
            if paragraph.top + paragraph.height >= above and paragraph.top <= above + self.viewport().height():
                paragraph.layout.draw(painter, QPointF(0.0, paragraph.top))
        if self.stale is not None and self.stale < len(self.tokens):
            _draw_stale(painter, self._layout, self.stale, self._theme.colours)
        if self._mark is not None and (place := self._layout.place_of(self._mark)) is not None:
            _draw_mark(painter, place, QColor(colours.accent))
        for token, width in ((self._over, 1), (self.selected, 2)):
            if token is not None and token < len(self.tokens):
                painter.setPen(QPen(QColor(colours.text), width))
                for box in self._layout.boxes(token):
                    painter.drawRoundedRect(box.adjusted(-1, 0, 1, 0), 3, 3)
        painter.end()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Lay out for the new width."""
        super().resizeEvent(event)
        self._layout.set(width=self.viewport().width() - 2 * MARGIN)
        self._scroll()
        self._reveal()

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """A hand and an outline over tokens, and soon its numbers."""
        over = self._token_at(event.position().toPoint())
        shape = Qt.CursorShape.PointingHandCursor if over is not None else Qt.CursorShape.ArrowCursor
        self.viewport().setCursor(shape)
        if over != self._over:
            self._over = over
            self.viewport().update()
            if over is None:
                self.bubble.hide()
            else:
                self.bubble.soon(describe(self.tokens[over], self._kl(over)), self._rect(over))

    def leaveEvent(self, event: QEvent) -> None:
        """The pointer is on nothing."""
        super().leaveEvent(event)
        self._over = None
        self.bubble.hide()
        self.viewport().update()

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Open the token under the pointer."""
        token = self._token_at(event.position().toPoint())
        if token is not None and event.button() == Qt.MouseButton.LeftButton:
            self.select(token)
            self.opened.emit(token)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        """The press has done it."""
        event.accept()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Arrows walk over tokens, Enter opens one, Ctrl+C copies the text."""
        if event.matches(QKeySequence.StandardKey.Copy):
            QGuiApplication.clipboard().setText(self.text)
        elif event.key() in _WALKS and self.tokens and not event.modifiers() & Qt.KeyboardModifier.ControlModifier:
            self.select(self._walked(Qt.Key(event.key())))
            if self.selected is not None:
                self.bubble.say(
                    describe(self.tokens[self.selected], self._kl(self.selected)), self._rect(self.selected)
                )
        elif event.key() in _OPENS and self.selected is not None:
            self.opened.emit(self.selected)
        else:
            super().keyPressEvent(event)

    def focusInEvent(self, event: QFocusEvent) -> None:
        """Show where the focus is."""
        super().focusInEvent(event)
        self.viewport().update()

    def _walked(self, key: Qt.Key) -> int:
        last = len(self.tokens) - 1
        if key in {Qt.Key.Key_Home, Qt.Key.Key_End}:
            return 0 if key == Qt.Key.Key_Home else last
        if self.selected is None:
            return 0 if key in {Qt.Key.Key_Right, Qt.Key.Key_Down} else last
        if key in {Qt.Key.Key_Up, Qt.Key.Key_Down}:
            there = self._layout.next_line(self.selected, key == Qt.Key.Key_Down)
            return self.selected if there is None else there
        return min(max(self.selected + (1 if key == Qt.Key.Key_Right else -1), 0), last)

    def _kl(self, token: int) -> float | None:
        return self._layout.kl[token] if token < len(self._layout.kl) else None

    def _rect(self, token: int) -> QRect:
        """Where a token is in this widget."""
        box = next(self._layout.boxes(token), QRectF(0, 0, 1, 1))
        moved = box.translated(MARGIN, MARGIN - self.verticalScrollBar().value()).toAlignedRect()
        return moved.translated(self.viewport().pos())

    def _font(self, mode: Mode) -> QFont:
        font = self._theme.mono_font() if mode != "text" else self._theme.reading_font()
        font.setPixelSize(self._theme.reading_size if mode == "text" else max(13, self._theme.reading_size - 1))
        return font

    def _token_at(self, point: QPoint) -> int | None:
        return self._layout.token_at(QPointF(point.x() - MARGIN, point.y() - MARGIN + self.verticalScrollBar().value()))

    def _scroll(self) -> None:
        bar, page = self.verticalScrollBar(), self.viewport().height()
        bar.setRange(0, max(0, int(self._layout.height) + 2 * MARGIN - page))
        bar.setPageStep(page)
        bar.setSingleStep(24)
        self.viewport().update()

    def _reveal(self) -> None:
        """Bring the selected token into sight."""
        box = None if self.selected is None else next(self._layout.boxes(self.selected), None)
        if box is not None:
            bar, top = self.verticalScrollBar(), int(box.top()) + MARGIN
            if not bar.value() <= top <= bar.value() + self.viewport().height() - int(box.height()) - MARGIN:
                bar.setValue(top - self.viewport().height() // 3)

    def _say(self) -> None:
        words = f"{len(self.tokens)} tokens"
        if self.selected is not None and self.selected < len(self.tokens):
            choice = self.tokens[self.selected]
            words = f"token {self.selected + 1} of {len(self.tokens)}, {shown(name_of(choice))}, " + ", ".join(
                facts(choice, self._kl(self.selected))
            )
        if self.stale is not None:
            words += f"; stale from token {self.stale + 1} on: the settings would choose something else there"
        self.setAccessibleDescription(words)


def _draw_mark(painter: QPainter, place: QRectF, colour: QColor) -> None:
    """An upright line with a flag: also seen by who can't see its colour."""
    painter.fillRect(QRectF(place.left() - 1.5, place.top() - 2, 2, place.height() + 2), colour)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(colour)
    x, y = place.left() - 0.5, place.top() - 3
    painter.drawPolygon(QPolygonF([QPointF(x - 5, y), QPointF(x + 5, y), QPointF(x, y + 6)]))
    painter.setBrush(Qt.BrushStyle.NoBrush)


def _draw_stale(painter: QPainter, laid: TokenLayout, token: int, colours: Colours) -> None:
    """A veil over all that stands behind the change, and a dashed line where it begins."""
    first = next((box for t in range(token, len(laid.tokens)) for box in laid.boxes(t)), None)
    if first is None:
        return
    veil = QColor(colours.surface)
    veil.setAlphaF(FADED)
    width, end = laid.width, laid.height
    painter.fillRect(QRectF(first.left(), first.top(), width + MARGIN - first.left(), first.height() + 3), veil)
    painter.fillRect(QRectF(-MARGIN, first.bottom() + 3, width + 2 * MARGIN, end - first.bottom()), veil)
    painter.setPen(QPen(QColor(colours.warning), 2, Qt.PenStyle.DashLine))
    painter.drawLine(QPointF(first.left() - 1, first.top()), QPointF(first.left() - 1, first.bottom() + 3))
    painter.drawLine(QPointF(-4, first.bottom() + 4), QPointF(-4, end))
    painter.drawLine(QPointF(-4, first.bottom() + 4), QPointF(first.left() - 1, first.bottom() + 4))
