"""The bars above and below the candidates: queue and progress; keys, and what was said last."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QCheckBox, QHBoxLayout, QProgressBar, QToolButton, QVBoxLayout, QWidget

from workbench.domain.judgement import Judgement
from workbench.gui.pages.annotate.chooser import Choose, Place, QueueChooser
from workbench.gui.pages.annotate.draft import all_in_words
from workbench.gui.pages.annotate.keycap import KeyButton
from workbench.gui.widgets.basics import Elided, Figure, button, restyle, text
from workbench.services.views import DatasetView, LabelProgress, QueueView

Run = Callable[[], Any]
EARLY_STAYS = 2500  # milliseconds


class TopBar(QWidget):
    """Which dataset or queue is judged, how far, how fast, and by whom."""

    def __init__(
        self, choose: Choose, raw_changed: Callable[[bool], Any], deeds: Mapping[str, Run], chip: QWidget
    ) -> None:
        super().__init__()
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(12)
        self.queue = QueueChooser(choose, deeds["new_queue"], deeds["focus"])
        row.addWidget(self.queue)
        self.manage = QToolButton()
        self.manage.setObjectName("annotate.queue_more")
        self.manage.setAccessibleName("More about this queue")
        self.manage.setText("⋯")
        self.manage.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        row.addWidget(self.manage)
        self.statistics = button(
            "", "annotate.statistics", deeds["statistics"], "flat", accessible="Statistics of these labels",
            tip="Statistics of these labels   Ctrl+9",
        )  # fmt: skip
        row.addWidget(self.statistics)
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
        self.bar.setFixedWidth(96)
        self.bar.setTextVisible(False)
        row.addWidget(self.bar)
        self.count = Figure("strong")
        self.count.setObjectName("annotate.count")
        row.addWidget(self.count)
        self.speed = Figure("quiet")
        self.speed.setObjectName("annotate.speed")
        self.speed.setToolTip("Labels per hour, from your last 50 judgements")
        row.addWidget(self.speed)
        self.guidelines = KeyButton("G", "guidelines", "annotate.guidelines_button", deeds["guidelines"])
        self.guidelines.setCheckable(True)
        row.addWidget(self.guidelines)
        row.addWidget(chip)

    def show_places(self, datasets: Sequence[DatasetView], queues: Sequence[QueueView], chosen: Place) -> None:
        """The datasets that can be judged with their queues, and the one on show."""
        self.queue.show_places(datasets, queues, chosen)
        self.synthetic.setVisible(any(view.name == chosen[0] and view.synthetic for view in datasets))

    def show_progress(self, progress: LabelProgress) -> None:
        """How far and how fast."""
        self.bar.setRange(0, max(1, progress.total))
        self.bar.setValue(progress.judged)
        self.count.setText(f"{progress.judged} / {progress.total}")
        self.count.setToolTip(f"{progress.total - progress.judged:,} left for you")
        self.speed.setText(f"{progress.per_hour:,.0f}/h" if progress.per_hour else "")

    def show_unread(self, unread: bool) -> None:
        """Mark guidelines that have changed since this annotator judged last."""
        self.guidelines.say("guidelines ●" if unread else "guidelines", strong=unread)
        self.guidelines.setAccessibleName("Guidelines, changed since you judged last" if unread else "Guidelines")


class BottomBar(QWidget):
    """The keys as buttons, and the last judgement with its undo."""

    def __init__(self, deeds: Mapping[str, Run]) -> None:
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
        self.last = Elided()
        self.last.setObjectName("annotate.last")
        last.addWidget(self.last, 1)
        self.revealed = Elided("quiet")
        self.revealed.hide()
        self.revealed.setObjectName("annotate.revealed")
        last.addWidget(self.revealed, 2)
        self.early = text("", "warning")
        self.early.setObjectName("annotate.early")
        self.early.setAccessibleName("Message about the last key")
        self.early.hide()
        last.addWidget(self.early)
        last.addWidget(self.hint)
        for name, key, words in (  ("effects", "W", "what it does"), ("history", "H", "history"), ("undo", "Ctrl+Z", "undo"),
            ("redo", "Ctrl+Shift+Z", "redo"),
        ):  # fmt: skip
            self.buttons[name] = KeyButton(key, words, f"annotate.{name}", deeds[name])
            last.addWidget(self.buttons[name])
        column.addLayout(last)
        for name in ("effects", "history"):
            self.buttons[name].setCheckable(True)
        self._calm = QTimer(self)
        self._calm.setSingleShot(True)
        self._calm.setInterval(600)
        self._calm.timeout.connect(lambda: restyle(self.last, role=""))
        self._there, self._pair = True, False
        self._forget = QTimer(self)
        self._forget.setSingleShot(True)
        self._forget.setInterval(EARLY_STAYS)
        self._forget.timeout.connect(self.forget_early)

    def show_keys(self, count: int, levelling: bool, left: int, *, last: bool = True) -> None:
        """Words that fit the number of candidates and what was pressed so far; `last` where a verdict commits."""
        pair = self._pair = count == 2
        self.buttons["level"].say("tie" if pair else "level")
        self.buttons["level"].setChecked(levelling)
        self.buttons["accept"].setVisible(self._there and not pair)
        self.buttons["accept"].setEnabled(left <= 1)
        self.buttons["accept"].say("accept" if last else "next dimension")
        much = "Shift + 1 or 2: much better" if last else "[ and ] change the dimension"
        self.hint.setText(much if pair else f"1 … {count} from best to worst")

    def say_early(self) -> None:
        """A key came before the item was on screen, so it was left out; said where the keys are explained, for a moment."""
        self._say("Too early, left out: press again", "warning")

    def say_unfinished(self, dimension: str) -> None:
        """A dimension was begun and not finished, so nothing was committed."""
        self._say(f"Finish {dimension}, or take its places back", "warning")

    def say_restored(self) -> None:
        """A draft came back."""
        self._say("Your draft is back", "quiet")

    def _say(self, words: str, role: str) -> None:
        self.early.setText(words)
        if self.early.property("role") != role:
            restyle(self.early, role=role)
        self.early.show()
        self.hint.hide()
        self._forget.start()

    def forget_early(self) -> None:
        """The person has noticed, or had the time to."""
        self._forget.stop()
        self.early.hide()
        self.hint.setVisible(self._there)

    def show_deeds(self, there: bool) -> None:
        """Only what looks back makes sense when no item is shown."""
        self._there = there
        self.hint.setVisible(there and self.early.isHidden())
        for name, one in self.buttons.items():
            looks_back = name in {"undo", "redo", "reveal", "history", "effects"}
            one.setVisible(looks_back or (there and not (name == "accept" and self._pair)))

    def tell(self, words: str) -> None:
        """What was asked about: who wrote what, or what others said."""
        self.revealed.setText(words)
        self.revealed.setVisible(bool(words))

    def show_progress(self, progress: LabelProgress, fresh: Judgement | None) -> None:
        """The last judgement; a fresh one stands out for a moment."""
        self.buttons["undo"].setEnabled(progress.can_undo)
        self.buttons["redo"].setEnabled(progress.can_redo)
        last = fresh or progress.last
        by = "" if last is None or last.annotator_kind == "person" else f" (synthetic, by {last.annotator})"
        self.last.setText("" if last is None else f"last: {all_in_words(last)}{by}")
        self.tell("")
        if fresh is not None:
            restyle(self.last, role="good")
            self._calm.start()
