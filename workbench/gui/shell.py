"""What a page may ask of the window around it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from workbench.domain.settings import Settings
from workbench.gui.theme import Theme

NoticeKind = Literal["info", "good", "warning", "bad"]


@dataclass(frozen=True)
class Action:
    """Something a page can do, for the palette (Ctrl+K) and the list of keys (Ctrl+/). `keys` is "" when it has none."""

    id: str
    title: str
    keys: str
    run: Callable[[], Any]


class Shell(Protocol):
    """The window as pages see it.

    A page is `class XPage(QWidget)` with `__init__(self, services, bridge, shell)`. The window calls these of its methods
    when they exist: `arrive(**arguments)` after `go`, `shown()`, `hidden()`, `undo()`, `redo()`,
    `settings_changed(settings)`, `closing()`, `actions() -> list[Action]`; and shows its `help_text` on F1.
    """

    @property
    def theme(self) -> Theme:
        """Colours and fonts; `theme.changed` tells when to paint again."""

    @property
    def settings(self) -> Settings:
        """The settings in force, kept in memory."""

    def notify(
        self,
        what: str,
        hint: str = "",
        kind: NoticeKind = "info",
        action: tuple[str, Callable[[], Any]] | None = None,
        details: str = "",
    ) -> None:
        """Tell the user what happened and what to do, without taking the focus."""

    def go(self, page_id: str, **arguments: Any) -> None:
        """Show a page, and hand it arguments through its `arrive`."""

    def confirm(self, title: str, text: str, then: Callable[[], Any], verb: str = "Delete") -> None:
        """Ask before something that can't be undone; `then` is called when the person agrees."""

    def settings_changed(self, settings: Settings) -> None:
        """Put new settings in force at once."""

    def remember(self, key: str, value: Any) -> None:
        """Keep a small piece of layout (splitter sizes, last choice) across restarts."""

    def recall(self, key: str, default: Any = None) -> Any:
        """What `remember` kept."""
