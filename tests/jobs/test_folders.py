import errno
import os
import sys
from pathlib import Path

import pytest

from workbench.domain.errors import BadInput, Conflict, NotFound, StorageFailed
from workbench.domain.specs.dpo import DpoSpec
from workbench.domain.specs.sft import SftSpec
from workbench.jobs import folders
from workbench.jobs.launch import Launcher
from workbench.protocol.run_folder import RunFolder


def test_that_a_run_folder_holds_its_spec_its_data_and_the_wish_to_run(tmp_path: Path) -> None:
    snapshot = tmp_path / "abc.parquet"
    snapshot.write_bytes(b"rows")
    folder = tmp_path / "runs" / "1"
    folders.make_run(folder, DpoSpec(beta=0.3), snapshot)
    assert folders.read_spec(folder) == DpoSpec(beta=0.3)
    assert (folder / "data.parquet").read_bytes() == b"rows"
    assert (folder / "data.parquet").stat().st_ino == snapshot.stat().st_ino
    assert folders.wanted(folder) == "run"


def test_that_data_is_copied_where_it_can_not_be_linked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Path, target: Path) -> None:
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    snapshot = tmp_path / "abc.parquet"
    snapshot.write_bytes(b"rows")
    folders.make_run(tmp_path / "run", SftSpec(), snapshot)
    assert (tmp_path / "run" / "data.parquet").read_bytes() == b"rows"


def test_that_a_taken_folder_is_refused_and_left_alone(tmp_path: Path) -> None:
    folders.make_run(tmp_path / "run", SftSpec(seed=1), None)
    with pytest.raises(Conflict):
        folders.make_run(tmp_path / "run", SftSpec(seed=2), None)
    assert folders.read_spec(tmp_path / "run").seed == 1


def test_that_missing_data_leaves_no_half_made_folder(tmp_path: Path) -> None:
    with pytest.raises(StorageFailed) as caught:
        folders.make_run(tmp_path / "run", SftSpec(), tmp_path / "no.parquet")
    assert "could not be written" in caught.value.what
    assert not (tmp_path / "run").exists()


def test_that_a_place_that_is_no_folder_gives_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("a file stands where the folder should be")
    with pytest.raises((StorageFailed, Conflict)) as caught:
        folders.make_run(tmp_path / "runs" / "1", SftSpec(), None)
    assert caught.value.hint


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full, a disk that is always full")
def test_that_a_full_disk_gives_a_clear_error_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Path.open

    def on_a_full_disk(self: Path, mode: str = "r", *args: object, **options: object) -> object:
        return real(Path("/dev/full") if "spec.json" in self.name and "w" in mode else self, mode, *args, **options)

    monkeypatch.setattr(Path, "open", on_a_full_disk)
    with pytest.raises(StorageFailed) as caught:
        folders.make_run(tmp_path / "run", SftSpec(), None)
    assert "No space left" in caught.value.what
    assert not (tmp_path / "run").exists()


def test_that_a_wish_to_a_folder_that_has_gone_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(StorageFailed) as caught:
        folders.want(tmp_path / "gone", "stop")
    assert "could not be told to stop" in caught.value.what


def test_that_specs_that_are_missing_or_damaged_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        folders.read_spec(tmp_path)
    (tmp_path / "spec.json").write_text("{")
    with pytest.raises(BadInput):
        folders.read_spec(tmp_path)


def test_that_only_complete_checkpoints_count(tmp_path: Path) -> None:
    assert folders.checkpoint_steps(tmp_path) == ()
    for name in ("20", "100", ".30.tmp", "notes"):
        (tmp_path / "checkpoints" / name).mkdir(parents=True)
    assert folders.checkpoint_steps(tmp_path) == (20, 100)


def test_that_files_are_listed_with_their_sizes(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "w.safetensors").write_bytes(b"12345")
    (tmp_path / "log.txt").write_bytes(b"1")
    assert folders.files(tmp_path) == (("log.txt", 1), (str(Path("model") / "w.safetensors"), 5))


def test_that_the_end_of_a_log_begins_with_a_whole_line(tmp_path: Path) -> None:
    assert folders.log_tail(tmp_path, 100) == ""
    (tmp_path / "log.txt").write_bytes("first line\nsecond λine\nthird\n".encode())
    assert folders.log_tail(tmp_path, 1000) == "first line\nsecond λine\nthird\n"
    assert folders.log_tail(tmp_path, 15) == "third\n"


def test_that_a_log_with_broken_bytes_can_still_be_read(tmp_path: Path) -> None:
    (tmp_path / "log.txt").write_bytes(b"ok \xff\n")
    assert folders.log_tail(tmp_path, 100) == "ok �\n"


def test_that_a_run_at_work_is_not_deleted(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folders.make_run(folder, SftSpec(), None)
    sleep = lambda path: [sys.executable, "-c", "import time; time.sleep(60)"]  # noqa: E731
    child = Launcher(sleep).start(RunFolder(folder), "cpu", 0)
    with pytest.raises(Conflict):
        folders.delete_run(folder)
    assert folder.is_dir()
    child.kill()
    while child.alive():
        pass
    folders.delete_run(folder)
    assert not folder.exists()
    folders.delete_run(folder)
