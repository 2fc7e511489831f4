"""One row of a dataset in full: its texts as Markdown or raw, and its facts."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QCheckBox, QFrame, QGridLayout, QHBoxLayout, QLabel, QScrollArea, QVBoxLayout, QWidget

from workbench.gui.theme import Theme
from workbench.gui.widgets.basics import clear, rule, text
from workbench.gui.widgets.markdown import MarkdownView
from workbench.services.views import RowView

_TONES = {"Chosen": "chosen", "Rejected": "rejected"}


class RowPanel(QFrame):
    """Shows a RowView; a switch shows the texts raw."""

    def __init__(self, theme: Theme, name: str, *, raw: bool = False) -> None:
        super().__init__()
        self.setObjectName(name)
        self.setProperty("role", "card")
        self._theme, self._name = theme, name
        self._row: RowView | None = None
        outer = QVBoxLayout(self)
        outer.setContentsMargins(16, 12, 4, 12)
        outer.setSpacing(8)
        top = QHBoxLayout()
        top.setContentsMargins(0, 0, 12, 0)
        self.title = text("", "heading")
        top.addWidget(self.title)
        top.addStretch(1)
        self.raw = QCheckBox("Raw")
        self.raw.setObjectName(f"{name}.raw")
        self.raw.setAccessibleName("Show texts raw instead of as Markdown")
        self.raw.setChecked(raw)
        self.raw.toggled.connect(lambda _: self.show_row(self._row))
        top.addWidget(self.raw)
        outer.addLayout(top)
        area = QScrollArea()
        area.setObjectName(f"{name}.scroll")
        area.setWidgetResizable(True)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        body = QWidget()
        self._column = QVBoxLayout(body)
        self._column.setContentsMargins(0, 0, 12, 0)
        self._column.setSpacing(8)
        area.setWidget(body)
        outer.addWidget(area, 1)
        theme.changed.connect(self._paint_again)
        self.show_row(None)

    @property
    def row(self) -> RowView | None:
        """The row that is shown."""
        return self._row

    def show_row(self, row: RowView | None) -> None:
        """Show another row, or say that none is chosen."""
        self._row = row
        clear(self._column)
        self.title.setText(f"Row {row.index + 1:,}" if row else "One row")
        self.raw.setVisible(row is not None)
        if row is None:
            self._column.addWidget(text("Choose a row to read it in full.", "quiet", wrap=True))
        else:
            for heading, words in row.texts:
                self._add_text(heading, words)
            if row.facts:
                self._column.addWidget(rule())
                self._add_facts(row.facts)
        self._column.addStretch(1)

    def _add_text(self, heading: str, words: str) -> None:
        label = text(heading, "strong")
        if heading in _TONES:
            label.setStyleSheet(f"color: {getattr(self._theme.colours, _TONES[heading])}")
        self._column.addWidget(label)
        if words.strip():
            view = MarkdownView(self._theme, f"{self._name}.text.{heading.lower()}", raw=self.raw.isChecked())
            view.setAccessibleName(heading)
            view.grow_with_text()
            view.show_text(words)
            self._column.addWidget(view)
        else:
            self._column.addWidget(text("(empty)", "quiet"))
        self._column.addSpacing(8)

    def _add_facts(self, facts: tuple[tuple[str, str], ...]) -> None:
        grid = QGridLayout()
        grid.setHorizontalSpacing(12)
        grid.setVerticalSpacing(4)
        grid.setColumnStretch(1, 1)
        for line, (name, words) in enumerate(facts):
            grid.addWidget(text(name, "quiet"), line, 0, Qt.AlignmentFlag.AlignTop)
            value: QLabel = text(words[:2000], wrap=True, select=True)
            grid.addWidget(value, line, 1)
        holder = QWidget()
        holder.setLayout(grid)
        grid.setContentsMargins(0, 0, 0, 0)
        self._column.addWidget(holder)

    def _paint_again(self) -> None:
        self.show_row(self._row)
