"""What the decoding worker can do: columns side by side, many prompts, log-probabilities, rewards."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from workbench.domain.choices import Aside
from workbench.domain.decoding import DecodingSettings, other_model
from workbench.domain.errors import BadInput, RunFailed, WorkbenchError
from workbench.domain.text import Prompt
from workbench.engine.batches import Batch, collate
from workbench.engine.decoding.decode import Choices, decode
from workbench.engine.decoding.lossless import lossless_between
from workbench.engine.decoding.many import decode_many
from workbench.engine.decoding.measures import Tally
from workbench.engine.decoding.pieces import Pieces, completion_of, text_of
from workbench.engine.decoding.telling import Ending
from workbench.engine.decoding.voice import Voice, context_length
from workbench.engine.exporting import export_model
from workbench.engine.forward import completion_logprobs, rewards
from workbench.engine.model_shelf import Role, Shelf, short_of_memory
from workbench.engine.models import Loaded
from workbench.engine.text import encode_completion, encode_opening, encode_prompt
from workbench.protocol.decode_wire import (
    Asides,
    ColumnAsked,
    ColumnDone,
    ColumnFailed,
    Done,
    Export,
    Generate,
    GenerateMany,
    Load,
    Lossless,
    Phase,
    Progress,
    Read,
    Reply,
    Reward,
    Score,
    Tokens,
)

ROWS = 16


@dataclass(frozen=True)
class Opening:
    """What a column goes on from: the prompt's ids with the prefilled text behind them, and tokens said before."""

    context: list[int]
    start: tuple[int, ...] = ()
    prefill: str = ""


class _Column:
    """One column under way."""

    def __init__(self, job: int, number: int, steps: Choices, tokenizer: Any, opening: Opening) -> None:
        self.job, self.number = job, number
        self._steps = steps
        self._tokenizer = tokenizer
        self._opening = opening
        self._tally = Tally()

    def step(self) -> Tokens | Asides | ColumnDone | None:
        """Do one step; what there is to tell of it."""
        self._tally.start()
        try:
            choice = next(self._steps)
        except StopIteration as finished:
            self._tally.stop(None)
            return self._done(finished.value)
        if isinstance(choice, Aside):
            self._tally.stop(None)
            self._tally.note(choice)
            return Asides(job=self.job, column=self.number, asides=(choice,))
        self._tally.stop(choice)
        if choice is None:
            return None
        return Tokens.model_construct(kind="tokens", job=self.job, column=self.number, choices=(choice,))

    def stopped(self) -> ColumnDone:
        """End it where it is."""
        self._steps.close()
        before = text_of(self._tokenizer, self._opening.context, list(self._opening.start))
        completion = completion_of(self._tokenizer, [*self._opening.start, *self._tally.ids])
        return self._done(Ending("stopped", before + self._tally.text, completion))

    def _done(self, ending: Ending) -> ColumnDone:
        completion = self._opening.prefill + ending.text if self._opening.prefill else ending.completion
        return ColumnDone(
            job=self.job, column=self.number, text=ending.text, completion=completion, reason=ending.reason,
            others=ending.others, numbers=self._tally.numbers(),
        )  # fmt: skip


class Jobs:
    """Does requests with the models of a shelf; `wanted(job)` is looked at before every step."""

    def __init__(self, shelf: Shelf, send: Callable[[Reply], None], wanted: Callable[[int], bool]) -> None:
        self._shelf = shelf
        self._send = send
        self._wanted = wanted

    def do(self, request: Load | Generate | GenerateMany | Score | Reward | Read | Lossless | Export) -> None:
        """Answer one request; raises WorkbenchError for what can't be done."""
        if not self._wanted(request.job):
            self._send(Done(job=request.job, stopped=True))
            return
        match request:
            case Load():
                self._take(request.job, 0, request.model, request.role)
                self._send(Done(job=request.job))
            case Generate():
                self._generate(request)
            case GenerateMany():
                self._generate_many(request)
            case Score():
                self._score(request)
            case Reward():
                self._reward(request)
            case Read():
                self._read(request)
            case Export():
                main = export_model(Path(request.model), Path(request.out), request.form, card=request.card,
                                    licence=request.licence, precision=request.precision)  # fmt: skip
                self._send(Done(job=request.job, texts=(str(main),)))
            case Lossless():
                self._lossless(request)

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

    def _take(self, job: int, column: int, model: str, role: Role = "policy") -> Loaded:
        if not self._shelf.holds(model, role):
            self._send(Phase(job=job, column=column, phase="loading the model"))
        return self._shelf.take(model, role).loaded

    def _others(self, job: int, column: int, settings: DecodingSettings) -> dict[str, Voice]:
        """The voices of the further models that these settings name."""
        name = other_model(settings)
        if name is None:
            return {}
        self._take(job, column, name)
        return {name: self._shelf.policy(name)[1]}

    def _generate(self, request: Generate) -> None:
        columns = [
            column
            for number, asked in enumerate(request.columns)
            if (column := self._open(request, number, asked)) is not None
        ]
        while columns and self._wanted(request.job):
            columns = [column for column in columns if self._advance(column)]
        for column in columns:
            self._send(column.stopped())
        self._send(Done(job=request.job, stopped=bool(columns)))

    def _open(self, request: Generate, number: int, asked: ColumnAsked) -> _Column | None:
        try:
            self._take(request.job, number, asked.model)
            loaded, voice = self._shelf.policy(asked.model)
            prompt = encode_opening(loaded.tokenizer, request.prompt, request.prefill, request.chat_format)
            others = self._others(request.job, number, asked.settings)
            steps = decode(voice, prompt, asked.settings, start=asked.start, others=others)
        except Exception as error:  # noqa: BLE001 - one column's trouble is not the others'
            self._fail(request.job, number, error)
            return None
        self._send(Phase(job=request.job, column=number, phase=""))
        opening = Opening(prompt, asked.start, request.prefill)
        return _Column(request.job, number, steps, loaded.tokenizer, opening)

    def _advance(self, column: _Column) -> bool:
        """One step of a column; False when it has ended."""
        try:
            told = short_of_memory(column.step, "this text")
        except Exception as error:  # noqa: BLE001
            self._fail(column.job, column.number, error)
            return False
        if told is not None:
            self._send(told)
        return not isinstance(told, ColumnDone)

    def _fail(self, job: int, number: int, error: Exception) -> None:
        found = self.explained(error)
        self._send(ColumnFailed(job=job, column=number, what=found.what, hint=found.hint, error=found.kind))

    def _generate_many(self, request: GenerateMany) -> None:
        loaded = self._take(request.job, 0, request.model)
        _, voice = self._shelf.policy(request.model)
        prompts = [encode_prompt(loaded.tokenizer, prompt, request.chat_format) for prompt in request.prompts]
        texts = short_of_memory(
            lambda: decode_many(
                voice,
                prompts,
                request.settings,
                others=self._others(request.job, 0, request.settings),
                wanted=lambda: self._wanted(request.job),
                progress=lambda done, total: self._send(Progress(job=request.job, done=done, total=total)),
            ),
            request.model,
        )
        self._send(Done(job=request.job, stopped=texts is None, texts=tuple(texts or ())))

    def _lossless(self, request: Lossless) -> None:
        loaded = self._take(request.job, 0, request.model)
        _, voice = self._shelf.policy(request.model)
        work = partial(
            lossless_between,
            voice,
            self._others(request.job, 0, request.settings),
            encode_prompt(loaded.tokenizer, request.prompt, request.chat_format),
            request.settings,
            request.samples,
            lambda: self._wanted(request.job),
            lambda done, total: self._send(Progress(job=request.job, done=done, total=total)),
        )
        report = short_of_memory(work, request.model)
        self._send(Done(job=request.job, stopped=report is None, lossless=report))

    def _score(self, request: Score) -> None:
        loaded = self._take(request.job, 0, request.model)
        found: dict[int, tuple[float, ...]] = {}
        for places, batch in self._batches(loaded, request):
            table = short_of_memory(partial(completion_logprobs, loaded.model, batch), request.model)
            for place, row, size in zip(places, table.tolist(), batch.completion_lengths.tolist(), strict=True):
                found[place] = tuple(row[:size])
        whole = len(found) == len(request.pairs)
        rows = tuple(found[i] for i in range(len(found))) if whole else ()
        self._send(Done(job=request.job, stopped=not whole, logprobs=rows))

    def _reward(self, request: Reward) -> None:
        loaded = self._take(request.job, 0, request.model, "reward")
        found: dict[int, float] = {}
        for places, batch in self._batches(loaded, request):
            values = short_of_memory(partial(rewards, loaded.model, batch), request.model)
            found.update(zip(places, values.tolist(), strict=True))
        whole = len(found) == len(request.pairs)
        scores = tuple(found[i] for i in range(len(found))) if whole else ()
        self._send(Done(job=request.job, stopped=not whole, rewards=scores))

    def _read(self, request: Read) -> None:
        loaded = self._take(request.job, 0, request.model)
        ids = encode_opening(loaded.tokenizer, request.prompt, request.prefill, request.chat_format)
        pieces = Pieces(loaded.tokenizer)
        self._send(Done(job=request.job, pieces=tuple((token, pieces[token]) for token in ids)))

    def _batches(self, loaded: Loaded, request: Score | Reward) -> Iterator[tuple[Sequence[int], Batch]]:
        """Rows of similar length together, with their places; ends early when the job is stopped."""
        rows = encode_pairs(loaded, request.pairs, request.chat_format)
        order = sorted(range(len(rows)), key=lambda i: -sum(map(len, rows[i])))
        with torch.inference_mode():
            for first in range(0, len(order), ROWS):
                if not self._wanted(request.job):
                    return
                places = order[first : first + ROWS]
                batch = collate([rows[i][0] for i in places], [rows[i][1] for i in places], loaded.pad)
                yield places, batch.to(loaded.model.device)
                self._send(Progress(job=request.job, done=min(first + ROWS, len(order)), total=len(order)))


def encode_pairs(
    loaded: Any, pairs: Sequence[tuple[Prompt, str]], chat_format: str
) -> list[tuple[list[int], list[int]]]:
    """Ids of prompts and completions; BadInput for a pair that doesn't fit the model's context."""
    rows = [
        (encode_prompt(loaded.tokenizer, prompt, chat_format), encode_completion(loaded.tokenizer, text))
        for prompt, text in pairs
    ]
    bound = context_length(loaded.model)
    longest = max((len(p) + len(c) for p, c in rows), default=0)
    if bound is not None and longest > bound:
        raise BadInput(
            f"A prompt with its completion has {longest} tokens; the model reads at most {bound}.",
            "Leave it out, or choose a model with a longer context.",
        )
    return rows
