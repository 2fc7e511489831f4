"""Where a view of the lab stands: in the columns' place, with its title and a way back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFrame, QHBoxLayout, QVBoxLayout, QWidget

from workbench.gui.theme import Theme
from workbench.gui.widgets.basics import Elided, button, wear_icon


class LabPane(QFrame):
    """Holds one view at a time; the one before is let go."""

    def __init__(self, theme: Theme, leave: Callable[[], Any]) -> None:
        super().__init__()
        self.setObjectName("playground.lab")
        self.setProperty("role", "card")
        self.content: QWidget | None = None
        self.alone = False
        self._box = QVBoxLayout(self)
        self._box.setContentsMargins(16, 8, 16, 12)
        self._box.setSpacing(8)
        top = QHBoxLayout()
        self.title = Elided("heading")
        self.back = wear_icon(
            button("Columns", "playground.lab.back", leave, "flat", accessible="Back to the columns", tip="Esc"),
            "undo",
            theme,
        )
        top.addWidget(self.title, 1)
        top.addWidget(self.back)
        self._box.addLayout(top)

    def put(self, title: str, content: QWidget, *, alone: bool = False) -> None:
        """Show another view; it gets the keyboard. `alone`: it has nothing to do with the prompt above."""
        self.forget()
        self.content, self.alone = content, alone
        self.name(title)
        self._box.addWidget(content, 1)
        content.show()
        content.setFocus(Qt.FocusReason.OtherFocusReason)

    def name(self, title: str) -> None:
        """What the view is about."""
        self.title.setText(title)
        self.setAccessibleName(title)

    def dress(self) -> None:
        """The theme has changed: a view that paints with colours of its own paints anew."""
        dress = getattr(self.content, "dress", None)
        if dress is not None:
            dress()

    def forget(self) -> None:
        """Show nothing."""
        if self.content is not None:
            self._box.removeWidget(self.content)
            self.content.setParent(None)
            self.content.deleteLater()
            self.content = None
        self.title.setText("")
