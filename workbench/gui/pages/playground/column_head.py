"""Who speaks in a column: model, strategy, and its settings in one line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QToolButton, QVBoxLayout, QWidget

from workbench.domain.decoding import STRATEGIES, Beam, DecodingSettings, Sample
from workbench.gui.icons import icon
from workbench.gui.theme import Theme
from workbench.gui.widgets.basics import Elided, plain_tip, text
from workbench.gui.widgets.fields import WheelGuard, plain
from workbench.services.views import Column

LOOKED_INTO = {
    "beam": "Look into the beam tree",
    "speculative": "Look into the rounds of drafts",
    "contrastive": "Look into what was weighed",
    "contrastive_search": "Look into what was weighed",
}


class ColumnHead(QWidget):
    """Chooses model and strategy. In a blind round it is taken out of its column, so that nothing of it is in the window."""

    changed = Signal()
    settings_wanted = Signal()
    removed = Signal()
    looked = Signal()

    def __init__(self, theme: Theme, models: Sequence[str], column: Column) -> None:
        super().__init__()
        self._theme = theme
        self.settings: DecodingSettings = column.settings
        self._kept: dict[str, DecodingSettings] = {column.settings.strategy: column.settings}
        self._letter = text("", "chip")
        self.model = _combo("Model of the column")
        self.strategy = _combo("Strategy of the column")
        for name in STRATEGIES:
            self.strategy.addItem(name.replace("_", " "), name)
        self.summary = Elided("quiet")
        self.look = _tool("Look into the column", self.looked.emit)
        self.tune = _tool("Settings of the column", self.settings_wanted.emit)
        self.remove = _tool("Remove the column", self.removed.emit)
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(8)
        box.addLayout(_row(self._letter, (self.model, 1), self.remove))
        box.addLayout(_row((self.strategy, 0), (self.summary, 1), self.look, self.tune))
        self.set_models(models, column.model)
        self._show_strategy()
        self.model.currentTextChanged.connect(lambda _: self.changed.emit())
        self.strategy.currentIndexChanged.connect(lambda _: self._other_strategy(self.strategy.currentData()))
        self.dress()

    @property
    def column(self) -> Column:
        """What a person has chosen here."""
        return Column(self.model.currentText(), self.settings)

    def set_place(self, letter: str, removable: bool) -> None:
        """Which letter the column has; names follow it."""
        self._letter.setText(letter)
        self.remove.setVisible(removable)
        for widget, name, words in (
            (self.model, "model", "Model"), (self.strategy, "strategy", "Strategy"), (self.tune, "settings", "Settings"),
            (self.remove, "remove", "Remove"), (self.look, "look", "Look into what was considered:"),
        ):  # fmt: skip
            widget.setObjectName(f"playground.{letter.lower()}.{name}")
            widget.setAccessibleName(f"{words} of column {letter}")

    def set_models(self, models: Sequence[str], wanted: str = "") -> None:
        """Offer these models, keeping the one that is chosen if it is still there."""
        wanted = wanted or self.model.currentText()
        self.model.blockSignals(True)
        self.model.clear()
        self.model.addItems(list(models))
        if wanted in models:
            self.model.setCurrentText(wanted)
        self.model.blockSignals(False)

    def set_settings(self, settings: DecodingSettings, *, quietly: bool = False) -> None:
        """Take settings, and their strategy with them; `quietly` without saying so."""
        self.settings = self._kept[settings.strategy] = settings
        self._show_strategy()
        if not quietly:
            self.changed.emit()

    def lock(self, locked: bool) -> None:
        """While columns speak none can be removed."""
        self.remove.setEnabled(not locked)

    def dress(self) -> None:
        """Icons in the theme's colours."""
        self.look.setIcon(icon("eye", self._theme.colours.text))
        self.tune.setIcon(icon("settings", self._theme.colours.text))
        self.remove.setIcon(icon("close", self._theme.colours.quiet))

    def _show_strategy(self) -> None:
        self.strategy.blockSignals(True)
        self.strategy.setCurrentIndex(self.strategy.findData(self.settings.strategy))
        self.strategy.blockSignals(False)
        self._summarise()
        self.look.setVisible(self.settings.strategy in LOOKED_INTO)
        self.look.setToolTip(LOOKED_INTO.get(self.settings.strategy, ""))

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Where there is little room, the first setting is still told."""
        super().resizeEvent(event)
        self._summarise()

    def _summarise(self) -> None:
        words = summary(self.settings)
        room = self.summary.fontMetrics().horizontalAdvance(words.split(" · ")[0])
        self.summary.setText(words if self.summary.width() > room + 16 else words.replace("temperature ", "T "))
        self.summary.setToolTip(plain_tip(words))

    def _other_strategy(self, name: str) -> None:
        kept = self._kept.get(name)
        if kept is None:
            shared: dict[str, Any] = {"max_new_tokens": self.settings.max_new_tokens, "stop": self.settings.stop}
            if "amateur" in STRATEGIES[name].model_fields:  # one has to be named: another model, where there is one
                others = [self.model.itemText(n) for n in range(self.model.count())]
                shared["amateur"] = next((m for m in others if m != self.model.currentText()), self.model.currentText())
            kept = STRATEGIES[name](**shared)
        self.set_settings(kept)


def summary(settings: DecodingSettings) -> str:
    """Settings in one line: what the strategy is known by, then whatever differs from the defaults."""
    words = []
    if isinstance(settings, Sample):
        words.append(f"temperature {plain(settings.temperature)}")
    if isinstance(settings, Beam):
        words.append(f"{settings.num_beams} beams")
    told = {"max_new_tokens", "strategy", "seed", "temperature", "num_beams"}
    for name in type(settings).model_fields:
        value = getattr(settings, name)
        if name not in told and value != type(settings).model_fields[name].default:
            words.append(f"{name.replace('_', '-')} {_value(value)}")
    return " · ".join([*words, f"{settings.max_new_tokens} tokens"])


def _value(value: Any) -> str:
    if isinstance(value, float):
        return plain(value)
    return ", ".join(value) if isinstance(value, tuple) else str(value)


def _combo(name: str) -> QComboBox:
    box = QComboBox()
    box.setAccessibleName(name)
    box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
    box.setMinimumContentsLength(6)
    box.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
    box.installEventFilter(WheelGuard(box))
    return box


def _tool(name: str, run: Any) -> QToolButton:
    result = QToolButton()
    result.setAccessibleName(name)
    result.setToolTip(name)
    result.clicked.connect(lambda: run())
    return result


def _row(*parts: QWidget | tuple[QWidget, int]) -> QHBoxLayout:
    row = QHBoxLayout()
    row.setContentsMargins(12, 0, 8, 0)
    row.setSpacing(8)
    for part in parts:
        if isinstance(part, tuple):
            row.addWidget(part[0], part[1])
        else:
            row.addWidget(part)
    return row
