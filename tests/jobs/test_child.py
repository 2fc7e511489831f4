import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from workbench.domain.events import Event, Failed, Finished, Halted, Metrics, Started
from workbench.domain.runs import JobState, Wanted
from workbench.jobs.child import Child, Launched, find_worker, how_it_ended, read_launched
from workbench.protocol.run_folder import RunFolder

FAILED = Failed(error="bad_input", what="No rows.", hint="Import some.")


def sleeper(seconds: float = 60.0) -> Child:
    process = subprocess.Popen([sys.executable, "-c", f"import time; time.sleep({seconds})"], start_new_session=True)
    process.returncode = 0
    return Child(process.pid, psutil.Process(process.pid).create_time())


def wait_for_death(child: Child) -> None:
    end = time.monotonic() + 20
    while child.alive():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_that_a_process_is_alive_until_it_ends_and_leaves_its_exit_code() -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", "import sys; sys.stdin.read(); sys.exit(7)"], stdin=subprocess.PIPE
    )
    process.returncode = 0
    child = Child(process.pid, psutil.Process(process.pid).create_time())
    assert child.alive()
    process.stdin.close()
    wait_for_death(child)
    assert child.exit_code == 7
    assert not child.alive()


def test_that_terminate_and_kill_end_the_whole_session_of_a_worker() -> None:
    child = sleeper()
    child.terminate()
    wait_for_death(child)
    assert child.exit_code == -signal.SIGTERM
    other = sleeper()
    other.kill()
    wait_for_death(other)
    assert other.exit_code == -signal.SIGKILL
    other.kill()  # nobody is there any more: nothing happens


def test_that_a_process_id_that_was_given_to_somebody_else_is_not_taken_for_the_worker() -> None:
    child = sleeper()
    impostor = Child(child.pid, child.started - 3600)
    assert not impostor.alive()
    impostor.kill()
    assert child.alive()
    child.kill()
    wait_for_death(child)


def test_that_a_process_that_never_was_is_not_alive() -> None:
    assert not Child(2**22 + 12345, 0.0).alive()


def test_that_a_process_of_another_parent_can_be_watched_though_it_leaves_no_exit_code() -> None:
    script = (
        "import subprocess, sys; p = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'], "
        "stdout=subprocess.DEVNULL); print(p.pid); p.returncode = 0"
    )
    pid = int(subprocess.run([sys.executable, "-c", script], stdout=subprocess.PIPE, check=True).stdout)
    child = Child(pid, psutil.Process(pid).create_time())
    assert child.alive()
    os.kill(pid, signal.SIGKILL)
    wait_for_death(child)
    assert child.exit_code is None


def test_that_a_worker_is_found_by_its_folder(tmp_path: Path) -> None:
    assert find_worker(tmp_path) is None
    script = "import time; time.sleep(60)"
    process = subprocess.Popen([sys.executable, "-c", script, "worker", str(tmp_path)])
    try:
        end = time.monotonic() + 10
        while (found := find_worker(tmp_path)) is None and time.monotonic() < end:
            time.sleep(0.01)
        assert found is not None
        assert found.pid == process.pid
    finally:
        process.kill()
        process.wait()


def test_that_process_json_is_read_and_a_damaged_one_counts_as_none(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    assert read_launched(folder) is None
    folder.process.write_text('{"pid": 12, "started": 3.5, "slot": "cuda:1", "after": 9}')
    assert read_launched(folder) == Launched(12, 3.5, "cuda:1", 9)
    for damaged in ("", "{", "[]", '{"pid": 12}', '{"pid": null, "started": 1, "slot": "cpu", "after": 0}'):
        folder.process.write_text(damaged)
        assert read_launched(folder) is None


@pytest.mark.parametrize(
    ("last", "exit_code", "wanted", "state"),
    [
        (Finished(step=3), 0, "run", JobState.DONE),
        (Finished(step=3), -9, "stop", JobState.DONE),
        (Halted(step=3, wanted="pause"), 0, "run", JobState.PAUSED),
        (Halted(step=3, wanted="stop"), None, "stop", JobState.STOPPED),
        (FAILED, 1, "run", JobState.FAILED),
        (FAILED, 1, "stop", JobState.STOPPED),
        (Metrics(step=1, values={}), -15, "stop", JobState.STOPPED),
        (Metrics(step=1, values={}), -9, "pause", JobState.PAUSED),
        (Metrics(step=1, values={}), 1, "run", JobState.FAILED),
        (Metrics(step=1, values={}), 0, "run", JobState.LOST),
        (Metrics(step=1, values={}), -9, "run", JobState.LOST),
        (Metrics(step=1, values={}), None, "run", JobState.LOST),
        (None, 2, "run", JobState.FAILED),
        (None, None, "run", JobState.LOST),
    ],
)
def test_that_the_last_word_decides_then_what_was_wanted_then_the_exit_code(
    last: Event | None, exit_code: int | None, wanted: Wanted, state: JobState
) -> None:
    words: list[Event] = [] if last is None else [Started(pid=1, pid_started=1.0, host="here"), last]
    ending = how_it_ended(words, exit_code, wanted)
    assert ending.state is state
    assert bool(ending.what) == (state in {JobState.FAILED, JobState.LOST})
    assert bool(ending.hint) == bool(ending.what)


def test_that_a_verdict_is_found_though_something_was_written_after_it() -> None:
    assert how_it_ended([FAILED, Metrics(step=1, values={})], 1, "run").what == "No rows."


def test_that_a_kill_that_nobody_asked_for_hints_at_memory() -> None:
    ending = how_it_ended([], -9, "run")
    assert "SIGKILL" in ending.what
    assert "memory" in ending.hint
    assert "signal 200" in how_it_ended([], -200, "run").what
