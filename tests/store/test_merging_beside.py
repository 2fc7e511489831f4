"""What a merge brings beside labels: queues, drafts, scores; and what it leaves behind."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert

from workbench.domain.judgement import Item, Judgement
from workbench.domain.queues import QueueSpec
from workbench.store import schema as t
from workbench.store.filling import NewRow
from workbench.store.merge_datasets import MergeRecord
from workbench.store.store import Store, open_store

Judge = Callable[..., Judgement]
MakeItem = Callable[..., Item]
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[tuple[Store, Store]]:
    a, b = open_store(tmp_path / "a"), open_store(tmp_path / "b")
    yield a, b
    a.close()
    b.close()


def fill(store: Store, *items: Item, name: str = "pairs") -> None:
    store.datasets.create(name, "preferences")
    store.datasets.append(name, [NewRow((item, [])) for item in items])


def merge(a: Store, b: Store) -> MergeRecord:
    return a.merging.merge(b._workspace, {})


def order(store: Store, queue: str) -> list[str]:
    """The items of a queue in its order."""
    with store._database.read() as connection:
        return list(connection.exec_driver_sql(
            "SELECT r.item FROM queue_items i JOIN queues q ON q.id = i.queue_id JOIN rows r ON r.id = i.row_id"
            f" WHERE q.name = '{queue}' ORDER BY i.place"
        ).scalars())  # fmt: skip


def put(store: Store, table: Any, **values: Any) -> None:
    with store._database.write() as connection:
        connection.execute(insert(table).values(values))


def reversed_item(item: Item) -> Item:
    return item.model_copy(update={"candidates": item.candidates[::-1]})


def test_that_a_queue_comes_with_its_items_order_and_answers(
    pair: tuple[Store, Store], item: MakeItem, judge: Judge
) -> None:
    a, b = pair
    fill(a, item("z"))
    fill(b, *(item(name) for name in "vwxyz"))
    spec = QueueSpec(name="monday", dataset="pairs", strategy="random", seed=5, overlap=2)
    b.queues.create(spec)
    for _ in range(2):
        turn = b.queues.begin("pairs", "monday", "anna")
        assert turn.next is not None
        b.queues.answer("pairs", judge(turn.next.placed.item.id, "", "anna", queue="monday"))
    b.queues.create(QueueSpec(name="grows", dataset="pairs"))
    b.queues.set_open("grows", False)
    done = merge(a, b)
    assert (done.queues, done.queued) == (2, 0)
    assert order(a, "monday") == order(b, "monday")
    for who in ("anna", "ben"):
        ours, theirs = a.queues.get("monday", who), b.queues.get("monday", who)
        assert (ours.record.spec, ours.size, ours.left) == (spec, theirs.size, theirs.left)
        assert a.queues.begin("pairs", "monday", who).progress.judged == (2 if who == "anna" else 0)
    assert a.queues.get("grows", "anna").record.state == "closed"
    assert (merge(a, b).queues, merge(a, b).queued) == (0, 0)


def test_that_a_queue_of_both_gets_the_items_that_it_lacks_and_asks_as_before(
    pair: tuple[Store, Store], item: MakeItem, judge: Judge
) -> None:
    a, b = pair
    for store, names, overlap in ((a, "vw", 1), (b, "wxy", 3)):
        fill(store, *(item(name) for name in names))
        store.queues.create(QueueSpec(name="monday", dataset="pairs", strategy="random", seed=overlap, overlap=overlap))
    b.labels.add(judge("x", "", "ben"), "pairs")
    before = order(a, "monday")
    done = merge(a, b)
    assert (done.queues, done.queued) == (0, 2)
    assert order(a, "monday") == before + [name for name in order(b, "monday") if name != "w"]
    assert any("asks otherwise there" in note for note in done.notes)
    figures = a.queues.get("monday", "anna")
    assert (figures.record.spec.overlap, figures.record.full, figures.size, figures.left) == (1, 1, 4, 3)
    assert merge(a, b).queued == 0


def test_that_a_queue_whose_name_is_taken_by_other_data_is_called_otherwise_with_its_answers(
    pair: tuple[Store, Store], item: MakeItem, judge: Judge
) -> None:
    a, b = pair
    fill(a, item("x"), name="others")
    fill(b, item("x"), item("y"))
    a.queues.create(QueueSpec(name="monday", dataset="others"))
    b.queues.create(QueueSpec(name="monday", dataset="pairs"))
    b.queues.answer("pairs", judge("x", "", "anna", queue="monday"))
    done = merge(a, b)
    assert any("theirs is called monday (pairs)" in note for note in done.notes)
    assert [j.queue for j in a.labels.current("pairs")] == ["monday (pairs)"]
    assert a.queues.begin("pairs", "monday (pairs)", "anna").progress.judged == 1
    assert a.queues.get("monday", "anna").left == 1
    assert (merge(a, b).queues, merge(a, b).judgements) == (0, 0)


def test_that_drafts_come_along_in_the_candidates_here_unless_the_item_was_judged_since(
    pair: tuple[Store, Store], item: MakeItem, judge: Judge
) -> None:
    a, b = pair
    fill(a, item("x", 3), item("y"), item("z"))
    fill(b, reversed_item(item("x", 3)), item("y"), item("z"))
    body = {
        "tiers": [[0], [1, 2]], "aspects": {"kind": [[2]]}, "note": "hm", "write": "better", "repairs": 0,
        "spans": [{"candidate": 2, "start": 0, "end": 1, "comment": "?"}],
    }  # fmt: skip
    b.drafts.save("pairs", "x", "anna", body)
    b.drafts.save("pairs", "y", "anna", {"note": "old"})
    b.drafts.save("pairs", "z", "anna", {"note": "older"})
    a.labels.add(judge("y", "", "anna", created=datetime.now(UTC) + timedelta(seconds=9)), "pairs")
    a.drafts.save("pairs", "z", "anna", {"note": "newer"})
    assert merge(a, b).drafts == 1
    found = a.drafts.get("pairs", "x", "anna")
    assert found == {
        "tiers": [[2], [1, 0]], "aspects": {"kind": [[0]]}, "note": "hm", "write": "better", "repairs": 2,
        "spans": [{"candidate": 0, "start": 0, "end": 1, "comment": "?"}],
    }  # fmt: skip
    assert a.drafts.get("pairs", "y", "anna") is None
    assert a.drafts.get("pairs", "z", "anna") == {"note": "newer"}
    b.drafts.save("pairs", "z", "anna", {"note": "newest"})
    assert (merge(a, b).drafts, a.drafts.get("pairs", "z", "anna")) == (1, {"note": "newest"})


def test_that_scores_come_along_unless_their_model_is_another_one_here(
    pair: tuple[Store, Store], item: MakeItem
) -> None:
    a, b = pair
    fill(a, item("x"), item("y"))
    fill(b, reversed_item(item("x")), item("y"))
    model = {"path": "", "kind": "reward", "form": "whole", "parameters": 1, "synthetic": False}
    for store, names in ((a, ("same", "other")), (b, ("same", "other", "new"))):
        for name in names:
            made = NOON + timedelta(days=store is a and name == "other")
            put(store, t.models, name=name, created=made, **model)
    for name in ("same", "other", "new"):
        put(b, t.row_scores, row_id=1, model=name, scores=[1.0, 2.0], spread=0.5, run="r", created=NOON)
    for store, hour in ((a, 2), (b, 1)):
        when = NOON + timedelta(hours=hour)
        put(store, t.row_scores, row_id=2, model="same", scores=[float(hour), 0.0], spread=None, created=when)
    done = merge(a, b)
    assert done.scores == 2
    assert any("other is another model there" in note for note in done.notes)
    assert [(s.item, s.scores, s.spread) for s in a.scores.of("pairs", "same")] == [
        ("x", (2.0, 1.0), 0.5), ("y", (2.0, 0.0), None),
    ]  # fmt: skip
    assert [s.scores for s in a.scores.of("pairs", "new")] == [(2.0, 1.0)]
    assert a.scores.of("pairs", "other") == []
    assert merge(a, b).scores == 0
