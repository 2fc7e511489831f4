"""The chain of rules under a person's hands: a slider for each rule, and the order of the rules to drag."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtGui import QBrush, QColor, QDropEvent, QKeyEvent
from PySide6.QtWidgets import (
    QAbstractItemView,
    QGridLayout,
    QListWidget,
    QListWidgetItem,
    QSlider,
    QVBoxLayout,
    QWidget,
)

from workbench.domain.decoding import DecodingSettings, Sample
from workbench.gui.theme import Theme
from workbench.gui.widgets.basics import text
from workbench.gui.widgets.fields import WheelGuard, plain


def _steps(low: int, high: int, parts: int) -> tuple[float, ...]:
    return tuple(value / parts for value in range(low, high + 1))


_SMALL = (0.0, 1e-5, 3e-5, 1e-4, 3e-4, 1e-3, 3e-3, 0.01, 0.03, 0.1, 0.3)
STOPS: dict[str, tuple[float, ...]] = {
    "temperature": _steps(0, 40, 20),
    "top_k": (0, 1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 20, 25, 30, 40, 50, 60, 80, 100, 150, 200, 300, 500, 1000),
    "top_p": _steps(5, 100, 100),
    "min_p": (0.0, 0.001, 0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.7, 1.0),
    "typical_p": _steps(5, 100, 100),
    "epsilon": _SMALL,
    "eta": _SMALL,
    "repetition_penalty": _steps(20, 40, 20),
    "presence_penalty": _steps(-20, 20, 10),
    "frequency_penalty": _steps(-20, 20, 10),
}
OFF = {name: field.default for name, field in Sample.model_fields.items() if name in STOPS}


def sample_of(settings: DecodingSettings) -> Sample:
    """Any settings as those of sampling: greedy ones, and others that always take the best, at temperature 0."""
    if isinstance(settings, Sample):
        return settings
    shared = set(Sample.model_fields) & set(type(settings).model_fields) - {"strategy"}
    known = {name: getattr(settings, name) for name in shared}
    return Sample(**({"temperature": 0.0} | known))


def with_chain(settings: DecodingSettings, chain: Sample) -> DecodingSettings:
    """A column's settings with another chain of rules; greedy ones become sampling, since rules of a draw mean nothing to them."""
    if "top_p" not in type(settings).model_fields:
        return chain
    shared = set(Sample.model_fields) & set(type(settings).model_fields) - {"strategy"}
    return type(settings).model_validate(settings.model_dump() | {name: getattr(chain, name) for name in shared})


class ChainSliders(QWidget):
    """A slider for every rule of the chain; `changed` gives the whole settings at every move."""

    changed = Signal(object)

    def __init__(self, theme: Theme, settings: Sample) -> None:
        super().__init__()
        self.settings = settings
        self._values: dict[str, Sequence[float]] = {}
        self.sliders: dict[str, QSlider] = {}
        self._shown: dict[str, QWidget] = {}
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 8, 0)
        box.setSpacing(8)
        grid = QGridLayout()
        grid.setHorizontalSpacing(10)
        grid.setVerticalSpacing(2)
        grid.setColumnStretch(1, 1)
        for row, name in enumerate(STOPS):
            self._add(grid, row, name)
        box.addLayout(grid)
        box.addWidget(text("Order of the rules", "strong"))
        box.addWidget(text("Drag, or Alt+Up and Alt+Down. The first acts first.", "quiet", wrap=True))
        self.order = OrderList(theme, settings)
        self.order.moved.connect(lambda order: self._set("order", order))
        box.addWidget(self.order)
        box.addStretch(1)
        self.set_settings(settings)

    def set_settings(self, settings: Sample) -> None:
        """Show other settings, without telling that they changed."""
        self.settings = settings
        for name, slider in self.sliders.items():
            value = float(getattr(settings, name))
            stops = list(STOPS[name])
            place = bisect_left(stops, value)
            if place == len(stops) or stops[place] != value:
                stops.insert(place, value)  # what was typed elsewhere has its place too
            self._values[name] = stops
            slider.blockSignals(True)
            slider.setRange(0, len(stops) - 1)
            slider.setValue(place)
            slider.blockSignals(False)
        self.order.show_settings(settings)
        self._tell()

    def _add(self, grid: QGridLayout, row: int, name: str) -> None:
        title = name.replace("_penalty", "").replace("_", "-")
        sentence = Sample.model_fields[name].description or ""
        head, shown = text(title), text("", "quiet")
        head.setToolTip(sentence)
        shown.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        shown.setMinimumWidth(48)
        slider = QSlider(Qt.Orientation.Horizontal)
        slider.setObjectName(f"playground.chain.{name}")
        slider.setAccessibleDescription(sentence)
        slider.setToolTip(sentence)
        slider.setPageStep(4)
        slider.setMinimumWidth(96)
        slider.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        slider.installEventFilter(WheelGuard(slider))
        slider.valueChanged.connect(lambda place: self._set(name, self._values[name][place]))
        self.sliders[name], self._shown[name] = slider, shown
        for column, widget in enumerate((head, slider, shown)):
            grid.addWidget(widget, row, column)

    def _set(self, name: str, value: object) -> None:
        value = int(value) if name == "top_k" else value  # type: ignore[call-overload]
        self.settings = Sample.model_validate(self.settings.model_dump() | {name: value})
        self.order.show_settings(self.settings)
        self._tell()
        self.changed.emit(self.settings)

    def _tell(self) -> None:
        for name, slider in self.sliders.items():
            value = getattr(self.settings, name)
            words = "off" if value == OFF[name] and name != "temperature" else plain(value)
            slider.setAccessibleName(f"{name.replace('_', ' ')}: {words}")
            self._shown[name].setText(words)  # type: ignore[attr-defined]


class OrderList(QListWidget):
    """The rules in the order in which they act; a rule that is off is drawn quietly. `moved` gives the new order."""

    moved = Signal(object)

    def __init__(self, theme: Theme, settings: Sample) -> None:
        super().__init__()
        self._theme = theme
        self._order: tuple[str, ...] = ()
        self.setObjectName("playground.chain.order")
        self.setAccessibleName("Order of the rules; Alt with Up or Down moves the current one")
        self.setDragDropMode(QAbstractItemView.DragDropMode.InternalMove)
        self.setDefaultDropAction(Qt.DropAction.MoveAction)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.show_settings(settings)

    def show_settings(self, settings: Sample) -> None:
        """Show an order, and which rules act."""
        order: tuple[str, ...] = settings.order
        if order != self._order:
            current = self.currentItem().data(Qt.ItemDataRole.UserRole) if self.currentItem() else None
            self._order = order
            self.clear()
            for rule in order:
                item = QListWidgetItem(rule.replace("_", "-"))
                item.setData(Qt.ItemDataRole.UserRole, rule)
                item.setFlags(item.flags() & ~Qt.ItemFlag.ItemIsDropEnabled)
                self.addItem(item)
                if rule == current:
                    self.setCurrentItem(item)
            row = max(28, self.sizeHintForRow(0))
            self.setFixedHeight(row * len(order) + 4)
        colours = self._theme.colours
        for item in map(self.item, range(self.count())):
            rule = item.data(Qt.ItemDataRole.UserRole)
            on = _acts(settings, rule)
            item.setText(rule.replace("_", "-") + ("" if on else "  (off)"))
            item.setForeground(QBrush(QColor(colours.text if on else colours.quiet)))

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Alt+Up and Alt+Down move the current rule."""
        step = {Qt.Key.Key_Up: -1, Qt.Key.Key_Down: 1}.get(Qt.Key(event.key()), 0)
        if not step or not event.modifiers() & Qt.KeyboardModifier.AltModifier:
            super().keyPressEvent(event)
            return
        here = self.currentRow()
        there = here + step
        if here >= 0 and 0 <= there < self.count():
            order = list(self._order)
            order[here], order[there] = order[there], order[here]
            self.moved.emit(tuple(order))

    def dropEvent(self, event: QDropEvent) -> None:
        """A rule was dragged to another place."""
        super().dropEvent(event)
        self.dropped()

    def dropped(self) -> None:
        """Tell the order in which the rules lie now, once Qt has finished its move."""
        order = tuple(self.item(row).data(Qt.ItemDataRole.UserRole) for row in range(self.count()))
        if order != self._order and sorted(order) == sorted(self._order):
            QTimer.singleShot(0, self, lambda: self.moved.emit(order))


def _acts(settings: Sample, rule: str) -> bool:
    """Whether a rule does anything under these settings."""
    if rule == "mirostat":
        return settings.mirostat_tau > 0
    return getattr(settings, rule, None) != OFF.get(rule)
