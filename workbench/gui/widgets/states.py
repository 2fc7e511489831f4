"""The three states every page has besides its content: empty, busy, failed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from PySide6.QtCore import QEvent, Qt
from PySide6.QtWidgets import (
    QHBoxLayout,
    QLabel,
    QPlainTextEdit,
    QProgressBar,
    QPushButton,
    QStackedLayout,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from workbench.domain.errors import WorkbenchError
from workbench.gui.icons import picture
from workbench.gui.theme import Theme
from workbench.gui.widgets.basics import button, text

Step = tuple[str, Callable[[], Any]]


class _Centered(QWidget):
    """A column of words in the middle of the free space, under one large icon."""

    def __init__(self, name: str, glyph: str, theme: Theme | None, tone: str = "quiet") -> None:
        super().__init__()
        self.setObjectName(name)
        self._glyph, self._theme, self._tone = glyph, theme, tone
        outer = QVBoxLayout(self)
        outer.setContentsMargins(24, 24, 24, 24)
        outer.addStretch(2)
        self._mark = QLabel()
        self._mark.setAlignment(Qt.AlignmentFlag.AlignHCenter)
        self.column = QVBoxLayout()
        self.column.setSpacing(12)
        self.column.addWidget(self._mark)
        outer.addLayout(self.column)
        outer.addStretch(3)
        self._paint_mark()

    def add_words(self, words: str, role: str) -> QLabel:
        label = text(words, wrap=True, select=role != "section")
        label.setProperty("role", role)
        label.setAlignment(Qt.AlignmentFlag.AlignHCenter)
        label.setMaximumWidth(560)
        label.setMinimumWidth(280)
        row = QHBoxLayout()
        row.addStretch(1)
        row.addWidget(label, 100)
        row.addStretch(1)
        self.column.addLayout(row)
        return label

    def add_row(self, *widgets: QWidget) -> None:
        row = QHBoxLayout()
        row.setSpacing(8)
        row.addStretch(1)
        for widget in widgets:
            row.addWidget(widget)
        row.addStretch(1)
        self.column.addSpacing(4)
        self.column.addLayout(row)

    def changeEvent(self, event: QEvent) -> None:
        """Paint the icon in the new theme's colour."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange and hasattr(self, "_mark"):
            self._paint_mark()

    def _paint_mark(self) -> None:
        if self._theme is not None and self._glyph:
            ratio = self.devicePixelRatioF()
            colour = getattr(self._theme.colours, self._tone)
            self._mark.setPixmap(picture(self._glyph, colour, round(48 * ratio), ratio))
        else:
            self._mark.hide()


class EmptyState(_Centered):
    """What a page is for, and the next step as a button."""

    def __init__(
        self, title: str, words: str, *steps: Step, name: str = "empty", glyph: str = "", theme: Theme | None = None
    ) -> None:
        super().__init__(name, glyph, theme)
        self.title = self.add_words(title, "section")
        self.words = self.add_words(words, "quiet")
        self.buttons: list[QPushButton] = []
        for place, (label, run) in enumerate(steps):
            self.buttons.append(button(label, f"{name}.step{place + 1}", run, "primary" if place == 0 else ""))
        if steps:
            self.add_row(*self.buttons)


class BusyState(_Centered):
    """Work under way: what, a number, and a way to cancel it."""

    def __init__(
        self, words: str, cancel: Callable[[], Any] | None = None, *, name: str = "busy", theme: Theme | None = None
    ) -> None:
        super().__init__(name, "", theme)
        self.words = self.add_words(words, "section")
        self.bar = QProgressBar()
        self.bar.setObjectName(f"{name}.bar")
        self.bar.setAccessibleName(words)
        self.bar.setRange(0, 0)
        self.bar.setFixedWidth(320)
        self.bar.setTextVisible(False)
        self.add_row(self.bar)
        self.number = self.add_words(" ", "quiet")
        if cancel is not None:
            self.cancel_button = button("Cancel", f"{name}.cancel", cancel)
            self.add_row(self.cancel_button)

    def tell(self, done: int, total: int, words: str = "") -> None:
        """Show how far the work is; a total of 0 means that nobody knows yet."""
        unit = 1 + total // 2**30  # Qt counts to 2³¹ only, and files have more bytes
        self.bar.setRange(0, total // unit)
        self.bar.setValue(done // unit if total else 0)
        share = f" ({100 * done // total} %)" if total else ""
        self.number.setText(words or (f"{done:,} of {total:,}{share}" if total else f"{done:,}"))


class ErrorState(_Centered):
    """What happened and what to do; the details on demand."""

    def __init__(
        self,
        error: WorkbenchError,
        retry: Callable[[], Any] | None = None,
        *,
        more: Step | None = None,
        name: str = "error",
        theme: Theme | None = None,
    ) -> None:
        super().__init__(name, "bad", theme, "bad")
        self.setAccessibleName(f"Error: {error.what}")
        self.what = self.add_words(error.what, "section")
        self.hint = self.add_words(error.hint, "quiet") if error.hint else None
        buttons: list[QWidget] = []
        if retry is not None:
            buttons.append(button("Try again", f"{name}.retry", retry, "primary"))
        if more is not None:
            buttons.append(button(more[0], f"{name}.more", more[1]))
        self.details = QPlainTextEdit(error.details)
        self.details.setObjectName(f"{name}.details")
        self.details.setAccessibleName("Details")
        self.details.setReadOnly(True)
        self.details.setProperty("role", "log")
        self.details.setMinimumHeight(160)
        self.details.hide()
        if error.details:
            buttons.append(button("Details", f"{name}.show_details", self._toggle, "flat"))
        if buttons:
            self.add_row(*buttons)
        self.column.addWidget(self.details)

    def _toggle(self) -> None:
        self.details.setVisible(self.details.isHidden())


def show_error(
    stack: QStackedLayout | QStackedWidget, error: WorkbenchError, retry: Callable[[], Any], name: str, theme: Theme
) -> None:
    """Bring an error to the front of a page's stack, in place of the one that was told before."""
    state = ErrorState(error, retry, name=name, theme=theme)
    stack.addWidget(state)
    stack.setCurrentWidget(state)
    for place in range(stack.count() - 1):
        old = stack.widget(place)
        if isinstance(old, ErrorState):
            stack.removeWidget(old)
            old.deleteLater()
            break
