"""The tab of a decoding study: its table and plots, files of them, and its texts as items to rank."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QHBoxLayout, QLineEdit, QSpinBox, QStackedLayout, QVBoxLayout, QWidget

from workbench.domain.specs.study import MOST_CANDIDATES
from workbench.domain.study import Study
from workbench.gui.pages.playground.study_view import StudyView
from workbench.gui.theme import Theme
from workbench.gui.widgets.basics import button, text, wear_icon
from workbench.gui.widgets.fields import WheelGuard


class StudyTab(QWidget):
    """`save(name, content)` is asked to keep a file, `texts` to write everything said, `rank(dataset, candidates)` to make items."""

    def __init__(
        self,
        theme: Theme,
        save: Callable[[str, bytes], Any],
        texts: Callable[[], Any],
        rank: Callable[[str, int], Any],
    ) -> None:
        super().__init__()
        self._rank = rank
        self.nothing = text("No column has answered a batch of prompts yet.", "quiet", wrap=True)
        self.nothing.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.view = StudyView(theme, save)
        both = QWidget()
        column = QVBoxLayout(both)
        column.setContentsMargins(0, 8, 0, 0)
        column.setSpacing(8)
        column.addWidget(self.view, 1)
        column.addLayout(self._bottom(theme, texts))
        self._stack = QStackedLayout(self)
        self._stack.addWidget(self.nothing)
        self._stack.addWidget(both)
        self._told: Study | None = None

    def show_study(self, study: Study | None) -> None:
        """The table as it is now; None before the first column. The same one again leaves what was picked."""
        self._stack.setCurrentIndex(0 if study is None else 1)
        if study is not None and study != self._told:
            self.view.show_study(study)
        self._told = study

    def ready(self, ended: bool) -> None:
        """Texts can be written and ranked when the study has ended or paused."""
        for part in (self.texts, self.make, self.dataset, self.candidates):
            part.setEnabled(ended)

    def _bottom(self, theme: Theme, texts: Callable[[], Any]) -> QHBoxLayout:
        self.dataset = QLineEdit("study-answers")
        self.dataset.setObjectName("runs.study.dataset")
        self.dataset.setAccessibleName("Dataset that the items are appended to")
        self.dataset.setMaxLength(120)
        self.candidates = QSpinBox()
        self.candidates.setObjectName("runs.study.candidates")
        self.candidates.setAccessibleName("Texts of an item, at most")
        self.candidates.setRange(2, MOST_CANDIDATES)
        self.candidates.setValue(4)
        self.candidates.installEventFilter(WheelGuard(self.candidates))
        self.make = button("Make items to rank", "runs.study.rank", self._make, "primary")
        self.make.setToolTip("Each prompt becomes an item of its texts; they keep model, strategy, settings and seed")
        self.texts = wear_icon(
            button("All texts", "runs.study.texts", texts, accessible="Save table, prompts and texts as JSON"), "export", theme
        )  # fmt: skip
        row = QHBoxLayout()
        row.setSpacing(8)
        row.addWidget(text("Up to", "quiet"))
        row.addWidget(self.candidates)
        row.addWidget(text("texts of each prompt into", "quiet"))
        row.addWidget(self.dataset, 1)
        row.addWidget(self.make)
        row.addWidget(self.texts)
        return row

    def _make(self) -> None:
        self._rank(self.dataset.text().strip(), self.candidates.value())
