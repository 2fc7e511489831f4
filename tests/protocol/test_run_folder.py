import json
import threading
from pathlib import Path

import pytest

from workbench.domain.errors import BadInput, NotFound
from workbench.domain.specs.kinds import SPECS
from workbench.domain.specs.sft import SftSpec
from workbench.protocol.run_folder import RunFolder, read_json, write_atomically


@pytest.mark.parametrize("kind", list(SPECS))
def test_that_a_spec_of_each_kind_is_written_with_every_default_and_read_back(tmp_path: Path, kind: str) -> None:
    folder = RunFolder(tmp_path / "run")
    folder.create(SPECS[kind](name="a"))
    assert set(read_json(folder.spec)) == set(SPECS[kind].model_fields)
    assert folder.read_spec() == SPECS[kind](name="a")


def test_that_a_folder_without_a_spec_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(NotFound) as caught:
        RunFolder(tmp_path).read_spec()
    assert str(tmp_path) in caught.value.what


@pytest.mark.parametrize("content", ["", "{", '{"kind": "sft", "learning_rate": -1}', '{"kind": "dance"}', "[]"])
def test_that_a_damaged_spec_is_one_clear_sentence(tmp_path: Path, content: str) -> None:
    (tmp_path / "spec.json").write_text(content)
    with pytest.raises(BadInput) as caught:
        RunFolder(tmp_path).read_spec()
    assert caught.value.hint


def test_that_a_spec_that_is_no_text_is_one_clear_sentence(tmp_path: Path) -> None:
    (tmp_path / "spec.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BadInput):
        RunFolder(tmp_path).read_spec()


def test_that_a_run_folder_is_never_made_twice(tmp_path: Path) -> None:
    RunFolder(tmp_path / "run").create(SftSpec())
    with pytest.raises(FileExistsError):
        RunFolder(tmp_path / "run").create(SftSpec())


def test_that_what_is_wanted_is_run_until_something_else_is_said(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    assert folder.wanted() == "run"
    for word in ("pause", "stop", "run"):
        folder.want(word)
        assert folder.wanted() == word


def test_that_a_reader_never_sees_half_a_wish(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.want("run")
    seen: list[str] = []
    done = threading.Event()

    def watch() -> None:
        while not done.is_set():
            seen.append(folder.wanted())

    watcher = threading.Thread(target=watch)
    watcher.start()
    for _ in range(50):
        folder.want("pause")
        folder.want("run")
    done.set()
    watcher.join()
    assert set(seen) <= {"run", "pause"}


def test_that_a_replaced_file_leaves_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "small.json"
    write_atomically(path, "1")
    write_atomically(path, "2")
    assert path.read_text() == "2"
    assert [p.name for p in tmp_path.iterdir()] == ["small.json"]


def test_that_a_failed_replacement_keeps_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "small.json"
    write_atomically(path, "old")
    with pytest.raises(UnicodeEncodeError):
        write_atomically(path, "half a pair: \ud800")
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["small.json"]


def test_that_checkpoints_are_listed_by_step_and_half_written_ones_are_not(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    assert folder.complete_checkpoints() == []
    for name in ("9", "100", "20", "30.tmp", ".40"):
        (folder.checkpoints / name).mkdir(parents=True)
    assert [p.name for p in folder.complete_checkpoints()] == ["9", "20", "100"]


def test_that_the_names_in_a_folder_are_those_of_the_design() -> None:
    folder = RunFolder(Path("r"))
    names = [
        p.name
        for p in (folder.spec, folder.data, folder.control, folder.events, folder.log, folder.checkpoints, folder.model)
    ]
    assert names == ["spec.json", "data.parquet", "control.json", "events.jsonl", "log.txt", "checkpoints", "model"]
    assert json.loads(SftSpec().model_dump_json())["kind"] == "sft"
