"""Keys of the Annotate page: which command a key press means, on any keyboard, and when no key may act."""

from __future__ import annotations

import sys
from typing import NamedTuple

from PySide6.QtCore import Qt
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QAbstractSpinBox, QComboBox, QLineEdit, QPlainTextEdit, QTextEdit, QWidget


class Command(NamedTuple):
    """What a key asks for; `place` counts screen places from 0 for "place", and is a step for "focus", "lines" and "pages"."""

    name: str
    place: int = 0
    much: bool = False


ACTIONS = (
    ("first", "A is better, or place A next", "1", Command("place", 0)),
    ("second", "B is better, or place B next", "2", Command("place", 1)),
    ("much_first", "A is much better", "Shift+1", Command("place", 0, True)),
    ("much_second", "B is much better", "Shift+2", Command("place", 1, True)),
    ("level", "Tie, or the next one level with the last placed", "0", Command("level")),
    ("accept", "Accept the ranking", "Enter", Command("accept")),
    ("all_bad", "All are bad", "X", Command("all_bad")),
    ("skip", "Skip, with a reason", "S", Command("skip")),
    ("dimension_before", "The dimension before", "[", Command("turn", -1)),
    ("dimension_after", "The next dimension", "]", Command("turn", 1)),
    ("note", "Write a note", "N", Command("note")),
    ("write", "Write a better response", "E", Command("write")),
    ("repair", "Repair a response", "Shift+E", Command("repair")),
    ("differences", "Show word-level differences", "D", Command("differences")),
    ("reveal", "Reveal who wrote the last item's responses", "R", Command("reveal")),
    ("voices", "What others said, where you settle a disagreement", "V", Command("voices")),
    ("guidelines", "Guidelines", "G", Command("guidelines")),
    ("history", "What you judged before, to judge it again", "H", Command("history")),
    ("queue", "Choose a dataset or a queue", "Q", Command("queue")),
    ("new_queue", "Make a new queue", "", Command("new_queue")),
    ("mistakes", "Judge what the reward model gets wrong", "M", Command("mistakes")),
    ("effects", "What this label will do", "W", Command("effects")),
    ("retrain", "Retrain the reward model on your labels", "L", Command("retrain")),
    ("gold", "Say the known answer of this item (gold)", "K", Command("gold")),
    ("golds", "Known answers of this dataset", "Shift+K", Command("golds")),
    ("statistics", "Statistics of these labels", "", Command("statistics")),
    ("person", "Who judges", "U", Command("person")),
    ("undo", "Undo the last judgement", "Ctrl+Z", Command("undo")),
    ("redo", "Redo", "Ctrl+Shift+Z", Command("redo")),
)
_K = Qt.Key
_LETTERS: dict[int, str] = {
    _K.Key_X: "all_bad", _K.Key_S: "skip", _K.Key_N: "note", _K.Key_E: "write", _K.Key_D: "differences",
    _K.Key_R: "reveal", _K.Key_Return: "accept", _K.Key_Enter: "accept", _K.Key_Escape: "escape",
    _K.Key_T: "together", _K.Key_P: "unfold", _K.Key_C: "comment",
    _K.Key_G: "guidelines", _K.Key_H: "history", _K.Key_Q: "queue", _K.Key_U: "person",
    _K.Key_W: "effects", _K.Key_L: "retrain", _K.Key_M: "mistakes",
    _K.Key_K: "gold", _K.Key_V: "voices",
}  # fmt: skip
_SHIFTED_LETTERS: dict[int, str] = {_K.Key_E: "repair", _K.Key_K: "golds"}
_ARROWS: dict[int, Command] = {
    _K.Key_Left: Command("focus", -1), _K.Key_Right: Command("focus", 1),
    _K.Key_Up: Command("lines", -1), _K.Key_Down: Command("lines", 1),
    _K.Key_PageUp: Command("pages", -1), _K.Key_PageDown: Command("pages", 1), _K.Key_Space: Command("pages", 1),
}  # fmt: skip
_TURNS: dict[int, int] = {_K.Key_BracketLeft: -1, _K.Key_BracketRight: 1}
_SHIFTED: dict[int, int] = {_K.Key_Exclam: 1, _K.Key_At: 2, _K.Key_QuoteDbl: 2}
_FIRST_DIGIT_SCAN = 10  # evdev plus 8, as X11 and Wayland give it, for the key 1 above the letters


def command(event: QKeyEvent) -> Command | None:
    """The command of a key press, or None when the key means nothing here."""
    modifiers = event.modifiers()
    if modifiers & (Qt.KeyboardModifier.AltModifier | Qt.KeyboardModifier.MetaModifier):
        return None
    shift = bool(modifiers & Qt.KeyboardModifier.ShiftModifier)
    key = event.key()
    if modifiers & Qt.KeyboardModifier.ControlModifier:
        if key == _K.Key_Z:
            return Command("redo" if shift else "undo")
        return Command("redo") if key == _K.Key_Y else None
    if shift and key in _SHIFTED_LETTERS:
        return Command(_SHIFTED_LETTERS[key])
    if key in _TURNS:
        return Command("turn", _TURNS[key])
    if key in _LETTERS:
        return Command(_LETTERS[key])
    if key in _ARROWS:
        return _ARROWS[key]
    digit = _digit(event)
    if digit is None:
        return None
    return Command("level") if digit == 0 else Command("place", digit - 1, shift)


def _digit(event: QKeyEvent) -> int | None:
    """The digit key: by the key's place where the system tells it (so that AZERTY needs no Shift), else by its sign."""
    row = event.nativeScanCode() - _FIRST_DIGIT_SCAN
    if sys.platform == "linux" and 0 <= row <= 9:
        return (row + 1) % 10
    if _K.Key_0 <= event.key() <= _K.Key_9:
        return int(event.key()) - int(_K.Key_0)
    return _SHIFTED.get(event.key())


def typing_in(widget: QWidget | None) -> bool:
    """Whether a person types into this widget, so that no key may act on the item."""
    if isinstance(widget, QTextEdit | QPlainTextEdit | QLineEdit):
        return not widget.isReadOnly()
    return isinstance(widget, QAbstractSpinBox) or (isinstance(widget, QComboBox) and widget.isEditable())
