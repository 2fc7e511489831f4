"""The upper and the lower part of the import wizard: what is read and how, and the verdict with its buttons."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QProgressBar,
    QVBoxLayout,
    QWidget,
)

from workbench.gui.widgets.basics import button, restyle, text
from workbench.gui.widgets.words import count
from workbench.services.views import Preview


class ImportChoices(QWidget):
    """Files, format and mapping. Calls `changed(with_mapping)` when a person chooses differently."""

    def __init__(self, choose: Callable[[], Any], changed: Callable[[bool], Any]) -> None:
        super().__init__()
        self._changed = changed
        self._combos: dict[str, QComboBox] = {}
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setHorizontalSpacing(12)
        grid.setVerticalSpacing(8)
        grid.setColumnStretch(1, 1)
        grid.addWidget(text("Files", "quiet"), 0, 0)
        self.file_names = text("none yet")
        self.file_names.setMinimumWidth(100)
        grid.addWidget(self.file_names, 0, 1)
        grid.addWidget(button("Choose files…", "import.choose", choose), 0, 2)
        grid.addWidget(text("Format", "quiet"), 1, 0)
        self.format = QComboBox()
        self.format.setObjectName("import.format")
        self.format.setAccessibleName("Format of the files")
        self.format.currentIndexChanged.connect(lambda _: self._changed(False))
        self.summary = text("", "quiet", wrap=True)
        side = QHBoxLayout()
        side.setSpacing(12)
        side.addWidget(self.format)
        side.addWidget(self.summary, 1)
        grid.addLayout(side, 1, 1, 1, 2)
        self.mapping_label = text("Columns", "quiet")
        self.mapping = QHBoxLayout()
        self.mapping.setSpacing(8)
        grid.addWidget(self.mapping_label, 2, 0)
        grid.addLayout(self.mapping, 2, 1, 1, 2)
        self.mapping_label.hide()

    def offer_formats(self, formats: Sequence[str]) -> None:
        """What can be chosen before anything has been found."""
        if self.format.count():
            return
        self.format.blockSignals(True)
        self.format.addItem("found by itself", "auto")
        for form in formats:
            self.format.addItem(form.replace("_", " "), form)
        self.format.blockSignals(False)

    def show_files(self, files: Sequence[Path]) -> None:
        """Name the files; their format is not known yet."""
        self.format.blockSignals(True)
        self.format.setCurrentIndex(self.format.findData("auto"))
        self.format.blockSignals(False)
        names = ", ".join(file.name for file in files)
        self.file_names.setText(names if len(names) < 90 else f"{files[0].name} and {len(files) - 1:,} more")
        self.file_names.setToolTip("\n".join(map(str, files)))

    def chosen_format(self) -> str:
        """The format chosen, or "auto"."""
        return str(self.format.currentData() or "auto")

    def chosen_mapping(self) -> dict[str, str]:
        """The column for each field, "" for none."""
        return {field: str(combo.currentData() or "") for field, combo in self._combos.items()}

    def show_preview(self, preview: Preview) -> None:
        """Show what was found."""
        self.format.blockSignals(True)
        if self.format.findData(preview.format) < 0:
            self.format.addItem(preview.format.replace("_", " "), preview.format)
        self.format.setCurrentIndex(self.format.findData(preview.format))
        self.format.blockSignals(False)
        self.summary.setText(" ".join((f"{preview.kind}; {count(preview.read, 'row')} read.", *preview.notes)))
        self._show_mapping(preview)

    def _show_mapping(self, preview: Preview) -> None:
        while (entry := self.mapping.takeAt(0)) is not None:
            if (old := entry.widget()) is not None:
                old.hide()
                old.deleteLater()
        self._combos.clear()
        for field, column in preview.mapping.items():
            self.mapping.addWidget(text(field.replace("_", " "), "quiet"))
            combo = QComboBox()
            combo.setObjectName(f"import.map.{field}")
            combo.setAccessibleName(f"Column for {field}")
            combo.addItem("–", "")
            for name in preview.columns:
                combo.addItem(name, name)
            if column and combo.findData(column) < 0:
                combo.addItem(column, column)
            combo.setCurrentIndex(max(0, combo.findData(column)))
            combo.currentIndexChanged.connect(lambda _: self._changed(True))
            self._combos[field] = combo
            self.mapping.addWidget(combo)
        self.mapping.addStretch(1)
        self.mapping_label.setVisible(bool(preview.mapping))


class ImportFoot(QWidget):
    """Progress, the verdict in one sentence, the name, the agreement to leave rows out, and the buttons."""

    def __init__(self, start: Callable[[], Any], cancel: Callable[[], Any]) -> None:
        super().__init__()
        self._preview: Preview | None = None
        foot = QVBoxLayout(self)
        foot.setContentsMargins(0, 0, 0, 0)
        foot.setSpacing(8)
        self.bar = QProgressBar()
        self.bar.setObjectName("import.bar")
        self.bar.setAccessibleName("Progress of the import")
        self.bar.setTextVisible(False)
        self.bar.hide()
        foot.addWidget(self.bar)
        self.verdict = text("", "quiet", wrap=True)
        self.verdict.setAccessibleName("Verdict")
        foot.addWidget(self.verdict)
        row = QHBoxLayout()
        row.setSpacing(8)
        label = QLabel("Name")
        self.name = QLineEdit()
        self.name.setObjectName("import.name")
        self.name.setAccessibleName("Name of the dataset")
        self.name.setMaximumWidth(240)
        self.name.textChanged.connect(lambda _: self.judge())
        label.setBuddy(self.name)
        row.addWidget(label)
        row.addWidget(self.name)
        self.skip = QCheckBox("Leave out the rows that can't be used")
        self.skip.setObjectName("import.skip_bad")
        self.skip.setAccessibleName("Leave out the rows that can't be used")
        self.skip.toggled.connect(lambda _: self.judge())
        self.skip.hide()
        row.addWidget(self.skip)
        row.addStretch(1)
        self.cancel = button("Cancel", "import.cancel", cancel)
        self.go = button("Import", "import.start", start, "primary")
        self.go.setEnabled(False)
        row.addWidget(self.cancel)
        row.addWidget(self.go)
        foot.addLayout(row)

    def show_preview(self, preview: Preview | None) -> None:
        """Judge another preview; None when there is nothing to import. Who agreed to leave other rows out is asked again."""
        before, self._preview = self._preview, preview
        if preview is None or before is None or (preview.files, preview.left_out) != (before.files, before.left_out):
            self.skip.setChecked(False)
        self.skip.setVisible(preview is not None and bool(preview.left_out) and preview.usable > 0)
        self.go.setEnabled(False)
        self.verdict.setText("")
        self.judge()

    def judge(self) -> None:
        """Say what Import would do, and allow it when it can be done."""
        preview = self._preview
        if preview is None:
            return
        out = len(preview.left_out)
        good = False
        if preview.usable == 0:
            words = "No row of these files can be used; the list says why."
        elif out and not self.skip.isChecked():
            words = f"{count(out, 'row')} can't be used. Look at the list, then agree to leave them out."
        elif not self.name.text().strip():
            words = "Give the dataset a name."
        else:
            good = True
            words = f"{count(preview.usable, 'row')} will be imported{f', {out:,} left out' if out else ''}."
        self.say(words, "good" if good else "warning")
        self.go.setEnabled(good)

    def say(self, words: str, role: str) -> None:
        """Show a sentence."""
        self.verdict.setText(words)
        restyle(self.verdict, role=role)

    def work(self, working: bool) -> None:
        """Show the bar and lock what must not change while the import runs."""
        self.bar.setVisible(working)
        self.bar.setRange(0, 0)
        for part in (self.go, self.name, self.skip):
            part.setEnabled(not working)

    def progress(self, done: int, total: int) -> None:
        """How far the import is."""
        self.bar.setRange(0, total)
        self.bar.setValue(done)
        self.say(f"Importing: {done:,} of {total:,} rows" if total else f"Importing: {done:,} rows", "quiet")


def name_for(file: Path) -> str:
    """A dataset's name made from a file's: `harmless-base.test.jsonl.gz` gives `harmless-base.test`."""
    name = file.name
    while (shorter := re.sub(r"\.(gz|jsonl?|parquet|csv|tsv|txt)$", "", name)) != name:
        name = shorter
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.") or "dataset"
