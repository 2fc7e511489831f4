"""The rows of one dataset: its facts, what can be done with it, a search, and the table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from PySide6.QtCore import Qt, QTimer
from PySide6.QtWidgets import QHBoxLayout, QLineEdit, QMenu, QVBoxLayout, QWidget

from workbench.gui.theme import Theme
from workbench.gui.widgets.basics import Card, Elided, button, text, wear_icon
from workbench.gui.widgets.table import PAGE, ColumnOf, Fetch, VirtualTable
from workbench.gui.widgets.words import ago, count
from workbench.services.views import DatasetView, RowView

SEARCH_PAUSE_MS = 250
COLUMNS = (
    ColumnOf("#", lambda row: f"{row.index + 1:,}", number=True, width=64),
    ColumnOf("Prompt", lambda row: row.title, share=0.5),
    ColumnOf("Answer", lambda row: answer(row), share=0.5),
)


def answer(row: RowView) -> str:
    """The first text of a row that isn't part of its prompt."""
    return next((words for heading, words in row.texts if heading in ("Chosen", "Completion", "A")), "")


class RowsCard(Card):
    """Shows one dataset; asks `find(words)` when the search changes and `chosen(row)` when a row is chosen."""

    def __init__(
        self,
        theme: Theme,
        *,
        find: Callable[[str], Any],
        chosen: Callable[[RowView | None], Any],
        annotate: Callable[[], Any],
        sample: Callable[[], Any],
        statistics: Callable[[], Any],
        export: Callable[[str], Any],
        delete: Callable[[], Any],
    ) -> None:
        super().__init__()
        self.setMinimumWidth(280)
        self.column.setContentsMargins(12, 12, 12, 12)
        self._find, self._chosen = find, chosen
        self._row_missing = True
        self._pause = QTimer(self, interval=SEARCH_PAUSE_MS, singleShot=True)
        self._pause.timeout.connect(lambda: self._find(self.words()))
        self.annotate = button("Annotate this", "data.annotate", annotate, "primary")
        self.sample = button("Sample answers", "data.sample", sample, "primary")
        self.sample.setToolTip("Let models answer these prompts in a decoding study; its texts can be ranked")
        self.statistics = wear_icon(
            button("", "data.statistics", statistics, "flat", accessible="Statistics of its labels", tip="Statistics of its labels"),
            "statistics",
            theme,
        )  # fmt: skip
        self.export = wear_icon(button("Export", "data.export", lambda: None, tip="Write into a file"), "export", theme)
        self.menu = ExportMenu(self.export, export)
        self.export.setMenu(self.menu)
        self.delete = button(
            "", "data.delete", delete, "flat", accessible="Delete this dataset", tip="Delete this dataset"
        )
        wear_icon(self.delete, "trash", theme)
        self._build_head()
        self._build_search()
        self.table = VirtualTable(COLUMNS, "data.rows", "Rows")
        self.table.setProperty("role", "bare")
        self.table.on_row(self._row_chosen)
        self.table.rows.dataChanged.connect(lambda *_: self._page_arrived())
        self.column.addWidget(self.table, 1)

    def show_dataset(self, data: DatasetView) -> None:
        """Show a dataset's name and facts."""
        self.title.setText(data.name)
        self.synthetic.setVisible(data.synthetic)
        source = f" · from {data.source}" if data.source else ""
        self.facts.setText(f"{data.kind} · {under(data)} · added {ago(data.created)}{source}")
        self.annotate.setVisible(data.kind == "preferences")
        self.sample.setVisible(data.kind == "prompts")
        self.statistics.setVisible(data.kind == "preferences")

    def words(self) -> str:
        """What is searched for."""
        return self.search.text().strip()

    def clear_search(self) -> None:
        """Search for nothing, without asking again."""
        self.search.blockSignals(True)
        self.search.clear()
        self.search.blockSignals(False)

    def show_rows(self, fetch: Fetch | None, total: int) -> None:
        """Show so many rows, fetched as they are looked at."""
        self._row_missing = True
        self._chosen(None)
        self.found.setText(count(total, "row") if total or not self.words() else "nothing found")
        self.table.rows.show(fetch, total)
        if total:
            self.table.setCurrentIndex(self.table.rows.index(0, 0))

    def _build_head(self) -> None:
        heads = QVBoxLayout()
        heads.setSpacing(2)
        top = QHBoxLayout()
        top.setSpacing(8)
        self.title = Elided("heading")
        self.synthetic = text("synthetic", "chip")
        top.addWidget(self.title, 1)
        top.addWidget(self.synthetic, 0, Qt.AlignmentFlag.AlignVCenter)
        for part in (self.statistics, self.export, self.delete):
            top.addWidget(part)
        heads.addLayout(top)
        self.facts = Elided("quiet")
        heads.addWidget(self.facts)
        self.column.addLayout(heads)

    def _build_search(self) -> None:
        line = QHBoxLayout()
        self.search = QLineEdit()
        self.search.setObjectName("data.search")
        self.search.setAccessibleName("Search rows")
        self.search.setPlaceholderText("Search all texts   Ctrl+F")
        self.search.setClearButtonEnabled(True)
        self.search.textChanged.connect(lambda _: self._pause.start())
        line.addWidget(self.search, 1)
        self.found = text("", "quiet")
        self.found.setAccessibleName("Rows found")
        line.addWidget(self.found)
        line.addWidget(self.annotate)
        line.addWidget(self.sample)
        self.column.addLayout(line)

    def _row_chosen(self, number: int) -> None:
        row = self.table.rows.row(number)
        self._row_missing = row is None
        self._chosen(row)
        if row is None:
            self.table.rows.prefetch(number // PAGE)

    def _page_arrived(self) -> None:
        now = self.table.currentIndex()
        if now.isValid() and self._row_missing:
            self._row_chosen(now.row())


class ExportMenu(QMenu):
    """The formats that a dataset can be written in."""

    def __init__(self, anchor: QWidget, export: Callable[[str], Any]) -> None:
        super().__init__(anchor)
        self._anchor = anchor
        self._export = export

    def show_formats(self, formats: Sequence[str]) -> None:
        """Offer these formats."""
        self.clear()
        for form in formats:
            self.addAction(form.replace("_", " ")).triggered.connect(lambda _=False, form=form: self._export(form))

    def popup_here(self) -> None:
        """Open below its button."""
        self.popup(self._anchor.mapToGlobal(self._anchor.rect().bottomLeft()))


def under(data: DatasetView) -> str:
    """How much there is in a dataset."""
    if data.kind == "preferences":
        return f"{data.judged:,} of {data.rows:,} judged"
    return count(data.rows, "row")


def short_line(data: DatasetView) -> str:
    """The line below a dataset's name in the list."""
    if data.kind == "preferences":
        return f"{data.judged:,}/{data.rows:,} judged"
    return count(data.rows, "row")
