"""A flat button that shows its key as a key: the hint and the mouse's way to the same command are one thing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from PySide6.QtCore import QSize, Qt
from PySide6.QtWidgets import QGraphicsOpacityEffect, QHBoxLayout, QLabel, QPushButton

from workbench.gui.widgets.basics import restyle, text


class KeyButton(QPushButton):
    """Never takes the keyboard; disabled, it fades."""

    def __init__(self, key: str, words: str, name: str, run: Callable[[], Any], *, accessible: str = "") -> None:
        super().__init__()
        self.setObjectName(name)
        self.setAccessibleName(accessible or words.capitalize())
        self.setProperty("role", "flat")
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setAutoDefault(False)
        self._fixed_name, self._strong = bool(accessible), False
        row = self._row = QHBoxLayout(self)
        row.setContentsMargins(6, 4, 8, 4)
        row.setSpacing(6)
        self._key, self._words = text(key), text(words)
        self._key.setProperty("role", "key")
        for label in (self._key, self._words):
            label.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
            row.addWidget(label)
        self.clicked.connect(lambda: run())

    @property
    def words(self) -> str:
        """What the button says beside its key."""
        return self._words.text()

    def say(self, words: str, *, strong: bool = False) -> None:
        """Other words beside the key."""
        if (words, strong) == (self.words, self._strong):
            return
        self._strong = strong
        self._words.setText(words)
        self._words.setVisible(bool(words))
        if not self._fixed_name:
            self.setAccessibleName(words.capitalize())
        _role(self._words, "strong" if strong else "")
        self.updateGeometry()

    def setEnabled(self, on: bool) -> None:
        """Enable, or fade."""
        super().setEnabled(on)
        if on:
            self.setGraphicsEffect(None)  # type: ignore[arg-type]
        elif self.graphicsEffect() is None:
            faint = QGraphicsOpacityEffect(self)
            faint.setOpacity(0.45)
            self.setGraphicsEffect(faint)

    def sizeHint(self) -> QSize:
        """Room for key and words."""
        return self._row.sizeHint()

    def minimumSizeHint(self) -> QSize:
        """Never cut the words."""
        return self.sizeHint()


def _role(label: QLabel, role: str) -> None:
    if label.property("role") != role:
        restyle(label, role=role)
