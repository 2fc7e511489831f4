"""The one door for telling the user: quiet cards at the lower right that say what happened and what to do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from PySide6.QtCore import QEvent, QObject, Qt, QTimer
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QPushButton, QSizePolicy, QToolButton, QVBoxLayout, QWidget

from workbench.gui.icons import icon, picture
from workbench.gui.shell import NoticeKind
from workbench.gui.theme import Theme

_SECONDS: dict[NoticeKind, int] = {"info": 5, "good": 5, "warning": 12, "bad": 0}
MOST_CARDS = 4
MOST_REMEMBERED = 500


@dataclass(frozen=True)
class Notice:
    """One thing that was told, as the log keeps it."""

    time: datetime
    kind: NoticeKind
    what: str
    hint: str
    details: str


class Notifier(QWidget):
    """Stacks notices over the lower right corner of its parent and remembers all of them for the log."""

    def __init__(self, parent: QWidget, theme: Theme, open_log: Callable[[], Any]) -> None:
        super().__init__(parent)
        self.setObjectName("notices")
        self.history: list[Notice] = []
        self._theme, self._open_log, self._parent = theme, open_log, parent
        self._shown: list[_NoticeCard] = []
        self.hide()
        parent.installEventFilter(self)

    def tell(
        self,
        what: str,
        hint: str = "",
        kind: NoticeKind = "info",
        action: tuple[str, Callable[[], Any]] | None = None,
        details: str = "",
    ) -> None:
        """Show one notice; bad news stays until it is closed."""
        self.history.append(Notice(datetime.now(), kind, what, hint, details))
        del self.history[:-MOST_REMEMBERED]
        for card in self.cards():
            if card.text == (what, hint):
                card.leave()
        cards = self.cards()
        for card in cards[: max(0, len(cards) - MOST_CARDS + 1)]:
            card.leave()
        if action is None and (details or kind == "bad"):
            action = ("Log", self._open_log)
        card = _NoticeCard(self, self._theme, what, hint, kind, action)
        self._shown.append(card)
        card.show()
        self.place()

    def cards(self) -> list[_NoticeCard]:
        """The cards now shown, oldest first."""
        return [card for card in self._shown if not card.isHidden()]

    def place(self) -> None:
        """Stand at the parent's lower right corner, or hide when there is nothing to say."""
        self.setVisible(bool(self.cards()))
        parent = self._parent
        width = min(440, parent.width() - 32)
        cards = self.cards()
        height = 0
        for card in cards:
            card.fit(width)
            card.move(0, height)
            height += card.height() + 8
        self.setGeometry(parent.width() - width - 16, parent.height() - height - 48, width, height)
        self.raise_()

    def forget(self, card: _NoticeCard) -> None:
        """Take a card off the stack."""
        if card not in self._shown:
            return
        self._shown.remove(card)
        card.hide()
        card.deleteLater()
        self.place()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Follow the parent's size."""
        if event.type() == QEvent.Type.Resize and self.cards():
            self.place()
        return super().eventFilter(watched, event)


class _NoticeCard(QFrame):
    def __init__(
        self,
        owner: Notifier,
        theme: Theme,
        what: str,
        hint: str,
        kind: NoticeKind,
        action: tuple[str, Callable[[], Any]] | None,
    ) -> None:
        super().__init__(owner)
        self.text = (what, hint)
        self._owner = owner
        self.setObjectName("notices.card")
        self.setProperty("role", "card")
        self.setAccessibleName(f"{kind}: {what}")
        colours = theme.colours
        tone = {"info": colours.accent, "good": colours.good, "warning": colours.warning, "bad": colours.bad}[kind]
        row = QHBoxLayout(self)
        row.setContentsMargins(12, 12, 8, 12)
        row.setSpacing(12)
        mark = QLabel()
        ratio = self.devicePixelRatioF()
        mark.setPixmap(picture(kind, tone, round(20 * ratio), ratio))
        row.addWidget(mark, 0, Qt.AlignmentFlag.AlignTop)
        row.addLayout(self._words(what, hint, action), 1)
        close = QToolButton()
        close.setObjectName("notices.close")
        close.setAccessibleName("Close this notice")
        close.setIcon(icon("close", colours.quiet))
        close.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        close.clicked.connect(self.leave)
        row.addWidget(close, 0, Qt.AlignmentFlag.AlignTop)
        if _SECONDS[kind]:
            QTimer.singleShot(_SECONDS[kind] * 1000, self, self.leave)

    def _words(self, what: str, hint: str, action: tuple[str, Callable[[], Any]] | None) -> QVBoxLayout:
        column = QVBoxLayout()
        column.setSpacing(4)
        for text, role in ((what, "strong"), (hint, "quiet")):
            if text:
                label = QLabel(text)
                label.setProperty("role", role)
                label.setWordWrap(True)
                label.setTextFormat(Qt.TextFormat.PlainText)
                label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
                label.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.MinimumExpanding)
                column.addWidget(label)
        if action is not None:
            title, run = action
            button = QPushButton(title)
            button.setObjectName("notices.action")
            button.setProperty("role", "link")
            button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
            button.clicked.connect(lambda: self._act(run))
            column.addWidget(button, 0, Qt.AlignmentFlag.AlignLeft)
        return column

    def fit(self, width: int) -> None:
        """Be as wide as told and as high as the words need."""
        for label in self.findChildren(QLabel):
            label.ensurePolished()
        layout = self.layout()
        if layout is not None:
            layout.invalidate()
            self.setFixedSize(width, layout.totalHeightForWidth(width))

    def _act(self, run: Callable[[], Any]) -> None:
        self.leave()
        run()

    def leave(self) -> None:
        """Go away."""
        self._owner.forget(self)
