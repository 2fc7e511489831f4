"""Models, settings, snapshots and leases."""

from datetime import UTC, datetime
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from workbench.domain.errors import Conflict, NotFound, StorageFailed
from workbench.domain.rows import COLUMNS, DATASET_KINDS
from workbench.domain.runs import ModelRef
from workbench.store.snapshot_file import write_snapshot
from workbench.store.store import Store, open_store


def model(name: str, path: Path, **more: object) -> ModelRef:
    fields = {"name": name, "path": str(path), "kind": "sft", "created": datetime.now(UTC)}
    return ModelRef.model_validate(fields | more)


def test_that_a_model_comes_back_with_its_parents_in_order(store: Store, tmp_path: Path) -> None:
    ref = model("ppo-1", tmp_path, kind="ppo", parents=("sft-1", "reward-1"), run="ppo-1", parameters=5, synthetic=True)
    store.models.add(ref)
    assert store.models.get("ppo-1") == ref
    assert store.models.list() == [ref]


def test_that_a_model_inside_the_workspace_moves_with_it(store: Store, workspace: Path, tmp_path: Path) -> None:
    store.models.add(model("inside", workspace / "runs/sft-1/model"))
    store.models.add(model("outside", tmp_path / "elsewhere"))
    store.close()
    moved = workspace.rename(tmp_path / "moved")
    again = open_store(moved)
    assert again.models.get("inside").path == str(moved / "runs/sft-1/model")
    assert again.models.get("outside").path == str(tmp_path / "elsewhere")
    again.close()


def test_that_a_renamed_model_keeps_its_children(store: Store, tmp_path: Path) -> None:
    store.models.add(model("base", tmp_path))
    store.models.add(model("child", tmp_path, parents=("base",)))
    store.models.rename("base", "root")
    assert store.models.get("child").parents == ("root",)
    with pytest.raises(Conflict):
        store.models.rename("child", "root")
    with pytest.raises(NotFound):
        store.models.rename("base", "other")


def test_that_a_model_name_is_given_once_and_removed_once(store: Store, tmp_path: Path) -> None:
    store.models.add(model("base", tmp_path))
    with pytest.raises(Conflict, match="already"):
        store.models.add(model("base", tmp_path))
    store.models.remove("base")
    with pytest.raises(NotFound):
        store.models.remove("base")


def test_that_settings_are_kept_by_name(store: Store) -> None:
    store.settings.set(theme="dark", threads=2)
    store.settings.set(theme="light")
    assert store.settings.get() == {"theme": "light", "threads": 2}


def test_that_an_expired_lease_can_be_taken(store: Store) -> None:
    assert store.leases.acquire("x", "dead", -1)
    assert not store.leases.held("x")
    assert store.leases.acquire("x", "alive", 60)
    assert store.leases.held("x")
    assert not store.leases.acquire("x", "dead", 60)


def test_that_the_same_snapshot_is_listed_once(store: Store) -> None:
    store.snapshots.add("abc", "pairs", "preferences", 12)
    store.snapshots.add("abc", "pairs", "preferences", 12)
    (only,) = store.snapshots.list()
    assert (only.sha, only.dataset, only.kind, only.rows) == ("abc", "pairs", "preferences", 12)


def test_that_a_snapshot_is_named_by_its_content_and_written_once(tmp_path: Path) -> None:
    texts = [{"text": f"document {n}"} for n in range(30)]
    first = write_snapshot(tmp_path, "documents", [texts])
    stamp = first.path.stat().st_mtime_ns
    again = write_snapshot(tmp_path, "documents", [texts[:7], texts[7:]])
    other = write_snapshot(tmp_path, "documents", [texts[:29]])
    assert first == again
    assert first.path.stat().st_mtime_ns == stamp
    assert other.sha != first.sha
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted([first.path.name, other.path.name])
    assert pq.read_table(first.path).to_pylist() == texts


@pytest.mark.parametrize("kind", DATASET_KINDS)
def test_that_a_snapshot_has_the_columns_of_its_kind(tmp_path: Path, kind: str) -> None:
    file = write_snapshot(tmp_path, kind, [])  # type: ignore[arg-type]
    assert tuple(pq.read_schema(file.path).names) == COLUMNS[kind]  # type: ignore[index]


def test_that_a_snapshot_that_breaks_off_leaves_no_file(tmp_path: Path) -> None:
    def broken() -> object:
        yield [{"text": "a"}] * 20_000
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_snapshot(tmp_path, "documents", broken())  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


def test_that_a_place_that_cannot_hold_snapshots_is_reported(tmp_path: Path) -> None:
    (tmp_path / "snapshots").write_text("a file")
    with pytest.raises(StorageFailed):
        write_snapshot(tmp_path / "snapshots", "documents", [])
