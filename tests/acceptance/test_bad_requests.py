"""Unknown names, wrong kinds, values out of bounds, wrong places: one clear line, and nothing has changed."""

import json
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from tests.acceptance.conftest import Say

Refused = Callable[..., str]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("data show WORK gone", "gone"),
        ("data freeze WORK gone", "gone"),
        ("data export WORK gone --format workbench --out x.jsonl", "gone"),
        ("label stats WORK gone", "gone"),
        ("models show WORK gone", "gone"),
        ("models add WORK /nowhere", "no folder"),
        ("models add WORK WORK", "no config.json"),
        ("runs show WORK gone", "no run"),
        ("runs watch WORK gone", "no run"),
        ("runs metrics WORK gone", "no run"),
        ("runs samples WORK gone", "no run"),
        ("runs pause WORK gone", "no run"),
        ("runs resume WORK gone", "no run"),
        ("runs stop WORK gone", "no run"),
        ("generate WORK gone --prompt hi", "no model"),
        ("generate WORK stories --prompt=", "empty"),
        ("generate WORK stories --prompt hi --set temperature=1", "temperature"),
        ("generate WORK stories --prompt hi --strategy sample --set temperature=-1", "temperature"),
        ("generate WORK stories --prompt hi --set max_new_tokens=many", "max_new_tokens"),
        ("train WORK sft --base gone --data pairs", "gone"),
        ("train WORK dpo --base stories --data gone", "gone"),
        ("train WORK sft --base stories --data pairs", "holds preferences; a sft run needs demonstrations"),
        ("train WORK pretrain --base stories --data pairs", "needs documents"),
        ("train WORK ppo --base stories --data pairs", "reward model"),
        ("train WORK ppo --base stories --data pairs --set reward_model=stories", "no reward model"),
        ("train WORK dpo --base stories --data pairs --set beta=-1", "beta"),
        ("train WORK dpo --base stories --data pairs --set beta=NaN", "beta"),
        ("train WORK dpo --base stories --data pairs --set bleta=1", "bleta"),
        ("train WORK dpo --base stories --data pairs --set epochs=1e99", "epochs"),
        ("train WORK dpo --base stories --data pairs --set lora=3", "lora"),
        ("train WORK dpo --base stories --data pairs --set lora.rank=abc", "lora.rank"),
        ("train WORK dpo --base stories --data pairs --set lora.depth=1", "lora.depth"),
        ("train WORK dpo --base stories --data pairs --set name=../../x", "name"),
        ("train WORK dpo --set a=1 --set a.b=2", "a part of a"),
        ("train WORK dpo --set =3", "has no value"),
        ("train WORK dpo --spec /nowhere.json", "can't be read as a spec"),
        ("train WORK dpo --spec WORK", "can't be read as a spec"),
        ("train WORK dpo --base stories --data pairs --set device=tpu", "device"),
    ],
)  # fmt: skip
def test_that_a_request_that_cannot_be_done_is_one_line(words: str, says: str, work: Path, refused: Refused) -> None:
    assert says in refused(*words.replace("WORK", str(work)).split())


@pytest.mark.parametrize("content", ["[1]", '"sft"', "3", "null", "{", '[["beta", 2]]'])
def test_that_a_spec_that_is_no_object_is_refused(content: str, work: Path, tmp_path: Path, refused: Refused) -> None:
    (tmp_path / "spec.json").write_text(content, encoding="utf-8")
    assert "can't be read as a spec" in refused("train", work, "dpo", "--spec", tmp_path / "spec.json")


@pytest.mark.parametrize(
    "words",
    [
        "data show WORK pairs --limit -1",
        "data show WORK pairs --offset -5",
        "data show WORK pairs --offset 99999999999999999999",
        "data show WORK pairs --limit 1e3",
        "data show WORK pairs --limit \u0663",
        "data import WORK",
        "train WORK magic",
        "generate WORK stories --prompt hi --strategy nonsense",
        "generate WORK stories",
        "runs show WORK",
        "nonsense WORK",
        "data list WORK --nonsense",
    ],
)
def test_that_wrong_usage_ends_with_two_and_says_how(words: str, work: Path, say: Say, unchanged: None) -> None:
    code, out, err = say(*words.replace("WORK", str(work)).split())
    assert (code, out) == (2, "")
    assert err.startswith("usage: workbench")
    assert "Traceback" not in err


def test_that_a_page_beyond_the_end_is_empty(work: Path, say: Say, unchanged: None) -> None:
    assert say("data", "show", work, "pairs", "--offset", 8) == (0, "", "")
    assert say("data", "show", work, "pairs", "--offset", 10**18, "--json") == (0, "", "")
    assert say("data", "show", work, "pairs", "--limit", 0) == (0, "", "")


def broken_model(kind: str, folder: Path, real: Path) -> Path:
    folder.mkdir()
    for file in real.iterdir():
        if file.is_file():
            shutil.copyfile(file, folder / file.name)
    weights = next(folder.glob("*.safetensors"))
    if kind == "without weights":
        weights.unlink()
    elif kind == "pickled":
        weights.rename(folder / "pytorch_model.bin")
    elif kind == "truncated":
        weights.write_bytes(weights.read_bytes()[:-1000])
    elif kind == "empty weights":
        weights.write_bytes(b"")
    elif kind == "html instead":
        weights.write_bytes(b"<!DOCTYPE html><html>not found</html>")
    elif kind == "config not json":
        (folder / "config.json").write_text("hidden_size = 64", encoding="utf-8")
    elif kind == "config a list":
        (folder / "config.json").write_text("[]", encoding="utf-8")
    elif kind == "without config":
        (folder / "config.json").unlink()
    return folder


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ("without weights", "safetensors"),
        ("pickled", "safetensors"),
        ("truncated", "not a complete safetensors file"),
        ("empty weights", "not a complete safetensors file"),
        ("html instead", "not a complete safetensors file"),
        ("config not json", "can't be read"),
        ("config a list", "configuration"),
        ("without config", "no config.json"),
    ],
)
def test_that_a_broken_model_is_neither_added_nor_trained(
    kind: str, says: str, work: Path, tmp_path: Path, shared: Path, refused: Refused
) -> None:
    folder = broken_model(kind, tmp_path / "model", shared / "models" / "stories260K")
    assert says in refused("models", "add", work, folder)
    refused("train", work, "dpo", "--base", folder, "--data", "pairs")


def test_that_a_model_name_that_is_no_name_or_taken_is_refused(work: Path, shared: Path, refused: Refused) -> None:
    folder = shared / "models" / "stories260K"
    assert "already a model" in refused("models", "add", work, folder, "--name", "stories")
    for name in ("../x", "a b", "-x", "x" * 81, ".hidden"):
        assert "can't be a model's name" in refused("models", "add", work, folder, f"--name={name}")


EVERY_VERB = [
    "data list WORK", "data show WORK pairs", "runs list WORK", "models list WORK", "label stats WORK pairs",
    "train WORK dpo --base stories --data pairs", "generate WORK stories --prompt hi", "doctor WORK",
]  # fmt: skip


@pytest.mark.parametrize("words", EVERY_VERB)
def test_that_a_newer_workspace_is_left_alone_by_every_verb(words: str, work: Path, say: Say) -> None:
    with closing(sqlite3.connect(work / "workbench.db")) as connection:
        connection.execute("PRAGMA user_version = 999")
    before = (work / "workbench.db").read_bytes()
    code, out, err = say(*words.replace("WORK", str(work)).split())
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert "newer version" in err
    assert "Update" in err
    assert (work / "workbench.db").read_bytes() == before
    assert not (work / "backups").exists()


@pytest.mark.parametrize("words", EVERY_VERB)
def test_that_a_file_is_no_workspace_for_any_verb(words: str, tmp_path: Path, say: Say) -> None:
    (tmp_path / "file").write_text("hello", encoding="utf-8")
    code, out, err = say(*words.replace("WORK", str(tmp_path / "file")).split())
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert "There is no workspace" in err
    assert (tmp_path / "file").read_text(encoding="utf-8") == "hello"


@pytest.mark.parametrize("content", [b"hello, I am no database at all", b"SQLite format 3\x00" + bytes(200)])
def test_that_a_damaged_database_is_told_with_the_way_back(content: bytes, work: Path, say: Say) -> None:
    for file in work.glob("workbench.db*"):
        file.unlink()
    (work / "workbench.db").write_bytes(content)
    code, out, err = say("data", "list", work)
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert "backups" in err
    assert (work / "workbench.db").read_bytes() == content


@pytest.mark.parametrize("place", ["file", "file/inside", "full"])
def test_that_a_workspace_is_made_only_in_a_place_of_its_own(place: str, tmp_path: Path, say: Say) -> None:
    (tmp_path / "file").write_text("hello", encoding="utf-8")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "letter.txt").write_text("dear", encoding="utf-8")
    code, out, err = say("new", tmp_path / place)
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["file", "full", "letter.txt"]


def test_that_a_mistake_of_the_workbench_is_one_line_too(work: Path, say: Say, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.rmtree(work / "runs")
    with closing(sqlite3.connect(work / "workbench.db")) as connection:
        connection.execute("UPDATE models SET created = 'yesterday'")
        connection.commit()
    code, out, err = say("models", "list", work)
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert "Traceback" not in err
    monkeypatch.setenv("WORKBENCH_TRACEBACK", "1")
    with pytest.raises(TypeError):
        say("models", "list", work)


def test_that_json_mode_says_nothing_on_stdout_when_it_fails(work: Path, refused: Refused) -> None:
    for words in (("data", "show", work, "gone"), ("models", "show", work, "gone"), ("runs", "show", work, "gone")):
        line = refused(*words, "--json")
        with pytest.raises(json.JSONDecodeError):
            json.loads(line)
