"""The tabs beside the curves: samples over steps, log, spec, files. Each shows what it is given."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from PySide6.QtCore import Qt, QUrl
from PySide6.QtGui import QDesktopServices, QFont
from PySide6.QtWidgets import (
    QCheckBox,
    QFrame,
    QHBoxLayout,
    QHeaderView,
    QPlainTextEdit,
    QScrollArea,
    QSlider,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)

from workbench.domain.metrics import metric
from workbench.domain.specs.kinds import Spec
from workbench.gui.theme import Theme
from workbench.gui.widgets.basics import Card, Elided, button, clear, plain_tip, text
from workbench.gui.widgets.fields import in_words
from workbench.gui.widgets.markdown import MarkdownView
from workbench.gui.widgets.series import number
from workbench.gui.widgets.words import count, size
from workbench.services.views import SampleView


class SamplesTab(QWidget):
    """The same prompts at one step after the other, chosen with a slider."""

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._theme = theme
        self._samples: dict[int, list[SampleView]] = {}
        self._shown: tuple[Any, ...] = ()
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 8, 0, 0)
        column.setSpacing(8)
        row = QHBoxLayout()
        row.setSpacing(12)
        row.addWidget(text("Step", "quiet"))
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self.slider.setObjectName("runs.sample_step")
        self.slider.setAccessibleName("Step of the samples")
        self.slider.setPageStep(1)
        row.addWidget(self.slider, 1)
        self.step = text("", "strong")
        self.step.setMinimumWidth(64)
        row.addWidget(self.step)
        self._head = QWidget()
        self._head.setLayout(row)
        column.addWidget(self._head)
        self.nothing = text(
            "No samples yet. The model answers the fixed prompts at the end, or as often as “sample every” says.",
            "quiet",
            wrap=True,
        )
        self.nothing.setAlignment(Qt.AlignmentFlag.AlignCenter)
        column.addWidget(self.nothing, 1)
        self._area = QScrollArea()
        self._area.setWidgetResizable(True)
        self._area.setFrameShape(QFrame.Shape.NoFrame)
        body = QWidget()
        self._cards = QVBoxLayout(body)
        self._cards.setContentsMargins(0, 0, 8, 8)
        self._cards.setSpacing(12)
        self._area.setWidget(body)
        column.addWidget(self._area, 1)
        self.slider.valueChanged.connect(lambda _: self._show_step())

    def show_samples(self, samples: Sequence[SampleView]) -> None:
        """Take these samples; the slider stays at its step, or follows the newest."""
        steps: dict[int, list[SampleView]] = {}
        for sample in samples:
            steps.setdefault(sample.step, []).append(sample)
        newest = not self._samples or self.slider.value() == self.slider.maximum()
        self._samples = {step: sorted(steps[step], key=lambda s: s.index) for step in sorted(steps)}
        there = bool(steps)
        for part, visible in ((self._head, there), (self._area, there), (self.nothing, not there)):
            part.setVisible(visible)
        if there:
            self.slider.setRange(0, len(steps) - 1)
            if newest:
                self.slider.setValue(len(steps) - 1)
        self._show_step()

    def _show_step(self) -> None:
        if not self._samples:
            return
        step = list(self._samples)[min(self.slider.value(), len(self._samples) - 1)]
        found = self._samples[step]
        self.step.setText(f"{step:,}")
        key = (step, [(s.index, s.completion) for s in found])
        if key == self._shown:
            return
        self._shown = key
        clear(self._cards)
        for sample in found:
            self._cards.addWidget(self._card(sample))
        self._cards.addStretch(1)

    def _card(self, sample: SampleView) -> Card:
        card = Card()
        card.setAccessibleName(f"Sample {sample.index + 1} at step {sample.step}")
        card.column.addWidget(text(sample.prompt, "quiet", wrap=True, select=True))
        view = MarkdownView(self._theme, f"runs.sample_{sample.index}")
        view.grow_with_text()
        view.show_text(sample.completion, raw=True)
        card.column.addWidget(view)
        if sample.numbers:
            told = "  ·  ".join(sample_number(name, value) for name, value in sample.numbers.items())
            card.column.addWidget(text(told, "quiet"))
        return card


def sample_number(name: str, value: float) -> str:
    """A number of a sample in words: "96 tokens", "ended by itself", "score 1.2"."""
    if name == "length":
        return count(round(value), "token")
    if name == "ended":
        return "ended by itself" if value else "cut at the length limit"
    return f"{metric(name).title.lower()} {number(value)}"


class LogTab(QWidget):
    """The end of log.txt; it follows while a person doesn't scroll up."""

    def __init__(self) -> None:
        super().__init__()
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 8, 0, 0)
        self.pane = QPlainTextEdit()
        self.pane.setObjectName("runs.log")
        self.pane.setAccessibleName("Log of the run")
        self.pane.setReadOnly(True)
        self.pane.setTabChangesFocus(True)
        self.pane.setProperty("role", "log")
        self.pane.setPlaceholderText("Nothing was printed yet.")
        column.addWidget(self.pane)

    def show_log(self, words: str) -> None:
        """Show the tail."""
        if words == self.pane.toPlainText():
            return
        bar = self.pane.verticalScrollBar()
        before, following = bar.value(), bar.value() >= bar.maximum() - 4
        self.pane.setPlainText(words)
        bar.setValue(bar.maximum() if following else before)


class SpecTab(QWidget):
    """Every setting of the run with its sentence; changed ones in bold."""

    def __init__(self, again: Callable[[], Any], copy: Callable[[], Any]) -> None:
        super().__init__()
        self._spec: Spec | None = None
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 8, 0, 0)
        column.setSpacing(8)
        row = QHBoxLayout()
        row.setSpacing(8)
        self.only_changed = QCheckBox("Only what differs from the defaults")
        self.only_changed.setObjectName("runs.spec_changed")
        self.only_changed.setAccessibleName("Only what differs from the defaults")
        self.only_changed.toggled.connect(lambda _: self._fill())
        row.addWidget(self.only_changed)
        row.addStretch(1)
        row.addWidget(button("Copy as a command", "runs.copy_command", copy))
        row.addWidget(button("Train again with changes", "runs.again", again))
        column.addLayout(row)
        self.tree = QTreeWidget()
        self.tree.setObjectName("runs.spec")
        self.tree.setAccessibleName("Settings of the run")
        self.tree.setHeaderLabels(["Setting", "Value", "Meaning"])
        self.tree.setRootIsDecorated(False)
        self.tree.setUniformRowHeights(True)
        self.tree.header().setSectionResizeMode(0, QHeaderView.ResizeMode.ResizeToContents)
        self.tree.header().setSectionResizeMode(1, QHeaderView.ResizeMode.ResizeToContents)
        column.addWidget(self.tree)

    def show_spec(self, spec: Spec) -> None:
        """Another run's settings."""
        if spec != self._spec:
            self._spec = spec
            self._fill()

    def _fill(self) -> None:
        self.tree.clear()
        if self._spec is None:
            return
        for path, value, default, sentence in spec_lines(self._spec):
            changed = value != default
            if self.only_changed.isChecked() and not changed:
                continue
            item = QTreeWidgetItem([path, in_words(value), sentence])
            item.setToolTip(1, plain_tip(in_words(value)))
            item.setToolTip(2, plain_tip(f"{sentence} Default: {in_words(default)}"))
            if changed:
                font = QFont(self.tree.font())
                font.setWeight(QFont.Weight.DemiBold)
                item.setFont(0, font)
                item.setFont(1, font)
            self.tree.addTopLevelItem(item)


def spec_lines(spec: BaseModel, start: str = "") -> list[tuple[str, Any, Any, str]]:
    """Each field of a spec as (path, value, default, sentence), nested parts flattened."""
    found: list[tuple[str, Any, Any, str]] = []
    for name, info in type(spec).model_fields.items():
        value = getattr(spec, name)
        if isinstance(value, BaseModel):
            found += spec_lines(value, f"{start}{name}.")
        else:
            default = info.get_default(call_default_factory=True, validated_data={})
            found.append((f"{start}{name}", value, default, info.description or "Kind of job."))
    return found


class FilesTab(QWidget):
    """What lies in the run's folder, which stands alone."""

    def __init__(self) -> None:
        super().__init__()
        self._folder = Path()
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 8, 0, 0)
        column.setSpacing(8)
        row = QHBoxLayout()
        row.setSpacing(8)
        self.path = Elided("quiet")
        self.path.setObjectName("runs.folder")
        row.addWidget(self.path, 1)
        row.addWidget(button("Open the folder", "runs.open_folder", self._open))
        column.addLayout(row)
        self.tree = QTreeWidget()
        self.tree.setObjectName("runs.files")
        self.tree.setAccessibleName("Files of the run")
        self.tree.setHeaderLabels(["File", "Size"])
        self.tree.setRootIsDecorated(False)
        self.tree.setUniformRowHeights(True)
        self.tree.header().setSectionResizeMode(0, QHeaderView.ResizeMode.ResizeToContents)
        column.addWidget(self.tree)

    def show_files(self, folder: Path, files: Sequence[tuple[str, int]]) -> None:
        """Another list of files."""
        self._folder = folder
        self.path.setText(str(folder))
        self.tree.clear()
        for name, length in files:
            item = QTreeWidgetItem([name, size(length)])
            item.setTextAlignment(1, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
            self.tree.addTopLevelItem(item)

    def _open(self) -> None:
        QDesktopServices.openUrl(QUrl.fromLocalFile(str(self._folder)))
