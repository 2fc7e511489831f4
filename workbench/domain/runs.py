"""Runs: their states, the transitions between them, and models with their lineage."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Literal

from workbench.domain.frozen import Frozen


class JobState(StrEnum):
    """Where a run stands. `lost` means: the process is gone and left no verdict; its last checkpoint can be resumed."""

    QUEUED = "queued"
    STARTING = "starting"
    RUNNING = "running"
    PAUSED = "paused"
    STOPPED = "stopped"
    DONE = "done"
    FAILED = "failed"
    LOST = "lost"

    @property
    def ended(self) -> bool:
        """No process works on the run, and none will without a person asking."""
        return self in {JobState.PAUSED, JobState.STOPPED, JobState.DONE, JobState.FAILED, JobState.LOST}

    @property
    def resumable(self) -> bool:
        """The run can be continued from its last checkpoint (or from the start if there is none)."""
        return self in {JobState.PAUSED, JobState.STOPPED, JobState.FAILED, JobState.LOST}


_S = JobState
TRANSITIONS: dict[JobState, frozenset[JobState]] = {
    _S.QUEUED: frozenset({_S.STARTING, _S.STOPPED}),
    _S.STARTING: frozenset({_S.RUNNING, _S.FAILED, _S.STOPPED, _S.PAUSED, _S.LOST, _S.DONE}),
    _S.RUNNING: frozenset({_S.PAUSED, _S.STOPPED, _S.DONE, _S.FAILED, _S.LOST}),
    _S.PAUSED: frozenset({_S.QUEUED, _S.STOPPED}),
    _S.STOPPED: frozenset({_S.QUEUED}),
    _S.FAILED: frozenset({_S.QUEUED}),
    _S.LOST: frozenset({_S.QUEUED, _S.RUNNING, _S.DONE, _S.FAILED, _S.STOPPED, _S.PAUSED}),
    _S.DONE: frozenset(),
}


def can_move(before: JobState, after: JobState) -> bool:
    """Whether a run may go from one state to the other."""
    return after in TRANSITIONS[before]


Wanted = Literal["run", "pause", "stop"]
ModelKind = Literal["base", "pretrain", "sft", "reward", "ppo", "dpo", "grpo", "weighted"]


class ModelRef(Frozen):
    """A model of the workspace: a folder with safetensors, and where it came from.

    `path` is absolute; `form` says whether the folder holds full weights or an adapter (whose base is named in its own
    config). `parents` are model names: the base first, then reward model or reference where a recipe used one.
    """

    name: str
    path: str
    kind: ModelKind
    form: Literal["full", "adapter"] = "full"
    parents: tuple[str, ...] = ()
    run: str | None = None
    parameters: int = 0
    created: datetime
    synthetic: bool = False


class MetricPoint(Frozen):
    """One value of one metric at one step."""

    name: str
    step: int
    value: float
    time: datetime
