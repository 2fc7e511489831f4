"""Columns of one model as rows of one batch: greedy ones and sampling ones, each with its own rules, seed and end.

Every row takes its own uniform number at each position, so columns of one seed have common random numbers: they differ by their
distributions and not by luck. A row alone says the same, up to near-ties of float32 (a batch's products round differently).
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from workbench.domain.decoding import Greedy, Sample
from workbench.domain.errors import BadInput
from workbench.engine.decoding.chain import Chain, Context, Processed, chain_for, require_choice
from workbench.engine.decoding.measure import Noted
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
    settings: Greedy | Sample
    chain: Chain
    uniforms: Uniforms
    bound: Bound | None
    rules: object  # rows that share these go through the chain together
    output: list[int]
    ready: deque[Noted | BadInput] = field(default_factory=deque)
    done: bool = False

    @property
    def draws(self) -> bool:
        """Whether chance has a part in it."""
        return isinstance(self.settings, Sample) and self.settings.temperature > 0


class Columns:
    """Rows that are decoded together; `steps(i)` is the i-th column's strategy. Whoever asks first makes a step for all."""

    def __init__(self, stepper: Stepper, asked: Sequence[tuple[Task, Greedy | Sample]]) -> None:
        self._stepper = stepper
        self._rows = [_row(task, settings) for task, settings in asked]
        self._live = list(self._rows)
        self._begun = False
        self._trouble: Exception | None = None
        self.seconds = 0.0  # that steps for all have taken

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
        if not self._begun:
            self._begun = True
            self._live = [row for row in self._rows if not row.done]
            logits = self._stepper.prefill([row.task.context for row in self._live])
        else:
            going = [place for place, row in enumerate(self._live) if not row.done]
            self._stepper.reorder(going)
            self._live = [self._live[place] for place in going]
            logits = self._stepper.step([row.output[-1] for row in self._live])
        self._choose(logits)
        self.seconds += time.perf_counter() - begin

    def _choose(self, logits: Tensor) -> None:
        alike: dict[object, list[int]] = {}
        for place, row in enumerate(self._live):
            alike.setdefault(row.rules, []).append(place)
        processed: dict[int, Processed] = {}
        for places in alike.values():
            processed.update(self._processed(logits, places))
        drawing = [place for place in processed if self._live[place].draws]
        chosen: dict[int, int] = {}
        if drawing:
            scores = torch.cat([processed[place].scores for place in drawing])
            drawn = draw(scores, [self._live[place].uniforms.next() for place in drawing])
            chosen.update(zip(drawing, drawn.tolist(), strict=True))
        for place, made in processed.items():
            row = self._live[place]
            token = chosen[place] if place in chosen else int(made.scores.argmax(dim=-1))
            trace = None if row.bound is None else row.bound.drawn(made.scores[0], token)
            row.output.append(token)
            row.ready.append(Noted(token, logits[place : place + 1], made, trace))
            row.done = token in row.task.eos or len(row.output) >= row.task.limit

    def _processed(self, logits: Tensor, places: list[int]) -> dict[int, Processed]:
        """What the rules of these rows, which are the same, make of their logits; a row that is left without a token ends."""
        rows = [self._live[place] for place in places]
        bounds = tuple(row.bound.mu or 0.0 for row in rows if row.bound is not None and row.bound.told)
        context = Context([row.task.known for row in rows], [row.output for row in rows], bounds)
        told = rows[0].chain(logits[places] if len(places) < len(logits) else logits, context)
        found = {}
        for index, place in enumerate(places):
            one = Processed(told.scores[index : index + 1], [(n, s[index : index + 1]) for n, s in told.stages])
            try:
                if one.stages:
                    require_choice(one.scores)
            except BadInput as error:
                self._live[place].ready.append(error)
                self._live[place].done = True
            else:
                found[place] = one
        return found


def _row(task: Task, settings: Greedy | Sample) -> _Row:
    bound = Bound(settings) if isinstance(settings, Sample) else None
    uniforms = Uniforms(settings.seed, len(task.start))
    rules = settings.model_copy(update={"seed": 0, "stop": (), "max_new_tokens": 1}).model_dump_json()
    return _Row(task, settings, chain_for(settings, task.eos), uniforms, bound, rules, list(task.start))
