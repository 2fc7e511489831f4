import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.jobs.ledger import FileLedger, supervise, tick_until
from workbench.domain.events import Finished, Metrics, Resumed
from workbench.domain.runs import JobState
from workbench.jobs.child import Child, read_launched
from workbench.protocol.run_folder import RunFolder

ROOT = Path(__file__).resolve().parents[2]


def steps(ledger: FileLedger, name: str) -> list[int]:
    return [e.step for e in ledger.events(name) if isinstance(e, Metrics)]


def pid_of(ledger: FileLedger, name: str) -> int:
    launched = read_launched(RunFolder(ledger.home / "runs" / name))
    assert launched is not None
    return launched.pid


def test_that_a_queued_run_is_started_followed_and_booked_as_done(ledger: FileLedger) -> None:
    ledger.add("first", steps=12)
    supervisor = supervise(ledger)
    tick_until(supervisor, lambda: ledger.state("first") is JobState.DONE)
    assert steps(ledger, "first") == list(range(1, 13))
    assert isinstance(ledger.events("first")[-1], Finished)
    assert "the fake worker is at work" in (ledger.home / "runs" / "first" / "log.txt").read_text()


def test_that_one_device_holds_one_run_and_the_next_waits_its_turn(ledger: FileLedger) -> None:
    ledger.add("first", steps=15, delay=0.02)
    ledger.add("second", steps=3)
    supervisor = supervise(ledger)
    tick_until(supervisor, lambda: ledger.state("first") is JobState.RUNNING)
    assert ledger.state("second") is JobState.QUEUED
    tick_until(supervisor, lambda: ledger.state("second") is JobState.DONE)
    assert ledger.state("first") is JobState.DONE


def test_that_a_run_for_the_processor_does_not_wait_for_the_gpu(ledger: FileLedger) -> None:
    ledger.add("on-gpu", steps=400, device="cuda")
    ledger.add("also-on-gpu", steps=3, device="auto")
    ledger.add("on-cpu", steps=400, device="cpu")
    supervisor = supervise(ledger, slots=("cpu", "cuda:0"))
    tick_until(supervisor, lambda: {ledger.state("on-gpu"), ledger.state("on-cpu")} == {JobState.RUNNING})
    assert ledger.state("also-on-gpu") is JobState.QUEUED
    slots = [read_launched(RunFolder(ledger.home / "runs" / n)).slot for n in ("on-gpu", "on-cpu")]
    assert slots == ["cuda:0", "cpu"]


def test_that_a_pause_is_heeded_and_the_run_goes_on_from_its_checkpoint(ledger: FileLedger) -> None:
    job = ledger.add("run", steps=40, delay=0.02, checkpoint_every=1000)
    supervisor = supervise(ledger)
    tick_until(supervisor, lambda: len(steps(ledger, "run")) > 3)
    RunFolder(job.folder).want("pause")
    tick_until(supervisor, lambda: ledger.state("run") is JobState.PAUSED)
    paused_at = steps(ledger, "run")[-1]
    RunFolder(job.folder).want("run")
    ledger.move(ledger.job("run"), JobState.QUEUED)
    tick_until(supervisor, lambda: ledger.state("run") is JobState.DONE)
    assert [e.step for e in ledger.events("run") if isinstance(e, Resumed)] == [paused_at]
    assert steps(ledger, "run") == list(range(1, 41))


def test_that_a_killed_worker_is_lost_and_resumes_from_its_last_checkpoint(ledger: FileLedger) -> None:
    ledger.add("run", steps=60, delay=0.02, checkpoint_every=4)
    supervisor = supervise(ledger)
    tick_until(supervisor, lambda: len(steps(ledger, "run")) > 5)
    os.killpg(pid_of(ledger, "run"), signal.SIGKILL)
    tick_until(supervisor, lambda: ledger.state("run") is JobState.LOST)
    what, hint = ledger.why("run")
    assert "SIGKILL" in what
    assert "resume" in hint
    ledger.move(ledger.job("run"), JobState.QUEUED)
    tick_until(supervisor, lambda: ledger.state("run") is JobState.DONE)
    resumed = next(e for e in ledger.events("run") if isinstance(e, Resumed))
    assert resumed.step % 4 == 0
    assert steps(ledger, "run")[-1] == 60


def test_that_a_worker_which_ignores_a_stop_is_terminated_and_booked_as_stopped(ledger: FileLedger) -> None:
    job = ledger.add("run", steps=10_000, stubborn=True)
    supervisor = supervise(ledger, terminate_after=0.2, kill_after=30.0)
    tick_until(supervisor, lambda: ledger.state("run") is JobState.RUNNING)
    RunFolder(job.folder).want("stop")
    tick_until(supervisor, lambda: ledger.state("run") is JobState.STOPPED)
    assert ledger.why("run") == ("", "")


def test_that_a_worker_which_is_deaf_even_to_termination_is_killed(
    ledger: FileLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    for name in ("terminate", "kill"):
        way = getattr(Child, name)
        monkeypatch.setattr(Child, name, lambda child, name=name, way=way: (done.append(name), way(child)))
    job = ledger.add("run", steps=10_000, stubborn=True, deaf=True)
    supervisor = supervise(ledger, terminate_after=0.1, kill_after=0.3)
    tick_until(supervisor, lambda: ledger.state("run") is JobState.RUNNING)
    RunFolder(job.folder).want("stop")
    tick_until(supervisor, lambda: ledger.state("run") is JobState.STOPPED)
    assert done[0] == "terminate" and done.count("terminate") == 1 and done[-1] == "kill"


def test_that_a_slow_pause_is_never_pressed(ledger: FileLedger) -> None:
    job = ledger.add("run", steps=60, delay=0.02, stubborn=True)
    supervisor = supervise(ledger, terminate_after=0.0, kill_after=0.0)
    tick_until(supervisor, lambda: ledger.state("run") is JobState.RUNNING)
    RunFolder(job.folder).want("pause")
    tick_until(supervisor, lambda: ledger.state("run") is JobState.DONE)


def test_that_a_failure_carries_the_worker_s_own_sentence_and_hint(ledger: FileLedger) -> None:
    ledger.add("run", steps=2, fails=True)
    tick_until(supervise(ledger), lambda: ledger.state("run") is JobState.FAILED)
    assert ledger.why("run") == ("The data is empty.", "Import some rows.")


def test_that_a_worker_which_dies_before_its_first_word_is_failed_and_named(ledger: FileLedger) -> None:
    ledger.add("run", silent_exit=3)
    tick_until(supervise(ledger), lambda: ledger.state("run") is JobState.FAILED)
    assert "exit code 3" in ledger.why("run")[0]


def test_that_an_old_verdict_does_not_speak_for_a_new_process(ledger: FileLedger) -> None:
    job = ledger.add("run", steps=2, fails=True)
    supervisor = supervise(ledger)
    tick_until(supervisor, lambda: ledger.state("run") is JobState.FAILED)
    (job.folder / "play.json").write_text('{"silent_exit": 0}')
    ledger.move(ledger.job("run"), JobState.QUEUED)
    tick_until(supervisor, lambda: ledger.state("run") is JobState.LOST)


def test_that_a_run_folder_that_can_not_be_used_fails_with_one_sentence_and_the_next_run_starts(
    ledger: FileLedger,
) -> None:
    job = ledger.add("broken")
    ledger.add("sound", steps=2)
    (job.folder / "log.txt").mkdir()
    tick_until(supervise(ledger), lambda: ledger.state("sound") is JobState.DONE)
    assert ledger.state("broken") is JobState.FAILED
    what, hint = ledger.why("broken")
    assert what.startswith("The worker of broken could not be started")
    assert hint


def test_that_killing_the_application_leaves_the_worker_and_another_one_adopts_it_without_a_gap(
    ledger: FileLedger,
) -> None:
    ledger.add("run", steps=120, delay=0.02)
    application = subprocess.Popen(
        [sys.executable, "-m", "tests.jobs.fake_application", str(ledger.home)],
        cwd=ROOT,
        start_new_session=True,
    )
    try:
        end = time.monotonic() + 30
        while time.monotonic() < end and len(steps(ledger, "run")) < 10:
            time.sleep(0.02)
    finally:
        application.kill()
        application.wait()
    worker = pid_of(ledger, "run")
    seen = len(steps(ledger, "run"))
    assert 10 <= seen < 120
    ledger.expire()
    supervisor = supervise(ledger)
    tick_until(supervisor, lambda: ledger.state("run") is JobState.DONE)
    assert pid_of(ledger, "run") == worker
    assert steps(ledger, "run") == list(range(1, 121))


def test_that_an_application_which_died_after_its_worker_finished_leaves_no_run_unjudged(ledger: FileLedger) -> None:
    ledger.add("run", steps=5)
    first = supervise(ledger)
    tick_until(first, lambda: ledger.state("run") is JobState.RUNNING)
    pid, started = pid_of(ledger, "run"), read_launched(RunFolder(ledger.home / "runs" / "run")).started
    child = Child(pid, started)
    while child.alive():
        time.sleep(0.02)
    tick_until(supervise(ledger), lambda: ledger.state("run") is JobState.DONE)


def test_that_only_one_application_supervises_at_a_time(ledger: FileLedger) -> None:
    ledger.add("run", steps=2)
    other = FileLedger(ledger.home, owner="the other")
    assert other.lease()
    supervisor = supervise(ledger)
    supervisor.tick()
    assert not supervisor.in_charge
    assert ledger.state("run") is JobState.QUEUED
    ledger.expire()
    tick_until(supervisor, lambda: ledger.state("run") is JobState.DONE)
    assert supervisor.in_charge


def test_that_what_another_application_booked_meanwhile_is_not_booked_again(ledger: FileLedger) -> None:
    ledger.add("run", steps=60, delay=0.02)
    first = supervise(ledger)
    tick_until(first, lambda: len(steps(ledger, "run")) > 2)
    ledger.expire()
    second = supervise(FileLedger(ledger.home, owner="the other"))
    tick_until(second, lambda: len(steps(ledger, "run")) > 10)
    first.tick()
    assert not first.in_charge
    ledger.expire()
    tick_until(first, lambda: ledger.state("run") is JobState.DONE)
    assert steps(ledger, "run") == list(range(1, 61))


def test_that_a_launch_whose_booking_was_lost_is_found_by_its_folder(ledger: FileLedger) -> None:
    job = ledger.add("run", steps=60, delay=0.02)
    first = supervise(ledger)
    tick_until(first, lambda: ledger.state("run") is JobState.RUNNING)
    launched = read_launched(RunFolder(job.folder))
    RunFolder(job.folder).process.unlink()
    second = supervise(ledger)
    second.tick()
    assert ledger.state("run") is JobState.RUNNING
    tick_until(second, lambda: ledger.state("run") is JobState.DONE)
    assert not Child(launched.pid, launched.started).alive()
