"""The ground of the lab's drawings: it scrolls, and its spots can be pointed at, walked to with arrows, told about and opened."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

from PySide6.QtCore import QEvent, QPointF, QRectF, Qt, Signal
from PySide6.QtGui import QColor, QFocusEvent, QFont, QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPen, QResizeEvent
from PySide6.QtWidgets import QAbstractScrollArea, QFrame

from workbench.gui.pages.playground.bubble import Bubble
from workbench.gui.theme import Theme

WALKS = {
    Qt.Key.Key_Left, Qt.Key.Key_Right, Qt.Key.Key_Up, Qt.Key.Key_Down, Qt.Key.Key_Home, Qt.Key.Key_End,
    Qt.Key.Key_PageUp, Qt.Key.Key_PageDown,
}  # fmt: skip
USUAL = 13  # pixels of the usual font
OPENS = {Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_Space}
Spot = Any  # whatever a drawing counts its things by


class Canvas(QAbstractScrollArea):
    """A drawing larger than its window. A kind of drawing says where its spots are (`spot_at`, `box_of`), what they are
    (`words_of`: plain lines, the first one a heading), how the arrows lead from one to another (`walked`), and draws itself.

    `pointed` tells which spot a person stands on (None: on none), `opened` which one they want to act on (Enter or a double click).
    """

    pointed = Signal(object)
    opened = Signal(object)
    head_lines = 0

    def __init__(self, theme: Theme, name: str, accessible: str) -> None:
        super().__init__()
        self.theme = theme
        self.setObjectName(name)
        self.setAccessibleName(accessible)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.viewport().setMouseTracking(True)
        self.viewport().setAutoFillBackground(False)
        self.bubble = Bubble(self)
        self.current: Spot | None = None
        self.over: Spot | None = None
        for bar in (self.verticalScrollBar(), self.horizontalScrollBar()):
            bar.setSingleStep(24)
            bar.valueChanged.connect(lambda _: self.bubble.hide())

    # What a kind of drawing says.

    def extent(self) -> tuple[float, float]:
        """Width and height of the whole drawing without its head."""
        return 0.0, 0.0

    def draw(self, painter: QPainter, visible: QRectF) -> None:
        """Draw what lies in `visible`, in the drawing's own coordinates."""

    def draw_head(self, painter: QPainter, visible: QRectF) -> None:
        """Draw what stays at the top: only `left` and `right` of `visible` matter."""

    def spot_at(self, point: QPointF) -> Spot | None:
        """The spot at a point of the drawing."""
        return None

    def box_of(self, spot: Spot) -> QRectF:
        """Where a spot lies."""
        return QRectF()

    def note_box(self, spot: Spot) -> QRectF:
        """What a note about a spot must not hide."""
        return self.box_of(spot)

    def words_of(self, spot: Spot) -> Sequence[str]:
        """What a spot is, in plain lines."""
        return ()

    def walked(self, spot: Spot | None, key: Qt.Key) -> Spot | None:
        """The spot that a key leads to."""
        return spot

    # What is the same in all.

    def changed(self) -> None:
        """The drawing is another one, or of another size."""
        width, height = self.extent()
        view = self.viewport()
        for bar, whole, page in (
            (self.horizontalScrollBar(), width, view.width()),
            (self.verticalScrollBar(), height + self.head, view.height()),
        ):
            bar.setRange(0, max(0, round(whole) - page))
            bar.setPageStep(page)
        view.update()

    def forget(self) -> None:
        """No spot is current: the drawing is about something else."""
        self.bubble.hide()
        had = self.current is not None
        self.current = self.over = None
        self.setAccessibleDescription("")
        if had:
            self.pointed.emit(None)

    def select(self, spot: Spot | None, *, tell: bool = False) -> None:
        """Stand on a spot, bring it into sight, and say what it is if asked to."""
        moved = spot != self.current
        self.current = spot
        if spot is not None:
            self._show(self.box_of(spot))
            words = self.words_of(spot)
            self.setAccessibleDescription(", ".join(words))
            if tell:
                self.bubble.say(rich(words), self._placed(self.note_box(spot)).toAlignedRect())
        self.viewport().update()
        if moved:
            self.pointed.emit(spot)

    @property
    def unit(self) -> float:
        """How much larger than usual the words are, and with them all that holds words."""
        return max(1.0, self.theme.font_size / USUAL)

    @property
    def head(self) -> float:
        """Height of what stays in sight at the top: so many lines of words, and a line below them."""
        return self.head_lines * self.fontMetrics().height() + 10.0 if self.head_lines else 0.0

    def mono(self) -> QFont:
        """The font of tokens."""
        return self.theme.mono_font()

    def dress(self) -> None:
        """Take the theme's colours and fonts again."""
        self.changed()

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw what is in sight, then what stays at the top, then the outlines of the spots that matter."""
        painter = QPainter(self.viewport())
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        view = self.viewport().rect()
        left, top = self.horizontalScrollBar().value(), self.verticalScrollBar().value()
        visible = QRectF(left, top, view.width(), view.height() - self.head)
        painter.setClipRect(QRectF(0, self.head, view.width(), view.height()))
        painter.translate(-left, self.head - top)
        painter.setFont(self.font())
        self.draw(painter, visible)
        for spot, colour in ((self.over, self.theme.colours.edge), (self.current, self.theme.colours.accent)):
            if spot is not None:
                painter.setPen(QPen(QColor(colour), 2))
                painter.setBrush(Qt.BrushStyle.NoBrush)
                painter.drawRoundedRect(self.box_of(spot).adjusted(1, 1, -1, -1), 4, 4)
        painter.resetTransform()
        painter.setClipping(False)
        if self.head:
            painter.translate(-left, 0)
            painter.setFont(self.font())
            self.draw_head(painter, visible)
        painter.end()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Another window onto the drawing."""
        super().resizeEvent(event)
        self.changed()

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Tell soon what lies under the pointer."""
        self._hover(self._spot_under(event.position()))

    def leaveEvent(self, event: QEvent) -> None:
        """The pointer is on nothing."""
        super().leaveEvent(event)
        self._hover(None)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Stand on the spot under the pointer."""
        spot = self._spot_under(event.position())
        if spot is not None and event.button() == Qt.MouseButton.LeftButton:
            self.select(spot)

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        """Open the spot under the pointer; one click only stands on it."""
        spot = self._spot_under(event.position())
        if spot is not None and event.button() == Qt.MouseButton.LeftButton:
            self.select(spot)
            self.opened.emit(spot)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Arrows walk, Enter opens."""
        plain = not event.modifiers() & (Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.AltModifier)
        if plain and event.key() in WALKS:
            there = self.walked(self.current, Qt.Key(event.key()))
            if there is not None:
                self.select(there, tell=True)
        elif plain and event.key() in OPENS and self.current is not None:
            self.opened.emit(self.current)
        elif event.key() == Qt.Key.Key_Escape and self.bubble.words:
            self.bubble.hide()
        else:
            super().keyPressEvent(event)

    def focusInEvent(self, event: QFocusEvent) -> None:
        """Show where the focus is."""
        super().focusInEvent(event)
        self.viewport().update()

    def _hover(self, spot: Spot | None) -> None:
        if spot == self.over:
            return
        self.over = spot
        self.viewport().update()
        if spot is None:
            self.bubble.hide()
        else:
            self.bubble.soon(rich(self.words_of(spot)), self._placed(self.note_box(spot)).toAlignedRect())

    def _spot_under(self, point: QPointF) -> Spot | None:
        if point.y() < self.head:
            return None
        left, top = self.horizontalScrollBar().value(), self.verticalScrollBar().value()
        return self.spot_at(QPointF(point.x() + left, point.y() - self.head + top))

    def _placed(self, box: QRectF) -> QRectF:
        """A box of the drawing in this widget's coordinates."""
        left, top = self.horizontalScrollBar().value(), self.verticalScrollBar().value()
        corner = self.viewport().pos()
        return box.translated(corner.x() - left, corner.y() + self.head - top)

    def _show(self, box: QRectF) -> None:
        view = self.viewport()
        for bar, low, high, page in (
            (self.horizontalScrollBar(), box.left(), box.right(), float(view.width())),
            (self.verticalScrollBar(), box.top(), box.bottom(), view.height() - self.head),
        ):
            if low < bar.value() or high > bar.value() + page:
                bar.setValue(round(low - max(0.0, page - (high - low)) / 2))


def rich(words: Sequence[str]) -> str:
    """Plain lines as rich text, everything escaped, the first one a heading."""
    return "<br>".join(f"<b>{escape(line)}</b>" if number == 0 else escape(line) for number, line in enumerate(words))
