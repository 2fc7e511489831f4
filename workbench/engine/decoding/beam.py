"""Beam search: keep the best hypotheses, expand all of them at once, finish by a length rule.

The algorithm is that of transformers' `generate(num_beams=...)`: `max(2, 1 + end tokens) * num_beams` candidates a step, only the first
`num_beams` of them may finish. Diverse groups (Vijayakumar et al. 2016, arXiv 1610.02424) each do so with their share of the beams, one
after the other: a token that earlier groups go on with in this step loses `diversity_penalty` for each time. The penalty stays in
the sums, as in transformers' former group beam search. A token is yielded as soon as every hypothesis that can still win agrees on it.

An answer that goes on is one hypothesis with its own score: the search begins anew behind it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor

from workbench.domain.choices import BeamLevel, BeamNode, BeamTrace
from workbench.domain.decoding import Beam
from workbench.domain.lengths import length_divisor
from workbench.engine.decoding.chain import Processed, chain_for
from workbench.engine.decoding.source import Model, Source
from workbench.engine.decoding.stepper import Stepper
from workbench.engine.decoding.task import Hypothesis, Outcome, Reason, Steps, Task
from workbench.engine.decoding.tree import Node, agreed, between, tokens

MOST_PRUNED = 4  # told of each group and step: the best of those that were dropped


@dataclass(slots=True, eq=False)
class _Candidate:
    """A hypothesis with one more token: the row that it continues, its summed score, what becomes of it, its place in the level."""

    group: int
    row: int
    token: int
    sum: float
    state: Literal["live", "finished", "pruned"]
    slot: int = 0


@dataclass(slots=True)
class _Group:
    """Beams that compete with each other only: those that go on with their sums, and those that have ended as (score, node)."""

    live: list[Node]
    sums: list[float]
    finished: list[tuple[float, Node]] = field(default_factory=list)
    over: bool = False

    def hopeful(self) -> list[Node]:
        """Every hypothesis that the best one may still come from."""
        ended = [node for _, node in self.finished[:1]]
        return ended if self.over and ended else [*self.live, *ended]


def beam(stepper: Stepper, task: Task, settings: Beam) -> Steps:
    """Yield each step's level of the tree, and the best hypothesis' tokens as they settle."""
    return search(Model(stepper, task, chain_for(settings, task.eos)), task, settings)


def search(source: Source, task: Task, settings: Beam) -> Steps:
    """Beam search over whatever scores tokens; yields None for a step that settles nothing."""
    begun = source.begin()
    root = settled = Node(None, None, 0)
    groups = [_Group([root], [begun]) for _ in range(settings.num_groups)]
    for length in range(len(task.start) + 1, task.limit + 1):
        step = _Step(source, task, settings, length)
        yield step.grow(groups)
        if not step.going:
            break
        before, settled = settled, agreed([node for group in groups for node in group.hopeful()], settled)
        yield from between(before, settled) if settled is not before else (None,)
        source.advance([c.row for c in step.going], [c.token for c in step.going])
    finished = [pair for group in groups for pair in group.finished]
    if not finished:  # the rules have left nothing to go on with
        finished = [(s, n) for group in groups for s, n in zip(group.sums, group.live, strict=True) if n is not root]
    if not finished:
        return Outcome("length")
    finished.sort(key=lambda pair: -pair[0])
    yield from between(settled, finished[0][1])
    best = [Hypothesis((*task.start, *tokens(node)), score) for score, node in finished[: settings.num_return]]
    return Outcome(_reason(best[0].ids, task), tuple(best))


class _Step:
    """One step of all groups; afterwards `going` are those that go on, in the order of the new rows."""

    def __init__(self, source: Source, task: Task, settings: Beam, length: int) -> None:
        self._source, self._task, self._settings, self._length = source, task, settings, length
        self._size = settings.num_beams // settings.num_groups
        self.going: list[_Candidate] = []

    def grow(self, groups: list[_Group]) -> BeamLevel:
        """Let every group choose, and move it on; what was looked at."""
        first_step = self._length == len(self._task.start) + 1  # all groups share the one row that there is
        running = [(number, group) for number, group in enumerate(groups) if not group.over]
        live = groups[0].live if first_step else [node for _, group in running for node in group.live]
        outputs = [[*self._task.start, *tokens(node)] for node in live]
        processed = self._source.look(outputs)
        taken = torch.zeros_like(processed.scores[0])
        picked: list[list[_Candidate]] = []
        first = 0
        for number, group in running:
            scores = processed.scores[first : first + len(group.live)] - self._settings.diversity_penalty * taken
            picked.append(list(self._pick(number, scores, group.sums, outputs, first)))
            for candidate in picked[-1]:
                taken[candidate.token] += candidate.state == "live"
            first += 0 if first_step else len(group.live)
        return self._settle([group for _, group in running], picked, live, processed)

    def _pick(
        self, group: int, scores: Tensor, sums: list[float], outputs: list[list[int]], first: int
    ) -> Iterator[_Candidate]:
        """A group's best candidates: of the first `size`, those that end are finished; the first `size` that don't go on."""
        task, size = self._task, self._size
        total = (scores + torch.tensor(sums, dtype=scores.dtype, device=scores.device)[:, None]).view(-1)
        best = total.topk(min(max(2, 1 + len(task.eos)) * size, total.numel()))
        going = dropped = 0
        for rank, (value, place) in enumerate(zip(best.values.tolist(), best.indices.tolist(), strict=True)):
            if value == -torch.inf:
                return
            row, token = divmod(place, scores.shape[-1])
            found = _Candidate(group, first + row, token, value, "pruned")
            if self._length == task.limit or token in task.eos or _stops(task, outputs[found.row], token):
                found.state = "finished" if rank < size else "pruned"
            elif going < size:
                found.state, going = "live", going + 1
            dropped += found.state == "pruned"
            if found.state != "pruned" or dropped <= MOST_PRUNED:
                yield found

    def _settle(
        self, groups: list[_Group], picked: list[list[_Candidate]], live: list[Node], processed: Processed
    ) -> BeamLevel:
        """Move the groups on. Those that go on come first in the level: their slots are the next step's rows."""
        for group, found in zip(groups, picked, strict=True):
            group.over = self._is_over(group, found)
        self.going = [
            c for group, found in zip(groups, picked, strict=True) if not group.over for c in found if c.state == "live"
        ]
        first = set(self.going)
        every = [*self.going, *(c for found in picked for c in found if c not in first)]
        for slot, candidate in enumerate(every):
            candidate.slot = slot
        nodes = self._nodes([c for c in every if c.state != "pruned"], live, processed)
        for group, found in zip(groups, picked, strict=True):
            goes_on = [c for c in found if c.state == "live"]
            ended = [(self._score(c), nodes[c.slot]) for c in found if c.state == "finished"]
            group.finished = sorted(group.finished + ended, key=lambda pair: -pair[0])[: self._size]
            if goes_on:
                group.live, group.sums = [nodes[c.slot] for c in goes_on], [c.sum for c in goes_on]
        return self._level(every)

    def _nodes(self, chosen: list[_Candidate], live: list[Node], processed: Processed) -> dict[int, Node]:
        """The new nodes of the tree by slot."""
        if not chosen:
            return {}
        told = self._source.tell(processed, [c.row for c in chosen], [c.token for c in chosen])
        return {
            c.slot: Node(
                live[c.row], one._replace(beam=BeamTrace(index=c.slot, parent=c.row, score=c.sum)), self._length
            )
            for c, one in zip(chosen, told, strict=True)
        }

    def _level(self, every: list[_Candidate]) -> BeamLevel:
        """What is told; hypotheses of a group that is over, while others aren't, are dropped."""
        first_step = self._length == len(self._task.start) + 1
        left = set(self.going or every)
        return BeamLevel.model_construct(
            kind="beams",
            step=self._length,
            nodes=tuple(
                BeamNode.model_construct(
                    step=self._length, slot=c.slot, parent=-1 if first_step else c.row, id=c.token, text="", logprob=c.sum,
                    score=self._score(c), state=c.state if c.state != "live" or c in left else "pruned", group=c.group,
                )
                for c in every
            ),
        )  # fmt: skip

    def _score(self, candidate: _Candidate) -> float:
        return candidate.sum / length_divisor(self._settings, self._length)

    def _is_over(self, group: _Group, found: list[_Candidate]) -> bool:
        """Whether nothing goes on, or enough hypotheses have ended and none that lives is thought able to beat the worst of them."""
        sums = [c.sum for c in found if c.state == "live"]
        ended = sorted([s for s, _ in group.finished] + [self._score(c) for c in found if c.state == "finished"])
        if not sums:
            return True
        if len(ended) < self._size:
            return False
        settings = self._settings
        if settings.early_stopping is True:
            return True
        never = settings.early_stopping == "never" and settings.length_penalty > 0
        hopeful = self._task.limit if never else self._length
        return sums[0] / length_divisor(settings, hopeful) <= ended[-self._size]


def _stops(task: Task, output: list[int], token: int) -> bool:
    return task.hits_stop is not None and task.hits_stop([*output, token])


def _reason(ids: tuple[int, ...], task: Task) -> Reason:
    if ids and ids[-1] in task.eos:
        return "end"
    return "stop" if _stops(task, list(ids[:-1]), ids[-1]) else "length"
