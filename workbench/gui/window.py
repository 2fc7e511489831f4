"""The main window: rail, bars and pages. It knows page ids, not pages."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from PySide6.QtCore import QSettings, Qt, QTimer
from PySide6.QtGui import QCloseEvent, QDragEnterEvent, QDropEvent, QKeySequence, QShortcut
from PySide6.QtWidgets import QHBoxLayout, QMainWindow, QStackedWidget, QVBoxLayout, QWidget

from workbench.domain.errors import WorkbenchError
from workbench.domain.settings import Settings
from workbench.gui import panels
from workbench.gui.bridge import Bridge, unexpected
from workbench.gui.chrome import Rail, TopBar
from workbench.gui.finder import action_entries, name_entries, page_entries
from workbench.gui.notify import Notifier
from workbench.gui.page_table import PAGES, PageEntry, page_class
from workbench.gui.palette import FindPalette
from workbench.gui.pulse import Pulse
from workbench.gui.shell import Action, NoticeKind
from workbench.gui.status_bar import StatusBar
from workbench.gui.theme import Theme
from workbench.gui.widgets.states import BusyState, ErrorState

SMALLEST = (900, 560)


class Window(QMainWindow):
    """The shell around the pages; see `workbench.gui.shell.Shell` for what pages may ask of it."""

    def __init__(self, theme: Theme, memory: QSettings, pages: tuple[PageEntry, ...] = PAGES) -> None:
        super().__init__()
        self.setObjectName("window")
        self.setWindowTitle("RLHF Workbench")
        self.setMinimumSize(*SMALLEST)
        self.resize(1280, 800)
        self.setAcceptDrops(True)
        self.theme, self.settings = theme, Settings()
        self.services: Any = None
        self.close_services: Callable[[], Any] | None = None
        self._memory, self._entries = memory, {entry.id: entry for entry in pages}
        self._pages: dict[str, QWidget] = {}
        self._current = ""
        self._build(pages)
        self.notices = Notifier(self, theme, self.show_log)
        self.bridge = Bridge(self.report, self)
        self.pulse = Pulse(self.bridge, self.status, self)
        self._keys(pages)
        self._restore()

    # -- what pages ask for (shell.Shell) ------------------------------------------------------------------------------

    def notify(
        self,
        what: str,
        hint: str = "",
        kind: NoticeKind = "info",
        action: tuple[str, Callable[[], Any]] | None = None,
        details: str = "",
    ) -> None:
        """Tell the user something, without taking the focus."""
        self.notices.tell(what, hint, kind, action, details)

    def report(self, error: WorkbenchError) -> None:
        """Tell the user of an error."""
        self.notices.tell(error.what, error.hint, "bad", details=error.details)

    def go(self, page_id: str, **arguments: Any) -> None:
        """Show a page; it is imported and built the first time."""
        if page_id not in self._entries:
            return
        before = self._pages.get(self._current)
        if before is not None and page_id != self._current:
            self._call(before, "hidden")
        self._current = page_id
        self.rail.mark(page_id)
        self.top.show_page(self._entries[page_id].title)
        self.remember("page", page_id)
        if self.services is None:
            return
        if page_id not in self._pages:
            self._pages[page_id] = self._make(self._entries[page_id])
            self.stack.addWidget(self._pages[page_id])
        page = self._pages[page_id]
        self.stack.setCurrentWidget(page)
        self._call(page, "shown")
        if arguments:
            self._call(page, "arrive", **arguments)

    def confirm(self, title: str, text: str, then: Callable[[], Any], verb: str = "Delete") -> None:
        """Ask before something that can't be undone."""
        panels.ask(self, title, text, verb, then)

    def settings_changed(self, settings: Settings) -> None:
        """Put new settings in force, here and on every page that is open."""
        looks = (self.theme.mode, self.theme.font_size, self.theme.reading_size)
        self.settings = settings
        if looks != (settings.theme, settings.font_size, settings.reading_size):
            self.theme.apply(settings.theme, settings.font_size, settings.reading_size)
        for page in self._pages.values():
            self._call(page, "settings_changed", settings)

    def remember(self, key: str, value: Any) -> None:
        """Keep a piece of layout."""
        self._memory.setValue(key, value)

    def recall(self, key: str, default: Any = None) -> Any:
        """A piece of layout that was kept."""
        return self._memory.value(key, default)

    # -- workspace -----------------------------------------------------------------------------------------------------

    def opening(self, path: Path) -> None:
        """A workspace is being opened."""
        self.leave_workspace()
        self.top.show_workspace(path)
        self._show_only(BusyState(f"Opening {path.name}", name="window.busy"))

    def failed_to_open(self, error: WorkbenchError, retry: Callable[[], Any] | None) -> None:
        """A workspace could not be opened."""
        self._show_only(ErrorState(error, retry, name="window.error", theme=self.theme))

    def wear(self, services: Any, settings: Settings) -> None:
        """Show the pages over the services of an opened workspace."""
        self.services = services
        self.settings_changed(settings)
        self.top.show_workspace(services.path)
        self.setWindowTitle(f"{services.path.name} – RLHF Workbench")
        self._drop_pages()
        self.pulse.watch(services, self._run_ended)
        self.go(self._current or "home")

    def leave_workspace(self) -> Any:
        """Let the pages go; returns the services for whoever closes them."""
        self.pulse.stop()
        for page in self._pages.values():
            self._call(page, "closing")
        services, self.services = self.services, None
        self._drop_pages()
        return services

    # -- commands ------------------------------------------------------------------------------------------------------

    def find_anything(self) -> None:
        """Open the palette; names from the store are added as they arrive."""
        entries = action_entries(self.actions_here()) + page_entries(tuple(self._entries.values()), self.go)
        self.palette_.open(entries)
        if self.services is not None:
            self.bridge.run(name_entries, self.services, self.go, then=self.palette_.add)

    def actions_here(self) -> list[Action]:
        """What the page in front and the window can do."""
        page = self._pages.get(self._current)
        own = list(self._call(page, "actions") or []) if page is not None else []
        return [
            *own,
            Action("window.help", "Help for this page", "F1", self.show_help),
            Action("window.keys", "Keys of this page", "Ctrl+/", self.show_keys),
            Action("window.log", "Log of this window", "", self.show_log),
            Action("window.full_screen", "Full screen", "F11", self.toggle_full_screen),
            Action("window.quit", "Quit", "Ctrl+Q", self.close),
        ]

    def show_help(self) -> None:
        """Help for the page in front."""
        entry = self._entries.get(self._current)
        words = getattr(self._pages.get(self._current), "help_text", "") or "This page has no help yet."
        panels.show_help(self, self.theme, entry.title if entry else "Workbench", words)

    def show_keys(self) -> None:
        """The keys of the page in front."""
        page = self._pages.get(self._current)
        own = [(a.keys, a.title) for a in (self._call(page, "actions") or []) if a.keys] if page is not None else []
        title = self._entries[self._current].title if self._current else "Workbench"
        panels.show_keys(self, title, own)

    def show_log(self) -> None:
        """Everything that was told."""
        panels.show_log(self, self.notices.history)

    def toggle_full_screen(self) -> None:
        """Full screen and back."""
        if self.isFullScreen():
            self.showNormal()
        else:
            self.showFullScreen()

    # -- Qt ------------------------------------------------------------------------------------------------------------

    def closeEvent(self, event: QCloseEvent) -> None:
        """Keep the layout, close the services; runs go on without the window."""
        self.remember("geometry", self.saveGeometry())
        services = self.leave_workspace()
        self.bridge.close()
        if services is not None:
            services.close()
        self._memory.sync()
        super().closeEvent(event)

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        """Files may be dropped anywhere: they go to the Data page."""
        if event.mimeData().hasUrls() and any(url.isLocalFile() for url in event.mimeData().urls()):
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:
        """Hand dropped files to the import wizard."""
        files = [Path(url.toLocalFile()) for url in event.mimeData().urls() if url.isLocalFile()]
        if files and self.services is not None:
            event.acceptProposedAction()
            self.go("data", files=files)

    # -- inside --------------------------------------------------------------------------------------------------------

    def _build(self, pages: tuple[PageEntry, ...]) -> None:
        body = QWidget()
        body.setObjectName("window_body")
        row = QHBoxLayout(body)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(0)
        self.rail = Rail(pages, self.theme, self.go)
        row.addWidget(self.rail)
        column = QVBoxLayout()
        column.setSpacing(0)
        self.top = TopBar(self.theme, self.find_anything, self.show_help)
        self.stack = QStackedWidget()
        self.status = StatusBar(self.theme, lambda run: self.go("runs", run=run))
        for part in (self.top, self.stack, self.status):
            column.addWidget(part)
        column.setStretch(1, 1)
        row.addLayout(column, 1)
        self.setCentralWidget(body)
        self.palette_ = FindPalette(self, self.theme)

    def _keys(self, pages: tuple[PageEntry, ...]) -> None:
        keys: list[tuple[str, Callable[[], Any]]] = [
            (f"Ctrl+{n}", lambda page=entry.id: self.go(page))  # type: ignore[misc]
            for n, entry in enumerate(pages, 1)
        ]
        keys += [
            ("Ctrl+K", self.find_anything),
            ("F1", self.show_help),
            ("Ctrl+/", self.show_keys),
            ("Ctrl+Z", lambda: self._forward("undo")),
            ("Ctrl+Shift+Z", lambda: self._forward("redo")),
            ("Ctrl+Q", self.close),
            ("F11", self.toggle_full_screen),
        ]
        for key, run in keys:
            shortcut = QShortcut(QKeySequence(key), self)
            shortcut.setContext(Qt.ShortcutContext.WindowShortcut)
            shortcut.activated.connect(lambda run=run: run())

    def _forward(self, what: str) -> None:
        page = self._pages.get(self._current)
        if page is not None:
            self._call(page, what)

    def _restore(self) -> None:
        geometry = self.recall("geometry")
        if geometry is not None:
            self.restoreGeometry(geometry)
        page = str(self.recall("page", "home"))
        self._current = page if page in self._entries else "home"
        self.rail.mark(self._current)
        self.top.show_page(self._entries[self._current].title)

    def _make(self, entry: PageEntry) -> QWidget:
        try:
            maker: Any = page_class(entry)
            page: QWidget = maker(self.services, self.bridge, self)
        except Exception as error:  # noqa: BLE001 - a page that can't be built must not take the window with it
            wrong = error if isinstance(error, WorkbenchError) else unexpected(error)
            page = ErrorState(wrong, lambda: self._rebuild(entry.id), name=f"{entry.id}.error", theme=self.theme)
        return page

    def _rebuild(self, page_id: str) -> None:
        old = self._pages.pop(page_id)
        self.stack.removeWidget(old)
        QTimer.singleShot(0, old, old.deleteLater)
        self.go(page_id)

    def _call(self, page: QWidget, method: str, *arguments: Any, **named: Any) -> Any:
        found = getattr(page, method, None)
        if found is None:
            return None
        try:
            return found(*arguments, **named)
        except WorkbenchError as error:
            self.report(error)
        except Exception as error:  # noqa: BLE001 - see _make
            self.report(unexpected(error))
        return None

    def _drop_pages(self) -> None:
        self._pages.clear()
        while (page := self.stack.widget(0)) is not None:
            self.stack.removeWidget(page)
            page.hide()
            page.deleteLater()

    def _show_only(self, state: QWidget) -> None:
        self._drop_pages()
        self.stack.addWidget(state)
        self.stack.setCurrentWidget(state)

    def _run_ended(self, run: str, what: str, hint: str, kind: NoticeKind) -> None:
        self.notify(what, hint, kind, ("Show the run", lambda: self.go("runs", run=run)))
