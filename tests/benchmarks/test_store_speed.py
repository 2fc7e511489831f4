"""A million items: labelling, paging and counting must not feel them. Measured, printed, and held to limits."""

import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from workbench.domain.judgement import Item, Judgement, Ranking
from workbench.domain.text import Candidate, Prompt
from workbench.store.filling import NewRow
from workbench.store.store import Store, open_store

pytestmark = pytest.mark.bench
ITEMS = 1_000_000
JUDGED = ITEMS // 2
SLICE = 500


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


def test_that_a_million_items_are_not_felt(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    store.datasets.create("big", "preferences")
    start = time.perf_counter()
    slowest = 0.0
    for first in range(0, ITEMS, SLICE):
        part = [make(n) for n in range(first, first + SLICE)]
        before = time.perf_counter()
        store.datasets.append("big", part)
        slowest = max(slowest, time.perf_counter() - before)
    say(f"fill {ITEMS:,} items: {time.perf_counter() - start:.0f} s, slowest slice {1000 * slowest:.0f} ms")
    store.close()
    before = time.perf_counter()
    store = open_store(tmp_path)
    say(f"open: {1000 * (time.perf_counter() - before):.1f} ms")
    measured = measure(store)
    for name, milliseconds in measured.items():
        say(f"{name}: {milliseconds:.2f} ms")
    store.close()
    assert max(measured.values()) < 50
    assert measured["judge, progress and next"] < 16


def measure(store: Store) -> dict[str, float]:
    todo = iter(range(JUDGED, JUDGED + 1000))

    def one_label() -> None:
        store.labels.add(judgement(next(todo), "crowd"), "big")
        store.labels.progress("big", "crowd")
        store.labels.next_unjudged("big", "crowd", limit=1)

    store.labels.next_unjudged("big", "crowd")  # finds the frontier once
    return {
        "judge, progress and next": median_ms(one_label),
        "next for a new annotator": median_ms(lambda: store.labels.next_unjudged("big", "new", limit=8)),
        "undo and redo": median_ms(lambda: (store.labels.undo("big", "crowd"), store.labels.redo("big", "crowd"))),
        "list of datasets": median_ms(store.datasets.list),
        "page in the middle": median_ms(lambda: store.datasets.rows("big", ITEMS // 2, 50)),
        "last page": median_ms(lambda: store.datasets.rows("big", ITEMS - 50, 50)),
        "judgements of a page": median_ms(lambda: store.labels.current("big", 4000, 4050)),
        "search, first page": median_ms(lambda: store.datasets.rows("big", 0, 50, "number 1")),
    }
