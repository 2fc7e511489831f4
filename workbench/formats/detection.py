"""Which format files have: by their container, then by the fields of rows sampled over the whole file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from workbench.domain.errors import BadInput
from workbench.domain.rows import DatasetKind
from workbench.formats.containers import TEXT_SUFFIXES, check_file, lines, records, suffix_of
from workbench.formats.plain import TEXT, TEXT_BLOCKS
from workbench.formats.spec import Format
from workbench.formats.table import FORMATS, format_named

SAMPLE_FIRST = 200
SAMPLE_EVERY = 101
LOOK_AT_MOST = 20_000


@dataclass(frozen=True)
class Detected:
    """What files hold: the format, the kind of dataset, which field is in which column, and all columns seen."""

    format: str
    kind: DatasetKind
    mapping: dict[str, str]
    columns: tuple[str, ...]
    notes: tuple[str, ...] = ()


def detect(files: Iterable[Path], format: str = "auto", mapping: Mapping[str, str] | None = None) -> Detected:
    """The format of some files that belong together; a given format or mapping overrules what is seen.

    Raises BadInput for files that can't be read, that fit no format, or whose columns lack what the format needs.
    """
    paths = [Path(file) for file in files]
    if not paths:
        raise BadInput("No file was given.", "Name at least one file.")
    for path in paths:
        check_file(path)
    wanted = None if format == "auto" else format_named(format)
    if wanted is None:
        _refuse_unknown_fields(mapping or {})
    if wanted is not None and wanted.split:
        return Detected(wanted.name, wanted.kind, {}, ())
    if wanted is None and all(suffix_of(path) in TEXT_SUFFIXES for path in paths):
        return _detect_text(paths)
    sample = _sample(paths)
    columns = tuple(dict.fromkeys(name for record in sample for name in record))
    notes: tuple[str, ...] = ()
    if wanted is None:
        for column in (mapping or {}).values():
            if column and column not in columns:
                raise BadInput(f"There is no column '{column}' in the file.", f"Its columns are: {', '.join(columns)}.")
        wanted, notes = _vote(sample, columns, dict(mapping or {}), paths)
    full = mapping_for(wanted, columns, mapping)
    return Detected(wanted.name, wanted.kind, full, columns, notes)


def _refuse_unknown_fields(mapping: Mapping[str, str]) -> None:
    known = dict.fromkeys(field.name for form in FORMATS.values() for field in form.fields)
    for field in mapping:
        if field not in known:
            raise BadInput(f"No format has a field '{field}'.", f"Fields are: {', '.join(known)}.")


def _detect_text(paths: list[Path]) -> Detected:
    blocks = separators = 0
    for path in paths:
        for _, line in islice(lines(path), LOOK_AT_MOST):
            separators += not line.strip()
            blocks += bool(separators and line.strip())
    form, other = (TEXT_BLOCKS, TEXT) if blocks else (TEXT, TEXT_BLOCKS)
    note = f"{form.title}; choose '{other.name}' for: {other.title.lower()}."
    return Detected(form.name, form.kind, {}, (), (note,))


def _sample(paths: list[Path]) -> list[dict[str, Any]]:
    """The first rows of each file and every hundredth after them."""
    sample: list[dict[str, Any]] = []
    reasons: list[str] = []
    for path in paths:
        for place, (number, record) in enumerate(islice(records(path), LOOK_AT_MOST)):
            if place >= SAMPLE_FIRST and place % SAMPLE_EVERY:
                continue
            if isinstance(record, str):
                reasons.append(f"{path.name}, line {number}: {record}")
            else:
                sample.append(record)
    if not sample:
        raise BadInput(
            f"{paths[0].name} has no row that can be read. {reasons[0] if reasons else ''}".strip(),
            "A dataset is one JSON object in each line, a JSON list of objects, a table with a header, or plain text.",
        )
    return sample


def _vote(
    sample: list[dict[str, Any]], columns: tuple[str, ...], mapping: dict[str, str], paths: list[Path]
) -> tuple[Format, tuple[str, ...]]:
    votes = Counter(name for record in sample if (name := _format_of(record, mapping)))
    if not votes:
        looked = "; ".join(f"{f.name} ({f.sentence})" for f in FORMATS.values() if not f.split)
        raise BadInput(
            f"{paths[0].name} has no known format. Its columns are: {', '.join(columns) or 'none'}.",
            f"Looked for: {looked}. Name the format and map its fields to columns.",
        )
    winner = votes.most_common(1)[0][0]
    notes = tuple(
        f"{count} of {len(sample)} rows looked at fit {name} instead."
        for name, count in votes.items()
        if name != winner
    )
    return FORMATS[winner], notes


def _format_of(record: dict[str, Any], mapping: dict[str, str]) -> str:
    for form in FORMATS.values():
        if form.split or not set(mapping) <= {field.name for field in form.fields}:
            continue
        found = {field: column for field, column in {**form.columns_in(record), **mapping}.items() if column}
        if not form.missing(found) and set(found.values()) <= record.keys() and form.fits(record, found):
            return form.name
    return ""


def mapping_for(form: Format, columns: tuple[str, ...], given: Mapping[str, str] | None) -> dict[str, str]:
    """The full mapping; raises BadInput for unknown fields, absent columns and required fields without a column.

    A field given as "" has no column, whatever the columns are called; it stays so in the mapping.
    """
    known = [field.name for field in form.fields]
    for field, column in (given or {}).items():
        if field not in known:
            raise BadInput(f"The format {form.name} has no field '{field}'.", f"Its fields are: {', '.join(known)}.")
        if column and column not in columns:
            raise BadInput(f"There is no column '{column}' in the file.", f"Its columns are: {', '.join(columns)}.")
    full = {**form.columns_in(columns), **(given or {})}
    missing = form.missing({field: column for field, column in full.items() if column})
    if missing:
        raise BadInput(
            f"The format {form.name} needs {' and '.join(repr(m) for m in missing)}, which no column is mapped to.",
            f"Map it to a column; the file has: {', '.join(columns)}.",
        )
    return full
