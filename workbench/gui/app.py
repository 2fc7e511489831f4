"""Builds the window, opens the workspace behind it, and hands everything down."""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import Callable
from functools import partial
from logging.handlers import RotatingFileHandler
from pathlib import Path
from types import TracebackType
from typing import Any

from PySide6.QtCore import QSettings, QStandardPaths
from PySide6.QtGui import QIcon
from PySide6.QtWidgets import QApplication
from shiboken6 import isValid

from workbench.domain.errors import WorkbenchError
from workbench.domain.settings import Settings
from workbench.gui.bridge import unexpected
from workbench.gui.collecting import Collector
from workbench.gui.icons import picture
from workbench.gui.server_panel import ServerPanel
from workbench.gui.theme import Theme
from workbench.gui.unfinished import tell_of_merge
from workbench.gui.widgets.asking import ask_folder
from workbench.gui.window import Window

APP_NAME = "rlhf-workbench"


def main(workspace: Path | None = None) -> int:
    """Open the window on a workspace (the last one, or the starter, when none is named); returns the exit code."""
    app = make_app()
    Collector(app)
    folder = Path(QStandardPaths.writableLocation(QStandardPaths.StandardLocation.AppConfigLocation))
    keep_log(Path(QStandardPaths.writableLocation(QStandardPaths.StandardLocation.AppDataLocation)) / "window.log")
    theme = Theme(app)
    window = Window(theme, QSettings(str(folder / "window.ini"), QSettings.Format.IniFormat))
    theme.apply(last_mode(window), *last_sizes(window))
    catch_unexpected(window)
    opener = Opener(window)
    window.show()
    opener.open(workspace)
    return app.exec()


def make_app() -> QApplication:
    """The application object, with its name, style and icon."""
    found = QApplication.instance()
    app = found if isinstance(found, QApplication) else QApplication(sys.argv[:1])
    app.setApplicationName(APP_NAME)
    app.setApplicationDisplayName("RLHF Workbench")
    app.setStyle("Fusion")
    app.setWindowIcon(QIcon(picture("models", "#3355DD", 128)))
    return app


def last_mode(window: Window) -> Any:
    """The theme that was in force last, so that the window doesn't flash before the workspace is open."""
    mode = window.recall("theme", "system")
    return mode if mode in ("system", "light", "dark") else "system"


def last_sizes(window: Window) -> tuple[int, int]:
    """The text sizes that were in force last."""
    try:
        sizes = Settings(font_size=window.recall("font_size", 13), reading_size=window.recall("reading_size", 15))
    except ValueError:
        sizes = Settings()
    return sizes.font_size, sizes.reading_size


def keep_log(file: Path) -> None:
    """Write warnings and unexpected errors into a file of at most 1 MB beside the user's data."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        handler = RotatingFileHandler(file, maxBytes=1_000_000, backupCount=1, encoding="utf-8", delay=True)
    except OSError:
        return  # a machine without a writable home still gets its window
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    logging.getLogger("workbench").addHandler(handler)


def catch_unexpected(window: Window) -> None:
    """Whatever escapes from a slot is told to the user and logged; the window goes on."""
    before = sys.excepthook

    def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if issubclass(kind, KeyboardInterrupt):
            before(kind, error, trace)
            return
        window.report(error if isinstance(error, WorkbenchError) else unexpected(error.with_traceback(trace)))

    sys.excepthook = hook


class Opener:
    """Opens, makes and changes workspaces, off the GUI thread."""

    def __init__(self, window: Window) -> None:
        self._window = window
        menu = window.top.menu
        for title, run in (
            ("Open workspace…", self.choose),
            ("New workspace…", self.choose_new),
            ("Workspace on a server…", self.connect_server),
        ):
            action = menu.addAction(title)
            action.triggered.connect(lambda _=False, run=run: run())

    def open(self, path: Path | None, *, create: bool = False, password: str = "") -> None:
        """Open a workspace; None means the last one, or the starter when there is none. The password is for its server."""
        window = self._window
        before = window.services
        window.opening(path or Path("the workspace"))
        window.bridge.run(
            open_services,
            path,
            create,
            before,
            password,
            then=self._opened,
            failed=partial(self._not_opened, path, partial(self.open, path, create=create, password=password)),
        )

    def connect_server(self, folder: Path | None = None, address: str = "") -> None:
        """The form for a workspace on a server; with a folder that is one already, for its password."""
        window = self._window
        beside = window.services.path.parent if window.services is not None else Path.home() / APP_NAME
        panel = ServerPanel(window, lambda *asked: self._join(panel, *asked), beside)
        if folder is not None:
            panel.fill(folder, address)
        panel.show()

    def choose(self) -> None:
        """Let the user choose an existing workspace."""
        ask_folder(self._window, "workspace_dialog", "Open a workspace", self.open)

    def choose_new(self) -> None:
        """Let the user name a new folder."""
        make = partial(self.open, create=True)
        ask_folder(self._window, "workspace_dialog", "Make a workspace in a new folder", make, new=True)

    def _join(self, panel: ServerPanel, folder: Path, address: str, password: str) -> None:
        self._window.bridge.run(
            join_server,
            folder,
            address,
            password,
            then=lambda joined: self._joined(panel, *joined),
            failed=lambda error: panel.failed(error) if isValid(panel) else self._window.report(error),
            lane="long",
        )

    def _joined(self, panel: ServerPanel, path: Path, password: str) -> None:
        if not isValid(panel):  # it was closed meanwhile: nobody waits for this workspace any more
            self._window.notify(f"{path.name} is ready.", "Open it from the menu of workspaces.", "good")
            return
        panel.close()
        self.open(path, password=password)

    def _not_opened(self, path: Path | None, again: Callable[[], None], error: WorkbenchError) -> None:
        folder, address = server_behind(path)
        ask = partial(self.connect_server, folder, address)
        self._window.failed_to_open(error, again, ("Give a password…", ask) if address else None)

    def _opened(self, answer: tuple[Any, Settings]) -> None:
        services, settings = answer
        self._window.wear(services, settings)
        tell_of_merge(services.merging, self._window.bridge, self._window)


def join_server(folder: Path, address: str, password: str) -> tuple[Path, str]:
    """Make a folder over a workspace on a server, or try the one that is there; runs on a lane."""
    from workbench.services import workbench as services

    return services.join_server(folder, address, password)


def server_behind(path: Path | None) -> tuple[Path | None, str]:
    """The folder that was to be opened and the address of its server, "" where it has none that can be read."""
    from workbench.services import workbench as services

    folder = path or services.last_workspace()
    with contextlib.suppress(WorkbenchError):
        address = services.server_of(folder) if folder is not None else None
        if address is not None:
            return folder, address.parted()[0].written()
    return folder, ""


def open_services(path: Path | None, create: bool, before: Any, password: str = "") -> tuple[Any, Settings]:
    """Open a workspace's services; runs on a lane, so that the window stands before the database is loaded."""
    from workbench.services import workbench as services

    if before is not None:
        before.close()
    folder = path or services.last_workspace()
    if folder is None:
        folder = Path.home() / APP_NAME / "starter"
        if not folder.exists():
            services.new_workspace(folder, starter=True)
    elif create:
        services.new_workspace(folder)
    opened = services.Workbench.open(folder, password=password)
    services.remember_workspace(folder)
    return opened, opened.settings.get()
