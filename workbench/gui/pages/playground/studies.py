"""Studies from the page: started as jobs, followed while they run, opened as table and plots, sent to ranking."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from PySide6.QtCore import QObject, Qt, QTimer
from PySide6.QtWidgets import QFileDialog, QHBoxLayout, QLineEdit, QVBoxLayout, QWidget

from workbench.domain.errors import Conflict, WorkbenchError
from workbench.domain.specs.study import StudySpec
from workbench.domain.study import Study
from workbench.gui.bridge import Bridge
from workbench.gui.pages.playground.columns_row import ColumnsRow
from workbench.gui.pages.playground.drawer import Drawer
from workbench.gui.pages.playground.lab import Lab
from workbench.gui.pages.playground.study_panel import StudyPanel
from workbench.gui.pages.playground.study_view import StudyView
from workbench.gui.shell import Shell
from workbench.gui.widgets.basics import button, text
from workbench.services.views import RunView, Sampled
from workbench.services.workbench import Workbench

LOOK = 1000  # milliseconds between two looks at a study under way


class StudySheet(QWidget):
    """A study under way or ended: how far it is, what it found so far, and the way to ranking."""

    def __init__(self, view: StudyView, rank: Any) -> None:
        super().__init__()
        self.view = view
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(8)
        row = QHBoxLayout()
        row.setSpacing(8)
        self.told = text("Reading the study …", "quiet", wrap=True)
        self.dataset = QLineEdit("to-rank")
        self.dataset.setObjectName("playground.study.dataset")
        self.dataset.setAccessibleName("Dataset that texts to rank go to")
        self.dataset.setMaximumWidth(160)
        self.rank = button(
            "Send to ranking",
            "playground.study.rank",
            rank,
            tip="Each prompt with its texts becomes an item to rank blind",
        )
        self.rank.setEnabled(False)
        row.addWidget(self.told, 1)
        row.addWidget(self.dataset)
        row.addWidget(self.rank)
        box.addLayout(row)
        box.addWidget(view, 1)

    def dress(self) -> None:
        """The theme's colours."""
        self.view.dress()


class Studies(QObject):
    """Knows which study is shown; looks at it every second until it has ended."""

    def __init__(
        self, services: Workbench, bridge: Bridge, shell: Shell, row: ColumnsRow, drawer: Drawer, lab: Lab
    ) -> None:
        super().__init__()
        self._services, self._bridge, self._shell = services, bridge, shell
        self._row, self._drawer, self._lab = row, drawer, lab
        self.run = ""
        self.sheet: StudySheet | None = None
        self._timer = QTimer(self)
        self._timer.setInterval(LOOK)
        self._timer.timeout.connect(self._look)
        lab.shown.connect(self._switched)

    def open_panel(self) -> None:
        """The form, and the studies made before."""
        if not self._row.masked:
            self._bridge.run(self._read_choices, then=self._show_panel)

    def start(self, spec: StudySpec) -> None:
        """Begin a study and follow it."""
        self._bridge.run(self._services.training.start, spec, then=lambda view: self.open(view.id))

    def open(self, run: str) -> None:
        """Show a study, finished or not."""
        self.run = run
        self.sheet = StudySheet(StudyView(self._shell.theme, self._ask_where), self._rank)
        self._drawer.hide()
        sheet = self.sheet
        self._lab.put(None, f"Study {run}", sheet)
        self.sheet = sheet  # putting it closed the one before
        self._timer.start()
        self._look()

    def pause(self) -> None:
        """Out of sight nothing is looked at."""
        self._timer.stop()

    def go_on(self) -> None:
        """In sight again."""
        if self.sheet is not None:
            self._timer.start()

    def _switched(self, _shown: bool) -> None:
        if self.sheet is not None and self._lab.pane.content is not self.sheet:
            self.sheet = None
            self._timer.stop()

    def _read_choices(self) -> tuple[Any, Any, Any]:
        datasets = [d for d in self._services.datasets.list() if d.kind != "documents" and d.rows]
        rewards = [m.name for m in self._services.models.list() if m.kind == "reward"]
        runs = [r for r in self._services.runs.list() if r.kind == "study"]
        return datasets, rewards, sorted(runs, key=lambda run: run.created, reverse=True)

    def _show_panel(self, found: tuple[Any, Any, Any]) -> None:
        datasets, rewards, runs = found
        if not self._row.masked:
            panel = StudyPanel(
                self._shell.theme, self._row.chosen(), datasets, rewards, runs, self.start, self.open
            )  # fmt: skip
            self._drawer.open("Study", panel)

    def _look(self) -> None:
        if self.sheet is not None:
            self._bridge.run(self._read, self.run, then=partial(self._show, self.run), failed=self._failed)

    def _read(self, run: str) -> tuple[RunView, Study | None]:
        view = self._services.runs.view(run)
        try:
            return view, self._services.studies.get(run)
        except Conflict:
            return view, None

    def _show(self, run: str, found: tuple[RunView, Study | None]) -> None:
        view, study = found
        if self.sheet is None or run != self.run:
            return
        share = f"{view.step:,} of {view.steps:,} batches" if view.steps else view.phase or "waiting"
        error = f" · {view.error_what} {view.error_hint}".rstrip() if view.error_what else ""
        self.sheet.told.setText(f"{view.name or view.id}: {view.state.value} · {share}{error}")
        self.sheet.rank.setEnabled(view.state.ended and study is not None)
        if study is not None and study != self.sheet.view.study:
            self.sheet.view.show_study(study)
        if view.state.ended:
            self._timer.stop()

    def _failed(self, error: WorkbenchError) -> None:
        self._timer.stop()
        if self.sheet is not None:
            self.sheet.told.setText(f"{error.what} {error.hint}".strip())

    def _rank(self) -> None:
        if self.sheet is not None:
            service, dataset = self._services.studies, self.sheet.dataset.text().strip()
            self._bridge.run(service.to_ranking, self.run, dataset, then=self._ranked, lane="long")

    def _ranked(self, made: Sampled) -> None:
        self._shell.notify(
            f"{made.items:,} items wait in {made.dataset}.", "Rank them on the Annotate page.", "good",
            ("Annotate", lambda: self._shell.go("annotate", dataset=made.dataset)),
        )  # fmt: skip

    def _ask_where(self, name: str, content: bytes) -> None:
        if self.sheet is None:
            return
        dialog = QFileDialog(self.sheet, "Save the study", name)
        dialog.setObjectName("playground.study.save_dialog")
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.setFileMode(QFileDialog.FileMode.AnyFile)
        dialog.selectFile(name)
        dialog.fileSelected.connect(lambda file: self.save(Path(file), content))
        dialog.open()

    def save(self, out: Path, content: bytes) -> None:
        """Write a table or a picture."""
        self._bridge.run(
            self._services.rounds.write, out, content, lane="long",
            then=lambda file: self._shell.notify(f"Written to {file.name}.", str(file), "good"),
        )  # fmt: skip
