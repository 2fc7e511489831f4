"""What a person does with a study on show: read its table, keep files of it, make items to rank."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from PySide6.QtWidgets import QWidget

from workbench.domain.errors import WorkbenchError
from workbench.domain.study import Study
from workbench.gui.bridge import Bridge
from workbench.gui.shell import Shell
from workbench.gui.widgets.asking import ask_file
from workbench.gui.widgets.words import count
from workbench.services.studies import StudiesService
from workbench.services.views import RunView, Sampled


class Studying:
    """Sends the wish through the bridge and tells what comes of it. `current` gives the run on show."""

    def __init__(
        self,
        parent: QWidget,
        studies: StudiesService,
        bridge: Bridge,
        shell: Shell,
        current: Callable[[], RunView | None],
    ) -> None:
        self._parent, self._studies, self._bridge, self._shell = parent, studies, bridge, shell
        self._current = current

    def read(self, run: str, show: Callable[[Study | None], Any]) -> None:
        """Read the table; None where there is none yet."""
        self._bridge.run(self._studies.get, run, then=show, failed=partial(self._missing, show), lane="long")

    def save(self, name: str, content: bytes) -> None:
        """Ask where a file goes, and write it."""
        if view := self._current():
            self._where(f"{view.id}-{name}", lambda out: self.keep(out, content))

    def texts(self) -> None:
        """Ask where table, prompts and texts go, and write them as JSON."""
        if view := self._current():
            self._where(f"{view.id}.json", partial(self.write, view.id))

    def keep(self, out: Path, content: bytes) -> None:
        """Write a file."""
        self._bridge.run(self._studies.keep, out, content, then=self._written, lane="long")

    def write(self, run: str, out: Path) -> None:
        """Write everything that was said."""
        self._bridge.run(self._studies.export, run, out, then=self._written, lane="long")

    def rank(self, dataset: str, candidates: int) -> None:
        """Make items of the texts."""
        if view := self._current():
            self._bridge.run(self._studies.to_ranking, view.id, dataset, candidates, then=self._ranked, lane="long")

    def _where(self, name: str, then: Callable[[Path], Any]) -> None:
        ask_file(self._parent, "runs.save_dialog", "Save", name, then)

    def _missing(self, show: Callable[[Study | None], Any], error: WorkbenchError) -> None:
        show(None)
        if error.kind != "conflict":
            self._shell.notify(error.what, error.hint, "bad", details=error.details)

    def _written(self, file: Path) -> None:
        self._shell.notify(f"{file.name} is written", str(file), "good")

    def _ranked(self, made: Sampled) -> None:
        left = f"{count(made.left_out, 'prompt')} had fewer than two different texts." if made.left_out else ""
        were = "was" if made.items == 1 else "were"
        self._shell.notify(
            f"{count(made.items, 'item')} {were} appended to {made.dataset}.", left, "good",
            action=("Rank them", lambda: self._shell.go("annotate", dataset=made.dataset)),
        )  # fmt: skip
