"""The workbench's own JSON lines: every kind of row with all that is known about it, lossless in both directions.

A file may begin with lines that hold the versions of the dataset's guidelines; they are no rows.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

from pydantic import ValidationError

from workbench.domain.judgement import Item, Judgement
from workbench.domain.queues import Guidelines
from workbench.domain.rows import DatasetKind
from workbench.domain.text import Demonstration, Prompt
from workbench.formats.rows import PreferenceRow, Record, Row, RowTrouble, kind_of, sound, text_of
from workbench.formats.spec import Columns, Field, Format

MARK = "workbench"
VERSION = 1
GUIDELINES = "guidelines"
CONTENT = ("document", "prompt", "completion", "item", "judgements", GUIDELINES)


def read(record: Record, columns: Columns) -> Row:
    """Whatever the line says it is."""
    version = record.get(columns[MARK])
    if version != VERSION:
        raise RowTrouble(f"The row has version {version!r} of this format, which this workbench doesn't know.")
    sound(json.dumps({name: record[name] for name in CONTENT if name in record}, ensure_ascii=False), "The row")
    try:
        return _read(record)
    except ValidationError as error:
        problem = error.errors()[0]
        raise RowTrouble(
            f"The row doesn't hold together: {'.'.join(map(str, problem['loc']))}: {problem['msg']}."
        ) from error


def _read(record: Record) -> Row:
    if GUIDELINES in record and "item" not in record:
        return Guidelines.model_validate(record[GUIDELINES])
    if "document" in record:
        return text_of(record, "document", "the document")
    if "item" in record:
        item = Item.model_validate(record["item"])
        told = record.get("judgements", [])
        if not isinstance(told, list):
            raise RowTrouble(f"The field 'judgements' should be a list but is {kind_of(told)}.")
        said = tuple(Judgement.model_validate(j) for j in told)
        if any(j.item != item.id or len(j.shown) != len(item.candidates) for j in said):
            raise RowTrouble("A judgement speaks of another item, or of more candidates than there are.")
        return PreferenceRow(item.prompt, item.candidates, item_id=item.id, judgements=said)
    if "prompt" not in record:
        raise RowTrouble("The row has neither a document, a prompt nor an item.")
    prompt = Prompt.model_validate(record["prompt"])
    if "completion" in record:
        return Demonstration(prompt=prompt, completion=text_of(record, "completion", "the completion"))
    return prompt


def write(row: Row) -> Iterator[dict[str, Any]]:
    """One line for one row."""
    if isinstance(row, str):
        yield {MARK: VERSION, "document": row}
    elif isinstance(row, Prompt):
        yield {MARK: VERSION, "prompt": row.model_dump(mode="json")}
    elif isinstance(row, Demonstration):
        yield {MARK: VERSION, "prompt": row.prompt.model_dump(mode="json"), "completion": row.completion}
    elif isinstance(row, Guidelines):
        yield {MARK: VERSION, GUIDELINES: row.model_dump(mode="json")}
    else:
        item, said = row.to_domain()
        judgements = [j.model_dump(mode="json") for j in said]
        content = {MARK: VERSION, "item": item.model_dump(mode="json"), "judgements": judgements}
        for name, value in row.extra.items():
            content[_free(name, content, row.extra)] = value
        yield content


def _free(name: str, taken: Record, others: Record) -> str:
    """The name of a column of the source, with marks behind it where this format has a field of that name."""
    free = name
    while free in taken or (free != name and free in others):
        free += "_"
    return free


def _format(kind: DatasetKind, key: str, test: Callable[[Record], bool]) -> Format:
    return Format(
        f"workbench-{kind}",
        f"Workbench {kind}",
        kind,
        f"the workbench's own lines, with {MARK} and {key}",
        (Field(MARK, "Version of this format.", (MARK,)), Field(key, "The content.", (key,))),
        read,
        lambda record, _columns: test(record),
    )


NATIVE = (
    _format("documents", "document", lambda r: True),
    _format("preferences", "item", lambda r: True),
    _format("demonstrations", "completion", lambda r: "prompt" in r),
    _format("prompts", "prompt", lambda r: "completion" not in r),
)
