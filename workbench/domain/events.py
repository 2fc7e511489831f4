"""The events that a worker writes: one strict union, the only road from a run back to the application."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter

from workbench.domain.frozen import Frozen
from workbench.domain.judgement import Judgement
from workbench.domain.text import Prompt

EVENTS_VERSION = 1


class _Event(Frozen):
    seq: int = Field(0, ge=0, description="Position in events.jsonl, from 1; given by the writer.")
    time: datetime = Field(default_factory=lambda: datetime.now(UTC))


class Started(_Event):
    """A worker process has taken the run."""

    kind: Literal["started"] = "started"
    pid: int
    pid_started: float = Field(
        description="Start time of the process, seconds since the epoch: guards against reused ids."
    )
    host: str
    device: str = ""
    versions: dict[str, str] = Field(default_factory=dict)


class Resumed(_Event):
    """The worker continues from a checkpoint: whatever was reported for later steps before this line is superseded."""

    kind: Literal["resumed"] = "resumed"
    step: int


class Planned(_Event):
    """How many steps the run has, and counts of what it will train on."""

    kind: Literal["planned"] = "planned"
    steps: int
    rows: int = 0
    rows_left_out: int = 0
    trainable_parameters: int = 0
    parameters: int = 0
    notes: tuple[str, ...] = ()


class Phase(_Event):
    """What the worker is doing now, for a person: "loading model", "rollout", "evaluating"."""

    kind: Literal["phase"] = "phase"
    name: str


class Metrics(_Event):
    """Values of metrics at one step. Not-a-number and infinity are kept."""

    kind: Literal["metrics"] = "metrics"
    step: int
    values: dict[str, float]


class SampleText(_Event):
    """What the model says to a fixed prompt at a step; `numbers` may hold reward, kl and length."""

    kind: Literal["sample"] = "sample"
    step: int
    index: int
    prompt: str
    completion: str
    numbers: dict[str, float] = Field(default_factory=dict)


class Checkpointed(_Event):
    """A complete checkpoint is on disk."""

    kind: Literal["checkpointed"] = "checkpointed"
    step: int
    folder: str


class Judged(_Event):
    """A judge is done with an item. Booked exactly once, and never superseded: a resumed worker doesn't judge it again.

    `judgement` is None when there is none, and `why` says the reason. Counts of comparisons: `pairs` were asked in both orders,
    `inconsistent` and `unsure` ones were dropped, `first` answers of 2 · `pairs` took the response shown first; of `compared` pairs
    that a person has ordered too, `agreed` were ordered alike. `mass`: probability of the two answers asked for, the mean over questions.
    """

    kind: Literal["judged"] = "judged"
    item: str
    judgement: Judgement | None
    why: str = ""
    pairs: int = 0
    inconsistent: int = 0
    unsure: int = 0
    first: int = 0
    probability: float = 0.0
    mass: float = 0.0
    agreed: int = 0
    compared: int = 0


class Scored(_Event):
    """A reward model is done with an item: a score for each candidate, and how far an ensemble's heads lie apart (0 to 0.5).

    Without scores `why` says the reason. Booked exactly once, as `Judged` is.
    """

    kind: Literal["scored"] = "scored"
    item: str
    scores: tuple[float, ...] = ()
    spread: float | None = None
    why: str = ""


class Revised(_Event):
    """A response was revised by principles, or could not be: then `why` says the reason. Booked exactly once, as `Judged` is."""

    kind: Literal["revised"] = "revised"
    row: int
    prompt: Prompt
    original: str
    revision: str
    why: str = ""
    given: bool = Field(False, description="Whether the original came with the data instead of being sampled.")
    principles: tuple[str, ...] = ()
    critiques: tuple[str, ...] = ()
    milliseconds: int = 0


class Noticed(_Event):
    """Something that a person should know, though the run goes on."""

    kind: Literal["noticed"] = "noticed"
    what: str
    hint: str = ""


class Finished(_Event):
    """The run is complete; `model` is the result's folder inside the run folder."""

    kind: Literal["finished"] = "finished"
    step: int
    model: str | None = None
    parameters: int = 0


class Halted(_Event):
    """The run ended because it was asked to, with a complete checkpoint."""

    kind: Literal["halted"] = "halted"
    step: int
    wanted: Literal["pause", "stop"]


class Failed(_Event):
    """The run can't go on."""

    kind: Literal["failed"] = "failed"
    error: str = Field(description="Kind of error, as in WorkbenchError.kind, or the exception's class.")
    what: str
    hint: str = ""
    details: str = ""


Event = Annotated[
    Started
    | Resumed
    | Planned
    | Phase
    | Metrics
    | SampleText
    | Checkpointed
    | Judged
    | Scored
    | Revised
    | Noticed
    | Finished
    | Halted
    | Failed,
    Field(discriminator="kind"),
]
_ADAPTER: TypeAdapter[Any] = TypeAdapter(Event)


def parse_event(payload: dict[str, Any]) -> Event:
    """Validate one event; raises pydantic.ValidationError on anything unknown."""
    event: Event = _ADAPTER.validate_python(payload)
    return event
