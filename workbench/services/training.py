"""Training: from a spec that names things of the workspace to a queued run that stands alone."""

from __future__ import annotations

import shutil
from pathlib import Path

from workbench.domain.architecture import CANNOT_CONTINUE
from workbench.domain.errors import BadInput, Conflict, WorkbenchError
from workbench.domain.specs.common import TrainingSpec
from workbench.domain.specs.grpo import GrpoSpec
from workbench.domain.specs.kinds import SPECS, Spec, TrainSpec, data_kind, frozen_as, parse_spec
from workbench.domain.specs.methods import WHOLE_RESULT
from workbench.domain.specs.online import OnlineSpec
from workbench.domain.specs.ppo import PpoSpec
from workbench.domain.specs.preferences import PreferenceSpec
from workbench.domain.specs.pretrain import PretrainSpec
from workbench.domain.specs.reward import RewardSpec
from workbench.domain.specs.sft import SftSpec
from workbench.domain.specs.study import StudySpec
from workbench.domain.specs.weighted import WeightedSpec
from workbench.jobs import folders
from workbench.services import fit as estimates
from workbench.services.command_line import command_line
from workbench.services.datasets import DatasetsService
from workbench.services.feedback import Feedback, Prepared
from workbench.services.model_folder import family_in
from workbench.services.models import ModelsService
from workbench.services.proposals import suiting
from workbench.services.references import Parts, References, usable_rows
from workbench.services.runs import RunsService
from workbench.services.studies import StudyDesk
from workbench.services.views import DatasetView, Fit, RunView
from workbench.services.workspace import Workspace

_PREFERRED_BASE: dict[str, tuple[str, ...]] = {
    "pretrain": ("base", "pretrain"),
    "sft": ("base", "pretrain", "sft"),
    "reward": ("sft", "base", "pretrain"),
    "dpo": ("sft", "base", "pretrain"),
    "ppo": ("sft", "base", "pretrain"),
    "grpo": ("sft", "base", "pretrain"),
    "weighted": ("sft", "base", "pretrain"),
    "judge": ("sft", "dpo", "ppo", "base", "pretrain"),
    "revise": ("sft", "dpo", "ppo", "base", "pretrain"),
    "score": ("reward",),
    "study": ("dpo", "ppo", "grpo", "weighted", "sft", "base", "pretrain"),
}


class TrainingService:
    """Drafts, checks and starts runs."""

    def __init__(
        self, workspace: Workspace, datasets: DatasetsService, models: ModelsService, runs: RunsService
    ) -> None:
        self._workspace = workspace
        self._lane = workspace.lane
        self._store = workspace.store.runs
        self._datasets = datasets
        self._models = models
        self._runs = runs
        self._references = References(datasets, models)
        self._feedback = Feedback(workspace, datasets)
        self._studies = StudyDesk(workspace, datasets, self._references)

    def draft(self, kind: str) -> Spec:
        """A spec of this kind with its defaults, and with the newest base and the likeliest data that suit it."""
        if kind not in SPECS:
            raise BadInput(f"There is no kind of job called {kind!r}.", f"Choose one of: {', '.join(SPECS)}.")
        models = self._models.list()[::-1]
        values: dict[str, str] = {"kind": kind}
        bases = [m for wanted in _PREFERRED_BASE[kind] for m in models if m.kind == wanted]
        usable = [d for d in suiting(kind, self._datasets.list()) if usable_rows(d, kind)]
        rewards = [m for m in models if m.kind == "reward"]
        scored = rewards if "reward_model" in SPECS[kind].model_fields else []
        for name, found in (("base", bases), ("data", usable), ("reward_model", scored)):
            if found:
                values[name] = found[0].name
        return parse_spec(values)

    def fit(self, spec: Spec) -> Fit:
        """What the run would need, and everything that keeps it from starting."""
        parts = self._resolve(spec)
        if isinstance(spec, StudySpec):
            return self._studies.fit(spec, parts)
        if not isinstance(spec, TrainingSpec):
            return self._feedback.fit(spec, parts)
        trouble, notes = list(parts.trouble), []
        rows = 0
        if parts.data is not None:
            rows = parts.data.judged if data_kind(spec) == "preferences" else parts.data.rows
        steps, memory = 0, 0.0
        available = estimates.available_gib(spec)
        if parts.base is not None:
            shape = estimates.shape_of(Path(parts.base.path))
            parameters = estimates.full_parameters(parts.base, shape)
            reward = estimates.reward_parameters(spec, parts.reward, parts.base) if parts.reward is not None else 0
            memory = estimates.memory_gib(
                spec, parameters, shape, reward, self._completions(parts.data),
                reward_on_base=parts.reward is not None and estimates.stands_on(parts.reward, parts.base),
            )  # fmt: skip
            steps = self._steps(spec, parts.data, rows, shape, _family(spec, Path(parts.base.path)))
            notes += _length_notes(spec, shape)
            disk, free = (
                estimates.disk_needed_gib(spec, parameters, shape),
                estimates.disk_free_gib(self._workspace.path),
            )
            if disk > free:
                trouble.append(
                    f"Checkpoints and result take about {disk:.1f} GiB, but the disk has {free:.1f} GiB free."
                )
            trained = estimates.trained_parameters(spec, parameters, shape)
            about = "" if spec.method == "full" else "About "
            notes.insert(0, f"{about}{_count(trained)} of {_count(parameters)} parameters are trained.")
            if memory > available:
                notes.append(
                    f"It may not fit: about {memory:.1f} GiB are needed and {available:.1f} GiB are free. Try a smaller "
                    "micro-batch, gradient checkpointing or an adapter."
                )
        if parts.data is not None and parts.data.synthetic:
            notes.append("The labels of this dataset are synthetic; the model will be marked so.")
        if isinstance(spec, PreferenceSpec) and spec.dimension:
            notes.append(f"Only items that are ranked by {spec.dimension} are used, as this dimension ranks them.")
        if rows:
            notes.append(_row_note(spec, parts.data, rows, steps))
        return Fit(tuple(trouble), tuple(notes), rows, steps, round(memory, 2), round(available, 2))

    def start(self, spec: Spec, detach: bool = False) -> RunView:
        """Freeze the data, make the run folder and queue the run. All or nothing; BadInput says what is wrong.

        With `detach` the worker is started before this returns, if its device is free, so that the caller may end.
        """
        parts = self._resolve(spec)
        if parts.trouble:
            raise BadInput(" ".join(parts.trouble), "Correct this and start again; nothing was changed.")
        if isinstance(spec, StudySpec):
            prepared = self._studies.prepare(spec, parts)
        elif isinstance(spec, TrainingSpec):
            prepared = self._prepare(spec, parts)
        else:
            prepared = self._feedback.prepare(spec, parts)
        synthetic = prepared.frozen.synthetic or any(
            model.synthetic for model in (parts.base, parts.reward) if model is not None
        )
        run = self._book(spec, prepared, synthetic)
        if detach:
            self._runs.tick()
        return self._runs.view(run)

    def command(self, spec: Spec) -> str:
        """The equivalent command line, with only what differs from the defaults."""
        return command_line(spec, self._workspace.path)

    def _resolve(self, spec: Spec) -> Parts:
        parts = self._references.resolve(spec)
        if isinstance(spec, StudySpec):
            parts.trouble += self._studies.trouble(spec)
        elif not isinstance(spec, TrainingSpec):
            parts.trouble += self._feedback.trouble(spec, parts)
        return parts

    def _prepare(self, spec: TrainSpec, parts: Parts) -> Prepared:
        """Frozen rows, the spec with folders for names, and the files that the run takes along."""
        assert parts.base is not None and parts.data is not None
        kind = frozen_as(spec)
        if isinstance(spec, OnlineSpec) and kind == "prompts" and parts.data.kind == "demonstrations":
            kind = "demonstrations"  # rewards may compare with the completions
        dimension = spec.dimension if isinstance(spec, PreferenceSpec) else ""
        frozen = self._datasets.freeze(parts.data.name, kind, dimension)
        written = spec.model_copy(update={"base": parts.base.path})
        if isinstance(written, OnlineSpec) and parts.reward is not None:
            written = written.model_copy(update={"reward_model": parts.reward.path})
        files = {} if parts.function is None else {"reward_function.py": parts.function}
        return Prepared(frozen, written, files)

    def _book(self, spec: Spec, prepared: Prepared, synthetic: bool) -> str:
        """Make the run's folder and put the run into the queue; returns its id."""
        while True:
            run, folder = self._make_folder(prepared.spec, prepared.frozen.path, prepared.files)
            try:
                self._lane.do(
                    self._store.create,
                    spec.kind,
                    spec.model_dump(mode="json"),
                    run=run,
                    name=spec.name or run,
                    snapshot=prepared.frozen.sha,
                    synthetic=synthetic,
                )
            except WorkbenchError as error:
                shutil.rmtree(folder, ignore_errors=True)
                if not isinstance(error, Conflict):
                    raise
            else:
                return run  # after a Conflict, another folder on the same server has the number: the next one

    def _make_folder(self, spec: Spec, snapshot: Path, files: dict[str, Path]) -> tuple[str, Path]:
        """A folder `runs/KIND-N` that nobody has; making it is what reserves the number."""
        taken = self._lane.do(self._store.taken)
        number = sum(1 for run in taken if run.startswith(f"{spec.kind}-"))
        while True:
            number += 1
            run = f"{spec.kind}-{number}"
            folder = self._workspace.runs / run
            if run in taken or folder.exists():
                continue
            try:
                folders.make_run(folder, spec, snapshot, files)
            except Conflict:
                continue
            return run, folder

    def _completions(self, data: DatasetView | None) -> float:
        """How many completions an item of a preference dataset has, by its first ones."""
        if data is None or data.kind != "preferences" or not data.rows:
            return 2.0
        items = self._datasets.values(data.name, 0, 50)
        return sum(len(item.candidates) for item in items) / len(items)

    def _steps(
        self, spec: TrainSpec, data: DatasetView | None, rows: int, shape: estimates.Shape, family: str | None
    ) -> int:
        """Steps of a run; where a row of the data isn't a row of the batch, by the length of the first texts."""
        packing = isinstance(spec, SftSpec) and spec.packing
        if data is None or not rows or not (packing or (isinstance(spec, PretrainSpec) and data.kind == "documents")):
            return estimates.count_steps(spec, rows)
        shown = self._datasets.page(data.name, 0, 50)
        mean = sum(len(text) for row in shown for _, text in row.texts) / max(1, len(shown))
        packed = packing or family not in CANNOT_CONTINUE
        return estimates.count_steps(spec, estimates.rows_of_tokens(spec, rows, mean, shape, packed))


def _family(spec: TrainSpec, base: Path) -> str | None:
    """What a pretraining run predicts; for other kinds it makes no difference."""
    if isinstance(spec, PretrainSpec) and spec.objective != "auto":
        return spec.objective
    return family_in(base)


def _row_note(spec: TrainSpec, data: DatasetView | None, rows: int, steps: int) -> str:
    held = f", {spec.holdout * 100:.3g}% of them held out" if spec.holdout else ""
    if isinstance(spec, PretrainSpec):
        return f"{_many(rows, 'document')}{held}; about {_many(steps, 'step')}, depending on how many tokens they have."
    if isinstance(spec, PpoSpec):
        return f"{_many(rows, 'prompt')}{held}; {_many(steps, 'rollout')} of {_many(spec.batch_size, 'completion')}."
    if isinstance(spec, RewardSpec):
        return f"{_many(rows, 'judged item')}{held}; {_many(steps, 'step')}, fewer where items are all tied or bad."
    if isinstance(spec, GrpoSpec) or (isinstance(spec, WeightedSpec) and spec.completions == "sampled"):
        made = _many(spec.batch_size * spec.group_size, "completion")
        return f"{_many(rows, 'prompt')}{held}; {_many(steps, 'rollout')} of {made}, {spec.group_size} to each prompt."
    if data is not None and data.kind == "preferences":
        return f"{_many(rows, 'judged item')}{held}; at least {_many(steps, 'step')}, more where a ranking gives several pairs."
    return f"{_many(rows, 'row')}{held}; {_many(steps, 'step')}."


def _length_notes(spec: TrainSpec, shape: estimates.Shape) -> list[str]:
    notes = []
    if shape.context and spec.max_length > shape.context:
        notes.append(f"The model reads at most {shape.context} tokens; longer rows are cut there.")
    if spec.micro_batch_size > spec.batch_size:
        notes.append("The micro-batch is larger than the batch, so the batch is computed whole.")
    if isinstance(spec, RewardSpec) and spec.method not in WHOLE_RESULT:
        notes.append("The score head is trained in full beside the adapter.")
    return notes


def _many(number: int, word: str) -> str:
    return f"{number:,} {word}" if number == 1 else f"{number:,} {word}s"


def _count(number: int) -> str:
    for size, name in ((10**9, "billion"), (10**6, "million")):
        if number >= size:
            return f"{number / size:.1f} {name}"
    return f"{number:,}"
