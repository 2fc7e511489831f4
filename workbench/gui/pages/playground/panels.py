"""What opens at the right of the columns: a column's settings, a token, the presets. It asks the services for what a panel shows."""

from __future__ import annotations

from functools import partial

from PySide6.QtCore import QObject, Signal
from PySide6.QtWidgets import QCheckBox, QVBoxLayout, QWidget

from workbench.domain.text import Prompt
from workbench.gui.bridge import Bridge
from workbench.gui.pages.playground.column_card import LETTERS
from workbench.gui.pages.playground.columns_row import ColumnsRow
from workbench.gui.pages.playground.drawer import Drawer, PresetsPanel, SettingsPanel
from workbench.gui.pages.playground.reading_panel import ReadingPanel
from workbench.gui.pages.playground.round import Round
from workbench.gui.pages.playground.token_panel import TokenPanel
from workbench.gui.pages.playground.token_words import name_of, shown
from workbench.gui.theme import Theme
from workbench.gui.widgets.basics import button
from workbench.services.playground import PlaygroundService
from workbench.services.views import Preset


class Below(QWidget):
    """Widgets one below another."""

    def __init__(self, *widgets: QWidget) -> None:
        super().__init__()
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 4, 0, 0)
        for widget in widgets:
            box.addWidget(widget)
        box.addStretch(1)


class Panels(QObject):
    """Opens one panel at a time in the drawer."""

    rules_wanted = Signal(int, int)

    def __init__(
        self, service: PlaygroundService, bridge: Bridge, theme: Theme, row: ColumnsRow, drawer: Drawer, round: Round
    ) -> None:
        super().__init__()
        self._service, self._bridge, self._theme, self._row, self.drawer = service, bridge, theme, row, drawer
        self._round = round
        self._branch_new = True
        row.settings_wanted.connect(self.open_settings)
        row.token_opened.connect(self.open_token)

    def close(self) -> None:
        """Nothing is open."""
        self.drawer.hide()

    def forget(self) -> None:
        """Nothing is open, and what was is gone: hidden words can still be read by a screen reader."""
        self.drawer.open("", QWidget())
        self.drawer.hide()

    def open_settings(self, place: int) -> None:
        """The form of a column's settings."""
        head = self._row.cards[place].head
        panel = SettingsPanel(self._theme, head.settings, head.set_settings, self._row.models)
        self.drawer.open(f"Column {LETTERS[place]}: {head.strategy.currentText()}", panel)
        head.strategy.currentTextChanged.connect(lambda _: self.drawer.leave(panel))

    def open_token(self, place: int, token: int) -> None:
        """A token's alternatives."""
        choice = self._row.cards[place].view.tokens[token]
        title = f"{LETTERS[place]} · token {token + 1}: {shown(name_of(choice))}"
        panel = TokenPanel(self._theme, choice, token)
        panel.branch.connect(partial(self._branch, place))
        rules = button(
            "The rules at work here", "playground.token.distribution", lambda: self.rules_wanted.emit(place, token),
            tip="Bars before and after every rule, live while you move it; the model isn't run",
        )  # fmt: skip
        self.drawer.open(title, Below(rules, self._branch_choice(), panel))

    def _branch_choice(self) -> QCheckBox:
        """Where a branch goes."""
        box = QCheckBox("Branch in a new column")
        box.setObjectName("playground.branch.new")
        box.setAccessibleName(box.text())
        box.setToolTip("Otherwise the column itself goes on from here")
        box.setChecked(self._branch_new and not self._row.full)
        box.setEnabled(not self._row.full)
        box.clicked.connect(self._set_branch)
        return box

    def _set_branch(self, new: bool) -> None:
        self._branch_new = new

    def _branch(self, place: int, position: int, token: int) -> None:
        self._round.branch(place, position, token, new=self._branch_new and not self._row.full)

    def open_reading(self, model: str, prompt: Prompt, prefill: str) -> None:
        """What a model is given for this prompt."""

        def show(tokens: list[tuple[int, str]]) -> None:
            if not self._row.masked:
                self.drawer.open("As the model reads it", ReadingPanel(self._theme, model, tokens))

        if not self._row.masked:
            self._bridge.run(self._service.reading, model, prompt, prefill, then=show, lane="long")

    def open_presets(self) -> None:
        """Kept choices of columns; in a blind round they would tell too much."""
        if not self._row.masked:
            self._bridge.run(self._service.presets, then=self._show_presets)

    def _show_presets(self, presets: list[Preset]) -> None:
        panel = PresetsPanel(
            presets,
            lambda preset: self._row.set_columns(preset.columns),
            lambda name: self._bridge.run(
                self._service.save_preset, name, self._row.chosen(), then=lambda _: self.open_presets()
            ),
            lambda name: self._bridge.run(self._service.delete_preset, name, then=lambda _: self.open_presets()),
        )
        if not self._row.masked:
            self.drawer.open("Presets", panel)
