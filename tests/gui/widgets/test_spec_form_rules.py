"""Every declared field in its form: bounds, unit, sentence, mark, refusal, reset, names, keys, themes, width."""

from typing import Annotated, Any

import annotated_types
import pytest
from pydantic import BaseModel, Field
from pydantic.fields import FieldInfo
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QApplication, QComboBox, QLabel, QLineEdit, QSpinBox, QToolButton, QWidget
from pytestqt.qtbot import QtBot

from workbench.domain.decoding import STRATEGIES
from workbench.domain.settings import Settings
from workbench.domain.specs.common import group
from workbench.domain.specs.dpo import DpoSpec
from workbench.domain.specs.kinds import SPECS
from workbench.domain.specs.ppo import PpoSpec
from workbench.domain.specs.sft import SftSpec
from workbench.gui.theme import Theme
from workbench.gui.widgets.spec_form import SpecForm

MODELS: list[type[BaseModel]] = [*SPECS.values(), *STRATEGIES.values(), Settings]
every_model = pytest.mark.parametrize("model", MODELS, ids=lambda m: m.__name__)


@pytest.fixture
def form_of(theme: Theme, qtbot: QtBot) -> Any:
    def made(model: type[BaseModel], **options: Any) -> SpecForm:
        form = SpecForm(model, theme, "form", **options)
        qtbot.addWidget(form)
        form.show()
        return form

    return made


def declared(model: type[BaseModel], start: str = "") -> dict[str, FieldInfo]:
    found: dict[str, FieldInfo] = {}
    for name, info in model.model_fields.items():
        if isinstance(info.annotation, type) and issubclass(info.annotation, BaseModel):
            found |= declared(info.annotation, f"{start}{name}.")
        elif name not in {"kind", "strategy"}:
            found[f"{start}{name}"] = info
    return found


def conditions(model: type[BaseModel]) -> set[tuple[str, str]]:
    """(field, value) for everything that fields wait for."""
    found: set[tuple[str, str]] = set()
    for info in model.model_fields.values():
        when = info.json_schema_extra.get("when") if isinstance(info.json_schema_extra, dict) else None
        found |= {(when[0], value) for value in when[1]} if when else set()  # type: ignore[index, union-attr]
    return found


def labels(form: QWidget) -> list[str]:
    return [label.text() for label in form.findChildren(QLabel) if label.isVisibleTo(form)]


def sentence_label(form: SpecForm, words: str) -> QLabel:
    return next(label for label in form.findChildren(QLabel) if label.text() == words)


def rule(info: FieldInfo, kind: type) -> Any:
    return next((r for r in info.metadata if isinstance(r, kind)), None)


@every_model
def test_that_no_declared_field_is_missing_and_none_is_made_up(model: type[BaseModel], form_of: Any) -> None:
    form = form_of(model)
    shown = {e.objectName().removeprefix("form.") for e in form.findChildren(QWidget)} & set(declared(model))
    assert shown == set(declared(model))


@every_model
def test_that_every_field_shows_its_sentence_and_unit(model: type[BaseModel], form_of: Any) -> None:
    form = form_of(model)
    form.advanced.setChecked(True)
    words = labels(form)
    for name, value in sorted(conditions(model)):
        form.set_values({name: value})
        words += labels(form)
    for info in declared(model).values():
        assert info.description in words
        extra = info.json_schema_extra
        unit = extra.get("unit", "") if isinstance(extra, dict) else ""
        assert not unit or unit in words


@every_model
def test_that_every_bound_is_told_as_it_is(model: type[BaseModel], form_of: Any) -> None:
    form = form_of(model)
    for path, info in declared(model).items():
        tip = form.editor(path).toolTip().lower()
        whole = info.annotation is int
        assert ("at least" in tip) == bool(rule(info, annotated_types.Ge) or (whole and rule(info, annotated_types.Gt)))
        assert ("at most" in tip) == bool(rule(info, annotated_types.Le) or (whole and rule(info, annotated_types.Lt)))
        assert ("more than" in tip) == bool(not whole and rule(info, annotated_types.Gt))
        assert ("less than" in tip) == bool(not whole and rule(info, annotated_types.Lt))


@every_model
def test_that_a_number_beyond_a_bound_is_held_or_refused(model: type[BaseModel], form_of: Any) -> None:
    form = form_of(model)
    beyond: set[str] = set()
    for path, info in declared(model).items():
        editor = form.editor(path)
        high = rule(info, annotated_types.Le) or rule(info, annotated_types.Lt)
        if high is None:
            continue
        limit = high.le if isinstance(high, annotated_types.Le) else high.lt
        if isinstance(editor, QSpinBox):
            assert editor.maximum() == (limit if isinstance(high, annotated_types.Le) else limit - 1)
        elif isinstance(editor, QLineEdit):
            editor.setText(str(limit * 2 + 1))
            beyond.add(path)
    assert (form.result() is None) == bool(beyond)
    assert {path for path in declared(model) if form.editor(path).property("wrong")} == beyond


@every_model
def test_that_every_label_leads_to_its_editor(model: type[BaseModel], form_of: Any) -> None:
    form = form_of(model)
    led = {label.buddy() for label in form.findChildren(QLabel) if label.buddy() is not None}
    assert led == {form.editor(path) for path in declared(model)}


@every_model
def test_that_names_are_unique_and_readable(model: type[BaseModel], form_of: Any) -> None:
    form = form_of(model)
    named = [w.objectName() for w in form.findChildren(QWidget) if w.objectName().startswith("form")]
    assert len(named) == len(set(named))
    for path in declared(model):
        title = form.editor(path).accessibleName()
        assert "_" not in title
        assert title[0].isupper()
        reset = form.findChild(QToolButton, f"form.{path}.reset")
        assert reset.accessibleName() == f"Set {title} back to its default"


@every_model
def test_that_a_fresh_form_marks_nothing(model: type[BaseModel], form_of: Any) -> None:
    form = form_of(model)
    form.advanced.setChecked(True)
    assert not [b for b in form.findChildren(QToolButton) if b.isVisible() and b.objectName().endswith(".reset")]
    assert not [label for label in form.findChildren(QLabel) if label.property("role") in ("strong", "bad")]


@every_model
def test_that_every_field_can_be_reached_by_tab_in_reading_order(model: type[BaseModel], form_of: Any) -> None:
    form = form_of(model)
    form.advanced.setChecked(True)
    editors = [editor for path in declared(model) if (editor := form.editor(path)).isVisible()]
    chain: list[QWidget] = []
    step = form.nextInFocusChain()
    while step is not form:
        chain.append(step)
        step = step.nextInFocusChain()
    order = [w for w in chain if w in editors]
    assert set(order) == set(editors)
    heights = [w.mapTo(form, w.rect().topLeft()).y() for w in order]
    assert heights == sorted(heights)
    assert all(w.focusPolicy() & Qt.FocusPolicy.TabFocus for w in order)


@every_model
def test_that_a_form_fits_a_narrow_window(model: type[BaseModel], form_of: Any) -> None:
    form, width = form_of(model), 420
    form.advanced.setChecked(True)
    form.resize(width, 2000)
    assert form.width() == width
    for path in declared(model):
        editor = form.editor(path)
        assert not editor.isVisible() or editor.mapTo(form, editor.rect().topRight()).x() < width, path


def test_that_a_changed_field_is_marked_in_words_and_by_a_button(form_of: Any, qtbot: QtBot) -> None:
    form = form_of(SftSpec)
    editor = form.editor("batch_size")
    editor.setValue(4)
    name = next(label for label in form.findChildren(QLabel) if label.buddy() is editor)
    assert name.property("role") == "strong"
    reset = form.findChild(QToolButton, "form.batch_size.reset")
    assert reset.isVisible()
    assert reset.toolTip() == "Back to the default: 16"
    editor.setValue(16)
    assert not reset.isVisible()
    assert not name.property("role")


def test_that_the_default_in_a_tip_is_written_as_people_write_it(form_of: Any) -> None:
    form = form_of(DpoSpec)
    assert form.findChild(QToolButton, "form.learning_rate.reset").toolTip() == "Back to the default: 1e-6"


def test_that_set_back_tells_that_the_form_changed(form_of: Any, qtbot: QtBot) -> None:
    form = form_of(SftSpec)
    form.set_values({"epochs": 4.0})
    heard: list[dict[str, Any]] = []
    form.changed.connect(lambda: heard.append(form.changed_fields()))
    qtbot.mouseClick(form.findChild(QToolButton, "form.epochs.reset"), Qt.MouseButton.LeftButton)
    assert heard == [{}]


def test_that_showing_values_is_not_an_edit(form_of: Any) -> None:
    form = form_of(SftSpec)
    heard: list[bool] = []
    form.changed.connect(lambda: heard.append(True))
    form.set_values(SftSpec(epochs=3, batch_size=2, device="cpu", gradient_checkpointing=True))
    assert heard == []
    assert form.changed_fields() == {"epochs": 3.0, "batch_size": 2, "device": "cpu", "gradient_checkpointing": True}


def test_that_values_given_in_part_leave_the_rest_at_their_defaults(form_of: Any) -> None:
    form = form_of(SftSpec)
    form.set_values({"epochs": 9.0, "lora": {"rank": 2}})
    form.set_values({"lora": {"rank": 8}})
    assert form.changed_fields() == {"lora.rank": 8}


def test_that_unknown_values_are_passed_over(form_of: Any) -> None:
    form = form_of(SftSpec)
    form.set_values({"of_another_version": 3, "epochs": 2.0})
    assert form.changed_fields() == {"epochs": 2.0}


def test_that_a_refusal_stands_in_place_of_the_sentence_and_leaves_with_the_cause(form_of: Any) -> None:
    form = form_of(SftSpec)
    editor = form.editor("epochs")
    editor.setText("0")
    assert form.result() is None
    why = sentence_label(form, "Input should be greater than 0")
    assert why.property("role") == "bad"
    editor.setText("1")
    assert form.result() == SftSpec()
    assert why.text() == "Passes over the data."
    assert why.property("role") == "quiet"
    assert editor.property("wrong") is False


@pytest.mark.parametrize("words", ["", "-", "1e", "1.2.3"])
def test_that_half_a_number_is_refused_with_a_sentence(form_of: Any, words: str) -> None:
    form = form_of(SftSpec)
    form.editor("learning_rate").setText(words)
    assert form.result() is None
    assert [w for w in labels(form) if w.startswith("Input should be a valid number")]


def test_that_every_wrong_field_is_named_at_once(form_of: Any) -> None:
    form = form_of(PpoSpec)
    wrong = {"epochs": "0", "clip": "1", "lora.alpha": "-1", "gamma": "2"}
    for path, words in wrong.items():
        form.editor(path).setText(words)
    assert form.result() is None
    assert {p for p in declared(PpoSpec) if form.editor(p).property("wrong")} == set(wrong)
    assert form.advanced.isChecked(), "gamma is an advanced field"


def test_that_a_name_that_cannot_be_a_folder_is_refused(form_of: Any) -> None:
    form = form_of(SftSpec)
    for name in ("a/b", "ž", "two words", "x" * 81):
        form.editor("name").setText(name)
        assert form.result() is None, name
        assert form.editor("name").property("wrong")


class Listed(BaseModel):
    """A list whose parts have rules."""

    names: tuple[Annotated[str, annotated_types.MaxLen(3)], ...] = Field((), description="Short names.")


class Lonely(BaseModel):
    """One group only, nothing advanced."""

    above: int = Field(3, gt=0, lt=10, description="Strictly between.", json_schema_extra=group("Only"))
    free: float = Field(0.5, description="Anything.", json_schema_extra=group("Only"))


def test_that_a_wrong_part_of_a_list_marks_the_list(form_of: Any) -> None:
    form = form_of(Listed)
    form.editor("names").setText("ab, abcd")
    assert form.result() is None
    assert form.editor("names").property("wrong")
    assert "Short names." not in labels(form)


def test_that_strict_bounds_of_whole_numbers_become_those_that_can_be_reached(form_of: Any) -> None:
    form = form_of(Lonely)
    box = form.editor("above")
    assert (box.minimum(), box.maximum()) == (1, 9)
    assert box.toolTip() == "At least 1, at most 9"
    assert form.editor("free").toolTip() == ""


def test_that_one_group_needs_no_heading_and_no_switch(form_of: Any) -> None:
    form = form_of(Lonely)
    assert "Only" not in labels(form)
    assert not form.advanced.isVisible()


def test_that_groups_have_headings_in_the_order_of_the_declaration(form_of: Any) -> None:
    form = form_of(SftSpec)
    heads = [w.text() for w in form.findChildren(QLabel) if w.property("role") == "heading" and w.isVisible()]
    assert heads == ["Run", "Length", "Batch", "Optimizer", "Adapter", "Data", "Evaluation", "Checkpoints"]
    form.advanced.setChecked(True)
    assert "Data" in labels(form), "a group of advanced fields appears with the switch"


def test_that_a_hidden_field_leaves_neither_sentence_nor_unit_nor_button(form_of: Any) -> None:
    form = form_of(SftSpec)
    form.set_values({"schedule": "step", "drops": 5})
    sentence = "How often the rate drops, at equal distances."
    assert sentence in labels(form)
    schedule = form.findChild(QComboBox, "form.schedule")
    choices = [schedule.itemData(index) for index in range(schedule.count())]
    schedule.setCurrentIndex(choices.index(("linear",)))
    assert sentence not in labels(form)
    assert not form.findChild(QToolButton, "form.drops.reset").isVisible()
    assert form.values()["drops"] == 5, "hidden, not forgotten"
    schedule.setCurrentIndex(choices.index(("step",)))
    assert form.findChild(QToolButton, "form.drops.reset").isVisible()


def test_that_choices_that_go_keep_the_value_and_tell_nobody(form_of: Any) -> None:
    form = form_of(SftSpec, choices={"base": ["tiny", "small"]})
    form.set_values({"base": "small"})
    heard: list[bool] = []
    form.changed.connect(lambda: heard.append(True))
    form.set_choices("base", ["huge"])
    assert form.values()["base"] == "small"
    form.set_choices("base", [])
    assert form.values()["base"] == "small"
    assert heard == []


def test_that_a_form_takes_no_choice_before_there_is_one(form_of: Any) -> None:
    form = form_of(SftSpec, choices={"base": []})
    assert form.values()["base"] == ""
    form.set_choices("base", ["tiny"])
    assert form.values()["base"] in ("", "tiny")
    assert isinstance(form.editor("base"), QComboBox)


def test_that_the_form_can_be_filled_with_the_keyboard_alone(form_of: Any, qtbot: QtBot) -> None:
    form = form_of(Settings)
    form.activateWindow()
    form.editor("theme").setFocus()
    qtbot.waitUntil(lambda: QApplication.focusWidget() is form.editor("theme"))
    qtbot.keyClick(form.editor("theme"), Qt.Key.Key_Down)
    for _ in range(4):
        if (at := QApplication.focusWidget()) is form.editor("font_size"):
            break
        qtbot.keyClick(at, Qt.Key.Key_Tab)
    qtbot.keyClick(form.editor("font_size"), Qt.Key.Key_Up)
    assert form.result() == Settings(theme="light", font_size=14)


def test_that_marks_follow_the_theme(form_of: Any, theme: Theme) -> None:
    form = form_of(SftSpec)
    form.editor("batch_size").setValue(3)
    reset = form.findChild(QToolButton, "form.batch_size.reset")
    before = reset.icon().pixmap(16).toImage()
    theme.apply("dark")
    after = reset.icon().pixmap(16).toImage()
    theme.apply("light")
    assert before != after
    assert reset.icon().pixmap(16).toImage() == before
    assert form.changed_fields() == {"batch_size": 3}


def test_that_a_form_that_is_gone_does_not_hear_the_theme(theme: Theme, qtbot: QtBot) -> None:
    import shiboken6

    form = SpecForm(Settings, theme, "gone")
    shiboken6.delete(form)
    theme.apply("dark")
    theme.apply("light")
