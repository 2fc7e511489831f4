"""How runs end, what their folders tell, and what a worker sees of this machine: the edges."""

import itertools
import json
import os
import signal
from pathlib import Path

import psutil
import pytest

from workbench.domain.errors import StorageFailed
from workbench.domain.events import Checkpointed, Event, Failed, Finished, Halted, Metrics, Noticed, Phase, Resumed
from workbench.domain.runs import JobState, Wanted
from workbench.domain.specs.dpo import DpoSpec
from workbench.domain.specs.kinds import SPECS
from workbench.domain.specs.sft import SftSpec
from workbench.jobs import folders
from workbench.jobs.child import Child, how_it_ended, read_launched
from workbench.jobs.launch import environment
from workbench.jobs.watch import Watch, occupied
from workbench.protocol.run_folder import RunFolder

WANTED: tuple[Wanted, ...] = ("run", "pause", "stop")
SMALL_TALK: list[Event] = [Phase(seq=8, name="saving"), Noticed(seq=9, what="x"), Metrics(seq=10, step=1, values={})]


@pytest.mark.parametrize(("wanted", "code"), list(itertools.product(WANTED, (None, 0, 1, -9, -15))))
def test_that_a_finished_run_is_done_whatever_was_wanted_and_however_the_process_went(
    wanted: Wanted, code: int | None
) -> None:
    assert how_it_ended([Finished(seq=1, step=5), *SMALL_TALK], code, wanted).state is JobState.DONE


@pytest.mark.parametrize("wanted", WANTED)
@pytest.mark.parametrize(("heeded", "state"), [("pause", JobState.PAUSED), ("stop", JobState.STOPPED)])
def test_that_what_the_worker_heeded_counts_more_than_what_is_wanted_now(
    wanted: Wanted, heeded: str, state: JobState
) -> None:
    assert how_it_ended([Halted.model_validate({"seq": 1, "step": 5, "wanted": heeded})], 0, wanted).state is state


@pytest.mark.parametrize(
    ("wanted", "state"), [("run", JobState.FAILED), ("pause", JobState.FAILED), ("stop", JobState.STOPPED)]
)
def test_that_a_failure_is_told_unless_the_run_was_to_stop_anyway(wanted: Wanted, state: JobState) -> None:
    ending = how_it_ended([Failed(seq=1, error="x", what="The loss is NaN.", hint="Lower the rate.")], 1, wanted)
    assert ending.state is state
    assert (ending.what, ending.hint) == (
        ("The loss is NaN.", "Lower the rate.") if state is JobState.FAILED else ("", "")
    )


@pytest.mark.parametrize("code", [None, 0, 1, 70, 255, -1, -6, -9, -11, -15, -64, -200])
def test_that_an_end_without_a_word_always_has_a_sentence_and_a_way_on(code: int | None) -> None:
    ending = how_it_ended([Checkpointed(seq=1, step=1, folder="x"), Resumed(seq=2, step=1)], code, "run")
    assert ending.state is (JobState.FAILED if code and code > 0 else JobState.LOST)
    assert ending.what.endswith(".")
    assert "resume the run" in ending.hint
    assert ("memory" in ending.hint) == (code == -9)
    if code and code > 0:
        assert str(code) in ending.what


@pytest.mark.parametrize(("code", "name"), [(-9, "SIGKILL"), (-11, "SIGSEGV"), (-15, "SIGTERM"), (-200, "signal 200")])
def test_that_the_signal_that_ended_a_worker_is_named(code: int, name: str) -> None:
    assert name in how_it_ended([], code, "run").what


@pytest.mark.parametrize(("wanted", "state"), [("stop", JobState.STOPPED), ("pause", JobState.PAUSED)])
@pytest.mark.parametrize("code", [None, 0, 1, -9])
def test_that_what_a_person_cancelled_is_never_booked_as_failed(
    wanted: Wanted, state: JobState, code: int | None
) -> None:
    assert how_it_ended([], code, wanted).state is state


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        "3",
        "{}",
        '{"pid": "x", "started": 1, "slot": "cpu", "after": 0}',
        '{"pid": 1}',
        '{"pid": null, "started": 1, "slot": "cpu", "after": 0}',
    ],
)
def test_that_a_damaged_process_json_is_no_launch_and_frees_the_folder(tmp_path: Path, content: str) -> None:
    (tmp_path / "process.json").write_text(content)
    assert read_launched(RunFolder(tmp_path)) is None
    assert occupied(tmp_path) is None


def test_that_a_folder_is_occupied_only_by_the_process_that_was_started_then(tmp_path: Path) -> None:
    me = psutil.Process()
    facts = {"pid": me.pid, "started": me.create_time(), "slot": "cuda:1", "after": 7}
    (tmp_path / "process.json").write_text(json.dumps(facts))
    found = occupied(tmp_path)
    assert found is not None
    assert (found.pid, found.slot, found.after) == (me.pid, "cuda:1", 7)
    (tmp_path / "process.json").write_text(json.dumps(facts | {"started": me.create_time() - 60}))
    assert occupied(tmp_path) is None


def test_that_signals_to_a_process_that_is_not_ours_go_nowhere() -> None:
    stranger = Child(os.getpid(), 12345.0)
    before = signal.getsignal(signal.SIGTERM)
    stranger.terminate()
    stranger.kill()
    assert not stranger.alive()
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.parametrize("kind", sorted(SPECS))
def test_that_a_spec_of_each_kind_survives_its_folder_and_a_rewriting(tmp_path: Path, kind: str) -> None:
    spec = SPECS[kind](base="/models/ä b", data="安娜", seed=2**31 - 1, precision="float32")
    folders.make_run(tmp_path / "run", spec, None)
    assert folders.read_spec(tmp_path / "run") == spec
    folders.rewrite_spec(tmp_path / "run", spec.model_copy(update={"base": "/elsewhere"}))
    assert folders.read_spec(tmp_path / "run").base == "/elsewhere"
    assert not list((tmp_path / "run").glob("*.tmp"))


def test_that_a_spec_cannot_be_rewritten_where_the_folder_has_gone(tmp_path: Path) -> None:
    with pytest.raises(StorageFailed, match="could not be written") as caught:
        folders.rewrite_spec(tmp_path / "gone", SftSpec())
    assert caught.value.hint


@pytest.mark.parametrize("wanted", WANTED)
def test_that_a_wish_replaces_the_one_before(tmp_path: Path, wanted: Wanted) -> None:
    folders.make_run(tmp_path / "run", DpoSpec(), None)
    for wish in ("stop", "pause", wanted):
        folders.want(tmp_path / "run", wish)  # type: ignore[arg-type]
    assert folders.wanted(tmp_path / "run") == wanted


@pytest.mark.parametrize(
    ("text", "size", "tail"),
    [
        ("", 10, ""), ("one\ntwo\nthree\n", 100, "one\ntwo\nthree\n"), ("one\ntwo\nthree\n", 14, "one\ntwo\nthree\n"),
        ("one\ntwo\nthree\n", 10, "three\n"), ("one\ntwo\nthree\n", 6, ""), ("ä" * 10 + "\nend\n", 12, "end\n"),
    ],
)  # fmt: skip
def test_that_the_end_of_a_log_is_whole_lines(tmp_path: Path, text: str, size: int, tail: str) -> None:
    (tmp_path / "log.txt").write_text(text, encoding="utf-8")
    assert folders.log_tail(tmp_path, size) == tail


def test_that_a_run_that_is_not_there_can_be_deleted_and_has_no_files(tmp_path: Path) -> None:
    folders.delete_run(tmp_path / "gone")
    assert folders.files(tmp_path / "gone") == ()
    assert folders.log_tail(tmp_path / "gone", 10) == ""
    assert folders.checkpoint_steps(tmp_path / "gone") == ()


def test_that_a_watch_on_an_empty_folder_judges_it_as_lost(tmp_path: Path) -> None:
    folders.make_run(tmp_path / "run", SftSpec(), None)
    watch = Watch(tmp_path / "run", 0)
    look = watch.look()
    assert (look.events, look.spoke, watch.slot) == ([], False, "cpu")
    assert look.ending is not None
    assert look.ending.state is JobState.LOST


@pytest.mark.parametrize(
    ("visible", "slot", "device"),
    [
        ("4,6", "cuda:0", "4"),
        ("4,6", "cuda:1", "6"),
        ("4", "cuda:1", "1"),
        ("", "cuda:2", "2"),
        ("GPU-a,GPU-b", "cuda:1", "GPU-b"),
    ],
)
def test_that_a_slot_is_the_gpu_of_that_number_among_the_visible_ones(
    monkeypatch: pytest.MonkeyPatch, visible: str, slot: str, device: str
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert environment(slot, 0)["CUDA_VISIBLE_DEVICES"] == device


def test_that_a_worker_inherits_the_rest_of_the_environment_unchanged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HOME", "/cache ä")
    before = dict(os.environ)
    made = environment("cpu", 3)
    assert made["HF_HOME"] == "/cache ä"
    assert (made["WORKBENCH_THREADS"], made["OMP_NUM_THREADS"], made["PYTHONUNBUFFERED"]) == ("3", "3", "1")
    assert dict(os.environ) == before
