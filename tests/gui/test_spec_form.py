"""Forms made from declared data: every field of every spec has its editor, its sentence, its bounds and its default."""

from typing import Any, Literal

import pytest
from pydantic import BaseModel, Field
from PySide6.QtCore import QEvent, QPoint, QPointF, Qt
from PySide6.QtGui import QWheelEvent
from PySide6.QtWidgets import QApplication, QCheckBox, QComboBox, QLineEdit, QSpinBox
from pytestqt.qtbot import QtBot

from workbench.domain.decoding import STRATEGIES
from workbench.domain.settings import Settings
from workbench.domain.specs.kinds import SPECS
from workbench.domain.specs.ppo import PpoSpec
from workbench.domain.specs.sft import SftSpec
from workbench.gui.theme import Theme
from workbench.gui.widgets.fields import field_for, plain
from workbench.gui.widgets.spec_form import SpecForm

MODELS = [*SPECS.values(), *STRATEGIES.values(), Settings]


@pytest.mark.parametrize("model", MODELS, ids=lambda m: m.__name__)
def test_that_a_form_gives_back_the_defaults_of_its_model(model: type[BaseModel], theme: Theme, qtbot: QtBot) -> None:
    form = SpecForm(model, theme, "form")
    qtbot.addWidget(form)
    made = form.result()
    assert made is not None
    assert made == model()
    assert form.changed_fields() == {}


@pytest.mark.parametrize("model", MODELS, ids=lambda m: m.__name__)
def test_that_every_editor_has_a_name_and_a_sentence(model: type[BaseModel], theme: Theme, qtbot: QtBot) -> None:
    form = SpecForm(model, theme, "form")
    qtbot.addWidget(form)
    for path in _paths(form.values()):
        editor = form.editor(path)
        assert editor.objectName() == f"form.{path}"
        assert editor.accessibleName()
        assert editor.accessibleDescription().endswith((".", ")"))


def _paths(values: dict[str, Any], start: str = "") -> list[str]:
    found: list[str] = []
    for name, value in values.items():
        found += _paths(value, f"{start}{name}.") if isinstance(value, dict) else [f"{start}{name}"]
    return found


def test_that_values_go_in_and_come_out(theme: Theme, qtbot: QtBot) -> None:
    form = SpecForm(PpoSpec, theme, "form", choices={"base": ["tiny", "small"], "reward_model": ["judge"]})
    qtbot.addWidget(form)
    spec = PpoSpec(
        base="small", reward_model="judge", learning_rate=1e-5, batch_size=8, method="lora", lora={"rank": 4}
    )  # type: ignore[arg-type]
    form.set_values(spec)
    assert form.result() == spec
    assert form.changed_fields()["lora.rank"] == 4
    assert form.changed_fields()["learning_rate"] == 1e-5


def test_that_a_changed_field_is_marked_and_can_be_set_back(theme: Theme, qtbot: QtBot) -> None:
    form = SpecForm(SftSpec, theme, "form")
    qtbot.addWidget(form)
    form.show()
    heard: list[bool] = []
    form.changed.connect(lambda: heard.append(True))
    editor = form.editor("epochs")
    assert isinstance(editor, QLineEdit)
    editor.clear()
    qtbot.keyClicks(editor, "3")
    assert form.changed_fields() == {"epochs": 3.0}
    from PySide6.QtWidgets import QToolButton

    reset = form.findChild(QToolButton, "form.epochs.reset")
    assert reset is not None
    assert reset.isVisible()
    qtbot.mouseClick(reset, Qt.MouseButton.LeftButton)
    assert form.changed_fields() == {}
    assert not reset.isVisible()
    assert heard


def test_that_a_wrong_value_is_named_where_it_stands(theme: Theme, qtbot: QtBot) -> None:
    form = SpecForm(SftSpec, theme, "form")
    qtbot.addWidget(form)
    editor = form.editor("learning_rate")
    assert isinstance(editor, QLineEdit)
    editor.setText("7")
    assert form.result() is None
    assert editor.property("wrong")
    editor.setText("1e-4")
    made = form.result()
    assert isinstance(made, SftSpec)
    assert made.learning_rate == 1e-4
    assert not editor.property("wrong")


def test_that_a_wrong_advanced_value_is_brought_to_light(theme: Theme, qtbot: QtBot) -> None:
    form = SpecForm(SftSpec, theme, "form")
    qtbot.addWidget(form)
    form.show()
    editor = form.editor("beta1")
    assert not editor.isVisible()
    assert isinstance(editor, QLineEdit)
    editor.setText("2")
    assert form.result() is None
    assert editor.isVisible()


def test_that_advanced_fields_wait_behind_a_switch(theme: Theme, qtbot: QtBot) -> None:
    form = SpecForm(SftSpec, theme, "form")
    qtbot.addWidget(form)
    form.show()
    assert not form.editor("weight_decay").isVisible()
    form.advanced.setChecked(True)
    assert form.editor("weight_decay").isVisible()
    assert form.editor("epochs").isVisible()


def test_that_a_field_is_shown_only_with_the_values_it_matters_with(theme: Theme, qtbot: QtBot) -> None:
    form = SpecForm(SftSpec, theme, "form")
    qtbot.addWidget(form)
    form.show()
    assert not form.editor("lora.rank").isVisible()
    form.set_values({"method": "lora", "schedule": "step"})
    assert form.editor("lora.rank").isVisible()
    assert form.editor("drops").isVisible()
    assert not form.editor("lora.dropout").isVisible()  # advanced
    form.advanced.setChecked(True)
    assert form.editor("lora.dropout").isVisible()
    assert not form.editor("momentum").isVisible()
    form.set_values({"optimizer": "sgd"})
    assert form.editor("momentum").isVisible()
    assert not form.editor("beta1").isVisible()
    assert not form.editor("lora.rank").isVisible()


def test_that_a_choice_of_a_person_shows_what_belongs_to_it(theme: Theme, qtbot: QtBot) -> None:
    form = SpecForm(SftSpec, theme, "form")
    qtbot.addWidget(form)
    form.show()
    box = form.editor("method")
    assert isinstance(box, QComboBox)
    box.setCurrentIndex([box.itemData(index) for index in range(box.count())].index(("lora",)))
    assert form.editor("lora.rank").isVisible()


def test_that_fields_can_be_left_to_somebody_else(theme: Theme, qtbot: QtBot) -> None:
    form = SpecForm(SftSpec, theme, "form", hidden={"base", "lora"})
    qtbot.addWidget(form)
    assert "base" not in form.values()
    assert "lora" not in form.values()


def test_that_choices_can_change_and_the_chosen_one_stays(theme: Theme, qtbot: QtBot) -> None:
    form = SpecForm(SftSpec, theme, "form", choices={"base": ["a", "b"]})
    qtbot.addWidget(form)
    form.set_values({"base": "b"})
    form.set_choices("base", ["b", "c"])
    assert form.values()["base"] == "b"
    editor = form.editor("base")
    assert isinstance(editor, QComboBox)
    assert [editor.itemText(i) for i in range(editor.count())] == ["b", "c"]


def test_that_a_value_that_is_no_longer_offered_is_kept(theme: Theme, qtbot: QtBot) -> None:
    form = SpecForm(SftSpec, theme, "form", choices={"base": ["a"]})
    qtbot.addWidget(form)
    form.set_values({"base": "gone"})
    assert form.values()["base"] == "gone"


def test_that_bounds_hold_a_whole_number_and_are_told(theme: Theme, qtbot: QtBot) -> None:
    form = SpecForm(Settings, theme, "form")
    qtbot.addWidget(form)
    editor = form.editor("font_size")
    assert isinstance(editor, QSpinBox)
    assert (editor.minimum(), editor.maximum()) == (13, 24)
    assert editor.toolTip() == "At least 13, at most 24"


def test_that_the_wheel_does_not_change_a_field_that_is_scrolled_past(theme: Theme, qtbot: QtBot) -> None:
    form = SpecForm(Settings, theme, "form")
    qtbot.addWidget(form)
    form.show()
    editor = form.editor("reading_size")
    assert isinstance(editor, QSpinBox)
    form.setFocus()
    before = editor.value()
    point = QPointF(editor.rect().center())
    turn = QWheelEvent(
        point,
        QPointF(editor.mapToGlobal(editor.rect().center())),
        QPoint(0, 0),
        QPoint(0, 120),
        Qt.MouseButton.NoButton,
        Qt.KeyboardModifier.NoModifier,
        Qt.ScrollPhase.NoScrollPhase,
        False,
    )
    QApplication.sendEvent(editor, turn)
    assert editor.value() == before
    assert turn.type() == QEvent.Type.Wheel


class Odd(BaseModel):
    """Declared data with every kind of field."""

    flag: bool = Field(False, description="A switch.")
    big: int = Field(0, ge=0, lt=2**63, description="A very large number.")
    words: tuple[str, ...] = Field((), description="Several words.")
    early: bool | Literal["never"] = Field(False, description="Three ways.")


def test_that_every_kind_of_field_keeps_its_type(theme: Theme, qtbot: QtBot) -> None:
    form = SpecForm(Odd, theme, "form")
    qtbot.addWidget(form)
    given = Odd(flag=True, big=2**62, words=("a b", "c"), early="never")
    form.set_values(given)
    assert form.result() == given
    form.set_values(Odd(early=True))
    assert form.values()["early"] is True
    form.set_values({})
    assert form.values()["early"] is False
    assert isinstance(form.editor("flag"), QCheckBox)


@pytest.mark.parametrize(
    ("number", "words"),
    [(0.05, "0.05"), (1e-5, "1e-5"), (3e-6, "3e-6"), (1.0, "1"), (0.0, "0"), (1e10, "1e10"), (0.999, "0.999")],
)
def test_that_numbers_are_written_as_people_write_them(number: float, words: str) -> None:
    assert plain(number) == words
    assert float(plain(number)) == number


def test_that_a_choice_tells_zero_from_no(qtbot: QtBot) -> None:
    field = field_for(bool | Literal["never"], None, None, None)
    qtbot.addWidget(field.widget)
    field.set_value(True)
    assert field.value() is True
