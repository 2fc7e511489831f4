"""Snapshot files: the columns and types that recipes rely on, row for row as given, under the hash of the content."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.domain.rows import COLUMNS, SNAPSHOT_KINDS, SnapshotKind
from workbench.store import snapshot_file
from workbench.store.snapshot_file import write_snapshot

PROMPT = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi 👋"}]
ROWS: dict[SnapshotKind, dict[str, Any]] = {
    "documents": {"text": "Once\nupon \x00 a time"},
    "prompts": {"prompt": PROMPT, "raw": False},
    "demonstrations": {"prompt": PROMPT[1:], "raw": True, "completion": "مرحبا"},
    "preferences": {
        "prompt": PROMPT, "raw": False, "chosen": "a", "rejected": "", "margin": 2.0, "item": "i", "annotator": "我",
        "synthetic": True,
    },
    "rankings": {
        "prompt": PROMPT, "raw": False, "completions": ["a", "", "我"], "tiers": [1, 0, 1], "strength": 2, "item": "i",
        "annotator": "我", "synthetic": False,
    },
    "items": {"prompt": PROMPT, "raw": False, "item": "i", "candidates": ["a", "", "我"], "people": [[0, 1, 0], [2, 1, 0]]},
}  # fmt: skip
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


@pytest.mark.parametrize("kind", SNAPSHOT_KINDS)
def test_that_a_row_of_each_kind_comes_back_as_it_was_given(tmp_path: Path, kind: SnapshotKind) -> None:
    file = write_snapshot(tmp_path, kind, [[ROWS[kind]] * 3])
    assert file.rows == 3
    assert pq.read_table(file.path).to_pylist() == [ROWS[kind]] * 3


@pytest.mark.parametrize("kind", SNAPSHOT_KINDS)
def test_that_every_column_has_the_type_that_recipes_read(tmp_path: Path, kind: SnapshotKind) -> None:
    schema = pq.read_schema(write_snapshot(tmp_path, kind, [[ROWS[kind]]]).path)
    assert tuple(schema.names) == COLUMNS[kind]
    turn = pa.struct([("role", pa.string()), ("content", pa.string())])
    types = {"raw": pa.bool_(), "synthetic": pa.bool_(), "margin": pa.float64(), "strength": pa.int64()}
    types |= {"completions": pa.list_(pa.string()), "tiers": pa.list_(pa.int64())}
    types |= {"candidates": pa.list_(pa.string()), "people": pa.list_(pa.list_(pa.int64()))}
    for name in schema.names:
        found = schema.field(name).type
        if name == "prompt":
            assert found.value_type == turn
        else:
            assert found == types.get(name, pa.string())


@pytest.mark.parametrize("kind", SNAPSHOT_KINDS)
def test_that_a_snapshot_of_nothing_is_a_whole_file_with_its_columns(tmp_path: Path, kind: SnapshotKind) -> None:
    for batches in ([], [[]], [[], []]):
        file = write_snapshot(tmp_path, kind, batches)
        assert file.rows == 0
        assert pq.read_table(file.path).num_rows == 0
    assert len(list(tmp_path.iterdir())) == 1


def test_that_the_name_is_the_hash_of_the_file(tmp_path: Path) -> None:
    file = write_snapshot(tmp_path / "deep" / "er", "documents", [[{"text": "x"}]])
    assert file.sha == hashlib.sha256(file.path.read_bytes()).hexdigest()
    assert file.path == tmp_path / "deep" / "er" / f"{file.sha}.parquet"


@pytest.mark.parametrize("sizes", [[25], [1] * 25, [10, 10, 5], [24, 1], [0, 25, 0], [7, 11, 7]])
def test_that_how_rows_arrive_does_not_change_the_file(
    tmp_path: Path, sizes: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshot_file, "ROWS_IN_A_GROUP", 10)
    rows = [{"text": f"document {n}"} for n in range(25)]
    batches, at = [], 0
    for size in sizes:
        batches.append(rows[at : at + size])
        at += size
    file = write_snapshot(tmp_path / "a", "documents", batches)
    assert file.sha == write_snapshot(tmp_path / "b", "documents", iter([rows])).sha
    assert pq.ParquetFile(file.path).num_row_groups == 3
    assert [r["text"] for r in pq.read_table(file.path).to_pylist()] == [r["text"] for r in rows]


@pytest.mark.parametrize(
    "change", [{"chosen": "b"}, {"rejected": " "}, {"margin": 1.0}, {"synthetic": False}, {"annotator": "me"}, {"raw": True}, {"item": "j"}]
)  # fmt: skip
def test_that_any_change_of_any_column_gives_another_hash(tmp_path: Path, change: dict[str, Any]) -> None:
    row = ROWS["preferences"]
    assert (
        write_snapshot(tmp_path, "preferences", [[row]]).sha
        != write_snapshot(tmp_path, "preferences", [[row | change]]).sha
    )


def test_that_the_order_of_rows_is_part_of_the_content(tmp_path: Path) -> None:
    a, b = {"text": "a"}, {"text": "b"}
    assert write_snapshot(tmp_path, "documents", [[a, b]]).sha != write_snapshot(tmp_path, "documents", [[b, a]]).sha


@settings(max_examples=15, deadline=None)
@given(rows=st.lists(st.tuples(TEXT, TEXT, st.booleans()), max_size=8))
def test_that_any_text_survives(tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str, bool]]) -> None:
    made = [{"prompt": [{"role": "user", "content": p}], "raw": raw, "completion": c} for p, c, raw in rows]
    file = write_snapshot(tmp_path_factory.mktemp("any"), "demonstrations", [made])
    assert pq.read_table(file.path).to_pylist() == made


def test_that_a_snapshot_already_there_is_never_touched_again(tmp_path: Path) -> None:
    first = write_snapshot(tmp_path, "documents", [[{"text": "x"}]])
    first.path.chmod(0o444)
    before = first.path.stat()
    assert write_snapshot(tmp_path, "documents", [[{"text": "x"}]]) == first
    after = first.path.stat()
    assert (after.st_mtime_ns, after.st_ino) == (before.st_mtime_ns, before.st_ino)
    assert [p.name for p in tmp_path.iterdir()] == [first.path.name]


@pytest.mark.parametrize("row", [{"text": 3}, {"text": ["a"]}])
def test_that_a_row_of_another_type_leaves_no_file(tmp_path: Path, row: dict[str, Any]) -> None:
    with pytest.raises((pa.ArrowInvalid, pa.ArrowTypeError)):
        write_snapshot(tmp_path, "documents", [[{"text": "fine"}], [row]])
    assert list(tmp_path.iterdir()) == []


def test_that_every_kind_of_dataset_has_columns_and_rows_here() -> None:
    assert set(ROWS) == set(SNAPSHOT_KINDS) == set(COLUMNS)
    for kind, row in ROWS.items():
        assert tuple(row) == COLUMNS[kind]
        assert json.loads(json.dumps(row)) == row
