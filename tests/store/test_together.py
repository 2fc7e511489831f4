"""Several threads and processes on one workspace: nobody loses a word, and nobody is told that a database is locked."""

import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from workbench.domain.errors import Conflict
from workbench.domain.events import Metrics
from workbench.domain.judgement import Item, Judgement
from workbench.domain.runs import JobState
from workbench.store.filling import NewRow
from workbench.store.store import Store, open_store

LABELLER = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from workbench.domain.judgement import Judgement, Ranking
from workbench.store.store import open_store
store = open_store(Path(sys.argv[1]))
who = sys.argv[2]
for n in range(10):
    store.labels.add(Judgement(
        id=f"{who}-{n}", item=f"i{n}", annotator=who, outcome="ranked", ranking=Ranking(tiers=((0,), (1,))),
        shown=(0, 1), shown_seed=1, milliseconds=1, created=datetime.now(UTC)), "pairs")
    if n % 3 == 2:
        store.labels.undo("pairs", who)
store.close()
"""


def all_at_once(works: list[Callable[[], object]]) -> list[BaseException]:
    """Run functions in threads that start together; returns what they raised."""
    gate = threading.Barrier(len(works))

    def run(work: Callable[[], object]) -> None:
        gate.wait()
        work()

    with ThreadPoolExecutor(len(works)) as pool:
        ended = [pool.submit(run, work) for work in works]
    return [error for future in ended if (error := future.exception()) is not None]


def test_that_four_stores_on_one_workspace_lose_no_label(
    ten: Store, workspace: Path, judge: Callable[..., Judgement]
) -> None:
    def label(who: str) -> None:
        own = open_store(workspace)
        for n in range(10):
            own.labels.add(judge(f"i{n}", f"{who}-{n}", who), "pairs")
        own.close()

    assert all_at_once([lambda who=who: label(who) for who in "abcd"]) == []  # type: ignore[misc]
    assert {j.id for j in ten.labels.all("pairs")} == {f"{who}-{n}" for who in "abcd" for n in range(10)}
    assert ten.datasets.get("pairs").judged == 10
    assert [ten.labels.progress("pairs", who).judged for who in "abcd"] == [10] * 4


def test_that_processes_label_and_undo_beside_each_other(ten: Store, workspace: Path) -> None:
    ended = [
        subprocess.Popen([sys.executable, "-c", LABELLER, str(workspace), who], stderr=subprocess.PIPE, text=True)
        for who in ("anna", "ben")
    ]
    assert [(p.communicate()[1], p.returncode) for p in ended] == [("", 0), ("", 0)]
    assert len(ten.labels.all("pairs")) == 20
    for who in ("anna", "ben"):
        assert {j.item for j in ten.labels.current("pairs") if j.annotator == who} == {
            f"i{n}" for n in (0, 1, 3, 4, 6, 7, 9)
        }
    assert ten.check() == []


def test_that_rows_appended_by_several_get_positions_without_gaps(
    store: Store, workspace: Path, item: Callable[..., Item]
) -> None:
    store.datasets.create("pairs", "preferences")

    def append(who: str) -> None:
        own = open_store(workspace)
        for n in range(8):
            own.datasets.append("pairs", [NewRow((item(f"{who}{n}"), []))])
        own.close()

    assert all_at_once([lambda who=who: append(who) for who in "abc"]) == []  # type: ignore[misc]
    rows = store.datasets.rows("pairs", 0, 100)
    assert [r.position for r in rows] == list(range(24))
    for who in "abc":
        assert [r.item.id for r in rows if r.item and r.item.id[0] == who] == [f"{who}{n}" for n in range(8)]


def test_that_a_name_wanted_by_many_is_given_to_one(store: Store, workspace: Path) -> None:
    stores = [open_store(workspace) for _ in range(4)]
    raised = all_at_once([lambda s=s: s.datasets.create("wanted", "documents") for s in stores])  # type: ignore[misc]
    assert [type(error) for error in raised] == [Conflict] * 3
    assert [d.name for d in store.datasets.list()] == ["wanted"]
    for opened in stores:
        opened.close()


def test_that_runs_booked_at_once_get_ids_and_places_of_their_own(store: Store, workspace: Path) -> None:
    stores = [open_store(workspace) for _ in range(3)]
    works = [lambda s=s: [s.runs.create("sft", {}) for _ in range(4)] for s in stores]  # type: ignore[misc]
    assert all_at_once(works) == []
    queue = store.runs.queue()
    assert sorted(r.id for r in queue) == sorted(f"sft-{n}" for n in range(1, 13))
    assert [r.place for r in queue] == list(range(12))
    for opened in stores:
        opened.close()


def test_that_events_absorbed_by_two_supervisors_are_booked_once(store: Store, workspace: Path) -> None:
    run = store.runs.create("sft", {}).id
    store.runs.move(run, JobState.STARTING)
    events = [Metrics(seq=n, step=n, values={"loss": 1 / n}) for n in range(1, 31)]
    stores = [open_store(workspace) for _ in range(2)]

    def absorb(own: Store) -> None:
        for n in range(0, 30, 3):
            own.runs.absorb(run, events[: n + 3])

    assert all_at_once([lambda s=s: absorb(s) for s in stores]) == []  # type: ignore[misc]
    assert [p.step for p in store.runs.metrics(run)] == list(range(1, 31))
    for opened in stores:
        opened.close()


def test_that_a_lease_is_won_by_one_of_many(workspace: Path) -> None:
    stores = [open_store(workspace) for _ in range(4)]
    won: list[bool] = []
    works = [lambda n=n, s=s: won.append(s.leases.acquire("x", f"owner {n}", 60)) for n, s in enumerate(stores)]  # type: ignore[misc]
    assert all_at_once(works) == []
    assert sorted(won) == [False, False, False, True]
    for opened in stores:
        opened.close()


def test_that_a_reader_sees_an_import_whole_or_not_at_all(store: Store, workspace: Path) -> None:
    handle = store.datasets.begin("documents", "file")
    store.datasets.append(handle, [NewRow(f"text {n}") for n in range(20)])
    other = open_store(workspace)
    assert other.datasets.list() == []
    store.datasets.publish(handle, "texts")
    assert [(d.name, d.rows) for d in other.datasets.list()] == [("texts", 20)]
    other.close()


def test_that_opening_beside_a_living_import_does_not_sweep_it_away(store: Store, workspace: Path) -> None:
    handle = store.datasets.begin("documents", "file")
    store.datasets.append(handle, [NewRow("kept")])
    open_store(workspace).close()
    assert store.datasets.publish(handle, "texts").rows == 1


def test_that_a_dataset_deleted_by_another_is_told_in_a_sentence(
    ten: Store, workspace: Path, judge: Callable[..., Judgement]
) -> None:
    other = open_store(workspace)
    number = other.datasets.hide("pairs")
    while other.datasets.drop_some(number):
        pass
    other.close()
    with pytest.raises(Exception, match="There is no dataset called 'pairs'"):
        ten.labels.add(judge("i0"), "pairs")
