"""AI feedback: what judges and revisers need before they start: names that are free, rows that are left, files that are read."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from workbench.domain.errors import BadInput
from workbench.domain.rows import DatasetKind
from workbench.domain.specs.judge import JudgeSpec, rule_file
from workbench.domain.specs.kinds import FeedbackSpec, Spec
from workbench.domain.specs.revise import ReviseSpec
from workbench.domain.specs.score import ScoreSpec
from workbench.domain.specs.texts import lines_of
from workbench.services import fit as estimates
from workbench.services.datasets import DatasetsService
from workbench.services.references import Parts, function_trouble
from workbench.services.views import DatasetView, Fit, Frozen
from workbench.services.workspace import Workspace

RULE_FILE = "rule.py"
LONGEST_NAME = 80


class Prepared(NamedTuple):
    """A run that can start: its frozen rows, its spec with everything looked up, and the files that it takes along."""

    frozen: Frozen
    spec: Spec
    files: dict[str, Path]


def signed(spec: JudgeSpec) -> str:
    """The name that a judge's judgements are signed with."""
    if spec.annotator:
        return spec.annotator
    if spec.judge == "model":
        return Path(spec.base).name
    named = rule_file(spec.rule)
    return spec.rule if named is None else f"{Path(named[0]).stem}:{named[1]}"[:LONGEST_NAME]


class Feedback:
    """Looks at the specs of judges and revisers in the light of a workspace."""

    def __init__(self, workspace: Workspace, datasets: DatasetsService) -> None:
        self._lane = workspace.lane
        self._labels = workspace.store.labels
        self._datasets = datasets

    def trouble(self, spec: FeedbackSpec, parts: Parts) -> list[str]:
        """A sentence for each thing that keeps a run from starting, beyond its model and data."""
        if isinstance(spec, ScoreSpec):
            return []
        return self._judge_trouble(spec, parts) if isinstance(spec, JudgeSpec) else self._revise_trouble(spec, parts)

    def fit(self, spec: FeedbackSpec, parts: Parts) -> Fit:
        """What the run would need, in the same words as for training."""
        rows = self._rows_left(spec, parts)
        notes = self._notes(spec, parts, rows)
        memory, available = 0.0, estimates.available_gib(spec)
        if parts.base is not None:
            shape = estimates.shape_of(Path(parts.base.path))
            parameters = estimates.full_parameters(parts.base, shape)
            at_once = spec.batch_size if isinstance(spec, ReviseSpec) else spec.micro_batch_size
            memory = estimates.inference_gib(
                parameters, shape, at_once, spec.max_length, cached=isinstance(spec, ReviseSpec)
            )
            if shape.context:
                notes.append(f"The model reads at most {shape.context} tokens; what is longer is counted and left out.")
            if memory > available:
                notes.append(
                    f"It may not fit: about {memory:.1f} GiB are needed and {available:.1f} GiB are free. Try a smaller batch."
                )
        return Fit(tuple(parts.trouble), tuple(notes), rows, rows, round(memory, 2), round(available, 2))

    def prepare(self, spec: FeedbackSpec, parts: Parts) -> Prepared:
        """Freeze the rows, and write into the spec what its folder needs to stand alone."""
        assert parts.data is not None
        looked_up = {"base": parts.base.path} if parts.base is not None else {}
        if isinstance(spec, ReviseSpec):
            kind: DatasetKind = "demonstrations" if _given(spec, parts.data) else "prompts"
            told = {"principles": "\n".join(_principles(spec)), "principles_file": ""}
            return Prepared(self._datasets.freeze(parts.data.name, kind), spec.model_copy(update=looked_up | told), {})
        if isinstance(spec, ScoreSpec):
            return Prepared(self._datasets.freeze_items(parts.data.name), spec.model_copy(update=looked_up), {})
        name = signed(spec)
        frozen = self._datasets.freeze_items(parts.data.name, None if spec.again else name)
        named = rule_file(spec.rule) if spec.judge == "rule" else None
        told = {"annotator": name} | ({"rule": f"{RULE_FILE}:{named[1]}"} if named else {})
        files = {RULE_FILE: Path(named[0]).expanduser()} if named else {}
        return Prepared(frozen, spec.model_copy(update=looked_up | told), files)

    def _judge_trouble(self, spec: JudgeSpec, parts: Parts) -> list[str]:
        trouble = []
        named = rule_file(spec.rule) if spec.judge == "rule" else None
        if named is not None:
            trouble += function_trouble(Path(named[0]).expanduser(), named[1])
        name = signed(spec)
        if parts.data is None or parts.data.kind != "preferences" or not name:
            return trouble
        if self._lane.do(self._labels.signed_by_person, parts.data.name, name):
            trouble.append(f"A person has judged {parts.data.name} as {name}; let the judge sign with another name.")
        elif parts.data.rows and not self._rows_left(spec, parts):
            trouble.append(f"{name} has judged every item of {parts.data.name}; set “again” to judge them anew.")
        return trouble

    def _revise_trouble(self, spec: ReviseSpec, parts: Parts) -> list[str]:
        trouble = []
        if not spec.demonstrations and not spec.pairs:
            trouble.append("Name a dataset for the demonstrations or for the pairs; nothing would be kept.")
        if spec.demonstrations and spec.demonstrations == spec.pairs:
            trouble.append("Demonstrations and pairs can't go into the same dataset.")
        try:
            if not _principles(spec):
                trouble.append("Write at least one principle.")
        except BadInput as error:
            trouble.append(error.what)
        if spec.original == "given" and parts.data is not None and parts.data.kind != "demonstrations":
            trouble.append(
                f"{parts.data.name} holds no completions to revise; choose demonstrations, or sample the originals."
            )
        known = {view.name: view for view in self._datasets.list()}
        for name, kind in ((spec.demonstrations, "demonstrations"), (spec.pairs, "preferences")):
            there = known.get(name)
            if there is not None and there.kind != kind:
                trouble.append(f"{name} holds {there.kind}; {kind} can't be added to it.")
            elif there is not None and not there.synthetic:
                trouble.append(f"{name} isn't marked as synthetic; name a new dataset for what the model writes.")
        return trouble

    def _rows_left(self, spec: FeedbackSpec, parts: Parts) -> int:
        if parts.data is None:
            return 0
        rows = parts.data.rows
        if isinstance(spec, JudgeSpec) and parts.data.kind == "preferences" and not spec.again:
            rows -= self._judged_before(spec, parts.data)
        limit = 0 if isinstance(spec, ScoreSpec) else spec.limit
        return min(rows, limit) if limit else rows

    def _judged_before(self, spec: JudgeSpec, data: DatasetView) -> int:
        return self._lane.do(self._labels.progress, data.name, signed(spec)).judged

    def _notes(self, spec: FeedbackSpec, parts: Parts, rows: int) -> list[str]:
        if isinstance(spec, JudgeSpec):
            return self._judge_notes(spec, parts, rows)
        if isinstance(spec, ReviseSpec):
            return self._revise_notes(spec, parts, rows)
        judged = parts.data.judged if parts.data is not None else 0
        return [
            f"{rows:,} items will be scored; older scores of this model are replaced, labels stay as they are.",
            f"{spec.heads} heads are fitted to {min(judged, spec.labelled):,} judged items; queues ask first where they disagree.",
        ]

    def _judge_notes(self, spec: JudgeSpec, parts: Parts, rows: int) -> list[str]:
        kind = "rule" if spec.judge == "rule" else "model"
        notes = [
            f"The judgements will be signed {signed(spec)} and marked as made by a {kind}; people's stay as they are."
        ]
        if parts.data is not None and parts.data.kind == "preferences":
            before = 0 if spec.again else self._judged_before(spec, parts.data)
            done = f"; {before:,} are judged by {signed(spec)} already" if before else ""
            notes.append(f"{rows:,} of {parts.data.rows:,} items will be judged{done}.")
        if parts.base is not None and parts.base.kind != "reward":
            notes.append(
                "Every pair of responses is asked about in both orders; where the two answers disagree, it is dropped."
            )
        elif parts.base is not None:
            notes.append("The reward model's scores rank the responses; it isn't asked anything.")
        return notes

    def _revise_notes(self, spec: ReviseSpec, parts: Parts, rows: int) -> list[str]:
        notes = []
        if parts.data is not None:
            source = "the dataset's completions" if _given(spec, parts.data) else "responses that the model samples"
            notes.append(f"{rows:,} prompts; what is revised are {source}.")
        try:
            count = len(_principles(spec))
        except BadInput:
            count = 0
        if count:
            notes.append(f"{spec.rounds} × critique and revision, each by one of {count} principles.")
        known = {view.name: view.rows for view in self._datasets.list()}
        for name in (spec.demonstrations, spec.pairs):
            if name:
                notes.append(
                    f"{name} {f'has {known[name]:,} rows and gets more' if name in known else 'will be made'}, marked synthetic."
                )
        return notes


def _given(spec: ReviseSpec, data: DatasetView) -> bool:
    return data.kind == "demonstrations" and spec.original != "sampled"


def _principles(spec: ReviseSpec) -> tuple[str, ...]:
    """The principles, from the file if one is named; BadInput when it can't be read."""
    if not spec.principles_file:
        return lines_of(spec.principles)
    try:
        return lines_of(Path(spec.principles_file).expanduser().read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(
            f"The principles in {spec.principles_file} can't be read.", "Give a text file.", str(error)
        ) from error
