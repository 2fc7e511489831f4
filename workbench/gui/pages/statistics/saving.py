"""Taking statistics along: all figures as a table, a plot as a picture. A file dialog shows on the button only."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from PySide6.QtWidgets import QWidget

from workbench.gui.bridge import Bridge
from workbench.gui.shell import Shell
from workbench.gui.widgets.asking import ask_file
from workbench.services.views import Exported
from workbench.services.workbench import Workbench


class _Page(Protocol):
    dataset: str


class Saving:
    """Asks where to, has it written whole or not at all, and tells what came of it."""

    def __init__(self, page: _Page, services: Workbench, bridge: Bridge, shell: Shell) -> None:
        self._page, self._services, self._bridge, self._shell = page, services, bridge, shell

    def ask_table(self) -> None:
        """Where to put all figures."""
        self._where(f"{self._page.dataset}-figures.csv", self.write_table)

    def ask_picture(self, name: str, picture: bytes) -> None:
        """Where to put the picture of a plot."""
        self._where(f"{self._page.dataset}-{name}.png", lambda out: self.write_picture(out, picture))

    def write_table(self, out: Path) -> None:
        """Write every figure into a table."""
        export = self._services.statistics.export_csv
        self._bridge.run(export, self._page.dataset, out, then=self._written, lane="long")

    def write_picture(self, out: Path, picture: bytes) -> None:
        """Keep a picture of a plot."""
        export = self._services.statistics.export_picture
        self._bridge.run(export, out, picture, then=self._kept, lane="long")

    def _where(self, name: str, then: Callable[[Path], Any]) -> None:
        assert isinstance(self._page, QWidget)
        ask_file(self._page, "statistics.save_dialog", "Save", name, then)

    def _written(self, done: Exported) -> None:
        self._shell.notify(f"{done.rows:,} figures written to {done.file.name}", str(done.file), "good")

    def _kept(self, file: Path) -> None:
        self._shell.notify(f"{file.name} is written", str(file), "good")
