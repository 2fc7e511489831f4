"""What could have stood in a token's place: probabilities before and after the rules, and which rule cut what."""

from __future__ import annotations

from PySide6.QtCore import QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QEnterEvent, QFocusEvent, QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QVBoxLayout, QWidget

from workbench.domain.choices import Alternative, TokenChoice
from workbench.gui.pages.playground.token_words import facts, name_of, percent, rule_name, shown
from workbench.gui.theme import Theme
from workbench.gui.widgets.basics import plain_tip, text
from workbench.gui.widgets.scale import viridis

_ACTS = {Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_Space}


class TokenPanel(QWidget):
    """A token's numbers and its alternatives, the likeliest first.

    How to place it: `drawer.open(title, TokenPanel(theme, choice, position))`. `branch(position, id)` says that a person wants the
    column to go on from `position` with another token; it is emitted for tokens that a rule had cut too.
    """

    branch = Signal(int, int)

    def __init__(self, theme: Theme, choice: TokenChoice, position: int = 0, kl: float | None = None) -> None:
        super().__init__()
        self.setObjectName("playground.token")
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 4, 8, 0)
        box.setSpacing(2)
        box.addWidget(text("\n".join(facts(choice, kl)), "quiet", wrap=True, select=True))
        box.addSpacing(8)
        box.addWidget(text("Choose another token to branch here.", "quiet", wrap=True))
        box.addSpacing(4)
        self.rows = [
            _AlternativeRow(theme, number, a, a.id == choice.id) for number, a in enumerate(choice.alternatives)
        ]
        for row in self.rows:
            row.chosen.connect(lambda id_: self.branch.emit(position, id_))
            row.stepped.connect(self._step)
            box.addWidget(row)
        box.addStretch(1)
        self.setAccessibleName(f"Alternatives to {shown(name_of(choice))}")
        if self.rows:
            self.setFocusProxy(self.rows[0])

    def _step(self, number: int) -> None:
        if 0 <= number < len(self.rows):
            self.rows[number].setFocus(Qt.FocusReason.TabFocusReason)


class _AlternativeRow(QWidget):
    """One alternative as a bar of its probability with its piece and numbers; Enter or a click takes it."""

    chosen = Signal(int)
    stepped = Signal(int)

    def __init__(self, theme: Theme, number: int, alternative: Alternative, stands: bool) -> None:
        super().__init__()
        self._theme, self._number, self._alternative, self._stands = theme, number, alternative, stands
        self._hovered = False
        self.setObjectName(f"playground.token.alternative.{number}")
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        if not stands:
            self.setCursor(Qt.CursorShape.PointingHandCursor)
        cut = f", cut by {rule_name(alternative.cut_by)}" if alternative.cut_by else ""
        words = f"{shown(alternative.text)}: {percent(alternative.p_model)}, used {percent(alternative.p_used)}{cut}"
        self.setAccessibleName(f"{'chosen, ' if stands else ''}{words}")
        self.setAccessibleDescription(
            "This token stands there." if stands else "Enter branches the text with this token."
        )
        self.setToolTip(plain_tip(words))

    def sizeHint(self) -> QSize:
        """One line with room for a bar."""
        return QSize(200, self.fontMetrics().height() + 14)

    minimumSizeHint = sizeHint

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Enter takes it; up and down go to its neighbours."""
        if event.key() in {Qt.Key.Key_Up, Qt.Key.Key_Down}:
            self.stepped.emit(self._number + (1 if event.key() == Qt.Key.Key_Down else -1))
        elif event.key() in _ACTS and not event.modifiers() & Qt.KeyboardModifier.ControlModifier:
            self._take()
        else:
            super().keyPressEvent(event)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Taken on release."""
        event.accept()

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        """Take it, if the pointer is still there."""
        if event.button() == Qt.MouseButton.LeftButton and self.rect().contains(event.position().toPoint()):
            self._take()

    def enterEvent(self, event: QEnterEvent) -> None:
        """The pointer comes."""
        self._hovered = True
        self.update()

    def leaveEvent(self, event: object) -> None:
        """The pointer goes."""
        self._hovered = False
        self.update()

    def focusInEvent(self, event: QFocusEvent) -> None:
        """Show the focus."""
        self.update()

    def focusOutEvent(self, event: QFocusEvent) -> None:
        """Show that it is gone."""
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        """Piece at the left, numbers at the right, a bar below; an outline with the focus."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        colours, a = self._theme.colours, self._alternative
        if self._hovered and not self._stands:
            painter.fillRect(self.rect(), QColor(colours.raised))
        line = QRectF(6, 0, self.width() - 12, self.height() - 7)
        font = self._theme.mono_font()
        font.setBold(self._stands)
        painter.setFont(font)
        painter.setPen(QColor(colours.quiet if a.cut_by else colours.text))
        numbers = percent(a.p_model) + (f"  ✕ {rule_name(a.cut_by)}" if a.cut_by else f" → {percent(a.p_used)}")
        mark = "● " if self._stands else "  "
        room = int(line.width()) - painter.fontMetrics().horizontalAdvance(numbers) - 12
        piece = painter.fontMetrics().elidedText(mark + shown(a.text), Qt.TextElideMode.ElideRight, max(40, room))
        painter.drawText(line, Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft, piece)
        font.setBold(False)
        painter.setFont(font)
        painter.setPen(QColor(colours.quiet))
        painter.drawText(line, Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignRight, numbers)
        track = QRectF(6, self.height() - 6, self.width() - 12, 4)
        painter.fillRect(track, QColor(colours.line))
        painter.fillRect(QRectF(6, track.top(), track.width() * min(1.0, a.p_model), 4), viridis(a.p_model))
        if self.hasFocus():
            painter.setPen(QPen(QColor(colours.accent), 2))
            painter.drawRoundedRect(QRectF(self.rect()).adjusted(1, 1, -1, 0), 4, 4)
        painter.end()

    def _take(self) -> None:
        if not self._stands:
            self.chosen.emit(self._alternative.id)
