"""A new queue: a form made from its declared settings, beside the candidates."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from PySide6.QtCore import QEvent, QObject, Qt
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QScrollArea, QVBoxLayout, QWidget

from workbench.domain.queues import NEEDS_SCORES, QueueSpec
from workbench.gui.theme import Theme
from workbench.gui.widgets.basics import KeyHint, button, text
from workbench.gui.widgets.spec_form import SpecForm


class QueuePanel(QWidget):
    """Escape leaves it, Ctrl+Enter makes the queue; `sample` is asked for new items, which this queue is to ask about."""

    def __init__(
        self,
        theme: Theme,
        create: Callable[[QueueSpec], Any],
        leave: Callable[[], Any],
        sample: Callable[[QueueSpec], Any],
    ) -> None:
        super().__init__()
        self.setObjectName("annotate.queue_panel")
        self.setAccessibleName("New queue")
        self._create, self._leave, self._sample = create, leave, sample
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(8)
        column.addWidget(text("New queue", "heading"))
        source = button("Sample new answers…", "annotate.queue_sample", self.sample, "link")
        source.setToolTip("Models answer prompts; when they are done, this queue asks about their answers")
        column.addWidget(
            text("Asks about the items of a dataset, or about answers that models give now:", "quiet", wrap=True)
        )
        column.addWidget(source, 0, Qt.AlignmentFlag.AlignLeft)
        self.form = SpecForm(QueueSpec, theme, "annotate.new_queue", choices={"dataset": (), "reward_model": ()})
        self.form.changed.connect(self._clear_wrong)
        for field in self.form.findChildren(QWidget):
            field.installEventFilter(self)
        scroll = QScrollArea()
        scroll.setWidgetResizable(True)
        scroll.setFrameShape(QFrame.Shape.NoFrame)
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        scroll.setWidget(self.form)
        scroll.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        column.addWidget(scroll, 1)
        self.wrong = text("", "bad", wrap=True)
        self.wrong.setObjectName("annotate.new_queue_wrong")
        self.wrong.hide()
        column.addWidget(self.wrong)
        row = QHBoxLayout()
        row.addWidget(button("Make queue", "annotate.queue_create", self.make, "primary"))
        row.addWidget(button("Cancel", "annotate.queue_cancel", leave))
        row.addStretch(1)
        column.addLayout(row)
        keys = QHBoxLayout()
        keys.addWidget(KeyHint("Ctrl+Enter", "make"))
        keys.addWidget(KeyHint("Esc", "cancel"))
        keys.addStretch(1)
        column.addLayout(keys)

    def open(self, dataset: str, datasets: Sequence[str], models: Sequence[str]) -> None:
        """A fresh form over these datasets and reward models."""
        self.form.set_choices("dataset", datasets)
        self.form.set_choices("reward_model", ("", *models))
        self.form.set_values({"dataset": dataset, "name": "", "reward_model": ""})
        self._clear_wrong()
        self.form.editor("name").setFocus()

    def make(self) -> None:
        """Make the queue, or say what is wrong with it."""
        values = self.form.values()
        if values["strategy"] in NEEDS_SCORES and not values["reward_model"]:
            self.say("Choose the reward model whose scores order this queue. Train one first if there is none (L).")
            return
        made = self.form.result()
        if isinstance(made, QueueSpec):
            self._create(made.model_copy(update={"reward_model": made.reward_model or None}))

    def sample(self) -> None:
        """Go on to the form of a study, or say what is wrong with the queue."""
        if self.form.values()["strategy"] in NEEDS_SCORES:
            self.say(
                "New answers have no scores yet: choose another strategy, and order the queue again when they have."
            )
            return
        made = self.form.result()
        if isinstance(made, QueueSpec):
            self._sample(made.model_copy(update={"reward_model": None}))

    def say(self, words: str) -> None:
        """What keeps the queue from being made."""
        self.wrong.setText(words)
        self.wrong.setVisible(bool(words))

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Ctrl+Enter makes the queue, Escape leaves."""
        if isinstance(event, QKeyEvent) and event.type() == QEvent.Type.KeyPress:
            if event.key() == Qt.Key.Key_Escape:
                self._leave()
                return True
            ctrl = event.modifiers() & Qt.KeyboardModifier.ControlModifier
            if ctrl and event.key() in {Qt.Key.Key_Return, Qt.Key.Key_Enter}:
                self.make()
                return True
        return super().eventFilter(watched, event)

    def _clear_wrong(self) -> None:
        self.say("")
