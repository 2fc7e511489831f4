"""Small pieces that every page uses: labels with a role, buttons, cards, rules, keys."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from typing import Any, Literal

from PySide6.QtCore import QEvent, QSize, Qt
from PySide6.QtGui import QPainter, QPaintEvent, QResizeEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QLayout, QPushButton, QSizePolicy, QVBoxLayout, QWidget

from workbench.gui.icons import icon
from workbench.gui.theme import Theme

TextRole = Literal[
    "", "title", "section", "heading", "number", "strong", "quiet", "good", "warning", "bad", "mono", "chip"
]
ButtonRole = Literal["", "primary", "danger", "flat", "link"]


def text(words: str = "", role: TextRole = "", *, wrap: bool = False, select: bool = False) -> QLabel:
    """A label of plain text in one of the house's roles."""
    label = QLabel(words)
    label.setTextFormat(Qt.TextFormat.PlainText)
    label.setWordWrap(wrap)
    if role:
        label.setProperty("role", role)
    if select:
        label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    return label


def plain_tip(words: str) -> str:
    """A tooltip that shows words as they stand: Qt would take what looks like HTML for HTML."""
    return f'<p style="white-space: pre-wrap">{escape(words)}</p>' if "<" in words or "&" in words else words


def restyle(widget: QWidget, **properties: Any) -> None:
    """Change properties that the style sheet looks at, and dress the widget again; nothing is done where nothing changes."""
    if properties and all(widget.property(name) == value for name, value in properties.items()):
        return
    for name, value in properties.items():
        widget.setProperty(name, value)
    widget.style().unpolish(widget)
    widget.style().polish(widget)


def button(
    title: str, name: str, run: Callable[[], Any], role: ButtonRole = "", *, accessible: str = "", tip: str = ""
) -> QPushButton:
    """A button with an object name, an accessible name and what it does."""
    result = QPushButton(title)
    result.setObjectName(name)
    result.setAccessibleName(accessible or title)
    result.setToolTip(tip)
    result.setAutoDefault(False)
    if role:
        result.setProperty("role", role)
    result.clicked.connect(lambda: run())
    return result


class NameButton(QPushButton):
    """A link whose words are a name that somebody chose: shown to the letter, cut in the middle when there is no room."""

    def __init__(self, words: str, name: str, run: Callable[[], Any], *, accessible: str = "") -> None:
        super().__init__()
        self.setObjectName(name)
        self.setAutoDefault(False)
        self.setProperty("role", "link")
        self.setSizePolicy(QSizePolicy.Policy.Maximum, QSizePolicy.Policy.Fixed)
        self.clicked.connect(lambda: run())
        self.show_name(words, accessible)

    def show_name(self, words: str, accessible: str = "") -> None:
        """Show another name; `accessible` is what a screen reader says, where that is more than the name."""
        self.words = words
        self.setAccessibleName(accessible or words)
        self.setToolTip(plain_tip(words))
        self._cut(1 + self._wide())
        self.updateGeometry()
        if self.isVisible():
            holder = self.parentWidget()
            if holder is not None and (around := holder.layout()) is not None:
                around.activate()  # so that the words aren't seen in the room of those before
            self._cut(self.width() - self._around())

    def sizeHint(self) -> QSize:
        """Room for the whole name."""
        shown = super().sizeHint()
        return QSize(self._around() + self._wide() + 1, shown.height())

    def minimumSizeHint(self) -> QSize:
        """Room for a few letters."""
        return QSize(min(64, self.sizeHint().width()), super().minimumSizeHint().height())

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Cut to the new width."""
        super().resizeEvent(event)
        self._cut(self.width() - self._around())

    def _wide(self) -> int:
        return self.fontMetrics().horizontalAdvance(self.words)

    def _around(self) -> int:
        """What the style adds to the words."""
        shown = self.text().replace("&&", "&")
        return super().sizeHint().width() - self.fontMetrics().horizontalAdvance(shown)

    def _cut(self, room: int) -> None:
        shown = self.fontMetrics().elidedText(self.words, Qt.TextElideMode.ElideMiddle, max(0, room))
        self.setText(shown.replace("&", "&&"))  # an ampersand would be taken for a shortcut


def wear_icon(widget: QPushButton, glyph: str, theme: Theme, tone: str = "") -> QPushButton:
    """Give a button an icon that follows the theme."""

    def paint() -> None:
        colours = theme.colours
        role = widget.property("role")
        colour = getattr(colours, tone) if tone else (colours.on_accent if role == "primary" else colours.text)
        widget.setIcon(icon(glyph, colour))
        widget.setIconSize(QSize(16, 16))

    if widget.text():
        widget.setText(f" {widget.text()}")  # Qt leaves hardly any room between icon and words

    paint()
    connection = theme.changed.connect(paint)
    widget.destroyed.connect(lambda: theme.changed.disconnect(connection))
    return widget


def retitle(widget: QPushButton, words: str) -> None:
    """Other words on a button, for eyes and for screen readers."""
    widget.setText(words if widget.icon().isNull() else f" {words}")
    widget.setAccessibleName(words)


def rule() -> QFrame:
    """A thin line between sections."""
    line = QFrame()
    line.setProperty("role", "rule")
    return line


class Card(QFrame):
    """A bordered surface with an optional heading and a column for its content."""

    def __init__(self, heading: str = "", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setProperty("role", "card")
        self.column = QVBoxLayout(self)
        self.column.setContentsMargins(16, 16, 16, 16)
        self.column.setSpacing(12)
        self.top = QHBoxLayout()
        self.top.setSpacing(8)
        if heading:
            self.setAccessibleName(heading)
            self.top.addWidget(text(heading, "heading"))
            self.top.addStretch(1)
            self.column.addLayout(self.top)


class Elided(QLabel):
    """One line that is cut with an ellipsis when there is no room; the whole is its tooltip.

    It takes whatever width there is, so that other words lay nothing out anew; with `hug` it is no wider than its words.
    """

    def __init__(self, role: TextRole = "", words: str = "", *, hug: bool = False) -> None:
        super().__init__()
        self._words, self._hug = "", hug
        self.setMinimumWidth(24)
        self.setSizePolicy(
            QSizePolicy.Policy.Maximum if hug else QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred
        )
        if role:
            self.setProperty("role", role)
        self.setText(words)

    def text(self) -> str:
        """The whole text."""
        return self._words

    def setText(self, words: str) -> None:
        """Show other words."""
        if words != self._words:
            self._words = words
            self.setToolTip(plain_tip(words))
            self.setAccessibleName(words)
            if self._hug:
                self.updateGeometry()
            self.update()

    @property
    def cut(self) -> str:
        """What there is room for."""
        room = max(0, self.contentsRect().width() - 2)
        return self.fontMetrics().elidedText(self._words, Qt.TextElideMode.ElideRight, room)

    def sizeHint(self) -> QSize:
        """One line; as wide as the layout likes, or as its words are."""
        wide = self.fontMetrics().horizontalAdvance(self._words) + 4 if self._hug else 24
        return QSize(max(24, wide), self.fontMetrics().height())

    def minimumSizeHint(self) -> QSize:
        """One line."""
        return QSize(24, self.fontMetrics().height())

    def paintEvent(self, event: QPaintEvent) -> None:
        """Write as much as there is room for."""
        painter, area = QPainter(self), self.contentsRect()
        place = self.alignment() | Qt.TextFlag.TextSingleLine
        on = self.isEnabled()
        self.style().drawItemText(painter, area, place, self.palette(), on, self.cut, self.foregroundRole())


class Figure(QLabel):
    """Words that change all the time, such as a count: the row around them is laid out anew only when they need more room.

    A QLabel asks for that at every change, up to the window. Here the room grows, and shrinks when half of it is empty.
    """

    STEP = 16  # pixels

    def __init__(self, role: TextRole = "") -> None:
        super().__init__()
        self.setTextFormat(Qt.TextFormat.PlainText)
        if role:
            self.setProperty("role", role)
        self._fit()

    def setText(self, words: str) -> None:
        """Show other words."""
        if words != self.text():
            super().setText(words)
            self._fit()

    def changeEvent(self, event: QEvent) -> None:
        """In another font the room is measured anew."""
        super().changeEvent(event)
        if event.type() in (QEvent.Type.FontChange, QEvent.Type.StyleChange):
            self._fit(anew=True)

    def _fit(self, *, anew: bool = False) -> None:
        self.ensurePolished()
        metrics = self.fontMetrics()  # a hint would count the room that there is
        wanted, room = metrics.horizontalAdvance(self.text()) + 2, 0 if anew else self.minimumWidth()
        if not wanted <= room <= 2 * wanted + self.STEP:
            room = -(-wanted // self.STEP) * self.STEP if self.text() else 0
        self.setFixedSize(room, metrics.height())


class KeyHint(QWidget):
    """Keys and what they do: `1` A better."""

    def __init__(self, keys: str, words: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(6)
        cap = text(keys)
        cap.setProperty("role", "key")
        row.addWidget(cap, 0, Qt.AlignmentFlag.AlignVCenter)  # as high as a key, however high the row
        row.addWidget(text(words, "quiet"))


def clear(layout: QLayout) -> None:
    """Take everything out of a layout and let it go."""
    while (entry := layout.takeAt(0)) is not None:
        if (widget := entry.widget()) is not None:
            widget.hide()
            widget.deleteLater()
        elif (inner := entry.layout()) is not None:
            clear(inner)
