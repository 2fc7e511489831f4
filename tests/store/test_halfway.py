"""A verb that fails at any of its statements leaves every table as it was, and does all of its work when it is asked again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import event, select

from workbench.domain.errors import StorageFailed
from workbench.domain.events import Metrics, Noticed, Started
from workbench.domain.judgement import Item, Judgement, Ranking
from workbench.domain.profiles import Profile
from workbench.domain.queues import Dimension, QueueSpec
from workbench.domain.text import Prompt
from workbench.store import schema as t
from workbench.store.filling import NewRow
from workbench.store.store import Store

Judge = Callable[..., Judgement]
Make = Callable[..., Item]
Verb = Callable[[Store, Judge, Make], object]
NOW = datetime(2026, 5, 1, tzinfo=UTC)
AB = Ranking(tiers=((0,), (1,)))


class Broken(Exception):
    """What goes wrong in the middle."""


def everything(store: Store) -> dict[str, list[str]]:
    with store._database.read() as connection:
        return {
            table.name: sorted(repr(tuple(row)) for row in connection.execute(select(table)))
            for table in t.metadata.sorted_tables
        }


@contextmanager
def failing(store: Store, statement: int) -> Iterator[list[str]]:
    """The statement of this number (from 1) is not carried out; gives the statements that were."""
    done: list[str] = []

    def before(_connection: Any, _cursor: Any, sql: str, *_more: Any) -> None:
        if len(done) + 1 == statement:
            raise Broken
        done.append(sql)

    event.listen(store._database._engine, "before_cursor_execute", before)
    try:
        yield done
    finally:
        event.remove(store._database._engine, "before_cursor_execute", before)


def queue(store: Store) -> None:
    store.queues.create(QueueSpec(name="q", dataset="pairs"))
    store.queues.begin("pairs", "q", "me")


def judged(store: Store, judge: Judge) -> None:
    store.labels.add(judge("i0", "j0"), "pairs")
    store.labels.add(judge("i1", "j1"), "pairs")


@pytest.fixture
def kind() -> str:
    """A file: what is tried here is where transactions begin and end, which is the same on a server."""
    return "sqlite"


VERBS: dict[str, tuple[Verb, Verb]] = {
    "create a dataset": (lambda s, j, i: None, lambda s, j, i: s.datasets.create("new", "prompts")),
    "append rows": (
        lambda s, j, i: None,
        lambda s, j, i: s.datasets.append("pairs", [NewRow((i(f"n{n}"), [j(f"n{n}")])) for n in range(3)]),
    ),
    "append prompts": (
        lambda s, j, i: s.datasets.create("asked", "prompts"),
        lambda s, j, i: s.datasets.append("asked", [Prompt.from_text("a"), Prompt.from_text("b")]),
    ),
    "hide a dataset": (lambda s, j, i: None, lambda s, j, i: s.datasets.hide("pairs")),
    "drop rows": (
        lambda s, j, i: (judged(s, j), s.datasets.hide("pairs")),
        lambda s, j, i: s.datasets.drop_some(1),
    ),
    "judge": (lambda s, j, i: judged(s, j), lambda s, j, i: s.labels.add(j("i2", "j2"), "pairs")),
    "judge again": (lambda s, j, i: judged(s, j), lambda s, j, i: s.labels.add(j("i1", "j2"), "pairs")),
    "answer": (lambda s, j, i: judged(s, j), lambda s, j, i: s.labels.answer(j("i2", "j2"), "pairs", "i3")),
    "answer with a draft": (
        lambda s, j, i: s.drafts.save("pairs", "i2", "me", {"a": 1}),
        lambda s, j, i: s.labels.answer(j("i2", "j2"), "pairs", None),
    ),
    "undo": (lambda s, j, i: judged(s, j), lambda s, j, i: s.labels.undo("pairs", "me")),
    "redo": (
        lambda s, j, i: (judged(s, j), s.labels.undo("pairs", "me")),
        lambda s, j, i: s.labels.redo("pairs", "me"),
    ),
    "judge after an undo": (
        lambda s, j, i: (judged(s, j), s.labels.undo("pairs", "me")),
        lambda s, j, i: s.labels.add(j("i2", "j2"), "pairs"),
    ),
    "answer in a queue": (
        lambda s, j, i: queue(s),
        lambda s, j, i: s.queues.answer("pairs", j("i0", "j0", queue="q")),
    ),
    "undo in a queue": (
        lambda s, j, i: (queue(s), s.queues.answer("pairs", j("i0", "j0", queue="q"))),
        lambda s, j, i: s.queues.undo("pairs", "q", "me"),
    ),
    "close a queue": (lambda s, j, i: queue(s), lambda s, j, i: s.queues.set_open("q", False)),
    "leave a queue": (lambda s, j, i: queue(s), lambda s, j, i: s.queues.leave("q", "me")),
    "write guidelines": (
        lambda s, j, i: None,
        lambda s, j, i: s.guidelines.write("pairs", "Be kind.", (Dimension(name="kind"),), "me"),
    ),
    "save a draft": (
        lambda s, j, i: s.drafts.save("pairs", "i2", "me", {"a": 1}),
        lambda s, j, i: s.drafts.save("pairs", "i2", "me", {"b": 2}),
    ),
    "know an answer": (lambda s, j, i: None, lambda s, j, i: s.golds.set("pairs", "i0", AB, "me")),
    "forget an answer": (
        lambda s, j, i: s.golds.set("pairs", "i0", AB, "me"),
        lambda s, j, i: s.golds.clear("pairs", "i0"),
    ),
    "add a person": (
        lambda s, j, i: None,
        lambda s, j, i: s.profiles.add(Profile(name="ann", colour="blue", created=NOW)),
    ),
    "change settings": (lambda s, j, i: s.settings.set(a=1), lambda s, j, i: s.settings.set(a=2, b=[3], c=None)),
    "remember a snapshot": (lambda s, j, i: None, lambda s, j, i: s.snapshots.add("sha", "pairs", "prompts", 3)),
}  # fmt: skip


@pytest.mark.parametrize("verb", list(VERBS))
def test_that_a_failure_at_any_statement_leaves_everything_as_it_was(
    ten: Store, judge: Judge, item: Make, verb: str
) -> None:
    prepare, act = VERBS[verb]
    prepare(ten, judge, item)
    before = everything(ten)
    failures = 0
    for statement in range(1, 60):
        with failing(ten, statement) as done:
            try:
                act(ten, judge, item)
            except Broken:
                failures += 1
            else:
                break
        assert everything(ten) == before, done[-1:]
    assert failures == statement - 1 >= 1
    assert everything(ten) != before
    assert ten.check() == []


def test_that_what_is_read_is_never_changed_by_reading(ten: Store, judge: Judge) -> None:
    judged(ten, judge)
    queue(ten)
    before = everything(ten)
    ten.labels.progress("pairs", "me")
    ten.labels.recent("pairs", "me", 5)
    ten.labels.current("pairs")
    ten.labels.standing("pairs", 0, 10)
    ten.labels.counts(NOW)
    ten.labels.mark()
    ten.queues.list("me")
    ten.datasets.rows("pairs")
    ten.datasets.find("pairs", "question", 0, 10)
    assert everything(ten) == before


@pytest.mark.parametrize(
    "changed", ["annotator", "outcome", "ranking", "strength", "note", "created", "milliseconds"], ids=str
)
def test_that_nobody_can_rewrite_what_was_said(ten: Store, judge: Judge, changed: str) -> None:
    judged(ten, judge)
    before = everything(ten)
    columns = t.judgements.c
    other = {"strength": 2, "milliseconds": 7, "created": NOW, "ranking": [[1], [0]]}.get(changed, "other")
    with pytest.raises(StorageFailed), ten._database.write() as connection:
        connection.execute(t.judgements.update().values({columns[changed]: other}))
    assert everything(ten) == before


def test_that_a_queue_that_could_not_be_filled_is_nowhere_seen_and_can_be_made_again(ten: Store) -> None:
    spec = QueueSpec(name="q", dataset="pairs")
    failures = 0
    for statement in range(1, 60):
        with failing(ten, statement):
            try:
                ten.queues.create(spec)
            except Broken:
                failures += 1
            else:
                break
        assert ten.queues.list("me") == []
    assert failures > 2
    assert [found.size for found in ten.queues.list("me")] == [10]
    assert ten.queues.begin("pairs", "q", "me").next is not None


def test_that_events_of_a_run_are_booked_whole_or_not_at_all(ten: Store) -> None:
    made = ten.runs.create("sft", {"kind": "sft"}).id
    events = [
        Started(seq=1, pid=1, pid_started=1.0, host="h"), Metrics(seq=2, step=1, values={"loss": 1.0, "kl": 0.5}),
        Noticed(seq=3, what="A row was cut."), Metrics(seq=4, step=2, values={"loss": 0.5}),
    ]  # fmt: skip
    before = everything(ten)
    for statement in range(1, 40):
        with failing(ten, statement):
            try:
                ten.runs.absorb(made, events)
            except Broken:
                pass
            else:
                break
        assert everything(ten) == before
    assert statement > 2
    assert [(p.step, p.value) for p in ten.runs.metrics(made, ["loss"])] == [(1, 1.0), (2, 0.5)]
    after = everything(ten)
    ten.runs.absorb(made, events)
    assert everything(ten) == after
