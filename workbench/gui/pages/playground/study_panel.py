"""A study of the page's columns: which prompts, how many, what is measured; and the studies that were made before."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from PySide6.QtWidgets import QComboBox, QFormLayout, QHBoxLayout, QSpinBox, QVBoxLayout, QWidget

from workbench.domain.specs.study import Asked, StudySpec, write_columns
from workbench.gui.theme import Theme
from workbench.gui.widgets.basics import button, rule, text
from workbench.gui.widgets.fields import WheelGuard
from workbench.gui.widgets.two_line_list import Line, TwoLineList
from workbench.gui.widgets.words import ago
from workbench.services.views import Column, DatasetView, RunView


class StudyPanel(QWidget):
    """The form above, earlier studies below. `start(spec)` begins one, `open(run)` shows one."""

    def __init__(
        self,
        theme: Theme,
        columns: Sequence[Column],
        datasets: Sequence[DatasetView],
        rewards: Sequence[str],
        runs: Sequence[RunView],
        start: Callable[[StudySpec], Any],
        open: Callable[[str], Any],
    ) -> None:
        super().__init__()
        self.setObjectName("playground.study_panel")
        self._columns, self._start, self._open = columns, start, open
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 4, 8, 0)
        box.setSpacing(8)
        words = f"These {len(columns)} columns answer the prompts of a dataset, as a job in the background."
        box.addWidget(text(words, "quiet", wrap=True))
        self.data = _chooser("data", "Prompts of", [(f"{d.name} ({d.rows:,})", d.name) for d in datasets])
        self.reward = _chooser("reward", "Reward model", [("none", ""), *((name, name) for name in rewards)])
        self.limit = _number("limit", "Prompts at most", 1, 100_000, 20)
        self.samples = _number("samples", "Texts for each prompt in columns that draw", 1, 64, 4)
        form = QFormLayout()
        form.setVerticalSpacing(8)
        for title, editor in (
            ("Prompts of", self.data), ("At most", self.limit), ("Texts each", self.samples), ("Reward model", self.reward),
        ):  # fmt: skip
            form.addRow(title, editor)
        box.addLayout(form)
        row = QHBoxLayout()
        self.begin = button("Start the study", "playground.study.start", self._begin, "primary")
        self.begin.setEnabled(bool(datasets and columns))
        row.addWidget(self.begin)
        row.addStretch(1)
        box.addLayout(row)
        if not datasets:
            box.addWidget(text("There is no dataset yet: import prompts on the Data page.", "quiet", wrap=True))
        box.addWidget(rule())
        box.addWidget(text("Studies", "strong"))
        self.list = TwoLineList(theme, "playground.study.list", "Studies made before")
        self.list.setMinimumHeight(80)
        self.list.show_lines([Line(r.id, r.name or r.id, f"{r.state.value} · {ago(r.created)}") for r in runs])
        self.list.itemActivated.connect(lambda _: self._show())
        box.addWidget(self.list, 1)
        self.show_button = button("Open", "playground.study.open", self._show, tip="Enter")
        self.show_button.setEnabled(bool(runs))
        if runs:
            self.list.choose(runs[0].id, quietly=True)
        else:
            self.list.hide()
            self.show_button.hide()
            box.addWidget(text("None yet.", "quiet"))
            box.addStretch(1)
        box.addWidget(self.show_button)

    def spec(self) -> StudySpec:
        """The study as it stands in the form."""
        return StudySpec(
            base=self._columns[0].model, data=self.data.currentData(), columns=columns_in_words(self._columns),
            limit=self.limit.value(), samples=self.samples.value(), reward_model=self.reward.currentData(),
            seed=self._columns[0].settings.seed % 2**31,
        )  # fmt: skip

    def _begin(self) -> None:
        self._start(self.spec())

    def _show(self) -> None:
        if key := self.list.key():
            self._open(key)


def columns_in_words(columns: Sequence[Column]) -> str:
    """The page's columns as a study names them: every setting that isn't the strategy's own default, but no seed."""
    asked = []
    for column in columns:
        fields = type(column.settings).model_fields
        told = {"strategy", "seed"}
        changed = [n for n, info in fields.items() if n not in told and getattr(column.settings, n) != info.default]
        asked.append(Asked(column.model, column.settings, tuple(changed)))
    return write_columns(tuple(asked))


def _chooser(name: str, accessible: str, entries: Sequence[tuple[str, str]]) -> QComboBox:
    box = QComboBox()
    box.setObjectName(f"playground.study.{name}")
    box.setAccessibleName(accessible)
    box.installEventFilter(WheelGuard(box))
    box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
    box.setMinimumContentsLength(12)
    for words, key in entries:
        box.addItem(words, key)
    return box


def _number(name: str, accessible: str, low: int, high: int, value: int) -> QSpinBox:
    box = QSpinBox()
    box.setObjectName(f"playground.study.{name}")
    box.setAccessibleName(accessible)
    box.setRange(low, high)
    box.setGroupSeparatorShown(True)
    box.setValue(value)
    box.lineEdit().setTextMargins(7, 0, 0, 0)
    box.installEventFilter(WheelGuard(box))
    return box
