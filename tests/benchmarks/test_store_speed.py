"""A million items: labelling, paging and counting must not feel them. Measured, printed, and held to limits."""

import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from workbench.domain.judgement import Item, Judgement, Ranking
from workbench.domain.queues import QueueSpec
from workbench.domain.text import Candidate, Prompt
from workbench.store.filling import NewRow
from workbench.store.store import Store, open_store

pytestmark = pytest.mark.bench
ITEMS = 1_000_000
JUDGED = ITEMS // 2
SLICE = 500
ANSWERS = 300


def make(n: int) -> NewRow:
    offered = (Candidate(text=f"First answer {n}, some words long."), Candidate(text=f"Second answer {n}."))
    item = Item(id=f"item-{n}", prompt=Prompt.from_text(f"Question number {n}?"), candidates=offered)
    return NewRow((item, [judgement(n, "crowd")] if n < JUDGED else []), n)


def judgement(n: int, annotator: str) -> Judgement:
    return Judgement(
        id=f"{annotator}-{n}", item=f"item-{n}", annotator=annotator, outcome="ranked",
        ranking=Ranking(tiers=((0,), (1,))), shown=(0, 1), shown_seed=n, milliseconds=1, created=datetime.now(UTC),
    )  # fmt: skip


def say(line: str) -> None:
    sys.stdout.write(f"\n{line}")


def median_ms(work: Callable[[], Any], times: int = 20) -> float:
    seconds = []
    for _ in range(times):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return 1000 * sorted(seconds)[times // 2]


def fill_by_sql(store: Store, items: int = ITEMS, judgements: int = JUDGED) -> None:
    """What appended rows leave behind in the first dataset, made by the database itself; the first ones are judged."""
    numbers = f"WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < {items})"
    judged = f"FROM n WHERE i < {judgements}"
    with store._database.write() as connection:
        for statement in (
            "INSERT INTO prompts SELECT i + 1, randomblob(32), json_array(json_object('role', 'user', 'content',"
            " 'Question number ' || i || '?')), 0, 'Question number ' || i || '?' FROM n",
            "INSERT INTO rows SELECT i + 1, 1, i, i + 1, NULL, 'item-' || i, i, NULL FROM n",
            "INSERT INTO candidates SELECT 2 * i + 1, i + 1, 0, 'First answer ' || i, NULL, NULL, NULL, NULL FROM n",
            "INSERT INTO candidates SELECT 2 * i + 2, i + 1, 1, 'Second answer ' || i, NULL, NULL, NULL, NULL FROM n",
            "INSERT INTO judgements (id, uid, dataset_id, row_id, annotator, annotator_kind, outcome, ranking, strength, note,"
            " shown, shown_seed, milliseconds, created) SELECT i + 1, 'crowd-' || i, 1, i + 1, 'crowd', 'person', 'ranked',"
            f" '[[0],[1]]', 1, '', '[0,1]', i, 1, 1.0e9 + i {judged}",
            f"INSERT INTO standings (judgement_id, dataset_id, row_id, annotator, state) SELECT i + 1, 1, i + 1, 'crowd', 'done' {judged}",
        ):
            connection.exec_driver_sql(statement.replace("SELECT", f"{numbers} SELECT", 1))
        if judgements:
            connection.exec_driver_sql(f"INSERT INTO tallies VALUES (1, 'crowd', 'person', {judgements}, 0)")
        connection.exec_driver_sql(f"UPDATE datasets SET rows = {items}, judged = {judgements}")


@pytest.mark.timeout(1800)
def test_that_a_million_items_are_not_felt(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    store.datasets.create("big", "preferences")
    start = time.perf_counter()
    fill_by_sql(store)
    say(f"fill {ITEMS:,} items by SQL: {time.perf_counter() - start:.0f} s")
    store.close()
    before = time.perf_counter()
    store = open_store(tmp_path)
    say(f"open: {1000 * (time.perf_counter() - before):.1f} ms")
    measured = measure(store)
    measured |= measure_queues(store)
    for name, milliseconds in measured.items():
        say(f"{name}: {milliseconds:.2f} ms")
    slices = iter(range(ITEMS, 2 * ITEMS, SLICE))
    parts = [[make(n) for n in range(first, first + SLICE)] for first in islice(slices, 10)]
    taking = iter(parts)
    say(f"a slice of {SLICE} rows: {median_ms(lambda: store.datasets.append('big', next(taking)), 10):.0f} ms\n")
    assert store.check() == []
    store.close()
    assert max(measured.values()) < 50
    assert measured["judge, progress and next"] < 16
    assert measured["judge and next in a queue, in order"] < 16
    assert measured["judge and next in a queue, at random"] < 16


def measure(store: Store) -> dict[str, float]:
    todo = iter(range(JUDGED, JUDGED + 1000))

    def one_label() -> None:
        store.labels.add(judgement(next(todo), "crowd"), "big")
        store.labels.progress("big", "crowd")
        store.labels.next_unjudged("big", "crowd", limit=1)

    start = time.perf_counter()
    store.labels.next_unjudged("big", "crowd")
    say(f"finding the frontier for the first time: {1000 * (time.perf_counter() - start):.0f} ms")
    return {
        "judge, progress and next": median_ms(one_label),
        "next for a new annotator": median_ms(lambda: store.labels.next_unjudged("big", "new", limit=8)),
        "undo and redo": median_ms(lambda: (store.labels.undo("big", "crowd"), store.labels.redo("big", "crowd"))),
        "list of datasets": median_ms(store.datasets.list),
        "page in the middle": median_ms(lambda: store.datasets.rows("big", ITEMS // 2, 50)),
        "last page": median_ms(lambda: store.datasets.rows("big", ITEMS - 50, 50)),
        "judgements of a page": median_ms(lambda: store.labels.current("big", 4000, 4050)),
        "search, one window": median_ms(lambda: store.datasets.find("big", "nowhere to be found", 400_000, 405_000)),
    }


def measure_queues(store: Store) -> dict[str, float]:
    """An answer with the next item, in queues over all items; making them is told beside."""
    measured: dict[str, float] = {}
    for name, strategy in (("in order", "in_order"), ("at random", "random")):
        start = time.perf_counter()
        spec = {"name": name, "dataset": "big", "strategy": strategy, "repeats": 0.05}
        store.queues.create(QueueSpec.model_validate(spec))
        say(f"making a queue of {ITEMS:,} items {name}: {time.perf_counter() - start:.0f} s")
        turn = store.queues.begin("big", name, "new")
        seconds, used = [], time.process_time()
        for n in range(ANSWERS):
            assert turn.next is not None
            said = judgement(0, "new").model_copy(
                update={
                    "id": f"{name}-{n}", "item": turn.next.placed.item.id, "queue": name, "purpose": turn.next.purpose,
                }
            )  # fmt: skip
            start = time.perf_counter()
            turn = store.queues.answer("big", said)
            seconds.append(time.perf_counter() - start)
        seconds.sort()
        say(
            f"an answer in a queue {name}: {1000 * (time.process_time() - used) / ANSWERS:.2f} ms of the processor's time"
        )
        measured[f"judge and next in a queue, {name}"] = 1000 * seconds[ANSWERS // 2]
        say(f"99 % of answers in a queue {name}: at most {1000 * seconds[int(0.99 * ANSWERS)]:.2f} ms")
        measured[f"list of queues, {name}"] = median_ms(lambda: store.queues.list("new"))
    return measured
