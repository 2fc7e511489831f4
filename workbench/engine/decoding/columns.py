"""Columns of one model as rows of one batch: greedy ones and sampling ones, each with its own rules, seed and end.

Every row takes its own uniform number at each position, so columns of one seed have common random numbers: they differ by their
distributions and not by luck. A row alone says the same, up to near-ties of float32 (a batch's products round differently).
"""

from __future__ import annotations

import itertools
import math
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from workbench.domain.decoding import Greedy, Sample
from workbench.domain.errors import BadInput
from workbench.engine.decoding.chain import Chain, Context, chain_for, no_choice
from workbench.engine.decoding.measure import Look, Noted, Part, Unmeasured
from workbench.engine.decoding.mirostat import Bound
from workbench.engine.decoding.sample import draw
from workbench.engine.decoding.stepper import Stepper
from workbench.engine.decoding.task import Hypothesis, Outcome, Steps, Task, Uniforms


def joinable(settings: object, start: Sequence[int] = ()) -> bool:
    """Whether a column can be a row among others; mirostat that goes on has to read its own past first."""
    if isinstance(settings, Greedy):
        return True
    return isinstance(settings, Sample) and not (settings.mirostat_tau and start)


@dataclass(eq=False)
class _Row:
    """One column: what it has said, and what it has chosen that nobody has taken yet."""

    task: Task
    chain: Chain
    uniforms: Uniforms
    bound: Bound | None  # None: without mirostat
    draws: bool  # chance has a part in it
    rules: str  # rows that share these go through the chain together
    output: list[int]
    ready: deque[Noted | BadInput] = field(default_factory=deque)
    done: bool = False


class Columns:
    """Rows that are decoded together; `steps(i)` is the i-th column's strategy. Whoever asks first makes a step for all."""

    def __init__(self, stepper: Stepper, asked: Sequence[tuple[Task, Greedy | Sample]]) -> None:
        self._stepper = stepper
        self._rows = [_row(task, settings) for task, settings in asked]
        self._live = sorted(self._rows, key=lambda row: (row.draws, row.rules))  # as they stand in the batch
        self._unmeasured = Unmeasured()
        self._begun = False
        self._trouble: Exception | None = None
        self._seconds = 0.0

    @property
    def seconds(self) -> float:
        """What was done for all columns at once has taken: steps, and statistics of their tokens."""
        return self._seconds + self._unmeasured.seconds

    def steps(self, number: int) -> Steps:
        """One column's tokens; when it is closed, the row leaves the batch."""
        row = self._rows[number]
        try:
            while not row.done or row.ready:
                if not row.ready:
                    self._step_for_all()
                noted = row.ready.popleft()
                if isinstance(noted, BadInput):
                    raise noted
                yield noted
            ended = bool(row.output) and row.output[-1] in row.task.eos
            return Outcome("end" if ended else "length", (Hypothesis(tuple(row.output)),))
        finally:
            row.done = True

    def without(self, number: int, steps: Steps) -> Steps:
        """Other steps for a column: it is no row of the batch."""
        self._rows[number].done = True
        return steps

    def _step_for_all(self) -> None:
        """One step; after one that failed the batch is in disorder, and its trouble is everybody's."""
        if self._trouble is None:
            try:
                self._advance()
            except Exception as error:
                self._trouble = error
                raise
        else:
            raise self._trouble

    @torch.inference_mode()
    def _advance(self) -> None:
        """Choose one token for every row that still wants one."""
        begin = time.perf_counter()
        going = [place for place, row in enumerate(self._live) if not row.done]
        if self._begun and len(going) < len(self._live):
            self._stepper.reorder(going)
        self._live = [self._live[place] for place in going]
        if self._begun:
            logits = self._stepper.step([row.output[-1] for row in self._live])
        else:
            self._begun = True
            logits = self._stepper.prefill([row.task.context for row in self._live])
        self._choose(logits)
        self._seconds += time.perf_counter() - begin

    def _choose(self, logits: Tensor) -> None:
        """A token for every row; one that is left without any ends."""
        look, scores = self._processed(logits)
        best = scores.max(dim=-1)
        tokens, greatest = best.indices.tolist(), best.values.tolist()
        drawing = [row.uniforms.next() for row in self._live if row.draws]
        if drawing:  # they stand behind the others
            tokens[-len(drawing) :] = draw(scores[-len(drawing) :], drawing).tolist()
        for place, (row, token) in enumerate(zip(self._live, tokens, strict=True)):
            if row.chain.rules and greatest[place] == -math.inf:
                row.ready.append(no_choice())
                row.done = True
                continue
            trace = None if row.bound is None else row.bound.drawn(scores[place], token)
            row.ready.append(self._unmeasured.note(token, look, place, trace))
            row.output.append(token)
            row.done = token in row.task.eos or len(row.output) >= row.task.limit

    def _processed(self, logits: Tensor) -> tuple[Look, Tensor]:
        """What the rules of all rows make of their logits: as it will be measured, and the scores [B, V]."""
        parts, scores = list[Part](), list[Tensor]()
        first = 0
        for _, alike in itertools.groupby(self._live, key=lambda row: row.rules):
            rows = list(alike)
            last = first + len(rows)
            bounds = tuple(row.bound.mu or 0.0 for row in rows if row.bound is not None)
            context = Context([row.task.known for row in rows], [row.output for row in rows], bounds)
            processed = rows[0].chain(logits[first:last], context)
            scores.append(processed.scores)
            if processed.stages:
                parts.append(Part(list(range(first, last)), processed))
            first = last
        return Look(logits, tuple(parts)), scores[0] if len(scores) == 1 else torch.cat(scores)


def _row(task: Task, settings: Greedy | Sample) -> _Row:
    chain = chain_for(settings, task.eos)
    bound = Bound(settings) if isinstance(settings, Sample) else None
    rules = settings.model_copy(update={"seed": 0, "stop": (), "max_new_tokens": 1}).model_dump_json()
    return _Row(
        task,
        chain,
        Uniforms(settings.seed, len(task.start)),
        bound if bound is not None and bound.told else None,
        isinstance(settings, Sample) and settings.temperature > 0,
        rules if chain.rules else "",
        list(task.start),
    )
