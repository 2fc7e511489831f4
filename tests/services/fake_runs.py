"""A workbench whose runs are worked on by the fake worker of tests/jobs: the real roads, without a model's cost."""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.jobs.ledger import FAKE
from workbench.domain.runs import JobState
from workbench.domain.specs.kinds import Spec
from workbench.domain.specs.sft import SftSpec
from workbench.domain.text import Demonstration, Prompt
from workbench.jobs.launch import Launcher
from workbench.services.runs import RunsService
from workbench.services.training import TrainingService
from workbench.services.workbench import Workbench


class FakeRuns:
    """Opens workbenches on one workspace; `play` tells the next worker what to do."""

    def __init__(self, path: Path, stories: Path) -> None:
        self.path = path
        self.stories = stories
        self.play: dict[str, Any] = {"steps": 20}
        self._open: list[Workbench] = []

    def open(self, *, begin: bool = True) -> Workbench:
        bench = Workbench.open(self.path, create=True)
        bench.runs.close()
        launcher = Launcher(lambda folder: [sys.executable, str(FAKE), json.dumps(self.play), str(folder)])
        bench.runs = RunsService(bench.workspace, bench.models, bench.settings, launcher, ("cpu",))
        bench.training = TrainingService(bench.workspace, bench.datasets, bench.models, bench.runs)
        if begin:
            bench.runs.begin()
        self._open.append(bench)
        return bench

    def furnished(self, *, begin: bool = True) -> Workbench:
        """Open, with a model called stories and a dataset called demos."""
        bench = self.open(begin=begin)
        bench.models.add_folder(self.stories, "stories")
        bench.datasets.create("demos", "demonstrations")
        bench.datasets.append("demos", demonstrations(20))
        return bench

    def close(self, bench: Workbench) -> None:
        self._open.remove(bench)
        bench.close()

    def close_all(self) -> None:
        for bench in self._open:
            for view in bench.runs.list():
                if view.state in {JobState.QUEUED, JobState.STARTING, JobState.RUNNING}:
                    bench.runs.stop(view.id)
            for view in bench.runs.list():
                bench.runs.wait(view.id, 30)
            bench.close()


def demonstrations(count: int) -> list[Demonstration]:
    return [
        Demonstration(prompt=Prompt.from_text(f"Tell a story about {i}.", raw=True), completion=f"Once there was {i}.")
        for i in range(count)
    ]


def sft(**fields: Any) -> Spec:
    return SftSpec(**{"base": "stories", "data": "demos", **fields})


def until(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come about in time"
        time.sleep(0.02)
