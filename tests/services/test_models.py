"""Model folders are checked without torch; what is wrong with one is said in a sentence."""

import json
import math
import shutil
import struct
from pathlib import Path

import pytest
from safetensors import safe_open

from workbench.domain.errors import BadInput, Conflict, NotFound
from workbench.services.model_folder import count_parameters, inspect_folder
from workbench.services.workbench import Workbench


def weights(path: Path, *shapes: tuple[int, ...]) -> Path:
    """A safetensors file of zeros."""
    header, end = {}, 0
    for n, shape in enumerate(shapes):
        size = 4
        for side in shape:
            size *= side
        header[f"t{n}"] = {"dtype": "F32", "shape": list(shape), "data_offsets": [end, end + size]}
        end += size
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + bytes(end))
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A small folder that looks like a causal language model."""
    made = tmp_path / "tiny"
    made.mkdir()
    (made / "config.json").write_text(json.dumps({"architectures": ["LlamaForCausalLM"], "hidden_size": 8}))
    weights(made / "model.safetensors", (4, 8), (8,))
    return made


def test_that_a_real_model_is_added_where_it_is(bench: Workbench, shared: Path) -> None:
    model = bench.models.add_folder(shared / "models/stories260K", "stories")
    assert (model.name, model.kind, model.form, model.parameters) == ("stories", "base", "full", 260_032)
    assert model.path == str(shared / "models/stories260K")
    assert bench.models.get("stories") == model
    card = dict(bench.models.card("stories"))
    assert card["Parameters"] == "260,032"
    assert card["Architecture"] == "LlamaForCausalLM"


def test_that_the_count_of_parameters_is_that_of_the_safetensors_library(shared: Path) -> None:
    path = shared / "models/stories260K"
    with safe_open(path / "model.safetensors", framework="numpy") as tensors:
        counted = sum(math.prod(tensors.get_slice(name).get_shape()) for name in tensors.keys())  # noqa: SIM118
    assert inspect_folder(path).parameters == counted


def test_that_a_folder_without_weights_is_refused(bench: Workbench, folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    with pytest.raises(BadInput, match="no weights"):
        bench.models.add_folder(folder)
    assert bench.models.list() == []


def test_that_pickled_weights_are_refused_with_a_way_out(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(BadInput, match=r"pytorch_model\.bin") as caught:
        inspect_folder(folder)
    assert "save_pretrained" in caught.value.hint


def test_that_a_folder_without_a_config_is_no_model(folder: Path) -> None:
    (folder / "config.json").unlink()
    with pytest.raises(BadInput, match=r"no config\.json"):
        inspect_folder(folder)


@pytest.mark.parametrize("content", [b"{", b"[]", b"\xff\xfe{}"])
def test_that_a_config_that_cannot_be_read_is_named(folder: Path, content: bytes) -> None:
    (folder / "config.json").write_bytes(content)
    with pytest.raises(BadInput, match=r"config\.json"):
        inspect_folder(folder)


def test_that_a_path_that_is_no_folder_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no folder"):
        inspect_folder(tmp_path / "absent")


@pytest.mark.parametrize("damage", ["cut", "header", "empty", "longer"])
def test_that_damaged_weights_are_refused(folder: Path, damage: str) -> None:
    file = folder / "model.safetensors"
    content = file.read_bytes()
    broken = {
        "cut": content[:-7],
        "header": b"\xff" * 8 + content[8:],
        "empty": b"",
        "longer": content + b"x",
    }
    file.write_bytes(broken[damage])
    with pytest.raises(BadInput, match="not a complete safetensors file"):
        inspect_folder(folder)


def test_that_every_shard_must_be_there(folder: Path) -> None:
    weights(folder / "model-00001-of-00002.safetensors", (2, 2))
    (folder / "model.safetensors").unlink()
    index = {"weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(BadInput, match="00002-of-00002"):
        inspect_folder(folder)
    weights(folder / "model-00002-of-00002.safetensors", (3,))
    assert inspect_folder(folder).parameters == 7


def test_that_an_adapter_and_a_reward_model_are_recognised(folder: Path) -> None:
    (folder / "config.json").write_text(json.dumps({"architectures": ["LlamaForSequenceClassification"]}))
    assert inspect_folder(folder).kind == "reward"
    (folder / "config.json").unlink()
    (folder / "model.safetensors").rename(folder / "adapter_model.safetensors")
    (folder / "adapter_config.json").write_text(json.dumps({"r": 4, "base_model_name_or_path": "base"}))
    found = inspect_folder(folder)
    assert (found.form, found.kind, found.parameters) == ("adapter", "base", 40)


def test_that_a_scalar_counts_as_one_value(tmp_path: Path) -> None:
    assert count_parameters(weights(tmp_path / "one.safetensors", ())) == 1


def test_that_names_are_checked_and_given_once(bench: Workbench, folder: Path) -> None:
    bench.models.add_folder(folder)
    with pytest.raises(Conflict):
        bench.models.add_folder(folder, "tiny")
    for wrong in ("../up", "a b", ".hidden", "x" * 81):
        with pytest.raises(BadInput, match="name"):
            bench.models.add_folder(folder, wrong)


def test_that_a_result_whose_name_is_taken_gets_a_number(bench: Workbench, folder: Path) -> None:
    bench.models.add_folder(folder, "sft")
    names = [bench.models.register_result("sft", "sft", folder, parents=("base",), run="sft-1").name for _ in range(2)]
    assert names == ["sft-2", "sft-3"]
    assert bench.models.get("sft-2").parents == ("base",)


def test_that_renaming_and_removing_leave_the_files_alone(bench: Workbench, folder: Path) -> None:
    bench.models.add_folder(folder)
    assert bench.models.rename("tiny", "small").name == "small"
    bench.models.remove("small")
    assert (folder / "model.safetensors").exists()
    with pytest.raises(NotFound):
        bench.models.get("small")


def test_that_the_card_of_a_model_whose_folder_has_gone_says_so(bench: Workbench, folder: Path) -> None:
    bench.models.add_folder(folder, synthetic=True)
    shutil.rmtree(folder)
    card = dict(bench.models.card("tiny"))
    assert card["Files"] == "the folder can't be read"
    assert "synthetic" in card["Data"]


def test_that_a_family_is_the_base_and_all_that_came_of_it(bench: Workbench, stories: Path) -> None:
    for name, kind, parents in (
        ("base", "base", ()), ("other", "base", ()), ("sft", "sft", ("base",)), ("judge", "reward", ("sft",)),
        ("dpo", "dpo", ("sft",)), ("ppo", "ppo", ("sft", "judge")), ("stray", "sft", ("other",)),
    ):  # fmt: skip
        bench.models.add_folder(stories, name, kind=kind, parents=parents)
    for name in ("base", "sft", "ppo"):
        assert [m.name for m in bench.models.family(name)] == ["base", "sft", "dpo", "ppo"]
    assert [m.name for m in bench.models.family("stray")] == ["other", "stray"]
