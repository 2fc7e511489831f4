"""One column: which model speaks by which strategy, its text as it comes, and its numbers."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QComboBox, QFrame, QHBoxLayout, QStackedLayout, QToolButton, QVBoxLayout, QWidget

from workbench.domain.decoding import STRATEGIES, Beam, DecodingSettings, Sample
from workbench.gui.icons import icon
from workbench.gui.pages.playground.heat import Mode
from workbench.gui.pages.playground.token_view import TokenView
from workbench.gui.theme import Theme
from workbench.gui.widgets.basics import Elided, restyle, rule, text
from workbench.gui.widgets.fields import WheelGuard, plain
from workbench.services.views import Column, ColumnNews

LETTERS = "ABCDEF"
_ENDS = {
    "end": "ended by itself",
    "stop": "ended at a stop text",
    "length": "reached the limit",
    "stopped": "stopped",
}


class ColumnCard(QFrame):
    """A column of the page. It knows no service: news is given to it, wishes are signals."""

    changed = Signal()
    settings_wanted = Signal()
    removed = Signal()
    token_opened = Signal(int)

    def __init__(self, theme: Theme, models: Sequence[str], column: Column) -> None:
        super().__init__()
        self._theme = theme
        self.settings: DecodingSettings = column.settings
        self.news: ColumnNews | None = None
        self._waiting_since = 0.0
        self._phase = ""
        self.setProperty("role", "card")
        self.setMinimumWidth(248)
        self._kept: dict[str, DecodingSettings] = {column.settings.strategy: column.settings}
        box = QVBoxLayout(self)
        box.setContentsMargins(1, 8, 1, 8)
        box.setSpacing(8)
        self._letter = text("", "chip")
        self.model = _combo("Model of the column")
        self.strategy = _combo("Strategy of the column")
        for name in STRATEGIES:
            self.strategy.addItem(name)
        self.summary = Elided("quiet")
        self.tune = _tool("Settings of the column", self.settings_wanted.emit)
        self.remove = _tool("Remove the column", self.removed.emit)
        box.addLayout(_row(self._letter, (self.model, 1), self.remove))
        box.addLayout(_row((self.strategy, 0), (self.summary, 1), self.tune))
        box.addWidget(rule())
        self._stack = QStackedLayout()
        self.view = TokenView(theme, "playground.tokens")
        self.view.opened.connect(self.token_opened)
        self._words = text("", "quiet", wrap=True, select=True)
        self._words.setAlignment(Qt.AlignmentFlag.AlignTop | Qt.AlignmentFlag.AlignLeft)
        self._words.setContentsMargins(12, 12, 12, 12)
        self._stack.addWidget(self.view)
        self._stack.addWidget(self._words)
        box.addLayout(self._stack, 1)
        box.addWidget(rule())
        self.verdict, self.speed, self.measures = Elided("quiet"), Elided("quiet"), Elided("quiet")
        foot = QVBoxLayout()
        foot.setContentsMargins(12, 0, 12, 0)
        foot.setSpacing(2)
        foot.addWidget(self.verdict)
        foot.addWidget(self.speed)
        foot.addWidget(self.measures)
        box.addLayout(foot)
        self.set_models(models, column.model)
        self.strategy.setCurrentText(column.settings.strategy)
        self.model.currentTextChanged.connect(lambda _: self.changed.emit())
        self.strategy.currentTextChanged.connect(self._other_strategy)
        self._tell_settings()
        self.dress()
        self.reset()

    @property
    def column(self) -> Column:
        """What a person has chosen here."""
        return Column(self.model.currentText(), self.settings)

    @property
    def done(self) -> bool:
        """Whether the text has ended, by itself or by an error."""
        return self.news is not None

    def set_place(self, place: int, removable: bool) -> None:
        """Which letter the column has; names follow it."""
        letter = LETTERS[place]
        self._letter.setText(letter)
        self.remove.setVisible(removable)
        self.setAccessibleName(f"Column {letter}")
        for widget, name, words in (
            (self.model, "model", "Model"), (self.strategy, "strategy", "Strategy"), (self.tune, "settings", "Settings"),
            (self.remove, "remove", "Remove"), (self.view, "tokens", "Text"),
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

    def set_settings(self, settings: DecodingSettings) -> None:
        """Take settings, and their strategy with them."""
        self.settings = self._kept[settings.strategy] = settings
        self.strategy.blockSignals(True)
        self.strategy.setCurrentText(settings.strategy)
        self.strategy.blockSignals(False)
        self._tell_settings()
        self.changed.emit()

    def set_mode(self, mode: Mode) -> None:
        """Text, or tokens as heat."""
        self.view.set_mode(mode)

    def reset(self, words: str = "The text will appear here.") -> None:
        """Forget the last text."""
        self.news = None
        self._phase = ""
        self.view.clear()
        self._show_words(words)
        for label in (self.verdict, self.speed, self.measures):
            label.setText("")

    def begin(self) -> None:
        """Wait for the first news."""
        self.reset("")
        self._phase = "starting the decoder"
        self._waiting_since = time.perf_counter()
        self.tick()

    def tick(self) -> None:
        """Tell how long a phase lasts."""
        if self._phase and not self.done:
            self._show_words(f"{self._phase.capitalize()} … {time.perf_counter() - self._waiting_since:.0f} s")

    def take(self, news: ColumnNews) -> None:
        """Show what happened."""
        if news.phase and news.phase != self._phase:
            self._phase, self._waiting_since = news.phase, time.perf_counter()
            self.tick()
        elif not news.phase and not news.done and not news.tokens:
            self._phase = "reading the prompt"
            self.tick()
        if news.tokens:
            self._phase = ""
            self._stack.setCurrentWidget(self.view)
            self.view.add(news.tokens)
            self.verdict.setText(f"{len(self.view.tokens)} tokens")
        if news.done:
            self._finish(news)

    def hasHeightForWidth(self) -> bool:
        """No: a column takes the height there is and scrolls inside, though some of its labels wrap."""
        return False

    def dress(self) -> None:
        """Icons and fonts in the theme's colours."""
        self.tune.setIcon(icon("settings", self._theme.colours.text))
        self.remove.setIcon(icon("close", self._theme.colours.quiet))
        self.view.dress()

    def _finish(self, news: ColumnNews) -> None:
        self.news = news
        self._phase = ""
        if news.error_what:
            self._show_words(f"{news.error_what} {news.error_hint}".strip(), "bad")
            self.verdict.setText("failed")
            return
        if not self.view.tokens:
            self._show_words("Stopped before the first token." if news.stopped else "The model said nothing.")
        for label, words in zip((self.verdict, self.speed, self.measures), _numbers(news), strict=True):
            label.setText(words)

    def _show_words(self, words: str, role: str = "quiet") -> None:
        self._words.setText(words)
        restyle(self._words, role=role)
        self._stack.setCurrentWidget(self._words)

    def _other_strategy(self, name: str) -> None:
        kept = self._kept.get(name)
        self.set_settings(
            kept or STRATEGIES[name](max_new_tokens=self.settings.max_new_tokens, stop=self.settings.stop)
        )

    def _tell_settings(self) -> None:
        self.summary.setText(summary(self.settings))


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


def _numbers(news: ColumnNews) -> tuple[str, str, str]:
    n = news.numbers
    verdict = f"{_ENDS.get(news.reason, 'ended')} · {n.get('tokens', 0):.0f} tokens"
    speed = ""
    if "tokens_per_second" in n:
        speed = f"{n['tokens_per_second']:.0f} tokens/s · first after {1000 * n['first_token_seconds']:.0f} ms"
    measures = (
        f"log p {n.get('logprob', 0):.1f} · distinct-2 {n.get('distinct_2', 0):.2f} · "
        f"repeats {100 * n.get('repetition', 0):.0f} %"
    )
    return verdict, speed, measures


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
