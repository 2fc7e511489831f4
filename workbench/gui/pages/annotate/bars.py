"""The bars above and below the candidates: queue and progress; keys, and what was said last."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from PySide6.QtCore import Qt, QTimer
from PySide6.QtWidgets import QCheckBox, QComboBox, QHBoxLayout, QProgressBar, QVBoxLayout, QWidget

from workbench.domain.judgement import Judgement
from workbench.gui.pages.annotate.draft import in_words
from workbench.gui.pages.annotate.keycap import KeyButton
from workbench.gui.widgets.basics import restyle, text
from workbench.services.views import DatasetView, LabelProgress

Run = Callable[[], Any]
EARLY_STAYS = 2500  # milliseconds


class TopBar(QWidget):
    """Which dataset is judged, how far, how fast."""

    def __init__(self, choose: Callable[[str], Any], raw_changed: Callable[[bool], Any]) -> None:
        super().__init__()
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(12)
        self.queue = QComboBox()
        self.queue.setObjectName("annotate.queue")
        self.queue.setAccessibleName("Dataset to judge")
        self.queue.setMinimumWidth(180)
        self.queue.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToContents)
        self.queue.activated.connect(lambda place: choose(str(self.queue.itemData(place))))
        row.addWidget(self.queue)
        self.synthetic = text("synthetic", "chip")
        self.synthetic.setToolTip(
            "Candidates or judgements of this dataset were made by a rule or a model, not by people."
        )
        row.addWidget(self.synthetic)
        row.addStretch(1)
        self.raw = QCheckBox("Raw text")
        self.raw.setObjectName("annotate.raw")
        self.raw.setAccessibleName("Show raw text instead of Markdown")
        self.raw.toggled.connect(raw_changed)
        row.addWidget(self.raw)
        self.bar = QProgressBar()
        self.bar.setObjectName("annotate.progress")
        self.bar.setAccessibleName("Judged items")
        self.bar.setFixedWidth(120)
        self.bar.setTextVisible(False)
        row.addWidget(self.bar)
        self.count = text("", "strong")
        self.count.setObjectName("annotate.count")
        row.addWidget(self.count)
        self.speed = text("", "quiet")
        self.speed.setObjectName("annotate.speed")
        row.addWidget(self.speed)

    def show_datasets(self, datasets: Sequence[DatasetView], chosen: str) -> None:
        """The datasets that can be judged."""
        self.queue.clear()
        for view in datasets:
            self.queue.addItem(view.name, view.name)
            self.queue.setItemData(
                self.queue.count() - 1, f"{view.judged} of {view.rows} judged", Qt.ItemDataRole.ToolTipRole
            )
        self.queue.setCurrentIndex(self.queue.findData(chosen))
        self.synthetic.setVisible(any(view.name == chosen and view.synthetic for view in datasets))

    def show_progress(self, progress: LabelProgress) -> None:
        """How far and how fast."""
        self.bar.setRange(0, max(1, progress.total))
        self.bar.setValue(progress.judged)
        self.count.setText(f"{progress.judged} / {progress.total}")
        self.speed.setText(f"{progress.per_hour:,.0f}/h" if progress.per_hour else "")
        self.speed.setToolTip("Labels per hour, from your last 50 judgements")


class BottomBar(QWidget):
    """The keys as buttons, and the last judgement with its undo."""

    def __init__(self, deeds: dict[str, Run]) -> None:
        super().__init__()
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        keys = QHBoxLayout()
        keys.setSpacing(2)
        self.buttons: dict[str, KeyButton] = {}
        for name, key, words in (
            ("level", "0", "tie"), ("accept", "Enter", "accept"), ("all_bad", "X", "all bad"), ("skip", "S", "skip"),
            ("note", "N", "note"), ("write", "E", "write better"), ("differences", "D", "differences"),
            ("reveal", "R", "reveal"),
        ):  # fmt: skip
            self.buttons[name] = KeyButton(key, words, f"annotate.{name}", deeds[name])
            keys.addWidget(self.buttons[name])
        self.buttons["differences"].setCheckable(True)
        self.buttons["level"].setCheckable(True)
        self.hint = text("", "quiet")
        self.buttons["level"].setToolTip("A tie of two; with more, the next one is level with the last placed")
        self.buttons["reveal"].setToolTip("Which model wrote what in the item that you judged last")
        keys.addStretch(1)
        column.addLayout(keys)
        last = QHBoxLayout()
        last.setSpacing(8)
        self.last = text("", "")
        self.last.setObjectName("annotate.last")
        self.last.setAccessibleName("Last judgement")
        last.addWidget(self.last)
        self.revealed = text("", "quiet", select=True)
        self.revealed.setObjectName("annotate.revealed")
        last.addWidget(self.revealed)
        last.addStretch(1)
        self.early = text("", "warning")
        self.early.setObjectName("annotate.early")
        self.early.setAccessibleName("Key that was left out")
        self.early.hide()
        last.addWidget(self.early)
        last.addWidget(self.hint)
        for name, key, words in (("undo", "Ctrl+Z", "undo"), ("redo", "Ctrl+Shift+Z", "redo")):
            self.buttons[name] = KeyButton(key, words, f"annotate.{name}", deeds[name])
            last.addWidget(self.buttons[name])
        column.addLayout(last)
        self._calm = QTimer(self)
        self._calm.setSingleShot(True)
        self._calm.setInterval(600)
        self._calm.timeout.connect(lambda: restyle(self.last, role=""))
        self._there = True
        self._forget = QTimer(self)
        self._forget.setSingleShot(True)
        self._forget.setInterval(EARLY_STAYS)
        self._forget.timeout.connect(self.forget_early)

    def show_keys(self, count: int, levelling: bool, left: int) -> None:
        """Words that fit the number of candidates and what was pressed so far."""
        pair = count == 2
        self.buttons["level"].say("tie" if pair else "level")
        self.buttons["level"].setChecked(levelling)
        self.buttons["accept"].setVisible(not pair)
        self.buttons["accept"].setEnabled(left <= 1)
        self.hint.setText("Shift + 1 or 2: much better" if pair else f"1 … {count} from best to worst")

    def say_early(self) -> None:
        """A key came before the item was on screen, so it was left out; said where the keys are explained, for a moment."""
        self.early.setText("Too early, left out: press again")
        self.early.show()
        self.hint.hide()
        self._forget.start()

    def forget_early(self) -> None:
        """The person has noticed, or had the time to."""
        self._forget.stop()
        self.early.hide()
        self.hint.setVisible(self._there)

    def show_deeds(self, there: bool) -> None:
        """Only undo, redo and reveal make sense when no item is shown."""
        self._there = there
        self.hint.setVisible(there and self.early.isHidden())
        for name, one in self.buttons.items():
            one.setVisible(there or name in {"undo", "redo", "reveal"})

    def show_progress(self, progress: LabelProgress, fresh: Judgement | None) -> None:
        """The last judgement; a fresh one stands out for a moment."""
        self.buttons["undo"].setEnabled(progress.can_undo)
        self.buttons["redo"].setEnabled(progress.can_redo)
        last = fresh or progress.last
        by = "" if last is None or last.annotator_kind == "person" else f" (synthetic, by {last.annotator})"
        self.last.setText("" if last is None else f"last: {in_words(last)}{by}")
        self.revealed.setText("")
        if fresh is not None:
            restyle(self.last, role="good")
            self._calm.start()
