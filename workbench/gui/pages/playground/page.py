"""Several models or strategies answer one prompt side by side, token by token; a vote on what is seen becomes a label."""

from __future__ import annotations

from functools import partial

from PySide6.QtCore import Qt, QTimer
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QStackedLayout, QWidget

from workbench.domain.decoding import Greedy, Sample
from workbench.domain.errors import WorkbenchError
from workbench.domain.runs import ModelRef
from workbench.domain.text import Prompt
from workbench.gui.bridge import Bridge
from workbench.gui.pages.playground import memory
from workbench.gui.pages.playground.column_card import LETTERS
from workbench.gui.pages.playground.desk import Desk
from workbench.gui.pages.playground.drawer import PresetsPanel, SettingsPanel, TokenPanel
from workbench.gui.pages.playground.heat import Mode
from workbench.gui.pages.playground.token_view import name_of, shown
from workbench.gui.pages.playground.voting import Voting
from workbench.gui.shell import Action, Shell
from workbench.gui.widgets.states import BusyState, EmptyState, ErrorState
from workbench.services.views import Column, Preset
from workbench.services.workbench import Workbench

FRAME = 16  # milliseconds between two looks at what the decoder said
TOKENS = 96


class PlaygroundPage(QWidget):
    """Columns side by side over one prompt."""

    help_text = (
        "Type a prompt and press Ctrl+Enter: every column answers it with its own model and strategy, and with the same random "
        "numbers. The flag ▼ marks where columns part. Show tokens as probability or entropy, point at one for its numbers, "
        "click it for its alternatives. Say which text is best, or send the texts to be ranked blind."
    )

    def __init__(self, services: Workbench, bridge: Bridge, shell: Shell) -> None:
        super().__init__()
        self._services, self._bridge, self._shell = services, bridge, shell
        self._first = ""
        self._running = False
        self._asked: tuple[Prompt, list[Column]] | None = None
        self.setObjectName("playground")
        self.setAccessibleName("Playground")
        self._timer = QTimer(self)
        self._timer.setInterval(FRAME)
        self._timer.timeout.connect(self._look)
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
        self.bar, self.row, self.drawer = self._desk.bar, self._desk.row, self._desk.drawer
        self.voting = Voting(self._services.playground, self._bridge, self._desk.votes)
        for widget in (self._busy, self._empty, self._desk):
            self._stack.addWidget(widget)
        self.row.settings_wanted.connect(self._open_settings)
        self.row.token_opened.connect(self._open_token)
        self.row.changed.connect(self._remember)
        self.row.numbered.connect(self._renumbered)
        self.bar.started.connect(self.start)
        self.bar.stopped.connect(self.stop)
        self.bar.added.connect(self.add_column)
        self.bar.presets_wanted.connect(self._open_presets)
        self.bar.mode_changed.connect(self._set_mode)

    # What the window calls.

    def arrive(self, model: str = "", prompt: str = "") -> None:
        """Let this model speak in the first column, or ask this."""
        if model and self.row.cards:
            models = self.row.models
            self.row.cards[0].set_models(models if model in models else [*models, model], model)
        elif model:
            self._first = model
        if prompt:
            self.bar.prompt.setPlainText(prompt)

    def shown(self) -> None:
        """Look which models there are; what is on the page stays."""
        self._bridge.run(self._services.models.list, then=self._listed, failed=self._broken)
        if self._running:
            self._timer.start()

    def hidden(self) -> None:
        """Nothing is drawn out of sight; what the decoder says waits."""
        self._timer.stop()

    def closing(self) -> None:
        """The window closes."""
        self._timer.stop()

    def actions(self) -> list[Action]:  # type: ignore[override]
        """For the palette and the list of keys."""
        return [
            Action("playground.start", "Start decoding", "Ctrl+Enter", self.start),
            Action("playground.stop", "Stop decoding", "Esc", self.stop),
            Action("playground.add", "Add a column", "", self.add_column),
            Action("playground.presets", "Show presets of columns", "", self._open_presets),
            *(
                Action(f"playground.mode.{place}", title, "", partial(self.bar.mode.setCurrentIndex, place))
                for place, title in enumerate(
                    ("Show plain text", "Show probabilities as heat", "Show entropies as heat")
                )
            ),
        ]

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Ctrl+Enter starts, Esc stops or closes the panel."""
        if event.key() == Qt.Key.Key_Escape:
            if self._running:
                self.stop()
            else:
                self.drawer.hide()
        elif (
            event.key() in {Qt.Key.Key_Return, Qt.Key.Key_Enter}
            and event.modifiers() & Qt.KeyboardModifier.ControlModifier
        ):
            self.start()
        else:
            super().keyPressEvent(event)

    def add_column(self) -> None:
        """One more column, with the last one's model, sampling."""
        if self.row.full:
            self._shell.notify("There are at most six columns.", "Remove one first.")
        elif self.row.models:
            model = self.row.cards[-1].column.model if self.row.cards else self.row.models[0]
            self.row.add(Column(model, Sample(max_new_tokens=TOKENS)))

    # A round.

    def start(self) -> None:
        """Ask all columns; what was under way ends."""
        if not self.row.cards:
            return
        seed = self.bar.seed.value()
        prompt_text = self.bar.prompt.toPlainText()
        if not prompt_text.strip():
            self._shell.notify("The prompt is empty.", "Type what the models should answer or continue.", "warning")
            self.bar.prompt.setFocus()
            return
        prompt, columns = self.bar.asked(), self.row.columns(seed)
        self._asked = prompt, columns
        self._remember()
        self.row.begin()
        self._set_running(True)
        self._bridge.run(
            self._services.playground.start, prompt, columns, then=lambda _: self._began(), failed=self._refused
        )

    def stop(self) -> None:
        """End every column before its next token."""
        if self._running:
            self._bridge.run(self._services.playground.stop)

    def _began(self) -> None:
        if self.isVisible():
            self._timer.start()

    def _refused(self, error: WorkbenchError) -> None:
        self._set_running(False)
        self.row.reset()
        self._shell.notify(error.what, error.hint, "bad", details=error.details)

    def _look(self) -> None:
        """One frame: everything that came since the last."""
        self.row.take(self._services.playground.poll() if self._asked is not None else [])
        if self.row.done or self._asked is None:
            self._set_running(False)

    def _set_running(self, running: bool) -> None:
        self._running = running
        self.bar.set_running(running)
        self.row.lock(running)
        self.bar.add.setEnabled(not running and not self.row.full)
        if running:
            self.voting.close(len(self.row.cards))
            return
        self._timer.stop()
        if self._asked is not None:
            prompt, columns = self._asked
            self.voting.open(len(self.row.cards), prompt, self.row.candidates(columns))

    # The panel at the right.

    def _renumbered(self) -> None:
        self.drawer.hide()
        if self._running:
            self.stop()
        self._asked = None
        self.bar.add.setEnabled(not self._running and not self.row.full)
        self.voting.close(len(self.row.cards))
        self._remember()

    def _open_settings(self, place: int) -> None:
        card = self.row.cards[place]
        panel = SettingsPanel(self._shell.theme, card.settings, card.set_settings)
        self.drawer.open(f"Column {LETTERS[place]}: {card.settings.strategy}", panel)
        card.strategy.currentTextChanged.connect(lambda _: self.drawer.leave(panel))

    def _open_token(self, place: int, token: int) -> None:
        choice = self.row.cards[place].view.tokens[token]
        title = f"{LETTERS[place]} · token {token + 1}: {shown(name_of(choice))}"
        self.drawer.open(title, TokenPanel(self._shell.theme, choice))

    def _open_presets(self) -> None:
        self._bridge.run(self._services.playground.presets, then=self._show_presets)

    def _show_presets(self, presets: list[Preset]) -> None:
        service = self._services.playground
        panel = PresetsPanel(
            presets,
            lambda preset: self.row.set_columns(preset.columns),
            lambda name: self._bridge.run(
                service.save_preset, name, self.row.columns(0), then=lambda _: self._open_presets()
            ),
            lambda name: self._bridge.run(service.delete_preset, name, then=lambda _: self._open_presets()),
        )
        self.drawer.open("Presets", panel)

    # What is shown, and what is remembered.

    def _set_mode(self, mode: Mode) -> None:
        self.row.set_mode(mode)
        self._remember()

    def _listed(self, models: list[ModelRef]) -> None:
        self.row.set_models([m.name for m in reversed(models) if m.kind != "reward"])
        if not self.row.models:
            self._stack.setCurrentWidget(self._empty)
            return
        self._stack.setCurrentWidget(self._desk)
        if not self.row.cards:
            self._recall()

    def _broken(self, error: WorkbenchError) -> None:
        if self._error is not None:
            self._stack.removeWidget(self._error)
            self._error.deleteLater()
        self._error = ErrorState(error, self.shown, name="playground.error", theme=self._shell.theme)
        self._stack.addWidget(self._error)
        self._stack.setCurrentWidget(self._error)

    def _remember(self) -> None:
        bar = self.bar
        state = memory.Remembered(
            bar.prompt.toPlainText(), bar.kind.currentIndex() == 1, bar.seed.value(), bar.mode.currentIndex(),
            tuple(card.column for card in self.row.cards),
        )  # fmt: skip
        self._shell.remember("playground.page", memory.write(state))

    def _recall(self) -> None:
        kept = memory.read(self._shell.recall("playground.page", ""))
        first = self._first or self.row.models[0]
        columns = [Column(first, Greedy(max_new_tokens=TOKENS)), Column(first, Sample(max_new_tokens=TOKENS))]
        if not self.bar.prompt.toPlainText():
            self.bar.prompt.setPlainText(kept.prompt)
        self.bar.kind.setCurrentIndex(int(kept.raw))
        self.bar.seed.setValue(kept.seed)
        self.row.set_columns(columns if self._first else kept.columns or columns)
        self.bar.mode.setCurrentIndex(kept.mode)
