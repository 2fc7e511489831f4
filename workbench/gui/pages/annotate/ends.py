"""What stands in the place of an item when there is none: everything is judged, or the opening was cancelled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from PySide6.QtWidgets import QStackedWidget

from workbench.gui.theme import Theme
from workbench.gui.widgets.states import EmptyState


class Ends(QStackedWidget):
    """Shows one of them, or nothing while there is an item."""

    def __init__(self, theme: Theme, train: Callable[[], Any], reopen: Callable[[], Any]) -> None:
        super().__init__()
        self.done = EmptyState(
            "Everything here is judged.",
            "Every item here has your judgement. Undo brings the last one back; or train on what you said.",
            ("Train a model", train),
            name="annotate.done",
            glyph="good",
            theme=theme,
        )
        self.stopped = EmptyState(
            "Nothing is open.",
            "The opening was cancelled. Open it after all, or choose another dataset or queue above (Q).",
            ("Open it", reopen),
            name="annotate.stopped",
            glyph="annotate",
            theme=theme,
        )
        for state in (self.done, self.stopped):
            self.addWidget(state)

    def show_end(self, name: str) -> None:
        """Show "done" or "stopped"; "" shows neither."""
        if name:
            self.setCurrentWidget(self.done if name == "done" else self.stopped)
        self.setVisible(bool(name))
