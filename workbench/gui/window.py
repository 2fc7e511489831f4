"""The main window: rail, bars and pages. It knows page ids, not pages."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from PySide6.QtCore import QSettings, Qt
from PySide6.QtGui import QCloseEvent, QDragEnterEvent, QDropEvent, QKeySequence, QShortcut
from PySide6.QtWidgets import QHBoxLayout, QMainWindow, QVBoxLayout, QWidget

from workbench.domain.errors import WorkbenchError
from workbench.domain.settings import Settings
from workbench.gui import panels
from workbench.gui.bridge import Bridge
from workbench.gui.chrome import Rail, TopBar
from workbench.gui.deck import Deck
from workbench.gui.finder import action_entries, name_entries, page_entries
from workbench.gui.notify import Notifier
from workbench.gui.page_table import PAGES, PageEntry
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
        self._memory, self._entries = memory, {entry.id: entry for entry in pages}
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
        if page_id != self._current:
            self.deck.ask(self._current, "hidden")
        self._current = page_id
        self.rail.mark(page_id)
        self.top.show_page(self._entries[page_id].title)
        self.remember("page", page_id)
        if self.services is None:
            return
        self.deck.show_page(self._entries[page_id], self.services, self.bridge, self)
        self.deck.ask(page_id, "shown")
        if arguments:
            self.deck.ask(page_id, "arrive", **arguments)

    def confirm(self, title: str, text: str, then: Callable[[], Any], verb: str = "Delete") -> None:
        """Ask before something that can't be undone."""
        panels.ask(self, title, text, verb, then)

    def settings_changed(self, settings: Settings) -> None:
        """Put new settings in force, here and on every page that is open."""
        self.settings = settings
        self.theme.wear(settings)
        for key in ("theme", "font_size", "reading_size"):
            self.remember(key, getattr(settings, key))
        self.deck.ask_all("settings_changed", settings)

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
        self.deck.show_only(BusyState(f"Opening {path.name}", name="window.busy"))

    def failed_to_open(
        self, error: WorkbenchError, retry: Callable[[], Any] | None, more: tuple[str, Callable[[], Any]] | None = None
    ) -> None:
        """A workspace could not be opened; `more` is another way on."""
        self.deck.show_only(ErrorState(error, retry, more=more, name="window.error", theme=self.theme))

    def wear(self, services: Any, settings: Settings) -> None:
        """Show the pages over the services of an opened workspace."""
        self.services = services
        self.settings_changed(settings)
        self.top.show_workspace(services.path)
        self.setWindowTitle(f"{services.path.name} – RLHF Workbench")
        self.deck.drop_all()
        self.pulse.watch(services, self._run_ended)
        self.deck.setFocus()
        self.go(self._current)

    def leave_workspace(self) -> Any:
        """Let the pages go; returns the services for whoever closes them."""
        self.pulse.stop()
        self.deck.ask_all("closing")
        services, self.services = self.services, None
        self.deck.drop_all()
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
        return [
            *self.deck.actions_of(self._current),
            Action("window.help", "Help for this page", "F1", self.show_help),
            Action("window.keys", "Keys of this page", "Ctrl+/", self.show_keys),
            Action("window.log", "Log of this window", "", self.show_log),
            Action("window.larger", "Larger prompts and responses", "Ctrl+=", lambda: self.resize_reading(1)),
            Action("window.smaller", "Smaller prompts and responses", "Ctrl+-", lambda: self.resize_reading(-1)),
            Action(
                "window.normal_size",
                "Prompts and responses in their usual size",
                "Ctrl+0",
                lambda: self.resize_reading(0),
            ),
            Action("window.full_screen", "Full screen", "F11", self.toggle_full_screen),
            Action("window.quit", "Quit", "Ctrl+Q", self.close),
        ]

    def show_help(self) -> None:
        """Help for the page in front."""
        entry = self._entries.get(self._current)
        words = getattr(self.deck.page(self._current), "help_text", "") or "This page has no help yet."
        panels.show_help(self, self.theme, entry.title if entry else "Workbench", words)

    def show_keys(self) -> None:
        """The keys of the page in front."""
        own = [(a.keys, a.title) for a in self.deck.actions_of(self._current) if a.keys]
        title = self._entries[self._current].title if self._current else "Workbench"
        panels.show_keys(self, title, own)

    def show_log(self) -> None:
        """Everything that was told."""
        panels.show_log(self, self.notices.history)

    def resize_reading(self, pixels: int) -> None:
        """Larger or smaller prompts and responses; 0 goes back to the default. Kept like any other setting."""
        wanted = self.settings.reading_resized(pixels)
        if wanted != self.settings and self.services is not None:
            self.settings_changed(wanted)
            self.bridge.run(self.services.settings.change, reading_size=wanted.reading_size)

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
        self.deck = Deck(self.theme, self.report)
        self.status = StatusBar(self.theme, lambda run: self.go("runs", run=run))
        for part in (self.top, self.deck, self.status):
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
            ("Ctrl+Z", lambda: self.deck.ask(self._current, "undo")),
            ("Ctrl+Shift+Z", lambda: self.deck.ask(self._current, "redo")),
            ("Ctrl+=", lambda: self.resize_reading(1)),
            ("Ctrl++", lambda: self.resize_reading(1)),
            ("Ctrl+-", lambda: self.resize_reading(-1)),
            ("Ctrl+0", lambda: self.resize_reading(0)),
            ("Ctrl+Q", self.close),
            ("F11", self.toggle_full_screen),
        ]
        for key, run in keys:
            shortcut = QShortcut(QKeySequence(key), self)
            shortcut.setContext(Qt.ShortcutContext.WindowShortcut)
            shortcut.activated.connect(lambda run=run: run())

    def _restore(self) -> None:
        geometry = self.recall("geometry")
        if geometry is not None:
            self.restoreGeometry(geometry)
        page = str(self.recall("page", ""))
        self._current = page if page in self._entries else next(iter(self._entries))
        self.rail.mark(self._current)
        self.top.show_page(self._entries[self._current].title)

    def _run_ended(self, run: str, what: str, hint: str, kind: NoticeKind) -> None:
        self.notify(what, hint, kind, ("Show the run", lambda: self.go("runs", run=run)))
