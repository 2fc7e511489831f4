"""Data: datasets at the left, their rows in the middle, one row in full at the right."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtGui import QKeySequence, QShortcut
from PySide6.QtWidgets import (
    QFileDialog,
    QHBoxLayout,
    QSplitter,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from workbench.domain.rows import usable_as
from workbench.gui.bridge import Bridge
from workbench.gui.pages.data_rows import RowsCard, short_line
from workbench.gui.pages.import_wizard import ImportWizard
from workbench.gui.shell import Action, Shell
from workbench.gui.widgets.basics import Card, button, wear_icon
from workbench.gui.widgets.row_panel import RowPanel
from workbench.gui.widgets.states import EmptyState
from workbench.gui.widgets.two_line_list import Line, TwoLineList
from workbench.gui.widgets.words import count
from workbench.services.views import DatasetView, Exported, Imported


class DataPage(QWidget):
    """Look at datasets, search them, import, export, delete, and go on to annotate."""

    help_text = (
        "Data holds everything that models learn from.\n\n"
        "- **Import** files with the button, or drop them anywhere on the window. The wizard finds the format, shows what "
        "would arrive, and lists every row that can't be used with its line and the reason. An import is all or nothing.\n"
        "- **Search** finds rows that contain the words, in any text of the row.\n"
        "- **Export** writes a dataset into a file that other tools read.\n"
        "- A **run** never trains on a dataset that changes: its rows are frozen into a snapshot first.\n"
        "- Labels made by a rule or a model are marked **synthetic** everywhere.\n"
    )

    def __init__(self, services: Any, bridge: Bridge, shell: Shell) -> None:
        super().__init__()
        self.setObjectName("data")
        self._services, self._bridge, self._shell = services, bridge, shell
        self._datasets: dict[str, DatasetView] = {}
        self._wanted = ""
        self.wizard: ImportWizard | None = None
        self._build()

    # -- what the window calls -----------------------------------------------------------------------------------------

    def shown(self) -> None:
        """Ask which datasets there are."""
        self._bridge.run(self._services.datasets.list, then=self._show_datasets)

    def hidden(self) -> None:
        """Keep the layout."""
        self._shell.remember("data.splitter", self.splitter.saveState())

    def arrive(self, dataset: str = "", wizard: bool = False, files: Sequence[Path] = ()) -> None:
        """Show a dataset, or open the import wizard, perhaps with files."""
        if dataset:
            self._wanted = dataset
            self.list.choose(dataset)
        if wizard or files:
            self.open_wizard(files)

    def actions(self) -> list[Action]:  # type: ignore[override]
        """What can be done here."""
        made = [Action("data.import", "Import data", "Ctrl+I", self.open_wizard)]
        if self.list.key():
            name = self.list.key()
            made += [
                Action("data.search", "Search rows", "Ctrl+F", self.rows.search.setFocus),
                Action("data.export", f"Export {name}", "", self.rows.menu.popup_here),
                *(
                    [Action("data.statistics", f"Statistics of the labels of {name}", "", self._statistics)]
                    if self._datasets[name].kind == "preferences"
                    else []
                ),
                *(
                    [Action("data.sample", f"Let models answer the prompts of {name}", "", self._sample)]
                    if usable_as(self._datasets[name].kind, "prompts")
                    else []
                ),
                Action("data.delete", f"Delete {name}", "", self._ask_delete),
            ]
        return made

    def open_wizard(self, files: Sequence[Path] = ()) -> None:
        """Open the import wizard; dropped files go into the one that is open."""
        if self.wizard is None:
            self.wizard = ImportWizard(self._services, self._bridge, self._shell.theme, self, self._imported)
            self.wizard.finished.connect(self._wizard_closed)
            self.wizard.open()
        if files:
            self.wizard.take_files(files)

    # -- inside: build -------------------------------------------------------------------------------------------------

    def _build(self) -> None:
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        self.stack = QStackedWidget()
        outer.addWidget(self.stack)
        self.empty = EmptyState(
            "No data yet",
            "Models learn from prompts, demonstrations and preferences. Import a file, or drop files anywhere on this "
            "window. Nothing leaves this machine.",
            ("Import data", self.open_wizard),
            name="data.empty",
            glyph="data",
            theme=self._shell.theme,
        )
        content = QWidget()
        row = QHBoxLayout(content)
        row.setContentsMargins(24, 16, 24, 16)
        find = QShortcut(QKeySequence("Ctrl+F"), self)
        find.setContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
        find.activated.connect(self._focus_search)
        self.splitter = QSplitter(Qt.Orientation.Horizontal)
        self.splitter.setObjectName("data.splitter")
        self.splitter.setChildrenCollapsible(False)
        self.panel = RowPanel(self._shell.theme, "data.row", raw=self._shell.settings.raw_text)
        self.panel.setMinimumWidth(220)
        self.rows = RowsCard(
            self._shell.theme,
            find=lambda _words: self._show_rows(),
            chosen=self.panel.show_row,
            annotate=self._annotate,
            sample=self._sample,
            statistics=self._statistics,
            export=self._export,
            delete=self._ask_delete,
        )
        for part in (self._build_list(), self.rows, self.panel):
            self.splitter.addWidget(part)
        self.splitter.setStretchFactor(1, 3)
        self.splitter.setStretchFactor(2, 2)
        self.splitter.setSizes([244, 520, 380])
        if (state := self._shell.recall("data.splitter")) is not None:
            self.splitter.restoreState(state)
        row.addWidget(self.splitter)
        self.stack.addWidget(content)
        self.stack.addWidget(self.empty)

    def _build_list(self) -> QWidget:
        card = Card("Datasets")
        card.setMinimumWidth(190)
        card.column.setContentsMargins(8, 12, 8, 12)
        card.top.setContentsMargins(8, 0, 0, 0)
        self.list = TwoLineList(self._shell.theme, "data.datasets", "Datasets")
        self.list.chosen.connect(self._dataset_chosen)
        card.column.addWidget(self.list, 1)
        add = wear_icon(
            button("Import data", "data.import", self.open_wizard, tip="Ctrl+I"), "import", self._shell.theme
        )
        add.setShortcut("Ctrl+I")
        card.column.addWidget(add)
        return card

    # -- inside: show --------------------------------------------------------------------------------------------------

    def _show_datasets(self, datasets: list[DatasetView]) -> None:
        self._datasets = {d.name: d for d in datasets}
        self.stack.setCurrentIndex(0 if datasets else 1)
        self.list.show_lines(
            [Line(d.name, d.name, short_line(d), "synthetic" if d.synthetic else "") for d in datasets]
        )
        wanted, self._wanted = self._wanted, ""
        if wanted and self.list.choose(wanted):
            return
        if datasets and not self.list.key():
            self.list.choose(datasets[0].name)
        elif datasets:
            self._show_head()

    def _dataset_chosen(self, name: str) -> None:
        self.rows.clear_search()
        self._show_head()
        self._show_rows()

    def _focus_search(self) -> None:
        self.rows.search.setFocus(Qt.FocusReason.ShortcutFocusReason)

    def _show_head(self) -> None:
        data = self._datasets.get(self.list.key())
        if data is not None:
            self.rows.show_dataset(data)
            self._bridge.run(self._services.datasets.export_formats, data.name, then=self.rows.menu.show_formats)

    def _show_rows(self) -> None:
        name, words = self.list.key(), self.rows.words()
        if not name:
            self.rows.show_rows(None, 0)
            return
        self._bridge.run(
            self._services.datasets.count, name, words, then=lambda total: self._count_arrived(name, words, total)
        )

    def _count_arrived(self, name: str, words: str, total: int) -> None:
        if (name, words) != (self.list.key(), self.rows.words()):
            return

        def fetch(offset: int, limit: int, deliver: Callable[[Sequence[Any]], Any]) -> None:
            self._bridge.run(self._services.datasets.page, name, offset, limit, words, then=deliver)

        self.rows.show_rows(fetch, total)

    # -- inside: do ----------------------------------------------------------------------------------------------------

    def _statistics(self) -> None:
        self._shell.go("statistics", dataset=self.list.key())

    def _sample(self) -> None:
        name = self.list.key()
        self._shell.go("train", spec={"kind": "study", "items": f"{name}-answers"}, data=name)

    def _annotate(self) -> None:
        self._shell.go("annotate", dataset=self.list.key())

    def _imported(self, done: Imported) -> None:
        self._wanted = done.dataset
        out = f"{count(len(done.left_out), 'row')} left out." if done.left_out else "Every row was taken."
        self._shell.notify(f"{done.dataset}: {count(done.imported, 'row')} imported", out, "good")
        self.shown()

    def _wizard_closed(self, _result: int) -> None:
        if self.wizard is not None:
            self.wizard.deleteLater()
        self.wizard = None

    def _export(self, form: str) -> None:
        name = self.list.key()
        dialog = QFileDialog(self, f"Export {name}", f"{name}.jsonl")
        dialog.setObjectName("data.export_dialog")
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.setFileMode(QFileDialog.FileMode.AnyFile)
        dialog.selectFile(f"{name}.jsonl")
        dialog.fileSelected.connect(lambda file: self.export_to(name, form, Path(file)))
        dialog.open()

    def export_to(self, name: str, form: str, out: Path) -> None:
        """Write a dataset into a file and tell what came of it."""
        self._bridge.run(self._services.datasets.export, name, form, out, then=self._exported, lane="long")

    def _exported(self, done: Exported) -> None:
        self._shell.notify(
            f"{count(done.rows, 'row')} written to {done.file.name}", " ".join(done.notes) or str(done.file), "good"
        )

    def _ask_delete(self) -> None:
        data = self._datasets.get(self.list.key())
        if data is None:
            return
        labels = f" and its {count(data.judged, 'judged item')}" if data.judged else ""
        words = f"Its {count(data.rows, 'row')}{labels} will be gone. Runs and models made from it stay, with their own frozen rows."
        self._shell.confirm(f"Delete {data.name}?", words, lambda: self._delete(data.name))

    def _delete(self, name: str) -> None:
        self._bridge.run(self._services.datasets.delete, name, then=lambda _: self._deleted(name), lane="long")

    def _deleted(self, name: str) -> None:
        self._shell.notify(f"{name} is deleted", kind="good")
        self.shown()
