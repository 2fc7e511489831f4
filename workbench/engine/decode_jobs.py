"""What the decoding worker can do: columns side by side, many prompts, log-probabilities, rewards, distributions."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from workbench.domain.decoding import DecodingSettings, Greedy, Sample, other_model
from workbench.domain.errors import BadInput, RunFailed, WorkbenchError
from workbench.engine.decode_columns import Column, Ledger, Opening
from workbench.engine.decode_reading import aligned, pieces_of, rewarded, scored
from workbench.engine.decoding.columns import joinable
from workbench.engine.decoding.decode import ColumnTask, decode_columns, decode_together
from workbench.engine.decoding.distribution import distribution
from workbench.engine.decoding.lossless import lossless_between
from workbench.engine.decoding.many import decode_many
from workbench.engine.decoding.measure import Noted
from workbench.engine.decoding.telling import Told
from workbench.engine.decoding.voice import Voice
from workbench.engine.exporting import export_model
from workbench.engine.model_shelf import Role, Shelf, short_of_memory
from workbench.engine.models import Loaded
from workbench.engine.text import encode_opening, encode_prompt, with_end
from workbench.protocol.decode_wire import (
    Align,
    Budget,
    ColumnAsked,
    ColumnDone,
    ColumnFailed,
    Distribute,
    Done,
    Export,
    Free,
    Generate,
    GenerateMany,
    Load,
    Lossless,
    OnShelf,
    Phase,
    PlainTokens,
    Progress,
    Read,
    Reply,
    Reward,
    Score,
    Shelved,
)

Doing = Load | Generate | GenerateMany | Score | Reward | Read | Lossless | Distribute | Align | Export | Free | Budget


@dataclass(frozen=True)
class _Opened:
    """A column whose model is there and whose prompt was read, before its first step."""

    number: int
    asked: ColumnAsked
    voice: Voice
    opening: Opening
    others: Mapping[str, Voice]
    keep: Callable[[Noted], None]


class Jobs:
    """Does requests with the models of a shelf; `wanted(job)` is looked at before every step."""

    def __init__(
        self, shelf: Shelf, send: Callable[[Reply | PlainTokens], None], wanted: Callable[[int], bool]
    ) -> None:
        self._shelf = shelf
        self._send = send
        self._wanted = wanted
        self._ledger = Ledger()
        shelf.changed = self._tell_shelf

    def do(self, request: Doing) -> None:
        """Answer one request; raises WorkbenchError for what can't be done."""
        if not self._wanted(request.job) and not isinstance(request, Budget):
            self._send(Done(job=request.job, stopped=True))
            return
        try:
            self._do(request)
        finally:
            self._shelf.release()

    def _do(self, request: Doing) -> None:
        job = request.job
        match request:
            case Generate():
                self._generate(request)
            case Distribute():
                self._distribute(request)
            case GenerateMany():
                self._generate_many(request)
            case Score():
                rows = scored(self._take(job, 0, request.model), request, partial(self._wanted, job), self._told(job))
                self._send(Done(job=job, stopped=rows is None, logprobs=rows or ()))
            case Reward():
                loaded = self._take(job, 0, request.model, "reward")
                scores = rewarded(loaded, request, partial(self._wanted, job), self._told(job))
                self._send(Done(job=job, stopped=scores is None, rewards=scores or ()))
            case Align():
                voices = self._voice(job, 0, request.model), self._voice(job, 0, request.reference)
                texts = aligned(*voices, request, partial(self._wanted, job), self._told(job))
                self._send(Done(job=job, stopped=texts is None, aligned=texts or ()))
            case Read():
                loaded = self._take(job, 0, request.model)
                ids = encode_opening(loaded.tokenizer, request.prompt, request.prefill, request.chat_format)
                self._send(Done(job=job, pieces=pieces_of(loaded, ids)))
            case Export():
                main = export_model(Path(request.model), Path(request.out), request.form, card=request.card,
                                    licence=request.licence, precision=request.precision)  # fmt: skip
                self._send(Done(job=job, texts=(str(main),)))
            case Lossless():
                self._lossless(request)
            case Load():
                self._take(job, 0, request.model, request.role)
                self._send(Done(job=job))
            case Free():
                self._shelf.free(request.model)
                self._send(Done(job=job))
            case Budget():
                self._shelf.set_budget(request.bytes)
                self._send(Done(job=job))

    def explained(self, error: Exception) -> WorkbenchError:
        """Any exception as a sentence; the trace goes to the log."""
        traceback.print_exception(error)
        if isinstance(error, WorkbenchError):
            return error
        first = (str(error).strip().splitlines() or [""])[0]
        return RunFailed(
            f"Decoding failed: {type(error).__name__}{': ' + first if first else ''}.",
            "Try other settings or another model; the decoder's log has the details.",
        )

    def _tell_shelf(self) -> None:
        models = tuple(OnShelf(model=p.path, role=p.role, bytes=p.bytes) for p in self._shelf.places())
        self._send(Shelved(models=models, used=self._shelf.used, budget=self._shelf.budget))

    def _told(self, job: int) -> Callable[[int, int], None]:
        return lambda done, total: self._send(Progress(job=job, done=done, total=total))

    def _take(self, job: int, column: int, model: str, role: Role = "policy") -> Loaded:
        """A model, told about while it is loaded."""

        def loading(share: float) -> None:
            self._send(Phase(job=job, column=column, phase=f"loading the model: {share:.0%}"))

        if not self._shelf.holds(model, role):
            self._send(Phase(job=job, column=column, phase="loading the model"))
        return self._shelf.take(model, role, loading).loaded

    def _voice(self, job: int, column: int, model: str) -> Voice:
        self._take(job, column, model)
        return self._shelf.policy(model)[1]

    def _others(self, job: int, column: int, settings: DecodingSettings) -> dict[str, Voice]:
        """The voices of the further models that these settings name."""
        name = other_model(settings)
        return {} if name is None else {name: self._voice(job, column, name)}

    def _generate(self, request: Generate) -> None:
        opened = [self._open(request, number, asked) for number, asked in enumerate(request.columns)]
        columns = self._begin(request.job, [column for column in opened if column is not None])
        while columns and self._wanted(request.job):
            columns = [column for column in columns if self._advance(column)]
        for column in columns:
            self._send(column.stopped())
            self._ledger.close(column)
        self._send(Done(job=request.job, stopped=bool(columns)))

    def _open(self, request: Generate, number: int, asked: ColumnAsked) -> _Opened | None:
        """Everything that a column needs but its first step."""
        try:
            voice = self._voice(request.job, number, asked.model)
            if request.prefill and voice.opening is not None:
                raise BadInput(
                    "An encoder-decoder can't begin its answer with given words.",
                    "Leave the beginning of the answer empty.",
                )
            prompt = encode_opening(voice.tokenizer, request.prompt, request.prefill, request.chat_format)
            others = self._others(request.job, number, asked.settings)
        except Exception as error:  # noqa: BLE001 - one column's trouble is not the others'
            self._fail(request.job, number, error)
            return None
        source = prompt if voice.opening is None else with_end(voice.tokenizer, prompt)
        opening = Opening(source, asked.start, request.prefill, voice.opening)
        keep = self._ledger.open(request.job, number, asked.model, opening, voice)
        return _Opened(number, asked, voice, opening, others, keep)

    def _begin(self, job: int, opened: list[_Opened]) -> list[Column]:
        """Columns with their steps: those of one model that can stand in one batch do."""
        families: dict[int, list[_Opened]] = {}
        for one in opened:
            # An encoder reads the prompt apart from the answer: such a column keeps its own steps.
            together = one.voice.opening is None and joinable(one.asked.settings, one.asked.start)
            families.setdefault(id(one.voice) if together else -1 - one.number, []).append(one)
        begun: dict[int, Column] = {}
        for family in families.values():
            try:
                steps, seconds = self._steps(family)
            except Exception as error:  # noqa: BLE001
                if len(family) > 1:  # which of them is it?
                    begun |= {c.number: c for one in family for c in self._begin(job, [one])}
                else:
                    self._fail(job, family[0].number, error)
                continue
            for one, told in zip(family, steps, strict=True):
                self._send(Phase(job=job, column=one.number, phase=""))
                begun[one.number] = Column(job, one.number, told, one.voice, one.opening, seconds)
        return [begun[number] for number in sorted(begun)]

    def _steps(self, family: list[_Opened]) -> tuple[list[Told], Callable[[], float] | None]:
        """The steps of columns that go together, and how long steps for all of them have taken."""
        first = family[0]
        if len(family) == 1:
            asked, context = first.asked, first.opening.context
            told = decode_together(
                first.voice, context, asked.settings, start=asked.start, others=first.others, keep=first.keep
            )
            return [told], None
        tasks = [
            ColumnTask(one.opening.context, one.asked.settings, one.asked.start)
            for one in family
            if isinstance(one.asked.settings, Greedy | Sample)
        ]
        steps, columns = decode_columns(first.voice, tasks, [one.keep for one in family])
        return steps, lambda: columns.seconds

    def _advance(self, column: Column) -> bool:
        """One step of a column; False when it has ended."""
        try:
            told = short_of_memory(column.step, "this text")
        except Exception as error:  # noqa: BLE001
            self._fail(column.job, column.number, error)
            return False
        if told is not None:
            self._send(told)
        if isinstance(told, ColumnDone):
            self._ledger.close(column)
            return False
        return True

    def _fail(self, job: int, number: int, error: Exception) -> None:
        found = self.explained(error)
        self._send(ColumnFailed(job=job, column=number, what=found.what, hint=found.hint, error=found.kind))

    def _distribute(self, request: Distribute) -> None:
        kept = self._ledger.column(request.generation, request.column, request.position)
        said = self._ledger.said(kept, lambda: self._voice(request.job, request.column, kept.model))
        found = distribution(said, request.position, request.settings, kept.pieces, request.top)
        self._send(Done(job=request.job, distribution=found))

    def _generate_many(self, request: GenerateMany) -> None:
        voice = self._voice(request.job, 0, request.model)
        prompts = [encode_prompt(voice.tokenizer, prompt, request.chat_format) for prompt in request.prompts]
        texts = short_of_memory(
            lambda: decode_many(
                voice,
                prompts,
                request.settings,
                others=self._others(request.job, 0, request.settings),
                wanted=lambda: self._wanted(request.job),
                progress=self._told(request.job),
            ),
            request.model,
        )
        self._send(Done(job=request.job, stopped=texts is None, texts=tuple(texts or ())))

    def _lossless(self, request: Lossless) -> None:
        voice = self._voice(request.job, 0, request.model)
        work = partial(
            lossless_between,
            voice,
            self._others(request.job, 0, request.settings),
            encode_prompt(voice.tokenizer, request.prompt, request.chat_format),
            request.settings,
            request.samples,
            lambda: self._wanted(request.job),
            self._told(request.job),
        )
        report = short_of_memory(work, request.model)
        self._send(Done(job=request.job, stopped=report is None, lossless=report))
