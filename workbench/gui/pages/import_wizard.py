"""The import wizard: files, format and mapping, the first rows, the rows left out and why, then the import."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtGui import QCloseEvent, QDragEnterEvent, QDropEvent
from PySide6.QtWidgets import (
    QDialog,
    QFileDialog,
    QSplitter,
    QStackedWidget,
    QTabWidget,
    QVBoxLayout,
    QWidget,
)

from workbench.domain.errors import WorkbenchError
from workbench.gui.bridge import Bridge, Ticket
from workbench.gui.pages.import_parts import ImportChoices, ImportFoot, name_for
from workbench.gui.theme import Theme
from workbench.gui.widgets.row_panel import RowPanel
from workbench.gui.widgets.states import BusyState, EmptyState, ErrorState
from workbench.gui.widgets.table import ColumnOf, VirtualTable
from workbench.services.views import Imported, Preview

ROW_COLUMNS = (
    ColumnOf("#", lambda row: f"{row.index + 1}", number=True, width=48),
    ColumnOf("Prompt", lambda row: row.title, share=0.5),
    ColumnOf("Answer", lambda row: row.texts[-1][1] if len(row.texts) > 1 else "", share=0.5),
)
LEFT_COLUMNS = (
    ColumnOf("Line", lambda trouble: f"{trouble.line:,}", number=True, width=80),
    ColumnOf("Why it would be left out", lambda trouble: trouble.reason),
)


class ImportWizard(QDialog):
    """One window, read from top to bottom. Nothing is changed before Import, and then all or nothing."""

    def __init__(
        self, services: Any, bridge: Bridge, theme: Theme, parent: QWidget, done: Callable[[Imported], Any]
    ) -> None:
        super().__init__(parent)
        self.setObjectName("import")
        self.setWindowTitle("Import data")
        self.setWindowModality(Qt.WindowModality.WindowModal)
        self.setAcceptDrops(True)
        window = parent.window()
        self.resize(min(960, window.width() - 48), min(680, window.height() - 32))
        self._services, self._bridge, self._theme, self._done = services, bridge, theme, done
        self.files: tuple[Path, ...] = ()
        self.preview: Preview | None = None
        self._looking: Ticket | None = None
        self._importing: Ticket | None = None
        self._build()
        bridge.run(services.datasets.formats, then=self.choices.offer_formats)

    # -- what others call ----------------------------------------------------------------------------------------------

    def take_files(self, files: Sequence[Path]) -> None:
        """Look at these files."""
        if self._importing is not None or not files:
            return
        self.files = tuple(files)
        self.choices.show_files(self.files)
        if not self.foot.name.isModified():
            self.foot.name.setText(name_for(self.files[0]))
        self.look()

    def look(self, *, with_mapping: bool = False) -> None:
        """Ask what an import with the present choices would do."""
        if not self.files:
            return
        if self._looking is not None:
            self._looking.cancel()
        mapping = self.choices.chosen_mapping() if with_mapping else {}
        self._show(BusyState("Reading the files", self._cancel_look, name="import.busy", theme=self._theme))
        self.foot.go.setEnabled(False)
        self._looking = self._bridge.run(
            self._services.datasets.preview,
            list(self.files),
            self.choices.chosen_format(),
            mapping,
            then=self._show_preview,
            failed=self._look_failed,
            lane="long",
        )

    def start(self) -> None:
        """Import."""
        if self.preview is None or self._importing is not None:
            return
        self._working(True)
        self._importing = self._bridge.run(
            self._services.datasets.import_files,
            list(self.files),
            self.foot.name.text().strip(),
            self.preview.format,
            dict(self.preview.mapping),
            self.foot.skip.isChecked(),
            then=self._imported,
            failed=self._import_failed,
            progress=self.foot.progress,
            lane="long",
        )

    # -- Qt ------------------------------------------------------------------------------------------------------------

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        """Files may be dropped here too."""
        if event.mimeData().hasUrls():
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:
        """Look at the files dropped."""
        self.take_files([Path(url.toLocalFile()) for url in event.mimeData().urls() if url.isLocalFile()])

    def reject(self) -> None:
        """Escape or Cancel: stop what is under way; nothing has been imported."""
        for ticket in (self._looking, self._importing):
            if ticket is not None:
                ticket.cancel()
        super().reject()

    def closeEvent(self, event: QCloseEvent) -> None:
        """Closing is cancelling."""
        self.reject()
        super().closeEvent(event)

    # -- inside: build -------------------------------------------------------------------------------------------------

    def _build(self) -> None:
        column = QVBoxLayout(self)
        column.setContentsMargins(24, 16, 24, 16)
        column.setSpacing(12)
        self.choices = ImportChoices(self.choose, lambda with_mapping: self.look(with_mapping=with_mapping))
        column.addWidget(self.choices)
        self.stack = QStackedWidget()
        column.addWidget(self.stack, 1)
        self.tabs = QTabWidget()
        self.tabs.setObjectName("import.tabs")
        self.rows = VirtualTable(ROW_COLUMNS, "import.rows", "First rows")
        self.row = RowPanel(self._theme, "import.row")
        halves = QSplitter(Qt.Orientation.Horizontal)
        halves.addWidget(self.rows)
        halves.addWidget(self.row)
        halves.setSizes([480, 400])
        self.rows.on_row(lambda number: self.row.show_row(self.rows.rows.row(number)))
        self.tabs.addTab(_padded(halves), "First rows")
        self.left_out = VirtualTable(LEFT_COLUMNS, "import.left_out", "Rows that would be left out")
        self.tabs.addTab(_padded(self.left_out), "Left out")
        self.stack.addWidget(self.tabs)
        self._show(
            EmptyState(
                "Choose files",
                "JSON, JSONL (also gzipped), Parquet or CSV. The format is found by itself; you see everything before "
                "anything is changed. Files can be dropped here.",
                ("Choose files…", self.choose),
                name="import.empty",
                glyph="import",
                theme=self._theme,
            )
        )
        self.foot = ImportFoot(self.start, self.reject)
        column.addWidget(self.foot)

    def choose(self) -> None:
        """Let the user choose files."""
        dialog = QFileDialog(self, "Choose files to import")
        dialog.setObjectName("import.files")
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.setFileMode(QFileDialog.FileMode.ExistingFiles)
        dialog.setNameFilters(
            ["Datasets (*.json *.jsonl *.jsonl.gz *.json.gz *.parquet *.csv *.tsv *.txt)", "All files (*)"]
        )
        dialog.filesSelected.connect(lambda names: self.take_files([Path(name) for name in names]))
        dialog.open()

    # -- inside: show --------------------------------------------------------------------------------------------------

    def _show(self, state: QWidget) -> None:
        while self.stack.count() > 1 and (old := self.stack.widget(1)) is not None:
            self.stack.removeWidget(old)
            old.hide()
            old.deleteLater()
        self.stack.addWidget(state)
        self.stack.setCurrentWidget(state)

    def _show_preview(self, preview: Preview) -> None:
        self.preview, self._looking = preview, None
        self.stack.setCurrentIndex(0)
        self.choices.show_preview(preview)
        self._serve(self.rows, preview.rows)
        if preview.rows:
            self.rows.setCurrentIndex(self.rows.rows.index(0, 0))
        self._serve(self.left_out, preview.left_out)
        self.tabs.setTabText(0, f"First {len(preview.rows)} rows")
        self.tabs.setTabText(1, f"Left out ({len(preview.left_out):,})")
        self.tabs.setTabVisible(1, bool(preview.left_out))
        self.foot.show_preview(preview)

    @staticmethod
    def _serve(table: VirtualTable, rows: Sequence[Any]) -> None:
        def fetch(offset: int, limit: int, deliver: Callable[[Sequence[Any]], Any]) -> None:
            deliver(rows[offset : offset + limit])

        table.rows.show(fetch, len(rows))
        table.rows.prefetch(0)

    def _cancel_look(self) -> None:
        if self._looking is not None:
            self._looking.cancel()
            self._looking = None
        if self.preview is not None:
            self.stack.setCurrentIndex(0)
            self.foot.judge()
        else:
            self.reject()

    def _look_failed(self, error: WorkbenchError) -> None:
        self.preview = None
        self._show(ErrorState(error, self.choose, name="import.error", theme=self._theme))
        self.foot.show_preview(None)

    def _working(self, working: bool) -> None:
        self.foot.work(working)
        for part in (self.choices, self.tabs):
            part.setEnabled(not working)
        if working:
            self.foot.say("Importing…", "quiet")

    def _imported(self, done: Imported) -> None:
        self._importing = None
        self._done(done)
        self.accept()

    def _import_failed(self, error: WorkbenchError) -> None:
        self._importing = None
        self._working(False)
        self.foot.judge()
        self.foot.say(f"{error.what} {error.hint} Nothing was changed.", "bad")


def _padded(widget: QWidget) -> QWidget:
    holder = QWidget()
    column = QVBoxLayout(holder)
    column.setContentsMargins(0, 8, 0, 0)
    column.addWidget(widget)
    return holder
