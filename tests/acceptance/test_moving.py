"""A workspace is a folder: it may be moved, copied and reached by a link, and goes on as it was."""

import json
import shutil
from pathlib import Path

import pytest

from tests.acceptance.conftest import Say, digest
from workbench.services.workbench import Workbench


@pytest.fixture
def furnished(work: Path, shared: Path) -> Path:
    """With a model inside, an adapter over it, and a snapshot."""
    real = shared / "models" / "stories260K"
    inside = work / "models" / "inside"
    inside.mkdir(parents=True)
    for file in real.iterdir():
        shutil.copyfile(file, inside / file.name)
    adapter = work / "runs" / "sft-1" / "model"
    adapter.mkdir(parents=True)
    shutil.copyfile(next(real.glob("*.safetensors")), adapter / "adapter_model.safetensors")
    said = {"base_model_name_or_path": str(inside), "r": 8, "peft_type": "LORA"}
    (adapter / "adapter_config.json").write_text(json.dumps(said), encoding="utf-8")
    with Workbench.open(work) as bench:
        bench.models.add_folder(inside, "inside")
        bench.models.add_folder(adapter, "tuned", kind="sft", parents=("inside",))
        bench.datasets.freeze("pairs", "preferences")
    return work


def base_of(adapter: Path) -> str:
    return str(json.loads((adapter / "adapter_config.json").read_text(encoding="utf-8"))["base_model_name_or_path"])


def test_that_a_moved_workspace_finds_its_models_data_and_snapshots(furnished: Path, tmp_path: Path, say: Say) -> None:
    moved = tmp_path / "elsewhere" / "named anew"
    moved.parent.mkdir()
    furnished.rename(moved)
    models = {m["name"]: Path(m["path"]) for m in json.loads(say("models", "list", moved, "--json")[1])}
    assert models["inside"] == moved / "models" / "inside"
    assert models["tuned"] == moved / "runs" / "sft-1" / "model"
    assert all(path.is_dir() for path in models.values())
    frozen = json.loads(say("data", "freeze", moved, "pairs", "--json")[1])
    assert Path(frozen["file"]).parent == moved / "snapshots"
    assert len(list((moved / "snapshots").glob("*.parquet"))) == 1


def test_that_an_adapter_inside_a_moved_workspace_finds_its_base(furnished: Path, tmp_path: Path) -> None:
    moved = furnished.rename(tmp_path / "moved")
    with Workbench.open(moved) as bench:
        adapter = Path(bench.models.get("tuned").path)
        assert base_of(adapter) == str(moved / "models" / "inside")
        assert json.loads((adapter / "adapter_config.json").read_text(encoding="utf-8"))["r"] == 8
        assert dict(bench.models.card("tuned"))["Base of the adapter"] == str(moved / "models" / "inside")


def test_that_an_adapter_whose_base_is_where_it_was_is_not_touched(furnished: Path) -> None:
    before = digest(furnished)
    with Workbench.open(furnished):
        pass
    assert digest(furnished) == before


def test_that_an_adapter_whose_base_is_nowhere_is_left_as_it_is(furnished: Path, tmp_path: Path) -> None:
    moved = furnished.rename(tmp_path / "moved")
    shutil.rmtree(moved / "models" / "inside")
    before = base_of(moved / "runs" / "sft-1" / "model")
    with Workbench.open(moved) as bench:
        assert len(bench.models.list()) == 3
    assert base_of(moved / "runs" / "sft-1" / "model") == before


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"base_model_name_or_path": 3}'])
def test_that_a_broken_adapter_does_not_keep_a_workspace_from_opening(
    content: str, furnished: Path, tmp_path: Path
) -> None:
    moved = furnished.rename(tmp_path / "moved")
    config = moved / "runs" / "sft-1" / "model" / "adapter_config.json"
    config.write_text(content, encoding="utf-8")
    with Workbench.open(moved) as bench:
        assert [m.name for m in bench.models.list()] == ["stories", "inside", "tuned"]
    assert config.read_text(encoding="utf-8") == content


def test_that_a_copy_and_its_original_live_apart(furnished: Path, tmp_path: Path, say: Say) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(furnished, copy)
    before = digest(furnished)
    assert say("data", "import", copy, tmp_path / "pairs.jsonl", "--name", "more")[0] == 0
    assert digest(furnished) == before
    assert {d["name"] for d in json.loads(say("data", "list", copy, "--json")[1])} == {"pairs", "more"}
    paths = {m["name"]: m["path"] for m in json.loads(say("models", "list", copy, "--json")[1])}
    assert paths["inside"] == str(copy / "models" / "inside")


@pytest.mark.parametrize("way", ["by its own path", "through a link", "by a way around"])
def test_that_a_model_inside_moves_along_however_it_was_named(
    way: str, work: Path, tmp_path: Path, shared: Path
) -> None:
    inside = work / "models" / "mine"
    shutil.copytree(shared / "models" / "stories260K", inside)
    link = tmp_path / "link"
    link.symlink_to(work)
    opened, named = {
        "by its own path": (work, inside),
        "through a link": (link, inside),
        "by a way around": (work, work / "runs" / ".." / "models" / "mine"),
    }[way]
    with Workbench.open(opened) as bench:
        bench.models.add_folder(named, "mine")
    moved = work.rename(tmp_path / "moved")
    with Workbench.open(moved) as bench:
        assert bench.models.get("mine").path == str(moved / "models" / "mine")


def test_that_a_model_outside_stays_where_it_is(work: Path, tmp_path: Path, shared: Path) -> None:
    moved = work.rename(tmp_path / "moved")
    with Workbench.open(moved) as bench:
        assert bench.models.get("stories").path == str(shared / "models" / "stories260K")


def test_that_labels_and_undo_go_on_in_the_moved_workspace(work: Path, tmp_path: Path) -> None:
    with Workbench.open(work) as bench:
        shown, _ = bench.labelling.start("pairs")
        assert shown is not None
        bench.labelling.record("pairs", shown, outcome="all_bad", milliseconds=900)
    moved = work.rename(tmp_path / "moved")
    with Workbench.open(moved) as bench:
        _, progress = bench.labelling.start("pairs")
        assert (progress.judged, progress.can_undo) == (1, True)
        back = bench.labelling.undo("pairs")
        assert back.next is not None
        assert back.next.item.id == shown.item.id
        assert back.progress.judged == 0
