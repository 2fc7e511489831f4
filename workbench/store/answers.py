"""Who has answered what: the judgements of rows that stand, and what they mean for a queue.

A queue counts persons. What a rule or a model says, and labels that came with a file, leave an item as open as it was.
A skip is the answer of the annotator who skips, who isn't asked again, and leaves the item to the others.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from sqlalchemy import Connection, bindparam, select

from workbench.domain.queues import QueueSpec
from workbench.store import schema as t

DONE, UNDONE, DROPPED = "done", "undone", "dropped"
IMPORTED = "import"  # the annotator of judgements that came with a file
KEYS_AT_ONCE = 500
_S, _J = t.standings.c, t.judgements.c
_BY_PERSONS = (
    select(_S.row_id, _J.annotator, _J.outcome, _J.purpose, _J.queue, _S.counts)
    .select_from(t.standings.join(t.judgements, _J.id == _S.judgement_id))
    .where(_S.row_id.in_(bindparam("rows", expanding=True)), _S.state == DONE)
    .where(_J.annotator_kind == "person", _J.annotator != IMPORTED)
    .order_by(_J.id)
)


class Answer(NamedTuple):
    """What is needed of one judgement that stands."""

    annotator: str
    outcome: str
    purpose: str
    queue: str | None
    counts: bool


class RowState(NamedTuple):
    """Where a row stands in a queue: who has answered, whose labels count, and how many further annotators are wanted."""

    answered: frozenset[str]
    labelled: frozenset[str]
    missing: int


def answers_of(connection: Connection, rows: Sequence[int]) -> dict[int, list[Answer]]:
    """The judgements of persons that stand, by row, oldest first."""
    found: dict[int, list[Answer]] = {}
    for start in range(0, len(rows), KEYS_AT_ONCE):
        for row, *answer in connection.execute(_BY_PERSONS, {"rows": rows[start : start + KEYS_AT_ONCE]}):
            found.setdefault(row, []).append(Answer(*answer))
    return found


def row_state(spec: QueueSpec, answers: Iterable[Answer]) -> RowState:
    """What a row's answers mean for a queue.

    A queue of mistakes asks again: only what was said in it counts. A queue of disagreements wants adjudications: as many
    as its overlap exceeds the labels that disagree, and at least one.
    """
    if spec.strategy == "mistakes":
        answers = [answer for answer in answers if answer.queue == spec.name]
    newest = {answer.annotator: answer for answer in answers if answer.counts}
    labels = {who: answer for who, answer in newest.items() if answer.outcome != "skipped"}
    wanted, given = spec.overlap, len(labels)
    if spec.strategy == "disagreement":
        given = sum(answer.purpose == "adjudication" for answer in labels.values())
        wanted = max(1, spec.overlap - (len(labels) - given))
    return RowState(frozenset(newest), frozenset(labels), max(0, wanted - given))
