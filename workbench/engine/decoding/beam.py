"""Beam search: keep the best hypotheses, expand all of them at once, finish by a length rule.

The algorithm is that of transformers' `generate(num_beams=...)`: `max(2, 1 + end tokens) * num_beams` candidates a step, only the first
`num_beams` of them may finish. A token is yielded as soon as every hypothesis that can still win agrees on it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from workbench.domain.choices import BeamTrace
from workbench.domain.decoding import Beam
from workbench.domain.lengths import length_divisor
from workbench.engine.decoding.chain import Context, Processed, chain_for
from workbench.engine.decoding.measure import Measured, measure
from workbench.engine.decoding.stepper import Stepper
from workbench.engine.decoding.task import Hypothesis, Outcome, Reason, Steps, Task


@dataclass(frozen=True, eq=False, slots=True)
class Node:
    """One token of the tree of hypotheses."""

    parent: Node | None
    chosen: Measured | None
    depth: int


@dataclass(frozen=True, slots=True)
class _Grown:
    """The tree after one step: hypotheses that go on (with the rows they continue) and those that ended, as (score, node)."""

    live: list[Node]
    rows: list[int]
    scores: Tensor
    ended: list[tuple[float, Node]]


def beam(stepper: Stepper, task: Task, settings: Beam) -> Steps:
    """Yield the best hypothesis' tokens as they settle, None for a step that settles nothing."""
    chain = chain_for(settings, task.eos)
    logits = stepper.prefill([task.context])
    root = Node(None, None, 0)
    live, scores = [root], torch.zeros(1, device=logits.device)
    finished: list[tuple[float, Node]] = []
    settled = root
    for length in range(len(task.start) + 1, task.limit + 1):
        outputs = [[*task.start, *_ids(node)] for node in live]
        processed = chain(torch.log_softmax(logits, dim=-1), Context([task.prompt] * len(live), outputs))
        grown = _grow(live, outputs, scores, logits, processed, task, settings, length)
        finished = sorted(finished + grown.ended, key=lambda pair: -pair[0])[: settings.num_beams]
        if not grown.live:
            break
        live, scores = grown.live, grown.scores
        if _is_over(finished, scores, settings, length, task.limit):
            break
        before, settled = settled, _agreed([*live, *(node for _, node in finished[:1])], settled)
        yield from _between(before, settled) if settled is not before else (None,)
        stepper.reorder(grown.rows)
        logits = stepper.step([node.chosen.id for node in live if node.chosen is not None])
    if not finished:
        finished = [(float(s), node) for s, node in zip(scores.tolist(), live, strict=True) if node is not root]
    if not finished:
        return Outcome("length")
    yield from _between(settled, finished[0][1])
    best = [Hypothesis((*task.start, *_ids(node)), score) for score, node in finished[: settings.num_return]]
    return Outcome(_reason(best[0].ids, task), tuple(best))


def _grow(
    live: list[Node],
    outputs: list[list[int]],
    scores: Tensor,
    logits: Tensor,
    processed: Processed,
    task: Task,
    settings: Beam,
    length: int,
) -> _Grown:
    """Take the best candidates of all rows together; the first `num_beams` that end are finished, the first that don't go on."""
    vocabulary = logits.shape[-1]
    total = (processed.scores + scores[:, None]).view(-1)
    width = min(max(2, 1 + len(task.eos)) * settings.num_beams, total.numel())
    best = total.topk(width)
    values, places = best.values.tolist(), best.indices.tolist()
    finals = (best.values / length_divisor(settings, length)).tolist()
    ends: list[int] = []
    goes_on: list[int] = []
    for rank, (value, place) in enumerate(zip(values, places, strict=True)):
        row, token = divmod(place, vocabulary)
        if value == -torch.inf:
            break
        if length == task.limit or token in task.eos or _stops(task, outputs[row], token):
            if rank < settings.num_beams:
                ends.append(rank)
        elif len(goes_on) < settings.num_beams:
            goes_on.append(rank)
    chosen = [divmod(places[rank], vocabulary) for rank in goes_on + ends]
    measured = measure(logits, processed, [row for row, _ in chosen], [token for _, token in chosen]) if chosen else []
    nodes = []
    for slot, (rank, (row, _), told) in enumerate(zip(goes_on + ends, chosen, measured, strict=True)):
        trace = BeamTrace(index=slot if slot < len(goes_on) else rank, parent=row, score=values[rank])
        nodes.append(Node(live[row], told._replace(beam=trace), length))
    return _Grown(
        nodes[: len(goes_on)],
        [row for row, _ in chosen[: len(goes_on)]],
        best.values[goes_on],
        [(finals[rank], node) for rank, node in zip(ends, nodes[len(goes_on) :], strict=True)],
    )


def _is_over(finished: list[tuple[float, Node]], scores: Tensor, settings: Beam, length: int, limit: int) -> bool:
    """Whether enough hypotheses have ended and none that lives is thought able to beat the worst of them."""
    if len(finished) < settings.num_beams:
        return False
    if settings.early_stopping is True:
        return True
    hopeful = limit if settings.early_stopping == "never" and settings.length_penalty > 0 else length
    reachable = float(scores[0] / length_divisor(settings, hopeful))
    return reachable <= finished[-1][0]


def _stops(task: Task, output: list[int], token: int) -> bool:
    return task.hits_stop is not None and task.hits_stop([*output, token])


def _reason(ids: tuple[int, ...], task: Task) -> Reason:
    if ids and ids[-1] in task.eos:
        return "end"
    return "stop" if _stops(task, list(ids[:-1]), ids[-1]) else "length"


def _ids(node: Node) -> list[int]:
    """The tokens from the root to this node."""
    return [chosen.id for chosen in _between(None, node)]


def _between(above: Node | None, node: Node) -> Iterator[Measured]:
    """The choices after `above` down to `node`."""
    path: list[Measured] = []
    here: Node | None = node
    while here is not None and here is not above and here.chosen is not None:
        path.append(here.chosen)
        here = here.parent
    return reversed(path)


def _agreed(nodes: list[Node], settled: Node) -> Node:
    """The deepest node that all these hypotheses pass through, at or below `settled`."""
    depth = min(node.depth for node in nodes)
    level = {_ancestor(node, depth) for node in nodes}
    while len(level) > 1:
        level = {node.parent for node in level if node.parent is not None}
    common = level.pop()
    return common if common.depth > settled.depth else settled


def _ancestor(node: Node, depth: int) -> Node:
    while node.depth > depth and node.parent is not None:
        node = node.parent
    return node
