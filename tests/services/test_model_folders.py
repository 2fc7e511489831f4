"""Folders that may or may not hold a model: every defect has a sentence, and nothing is ever executed."""

import json
import struct
from pathlib import Path
from typing import Any

import pytest

from workbench.domain.errors import BadInput, NotFound, WorkbenchError
from workbench.services.fit import Shape, shape_of
from workbench.services.model_folder import count_parameters, inspect_folder
from workbench.services.workbench import Workbench

SMALL = Shape(512, 8, 32000, 0)


def weights(path: Path, header: object = None, data: bytes | None = None) -> Path:
    """A safetensors file by its definition: the header's length, the header, the data."""
    if header is None:
        header = {"w": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}}
    packed = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(packed)) + packed + (bytes(24) if data is None else data))
    return path


def model(folder: Path, config: Any = None, name: str = "model.safetensors") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps({"architectures": ["X"]} if config is None else config))
    weights(folder / name)
    return folder


def adapter(folder: Path, base: str, **fields: object) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": base, **fields}))
    weights(folder / "adapter_model.safetensors")
    return folder


@pytest.mark.parametrize(
    ("architectures", "kind"),
    [
        (["LlamaForCausalLM"], "base"), (["LlamaForSequenceClassification"], "reward"), ([], "base"), (None, "base"),
        ("BertForSequenceClassification", "reward"), (3, "base"), ({"a": 1}, "base"),
    ],
)  # fmt: skip
def test_that_the_kind_follows_from_the_architecture_however_it_is_written(
    tmp_path: Path, architectures: object, kind: str
) -> None:
    assert inspect_folder(model(tmp_path, {"architectures": architectures})).kind == kind


@pytest.mark.parametrize(("task", "kind"), [("CAUSAL_LM", "base"), ("SEQ_CLS", "reward"), (None, "base")])
def test_that_an_adapter_s_kind_follows_from_its_task(tmp_path: Path, task: str | None, kind: str) -> None:
    found = inspect_folder(adapter(tmp_path, "base", task_type=task))
    assert (found.form, found.kind, found.parameters) == ("adapter", kind, 6)


def test_that_a_folder_with_both_is_taken_as_the_adapter(tmp_path: Path) -> None:
    model(tmp_path)
    found = inspect_folder(adapter(tmp_path, "elsewhere"))
    assert (found.form, found.parameters) == ("adapter", 6)


def test_that_the_parameters_of_all_shards_are_added_up(tmp_path: Path) -> None:
    names = [f"model-0000{n}-of-00003.safetensors" for n in (1, 2, 3)]
    for name in names:
        model(tmp_path, name=name)
    index = {"weight_map": {f"layer{n}": name for n, name in enumerate(names)}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    assert inspect_folder(tmp_path).parameters == 18
    (tmp_path / names[1]).unlink()
    with pytest.raises(BadInput, match="lacks 1 of its weight files: model-00002"):
        inspect_folder(tmp_path)


@pytest.mark.parametrize(
    "index",
    ["", "{", "[]", "3", "null", "{}", '{"weight_map": 3}', '{"weight_map": {"a": ["b"]}}', '{"weight_map": {"a": 3}}'],
)
def test_that_a_damaged_index_is_named(tmp_path: Path, index: str) -> None:
    (model(tmp_path) / "model.safetensors.index.json").write_text(index)
    with pytest.raises(BadInput, match=r"index\.json can't be read") as caught:
        inspect_folder(tmp_path)
    assert caught.value.hint


@pytest.mark.parametrize("config", ["", "{", "[]", "3", "null", '"text"', "\ufeff{"])
def test_that_a_config_that_is_no_object_is_refused(tmp_path: Path, config: str) -> None:
    (model(tmp_path) / "config.json").write_text(config, encoding="utf-8")
    with pytest.raises(BadInput, match=r"config\.json"):
        inspect_folder(tmp_path)


HEADERS: list[object] = [
    [], 3, "text", {"w": 3}, {"w": {}}, {"w": {"shape": [2, 3]}}, {"w": {"shape": "23", "data_offsets": [0, 24]}},
    {"w": {"shape": [2, 3], "data_offsets": [0]}}, {"w": {"shape": [2, 3], "data_offsets": [0, 23]}},
    {"w": {"shape": [2, 3], "data_offsets": "ab"}}, {"w": {"shape": None, "data_offsets": [0, 24]}},
]  # fmt: skip


@pytest.mark.parametrize("header", HEADERS, ids=json.dumps)
def test_that_a_header_that_makes_no_sense_is_called_incomplete(tmp_path: Path, header: object) -> None:
    with pytest.raises(BadInput, match="not a complete safetensors file"):
        count_parameters(weights(tmp_path / "m.safetensors", header))


@pytest.mark.parametrize(
    "content",
    [b"", b"\x00" * 7, b"\x00" * 8, b"\xff" * 64, struct.pack("<Q", 2) + b"{", struct.pack("<Q", 2) + b"\xff\xff"],
)
def test_that_a_file_cut_anywhere_is_called_incomplete(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "m.safetensors").write_bytes(content)
    with pytest.raises(BadInput, match="not a complete safetensors file"):
        count_parameters(tmp_path / "m.safetensors")


def test_that_every_missing_byte_of_a_real_model_is_noticed(tmp_path: Path, stories: Path) -> None:
    whole = (stories / "model.safetensors").read_bytes()
    for cut in (1, 4, 1000, len(whole) - 9):
        (tmp_path / "m.safetensors").write_bytes(whole[:-cut])
        with pytest.raises(BadInput):
            count_parameters(tmp_path / "m.safetensors")
    (tmp_path / "m.safetensors").write_bytes(whole + b"\x00")
    with pytest.raises(BadInput):
        count_parameters(tmp_path / "m.safetensors")


def test_that_metadata_and_empty_tensors_count_as_nothing(tmp_path: Path) -> None:
    header = {"__metadata__": {"format": "pt"}, "none": {"dtype": "F32", "shape": [0, 7], "data_offsets": [0, 0]}}
    assert count_parameters(weights(tmp_path / "m.safetensors", header, b"")) == 0
    assert count_parameters(weights(tmp_path / "n.safetensors", {}, b"")) == 0


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "model.pth", "model.ckpt", "model.pkl"])
def test_that_pickled_weights_are_named_and_never_opened(tmp_path: Path, name: str) -> None:
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / name).write_bytes(b"\x80\x04cos\nsystem\n(S'exit 1'\ntR.")
    with pytest.raises(BadInput, match=name) as caught:
        inspect_folder(tmp_path)
    assert "safetensors" in caught.value.hint


@pytest.mark.parametrize("place", ["absent", "file", "folder/../absent"])
def test_that_a_place_without_a_folder_is_not_found(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(NotFound, match="There is no folder") as caught:
        inspect_folder(tmp_path / place)
    assert "config.json" in caught.value.hint


def test_that_names_of_folders_may_hold_anything(bench: Workbench, tmp_path: Path) -> None:
    odd = model(tmp_path / "my model ünïcode 模型 'x'")
    with pytest.raises(BadInput, match="can't be a model's name"):
        bench.models.add_folder(odd)
    assert bench.models.add_folder(odd, "plain").path == str(odd)
    assert bench.models.get("plain").parameters == 6


@pytest.mark.parametrize("name", [" ", ".hidden", "-x", "a b", "a/b", "ä", "x" * 81, "a\n", "../up"])
def test_that_a_name_that_is_no_file_name_is_refused_before_anything_is_kept(
    bench: Workbench, tmp_path: Path, name: str
) -> None:
    with pytest.raises(BadInput, match="can't be a model's name"):
        bench.models.add_folder(model(tmp_path / "m"), name)
    assert bench.models.list() == []


@pytest.mark.parametrize("name", ["a", "A.b-c_9", "0", "x" * 80])
def test_that_a_plain_name_is_taken_as_it_is(bench: Workbench, tmp_path: Path, name: str) -> None:
    assert bench.models.add_folder(model(tmp_path / "m"), name).name == name


def test_that_a_result_finds_the_first_free_number(bench: Workbench, tmp_path: Path) -> None:
    folder = model(tmp_path / "m")
    made = [bench.models.register_result("dpo", "dpo", folder, parents=("b",), run=f"dpo-{n}").name for n in range(3)]
    assert made == ["dpo", "dpo-2", "dpo-3"]
    bench.models.remove("dpo-2")
    assert bench.models.register_result("dpo", "dpo", folder, parents=(), run="dpo-9").name == "dpo-2"


@pytest.mark.parametrize("content", [None, "[]", "3", "{", "{}"])
def test_that_a_card_can_be_read_though_the_config_was_damaged_later(
    bench: Workbench, tmp_path: Path, content: str | None
) -> None:
    folder = model(tmp_path / "m")
    bench.models.add_folder(folder, "m")
    (folder / "config.json").unlink() if content is None else (folder / "config.json").write_text(content)
    card = dict(bench.models.card("m"))
    assert card["Files"] == "the folder can't be read"
    assert card["Parameters"] == "6"


def test_that_the_card_tells_kind_parents_run_and_what_the_config_says(bench: Workbench, tmp_path: Path) -> None:
    config = {"architectures": ["LlamaForCausalLM"], "vocab_size": 32000, "hidden_size": 64}
    bench.models.add_folder(
        model(tmp_path / "m", config), "m", kind="ppo", parents=("sft", "judge"), run="ppo-1", synthetic=True
    )
    card = dict(bench.models.card("m"))
    assert (card["Kind"], card["Parents"], card["Made by run"], card["Weights"]) == (
        "ppo",
        "sft, judge",
        "ppo-1",
        "full",
    )
    assert (card["Architecture"], card["Vocabulary"], card["Width"]) == ("LlamaForCausalLM", "32,000", "64")
    assert card["Data"].startswith("synthetic")
    with pytest.raises(WorkbenchError, match="nobody"):
        bench.models.card("nobody")


def test_that_a_chain_of_adapters_leads_to_the_base_s_shape(tmp_path: Path) -> None:
    config = {"hidden_size": 64, "num_hidden_layers": 5, "vocab_size": 512, "max_position_embeddings": 512}
    model(tmp_path / "base", config)
    adapter(tmp_path / "one", str(tmp_path / "base"))
    adapter(tmp_path / "two", "../one")
    assert shape_of(tmp_path / "two") == shape_of(tmp_path / "base") == Shape(64, 5, 512, 512)


def test_that_adapters_in_a_circle_end_in_a_guess(tmp_path: Path) -> None:
    adapter(tmp_path / "a", "../b")
    adapter(tmp_path / "b", "../a")
    adapter(tmp_path / "self", ".")
    assert shape_of(tmp_path / "a") == shape_of(tmp_path / "self") == SMALL


@pytest.mark.parametrize(
    "config", [[], 3, {"hidden_size": "wide"}, {"hidden_size": None}, {"vocab_size": -5}, {"hidden_size": [64]}]
)
def test_that_a_shape_that_is_not_said_in_numbers_is_taken_as_small(tmp_path: Path, config: object) -> None:
    assert shape_of(model(tmp_path, config)) == SMALL
