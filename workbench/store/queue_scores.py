"""By what number a strategy chooses items: how unsure a reward model is, how far labels contradict it, or each other."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations, pairwise
from typing import Any, NamedTuple

from sqlalchemy import Connection, select

from workbench.domain.errors import BadInput
from workbench.domain.judgement import Ranking, comparisons
from workbench.domain.queues import QueueSpec
from workbench.store import schema as t
from workbench.store.answers import DONE

_S, _J, _R = t.standings.c, t.judgements.c, t.rows.c


class Said(NamedTuple):
    """A label of an item, as far as comparing it goes: all bad has no ranking."""

    annotator: str
    adjudicates: bool
    ranking: Ranking | None


def uncertainty(scores: Sequence[float], spread: float | None) -> float:
    """How unsure a model is of an item: its ensemble's spread where there is one, else p(1 - p) of the closest pair.

    `p` is the probability of preference by Bradley and Terry, 1 / (1 + exp(-d)), where d is the difference of two scores.
    """
    if spread is not None and not math.isnan(spread):
        return spread
    ordered = sorted(scores)
    closest = min(after - before for before, after in pairwise(ordered))
    preferred = _logistic(closest)
    return preferred * (1 - preferred)


def contradiction(ranking: Ranking, scores: Sequence[float]) -> float:
    """The probability, by the scores, that the pair of a ranking which they contradict most is the other way round; 0 if none."""
    pairs = comparisons(ranking)
    worst = max((scores[p.rejected] - scores[p.chosen] for p in pairs), default=0.0)
    return _logistic(worst) if worst > 0 else 0.0


def dispute(labels: Sequence[Said]) -> float:
    """How much annotators disagree on an item, from 0 to 1: the mean over pairs of annotators and of candidates.

    Opposite preferences count 1, a preference and a tie one half; between "all bad" and a ranking, every pair counts 1.
    """
    apart = [_apart(a.ranking, b.ranking) for a, b in combinations(labels, 2)]
    return sum(apart) / len(apart) if apart else 0.0


def unsure_rows(connection: Connection, dataset: int, spec: QueueSpec) -> dict[int, float]:
    """How unsure the queue's reward model is of each row that it has scored."""
    return {row: uncertainty(scores, spread) for row, scores, spread in _scores(connection, dataset, spec)}


def mistaken_rows(connection: Connection, dataset: int, spec: QueueSpec) -> dict[int, float]:
    """The rows with a label that the reward model contradicts, and with which confidence; an adjudication speaks alone."""
    scored = {row: scores for row, scores, _ in _scores(connection, dataset, spec)}
    wrong: dict[int, float] = {}
    for row, labels in _labels(connection, dataset):
        if row in scored:
            settled = [label for label in labels if label.adjudicates] or labels
            found = [contradiction(label.ranking, scored[row]) for label in settled if label.ranking is not None]
            wrong[row] = max(found, default=0.0)
    return {row: sure for row, sure in wrong.items() if sure > 0}


def disputed_rows(connection: Connection, dataset: int, _spec: QueueSpec) -> dict[int, float]:
    """The rows on which annotators disagree and nobody has adjudicated, and how much."""
    found = {
        row: dispute(labels)
        for row, labels in _labels(connection, dataset)
        if not any(label.adjudicates for label in labels)
    }
    return {row: much for row, much in found.items() if much > 0}


def refuse_unscored(connection: Connection, dataset: int, spec: QueueSpec) -> None:
    """BadInput when a queue is to be ordered by the scores of a model that has scored nothing of the dataset."""
    if spec.strategy in {"active", "mistakes"} and next(_scores(connection, dataset, spec), None) is None:
        raise BadInput(
            f"{spec.reward_model} has scored no item of {spec.dataset}.",
            f"Score it first: workbench train WORKSPACE score --set base={spec.reward_model} --set data={spec.dataset}",
        )


def _scores(connection: Connection, dataset: int, spec: QueueSpec) -> Iterator[tuple[int, Sequence[float], float]]:
    """(row, scores by candidate, spread) of what the queue's reward model has scored."""
    s = t.row_scores.c
    here = (_R.dataset_id == dataset) & (s.model == spec.reward_model)
    found = select(s.row_id, s.scores, s.spread).join(t.rows, _R.id == s.row_id).where(here)
    for row, scores, spread in connection.execute(found):
        if len(scores) > 1 and all(math.isfinite(score) for score in scores):
            yield row, scores, spread


def _labels(connection: Connection, dataset: int) -> Iterator[tuple[int, list[Said]]]:
    """Each row's labels that stand, one for each annotator, without skips."""
    joined = t.standings.join(t.judgements, _J.id == _S.judgement_id)
    columns = select(_S.row_id, _J.annotator, _J.outcome, _J.purpose, _J.ranking).select_from(joined)
    stand = columns.where(_S.dataset_id == dataset, _S.state == DONE, _S.counts).order_by(_S.row_id, _J.id)
    row, newest = None, dict[str, Any]()
    for told in connection.execute(stand):
        if told.row_id != row:
            if row is not None:
                yield row, _said(newest)
            row, newest = told.row_id, {}
        newest[told.annotator] = told
    if row is not None:
        yield row, _said(newest)


def _said(newest: Mapping[str, Any]) -> list[Said]:
    return [
        Said(who, told.purpose == "adjudication", None if told.ranking is None else Ranking(tiers=told.ranking))
        for who, told in newest.items()
        if told.outcome != "skipped"
    ]


def _apart(one: Ranking | None, other: Ranking | None) -> float:
    if one is None or other is None:
        return float(one is not other)
    pairs = list(combinations(range(one.size), 2))
    return sum(abs(_sign(one, a, b) - _sign(other, a, b)) for a, b in pairs) / (2 * len(pairs))


def _sign(ranking: Ranking, a: int, b: int) -> int:
    first, second = ranking.tier_of(a), ranking.tier_of(b)
    return (first < second) - (first > second)


def _logistic(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if x >= 0 else math.exp(x) / (1 + math.exp(x))
