"""The first steps of the Train page: kind of job, base model, data, reward model, name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtWidgets import (
    QButtonGroup,
    QComboBox,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QRadioButton,
    QVBoxLayout,
    QWidget,
)

from workbench.domain.runs import ModelRef
from workbench.gui.pages.train.choices import (
    KINDS,
    about_data,
    about_model,
    fitting_models,
    reward_models,
    takes_rewards,
)
from workbench.gui.widgets.basics import text
from workbench.services.proposals import suiting
from workbench.services.views import DatasetView


class Picker(QWidget):
    """A list to choose one named thing from, with a line about the one that is chosen."""

    def __init__(self, name: str, title: str, changed: Callable[[], Any]) -> None:
        super().__init__()
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(2)
        self.box = QComboBox()
        self.box.setObjectName(f"train.{name}")
        self.box.setAccessibleName(title)
        self.box.setMinimumContentsLength(16)
        self.box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.about = text("", "quiet", wrap=True)
        column.addWidget(self.box)
        column.addWidget(self.about)
        self._lines: dict[str, str] = {}
        self.box.currentIndexChanged.connect(lambda _: self._tell())
        self.box.currentIndexChanged.connect(lambda _: changed())

    @property
    def chosen(self) -> str:
        """The name that is chosen, or nothing."""
        return str(self.box.currentData() or "")

    def offer(self, lines: dict[str, str], nothing: str, none: str = "") -> None:
        """Offer these names with a line on each; keep the choice if it is still offered, else take the first.

        `none` are the words for choosing none of them, where that is possible.
        """
        before = self.chosen
        self._lines = lines
        self.box.blockSignals(True)
        self.box.clear()
        for name in lines:
            self.box.addItem(name, name)
        if not lines or none:
            self.box.addItem(none if lines else nothing, "")
        self.box.setEnabled(bool(lines))
        self.box.setCurrentIndex(max(0, self.box.findData(before)))
        self.box.blockSignals(False)
        self._tell()

    def choose(self, name: str) -> bool:
        """Choose by name; False when it isn't offered."""
        place = self.box.findData(name)
        if name and place >= 0:
            self.box.setCurrentIndex(place)
        return bool(name) and place >= 0

    def _tell(self) -> None:
        self.about.setText(self._lines.get(self.chosen, ""))
        self.about.setVisible(bool(self.about.text()))


class Chooser(QWidget):
    """Kind, base, data, reward model and name of the run to be."""

    def __init__(self, kind_changed: Callable[[str], Any], changed: Callable[[], Any]) -> None:
        super().__init__()
        self._models: Sequence[ModelRef] = ()
        self._datasets: Sequence[DatasetView] = ()
        self._changed, self._kind_changed = changed, kind_changed
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(8)
        column.addWidget(text("Kind of job", "heading"))
        column.addLayout(self._kinds())
        column.addSpacing(8)
        column.addWidget(text("Model and data", "heading"))
        self.base = Picker("base", "Base model", changed)
        self.data = Picker("data", "Data", changed)
        self.reward = Picker("reward_model", "Reward model", changed)
        self.name = QLineEdit()
        self.name.setObjectName("train.name")
        self.name.setAccessibleName("Name of the run")
        self.name.setPlaceholderText("made up from the kind when empty")
        self.name.setMaxLength(80)
        self.name.textEdited.connect(lambda _: changed())
        grid = QGridLayout()
        grid.setHorizontalSpacing(16)
        grid.setVerticalSpacing(8)
        grid.setColumnMinimumWidth(0, 132)
        grid.setColumnStretch(1, 1)
        self._labels: list[QLabel] = []
        parts: tuple[tuple[str, QWidget, QWidget], ...] = (
            ("Base model", self.base, self.base.box),
            ("Data", self.data, self.data.box),
            ("Reward model", self.reward, self.reward.box),
            ("Name", self.name, self.name),
        )
        for line, (words, editor, buddy) in enumerate(parts):
            label = text(words)
            label.setContentsMargins(0, 6, 0, 0)
            label.setBuddy(buddy)
            self._labels.append(label)
            grid.addWidget(label, line, 0, Qt.AlignmentFlag.AlignTop)
            grid.addWidget(editor, line, 1)
        column.addLayout(grid)

    @property
    def kind(self) -> str:
        """The kind that is chosen."""
        return KINDS[max(0, self._group.checkedId())].id

    def choose_kind(self, kind: str) -> None:
        """Choose a kind as if it were clicked."""
        for place, entry in enumerate(KINDS):
            if entry.id == kind:
                self._group.button(place).setChecked(True)
        self.offer()

    def show_things(self, models: Sequence[ModelRef], datasets: Sequence[DatasetView]) -> None:
        """Other models and datasets to choose from."""
        self._models, self._datasets = models, datasets
        self.offer()

    def offer(self) -> None:
        """Offer what fits the kind."""
        kind = self.kind
        self.base.offer({m.name: about_model(m) for m in fitting_models(kind, self._models)}, "no model yet")
        self.data.offer({d.name: about_data(kind, d) for d in suiting(kind, self._datasets)}, "no fitting data yet")
        scorers = {m.name: about_model(m) for m in reward_models(self._models)}
        self.reward.offer(scorers, "no reward model yet", "none; rewards come from elsewhere")
        self._labels[0].setText(
            {"judge": "Judge", "revise": "Model", "score": "Reward model", "study": "Model"}.get(kind, "Base model")
        )
        for part in (self.reward, self._labels[2]):
            part.setVisible(takes_rewards(kind))

    def show_base(self, visible: bool) -> None:
        """Show or hide the choice of a model, for a job that needs none."""
        for part in (self.base, self._labels[0]):
            part.setVisible(visible)

    def _kinds(self) -> QGridLayout:
        """A line for each family of kinds, and below them the sentence of the one that is chosen."""
        self._group = QButtonGroup(self)
        grid = QGridLayout()
        grid.setHorizontalSpacing(16)
        grid.setVerticalSpacing(6)
        grid.setColumnStretch(1, 1)
        lines: dict[str, QHBoxLayout] = {}
        for place, kind in enumerate(KINDS):
            if kind.family not in lines:
                line = lines[kind.family] = QHBoxLayout()
                line.setSpacing(16)
                grid.addWidget(text(kind.family, "quiet"), len(lines) - 1, 0)
                grid.addLayout(line, len(lines) - 1, 1)
            choice = QRadioButton(kind.title)
            choice.setObjectName(f"train.kind_{kind.id}")
            choice.setAccessibleName(kind.title)
            choice.setAccessibleDescription(kind.sentence)
            choice.setToolTip(kind.sentence)
            self._group.addButton(choice, place)
            lines[kind.family].addWidget(choice)
        for line in lines.values():
            line.addStretch(1)
        self._sentence = text(KINDS[0].sentence, "quiet", wrap=True)
        self._sentence.setObjectName("train.kind_sentence")
        grid.addWidget(self._sentence, len(lines), 1)
        self._group.button(0).setChecked(True)
        self._group.idToggled.connect(self._toggled)
        return grid

    def _toggled(self, place: int, on: bool) -> None:
        if on:
            self._sentence.setText(KINDS[place].sentence)
            self.offer()
            self._kind_changed(KINDS[place].id)
