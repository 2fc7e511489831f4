"""The card of one model: what it is, where it came from, and what can be done with it."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QFrame, QGridLayout, QHBoxLayout, QLineEdit, QScrollArea, QVBoxLayout, QWidget

from workbench.domain.runs import ModelRef
from workbench.gui.shell import Shell
from workbench.gui.widgets.basics import button, clear, text, wear_icon
from workbench.gui.widgets.words import short

Do = Callable[[str], Any]


class ModelCard(QFrame):
    """Shows a model; `play`, `train` and `remove` are called with its name."""

    def __init__(
        self, shell: Shell, *, play: Do, train: Do, remove: Do, rename: Callable[[str, str], Any], export: Do, serve: Do
    ) -> None:
        super().__init__()
        self.setObjectName("models.card")
        self.setProperty("role", "card")
        self.setMinimumWidth(280)
        self._shell, self._rename = shell, rename
        self._name = self._run = self._path = ""
        self._play, self._train, self._remove, self._export, self._serve = play, train, remove, export, serve
        outer = QVBoxLayout(self)
        outer.setContentsMargins(16, 12, 4, 12)
        outer.setSpacing(8)
        self._build_head(outer)
        area = QScrollArea()
        area.setObjectName("models.card_scroll")
        area.setWidgetResizable(True)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        body = QWidget()
        self._facts = QVBoxLayout(body)
        self._facts.setContentsMargins(0, 0, 12, 0)
        area.setWidget(body)
        outer.addWidget(area, 1)
        self._build_foot(outer)

    def show_model(self, model: ModelRef) -> None:
        """Show a model; its facts follow when they have been read."""
        self._name, self._run, self._path = model.name, model.run or "", model.path
        self.title.setText(model.name)
        self.kind.setText(model.kind)
        self.form.setText("adapter")
        self.form.setVisible(model.form == "adapter")
        self.count.setText(short(model.parameters))
        self.count.setToolTip(f"{model.parameters:,} parameters")
        self.synthetic.setVisible(model.synthetic)
        self.play.setVisible(model.kind != "reward")
        self.serve.setVisible(model.kind != "reward")
        self.run.setVisible(bool(self._run))

    def show_facts(self, name: str, facts: Sequence[tuple[str, str]]) -> None:
        """Show what is known about the model, unless another one is shown by now."""
        if name != self._name:
            return
        clear(self._facts)
        holder = QWidget()
        grid = QGridLayout(holder)
        grid.setContentsMargins(0, 8, 0, 0)
        grid.setHorizontalSpacing(16)
        grid.setVerticalSpacing(8)
        grid.setColumnStretch(1, 1)
        for line, (heading, words) in enumerate(facts):
            grid.addWidget(text(heading, "quiet"), line, 0, Qt.AlignmentFlag.AlignTop)
            grid.addWidget(text(breakable(words), wrap=True, select=True), line, 1)
        self._facts.addWidget(holder)
        self._facts.addStretch(1)

    def _build_head(self, outer: QVBoxLayout) -> None:
        self.title = QLineEdit()
        self.title.setObjectName("models.name")
        self.title.setAccessibleName("Name of the model; edit it and press Enter to rename")
        self.title.setToolTip("Edit and press Enter to rename")
        self.title.editingFinished.connect(self._renamed)
        row = QHBoxLayout()
        row.setContentsMargins(0, 0, 12, 0)
        row.addWidget(self.title, 1)
        outer.addLayout(row)
        chips = QHBoxLayout()
        chips.setSpacing(8)
        self.kind, self.form, self.count = text("", "chip"), text("", "chip"), text("", "chip")
        self.synthetic = text("synthetic", "chip")
        self.synthetic.setToolTip("Its labels were made by a rule or a model")
        for chip in (self.kind, self.form, self.count, self.synthetic):
            chips.addWidget(chip)
        chips.addStretch(1)
        outer.addLayout(chips)

    def _build_foot(self, outer: QVBoxLayout) -> None:
        theme = self._shell.theme
        self.play = button("Open in playground", "models.play", lambda: self._play(self._name), "primary")
        wear_icon(self.play, "playground", theme)
        self.train = wear_icon(
            button(
                "Train",
                "models.train",
                lambda: self._train(self._name),
                accessible="Train from this model",
                tip="Train from this model",
            ),
            "train",
            theme,
        )
        self.run = wear_icon(button("Its run", "models.run", self._show_run), "runs", theme)
        self.copy = wear_icon(button("Copy path", "models.copy", self._copy), "copy", theme)
        self.remove = wear_icon(
            button("Remove", "models.remove", lambda: self._remove(self._name), "danger"), "trash", theme, "bad"
        )
        self.serve = wear_icon(
            button("Serve", "models.serve.open", lambda: self._serve(self._name), tip="Put it behind OpenAI's interface"),
            "chat", theme,
        )  # fmt: skip
        self.export = wear_icon(
            button("Export", "models.export.open", lambda: self._export(self._name), tip="Write it for use elsewhere"),
            "export", theme,
        )  # fmt: skip
        grid = QGridLayout()
        grid.setContentsMargins(0, 0, 12, 0)
        grid.setSpacing(8)
        grid.addWidget(self.play, 0, 0, 1, 2)
        for place, part in enumerate((self.train, self.run, self.serve, self.export, self.copy, self.remove)):
            grid.addWidget(part, 1 + place // 2, place % 2)
        outer.addLayout(grid)

    def _renamed(self) -> None:
        new = self.title.text().strip()
        if self._name and new and new != self._name:
            before, self._name = self._name, new  # leaving the field after Enter asks no second time
            self._rename(before, new)
        else:
            self.title.setText(self._name)

    def _show_run(self) -> None:
        self._shell.go("runs", run=self._run)

    def _copy(self) -> None:
        QGuiApplication.clipboard().setText(self._path)
        self._shell.notify("The folder's path is copied", self._path)


def breakable(words: str) -> str:
    """Long paths and names that may break after a slash, a dot, a hyphen, or before a capital letter."""
    parts = [re.sub(r"(?<=[/._-])|(?<=[a-z])(?=[A-Z])", "\u200b", p) if len(p) > 16 else p for p in words.split(" ")]
    return " ".join(parts)
