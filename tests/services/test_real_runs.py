"""The real worker, killed and adopted: the promise that closing or losing the window costs nothing."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.services.fake_runs import demonstrations, until
from workbench.domain.events import Resumed
from workbench.domain.runs import JobState
from workbench.jobs.child import Child, read_launched
from workbench.protocol.event_log import EventTail
from workbench.protocol.run_folder import RunFolder
from workbench.services.workbench import Workbench

APPLICATION = Path(__file__).with_name("training_application.py")
RUN = "sft-1"


@pytest.fixture
def workspace(tmp_path: Path, stories: Path) -> Iterator[Path]:
    path = tmp_path / "workspace"
    with Workbench.open(path, create=True) as bench:
        bench.models.add_folder(stories, "stories")
        bench.datasets.create("demos", "demonstrations")
        bench.datasets.append("demos", demonstrations(40))
    yield path
    launched = read_launched(RunFolder(path / "runs" / RUN))
    if launched is not None:
        Child(launched.pid, launched.started).kill()


def reported(workspace: Path) -> int:
    try:
        return (workspace / "runs" / RUN / "events.jsonl").read_bytes().count(b'"kind":"metrics"')
    except FileNotFoundError:
        return 0


def trained(workspace: Path) -> subprocess.Popen[bytes]:
    """An application in the midst of training."""
    application = subprocess.Popen([sys.executable, str(APPLICATION), str(workspace), sys.executable])
    until(lambda: reported(workspace) >= 8 or application.poll() is not None, 120)
    assert application.poll() is None
    return application


def losses(bench: Workbench) -> list[int]:
    return [point.step for point in bench.runs.metrics(RUN, ["loss"]).get("loss", [])]


@pytest.mark.slow
@pytest.mark.usefixtures("warm")
def test_that_kill_9_of_the_application_costs_nothing_and_kill_9_of_the_worker_only_a_resume(workspace: Path) -> None:
    application = trained(workspace)
    application.kill()
    application.wait()
    launched = read_launched(RunFolder(workspace / "runs" / RUN))
    assert launched is not None
    assert Child(launched.pid, launched.started).alive()
    before = reported(workspace)
    until(lambda: reported(workspace) > before + 3, 60)

    with Workbench.open(workspace) as bench:
        feed = bench.runs.watch()
        seen = set(losses(bench))
        until(lambda: bench.runs.view(RUN).state is JobState.RUNNING, 60)
        until(lambda: len(losses(bench)) >= before + 3, 60)
        os.kill(launched.pid, signal.SIGKILL)
        assert bench.runs.wait(RUN, 60).state is JobState.LOST
        steps = losses(bench)
        assert steps == list(range(1, steps[-1] + 1))
        assert bench.runs.get(RUN).checkpoints

        bench.runs.resume(RUN)
        view = bench.runs.wait(RUN, 150)
        assert (view.state, view.step, view.model) == (JobState.DONE, 400, RUN), view
        assert losses(bench) == list(range(1, 401))
        bench.runs.tick()
        for news in feed.poll():
            if news.superseded_after is not None:
                seen = {step for step in seen if step <= news.superseded_after}
            seen |= {point.step for point in news.points.get("loss", [])}
        assert seen == set(range(1, 401))
        assert Path(bench.models.get(RUN).path, "model.safetensors").exists()

    events = EventTail(workspace / "runs" / RUN / "events.jsonl").read()
    (resumed,) = [event.step for event in events if isinstance(event, Resumed)]
    assert resumed % 5 == 0
    assert resumed > 0
