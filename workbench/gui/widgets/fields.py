"""One editor for each kind of declared value: text, whole number, number, switch, choice."""

from __future__ import annotations

import math
import types
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from PySide6.QtCore import QEvent, QObject, Qt, Signal
from PySide6.QtGui import QDoubleValidator, QValidator
from PySide6.QtWidgets import QCheckBox, QComboBox, QLineEdit, QPlainTextEdit, QSpinBox, QWidget

LARGEST_SPIN = 2**31 - 1


class WheelGuard(QObject):
    """Keeps the wheel from changing a value that a person only scrolls past."""

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Swallow the wheel unless the field has the focus."""
        if event.type() == QEvent.Type.Wheel and isinstance(watched, QWidget) and not watched.hasFocus():
            event.ignore()
            return True
        return False


class Number(QDoubleValidator):
    """Accepts 0.00001, 1e-5 and 5E-7, whatever the system's language is."""

    def validate(self, words: str, place: int) -> object:
        """Let a person type; the value is checked when the form is read."""
        allowed = set("0123456789.eE+-")
        good = all(c in allowed for c in words)
        return (QValidator.State.Acceptable if good else QValidator.State.Invalid, words, place)


class Field(QObject):
    """One editor: its widget, its value, and `changed`."""

    changed = Signal()

    def __init__(self, widget: QWidget, read: Callable[[], Any], write: Callable[[Any], Any]) -> None:
        super().__init__(widget)
        self.widget, self.value, self._write = widget, read, write

    def set_value(self, value: Any) -> None:
        """Show a value."""
        self._write(value)


def plain(number: float) -> str:
    """A number as a person writes it: 0.05, 1e-5, 200."""
    if isinstance(number, int):
        return f"{number:,}"
    if number == 0 or not math.isfinite(number):
        return f"{number:g}"
    words = repr(float(number))
    if not 1e-4 <= abs(number) < 1e7:  # the shortest way to write it that means the same number
        words = next(w for w in (f"{number:.{digits}g}" for digits in range(10, 18)) if float(w) == number)
    return words.removesuffix(".0").replace("e-0", "e-").replace("e+0", "e").replace("e+", "e")


def field_for(kind: Any, low: float | None, high: float | None, choices: Sequence[str] | None, lines: int = 1) -> Field:
    """The editor for a declared type and its bounds; `choices` turns a text into a list, `lines` says how high a text stands."""
    if get_origin(kind) is Annotated:
        kind = get_args(kind)[0]
    if choices is not None:
        return _choice([(c or "-", c) for c in choices])
    if get_origin(kind) is Literal:
        return _choice([(label(value), value) for value in get_args(kind)])
    if get_origin(kind) in (Union, types.UnionType):
        return _choice(_flat(kind))
    if kind is bool:
        return _switch()
    if kind is int and (high is None or high <= LARGEST_SPIN):
        return _spin(low, high)
    if kind in (int, float):
        return _number(kind)
    if get_origin(kind) is tuple:
        return _line(
            lambda words: tuple(p.strip() for p in words.split(",") if p.strip()), lambda value: ", ".join(value)
        )
    return _line(str, str) if lines == 1 else _lines(lines)


def label(value: Any) -> str:
    """A declared value as words."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value).replace("_", " ")


def in_words(value: Any) -> str:
    """Any value of a declared field as its editor shows it; text stays as it was written."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return ", ".join(map(in_words, value))
    return plain(value) if isinstance(value, int | float) else str(value)


def _flat(kind: Any) -> list[tuple[str, Any]]:
    pairs: list[tuple[str, Any]] = []
    for part in get_args(kind):
        if part is bool:
            pairs += [("no", False), ("yes", True)]
        elif get_origin(part) is Literal:
            pairs += [(label(v), v) for v in get_args(part)]
    return pairs


def _guarded(widget: QWidget) -> None:
    widget.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
    widget.installEventFilter(WheelGuard(widget))


def _choice(pairs: Sequence[tuple[str, Any]]) -> Field:
    box = QComboBox()
    box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
    box.setMinimumContentsLength(12)
    for words, value in pairs:
        box.addItem(words, (value,))  # a tuple, so that Qt doesn't turn False and 0 into one another
    _guarded(box)

    def write(value: Any) -> None:
        for place in range(box.count()):
            known = box.itemData(place)[0]
            if known == value and isinstance(known, bool) == isinstance(value, bool):
                box.setCurrentIndex(place)
                return
        box.addItem(label(value) or "-", (value,))
        box.setCurrentIndex(box.count() - 1)

    field = Field(box, lambda: box.currentData()[0] if box.count() else "", write)
    box.currentIndexChanged.connect(lambda _: field.changed.emit())
    return field


def _switch() -> Field:
    box = QCheckBox()
    field = Field(box, box.isChecked, lambda value: box.setChecked(bool(value)))
    box.toggled.connect(lambda _: field.changed.emit())
    return field


def _spin(low: float | None, high: float | None) -> Field:
    box = QSpinBox()
    box.setRange(int(low) if low is not None else -LARGEST_SPIN, int(high) if high is not None else LARGEST_SPIN)
    box.setKeyboardTracking(False)
    box.setGroupSeparatorShown(True)
    box.lineEdit().setTextMargins(7, 0, 0, 0)
    _guarded(box)

    def read() -> int:
        box.interpretText()  # what has been typed counts before the field is left
        return box.value()

    field = Field(box, read, lambda value: box.setValue(int(value)))
    box.valueChanged.connect(lambda _: field.changed.emit())
    return field


def _number(kind: type) -> Field:
    line = QLineEdit()
    line.setValidator(Number(line))

    def read() -> Any:
        try:
            return kind(line.text())
        except ValueError:
            return line.text()  # the form's validation names it

    field = Field(line, read, lambda value: line.setText(plain(value) if isinstance(value, float) else str(value)))
    line.textEdited.connect(lambda _: field.changed.emit())
    return field


def _line(read: Callable[[str], Any], write: Callable[[Any], str]) -> Field:
    line = QLineEdit()

    def show(value: Any) -> None:
        line.setText(write(value))
        line.setCursorPosition(0)  # a list that is too long for its field is seen from its beginning

    field = Field(line, lambda: read(line.text()), show)
    line.textEdited.connect(lambda _: field.changed.emit())
    return field


def _lines(count: int) -> Field:
    """A text of several lines; Tab leaves it, as it leaves every other field."""
    box = QPlainTextEdit()
    box.setTabChangesFocus(True)
    margins = 2 * (box.document().documentMargin() + box.frameWidth() + 4)
    box.setFixedHeight(round(count * box.fontMetrics().lineSpacing() + margins))
    field = Field(box, box.toPlainText, lambda value: box.setPlainText(str(value)))
    box.textChanged.connect(lambda: field.changed.emit())
    return field
