"""The playground's verbs: decode side by side, score, vote, keep for ranking. The models live in the decoding worker."""

from __future__ import annotations

import builtins
import uuid
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from workbench.domain.choices import Aligned, Distribution, LosslessReport
from workbench.domain.decoding import DecodingSettings, Speculative, other_model, with_folder
from workbench.domain.errors import BadInput, NotFound
from workbench.domain.judgement import Item, Judgement, Outcome, Ranking
from workbench.domain.specs.kinds import explain
from workbench.domain.text import Candidate, Prompt
from workbench.jobs.decoder import Decoder, News
from workbench.services.labelling import LabellingService
from workbench.services.models import ModelsService
from workbench.services.naming import checkpoint_folder, name_of_folder
from workbench.services.settings import SettingsService
from workbench.services.views import Column, ColumnNews, LoadedModel, MemoryView, Preset, Scored
from workbench.services.workspace import Workspace

MOST_COLUMNS = 6
GIB = 2**30
_PRESETS = "playground.presets"
_SETTINGS: TypeAdapter[DecodingSettings] = TypeAdapter(DecodingSettings)


class PlaygroundService:
    """Decoding with the workspace's models. `start` and `poll` return at once; the other verbs block."""

    def __init__(
        self, workspace: Workspace, models: ModelsService, settings: SettingsService, labelling: LabellingService
    ) -> None:
        self._store = workspace.store
        self._lane = workspace.lane
        self._runs = workspace.runs
        self._models = models
        self._settings = settings
        self._labelling = labelling
        self._decoder = Decoder(
            workspace.path / "decoder.log",
            lambda: settings.get().threads,
            budget=lambda: settings.get().decoder_memory * GIB,
        )
        self._job = 0
        self._places: tuple[int, ...] = ()
        self._decoded: dict[int, tuple[int, int]] = {}  # place -> the job and the number of its column there

    def start(self, prompt: Prompt, columns: Sequence[Column], *, prefill: str = "", places: Sequence[int] = ()) -> int:
        """Begin decoding, ending what was under way; `poll` tells the tokens. Returns the number of this round.

        Every answer begins with `prefill`. A column with a `start` goes on from there: with the same seed, it says what it would
        have said without the stop. `places` are the numbers by which `poll` speaks of these columns, 0, 1 … by default.
        """
        if not 1 <= len(columns) <= MOST_COLUMNS:
            raise BadInput(f"The playground has 1 to {MOST_COLUMNS} columns.", "Add or remove columns.")
        if not prompt.text.strip():
            raise BadInput("The prompt is empty.", "Type what the models should answer or continue.")
        asked = [(self._folder(column.model), self._with_folders(column.settings), column.start) for column in columns]
        if self._job:
            self._decoder.stop(self._job)
        self._places = tuple(places) or tuple(range(len(columns)))
        self._job = self._decoder.generate(prompt, asked, prefill)
        self._decoded |= {place: (self._job, number) for number, place in enumerate(self._places)}
        return self._job

    def poll(self) -> builtins.list[ColumnNews]:
        """What happened in the columns since the last look, in order; news of earlier rounds is dropped."""
        return [_view(news, self._places) for news in self._decoder.poll() if news.job == self._job]

    def stop(self) -> None:
        """End the present round before its next token; its columns report that they were stopped."""
        if self._job:
            self._decoder.stop(self._job)

    def generate(
        self,
        model: str,
        prompts: Sequence[Prompt],
        settings: DecodingSettings,
        progress: Callable[[int, int], object] | None = None,
    ) -> builtins.list[str]:
        """One completion for each prompt, in batches; prompt i draws from the settings' seed + i.

        `progress(done, total)` may say False to stop, which raises Conflict.
        """
        settings = self._with_folders(settings)
        return self._decoder.generate_many(self._folder(model), prompts, settings, progress) if prompts else []

    def score(self, model: str, pairs: Sequence[tuple[Prompt, str]]) -> builtins.list[Scored]:
        """Log-probability (nats) of each completion, its end token included."""
        rows = self._decoder.score(self._folder(model), pairs) if pairs else []
        return [Scored(sum(row), len(row), row) for row in rows]

    def reward(self, model: str, pairs: Sequence[tuple[Prompt, str]]) -> builtins.list[float]:
        """A reward model's score of each completion."""
        return self._decoder.reward(self._folder(model), pairs) if pairs else []

    def lossless(
        self,
        model: str,
        prompt: Prompt,
        settings: Speculative,
        samples: int = 2000,
        progress: Callable[[int, int], object] | None = None,
    ) -> LosslessReport:
        """Whether these drafts leave the model's distribution as it was: a chi-square test on drawn texts, and on wrong rules.

        `progress(done, total)` may say False to stop, which raises Conflict.
        """
        if other_model(settings) is not None:
            settings = settings.model_copy(update={"draft": str(self._folder(settings.draft))})
        return self._decoder.lossless(self._folder(model), prompt, settings, samples, progress)

    def distribute(self, column: int, position: int, settings: DecodingSettings, top: int = 40) -> Distribution:
        """What these settings' rules do with the logits at a token of a column (its place, as in `poll`), and where they change it.

        The model isn't run again, so this may follow a slider. Raises BadInput for a column that the decoder has forgotten.
        """
        if column not in self._decoded:
            raise BadInput("What this column weighed isn't kept any more.", "Start the round again to look into it.")
        return self._decoder.distribute(*self._decoded[column], position, settings, top)

    def align(
        self, model: str, reference: str, pairs: Sequence[tuple[Prompt, str]]
    ) -> builtins.list[tuple[Aligned, ...]]:
        """Completions under a model and a reference of the same vocabulary, token by token, their end tokens included."""
        return self._decoder.align(self._folder(model), self._folder(reference), pairs) if pairs else []

    def memory(self) -> MemoryView:
        """Which models the decoder holds, by the names that columns give them, and how much they may hold."""
        held = self._decoder.memory()
        names = {ref.path: ref.name for ref in self._models.list()} if held.models else {}
        models = (
            LoadedModel(names.get(folder) or name_of_folder(self._runs, Path(folder)), folder, role, size)
            for folder, role, size in held.models
        )
        return MemoryView(tuple(models), held.used, held.budget)

    def free(self, model: str) -> None:
        """Let a model go from the decoder's memory once it is idle; by its name or, also when its files are gone, its folder."""
        self._decoder.free(Path(model) if Path(model).is_absolute() else self._folder(model))

    def rebudget(self, gibibytes: int) -> None:
        """What models may hold together from now on (0: half of the machine's memory); what is too much goes at once."""
        self._decoder.rebudget(gibibytes * GIB)

    def reading(self, model: str, prompt: Prompt, prefill: str = "") -> builtins.list[tuple[int, str]]:
        """The tokens, each with its piece, that a model is given for this prompt and start of the answer."""
        return self._decoder.read(self._folder(model), prompt, prefill)

    def write_model(self, name: str, out: Path, form: str, card: str, licence: str, precision: str) -> Path:
        """Write a model for use elsewhere into a new folder; returns its main file, or the folder."""
        return self._decoder.export_model(self._folder(name), out, form, card, licence, precision)

    def send_to_ranking(self, dataset: str, prompt: Prompt, candidates: Sequence[Candidate]) -> str:
        """Append an item with these candidates to a dataset (made when there is none); returns the item's id."""
        item = _item(prompt, candidates)
        self._labelling.add_item(dataset, item)
        return item.id

    def vote(
        self,
        dataset: str,
        prompt: Prompt,
        candidates: Sequence[Candidate],
        *,
        outcome: Outcome = "ranked",
        ranking: Ranking | None = None,
        milliseconds: int = 0,
        shown: Sequence[int] = (),
        shown_seed: int = 0,
        blind: bool = False,
    ) -> Judgement:
        """Append an item and your judgement of it.

        At the left stood candidate `shown[0]`, an order drawn from `shown_seed`; without `shown` they stood as they are given.
        The note says whether it was in sight who had written what.
        """
        try:
            judgement = Judgement(
                id=uuid.uuid4().hex,
                item=(item := _item(prompt, candidates)).id,
                annotator=self._settings.get().annotator,
                outcome=outcome,
                ranking=ranking,
                note="voted in the playground, " + ("blind" if blind else "models in sight"),
                shown=tuple(shown) or tuple(range(len(candidates))),
                shown_seed=shown_seed,
                milliseconds=milliseconds,
                created=datetime.now(UTC),
            )
        except ValidationError as error:
            raise BadInput(*explain(error)) from error
        self._labelling.add_item(dataset, item)
        self._labelling.add_judgement(dataset, judgement)
        return judgement

    def presets(self) -> builtins.list[Preset]:
        """Kept choices of columns, by name; one that this version can't read is left out."""
        stored: dict[str, Any] = self._lane.do(self._store.settings.get).get(_PRESETS) or {}
        found = []
        for name in sorted(stored):
            try:
                columns = tuple(Column(c["model"], _SETTINGS.validate_python(c["settings"])) for c in stored[name])
            except (ValidationError, KeyError, TypeError):
                continue
            found.append(Preset(name, columns))
        return found

    def save_preset(self, name: str, columns: Sequence[Column]) -> None:
        """Keep columns under a name; the same name again replaces them."""
        if not name.strip():
            raise BadInput("A preset needs a name.", "Type one, for example: greedy against sampling.")
        kept = [{"model": c.model, "settings": c.settings.model_dump(mode="json")} for c in columns]
        self._lane.do(self._change_presets, lambda stored: {**stored, name.strip(): kept})

    def delete_preset(self, name: str) -> None:
        """Forget a preset; one that isn't there is no error."""
        self._lane.do(self._change_presets, lambda stored: {n: c for n, c in stored.items() if n != name})

    def close(self) -> None:
        """End the decoding worker."""
        self._decoder.close()

    def _change_presets(self, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
        stored = self._store.settings.get().get(_PRESETS) or {}
        self._store.settings.set(**{_PRESETS: change(stored)})

    def _with_folders(self, settings: DecodingSettings) -> DecodingSettings:
        """The settings with the folder of their second model in place of its name."""
        name = other_model(settings)
        return settings if name is None else with_folder(settings, str(self._folder(name)))

    def _folder(self, model: str) -> Path:
        """The folder of a model by its name in the workspace, of a checkpoint by RUN@STEP, or one given as a path."""
        try:
            return Path(self._models.get(model).path)
        except NotFound:
            if (checkpoint := checkpoint_folder(self._runs, model)) is not None:
                return checkpoint
            folder = Path(model).expanduser()
            if not folder.is_dir():
                raise
            return folder.absolute()


def _item(prompt: Prompt, candidates: Sequence[Candidate]) -> Item:
    try:
        return Item(id=uuid.uuid4().hex, prompt=prompt, candidates=tuple(candidates))
    except ValidationError as error:
        raise BadInput("Ranking needs two to nine candidates.", "Let at least two columns speak first.") from error


def _view(news: News, places: Sequence[int]) -> ColumnNews:
    error = news.error
    return ColumnNews(
        column=places[news.column],
        tokens=news.tokens,
        asides=news.asides,
        phase=news.phase or "",
        text=news.text,
        done=news.done,
        stopped=news.reason == "stopped",
        error_what=error.what if error else "",
        error_hint=error.hint if error else "",
        numbers=news.numbers,
        completion=news.completion,
        others=news.others,
        reason=news.reason,
    )
