"""What a format is: its fields with the column names they go by, how a record is recognised, read and written."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from workbench.domain.rows import DatasetKind
from workbench.formats.rows import Record, Row

Columns = Mapping[str, str]  # field -> column
Reader = Callable[[Record, Columns], Row]
Writer = Callable[[Row], Iterable[dict[str, Any]]]


@dataclass(frozen=True)
class Field:
    """A field of a format: one sentence, and the column names it is found under, likeliest first."""

    name: str
    sentence: str
    columns: tuple[str, ...]
    required: bool = True


@dataclass(frozen=True)
class Format:
    """One format. `fits` looks at a record whose required columns are there; `write` is None when it is only read."""

    name: str
    title: str
    kind: DatasetKind
    sentence: str
    fields: tuple[Field, ...]
    read: Reader | None = None
    fits: Callable[[Record, Columns], bool] = lambda _record, _columns: True
    write: Writer | None = None
    split: Literal["", "file", "blocks", "lines"] = ""  # plain text: how it is cut into rows

    def columns_in(self, names: Iterable[str]) -> dict[str, str]:
        """The mapping from this format's fields to the columns that are there; fields without a column are left out."""
        there = list(names)
        found: dict[str, str] = {}
        for field in self.fields:
            column = next((c for c in field.columns if c in there), None)
            if column is not None and column not in found.values():
                found[field.name] = column
        return found

    def missing(self, mapping: Columns) -> list[str]:
        """The required fields that have no column."""
        return [f.name for f in self.fields if f.required and f.name not in mapping]
