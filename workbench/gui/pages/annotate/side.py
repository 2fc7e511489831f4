"""What can stand beside the candidates, one at a time: guidelines, history, a new queue, a new person."""

from __future__ import annotations

from PySide6.QtWidgets import QApplication, QFrame, QStackedLayout, QVBoxLayout, QWidget

WIDTH, NARROWEST, FORM = 300, 240, 440


class SidePane(QFrame):
    """Holds the panes by name and shows one of them, or none."""

    def __init__(self, panes: dict[str, QWidget]) -> None:
        super().__init__()
        self.setObjectName("annotate.side")
        self.setProperty("role", "card")
        self.setMinimumWidth(NARROWEST)
        self._panes = panes
        self._stack = QStackedLayout()
        column = QVBoxLayout(self)
        column.setContentsMargins(16, 12, 12, 12)
        column.addLayout(self._stack)
        for pane in panes.values():
            self._stack.addWidget(pane)
        self.hide()

    @property
    def open(self) -> str:
        """The name of the pane on show, or ""."""
        if self.isHidden():
            return ""
        return next(name for name, pane in self._panes.items() if pane is self._stack.currentWidget())

    @property
    def focused(self) -> bool:
        """Whether the keyboard is in here, so that no key judges."""
        now = QApplication.focusWidget()
        return now is not None and self.isAncestorOf(now)

    def show_pane(self, name: str) -> None:
        """Show this pane; "" shows none."""
        self.setMinimumWidth(FORM if name == "queue" else NARROWEST)
        if name:
            self._stack.setCurrentWidget(self._panes[name])
        self.setVisible(bool(name))
