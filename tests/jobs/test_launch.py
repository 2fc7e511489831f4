import json
import os
import sys
import time
from pathlib import Path

import psutil
import pytest

from workbench.domain.errors import StorageFailed
from workbench.domain.specs.sft import SftSpec
from workbench.jobs.child import Child, read_launched
from workbench.jobs.launch import Launcher, environment, worker_command
from workbench.protocol.run_folder import RunFolder

TELL = "import json, os, sys; print(json.dumps([os.getsid(0) == os.getpid(), sys.stdin.read(), os.getcwd(), os.environ.get('OMP_NUM_THREADS')]))"


def folder_in(tmp_path: Path) -> RunFolder:
    folder = RunFolder(tmp_path / "runs" / "a run")
    folder.create(SftSpec())
    return folder


def end_of(child: Child) -> None:
    end = time.monotonic() + 30
    while child.alive():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_that_a_worker_has_its_own_session_no_input_and_its_output_in_the_log(tmp_path: Path) -> None:
    folder = folder_in(tmp_path)
    folder.log.write_text("from the first launch\n")
    child = Launcher(lambda path: [sys.executable, "-c", TELL], threads=lambda: 3).start(folder, "cpu", after=17)
    launched = read_launched(folder)
    assert launched is not None
    assert (launched.pid, launched.slot, launched.after) == (child.pid, "cpu", 17)
    end_of(child)
    first, second = folder.log.read_text().splitlines()
    assert first == "from the first launch"
    assert json.loads(second) == [True, "", str(folder.path), "3"]


def test_that_the_command_is_this_interpreter_and_this_package() -> None:
    words = worker_command(Path("/somewhere/runs/1"))
    assert words[0] == sys.executable
    assert words[-4:] == ["-m", "workbench", "worker", "/somewhere/runs/1"]


def test_that_the_real_worker_command_reaches_the_package_from_any_folder(tmp_path: Path) -> None:
    folder = folder_in(tmp_path)
    (folder.path / "workbench.py").write_text("raise SystemExit('a file of the run was imported')")
    command = lambda path: [sys.executable, "-P", "-c", "import workbench; print(workbench.__file__)"]  # noqa: E731
    end_of(Launcher(command).start(folder, "cpu", 0))
    assert folder.log.read_text().strip().endswith("__init__.py")


def test_that_a_missing_program_is_one_clear_sentence(tmp_path: Path) -> None:
    folder = folder_in(tmp_path)
    with pytest.raises(StorageFailed) as caught:
        Launcher(lambda path: ["/no/such/program"]).start(folder, "cpu", 0)
    assert "could not be started" in caught.value.what
    assert caught.value.hint


def test_that_a_folder_which_has_gone_is_one_clear_sentence(tmp_path: Path) -> None:
    with pytest.raises(StorageFailed) as caught:
        Launcher().start(RunFolder(tmp_path / "gone"), "cpu", 0)
    assert "gone could not be started" in caught.value.what


def test_that_a_process_json_that_can_not_be_written_leaves_no_worker_behind(tmp_path: Path) -> None:
    folder = folder_in(tmp_path)
    folder.log.touch()

    def block(path: Path) -> list[str]:
        (path / "process.json").mkdir()  # what stands in the way appears after the first look
        return [sys.executable, "-c", "import time; time.sleep(60)", "worker", str(path)]

    with pytest.raises(StorageFailed) as caught:
        Launcher(block).start(folder, "cpu", 0)
    assert "can't be written to" in caught.value.what
    end = time.monotonic() + 20
    while any(str(folder.path) in p.info["cmdline"] for p in psutil.process_iter(["cmdline"]) if p.info["cmdline"]):
        psutil.wait_procs(psutil.Process().children(), timeout=0)
        assert time.monotonic() < end


def test_that_an_old_process_json_does_not_survive_a_new_launch(tmp_path: Path) -> None:
    folder = folder_in(tmp_path)
    folder.process.write_text('{"pid": 1, "started": 0, "slot": "cpu", "after": 0}')
    with pytest.raises(StorageFailed):
        Launcher(lambda path: ["/no/such/program"]).start(folder, "cpu", 0)
    assert read_launched(folder) is None


def test_that_a_slot_shows_the_worker_only_its_own_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert environment("cuda:1", 0)["CUDA_VISIBLE_DEVICES"] == "1"
    assert "CUDA_VISIBLE_DEVICES" not in environment("cpu", 0)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,6")
    assert environment("cuda:1", 0)["CUDA_VISIBLE_DEVICES"] == "6"


def test_that_threads_are_limited_only_when_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert "OMP_NUM_THREADS" not in environment("cpu", 0)
    assert environment("cpu", 2)["OMP_NUM_THREADS"] == "2"


def test_that_the_package_stands_first_on_the_import_path_exactly_once(monkeypatch: pytest.MonkeyPatch) -> None:
    home = str(Path(__file__).resolve().parents[2])
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(["/other", home]))
    assert environment("cpu", 0)["PYTHONPATH"].split(os.pathsep) == [home, "/other"]
