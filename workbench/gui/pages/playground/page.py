"""Several models or strategies answer one prompt side by side, token by token; a vote on what is seen becomes a label."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QStackedLayout, QWidget

from workbench.domain.decoding import Greedy, Sample
from workbench.domain.errors import WorkbenchError
from workbench.domain.runs import ModelRef
from workbench.domain.settings import Settings
from workbench.gui.bridge import Bridge
from workbench.gui.pages.playground import memory
from workbench.gui.pages.playground.desk import Desk
from workbench.gui.pages.playground.family import Family
from workbench.gui.pages.playground.heat import MODES, Mode
from workbench.gui.pages.playground.keeping import Keeping
from workbench.gui.pages.playground.lab import Lab
from workbench.gui.pages.playground.measuring import Measuring
from workbench.gui.pages.playground.panels import Panels
from workbench.gui.pages.playground.round import Round
from workbench.gui.pages.playground.shelf import Shelf
from workbench.gui.pages.playground.studies import Studies
from workbench.gui.pages.playground.voting import Voting
from workbench.gui.shell import Action, Shell
from workbench.gui.widgets.states import BusyState, EmptyState, ErrorState
from workbench.services.views import Column
from workbench.services.workbench import Workbench

TOKENS = 96


class PlaygroundPage(QWidget):
    """Columns side by side over one prompt."""

    help_text = (
        "Type a prompt and press Ctrl+Enter: every column answers it with its own model and strategy, and with the same random "
        "numbers. The flag ▼ marks where columns part. Show tokens as probability or entropy, point at one for its numbers, "
        "click it for its alternatives. Say which text is best, or send the texts to be ranked blind. In a blind round the "
        "columns are shuffled, and who spoke is shown after your vote."
    )

    def __init__(self, services: Workbench, bridge: Bridge, shell: Shell) -> None:
        super().__init__()
        self._services, self._bridge, self._shell = services, bridge, shell
        self._first = ""
        self.setObjectName("playground")
        self.setAccessibleName("Playground")
        self._build()
        shell.theme.changed.connect(self._desk.dress)

    def _build(self) -> None:
        theme = self._shell.theme
        self._stack = QStackedLayout(self)
        self._busy = BusyState("Looking for models", name="playground.busy", theme=theme)
        self._empty = EmptyState(
            "Compare how models speak",
            "This page lets models answer one prompt side by side, token by token. It needs a language model: "
            "add a folder on the Models page, or train one.",
            ("Add a model", lambda: self._shell.go("models")),
            ("Train a model", lambda: self._shell.go("train")),
            name="playground.empty",
            glyph="playground",
            theme=theme,
        )
        self._error: ErrorState | None = None
        self._desk = Desk(theme)
        service = self._services.playground
        self.bar, self.row, self.drawer = self._desk.bar, self._desk.row, self._desk.drawer
        self.round = Round(service, self._bridge, self.row)
        self.voting = Voting(service, self._bridge, self._desk.votes, self.round)
        self.panels = Panels(service, self._bridge, theme, self.row, self.drawer, self.round)
        self.keeping = Keeping(self._services.rounds, self._bridge, self._shell, self.round, self.row, self.drawer)
        self.measuring = Measuring(
            self._services.column_numbers, self._bridge, self._shell, self.round, self.row, self.drawer, service.align
        )
        self.lab = Lab(service, self._bridge, self._shell, self.round, self.row, self._desk.lab)
        self.lab.shown.connect(self._desk.show_lab)
        self.studies = Studies(self._services, self._bridge, self._shell, self.row, self.drawer, self.lab)
        self._desk.left.connect(self.lab.close)
        self.panels.rules_wanted.connect(self.lab.open_distribution)
        self.shelf = Shelf(service, self._services.settings, self._bridge, self._shell, self.row, self.drawer)
        self.family = Family(self._services.models, self._bridge, self._shell, self.round, self.row, self.lab)
        for widget in (self._busy, self._empty, self._desk):
            self._stack.addWidget(widget)
        self.row.changed.connect(self._remember)
        self.row.numbered.connect(self._renumbered)
        self.round.running_changed.connect(self._ran)
        self.round.refused.connect(self._refused)
        self.round.ended.connect(self.keeping.keep)
        self.round.ended.connect(self.measuring.take)
        self.measuring.taken.connect(self.keeping.keep)
        self.keeping.opened.connect(
            lambda asked: self.bar.show_asked(asked.prompt, asked.prefill, asked.columns[0].settings.seed)
        )
        self.bar.started.connect(self.start)
        self.bar.stopped.connect(self.round.stop)
        self.bar.went_on.connect(self.round.go_on)
        self.bar.added.connect(self.add_column)
        self.bar.mode_changed.connect(self._set_mode)
        self.bar.linked.connect(self.row.link)
        for title, run in self._more():
            self.bar.offer(title, run)

    def _more(self) -> list[tuple[str, Callable[[], Any]]]:
        """What the menu offers."""
        write = self.keeping.ask_where
        return [
            ("Presets of columns", self.panels.open_presets),
            ("History of rounds", self.keeping.open_history),
            ("Numbers below the columns", self.measuring.open_panel),
            ("Models in memory", self.shelf.open),
            ("The prompt as the model reads it", self._open_reading),
            ("One family on this prompt", lambda: self.family.play(self.start)),
            ("The columns' models over one text", self.family.compare),
            ("A study of these columns", self.studies.open_panel),
            ("Save the round as JSON", lambda: write(self, "json")),
            ("Save the round as Markdown", lambda: write(self, "markdown")),
            ("Save the round as a picture", lambda: write(self, "png")),
        ]

    # What the window calls.

    def arrive(self, model: str = "", prompt: str = "") -> None:
        """Let this model speak in the first column, or ask this."""
        if model and self.row.cards:
            models = self.row.models
            self.row.cards[0].head.set_models(models if model in models else [*models, model], model)
        elif model:
            self._first = model
        if prompt:
            self.bar.prompt.setPlainText(prompt)

    def shown(self) -> None:
        """Look which models there are; what is on the page stays."""
        self._bridge.run(self._services.models.list, then=self._listed, failed=self._broken)
        self.round.in_sight(True)
        self.studies.go_on()

    def hidden(self) -> None:
        """Nothing is drawn out of sight; what the decoder says waits."""
        self.round.in_sight(False)
        self.studies.pause()

    def settings_changed(self, settings: Settings) -> None:
        """Other settings are in force."""
        self.shelf.take(settings)

    def closing(self) -> None:
        """The window closes."""
        self.hidden()

    def actions(self) -> list[Action]:  # type: ignore[override]
        """For the palette and the list of keys."""
        return [
            Action("playground.start", "Start decoding", "Ctrl+Enter", self.start),
            Action("playground.stop", "Stop decoding", "Esc", self.round.stop),
            Action("playground.go_on", "Let stopped columns go on", "Ctrl+Shift+Enter", self.round.go_on),
            Action("playground.add", "Add a column", "", self.add_column),
            Action("playground.blind", "Compare blind, or no longer", "", self.bar.blind.toggle),
            Action("playground.linked", "Same settings for all columns, or each its own", "", self.bar.same.toggle),
            *(Action(f"playground.more.{n}", title, "", run) for n, (title, run) in enumerate(self._more())),
            *(
                Action(f"playground.mode.{mode}", f"Tokens as: {title}", "", partial(self.bar.mode.setCurrentIndex, n))
                for n, (mode, title) in enumerate(MODES)
            ),
        ]

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Ctrl+Enter starts, Esc stops or closes the panel."""
        if event.key() == Qt.Key.Key_Escape:
            if self.round.running:
                self.round.stop()
            elif self.lab.pane.content is not None:
                self.lab.close()
            else:
                self.panels.close()
        elif (
            event.key() in {Qt.Key.Key_Return, Qt.Key.Key_Enter}
            and event.modifiers() & Qt.KeyboardModifier.ControlModifier
        ):
            if event.modifiers() & Qt.KeyboardModifier.ShiftModifier:
                self.round.go_on()
            else:
                self.start()
        else:
            super().keyPressEvent(event)

    def add_column(self) -> None:
        """One more column, with the last one's model; it samples, unless all columns have the same settings."""
        if self.row.full:
            self._shell.notify("There are at most six columns.", "Remove one first.")
        elif self.row.models and not self.round.running and not self.round.blind:
            last = self.row.cards[-1].column if self.row.cards else Column(self.row.models[0], Sample())
            settings = last.settings if self.row.linked and self.row.cards else Sample(max_new_tokens=TOKENS)
            self.row.add(Column(last.model, settings))

    # A round.

    def start(self) -> None:
        """Ask all columns; what was under way ends."""
        if not self.row.cards:
            return
        if not self.bar.prompt.toPlainText().strip():
            self._shell.notify("The prompt is empty.", "Type what the models should answer or continue.", "warning")
            self.bar.prompt.setFocus()
            return
        if self.bar.blind.isChecked() and len(self.row.cards) < 2:
            self._shell.notify("A blind comparison needs two columns.", "Add a column, or switch Blind off.", "warning")
            return
        self.panels.forget()
        self._remember()
        asked, blind = self.bar.asked(), self.bar.blind.isChecked()
        if blind:
            self.lab.close()
        self.round.start(asked, self.bar.seed.value(), blind=blind, prefill=self.bar.opening())
        self.lab.begin()

    def _open_reading(self) -> None:
        if self.row.cards and self.bar.prompt.toPlainText().strip():
            self.panels.open_reading(self.row.chosen()[0].model, self.bar.asked(), self.bar.opening())

    def _ran(self, running: bool) -> None:
        self.bar.set_running(running, bool(self.round.asked and self.row.unfinished()))
        self._allow_adding()
        if running:
            self.voting.close(len(self.row.cards))
        elif self.round.asked is not None:
            self.voting.open(len(self.row.cards))

    def _refused(self, error: WorkbenchError) -> None:
        self._shell.notify(error.what, error.hint, "bad", details=error.details)

    def _renumbered(self) -> None:
        """Columns came or went: what they said can't be compared any more."""
        self.panels.close()
        self.lab.close()
        self.round.drop()
        self.bar.set_running(self.round.running)
        self._allow_adding()
        self.voting.close(len(self.row.cards))
        self._remember()

    def _allow_adding(self) -> None:
        self.bar.add.setEnabled(not self.round.running and not self.row.full)

    # What is shown, and what is remembered.

    def _set_mode(self, mode: Mode) -> None:
        self.row.set_mode(mode)
        self._remember()

    def _listed(self, models: list[ModelRef]) -> None:
        self.measuring.models = models
        self.row.set_models([m.name for m in reversed(models) if m.kind != "reward"])
        if not self.row.models:
            self._stack.setCurrentWidget(self._empty)
            return
        self._stack.setCurrentWidget(self._desk)
        if not self.row.cards:
            self.measuring.recall()
            self._recall()

    def _broken(self, error: WorkbenchError) -> None:
        if self._error is not None:
            self._stack.removeWidget(self._error)
            self._error.deleteLater()
        self._error = ErrorState(error, self.shown, name="playground.error", theme=self._shell.theme)
        self._stack.addWidget(self._error)
        self._stack.setCurrentWidget(self._error)

    def _remember(self) -> None:
        self._shell.remember("playground.page", memory.write(self.bar.state(self.row.chosen())))

    def _recall(self) -> None:
        kept = memory.read(self._shell.recall("playground.page", ""))
        first = self._first or self.row.models[0]
        columns = [Column(first, Greedy(max_new_tokens=TOKENS)), Column(first, Sample(max_new_tokens=TOKENS))]
        self.bar.set_state(kept)
        self.row.set_columns(columns if self._first else kept.columns or columns)
        self.bar.mode.setCurrentIndex(kept.mode)
