"""Files to rows: every line comes out, as a row or with the reason why it can't be one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from workbench.formats.containers import records
from workbench.formats.detection import detect
from workbench.formats.plain import read as read_plain
from workbench.formats.rows import PreferenceRow, Read, RowTrouble
from workbench.formats.spec import Format
from workbench.formats.table import FORMATS


def read(files: Iterable[Path], format: str = "auto", mapping: Mapping[str, str] | None = None) -> Iterator[Read]:
    """Every row of some files in order; raises BadInput as `detect` does, also in the middle of a damaged file."""
    paths = [Path(file) for file in files]
    found = detect(paths, format, mapping)
    form = FORMATS[found.format]
    columns = {field: column for field, column in found.mapping.items() if column}
    for path in paths:
        if form.split:
            yield from read_plain(path, form)
            continue
        for number, record in records(path):
            yield (
                Read(number, None, record, file=path)
                if isinstance(record, str)
                else _row(number, record, form, columns, path)
            )


def _row(number: int, record: dict[str, Any], form: Format, mapping: dict[str, str], path: Path) -> Read:
    used = {*mapping.values(), "judgements"} if form.name.startswith("workbench-") else set(mapping.values())
    extra = {name: value for name, value in record.items() if name not in used}
    assert form.read is not None
    try:
        row = form.read(record, mapping)
    except RowTrouble as trouble:
        return Read(number, None, str(trouble), extra, path)
    except ValidationError as error:
        return Read(number, None, f"The row doesn't hold together: {error.errors()[0]['msg']}.", extra, path)
    if isinstance(row, PreferenceRow):
        row = replace(row, extra=extra)
    return Read(number, row, None, extra, path)
