"""Judgements are only ever added; undo and redo are records; what counts is derived."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import event

from workbench.domain.errors import BadInput, Conflict, NotFound, StorageFailed
from workbench.domain.judgement import Item, Judgement
from workbench.domain.queues import Dimension
from workbench.store import schema as t
from workbench.store.filling import NewRow
from workbench.store.store import Store, open_store

Judge = Callable[..., Judgement]


def waiting(store: Store, annotator: str = "me", **more: object) -> list[str]:
    return [p.item.id for p in store.labels.next_unjudged("pairs", annotator, limit=20, **more)]  # type: ignore[arg-type]


def test_that_a_judgement_comes_back_as_it_was_given(ten: Store, judge: Judge) -> None:
    given_ = judge("i3", tiers=((1,), (0,)), strength=2, note="why", annotator_kind="rule")
    ten.labels.add(given_, "pairs")
    assert ten.labels.for_item("i3") == [given_]


def test_that_skips_and_all_bad_are_kept_with_their_reason(ten: Store, judge: Judge) -> None:
    skipped = judge("i1", outcome="skipped", ranking=None, skip_reason="unsafe")
    bad = judge("i2", outcome="all_bad", ranking=None)
    ten.labels.add(skipped, "pairs")
    ten.labels.add(bad, "pairs")
    assert ten.labels.current("pairs") == [skipped, bad]


def test_that_the_next_item_is_the_first_one_not_judged(ten: Store, judge: Judge) -> None:
    ten.labels.add(judge("i0"), "pairs")
    ten.labels.add(judge("i2"), "pairs")
    assert waiting(ten)[:3] == ["i1", "i3", "i4"]
    assert waiting(ten, exclude=["i1", "i4"])[:2] == ["i3", "i5"]


def test_that_every_annotator_has_a_queue_of_their_own(ten: Store, judge: Judge) -> None:
    ten.labels.add(judge("i0", annotator="anna"), "pairs")
    assert waiting(ten, "anna")[0] == "i1"
    assert waiting(ten, "ben")[0] == "i0"
    assert ten.labels.progress("pairs", "ben").judged == 0


def test_that_undo_and_redo_are_unlimited_and_cross_a_restart(ten: Store, judge: Judge, workspace: Path) -> None:
    for n in range(10):
        ten.labels.add(judge(f"i{n}"), "pairs")
    ten.close()
    again = open_store(workspace)
    assert [again.labels.undo("pairs", "me").item for _ in range(10)] == [f"i{n}" for n in reversed(range(10))]
    assert not again.labels.progress("pairs", "me").can_undo
    with pytest.raises(Conflict):
        again.labels.undo("pairs", "me")
    again.close()
    third = open_store(workspace)
    assert [third.labels.redo("pairs", "me").item for _ in range(10)] == [f"i{n}" for n in range(10)]
    assert third.labels.progress("pairs", "me").judged == 10
    third.close()


def test_that_a_new_judgement_ends_what_could_be_redone(ten: Store, judge: Judge) -> None:
    ten.labels.add(judge("i0"), "pairs")
    ten.labels.undo("pairs", "me")
    ten.labels.add(judge("i5"), "pairs")
    assert not ten.labels.progress("pairs", "me").can_redo
    with pytest.raises(Conflict):
        ten.labels.redo("pairs", "me")
    assert [j.item for j in ten.labels.current("pairs")] == ["i5"]


def test_that_undoing_a_second_judgement_brings_the_first_one_back(ten: Store, judge: Judge) -> None:
    first, second = judge("i0", "first"), judge("i0", "second", tiers=((1,), (0,)))
    ten.labels.add(first, "pairs")
    ten.labels.add(second, "pairs")
    assert ten.labels.current("pairs") == [second]
    assert ten.labels.progress("pairs", "me").judged == 1
    ten.labels.undo("pairs", "me")
    assert ten.labels.current("pairs") == [first]
    assert ten.labels.progress("pairs", "me").judged == 1


def test_that_nothing_said_is_ever_rewritten_or_lost(ten: Store, judge: Judge) -> None:
    ten.labels.add(judge("i0", "one"), "pairs")
    ten.labels.undo("pairs", "me")
    ten.labels.add(judge("i0", "two"), "pairs")
    assert [j.id for j in ten.labels.all("pairs")] == ["one", "two"]
    with pytest.raises(StorageFailed, match="only ever added"), ten._database.write() as connection:
        connection.execute(t.judgements.update().values(note="changed"))


def test_that_a_judgement_of_a_foreign_item_is_refused(ten: Store, judge: Judge) -> None:
    with pytest.raises(NotFound):
        ten.labels.add(judge("elsewhere"), "pairs")
    with pytest.raises(BadInput, match="every candidate"):
        ten.labels.add(judge("i0", tiers=((0,), (1,), (2,))), "pairs")
    assert ten.labels.all("pairs") == []


def test_that_only_preferences_can_be_judged(store: Store) -> None:
    store.datasets.create("texts", "documents")
    with pytest.raises(BadInput, match="documents"):
        store.labels.next_unjudged("texts", "me")


def test_that_the_rate_leaves_out_pauses(ten: Store, judge: Judge) -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    for n, seconds in enumerate((0, 10, 20, 3600, 3610)):
        ten.labels.add(judge(f"i{n}", created=start + timedelta(seconds=seconds)), "pairs")
    assert ten.labels.progress("pairs", "me").per_hour == pytest.approx(360)


def test_that_labels_of_persons_are_counted_apart_from_rules_and_imports(ten: Store, judge: Judge) -> None:
    old = datetime.now(UTC) - timedelta(days=3)
    ten.labels.add(judge("i0"), "pairs")
    ten.labels.add(judge("i1", created=old), "pairs")
    ten.labels.add(judge("i2", annotator="happy ends", annotator_kind="rule"), "pairs")
    ten.labels.add(judge("i3", annotator="import"), "pairs")
    assert ten.labels.counts(datetime.now(UTC) - timedelta(days=1)) == (1, 2)


def test_that_judged_items_are_counted_once_however_many_judge_them(ten: Store, judge: Judge) -> None:
    ten.labels.add(judge("i0", annotator="anna"), "pairs")
    ten.labels.add(judge("i0", annotator="ben"), "pairs")
    assert ten.datasets.get("pairs").judged == 1
    ten.labels.undo("pairs", "anna")
    assert ten.datasets.get("pairs").judged == 1
    ten.labels.undo("pairs", "ben")
    assert ten.datasets.get("pairs").judged == 0


def test_that_the_search_for_the_next_item_does_not_walk_over_what_is_done(
    store: Store, item: Callable[..., Item], judge: Judge
) -> None:
    store.datasets.create("pairs", "preferences")
    rows = [NewRow((item(f"i{n}"), [judge(f"i{n}")] if n < 900 else [])) for n in range(1000)]
    store.datasets.append("pairs", rows)
    assert waiting(store)[0] == "i900"
    with store._database.read() as connection:
        assert connection.execute(t.tallies.select()).one().frontier == 900
    store.labels.undo("pairs", "me")
    assert waiting(store)[0] == "i899"


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(st.one_of(st.integers(0, 9), st.sampled_from(["undo", "redo"])), max_size=25))
def test_that_counts_and_queue_follow_from_the_log_alone(
    tmp_path_factory: pytest.TempPathFactory, item: Callable[..., Item], judge: Judge, steps: list[int | str]
) -> None:
    store = open_store(tmp_path_factory.mktemp("log"))
    store.datasets.create("pairs", "preferences")
    store.datasets.append("pairs", [NewRow((item(f"i{n}"), [])) for n in range(10)])
    done: list[str] = []
    undone: list[str] = []
    for step in steps:
        if isinstance(step, int):
            store.labels.add(judge(f"i{step}"), "pairs")
            done.append(f"i{step}")
            undone.clear()
        elif step == "undo" and done:
            assert store.labels.undo("pairs", "me").item == done[-1]
            undone.append(done.pop())
        elif step == "redo" and undone:
            assert store.labels.redo("pairs", "me").item == undone[-1]
            done.append(undone.pop())
    progress = store.labels.progress("pairs", "me")
    assert (progress.judged, progress.can_undo, progress.can_redo) == (len(set(done)), bool(done), bool(undone))
    assert waiting(store) == [f"i{n}" for n in range(10) if f"i{n}" not in done]
    assert store.datasets.get("pairs").judged == len(set(done))
    store.close()


def test_that_an_answer_is_a_judgement_and_all_that_comes_with_it(ten: Store, judge: Judge) -> None:
    dimension = Dimension(name="helpful")
    written = ten.guidelines.write("pairs", "Be fair.", [dimension], "me")
    ten.drafts.save("pairs", "i0", "me", {"note": "mine"})
    ten.drafts.save("pairs", "i1", "me", {"note": "next"})
    ten.drafts.save("pairs", "i1", "you", {"note": "not mine"})
    ten.labels.add(judge("i5"), "pairs")
    ten.labels.undo("pairs", "me")
    answered = ten.labels.answer(judge("i0", "said"), "pairs", "i1")
    assert answered.progress == ten.labels.progress("pairs", "me")
    assert (answered.draft, answered.guidelines) == ({"note": "next"}, written)
    assert ten.drafts.get("pairs", "i0", "me") is None
    assert ten.labels.answer(judge("i1"), "pairs", None).draft is None
    assert ten.labels.progress("pairs", "me").judged == 2


def test_that_an_answer_of_a_foreign_item_leaves_everything_as_it_was(ten: Store, judge: Judge) -> None:
    ten.drafts.save("pairs", "i1", "me", {"note": "next"})
    with pytest.raises(NotFound):
        ten.labels.answer(judge("elsewhere"), "pairs", "i1")
    assert ten.labels.all("pairs") == []
    assert ten.drafts.get("pairs", "i1", "me") == {"note": "next"}


def test_that_a_label_is_one_transaction_of_few_statements(ten: Store, judge: Judge) -> None:
    begun: list[str] = []
    asked: list[str] = []
    engine = ten._database._engine
    event.listen(engine, "begin", lambda connection: begun.append("begin"))
    event.listen(engine, "before_cursor_execute", lambda c, cursor, statement, *_: asked.append(statement))
    ten.labels.answer(judge("i0"), "pairs", "i1")
    assert len(begun) == 1
    assert len([statement for statement in asked if not statement.startswith(("BEGIN", "SET"))]) <= 18
