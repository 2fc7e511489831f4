"""Decoding studies: what keeps one from starting, what it needs, and what is made of its results."""

from __future__ import annotations

import csv
import io
import json
import uuid
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

from workbench.domain.decoding import Contrastive, other_model, with_folder
from workbench.domain.errors import BadInput, Conflict, NotFound
from workbench.domain.judgement import Item
from workbench.domain.specs.judge import rule_file
from workbench.domain.specs.kinds import parse_spec
from workbench.domain.specs.study import MOST_CANDIDATES, Asked, StudySpec, labels_of, read_queue, write_columns
from workbench.domain.study import Study, StudyTexts
from workbench.domain.text import Candidate
from workbench.jobs import folders
from workbench.services import fit as estimates
from workbench.services.datasets import DatasetsService, checked_name
from workbench.services.feedback import RULE_FILE, Prepared
from workbench.services.files import replace_bytes, replace_text
from workbench.services.naming import checkpoint_folder
from workbench.services.references import Parts, References, function_trouble
from workbench.services.views import Fit, Sampled
from workbench.services.workspace import Workspace
from workbench.store.filling import NewRow
from workbench.store.runs import RunRecord


class StudyDesk:
    """Looks at the specs of studies in the light of a workspace."""

    def __init__(self, workspace: Workspace, datasets: DatasetsService, references: References) -> None:
        self._runs = workspace.runs
        self._lane = workspace.lane
        self._queues = workspace.store.queues
        self._datasets = datasets
        self._references = references

    def trouble(self, spec: StudySpec) -> list[str]:
        """A sentence for each thing that keeps a study from starting, beyond base and data."""
        parts = Parts()
        for column in spec.asked:
            self._column(column, parts)
        self._named(spec, parts)
        named = rule_file(spec.rule) if spec.rule else None
        if named is not None:
            parts.trouble += function_trouble(Path(named[0]).expanduser(), named[1])
        return list(dict.fromkeys(parts.trouble + self._ranking(spec)))

    def fit(self, spec: StudySpec, parts: Parts) -> Fit:
        """What the run would need."""
        rows = parts.data.rows if parts.data is not None else 0
        prompts = min(rows, spec.limit) if spec.limit else rows
        columns = spec.asked
        notes = [
            f"{len(columns)} columns answer {prompts:,} prompts; those that draw give {spec.samples} texts to each."
        ]
        memory, available = 0.0, estimates.available_gib(spec)
        for column in columns:
            model = self._references.model(column.model, "model", Parts()) if column.model else None
            if model is None:
                continue
            shape = estimates.shape_of(Path(model.path))
            length = column.settings.max_new_tokens
            rows_at_once = min(64, spec.batch_size * spec.samples)
            needed = estimates.inference_gib(
                estimates.full_parameters(model, shape), shape, rows_at_once, 2 * length, cached=True
            )
            memory = max(memory, needed)
        if memory > available:
            notes.append(
                f"It may not fit: about {memory:.1f} GiB are needed and {available:.1f} GiB are free. Try a smaller batch."
            )
        if not (spec.rule or spec.reward_model or spec.judge):
            notes.append("Nothing says how good the texts are; name a rule, a reward model or a judge under Quality.")
        if items := spec.items.strip():
            asks = f", and the queue {read_queue(spec.queue, items).name} asks about them" if spec.queue.strip() else ""
            notes.append(f"When it is done, its texts become items of {items}{asks}.")
        return Fit(tuple(parts.trouble), tuple(notes), prompts, len(columns), round(memory, 2), round(available, 2))

    def prepare(self, spec: StudySpec, parts: Parts) -> Prepared:
        """Freeze the prompts, and write folders for names into the spec."""
        if parts.data is None:
            raise BadInput("The study has no data.", "Choose a dataset with prompts.")
        frozen = self._datasets.freeze(parts.data.name, "prompts")
        told: dict[str, str] = {"columns": write_columns(tuple(self._looked_up(column) for column in spec.asked))}
        if spec.base:
            told["base"] = self._folder(spec.base)
        told |= {role: self._folder(name) for role in ("reward_model", "judge") if (name := getattr(spec, role))}
        named = rule_file(spec.rule) if spec.rule else None
        files = {} if named is None else {RULE_FILE: Path(named[0]).expanduser()}
        if named is not None:
            told["rule"] = f"{RULE_FILE}:{named[1]}"
        return Prepared(frozen, spec.model_copy(update=told), files)

    def _ranking(self, spec: StudySpec) -> list[str]:
        """What keeps the texts from becoming items, or the queue from asking about them."""
        name = spec.items.strip()
        kind = next((view.kind for view in self._datasets.list() if view.name == name), "preferences")
        trouble = [] if kind == "preferences" else [f"{name} holds {kind}; items go to a dataset of preferences."]
        if spec.queue.strip():
            queue = read_queue(spec.queue, name).name
            over = {figures.record.name: figures.dataset for figures in self._lane.do(self._queues.list, "")}
            if over.get(queue, name) != name:
                trouble.append(f"There is already a queue called {queue!r}, over {over[queue]}; choose another name.")
        return trouble

    def _column(self, column: Asked, parts: Parts) -> None:
        other = other_model(column.settings)
        if isinstance(column.settings, Contrastive) and other is None:
            parts.trouble.append("A contrastive column needs an amateur: write amateur=MODEL.")
        for name in filter(None, (column.model, other)):
            try:
                if checkpoint_folder(self._runs, name) is not None:
                    continue
            except NotFound as error:
                parts.trouble.append(error.what)
                continue
            found = self._references.model(name, "model", parts)
            if found is not None and found.kind == "reward":
                parts.trouble.append(f"{found.name} is a reward model and says nothing; name a language model.")

    def _named(self, spec: StudySpec, parts: Parts) -> None:
        reward = self._references.model(spec.reward_model, "reward model", parts) if spec.reward_model else None
        if reward is not None and reward.kind != "reward":
            parts.trouble.append(f"{reward.name} is no reward model; train one on preferences first.")
        judge = self._references.model(spec.judge, "judge", parts) if spec.judge else None
        if judge is not None and judge.kind == "reward":
            parts.trouble.append(
                f"{judge.name} is a reward model; name it as reward_model, and a language model as judge."
            )

    def _looked_up(self, column: Asked) -> Asked:
        """The column with folders for names; what was named stays named."""
        settings = column.settings
        given = column.given if "max_new_tokens" in column.given else (*column.given, "max_new_tokens")
        if (other := other_model(settings)) is not None:
            settings = with_folder(settings, self._folder(other))
        return Asked(self._folder(column.model), settings, given)

    def _folder(self, name: str) -> str:
        if (checkpoint := checkpoint_folder(self._runs, name)) is not None:
            return str(checkpoint)
        found = self._references.model(name, "model", parts := Parts())
        if found is None:
            raise BadInput(" ".join(parts.trouble), "Choose another model.")
        return found.path


def columns_found_again(written: StudySpec, asked: StudySpec, paths: Mapping[str, str]) -> str:
    """The written columns with the folders where their models are now, where those from before have gone."""

    def there(folder: str, name: str) -> str:
        return folder if Path(folder).exists() else paths.get(name, folder)

    columns = []
    for old, new in zip(written.asked, asked.asked, strict=True):
        settings, other = old.settings, other_model(old.settings)
        if other is not None:
            settings = with_folder(settings, there(other, other_model(new.settings) or ""))
        columns.append(Asked(there(old.model, new.model), settings, old.given))
    return write_columns(tuple(columns))


class StudiesService:
    """Results of studies: the table, the texts, files of both, and candidates for ranking."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._lane = workspace.lane
        self._store = workspace.store

    def get(self, run: str) -> Study:
        """The table as far as the study has come, models by their names in the workspace; Conflict before its first column."""
        record = self._record(run)
        table, _ = folders.study(record.folder)
        if table is None:
            raise Conflict(f"{run} has no results yet.", "Wait until its first column has answered a batch of prompts.")
        study = Study.model_validate_json(table)
        columns = _study(record).asked
        told = [
            shown.model_copy(update={"label": label, "model": asked.model, "settings": asked.settings})
            for shown, asked, label in zip(study.columns, columns, labels_of(columns), strict=True)
        ]
        return study.model_copy(update={"columns": tuple(told)})

    def texts(self, run: str) -> StudyTexts:
        """Prompts and texts with their seeds and measures; Conflict while the study goes on."""
        _, texts = folders.study(self._record(run).folder)
        if texts is None:
            raise Conflict(f"{run} has no texts yet.", "Wait for its end, or pause it.")
        return StudyTexts.model_validate_json(texts)

    def export(self, run: str, out: Path) -> Path:
        """Write the table (.csv), or table, prompts and texts with settings and seeds (.json); returns the file."""
        out = Path(out).expanduser().absolute()
        study = self.get(run)
        match out.suffix:
            case ".csv":
                replace_text(out, _table(study))
            case ".json":
                told = self.texts(run)
                document = {"run": run, "study": study.model_dump(mode="json"), **told.model_dump(mode="json")}
                replace_text(out, json.dumps(document, ensure_ascii=False, indent=1) + "\n")
            case _:
                raise BadInput(
                    f"A study isn't written as {out.suffix or out.name}.", "Name a file that ends in .csv or .json."
                )
        return out

    def keep(self, out: Path, content: bytes) -> Path:
        """Write a file that the window has made of a study, whole or not at all; returns it."""
        out = Path(out).expanduser().absolute()
        replace_bytes(out, content)
        return out

    def to_ranking(self, run: str, dataset: str, candidates: int = 4) -> Sampled:
        """Append an item for each prompt to a dataset of preferences, made when there is none: its texts, to be ranked.

        Texts are taken in turn from every column, equal ones once, at most `candidates`; each keeps model, settings (with the
        strategy) and the seed that draws it again. Prompts with fewer than two different texts give no item.
        """
        record = self._record(run)
        if not 2 <= candidates <= MOST_CANDIDATES:
            raise BadInput(
                f"An item has 2 to {MOST_CANDIDATES} candidates, not {candidates}.", "Choose a number between."
            )
        name, (items, left_out) = checked_name(dataset), self._items(record, candidates)
        rows = [NewRow((item.model_copy(update={"id": uuid.uuid4().hex}), [])) for item in items]
        self._lane.do(self._append, name, f"texts of {run}", rows)
        return Sampled(name, len(rows), left_out)

    def leave(self, run: str) -> Sampled | None:
        """Leave what a study that is done was asked to: items to rank, and a queue over them. Done again, it changes nothing.

        None when it was asked for nothing. A queue of this name that is there already is put in order again.
        """
        record = self._record(run)
        spec = _study(record)
        if not spec.items.strip():
            return None
        name, (items, left_out) = checked_name(spec.items), self._items(record, spec.candidates)
        self._lane.do(self._append_once, name, f"texts of {run}", items)
        if spec.queue.strip():
            queue = read_queue(spec.queue, name)
            there = any(known.record.name == queue.name for known in self._lane.do(self._store.queues.list, "", name))
            steps = self._store.queues.ordering(queue.name) if there else self._store.queues.making(queue)
            while self._lane.do(next, steps, None) is not None:
                pass
        return Sampled(name, len(items), left_out)

    def _items(self, record: RunRecord, candidates: int) -> tuple[list[Item], int]:
        """An item for each prompt with two different texts, named after run and prompt; how many prompts have none."""
        told, columns = self.texts(record.id), _study(record).asked
        by_prompt: dict[int, dict[str, Candidate]] = defaultdict(dict)
        for text in sorted(told.texts, key=lambda text: (text.sample, text.column)):
            settings = columns[text.column].settings.model_copy(update={"seed": text.seed})
            by_prompt[text.prompt].setdefault(
                text.completion,
                Candidate(
                    text=text.completion, model=columns[text.column].model, settings=settings, seed=text.seed,
                    score=text.measures.get("reward"),
                ),
            )  # fmt: skip
        items = []
        for number, prompt in enumerate(told.prompts):
            several = tuple(by_prompt[number].values())[:candidates]
            if len(several) > 1:
                name = uuid.uuid5(
                    uuid.NAMESPACE_OID, f"{record.id} of {record.created.isoformat()}, prompt {number}"
                ).hex
                items.append(Item(id=name, prompt=prompt, candidates=several))
        if not items:
            raise BadInput("No prompt has two different texts.", "Add columns or samples that differ.")
        return items, len(told.prompts) - len(items)

    def _append_once(self, name: str, source: str, items: list[Item]) -> None:
        """Append the items unless that was done before the application died."""
        try:
            self._store.labels.item(name, items[0].id)
        except NotFound:
            self._append(name, source, [NewRow((item, [])) for item in items])

    def _append(self, name: str, source: str, rows: list[NewRow]) -> None:
        if all(record.name != name for record in self._store.datasets.list()):
            self._store.datasets.create(name, "preferences", source)
        self._store.datasets.append(name, rows)

    def _record(self, run: str) -> RunRecord:
        return self._lane.do(self._store.runs.get, run)


def _study(record: RunRecord) -> StudySpec:
    """What was asked for, models by their names."""
    spec = parse_spec(record.spec)
    if not isinstance(spec, StudySpec):
        raise BadInput(f"{record.id} is no study.", "Choose a run of the kind study.")
    return spec


def _table(study: Study) -> str:
    """A line for each column: settings, then every measure with its interval."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    names = study.measures
    heads = [f"{name}{end}" for name in names for end in ("", "_low", "_high")]
    writer.writerow(["column", "model", "strategy", "settings", *heads])
    for column in study.columns:
        cells = []
        for name in names:
            figure = column.figures.get(name)
            cells += [
                "" if v is None else v for v in ((figure.value, figure.low, figure.high) if figure else (None,) * 3)
            ]
        settings = column.settings.model_dump_json(exclude={"strategy"}, exclude_defaults=True)
        writer.writerow([column.label, column.model, column.settings.strategy, settings, *cells])
    return out.getvalue()
