"""The editors of declared values: what each accepts, gives back, and refuses to change by accident."""

from typing import Annotated, Any, Literal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QValidator, QWheelEvent
from PySide6.QtWidgets import QApplication, QCheckBox, QComboBox, QLineEdit, QSpinBox, QWidget
from pytestqt.qtbot import QtBot

from workbench.gui.widgets.fields import LARGEST_SPIN, Field, Number, field_for

MANY = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None)


@pytest.fixture
def make(qtbot: QtBot) -> Any:
    def made(kind: Any, low: float | None = None, high: float | None = None, choices: Any = None) -> Field:
        field = field_for(kind, low, high, choices)
        qtbot.addWidget(field.widget)
        return field

    return made


def wheel(widget: QWidget, by: int = 120) -> QWheelEvent:
    spot = widget.rect().center()
    turn = QWheelEvent(
        QPointF(spot), QPointF(widget.mapToGlobal(spot)), QPoint(0, 0), QPoint(0, by), Qt.MouseButton.NoButton,
        Qt.KeyboardModifier.NoModifier, Qt.ScrollPhase.NoScrollPhase, False,
    )  # fmt: skip
    QApplication.sendEvent(widget, turn)
    return turn


@pytest.mark.parametrize(
    ("kind", "widget"),
    [
        (bool, QCheckBox), (int, QSpinBox), (float, QLineEdit), (str, QLineEdit), (Literal["a", "b"], QComboBox),
        (bool | Literal["auto"], QComboBox), (tuple[str, ...], QLineEdit), (Annotated[int, "noted"], QSpinBox),
    ],
)  # fmt: skip
def test_that_each_kind_has_its_editor(make: Any, kind: Any, widget: type[QWidget]) -> None:
    assert type(make(kind).widget) is widget


def test_that_choices_turn_a_text_into_a_list(make: Any) -> None:
    field = make(str, choices=["", "tiny", "small"])
    assert [field.widget.itemText(i) for i in range(3)] == ["-", "tiny", "small"]
    assert field.value() == ""


def test_that_a_whole_number_too_large_for_a_spin_box_gets_a_line(make: Any) -> None:
    assert isinstance(make(int, 0, LARGEST_SPIN).widget, QSpinBox)
    field = make(int, 0, LARGEST_SPIN + 1)
    assert isinstance(field.widget, QLineEdit)
    field.set_value(2**62 + 1)
    assert field.value() == 2**62 + 1


def test_that_a_spin_box_without_bounds_reaches_both_ends(make: Any) -> None:
    box = make(int).widget
    assert (box.minimum(), box.maximum()) == (-LARGEST_SPIN, LARGEST_SPIN)


@pytest.mark.parametrize(("typed", "value"), [("7", 7), ("1,234", 1234), ("99999", 999), ("", 12)])
def test_that_what_is_typed_into_a_spin_box_counts_before_it_is_left(
    make: Any, qtbot: QtBot, typed: str, value: int
) -> None:
    field = make(int, 0, 5000)
    field.set_value(12)
    field.widget.show()
    field.widget.selectAll()
    qtbot.keyClick(field.widget, Qt.Key.Key_Delete)
    qtbot.keyClicks(field.widget, typed)
    assert field.value() == value


def test_that_a_value_beyond_the_bounds_is_held_by_a_spin_box(make: Any) -> None:
    field = make(int, 13, 24)
    field.set_value(99)
    assert field.value() == 24
    field.set_value(-1)
    assert field.value() == 13


@pytest.mark.parametrize(
    ("typed", "value"),
    [
        ("0.00001", 1e-5),
        ("1e-5", 1e-5),
        ("5E-7", 5e-7),
        ("+3", 3.0),
        ("-2.5", -2.5),
        (".5", 0.5),
        ("1e400", float("inf")),
    ],
)
def test_that_a_number_is_read_however_it_is_written(make: Any, qtbot: QtBot, typed: str, value: float) -> None:
    field = make(float)
    qtbot.keyClicks(field.widget, typed)
    assert field.value() == value


@pytest.mark.parametrize("typed", ["", "-", "1e", "..", "1e-"])
def test_that_half_a_number_is_handed_on_as_it_stands_for_the_form_to_refuse(
    make: Any, qtbot: QtBot, typed: str
) -> None:
    field = make(float)
    qtbot.keyClicks(field.widget, typed)
    assert field.value() == typed


def test_that_letters_cannot_be_typed_into_a_number(make: Any, qtbot: QtBot) -> None:
    field = make(float)
    qtbot.keyClicks(field.widget, "1x2,3 nan")
    assert field.value() == 123.0


@pytest.mark.parametrize(("words", "good"), [("1e-5", True), ("", True), ("0,5", False), ("½", False), ("٣", False)])
def test_that_the_validator_knows_digits_only(qtbot: QtBot, words: str, good: bool) -> None:
    state, told, place = Number().validate(words, 1)  # type: ignore[misc]
    assert (state is QValidator.State.Acceptable) is good
    assert (told, place) == (words, 1)


@pytest.mark.parametrize(
    ("typed", "value"),
    [("", ()), ("a", ("a",)), (" a , b,, c c ,", ("a", "b", "c c")), ("שלום, 世界", ("שלום", "世界"))],
)
def test_that_a_line_of_words_is_split_at_commas(make: Any, qtbot: QtBot, typed: str, value: tuple[str, ...]) -> None:
    field = make(tuple[str, ...])
    field.widget.setText(typed)
    assert field.value() == value


def test_that_several_words_are_written_with_commas(make: Any) -> None:
    field = make(tuple[str, ...])
    field.set_value(("q_proj", "v_proj"))
    assert field.widget.text() == "q_proj, v_proj"


@MANY
@given(value=st.floats(allow_nan=False, allow_infinity=False))
def test_that_any_number_survives_its_editor(make: Any, value: float) -> None:
    field = make(float)
    field.set_value(value)
    assert field.value() == value


@MANY
@given(value=st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), max_size=60))
def test_that_any_line_of_text_survives_its_editor(make: Any, value: str) -> None:
    field = make(str)
    field.set_value(value)
    assert field.value() == value


@pytest.mark.parametrize("value", [True, False, "never"])
def test_that_a_choice_between_yes_no_and_a_word_keeps_the_type(make: Any, value: object) -> None:
    field = make(bool | Literal["never"])
    field.set_value(value)
    assert field.value() is value or field.value() == value
    assert type(field.value()) is type(value)


def test_that_zero_and_one_are_not_taken_for_no_and_yes(make: Any) -> None:
    field = make(Literal[0, 1])
    field.set_value(1)
    assert field.value() == 1
    assert not isinstance(field.value(), bool)
    assert [field.widget.itemText(i) for i in range(2)] == ["0", "1"]


def test_that_a_choice_that_is_not_offered_is_added_and_shown(make: Any) -> None:
    field = make(Literal["a"])
    field.set_value("b_c")
    assert field.value() == "b_c"
    assert field.widget.currentText() == "b c"


def test_that_an_empty_list_of_choices_reads_as_nothing(make: Any) -> None:
    assert make(str, choices=[]).value() == ""


def test_that_long_choices_do_not_stretch_the_form(make: Any) -> None:
    field = make(str, choices=["x" * 400])
    assert field.widget.sizeHint().width() < 400


@pytest.mark.parametrize("kind", [bool, int, Literal["a", "b"], str, float])
def test_that_a_persons_edit_is_told_once(make: Any, qtbot: QtBot, kind: Any) -> None:
    field = make(kind, 0, 10)
    field.widget.show()
    field.widget.setFocus()
    heard: list[object] = []
    field.changed.connect(lambda: heard.append(field.value()))
    if kind is bool:
        qtbot.keyClick(field.widget, Qt.Key.Key_Space)
    elif kind in (str, float):
        qtbot.keyClicks(field.widget, "3")
    else:
        qtbot.keyClick(field.widget, Qt.Key.Key_Down if kind is not int else Qt.Key.Key_Up)
    assert len(heard) == 1
    assert heard[0] == field.value()


@pytest.mark.parametrize(("kind", "value"), [(str, "x"), (float, 3.0), (tuple[str, ...], ("a",))])
def test_that_showing_a_value_in_a_line_is_not_an_edit(make: Any, kind: Any, value: object) -> None:
    field = make(kind)
    heard: list[bool] = []
    field.changed.connect(lambda: heard.append(True))
    field.set_value(value)
    assert heard == []


@pytest.mark.parametrize("kind", [int, Literal["a", "b", "c"]])
def test_that_the_wheel_passes_over_a_field_without_the_focus(make: Any, qtbot: QtBot, kind: Any) -> None:
    field, holder = make(kind, 0, 100), QWidget()
    qtbot.addWidget(holder)
    field.widget.setParent(holder)
    holder.show()
    holder.setFocus()
    before = field.value()
    turn = wheel(field.widget, -120)
    assert field.value() == before
    assert not turn.isAccepted(), "the page behind must get the wheel"


def test_that_the_wheel_turns_a_spin_box_that_has_the_focus(make: Any, qtbot: QtBot) -> None:
    field = make(int, 0, 100)
    field.widget.show()
    field.widget.activateWindow()
    field.widget.setFocus()
    qtbot.waitUntil(field.widget.hasFocus)
    wheel(field.widget, 120)
    assert field.value() == 1


def test_that_a_list_that_is_too_long_is_seen_from_its_beginning(qtbot: QtBot) -> None:
    field = field_for(tuple[str, ...], None, None, None)
    qtbot.addWidget(field.widget)
    field.set_value(("temperature", "top_k", "top_p", "mirostat"))
    assert field.widget.cursorPosition() == 0  # type: ignore[attr-defined]
    assert field.value() == ("temperature", "top_k", "top_p", "mirostat")
