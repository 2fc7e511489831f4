"""What services hand to the window and the command line: plain frozen values, made for reading."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from workbench.domain.choices import Aside, TokenChoice
from workbench.domain.decoding import DecodingSettings
from workbench.domain.judgement import Comparison, Item, Judgement, Purpose, Ranking
from workbench.domain.profiles import Colour
from workbench.domain.queues import Guidelines, QueueSpec
from workbench.domain.rows import DatasetKind
from workbench.domain.runs import JobState, MetricPoint, ModelRef
from workbench.domain.specs.kinds import Spec


@dataclass(frozen=True)
class DatasetView:
    """One dataset in a list. `rows` counts documents, prompts, demonstrations or items; `judged` counts judged items."""

    name: str
    kind: DatasetKind
    rows: int
    judged: int
    created: datetime
    source: str = ""
    synthetic: bool = False


@dataclass(frozen=True)
class RowView:
    """One row of a dataset as a person reads it. `texts` holds (heading, text), for example ("Prompt", ...), ("Chosen", ...)."""

    index: int
    id: str
    title: str
    texts: tuple[tuple[str, str], ...]
    facts: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Trouble:
    """A row that can't be used: its line (from 1) and why."""

    line: int
    reason: str


@dataclass(frozen=True)
class Preview:
    """What an import would do: the format, the first rows as they would arrive, and every row that would be left out."""

    files: tuple[Path, ...]
    format: str
    formats: tuple[str, ...]
    kind: DatasetKind
    mapping: dict[str, str]
    columns: tuple[str, ...]
    read: int
    usable: int
    rows: tuple[RowView, ...]
    left_out: tuple[Trouble, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Imported:
    """What an import did."""

    dataset: str
    format: str
    read: int
    imported: int
    left_out: tuple[Trouble, ...]


@dataclass(frozen=True)
class Frozen:
    """A snapshot: the exact rows a run is trained on. `left_out` counts what was left out, by reason."""

    sha: str
    path: Path
    rows: int
    left_out: tuple[tuple[str, int], ...] = ()
    synthetic: bool = False


@dataclass(frozen=True)
class Exported:
    """A file that was written; `notes` say what the format could not hold."""

    file: Path
    rows: int
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Presentation:
    """An item as it is shown once: `shown[place]` is the index of the candidate at that place, drawn from `seed`.

    `queue` is where it comes from ("" = the dataset itself, in order); `purpose` is never told to the annotator. In a queue,
    `position` counts the annotator's answers there, so that it doesn't give away what is shown again. `previous` is what
    this annotator said before, where they are asked to look again.
    """

    item: Item
    shown: tuple[int, ...]
    seed: int
    position: int
    total: int
    previous: Judgement | None = None
    queue: str = ""
    purpose: Purpose = "label"
    guidelines: Guidelines | None = None
    draft: dict[str, Any] | None = None


@dataclass(frozen=True)
class QueueView:
    """A queue in a list: `judged` items have all the answers that they need, `left_for_you` can still come to you."""

    name: str
    dataset: str
    spec: QueueSpec
    size: int
    judged: int
    left_for_you: int
    state: Literal["open", "closed"]
    created: datetime


@dataclass(frozen=True)
class KnownAnswer:
    """A gold item: the beginnings of its texts, its answer (in candidate indices), who gave it, and whether you have judged it."""

    item: str
    prompt: str
    responses: tuple[str, ...]
    ranking: Ranking
    author: str
    created: datetime
    judged: bool


@dataclass(frozen=True)
class ProfileView:
    """A person who judges here; `colour` is a name that the theme knows, `judged` counts items in all datasets."""

    name: str
    colour: Colour
    judged: int


@dataclass(frozen=True)
class Effect:
    """What a label does in one training method (or several alike): a sentence, the pairs it gives and what each weighs."""

    method: str
    text: str
    pairs: tuple[Comparison, ...] = ()
    weight: float = 0.0


@dataclass(frozen=True)
class Accuracy:
    """Held-out accuracy of the newest reward model of a dataset and of the one before; None where there is none yet.

    `working` names the run that is at work on the dataset now.
    """

    now: float | None
    before: float | None
    run: str = ""
    run_before: str = ""
    working: str = ""

    @property
    def sentence(self) -> str:
        """The same in words."""
        if self.now is None:
            return "No reward model of this dataset has been held against pairs that it hadn't seen."
        moved = "" if self.before is None else f", {(self.now - self.before) * 100:+.0f} points against the one before"
        return f"The reward model orders {self.now:.0%} of held-out pairs rightly{moved}."


@dataclass(frozen=True)
class Merged:
    """What a merge brought. `datasets` names those that were made; the numbers count what wasn't here before.

    `duplicates` are judgements that both have, `conflicts` items that an annotator of one name judged in both (the newest counts),
    `moves` undos and redos of judgements that both have, `queued` items that went into queues which both have.
    """

    datasets: tuple[str, ...]
    items: int
    judgements: int
    duplicates: int
    notes: tuple[str, ...]
    rows: int = 0
    conflicts: int = 0
    moves: int = 0
    guidelines: int = 0
    golds: int = 0
    profiles: int = 0
    queues: int = 0
    queued: int = 0
    drafts: int = 0
    scores: int = 0

    @property
    def changes(self) -> int:
        """How many things were brought; 0 when the other workspace had nothing new."""
        brought = (
            self.items, self.judgements, self.rows, self.moves, self.guidelines, self.golds, self.profiles, self.queues,
            self.queued, self.drafts, self.scores,
        )  # fmt: skip
        return len(self.datasets) + sum(brought)


@dataclass(frozen=True)
class GivenUp:
    """A merge that was given up: from which folder ("" when its journal can't tell), and what it had brought, which stays."""

    other: str
    brought: Merged


@dataclass(frozen=True)
class LabelProgress:
    """How far an annotator is in a dataset. `per_hour` is from the last 50 judgements; `can_undo` and `can_redo` cross restarts.

    In a queue `judged` counts the annotator's answers there, and `total` adds what can still come to them.
    """

    judged: int
    total: int
    per_hour: float
    can_undo: bool
    can_redo: bool
    last: Judgement | None = None


@dataclass(frozen=True)
class Recorded:
    """The answer to a judgement or an undo: it is committed. `next` is None when nothing is left to judge.

    `notice` is a sentence for the annotator where something became of their answer that they wouldn't expect.
    """

    judgement: Judgement
    progress: LabelProgress
    next: Presentation | None
    notice: str = ""


@dataclass(frozen=True)
class Said:
    """A judgement that counts, in a list of what was judged before, with the end of the prompt that was answered."""

    judgement: Judgement
    prompt: str


@dataclass(frozen=True)
class RunView:
    """One run in a list.

    `headline` is the name of the metric that stands for it, `spark` its recent values, `last[headline]` the last one;
    `eta_seconds` is None when unknown; `place` orders those that are queued, the next one first.
    """

    id: str
    name: str
    kind: str
    state: JobState
    step: int
    steps: int
    created: datetime
    started: datetime | None
    ended: datetime | None
    folder: Path
    phase: str = ""
    headline: str = ""
    spark: tuple[float, ...] = ()
    last: dict[str, float] = field(default_factory=dict)
    eta_seconds: float | None = None
    error_what: str = ""
    error_hint: str = ""
    model: str | None = None
    note: str = ""
    place: int = 0


@dataclass(frozen=True)
class RunNews:
    """What happened to a run since the last look: how it stands, and new points by metric.

    When `superseded_after` is a step, first drop what is shown for later steps: a resumed worker does them again. A point
    may repeat one that was read from the store meanwhile; same name and same step is the same point.
    """

    run: str
    view: RunView
    points: dict[str, list[MetricPoint]] = field(default_factory=dict)
    superseded_after: int | None = None


@dataclass(frozen=True)
class RunDetail:
    """One run in full."""

    view: RunView
    spec: Spec
    notices: tuple[tuple[str, str], ...]
    checkpoints: tuple[int, ...]
    files: tuple[tuple[str, int], ...]
    command: str


@dataclass(frozen=True)
class SampleView:
    """What the model said to a fixed prompt at a step."""

    step: int
    index: int
    prompt: str
    completion: str
    numbers: dict[str, float]


@dataclass(frozen=True)
class Fit:
    """What a run would need and whether it fits, in plain sentences. `trouble` is empty when it can start."""

    trouble: tuple[str, ...]
    notes: tuple[str, ...]
    rows: int
    steps: int
    memory_gib: float
    available_gib: float


@dataclass(frozen=True)
class Column:
    """One column of the playground: a model with a strategy and its settings; `start` are tokens that its answer already has."""

    model: str
    settings: DecodingSettings
    start: tuple[int, ...] = ()


@dataclass(frozen=True)
class ColumnNews:
    """What happened in a column since the last look: new tokens, asides of its strategy, and at the end the verdict.

    `text` is what follows the prompt to the letter, `completion` the same as training reads it, `others` are further
    hypotheses of a beam search with their scores; `reason` is end, stop, length or stopped.
    """

    column: int
    tokens: tuple[TokenChoice, ...] = ()
    phase: str = ""
    text: str = ""
    done: bool = False
    stopped: bool = False
    error_what: str = ""
    error_hint: str = ""
    numbers: dict[str, float] = field(default_factory=dict)
    completion: str = ""
    others: tuple[tuple[str, float], ...] = ()
    reason: str = ""
    asides: tuple[Aside, ...] = ()


@dataclass(frozen=True)
class Scored:
    """Log-probability of a completion under a model, its end token included: the sum, the tokens, and each token's."""

    logprob: float
    tokens: int
    each: tuple[float, ...] = ()


@dataclass(frozen=True)
class LoadedModel:
    """A model in the decoder's memory: its name (or the end of its path), its folder, and what it holds alone or with others."""

    name: str
    folder: str
    role: str
    bytes: int


@dataclass(frozen=True)
class MemoryView:
    """Models in the decoder's memory, least recently used first; bytes of them all, and how many there may be (0: not told)."""

    models: tuple[LoadedModel, ...] = ()
    used: int = 0
    budget: int = 0


@dataclass(frozen=True)
class Preset:
    """A named choice of columns."""

    name: str
    columns: tuple[Column, ...]


@dataclass(frozen=True)
class Check:
    """One check of this machine or workspace."""

    name: str
    ok: bool
    what: str
    hint: str = ""


@dataclass(frozen=True)
class HomeView:
    """What the workspace holds, for the first page.

    `agreement` is the share of votes on the same two responses that agree, None when no item was judged twice.
    """

    labels_today: int
    labels_total: int
    datasets: tuple[DatasetView, ...]
    runs: tuple[RunView, ...]
    models: tuple[ModelRef, ...]
    agreement: float | None = None


@dataclass(frozen=True)
class Sampled:
    """Items made for ranking: the dataset, how many, and how many prompts had fewer than two different texts."""

    dataset: str
    items: int
    left_out: int
