import sys

import pytest
from PySide6.QtCore import QEvent, Qt
from PySide6.QtGui import QKeyEvent, QKeySequence
from PySide6.QtWidgets import (
    QComboBox,
    QDoubleSpinBox,
    QLineEdit,
    QListWidget,
    QPlainTextEdit,
    QPushButton,
    QSpinBox,
    QTextBrowser,
    QTextEdit,
    QWidget,
)
from pytestqt.qtbot import QtBot

from workbench.gui.pages.annotate.keys import ACTIONS, Command, command, typing_in

NO = Qt.KeyboardModifier.NoModifier
SHIFT = Qt.KeyboardModifier.ShiftModifier
CTRL = Qt.KeyboardModifier.ControlModifier
ALT = Qt.KeyboardModifier.AltModifier
META = Qt.KeyboardModifier.MetaModifier
PAD = Qt.KeyboardModifier.KeypadModifier
K = Qt.Key


def pressed(key: Qt.Key, modifier: Qt.KeyboardModifier = NO, scan: int = 0) -> Command | None:
    return command(QKeyEvent(QEvent.Type.KeyPress, key, modifier, scan, 0, 0))


@pytest.mark.parametrize("digit", range(1, 10))
def test_that_each_digit_means_the_card_at_its_place(digit: int) -> None:
    assert pressed(K(K.Key_0 + digit)) == Command("place", digit - 1, False)


@pytest.mark.parametrize(
    ("key", "name"),
    [
        (K.Key_0, "level"), (K.Key_X, "all_bad"), (K.Key_S, "skip"), (K.Key_N, "note"), (K.Key_E, "write"),
        (K.Key_D, "differences"), (K.Key_R, "reveal"), (K.Key_Return, "accept"), (K.Key_Enter, "accept"),
        (K.Key_Escape, "escape"), (K.Key_G, "guidelines"), (K.Key_H, "history"), (K.Key_Q, "queue"),
        (K.Key_U, "person"), (K.Key_W, "effects"), (K.Key_L, "retrain"), (K.Key_M, "mistakes"),
    ],
)  # fmt: skip
def test_that_each_letter_has_its_command(key: Qt.Key, name: str) -> None:
    assert pressed(key) == Command(name)


@pytest.mark.parametrize(("key", "step"), [(K.Key_BracketLeft, -1), (K.Key_BracketRight, 1)])
def test_that_brackets_walk_between_dimensions(key: Qt.Key, step: int) -> None:
    assert pressed(key) == Command("turn", step)


def test_that_shift_and_e_repair() -> None:
    assert pressed(K.Key_E, SHIFT) == Command("repair")


def test_that_every_command_has_a_title_for_the_palette_and_keys_that_mean_it() -> None:
    names = [name for name, _, _, _ in ACTIONS]
    assert len(set(names)) == len(names)
    for _, title, keys, wanted in ACTIONS:
        assert title
        if not keys:
            continue
        combined = QKeySequence(keys)[0]
        assert pressed(combined.key(), combined.keyboardModifiers()) == wanted


def test_that_shift_and_a_digit_mean_much_better() -> None:
    assert pressed(K.Key_1, SHIFT) == Command("place", 0, True)
    assert pressed(K.Key_2, SHIFT) == Command("place", 1, True)


@pytest.mark.parametrize(("key", "place"), [(K.Key_Exclam, 0), (K.Key_At, 1), (K.Key_QuoteDbl, 1)], ids=["!", "@", '"'])
def test_that_the_signs_that_shift_makes_of_one_and_two_mean_much_better(key: Qt.Key, place: int) -> None:
    assert pressed(key, SHIFT) == Command("place", place, True)


def test_that_the_number_pad_means_the_same_digits() -> None:
    assert pressed(K.Key_2, PAD) == Command("place", 1, False)
    assert pressed(K.Key_0, PAD) == Command("level")


@pytest.mark.skipif(sys.platform != "linux", reason="scan codes of this kind are Linux's")
@pytest.mark.parametrize(
    ("key", "scan", "wanted"),
    [
        (K.Key_Ampersand, 10, Command("place", 0, False)),
        (K.Key_Eacute, 11, Command("place", 1, False)),
        (K.Key_Ccedilla, 18, Command("place", 8, False)),
        (K.Key_Agrave, 19, Command("level")),
    ],
    ids=["&", "é", "ç", "à"],
)
def test_that_a_french_keyboard_needs_no_shift_for_its_digits(key: Qt.Key, scan: int, wanted: Command) -> None:
    assert pressed(key, NO, scan) == wanted


@pytest.mark.skipif(sys.platform != "linux", reason="scan codes of this kind are Linux's")
def test_that_keys_beside_the_row_of_digits_are_no_digits() -> None:
    assert pressed(K.Key_Minus, NO, 20) is None
    assert pressed(K.Key_Tab, NO, 9) is None


def test_that_ctrl_z_undoes_and_redo_has_both_of_its_usual_keys() -> None:
    assert pressed(K.Key_Z, CTRL) == Command("undo")
    assert pressed(K.Key_Z, CTRL | SHIFT) == Command("redo")
    assert pressed(K.Key_Y, CTRL) == Command("redo")


@pytest.mark.parametrize("key", [K.Key_1, K.Key_X, K.Key_S, K.Key_R, K.Key_Return])
@pytest.mark.parametrize("modifier", [CTRL, ALT, META, CTRL | ALT])
def test_that_a_shortcut_of_the_window_never_judges(key: Qt.Key, modifier: Qt.KeyboardModifier) -> None:
    assert pressed(key, modifier) is None


@pytest.mark.parametrize("key", [K.Key_A, K.Key_Z, K.Key_F1, K.Key_Tab, K.Key_Insert, K.Key_Slash])
def test_that_other_keys_mean_nothing(key: Qt.Key) -> None:
    assert pressed(key) is None


@pytest.mark.parametrize("kind", [QLineEdit, QPlainTextEdit, QTextEdit, QSpinBox, QDoubleSpinBox])
def test_that_a_person_types_in_a_field(qtbot: QtBot, kind: type[QWidget]) -> None:
    field = kind()
    qtbot.addWidget(field)
    assert typing_in(field)


@pytest.mark.parametrize("kind", [QPushButton, QListWidget, QTextBrowser, QComboBox])
def test_that_nobody_types_in_what_can_only_be_read_or_chosen(qtbot: QtBot, kind: type[QWidget]) -> None:
    field = kind()
    qtbot.addWidget(field)
    assert not typing_in(field)


def test_that_a_field_that_is_read_only_takes_no_key_away(qtbot: QtBot) -> None:
    field = QPlainTextEdit()
    qtbot.addWidget(field)
    field.setReadOnly(True)
    assert not typing_in(field)


def test_that_a_list_with_its_own_field_is_typed_into(qtbot: QtBot) -> None:
    box = QComboBox()
    qtbot.addWidget(box)
    box.setEditable(True)
    assert typing_in(box)


def test_that_without_focus_nobody_types() -> None:
    assert not typing_in(None)


@pytest.mark.parametrize(
    ("key", "wanted"),
    [
        (K.Key_T, Command("together")), (K.Key_P, Command("unfold")), (K.Key_C, Command("comment")), (K.Key_Left, Command("focus", -1)),
        (K.Key_Right, Command("focus", 1)), (K.Key_Up, Command("lines", -1)), (K.Key_Down, Command("lines", 1)),
    ],
)  # fmt: skip
def test_that_keys_for_reading_are_told_apart_from_those_that_judge(key: Qt.Key, wanted: Command) -> None:
    assert pressed(key) == wanted
