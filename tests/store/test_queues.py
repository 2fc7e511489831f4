"""Queues: who is asked what, how often, and what is counted."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from workbench.domain.errors import BadInput, Conflict, NotFound
from workbench.domain.judgement import Item, Judgement
from workbench.domain.queues import QueueSpec
from workbench.store import schema as t
from workbench.store.filling import NewRow
from workbench.store.queue_orders import chance
from workbench.store.queues import Turn
from workbench.store.store import Store, open_store

Judge = Callable[..., Judgement]


def make(store: Store, **fields: object) -> None:
    store.queues.create(QueueSpec.model_validate({"name": "q", "dataset": "pairs"} | fields))


def item_of(turn: Turn) -> str | None:
    return None if turn.next is None else turn.next.placed.item.id


def say(store: Store, judge: Judge, turn: Turn, who: str, queue: str = "q", **more: object) -> Turn:
    assert turn.next is not None
    fields = {"annotator": who, "queue": queue, "purpose": turn.next.purpose} | more
    return store.queues.answer("pairs", judge(turn.next.placed.item.id, **fields))


def all_of(store: Store, judge: Judge, who: str, queue: str = "q", most: int = 100) -> list[str]:
    """Judge everything that a queue asks; returns the items."""
    turn, asked = store.queues.begin("pairs", queue, who), []
    while (item := item_of(turn)) is not None and len(asked) < most:
        asked.append(item)
        turn = say(store, judge, turn, who, queue)
    return asked


def test_that_a_queue_in_order_goes_through_the_dataset_and_grows_with_it(
    ten: Store, judge: Judge, item: Callable[..., Item]
) -> None:
    make(ten)
    assert all_of(ten, judge, "anna") == [f"i{n}" for n in range(10)]
    ten.datasets.append("pairs", [NewRow((item("late"), []))])
    assert ten.queues.get("q", "anna").left == 1
    assert all_of(ten, judge, "anna") == ["late"]


def test_that_a_random_order_is_reproduced_by_its_seed(ten: Store, judge: Judge) -> None:
    for name, seed in (("a", 5), ("b", 5), ("c", 6)):
        make(ten, name=name, strategy="random", seed=seed, overlap=99)
    orders = [all_of(ten, judge, name, name) for name in "abc"]
    assert orders[0] == orders[1] != orders[2]
    assert sorted(orders[0]) == sorted(orders[2]) == [f"i{n}" for n in range(10)]
    assert orders[0] == [f"i{n}" for n in sorted(range(10), key=lambda n: chance(5, n))]


def test_that_two_annotators_do_not_get_the_same_item_unless_overlap_asks_for_it(ten: Store) -> None:
    make(ten)
    make(ten, name="twice", overlap=2)
    assert [item_of(ten.queues.begin("pairs", "q", who)) for who in ("anna", "ben", "anna")] == ["i0", "i1", "i0"]
    ten.queues.leave("q", "anna")
    ten.queues.leave("q", "ben")
    seen = [item_of(ten.queues.begin("pairs", "twice", who)) for who in ("anna", "ben", "cleo")]
    assert seen == ["i0", "i0", "i1"]


def test_that_a_lease_ends_with_its_time_with_leaving_and_with_the_answer(ten: Store, judge: Judge) -> None:
    make(ten, lease_minutes=1)
    turn = ten.queues.begin("pairs", "q", "anna")
    assert item_of(ten.queues.begin("pairs", "q", "ben")) == "i1"
    ten.queues.leave("q", "anna")
    assert item_of(ten.queues.begin("pairs", "q", "ben")) == "i0"
    ten.queues.leave("q", "ben")
    turn = say(ten, judge, ten.queues.begin("pairs", "q", "anna"), "anna")
    assert (item_of(turn), item_of(ten.queues.begin("pairs", "q", "ben"))) == ("i1", "i2")
    let_time_pass(ten)
    assert item_of(ten.queues.begin("pairs", "q", "ben")) == "i1"
    assert ten.queues.renew("q", "i1", "ben")
    assert not ten.queues.renew("q", "i0", "ben")


def let_time_pass(store: Store) -> None:
    """Every lease runs out."""
    with store._database.write() as connection:
        connection.execute(t.item_leases.update().values(expires=datetime.now(UTC) - timedelta(seconds=1)))


def test_that_a_lease_whose_time_is_over_is_renewed_unless_somebody_else_has_come(ten: Store) -> None:
    make(ten)
    assert item_of(ten.queues.begin("pairs", "q", "anna")) == "i0"
    let_time_pass(ten)
    assert ten.queues.renew("q", "i0", "anna")
    assert item_of(ten.queues.begin("pairs", "q", "ben")) == "i1"
    let_time_pass(ten)
    assert item_of(ten.queues.begin("pairs", "q", "ben")) == "i0"
    assert not ten.queues.renew("q", "i0", "anna")


def test_that_an_answer_that_comes_too_late_is_kept_and_not_counted(ten: Store, judge: Judge) -> None:
    make(ten)
    late = ten.queues.begin("pairs", "q", "anna")
    ten.queues.leave("q", "anna")
    say(ten, judge, ten.queues.begin("pairs", "q", "ben"), "ben")
    turn = say(ten, judge, late, "anna")
    assert turn.judgement is not None
    assert (turn.judgement.purpose, turn.judgement.counts) == ("extra", False)
    assert "doesn't count" in turn.notice
    assert [j.annotator for j in ten.labels.current("pairs")] == ["ben"]
    assert [(j.annotator, j.purpose) for j in ten.labels.all("pairs")] == [("ben", "label"), ("anna", "extra")]
    assert item_of(turn) == "i2"


def test_that_a_skipped_item_goes_to_somebody_else(ten: Store, judge: Judge) -> None:
    make(ten)
    turn = ten.queues.begin("pairs", "q", "anna")
    turn = say(ten, judge, turn, "anna", outcome="skipped", ranking=None, skip_reason="unclear")
    assert item_of(turn) == "i1"
    assert all_of(ten, judge, "anna") == [f"i{n}" for n in range(1, 10)]
    assert ten.queues.get("q", "anna").left == 0
    assert ten.queues.get("q", "ben").left == 1
    assert all_of(ten, judge, "ben") == ["i0"]


def test_that_an_undone_item_is_open_again_for_others(ten: Store, judge: Judge, workspace: Path) -> None:
    make(ten)
    all_of(ten, judge, "anna")
    assert item_of(ten.queues.begin("pairs", "q", "ben")) is None
    ten.close()
    again = open_store(workspace)
    for n in (9, 8):
        assert item_of(again.queues.undo("pairs", "q", "anna")) == f"i{n}"
    again.queues.leave("q", "anna")
    assert again.queues.get("q", "ben").left == 2
    assert item_of(again.queues.begin("pairs", "q", "ben")) == "i8"
    again.close()


def test_that_what_undo_brings_back_is_kept_from_others(ten: Store, judge: Judge) -> None:
    make(ten)
    say(ten, judge, ten.queues.begin("pairs", "q", "anna"), "anna")
    back = ten.queues.undo("pairs", "q", "anna")
    assert (item_of(back), back.progress.judged, back.progress.total) == ("i0", 0, 10)
    assert item_of(ten.queues.begin("pairs", "q", "ben")) == "i1"


def test_that_judgements_by_models_and_those_of_a_file_leave_an_item_open(ten: Store, judge: Judge) -> None:
    ten.labels.add(judge("i0", annotator="gpt", annotator_kind="model"), "pairs")
    ten.labels.add(judge("i1", annotator="import"), "pairs")
    ten.labels.add(judge("i2", annotator="ben"), "pairs")
    make(ten)
    assert ten.queues.get("q", "anna").record.full == 1
    assert all_of(ten, judge, "anna") == ["i0", "i1", *(f"i{n}" for n in range(3, 10))]


def test_that_counts_follow_what_is_said_outside_the_queue(ten: Store, judge: Judge) -> None:
    make(ten, overlap=2)
    make(ten, name="mixed", strategy="random")
    ten.labels.add(judge("i4", annotator="anna"), "pairs")
    seen = [(f.record.name, f.record.full, f.left) for f in ten.queues.list("anna", "pairs")]
    assert seen == [("q", 0, 9), ("mixed", 1, 9)]
    ten.labels.add(judge("i4", annotator="ben"), "pairs")
    assert [(f.record.full, f.left) for f in ten.queues.list("anna")] == [(1, 9), (1, 9)]
    ten.labels.undo("pairs", "anna")
    assert [(f.record.full, f.left) for f in ten.queues.list("anna")] == [(0, 10), (1, 9)]


def test_that_a_closed_queue_asks_nothing_and_loses_nothing(ten: Store, judge: Judge) -> None:
    make(ten)
    turn = ten.queues.begin("pairs", "q", "anna")
    ten.queues.set_open("q", False)
    turn = say(ten, judge, turn, "anna")
    assert (item_of(turn), [j.item for j in ten.labels.current("pairs")]) == (None, ["i0"])
    assert "closed" in turn.notice
    ten.queues.set_open("q", True)
    assert item_of(ten.queues.begin("pairs", "q", "anna")) == "i1"


def test_that_an_answer_to_a_deleted_queue_is_kept(ten: Store, judge: Judge) -> None:
    make(ten, strategy="random")
    turn = ten.queues.begin("pairs", "q", "anna")
    ten.queues.delete("q")
    turn = say(ten, judge, turn, "anna")
    assert turn.next is None
    assert "deleted" in turn.notice
    assert len(ten.labels.current("pairs")) == 1
    assert ten.queues.list("anna") == []
    with ten._database.read() as connection:
        assert connection.execute(t.queue_items.select()).all() == []


def test_that_a_queue_goes_with_its_dataset(ten: Store, item: Callable[..., Item]) -> None:
    make(ten, strategy="random")
    number = ten.datasets.hide("pairs")
    assert ten.queues.list("anna") == []
    ten.datasets.create("more", "preferences")
    make(ten, dataset="more")
    while ten.datasets.drop_some(number):
        pass
    assert [(f.record.name, f.dataset) for f in ten.queues.list("anna")] == [("q", "more")]


def test_that_names_are_given_once_and_strangers_are_told(ten: Store) -> None:
    make(ten)
    with pytest.raises(Conflict, match="already a queue"):
        make(ten)
    with pytest.raises(NotFound):
        ten.queues.begin("pairs", "other", "anna")
    ten.datasets.create("more", "preferences")
    with pytest.raises(NotFound, match="over more"):
        ten.queues.begin("more", "q", "anna")
    ten.datasets.create("texts", "documents")
    with pytest.raises(BadInput):
        make(ten, name="t", dataset="texts")


def test_that_the_search_for_the_next_item_does_not_walk_over_what_is_done(
    store: Store, item: Callable[..., Item], judge: Judge
) -> None:
    store.datasets.create("pairs", "preferences")
    rows = [NewRow((item(f"i{n}"), [judge(f"i{n}")] if n < 900 else [])) for n in range(1000)]
    store.datasets.append("pairs", rows)
    make(store)
    assert store.queues.get("q", "new").record.frontier == 900
    assert item_of(store.queues.begin("pairs", "q", "new")) == "i900"
    make(store, name="twice", overlap=2)
    assert item_of(store.queues.begin("pairs", "twice", "me")) == "i900"
    with store._database.read() as connection:
        mine = t.queue_progress.c.annotator == "me"
        fronts = connection.execute(t.queue_progress.select().where(mine)).all()
    assert [(p.frontier, p.waiting) for p in fronts] == [(900, 900)]
    store.labels.undo("pairs", "me")
    assert item_of(store.queues.begin("pairs", "twice", "me")) == "i899"
    assert item_of(store.queues.begin("pairs", "q", "new")) == "i900"
    store.queues.leave("twice", "me")
    assert item_of(store.queues.begin("pairs", "q", "new")) == "i899"


def test_that_the_frontier_of_all_moves_as_items_get_full(
    store: Store, item: Callable[..., Item], judge: Judge
) -> None:
    store.datasets.create("pairs", "preferences")
    store.datasets.append("pairs", [NewRow((item(f"i{n}"), [])) for n in range(100)])
    make(store)
    all_of(store, judge, "anna", most=90)
    assert store.queues.get("q", "new").record.frontier >= 32
