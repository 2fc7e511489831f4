"""The spec of a decoding study: columns, each a model with a strategy and its settings, over a set of prompts."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple, Self

from pydantic import Field, TypeAdapter, ValidationError, field_validator, model_validator

from workbench.domain.decoding import STRATEGIES, DecodingSettings
from workbench.domain.queues import NEEDS_SCORES, QueueSpec
from workbench.domain.specs.common import JobSpec, PromptFormat, group
from workbench.domain.specs.judge import CRITERION, QUESTION, rule_file
from workbench.domain.specs.texts import lines_of, need_places

COLUMNS = """greedy
sample
sample temperature=0.7 top_p=0.9
beam num_beams=4"""
MOST_COLUMNS = 16
MOST_CANDIDATES = 9
_SETTINGS: TypeAdapter[DecodingSettings] = TypeAdapter(DecodingSettings)
_JUDGED = group("Quality", advanced=True)


class Asked(NamedTuple):
    """One column as it is asked for; `model` is "" where the study's base decodes. `given` are the settings that the line names."""

    model: str
    settings: DecodingSettings
    given: tuple[str, ...]


class StudySpec(JobSpec):
    """A decoding study: how models and strategies fare over a set of prompts in quality, diversity, likelihood and speed."""

    kind: Literal["study"] = "study"
    base: str = Field("", description="Model of the columns that name none.", json_schema_extra=group("Run"))
    data: str = Field("", description="Dataset whose prompts are answered.", json_schema_extra=group("Run"))
    columns: str = Field(
        COLUMNS,
        max_length=20_000,
        description="One column in each line: [MODEL] STRATEGY [SETTING=VALUE …]; lines that begin with # are passed over.",
        json_schema_extra=group("Columns", lines=6),
    )
    max_new_tokens: int = Field(
        64,
        ge=1,
        le=32768,
        description="New tokens at most, in columns that don't say it themselves.",
        json_schema_extra=group("Columns", unit="tokens"),
    )
    limit: int = Field(
        50,
        ge=0,
        le=10_000_000,
        description="Use at most so many prompts, drawn by the seed (0 = all).",
        json_schema_extra=group("Columns", unit="prompts"),
    )
    samples: int = Field(
        4,
        ge=1,
        le=64,
        description="Texts for each prompt in columns that draw; self-BLEU compares them. Other columns give one text.",
        json_schema_extra=group("Columns", unit="texts"),
    )
    rule: str = Field(
        "",
        max_length=4096,
        description="Rule that scores the texts: story_rule, longer, shorter, or FILE.py:FUNCTION(prompt, completion); empty = none.",
        json_schema_extra=group("Quality"),
    )
    reward_model: str = Field(
        "", description="Reward model that scores the texts (empty = none).", json_schema_extra=group("Quality")
    )
    judge: str = Field(
        "",
        description="Language model that compares the columns' first texts in pairs, in both orders (empty = none).",
        json_schema_extra=group("Quality"),
    )
    criterion: str = Field(
        CRITERION,
        min_length=1,
        max_length=20_000,
        description="What makes a text the better one, as the judge is told.",
        json_schema_extra={**_JUDGED, "lines": 4},
    )
    question: str = Field(
        QUESTION,
        max_length=20_000,
        description="What the judge is asked; {prompt}, {a}, {b} and {criterion} are filled in.",
        json_schema_extra={**_JUDGED, "lines": 8},
    )
    chat_format: PromptFormat = "auto"
    batch_size: int = Field(
        16,
        ge=1,
        le=4096,
        description="Prompts that a column answers before the run reports and looks whether it is to pause.",
        json_schema_extra=group("Batch", unit="prompts"),
    )

    items: str = Field(
        "",
        max_length=120,
        description="Dataset of preferences that the texts are appended to, as items to rank, when the study is done (empty = none).",
        json_schema_extra=group("Results"),
    )
    candidates: int = Field(
        4,
        ge=2,
        le=MOST_CANDIDATES,
        description="Texts of an item at most; equal ones count once.",
        json_schema_extra=group("Results", unit="texts"),
    )
    queue: str = Field(
        "",
        max_length=2000,
        description="Queue that is made over these items, or put in order again: NAME [SETTING=VALUE …] (empty = none).",
        json_schema_extra=group("Results"),
    )

    @field_validator("queue")
    @classmethod
    def _is_a_queue(cls, text: str) -> str:
        if text.strip():
            read_queue(text, "")
        return text

    @field_validator("columns")
    @classmethod
    def _can_be_read(cls, text: str) -> str:
        if not read_columns(text):
            raise ValueError("there is no column")
        return text

    @field_validator("rule")
    @classmethod
    def _is_a_rule(cls, rule: str) -> str:
        if rule:
            rule_file(rule)
        return rule

    @field_validator("question")
    @classmethod
    def _has_its_places(cls, text: str) -> str:
        return need_places(text, needed=("prompt", "a", "b"), allowed=("criterion",))

    @model_validator(mode="after")
    def _has_items_for_its_queue(self) -> Self:
        if self.queue.strip() and not self.items.strip():
            raise ValueError("a queue asks about items; name the dataset that they are appended to (items)")
        return self

    @property
    def asked(self) -> tuple[Asked, ...]:
        """The columns, with the study's base and length where a line doesn't say them."""
        found = []
        for column in read_columns(self.columns):
            settings = column.settings
            if "max_new_tokens" not in column.given:
                length = max(self.max_new_tokens, settings.min_new_tokens)
                settings = settings.model_copy(update={"max_new_tokens": length})
            found.append(Asked(column.model or self.base, settings, column.given))
        return tuple(found)


def read_columns(text: str) -> tuple[Asked, ...]:
    """The columns of a text; ValueError with the line's number for what can't be read."""
    lines = lines_of(text)
    if len(lines) > MOST_COLUMNS:
        raise ValueError(f"at most {MOST_COLUMNS} columns")
    return tuple(_column(line, number) for number, line in enumerate(lines, start=1))


def write_columns(columns: tuple[Asked, ...]) -> str:
    """The text that gives these columns, with the settings that were named."""
    lines = []
    for column in columns:
        words = [column.model] if column.model else []
        words += [column.settings.strategy, *(f"{key}={value}" for key, value in _given(column))]
        lines.append(shlex.join(words))
    return "\n".join(lines)


def labels_of(columns: Sequence[Asked]) -> list[str]:
    """What columns are called: strategy and the settings that were named, the model where they differ in it, a number where alike."""
    several = len({column.model for column in columns}) > 1
    labels: list[str] = []
    for column in columns:
        told = ", ".join(f"{key} {value}" for key, value in _given(column))
        plain = column.settings.strategy + (f" ({told})" if told else "")
        plain = f"{Path(column.model).name} · {plain}" if several else plain
        label, number = plain, 1
        while label in labels:
            number += 1
            label = f"{plain} #{number}"
        labels.append(label)
    return labels


def read_queue(text: str, dataset: str) -> QueueSpec:
    """A queue over a dataset as a line says it; ValueError."""
    name, *words = shlex.split(text) or [""]
    values = _values(words)
    if said := sorted({"name", "dataset", "reward_model"} & values.keys()):
        raise ValueError(f"{said[0]} can't be said here")
    if values.get("strategy") in NEEDS_SCORES:
        raise ValueError(f"a queue of strategy {values['strategy']!r} needs scores, which new items don't have yet")
    try:
        return QueueSpec.model_validate({**values, "name": name, "dataset": dataset})
    except ValidationError as error:
        told = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}".removeprefix(": ") for e in error.errors())
        raise ValueError(told) from error


def write_queue(spec: QueueSpec) -> str:
    """The line that gives this queue over any dataset."""
    kept = spec.model_dump(mode="json", exclude={"name", "dataset"}, exclude_defaults=True)
    return shlex.join([spec.name, *(f"{key}={_written(value)}" for key, value in kept.items())])


def _column(line: str, number: int) -> Asked:
    try:
        words = shlex.split(line)
    except ValueError as error:
        raise ValueError(f"column {number}: {error}") from error
    model = ""
    if words[0] not in STRATEGIES or (len(words) > 1 and words[1] in STRATEGIES):
        model, *words = words
    if not words or words[0] not in STRATEGIES:
        raise ValueError(f"column {number}: name a strategy, one of {', '.join(STRATEGIES)}")
    try:
        values = _values(words[1:])
    except ValueError as error:
        raise ValueError(f"column {number}: {error}") from error
    try:
        settings = _SETTINGS.validate_python({**values, "strategy": words[0]})
    except ValidationError as error:
        told = "; ".join(f"{'.'.join(map(str, e['loc'][1:]))}: {e['msg']}" for e in error.errors())
        raise ValueError(f"column {number}: {told}") from error
    return Asked(model, settings, tuple(values))


def _values(words: Sequence[str]) -> dict[str, Any]:
    """SETTING=VALUE, several times."""
    values = {}
    for word in words:
        key, equals, text = word.partition("=")
        if not equals or not key:
            raise ValueError(f"write {word} as SETTING=VALUE")
        values[key] = _value(text)
    return values


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _given(column: Asked) -> list[tuple[str, str]]:
    """The settings that were named with their values as text, in that order."""
    kept = column.settings.model_dump(mode="json", include=set(column.given))
    return [(key, _written(kept[key])) for key in column.given]


def _written(value: Any) -> str:
    plain = isinstance(value, str) and _value(value) == value  # other texts would be read as numbers or lists
    return value if plain else json.dumps(value)
