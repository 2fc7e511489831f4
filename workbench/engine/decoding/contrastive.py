"""Contrastive decoding (Li et al. 2023, arXiv 2210.15097): what an expert says more readily than an amateur does.

Of the tokens that are plausible to the expert, p_exp(v) >= alpha max p_exp, take the one with the greatest ln p_exp(v) - c ln p_ama(v), or draw from
the softmax of these scores, or search with beams on their sum (then at least two tokens count as plausible, as in the authors' code). The amateur's
logits are divided by a temperature of its own. It may be kept from the prompt: then it reads only the prompt's last token and what was generated.
The rules that all strategies share act on the expert's scores, before.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from workbench.domain.choices import ContrastOption, ContrastTrace
from workbench.domain.decoding import Beam, Contrastive
from workbench.engine.decoding.beam import search
from workbench.engine.decoding.chain import Context, Processed, chain_for, require_choice
from workbench.engine.decoding.drafts import same_width
from workbench.engine.decoding.measure import Look, Measured, measure
from workbench.engine.decoding.opening import opened
from workbench.engine.decoding.sample import draw
from workbench.engine.decoding.source import summed
from workbench.engine.decoding.stepper import Stepper
from workbench.engine.decoding.task import Hypothesis, Outcome, Steps, Task, Uniforms

MOST_OPTIONS = 12  # told of each token: the expert's most probable ones


class Contrasted(NamedTuple):
    """Natural log-probabilities of both [B, V], the least plausible one of the expert [B, 1], and the scores by rule."""

    expert: Tensor
    amateur: Tensor
    least: Tensor
    processed: Processed


def contrast(processed: Processed, amateur: Tensor, settings: Contrastive) -> Contrasted:
    """Score tokens [B, V] by the expert's scores after the chain and the amateur's raw logits; implausible ones are at minus infinity.

    Tokens to which the amateur gives no probability at all can't be compared and are cut.
    """
    vocabulary = processed.scores.shape[-1]
    expert = torch.log_softmax(processed.scores, dim=-1)
    other = torch.log_softmax(same_width(amateur, vocabulary) / settings.amateur_temperature, dim=-1)
    least = expert.amax(dim=-1, keepdim=True) + torch.log(torch.tensor(settings.alpha, dtype=expert.dtype))
    if settings.num_beams > 1 and vocabulary > 1:
        least = torch.minimum(least, expert.topk(2).values[:, 1:])
    plausible = expert.masked_fill(expert < least, -torch.inf)
    scores = (
        plausible - settings.coefficient * other.masked_fill(other.isneginf(), torch.inf)
        if settings.coefficient
        else plausible
    )
    stages = [*processed.stages, ("plausibility", plausible), ("contrast", scores)]
    return Contrasted(expert, other, least, Processed(scores, stages))


@dataclass
class Pair:
    """Expert and amateur as one source of scores (see `source.Source`)."""

    expert: Stepper
    amateur: Stepper
    task: Task
    settings: Contrastive

    def __post_init__(self) -> None:
        """Nothing is read yet."""
        self._chain = chain_for(self.settings, self.task.eos)
        self._logits = self._others = torch.empty(0)
        self._last: Contrasted | None = None

    def begin(self) -> float:
        """Read what each of them may see; the summed score of the tokens that the answer has."""
        start = self.task.start
        theirs: list[Tensor] = []
        sums = [0.0]
        other = Task(seen_by_amateur(self.task.prompt, self.settings), self.task.limit, self.task.eos, start=start)
        self._others = opened(self.amateur, other, lambda place, logits: theirs.append(logits))

        def add(place: int, logits: Tensor) -> None:
            outputs = [list(start[: place + row]) for row in range(len(logits))]
            found = self._contrasted(logits, theirs.pop(0), outputs)
            sums.append(summed(found.processed.scores, start[place : place + len(logits)]))

        self._logits = opened(self.expert, self.task, add)
        return sum(sums)

    def look(self, outputs: list[list[int]]) -> Processed:
        """Scores of the next token."""
        self._last = self._contrasted(self._logits, self._others, outputs)
        return self._last.processed

    def tell(self, processed: Processed, rows: list[int], ids: list[int]) -> list[Measured]:
        """The expert's choice with what both thought of it."""
        told = measure(Look.of(self._logits, processed), rows, ids)
        if self._last is None:
            raise ValueError("look before telling")
        return [one._replace(contrast=trace(self._last, row, one.id)) for row, one in zip(rows, told, strict=True)]

    def advance(self, rows: list[int], ids: list[int]) -> None:
        """One pass of each."""
        self.expert.reorder(rows)
        self.amateur.reorder(rows)
        self._logits, self._others = self.expert.step(ids), self.amateur.step(ids)

    def best(self) -> int:
        """The token of the first row with the greatest score; of equal ones the expert's favourite."""
        if self._last is None:
            raise ValueError("look before choosing")
        scores = self._last.processed.scores[0]
        favourites = self._last.expert[0].masked_fill(scores < scores.max(), -torch.inf)
        return int(favourites.argmax())

    def _contrasted(self, logits: Tensor, others: Tensor, outputs: list[list[int]]) -> Contrasted:
        processed = self._chain(logits, Context([self.task.known] * len(outputs), outputs))
        require_choice(processed.scores)
        return contrast(processed, others, self.settings)


def contrastive(expert: Stepper, amateur: Stepper, task: Task, settings: Contrastive) -> Steps:
    """Yield one token a step until an end token or the limit; with beams, what `beam.search` yields."""
    pair = Pair(expert, amateur, task, settings)
    if settings.num_beams > 1:
        # The sum of scores grows with the length as often as not, so nothing is divided, and the search ends with the last beam.
        return (
            yield from search(pair, task, Beam(num_beams=settings.num_beams, length_penalty=0.0, early_stopping=True))
        )
    return (yield from _one(pair, task, settings))


def _one(pair: Pair, task: Task, settings: Contrastive) -> Steps:
    pair.begin()
    uniforms = Uniforms(settings.seed, len(task.start))
    output = list(task.start)
    total = 0.0
    while True:
        processed = pair.look([output])
        token = int(draw(processed.scores, [uniforms.next()])) if settings.sample else pair.best()
        chosen = pair.tell(processed, [0], [token])[0]
        output.append(token)
        total += chosen.logprob
        yield chosen
        if token in task.eos:
            return Outcome("end", (Hypothesis(tuple(output), total),))
        if len(output) >= task.limit:
            return Outcome("length", (Hypothesis(tuple(output), total),))
        pair.advance([0], [token])


def seen_by_amateur(prompt: list[int], settings: Contrastive) -> list[int]:
    """What the amateur reads of the prompt."""
    return prompt if settings.amateur_sees_prompt else prompt[-1:]


def trace(found: Contrasted, row: int, token: int) -> ContrastTrace:
    """What both thought of the chosen token and of the expert's favourites; probabilities, and None for an implausible one's score."""
    expert, amateur, scores = found.expert[row], found.amateur[row], found.processed.scores[row]
    ids = expert.topk(min(MOST_OPTIONS, len(expert))).indices.tolist()
    ids = ids if token in ids else [*ids, token]
    columns = (ids, expert[ids].exp().tolist(), amateur[ids].exp().tolist(), scores[ids].tolist())
    options = tuple(
        ContrastOption.model_construct(id=i, text="", expert=e, amateur=a, score=None if s == -torch.inf else s)
        for i, e, a, s in zip(*columns, strict=True)
        if e > 0
    )
    chosen = next(option for option in options if option.id == token)
    return ContrastTrace.model_construct(
        expert=chosen.expert, amateur=chosen.amateur, score=float(scores[token]), cut=float(found.least[row].exp()),
        options=options,
    )  # fmt: skip
