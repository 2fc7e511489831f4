"""What this label will do: one line for each training method, for the ranking in the making and for the last label."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFrame, QGridLayout, QHBoxLayout, QScrollArea, QVBoxLayout, QWidget

from workbench.gui.widgets.basics import KeyHint, button, text
from workbench.services.views import Effect

HEIGHT = 124  # of the list, so that the responses stay in view on a small screen


class EffectsStrip(QFrame):
    """Folded away until asked for; it never takes the keyboard."""

    def __init__(self, mistakes: Callable[[], Any], retrain: Callable[[], Any]) -> None:
        super().__init__()
        self.setProperty("role", "inset")
        self.setObjectName("annotate.effects")
        self.setAccessibleName("What this label will do")
        column = QVBoxLayout(self)
        column.setContentsMargins(12, 8, 12, 8)
        column.setSpacing(6)
        top = QHBoxLayout()
        top.setSpacing(8)
        self.title = text("", "strong")
        self.title.setObjectName("annotate.effects_title")
        top.addWidget(self.title)
        top.addStretch(1)
        self.mistakes = button("What the reward model gets wrong", "annotate.mistakes", mistakes, "link", tip="M")
        self.retrain = button("Retrain the reward model", "annotate.retrain", retrain, "link", tip="L")
        for one in (self.mistakes, self.retrain):
            one.setFocusPolicy(Qt.FocusPolicy.NoFocus)
            top.addWidget(one)
        top.addWidget(KeyHint("W", "close"))
        column.addLayout(top)
        self.trained = text("", "good", wrap=True)
        self.trained.setObjectName("annotate.trained")
        self.trained.hide()
        column.addWidget(self.trained)
        rows = QWidget()
        self._grid = QGridLayout(rows)
        self._grid.setContentsMargins(0, 0, 8, 0)
        self._grid.setHorizontalSpacing(16)
        self._grid.setVerticalSpacing(2)
        self._grid.setColumnStretch(1, 1)
        self._scroll = QScrollArea()
        self._scroll.setObjectName("annotate.effects_list")
        self._scroll.setAccessibleName("What this label will do in each method")
        self._scroll.setWidgetResizable(True)
        self._scroll.setFrameShape(QFrame.Shape.NoFrame)
        self._scroll.setFixedHeight(HEIGHT)
        self._scroll.setWidget(rows)
        column.addWidget(self._scroll)
        self.hide()

    def show_effects(self, title: str, effects: Sequence[Effect]) -> None:
        """One line for each method."""
        self.title.setText(title)
        self._scroll.setVisible(bool(effects))
        while (entry := self._grid.takeAt(0)) is not None:
            if (widget := entry.widget()) is not None:
                widget.hide()
                widget.deleteLater()
        for line, effect in enumerate(effects):
            self._grid.addWidget(text(effect.method, "quiet"), line, 0, Qt.AlignmentFlag.AlignTop)
            self._grid.addWidget(text(effect.text, wrap=True), line, 1)

    def say_trained(self, words: str) -> None:
        """How the reward model fares after it was trained again; it stays on show."""
        self.trained.setText(words)
        self.trained.show()
