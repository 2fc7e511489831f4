import os
import shutil
import signal
from pathlib import Path

import pytest

from tests.services.fake_runs import FakeRuns, demonstrations, sft, until
from workbench.domain.errors import Conflict, NotFound
from workbench.domain.runs import JobState
from workbench.jobs.child import read_launched
from workbench.jobs.supervisor import Job
from workbench.protocol.run_folder import RunFolder
from workbench.services.run_ledger import RunLedger
from workbench.services.workbench import Workbench


def losses(bench: Workbench, run: str) -> list[int]:
    return [point.step for point in bench.runs.metrics(run, ["loss"]).get("loss", [])]


def worker_of(folder: Path) -> int:
    launched = read_launched(RunFolder(folder))
    assert launched is not None
    return launched.pid


def test_that_a_run_goes_from_the_queue_to_a_model_with_parents(fake: FakeRuns) -> None:
    fake.play = {"steps": 20, "model": str(fake.stories)}
    bench = fake.furnished()
    run = bench.training.start(sft(name="polite"))
    assert (run.id, run.name, run.state) == ("sft-1", "polite", JobState.QUEUED)
    view = bench.runs.wait("sft-1", 60)
    assert (view.state, view.step, view.steps, view.model) == (JobState.DONE, 20, 20, "polite")
    model = bench.models.get("polite")
    assert (model.kind, model.parents, model.run) == ("sft", ("stories",), "sft-1")
    assert Path(model.path) == view.folder / "model"


def test_that_what_the_worker_says_can_be_read_back(fake: FakeRuns) -> None:
    bench = fake.furnished()
    run = bench.training.start(sft()).id
    bench.runs.wait(run, 60)
    assert losses(bench, run) == list(range(1, 21))
    assert set(bench.runs.metrics(run)) == {"loss", "learning_rate"}
    assert [(s.step, s.completion) for s in bench.runs.samples(run)] == [(10, "step 10"), (20, "step 20")]
    assert "the fake worker is at work" in bench.runs.log_tail(run)
    detail = bench.runs.get(run)
    assert detail.notices == (("One row was left out.", "Look at the data."),)
    assert detail.checkpoints == (5, 10, 15, 20)
    assert "spec.json" in dict(detail.files)
    assert detail.spec == sft()
    assert detail.command.startswith("workbench train ")
    assert detail.view.headline == "loss"
    assert detail.view.spark == tuple(1 / step for step in range(1, 21))
    assert detail.view.last == {"loss": 1 / 20, "learning_rate": 0.5}
    assert detail.view.started is not None
    assert detail.view.ended is not None


def test_that_a_name_that_is_taken_gets_a_number(fake: FakeRuns) -> None:
    fake.play = {"steps": 1, "model": str(fake.stories)}
    bench = fake.furnished()
    for _ in range(2):
        bench.runs.wait(bench.training.start(sft(name="same")).id, 60)
    assert {m.name for m in bench.models.list()} == {"stories", "same", "same-2"}
    assert [v.model for v in bench.runs.list()] == ["same-2", "same"]


def test_that_a_paused_run_is_resumed_and_its_curve_has_each_step_once(fake: FakeRuns) -> None:
    fake.play = {"steps": 30, "delay": 0.03}
    bench = fake.furnished()
    run = bench.training.start(sft()).id
    until(lambda: len(losses(bench, run)) > 3)
    bench.runs.pause(run)
    assert bench.runs.wait(run, 60).state is JobState.PAUSED
    bench.runs.resume(run)
    view = bench.runs.wait(run, 60)
    assert view.state is JobState.DONE
    assert losses(bench, run) == list(range(1, 31))


def test_that_a_killed_worker_s_later_points_are_superseded_when_it_resumes(fake: FakeRuns) -> None:
    fake.play = {"steps": 40, "delay": 0.03, "checkpoint_every": 8}
    bench = fake.furnished()
    run = bench.training.start(sft())
    until(lambda: len(losses(bench, run.id)) > 10)
    os.kill(worker_of(run.folder), signal.SIGKILL)
    lost = bench.runs.wait(run.id, 60)
    assert lost.state is JobState.LOST
    assert "SIGKILL" in lost.error_what
    feed = bench.runs.watch()
    shown = set(losses(bench, run.id))
    bench.runs.resume(run.id)
    bench.runs.wait(run.id, 60)
    until(lambda: any(view.state is JobState.DONE for view in bench.runs.list()))
    bench.runs.tick()
    (news,) = feed.poll()
    assert news.superseded_after is not None
    assert news.superseded_after % 8 == 0
    shown = {step for step in shown if step <= news.superseded_after} | {p.step for p in news.points["loss"]}
    assert shown == set(range(1, 41))
    assert losses(bench, run.id) == list(range(1, 41))


def test_that_a_run_is_stopped_wherever_it_stands(fake: FakeRuns) -> None:
    fake.play = {"steps": 10_000}
    bench = fake.furnished()
    working, waiting = bench.training.start(sft()).id, bench.training.start(sft()).id
    until(lambda: bench.runs.view(working).state is JobState.RUNNING)
    assert bench.runs.stop(waiting).state is JobState.STOPPED
    bench.runs.stop(working)
    view = bench.runs.wait(working, 60)
    assert (view.state, view.error_what) == (JobState.STOPPED, "")
    assert bench.runs.get(working).checkpoints


def test_that_requests_that_contradict_a_run_s_state_are_refused(fake: FakeRuns) -> None:
    bench = fake.furnished(begin=False)
    run = bench.training.start(sft()).id
    with pytest.raises(Conflict):
        bench.runs.pause(run)
    with pytest.raises(Conflict):
        bench.runs.resume(run)
    bench.runs.wait(run, 60)
    for request in (bench.runs.pause, bench.runs.resume, bench.runs.stop):
        with pytest.raises(Conflict) as caught:
            request(run)
        assert caught.value.hint
    with pytest.raises(Conflict):
        bench.runs.move_in_queue(run, 0)


def test_that_an_unknown_run_is_named(fake: FakeRuns) -> None:
    bench = fake.open()
    calls = [bench.runs.get, bench.runs.metrics, bench.runs.samples, bench.runs.log_tail, bench.runs.stop]
    for call in calls:
        with pytest.raises(NotFound) as caught:
            call("sft-99")
        assert "sft-99" in caught.value.what


def test_that_the_queue_is_worked_off_in_the_order_a_person_gives_it(fake: FakeRuns) -> None:
    fake.play = {"steps": 2}
    bench = fake.furnished(begin=False)
    first, second, third = (bench.training.start(sft()).id for _ in range(3))
    bench.runs.move_in_queue(third, 0)
    bench.runs.begin()
    for run in (first, second, third):
        bench.runs.wait(run, 60)
    ended = sorted(bench.runs.list(), key=lambda view: view.ended)
    assert [view.id for view in ended] == [third, first, second]


def test_that_a_note_stays_with_its_run(fake: FakeRuns) -> None:
    bench = fake.furnished(begin=False)
    run = bench.training.start(sft()).id
    assert bench.runs.note(run, "with the new data").note == "with the new data"
    assert bench.runs.list()[0].note == "with the new data"


def test_that_a_run_is_deleted_with_its_folder_but_not_under_a_worker_or_a_model(fake: FakeRuns) -> None:
    fake.play = {"steps": 30, "delay": 0.02, "model": str(fake.stories)}
    bench = fake.furnished()
    run = bench.training.start(sft())
    until(lambda: bench.runs.view(run.id).state is JobState.RUNNING)
    with pytest.raises(Conflict):
        bench.runs.delete(run.id)
    view = bench.runs.wait(run.id, 60)
    with pytest.raises(Conflict) as caught:
        bench.runs.delete(run.id)
    assert view.model in caught.value.what
    bench.models.remove(view.model)
    bench.runs.delete(run.id)
    assert not run.folder.exists()
    assert bench.runs.list() == []


def test_that_a_queued_run_can_be_deleted(fake: FakeRuns) -> None:
    bench = fake.furnished(begin=False)
    run = bench.training.start(sft())
    bench.runs.delete(run.id)
    assert bench.runs.list() == []
    assert not run.folder.exists()


def test_that_closing_leaves_the_worker_and_reopening_shows_its_curve_without_a_gap(fake: FakeRuns) -> None:
    fake.play = {"steps": 80, "delay": 0.03, "model": str(fake.stories)}
    bench = fake.furnished()
    run = bench.training.start(sft())
    until(lambda: len(losses(bench, run.id)) > 5)
    worker = worker_of(run.folder)
    fake.close(bench)
    os.kill(worker, 0)
    again = fake.open()
    view = again.runs.wait(run.id, 60)
    assert (view.state, view.model) == (JobState.DONE, run.id)
    assert worker_of(run.folder) == worker
    assert losses(again, run.id) == list(range(1, 81))


def test_that_a_second_window_on_the_workspace_follows_live_though_the_first_supervises(fake: FakeRuns) -> None:
    fake.play = {"steps": 60, "delay": 0.03}
    first = fake.furnished()
    run = first.training.start(sft()).id
    until(lambda: first.runs.view(run).state is JobState.RUNNING)
    second = fake.open()
    feed = second.runs.watch()
    seen = {point.step for point in second.runs.metrics(run, ["loss"]).get("loss", [])}
    states = set()

    def look() -> bool:
        for news in feed.poll():
            seen.update(point.step for point in news.points.get("loss", []))
            states.add(news.view.state)
        return JobState.DONE in states

    until(look)
    assert seen == set(range(1, 61))
    assert JobState.RUNNING in states


def test_that_another_window_takes_over_when_the_first_closes(fake: FakeRuns) -> None:
    fake.play = {"steps": 60, "delay": 0.03}
    first = fake.furnished()
    run = first.training.start(sft()).id
    until(lambda: first.runs.view(run).state is JobState.RUNNING)
    second = fake.open()
    fake.close(first)
    assert second.runs.wait(run, 60).state is JobState.DONE
    assert losses(second, run) == list(range(1, 61))


def test_that_waiting_ends_at_its_time(fake: FakeRuns) -> None:
    fake.play = {"steps": 10_000}
    bench = fake.furnished()
    run = bench.training.start(sft()).id
    assert not bench.runs.wait(run, 0.3).state.ended


def test_that_an_eta_appears_while_a_run_works_and_goes_when_it_ends(fake: FakeRuns) -> None:
    fake.play = {"steps": 40, "delay": 0.05}
    bench = fake.furnished()
    run = bench.training.start(sft()).id
    until(lambda: bench.runs.view(run).eta_seconds is not None)
    assert 0 < bench.runs.view(run).eta_seconds < 60
    assert bench.runs.wait(run, 60).eta_seconds is None


def test_that_a_crash_between_registering_a_model_and_booking_the_run_makes_no_second_model(fake: FakeRuns) -> None:
    fake.play = {"steps": 2, "model": str(fake.stories)}
    bench = fake.furnished(begin=False)
    run = bench.training.start(sft())
    bench.runs.wait(run.id, 60)
    ledger = RunLedger(bench.workspace, bench.models, "another", lambda run, events: None)
    assert ledger._register(Job(run.id, run.folder, JobState.RUNNING, "cpu", 0)) == {"model": run.id}
    assert len(bench.models.list()) == 2


def test_that_a_result_that_is_no_model_is_told_though_the_run_is_done(fake: FakeRuns, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    fake.play = {"steps": 2, "model": str(tmp_path / "empty")}
    bench = fake.furnished()
    view = bench.runs.wait(bench.training.start(sft()).id, 60)
    assert (view.state, view.model) == (JobState.DONE, None)
    assert view.error_what.startswith("The model can't be used")


def test_that_a_damaged_line_becomes_a_notice_and_the_run_goes_on(fake: FakeRuns) -> None:
    fake.play = {"steps": 40, "delay": 0.03}
    bench = fake.furnished()
    run = bench.training.start(sft())
    until(lambda: len(losses(bench, run.id)) > 2)
    with (run.folder / "events.jsonl").open("ab") as file:
        file.write(b"this is no event\n")
    view = bench.runs.wait(run.id, 60)
    assert view.state is JobState.DONE
    assert losses(bench, run.id) == list(range(1, 41))
    assert any("Not an event" in what for what, _ in bench.runs.get(run.id).notices)


def test_that_a_workspace_where_nothing_goes_on_is_not_written_to(fake: FakeRuns) -> None:
    bench = fake.furnished(begin=False)
    before = (bench.path / "workbench.db-wal").stat().st_size
    for _ in range(5):
        bench.runs.tick()
    assert (bench.path / "workbench.db-wal").stat().st_size == before


def test_that_a_run_of_a_workspace_that_was_moved_finds_its_base_again(fake: FakeRuns, tmp_path: Path) -> None:
    bench = fake.open(begin=False)
    inside = bench.path / "models" / "stories"
    shutil.copytree(fake.stories, inside)
    bench.models.add_folder(inside, "stories")
    bench.datasets.create("demos", "demonstrations")
    bench.datasets.append("demos", demonstrations(5))
    run = bench.training.start(sft()).id
    bench.runs.stop(run)
    fake.close(bench)
    fake.path.rename(tmp_path / "elsewhere")
    fake.path = tmp_path / "elsewhere"
    moved = fake.open()
    moved.runs.resume(run)
    view = moved.runs.wait(run, 60)
    assert view.state is JobState.DONE
    spec = RunFolder(view.folder).read_spec()
    assert spec.base == str(tmp_path / "elsewhere" / "models" / "stories")


def test_that_a_run_whose_spec_has_gone_is_not_queued_again(fake: FakeRuns) -> None:
    bench = fake.furnished(begin=False)
    run = bench.training.start(sft())
    bench.runs.stop(run.id)
    (run.folder / "spec.json").unlink()
    with pytest.raises(NotFound):
        bench.runs.resume(run.id)
    assert bench.runs.view(run.id).state is JobState.STOPPED
