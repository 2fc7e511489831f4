"""The form that exports a model for use elsewhere: what to write, under which licence, and where."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from PySide6.QtWidgets import QComboBox, QFormLayout, QFrame, QHBoxLayout, QLineEdit, QVBoxLayout

from workbench.domain.errors import WorkbenchError
from workbench.gui.bridge import Bridge
from workbench.gui.shell import Shell
from workbench.gui.widgets.asking import ask_folder
from workbench.gui.widgets.basics import button, restyle, text
from workbench.services.model_export import FORMS, PRECISIONS, ModelExportService

_EXACTNESS = {"f32": "float32, exact", "f16": "float16, half the size", "q8_0": "8 bits, a quarter of the size"}


class ExportPanel(QFrame):
    """Stands in the card's place until it is left; goes on writing when it is."""

    def __init__(self, service: ModelExportService, bridge: Bridge, shell: Shell, leave: Callable[[], Any]) -> None:
        super().__init__()
        self._service, self._bridge, self._shell = service, bridge, shell
        self._name = self._proposed = ""
        self.setObjectName("models.export")
        self.setAccessibleName("Export a model")
        self.setProperty("role", "card")
        self.setMinimumWidth(280)
        box = QVBoxLayout(self)
        box.setContentsMargins(16, 12, 16, 12)
        box.setSpacing(8)
        self.title = text("", "heading", wrap=True)
        box.addWidget(self.title)
        self.form = _chooser("models.export.form", "Format", [(form, form) for form, _ in FORMS])
        self.sentence = text("", "quiet", wrap=True)
        self.precision = _chooser("models.export.precision", "Precision", [(p, _EXACTNESS[p]) for p in PRECISIONS])
        self.licence = QLineEdit()
        self.licence.setObjectName("models.export.licence")
        self.licence.setAccessibleName("Licence")
        self.licence.setPlaceholderText("for example apache-2.0")
        self.place = QLineEdit()
        self.place.setObjectName("models.export.place")
        self.place.setAccessibleName("New folder to write into")
        where = QHBoxLayout()
        where.setSpacing(8)
        where.addWidget(self.place, 1)
        where.addWidget(
            button("…", "models.export.browse", self._browse, accessible="Choose where the new folder is made")
        )
        form = QFormLayout()
        form.setRowWrapPolicy(QFormLayout.RowWrapPolicy.WrapAllRows)
        form.setVerticalSpacing(4)
        form.addRow("Format", self.form)
        form.addRow(self.sentence)
        self._precision_words = text("Precision")
        form.addRow(self._precision_words, self.precision)
        form.addRow("Licence, written into the card", self.licence)
        form.addRow("New folder", where)
        box.addLayout(form)
        self.told = text("", "quiet", wrap=True, select=True)
        box.addWidget(self.told)
        box.addStretch(1)
        row = QHBoxLayout()
        self.start = button("Export", "models.export.start", self.export, "primary")
        row.addWidget(self.start)
        row.addWidget(button("Back", "models.export.back", leave))
        row.addStretch(1)
        box.addLayout(row)
        self.form.currentIndexChanged.connect(lambda _: self._follow())
        self._follow()

    def show_model(self, name: str) -> None:
        """Offer to export this model."""
        if name != self._name:
            self._name = name
            self.title.setText(f"Export {name}")
            self._tell("")
            self._follow()

    def export(self) -> None:
        """Write the files; the page can be left meanwhile."""
        name, out = self._name, Path(self.place.text().strip())
        self.start.setEnabled(False)
        self._tell(f"Writing {out.name} …")
        self._bridge.run(
            self._service.export, name, out, self.form.currentData(),
            licence=self.licence.text(), precision=self.precision.currentData(),
            then=partial(self._written, name), failed=partial(self._failed, name), ended=lambda: self.start.setEnabled(True),
            lane="long",
        )  # fmt: skip

    def _follow(self) -> None:
        form = self.form.currentData()
        self.sentence.setText(dict(FORMS)[form])
        for widget in (self.precision, self._precision_words):
            widget.setVisible(form == "gguf")
        proposed = f"{self._name or 'model'}-{form}"
        if not self.place.text().strip():
            self.place.setText(str(Path.home() / proposed))
        elif Path(self.place.text()).name == self._proposed:  # a name that somebody gave stays, and so does the place
            self.place.setText(str(Path(self.place.text()).with_name(proposed)))
        self._proposed = proposed

    def _browse(self) -> None:
        ask_folder(self, "models.export.dialog", "Where to make the new folder", self._take_folder)

    def _take_folder(self, folder: Path) -> None:
        self.place.setText(str(folder / Path(self.place.text()).name))

    def _written(self, name: str, main: Path) -> None:
        if name == self._name:
            self._tell(f"Written: {main}", "good")
        self._shell.notify(f"{name} is exported", str(main), "good")

    def _failed(self, name: str, error: WorkbenchError) -> None:
        if name == self._name:
            self._tell(f"{error.what} {error.hint}".strip(), "bad")
        else:  # the panel is about another model by now
            self._shell.notify(error.what, error.hint, "bad", details=error.details)

    def _tell(self, words: str, role: str = "quiet") -> None:
        self.told.setText(words)
        restyle(self.told, role=role)


def _chooser(name: str, accessible: str, entries: list[tuple[str, str]]) -> QComboBox:
    box = QComboBox()
    box.setObjectName(name)
    box.setAccessibleName(accessible)
    for key, words in entries:
        box.addItem(words, key)
    return box
