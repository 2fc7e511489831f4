"""What is said about the thing under the pointer or the focus: a note inside the window, so that keys and pictures have it too."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QObject, QPoint, QRect, Qt, QTimer
from PySide6.QtWidgets import QLabel, QWidget

MOST = 560  # pixels
DELAY = 250  # milliseconds that a pointer rests before it is told


class Bubble(QObject):
    """Notes for one widget. Words are rich text: whatever comes from a model must be escaped before."""

    def __init__(self, host: QWidget) -> None:
        super().__init__(host)
        self._host = host
        self._label: QLabel | None = None
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(DELAY)
        self._timer.timeout.connect(self._due)
        self._next: tuple[str, QRect] | None = None
        host.installEventFilter(self)

    @property
    def words(self) -> str:
        """What is said now; empty when nothing is."""
        return self._label.text() if self._label is not None and not self._label.isHidden() else ""

    def soon(self, words: str, about: QRect) -> None:
        """Say it when the pointer has rested; `about` is in the host's coordinates."""
        if self._next != (words, about):
            self._next = words, about
            self._timer.start()

    def say(self, words: str, about: QRect) -> None:
        """Say it at once, beside what it is about and inside the window."""
        self._timer.stop()
        self._next = None
        window = self._host.window()
        if not words or not self._host.isVisible():
            self.hide()
            return
        label = self._label_in(window)
        label.setText(words)
        label.setWordWrap(False)
        label.adjustSize()
        if label.width() > (most := max(200, min(MOST, window.width() - 16))):
            label.setWordWrap(True)
            label.resize(most, label.heightForWidth(most))
        corner = self._host.mapTo(window, about.topLeft())
        x = min(max(8, corner.x()), max(8, window.width() - label.width() - 8))
        below = corner.y() + about.height() + 6
        above = corner.y() - label.height() - 6
        fits = below + label.height() <= window.height() - 8
        label.move(QPoint(x, below if fits or above < 8 else above))
        label.show()
        label.raise_()

    def hide(self) -> None:
        """Say nothing."""
        self._timer.stop()
        self._next = None
        if self._label is not None:
            self._label.hide()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Fall silent when the host is left or goes away."""
        if event.type() in {QEvent.Type.FocusOut, QEvent.Type.Hide, QEvent.Type.Resize}:
            self.hide()
        return False

    def _due(self) -> None:
        if self._next is not None:
            self.say(*self._next)

    def _label_in(self, window: QWidget) -> QLabel:
        if self._label is None or self._label.parent() is not window:
            if self._label is not None:
                self._label.deleteLater()
            label = self._label = QLabel(window)
            label.setProperty("role", "bubble")
            label.setTextFormat(Qt.TextFormat.RichText)
            label.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
            self._host.destroyed.connect(label.deleteLater)
        return self._label
