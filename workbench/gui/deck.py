"""The pages behind one another: made when first shown, asked safely, replaced by an error state when they fail.

What a page is made of stays while it does, so the garbage collector needn't look at it again and again: a full collection takes several times
as long as a label.
"""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any

from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QStackedWidget, QWidget

from workbench.domain.errors import WorkbenchError
from workbench.gui.bridge import unexpected
from workbench.gui.page_table import PageEntry, page_class
from workbench.gui.shell import Action
from workbench.gui.theme import Theme
from workbench.gui.widgets.states import ErrorState


class Deck(QStackedWidget):
    """Holds the pages by id. A page that raises takes neither the deck nor the window with it."""

    def __init__(self, theme: Theme, report: Callable[[WorkbenchError], Any]) -> None:
        super().__init__()
        self._theme, self._report = theme, report
        self._pages: dict[str, QWidget] = {}

    def page(self, page_id: str) -> QWidget | None:
        """The page, if it has been made."""
        return self._pages.get(page_id)

    def show_page(self, entry: PageEntry, *parts: Any) -> QWidget:
        """Bring a page to the front; it is imported and built from `parts` (services, bridge, shell) the first time."""
        if entry.id not in self._pages:
            self._pages[entry.id] = self._make(entry, parts)
            self.addWidget(self._pages[entry.id])
            gc.freeze()
        page = self._pages[entry.id]
        self.setCurrentWidget(page)
        return page

    def ask(self, page_id: str, method: str, *arguments: Any, **named: Any) -> Any:
        """Call a page's method if the page and the method exist; errors are told, not raised."""
        found = getattr(self._pages.get(page_id), method, None)
        if found is None:
            return None
        try:
            return found(*arguments, **named)
        except WorkbenchError as error:
            self._report(error)
        except Exception as error:  # noqa: BLE001 - whatever a page does, the window stands
            self._report(unexpected(error))
        return None

    def actions_of(self, page_id: str) -> list[Action]:
        """What a page can do. Every QWidget has `actions()`; only a page's own gives these."""
        return [action for action in self.ask(page_id, "actions") or [] if isinstance(action, Action)]

    def ask_all(self, method: str, *arguments: Any) -> None:
        """Call a method of every page that has been made and has it."""
        for page_id in tuple(self._pages):
            self.ask(page_id, method, *arguments)

    def drop_all(self) -> None:
        """Let every page go."""
        gc.unfreeze()
        self._pages.clear()
        while (page := self.widget(0)) is not None:
            self.removeWidget(page)
            page.hide()
            page.deleteLater()

    def show_only(self, state: QWidget) -> None:
        """Show one widget in place of the pages."""
        self.drop_all()
        self.addWidget(state)
        self.setCurrentWidget(state)

    def _make(self, entry: PageEntry, parts: tuple[Any, ...]) -> QWidget:
        try:
            maker: Any = page_class(entry)
            page: QWidget = maker(*parts)
        except Exception as error:  # noqa: BLE001 - see ask
            wrong = error if isinstance(error, WorkbenchError) else unexpected(error)
            page = ErrorState(wrong, lambda: self._again(entry, parts), name=f"{entry.id}.error", theme=self._theme)
        return page

    def _again(self, entry: PageEntry, parts: tuple[Any, ...]) -> None:
        old = self._pages.pop(entry.id)
        self.removeWidget(old)
        old.hide()
        QTimer.singleShot(0, old, old.deleteLater)
        self.show_page(entry, *parts)
        self.ask(entry.id, "shown")
