"""Frozen rows as Parquet: written beside, fsynced, renamed to the hash of the file; never changed afterwards."""

from __future__ import annotations

import hashlib
import os
import uuid
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from workbench.domain.rows import COLUMNS, SnapshotKind
from workbench.store.database import explained

if TYPE_CHECKING:
    import pyarrow as pa

ROWS_IN_A_GROUP = 10_000


class SnapshotFile(NamedTuple):
    """A snapshot on disk."""

    sha: str
    path: Path
    rows: int


def write_snapshot(folder: Path, kind: SnapshotKind, batches: Iterable[list[dict[str, Any]]]) -> SnapshotFile:
    """Write rows with the columns of domain/rows.py; the same rows give the same file, which is written once."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = _schema(kind)
    beside = folder / f".{uuid.uuid4().hex}.tmp"
    count = 0
    with explained():
        folder.mkdir(parents=True, exist_ok=True)
        try:
            with pq.ParquetWriter(beside, schema, compression="zstd") as writer:
                for group in _groups(batches):
                    writer.write_table(pa.Table.from_pylist(group, schema=schema))
                    count += len(group)
            sha = _sealed(beside)
            path = folder / f"{sha}.parquet"
            if not path.exists():
                beside.replace(path)
                _sync_folder(folder)
        finally:
            beside.unlink(missing_ok=True)
    return SnapshotFile(sha, path, count)


def _groups(batches: Iterable[list[dict[str, Any]]]) -> Iterable[list[dict[str, Any]]]:
    """Groups of one size, whatever the batches' sizes, so that the file doesn't depend on how it was read."""
    waiting: list[dict[str, Any]] = []
    for batch in batches:
        waiting.extend(batch)
        while len(waiting) >= ROWS_IN_A_GROUP:
            yield waiting[:ROWS_IN_A_GROUP]
            waiting = waiting[ROWS_IN_A_GROUP:]
    yield waiting


def _schema(kind: SnapshotKind) -> pa.Schema:
    import pyarrow as pa

    turns = pa.list_(pa.struct([pa.field("role", pa.string()), pa.field("content", pa.string())]))
    special: dict[str, Any] = {
        "prompt": turns, "raw": pa.bool_(), "synthetic": pa.bool_(), "margin": pa.float64(),
        "completions": pa.list_(pa.string()), "tiers": pa.list_(pa.int64()), "strength": pa.int64(),
        "candidates": pa.list_(pa.string()), "people": pa.list_(pa.list_(pa.int64())),
    }  # fmt: skip
    return pa.schema([pa.field(name, special.get(name, pa.string())) for name in COLUMNS[kind]])


def _sealed(path: Path) -> str:
    """Force the file onto the disk; returns its SHA-256."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync_folder(folder: Path) -> None:
    """Make the new name itself durable (where folders can be synced)."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
