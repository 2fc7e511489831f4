"""Many processes label one workspace in one queue at once, and undo and redo between: what is lost, and how long they wait.

`python -m tests.benchmarks.labelling_together WORKSPACE --processes 16 --judgements 1000 --overlap 2` makes a dataset in a
workspace (which may be on a server), lets every process give as many labels as asked, and prints what it finds as JSON. The
processes are forked, so that what is measured is labelling and not starting Python.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import resource
import sys
import time
import traceback
from collections import Counter, defaultdict
from datetime import UTC, datetime
from pathlib import Path

from workbench.domain.judgement import Item, Judgement, Ranking
from workbench.domain.queues import QueueSpec
from workbench.domain.text import Candidate, Prompt
from workbench.store.filling import NewRow
from workbench.store.queues import Turn
from workbench.store.store import Store, open_store

DATASET, QUEUE = "together", "together"
SLICE = 500
PATIENCE_SECONDS = 60.0
UNDO_EVERY, REDO_EVERY = 10, 17
LEASE_MINUTES = 60.0  # none runs out meanwhile: a label that counts too much is then the store's fault


def prepare(workspace: Path, items: int, overlap: int) -> None:
    """A dataset of items with two candidates, and a queue over it."""
    store = open_store(workspace)
    store.datasets.create(DATASET, "preferences")
    for start in range(0, items, SLICE):
        rows = [NewRow((_item(n), [])) for n in range(start, min(items, start + SLICE))]
        store.datasets.append(DATASET, rows)
    spec = QueueSpec(
        name=QUEUE, dataset=DATASET, strategy="random", overlap=overlap, seed=1, lease_minutes=LEASE_MINUTES
    )
    store.queues.create(spec)
    store.close()


def label(workspace: Path, who: str, judgements: int) -> list[float]:
    """Give labels, taking some back on the way; returns the seconds that each answer took."""
    store = open_store(workspace)
    turn, seconds = store.queues.begin(DATASET, QUEUE, who), list[float]()
    for n in range(judgements):
        turn = _wait_for_an_item(store, turn, who)
        turn = _say(store, turn, who, f"{who}-{n}", seconds)
        if n % UNDO_EVERY == 1:
            turn = _say(store, store.queues.undo(DATASET, QUEUE, who), who, f"{who}-{n}-again", seconds)
        if n % REDO_EVERY == 3:
            store.queues.undo(DATASET, QUEUE, who)
            turn = store.queues.redo(DATASET, QUEUE, who)
    store.queues.leave(QUEUE, who)
    store.close()
    return seconds


def check(workspace: Path, processes: int, judgements: int, overlap: int) -> dict[str, int]:
    """What is wrong with what they left: labels that are missing or too many, and counts that don't follow from the log."""
    store = open_store(workspace)
    log = store.labels.all(DATASET)
    standing = store.labels.current(DATASET)
    expected = {f"{name(p)}-{n}" for p in range(processes) for n in range(judgements)}
    expected |= {f"{said}-again" for said in expected if int(said.split("-")[1]) % UNDO_EVERY == 1}
    by_item: dict[str, set[str]] = defaultdict(set)
    for judgement in standing:
        by_item[judgement.item].add(judgement.annotator)
    each = Counter(judgement.annotator for judgement in standing)
    figures = store.queues.get(QUEUE, "nobody")
    found = {
        "lost": len(expected - {j.id for j in log}),
        "kept_twice": len(log) - len({j.id for j in log}),
        "labels_that_do_not_stand": processes * judgements - len(standing),
        "annotators_with_another_number": sum(each[name(p)] != judgements for p in range(processes)),
        "beyond_overlap": sum(len(who) > overlap for who in by_item.values()),
        "extras": sum(j.purpose == "extra" for j in log),
        "full_miscounted": abs(figures.record.full - sum(len(who) == overlap for who in by_item.values())),
        "database_troubles": len(store.check()),
    }
    store.close()
    return found


def name(process: int) -> str:
    """How a process signs."""
    return f"p{process:02}"


def run(workspace: Path, processes: int, judgements: int, overlap: int) -> dict[str, object]:
    """Prepare, label and check; the figures of all."""
    prepare(workspace, math.ceil(1.1 * processes * judgements / overlap) + processes, overlap)
    begun = time.monotonic()
    children = [_fork(workspace, name(p), judgements) for p in range(processes)]
    told = [json.loads((workspace / f"{name(p)}.json").read_text()) for p in range(processes) if _ended(children[p])]
    took = time.monotonic() - begun
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    waits = sorted(second for report in told for second in report["seconds"])
    return {
        "processes": processes, "judgements": judgements, "errors": [e for report in told for e in report["errors"]],
        "seconds": round(took, 1), "cpu_seconds": round(used.ru_utime + used.ru_stime, 1),
        **{
            f"answer_ms_{label}": round(1000 * waits[min(len(waits) - 1, int(share * len(waits)))], 1)
            for label, share in (("median", 0.5), ("p99", 0.99), ("longest", 1.0))
        },
        **check(workspace, processes, judgements, overlap),
    }  # fmt: skip


def _item(n: int) -> Item:
    offered = (Candidate(text=f"first answer {n}"), Candidate(text=f"second answer {n}"))
    return Item(id=f"i{n}", prompt=Prompt.from_text(f"question {n}"), candidates=offered)


def _say(store: Store, turn: Turn, who: str, uid: str, seconds: list[float]) -> Turn:
    assert turn.next is not None
    judgement = Judgement(
        id=uid, item=turn.next.placed.item.id, annotator=who, outcome="ranked", ranking=Ranking(tiers=((0,), (1,))),
        shown=(0, 1), shown_seed=1, milliseconds=1, created=datetime.now(UTC), queue=QUEUE, purpose=turn.next.purpose,
    )  # fmt: skip
    begun = time.monotonic()
    answer = store.queues.answer(DATASET, judgement)
    seconds.append(time.monotonic() - begun)
    return answer


def _wait_for_an_item(store: Store, turn: Turn, who: str) -> Turn:
    """What is left may be what others look at: then wait until they have answered."""
    until = time.monotonic() + PATIENCE_SECONDS
    while turn.next is None and time.monotonic() < until:
        time.sleep(0.01)
        turn = store.queues.begin(DATASET, QUEUE, who)
    return turn


def _fork(workspace: Path, who: str, judgements: int) -> int:
    child = os.fork()
    if child:
        return child
    seconds: list[float] = []
    try:
        seconds = label(workspace, who, judgements)
    finally:
        errors = [traceback.format_exc()] if sys.exc_info()[0] else []
        (workspace / f"{who}.json").write_text(json.dumps({"seconds": seconds, "errors": errors}))
        os._exit(0)


def _ended(child: int) -> bool:
    os.waitpid(child, 0)
    return True


def main() -> int:
    """Run from the command line; 1 when anything is wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("workspace", type=Path)
    parser.add_argument("--processes", type=int, default=16)
    parser.add_argument("--judgements", type=int, default=1000)
    parser.add_argument("--overlap", type=int, default=2)
    asked = parser.parse_args()
    found = run(asked.workspace, asked.processes, asked.judgements, asked.overlap)
    sys.stdout.write(json.dumps(found, indent=1) + "\n")
    wrong = ("lost", "kept_twice", "labels_that_do_not_stand", "beyond_overlap", "full_miscounted", "database_troubles")
    return int(bool(found["errors"]) or any(found[key] for key in wrong))


if __name__ == "__main__":
    sys.exit(main())
