"""A form made from declared data: groups, bounds, units, one sentence each, changed fields marked against the default."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args, get_origin

import annotated_types
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QCheckBox,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QPlainTextEdit,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from workbench.gui.icons import icon
from workbench.gui.theme import Theme
from workbench.gui.widgets.basics import restyle, text
from workbench.gui.widgets.fields import Field, field_for, in_words, plain

_Condition = tuple[str, tuple[str, ...]]  # the path of another field, and its values with which this one matters


@dataclass
class _Row:
    """One field of the form: where it stands in the declared data, its editor and its labels."""

    path: str
    info: FieldInfo
    default: Any
    field: Field
    name: QLabel
    words: QLabel
    reset: QToolButton
    unit: QLabel
    advanced: bool
    when: tuple[_Condition, ...]
    idle: bool = False  # another field's value makes this one mean nothing


class SpecForm(QWidget):
    """Shows a pydantic model's fields; nested models are flattened as `lora.rank`. Emits `changed` on every edit."""

    changed = Signal()

    def __init__(
        self,
        model: type[BaseModel],
        theme: Theme,
        name: str,
        *,
        choices: Mapping[str, Sequence[str]] | None = None,
        hidden: Collection[str] = (),
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self.setObjectName(name)
        self.model, self._theme, self._name = model, theme, name
        self._choices = dict(choices or {})
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(0, 0, 0, 0)
        self._column.setSpacing(24)
        self._rows: dict[str, _Row] = {}
        self._groups: list[tuple[QWidget, list[_Row]]] = []
        self._defaults = model.model_construct()
        self.advanced = QCheckBox("Show advanced settings")
        self.advanced.setObjectName(f"{name}.advanced")
        self.advanced.setAccessibleName("Show advanced settings")
        self.advanced.toggled.connect(lambda _: self._show_rows())
        self._build(hidden)
        if any(row.advanced for row in self._rows.values()):
            self._column.addWidget(self.advanced)
        else:
            self.advanced.setParent(None)
        self._column.addStretch(1)
        theme.changed.connect(self._mark_all)
        self.set_values({})

    def values(self) -> dict[str, Any]:
        """What stands in the form, nested as the model is; not yet validated."""
        result: dict[str, Any] = {}
        for path, row in self._rows.items():
            *parts, last = path.split(".")
            place = result
            for part in parts:
                place = place.setdefault(part, {})
            place[last] = row.field.value()
        return result

    def result(self) -> BaseModel | None:
        """The validated model, or None with every wrong field marked and explained."""
        try:
            made = self.model.model_validate(self.values())
        except ValidationError as error:
            self.explain({".".join(map(str, e["loc"])): e["msg"] for e in error.errors()})
            return None
        self.explain({})
        return made

    def set_values(self, values: Mapping[str, Any] | BaseModel) -> None:
        """Show values; fields that aren't named show their default."""
        flat = _flatten(values.model_dump() if isinstance(values, BaseModel) else values)
        for path, row in self._rows.items():
            row.field.blockSignals(True)
            row.field.set_value(flat.get(path, row.default))
            row.field.blockSignals(False)
        self._follow()
        self._mark_all()

    def set_choices(self, path: str, choices: Sequence[str]) -> None:
        """Other things to choose from, for a field that was made with choices."""
        row = self._rows[path]
        before = row.field.value()
        box = row.field.widget
        box.blockSignals(True)
        box.clear()  # type: ignore[attr-defined]
        for choice in choices:
            box.addItem(choice or "-", (choice,))  # type: ignore[attr-defined]
        if before or not choices:
            row.field.set_value(before)
        box.blockSignals(False)
        self._mark_all()

    def explain(self, wrong: Mapping[str, str]) -> None:
        """Mark wrong fields and say why; everything else is right."""
        for path, row in self._rows.items():
            inside = (words for place, words in wrong.items() if place.startswith(f"{path}."))  # one part of a list
            why = wrong.get(path) or next(inside, "")
            restyle(row.field.widget, wrong=bool(why))
            row.words.setText(why or _sentence(row.info))
            restyle(row.words, role="bad" if why else "quiet")
            if why and row.advanced:
                self.advanced.setChecked(True)

    def changed_fields(self) -> dict[str, Any]:
        """The fields that differ from their default, by path."""
        return {p: r.field.value() for p, r in self._rows.items() if r.field.value() != r.default}

    def editor(self, path: str) -> QWidget:
        """The widget that edits a field."""
        return self._rows[path].field.widget

    def _build(self, hidden: Collection[str]) -> None:
        groups: dict[str, list[tuple[str, FieldInfo, Any, tuple[_Condition, ...]]]] = {}
        for path, info, default, when in _declared(self.model, self._defaults):
            if path not in hidden and path.split(".")[0] not in hidden and not _fixed(info):
                groups.setdefault(_extra(info).get("group", "Settings"), []).append((path, info, default, when))
        for title, fields in groups.items():
            box = QWidget()
            grid = QGridLayout(box)
            grid.setContentsMargins(0, 0, 0, 0)
            grid.setHorizontalSpacing(16)
            grid.setVerticalSpacing(4)
            grid.setColumnMinimumWidth(0, 132)
            grid.setColumnStretch(1, 1)
            if len(groups) > 1:
                grid.addWidget(text(title, "heading"), 0, 0, 1, 3)
                grid.setRowMinimumHeight(0, 32)
            rows = [self._add(grid, 1 + 2 * n, *field) for n, field in enumerate(fields)]
            self._groups.append((box, rows))
            self._column.addWidget(box)
        self._show_rows()

    def _add(
        self, grid: QGridLayout, line: int, path: str, info: FieldInfo, default: Any, when: tuple[_Condition, ...]
    ) -> _Row:
        low, high = _bounds(info)
        field = field_for(info.annotation, low, high, self._choices.get(path), _extra(info).get("lines", 1))
        title = path.split(".")[-1].replace("_", " ").capitalize()
        editor = field.widget
        editor.setObjectName(f"{self._name}.{path}")
        editor.setAccessibleName(title)
        editor.setAccessibleDescription(info.description or "")
        editor.setToolTip(_bounds_words(info))
        name = text(title, wrap=True)
        name.setBuddy(editor)
        high_up = isinstance(editor, QPlainTextEdit)
        words = text(_sentence(info), "quiet", wrap=True)
        reset = QToolButton()
        reset.setObjectName(f"{self._name}.{path}.reset")
        reset.setAccessibleName(f"Set {title} back to its default")
        shown = in_words(default)
        reset.setToolTip("Back to the default" + (f": {shown}" if shown and "\n" not in shown else ""))
        side = QHBoxLayout()
        side.setSpacing(8)
        side.addWidget(editor, 0 if isinstance(editor, QCheckBox) else 1)
        unit = text(str(_extra(info).get("unit", "")), "quiet")
        if unit.text():
            side.addWidget(unit)
        if isinstance(editor, QCheckBox):
            side.addStretch(1)
        side.addWidget(reset, 0, Qt.AlignmentFlag.AlignTop if high_up else Qt.AlignmentFlag.AlignVCenter)
        grid.addWidget(name, line, 0, Qt.AlignmentFlag.AlignTop if high_up else Qt.AlignmentFlag.AlignVCenter)
        grid.addLayout(side, line, 1)
        grid.addWidget(words, line + 1, 1)
        row = _Row(path, info, default, field, name, words, reset, unit, bool(_extra(info).get("advanced")), when)
        words.setContentsMargins(0, 0, 0, 8)
        self._rows[path] = row
        reset.clicked.connect(lambda: self._put_back(row))
        field.changed.connect(lambda: self._edited(row))
        return row

    def _put_back(self, row: _Row) -> None:
        row.field.set_value(row.default)
        self._edited(row)

    def _edited(self, row: _Row) -> None:
        self._follow()
        self._mark(row)
        self.changed.emit()

    def _follow(self) -> None:
        """Hide the fields that mean nothing with the values of others."""
        changed = False
        for row in self._rows.values():
            idle = any(self._rows[p].field.value() not in values for p, values in row.when if p in self._rows)
            changed, row.idle = changed or idle != row.idle, idle
        if changed:  # dressing all rows again at every key that is pressed would be felt
            self._show_rows()

    def _mark_all(self) -> None:
        for row in self._rows.values():
            self._mark(row)

    def _mark(self, row: _Row) -> None:
        differs = row.field.value() != row.default
        visible = not row.field.widget.isHidden()
        row.reset.setVisible(differs and visible)
        row.reset.setIcon(icon("undo", self._theme.colours.accent))
        restyle(row.name, role="strong" if differs else "")

    def _show_rows(self) -> None:
        for box, rows in self._groups:
            anything = False
            for row in rows:
                visible = not row.idle and (not row.advanced or self.advanced.isChecked())
                anything = anything or visible
                for part in (row.name, row.words, row.field.widget):
                    part.setVisible(visible)
                row.unit.setVisible(visible and bool(row.unit.text()))
                keep = row.reset.sizePolicy()
                keep.setRetainSizeWhenHidden(visible)  # a field that isn't shown leaves no gap
                row.reset.setSizePolicy(keep)
                self._mark(row)
            box.setVisible(anything)


def _declared(
    model: type[BaseModel], defaults: BaseModel, start: str = "", when: tuple[_Condition, ...] = ()
) -> list[tuple[str, FieldInfo, Any, tuple[_Condition, ...]]]:
    """(path, declaration, default, conditions) of each field; a part's fields share the conditions of the part."""
    found: list[tuple[str, FieldInfo, Any, tuple[_Condition, ...]]] = []
    for name, info in model.model_fields.items():
        default = getattr(defaults, name, info.get_default(call_default_factory=True))
        own = _extra(info).get("when")
        conditions = (*when, (f"{start}{own[0]}", tuple(own[1]))) if own else when
        if isinstance(info.annotation, type) and issubclass(info.annotation, BaseModel):
            found += _declared(info.annotation, default, f"{start}{name}.", conditions)
        else:
            found.append((f"{start}{name}", info, default, conditions))
    return found


def _flatten(values: Mapping[str, Any], start: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            flat |= _flatten(value, f"{start}{name}.")
        else:
            flat[f"{start}{name}"] = value
    return flat


def _extra(info: FieldInfo) -> dict[str, Any]:
    return info.json_schema_extra if isinstance(info.json_schema_extra, dict) else {}


def _fixed(info: FieldInfo) -> bool:
    """Whether the field only names the kind of the model: there is nothing to choose."""
    return get_origin(info.annotation) is Literal and len(get_args(info.annotation)) == 1


def _sentence(info: FieldInfo) -> str:
    return info.description or ""


def _bounds(info: FieldInfo) -> tuple[float | None, float | None]:
    low: Any = None
    high: Any = None
    whole = info.annotation is int
    for rule in info.metadata:
        if isinstance(rule, annotated_types.Ge):
            low = rule.ge
        elif isinstance(rule, annotated_types.Gt):
            low = rule.gt + 1 if whole else rule.gt  # type: ignore[operator]
        elif isinstance(rule, annotated_types.Le):
            high = rule.le
        elif isinstance(rule, annotated_types.Lt):
            high = rule.lt - 1 if whole else rule.lt  # type: ignore[operator]
    return low, high


def _bounds_words(info: FieldInfo) -> str:
    low, high = _bounds(info)
    whole = info.annotation is int  # a whole number's bounds are always reached
    above = not whole and any(isinstance(rule, annotated_types.Gt) for rule in info.metadata)
    below = not whole and any(isinstance(rule, annotated_types.Lt) for rule in info.metadata)
    words = [f"{'more than' if above else 'at least'} {plain(low)}"] if low is not None else []
    words += [f"{'less than' if below else 'at most'} {plain(high)}"] if high is not None else []
    return ", ".join(words).capitalize()
