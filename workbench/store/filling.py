"""Appending rows in bulk: prompts are kept once, ids are given ahead, each table gets one statement."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, Table, func, insert, select, update

from workbench.domain.errors import BadInput
from workbench.domain.judgement import Item, Judgement
from workbench.domain.rows import DatasetKind
from workbench.domain.text import Demonstration, Prompt
from workbench.store import schema as t
from workbench.store.answers import KEYS_AT_ONCE
from workbench.store.dialect import upsert
from workbench.store.judging import insert_judgements


class NewRow(NamedTuple):
    """A row to append, with the line that it came from and the columns that the workbench has no place for."""

    value: str | Prompt | Demonstration | tuple[Item, list[Judgement]]
    line: int = 0
    raw: dict[str, Any] | None = None


class _Known(NamedTuple):
    """An item that the dataset has: its row, who has judged it, and its further columns."""

    row: int
    annotators: set[str]
    raw: dict[str, Any] | None


def fill(connection: Connection, dataset: int, kind: DatasetKind, new: Sequence[NewRow]) -> None:
    """Append rows of the dataset's kind at its end, with candidates and judgements.

    An item that is there already and is now judged by others takes their judgements, so that verdicts meet; any other
    repetition becomes an item of its own.
    """
    for row in new:
        _refuse_other_kind(row.value, kind)
    prompts = _prompt_ids(connection, [p for p in (_prompt(r.value) for r in new) if p is not None])
    first, start = _next_id(connection, t.rows), _length(connection, dataset)
    known = _known(connection, dataset, [r.value[0].id for r in new if isinstance(r.value, tuple)])
    made: list[dict[str, Any]] = []
    offered: list[dict[str, Any]] = []
    said: list[tuple[int, Judgement]] = []
    for row in new:
        number, position, prompt = first + len(made), start + len(made), _prompt(row.value)
        name = None
        if isinstance(row.value, tuple):
            item, judged = row.value
            if (there := known.get(item.id)) and _meets(there, judged, row.raw):
                said.extend((there.row, j) for j in judged)
                there.annotators.update(j.annotator for j in judged)
                continue
            name = f"{item.id}-{position}" if there else item.id
            known[name] = _Known(number, {j.annotator for j in judged}, row.raw or None)
            offered.extend(_candidates(number, item))
            said.extend((number, j) for j in judged)
        made.append(
            {
                "id": number, "dataset_id": dataset, "position": position, "text": _text(row.value), "item": name,
                "prompt_id": None if prompt is None else prompts[prompt.key()], "line": row.line, "raw": row.raw or None,
            }
        )  # fmt: skip
    if made:
        connection.execute(insert(t.rows), made)
        connection.execute(update(t.datasets).where(t.datasets.c.id == dataset).values(rows=start + len(made)))
    if offered:
        connection.execute(insert(t.candidates), offered)
    if said:
        insert_judgements(connection, dataset, said)


def _meets(there: _Known, judged: list[Judgement], raw: dict[str, Any] | None) -> bool:
    """Whether these are others' judgements of the same item, with nothing else that would be lost."""
    return bool(judged) and not there.annotators & {j.annotator for j in judged} and there.raw == (raw or None)


def _refuse_other_kind(value: object, kind: DatasetKind) -> None:
    wanted = {"documents": str, "prompts": Prompt, "demonstrations": Demonstration, "preferences": tuple}[kind]
    if not isinstance(value, wanted):
        raise BadInput(f"This row doesn't belong into a dataset of {kind}.", "Choose a dataset of the right kind.")


def _prompt(value: object) -> Prompt | None:
    if isinstance(value, tuple):
        item: Item = value[0]
        return item.prompt
    return value.prompt if isinstance(value, Demonstration) else value if isinstance(value, Prompt) else None


def _text(value: object) -> str | None:
    return value.completion if isinstance(value, Demonstration) else value if isinstance(value, str) else None


def _candidates(row: int, item: Item) -> list[dict[str, Any]]:
    return [
        {
            "row_id": row, "place": place, "text": c.text, "model": c.model, "seed": c.seed, "score": c.score,
            "settings": None if c.settings is None else c.settings.model_dump(mode="json"),
        }
        for place, c in enumerate(item.candidates)
    ]  # fmt: skip


def _prompt_ids(connection: Connection, wanted: list[Prompt]) -> dict[str, int]:
    """The id of each prompt, by key; new ones are added."""
    by_key = {p.key(): p for p in wanted}
    if not by_key:
        return {}
    values = [
        {"key": bytes.fromhex(k), "turns": [t_.model_dump() for t_ in p.turns], "raw": p.raw, "text": p.text}
        for k, p in by_key.items()
    ]
    connection.execute(upsert(connection, t.prompts).on_conflict_do_nothing(), values)
    keys = [bytes.fromhex(k) for k in by_key]
    found: dict[str, int] = {}
    for i in range(0, len(keys), KEYS_AT_ONCE):
        statement = select(t.prompts.c.key, t.prompts.c.id).where(t.prompts.c.key.in_(keys[i : i + KEYS_AT_ONCE]))
        found.update({key.hex(): number for key, number in connection.execute(statement)})
    return found


def _known(connection: Connection, dataset: int, wanted: list[str]) -> dict[str, _Known]:
    """Which of these items the dataset has."""
    r, s = t.rows.c, t.standings.c
    found: dict[str, _Known] = {}
    by_row: dict[int, set[str]] = {}
    for i in range(0, len(wanted), KEYS_AT_ONCE):
        here = r.item.in_(wanted[i : i + KEYS_AT_ONCE]) & (r.dataset_id == dataset)
        for row in connection.execute(select(r.id, r.item, r.raw).where(here)):
            found[row.item] = _Known(row.id, by_row.setdefault(row.id, set()), row.raw)
    rows = list(by_row)
    for i in range(0, len(rows), KEYS_AT_ONCE):
        judged = select(s.row_id, s.annotator).where(s.row_id.in_(rows[i : i + KEYS_AT_ONCE]))
        for standing in connection.execute(judged):
            by_row[standing.row_id].add(standing.annotator)
    return found


def _next_id(connection: Connection, table: Table) -> int:
    return int(connection.execute(select(func.coalesce(func.max(table.c.id), 0))).scalar_one()) + 1


def _length(connection: Connection, dataset: int) -> int:
    return int(connection.execute(select(t.datasets.c.rows).where(t.datasets.c.id == dataset)).scalar_one())
