"""The frozen rows of a run, and which of them are held out for evaluation."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from workbench.domain.errors import RunFailed
from workbench.domain.text import Prompt, Turn

Row = dict[str, Any]
T = TypeVar("T")


def read_rows(path: Path) -> list[Row]:
    """All rows of a snapshot, as dicts of its columns; raises RunFailed when it is missing, damaged or empty."""
    import pyarrow
    import pyarrow.parquet

    if not path.exists():
        raise RunFailed(f"The run's data is missing: {path}.", "Start the run anew from its dataset.")
    try:
        with pyarrow.parquet.ParquetFile(
            path
        ) as file:  # read_table would import pyarrow's datasets, which takes longer
            rows: list[Row] = file.read().to_pylist()
    except (pyarrow.ArrowException, OSError) as error:
        raise RunFailed(
            f"The run's data can't be read: {path}.", "Start the run anew from its dataset.", str(error)
        ) from error
    if not rows:
        raise RunFailed("The dataset has no rows.", "Import or label some data first.")
    return rows


def need_columns(rows: Sequence[Row], *names: str) -> None:
    """Raise RunFailed unless the rows have these columns: the data is of another kind."""
    missing = [name for name in names if name not in rows[0]]
    if missing:
        raise RunFailed(
            f"The data has no column {', '.join(missing)}; it has {', '.join(rows[0])}.",
            "Choose a dataset of the kind that this recipe trains on.",
        )


def prompt_of(row: Row) -> Prompt:
    """The prompt of a row."""
    turns = tuple(Turn(role=turn["role"], content=turn["content"]) for turn in row["prompt"])
    return Prompt(turns=turns, raw=bool(row.get("raw")))


def row_key(row: Row) -> str:
    """What makes rows belong together: the prompt, or the text of a document."""
    if "prompt" in row:
        return prompt_of(row).key()
    return hashlib.sha256(str(row["text"]).encode()).hexdigest()


def drawn(rows: list[Row], limit: int, seed: int) -> list[Row]:
    """At most `limit` rows (0 = all), drawn by seed and prompt, in the order in which they stand."""
    if not limit or limit >= len(rows):
        return rows
    keys = [hashlib.sha256(f"{seed}:{row_key(row)}:{place}".encode()).digest() for place, row in enumerate(rows)]
    return [rows[place] for place in sorted(sorted(range(len(rows)), key=lambda place: keys[place])[:limit])]


def split_holdout(
    rows: Sequence[T], share: float, seed: int, key: Callable[[T], str] | None = None
) -> tuple[list[T], list[T]]:
    """(trained on, held out): whole prompts go to one side, chosen by a hash of prompt and seed.

    The held-out side has at least one prompt when `share` > 0 and there are two or more; the other side is never empty.
    """
    keys = [(key or row_key)(row) for row in rows]  # type: ignore[arg-type]
    distinct = sorted(set(keys), key=lambda k: hashlib.sha256(f"{seed}:{k}".encode()).digest())
    count = min(max(1, round(share * len(distinct))), len(distinct) - 1) if share > 0 else 0
    held = set(distinct[:count])
    train = [row for row, k in zip(rows, keys, strict=True) if k not in held]
    return train, [row for row, k in zip(rows, keys, strict=True) if k in held]
