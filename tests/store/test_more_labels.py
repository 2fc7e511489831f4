"""Undo, redo, pages and marks with several people and datasets; scores, leases and settings; on both kinds of databases."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from workbench.domain.errors import Conflict, NotFound
from workbench.domain.events import Scored
from workbench.domain.judgement import Item, Judgement
from workbench.domain.text import Prompt
from workbench.store.filling import NewRow
from workbench.store.store import Store

Judge = Callable[..., Judgement]
Make = Callable[..., Item]


def test_that_each_person_has_a_stack_of_undo_of_their_own(ten: Store, judge: Judge) -> None:
    for n in range(3):
        for who in ("ann", "bob"):
            ten.labels.add(judge(f"i{n}", f"{who}{n}", who), "pairs")
    assert [ten.labels.undo("pairs", "ann").id for _ in range(2)] == ["ann2", "ann1"]
    assert ten.labels.undo("pairs", "bob").id == "bob2"
    assert ten.labels.redo("pairs", "ann").id == "ann1"
    ten.labels.add(judge("i9", "bob9", "bob"), "pairs")
    with pytest.raises(Conflict, match="nothing to redo"):
        ten.labels.redo("pairs", "bob")
    assert ten.labels.redo("pairs", "ann").id == "ann2"
    with pytest.raises(Conflict, match="nothing to redo"):
        ten.labels.redo("pairs", "ann")
    assert {j.id for j in ten.labels.current("pairs")} == {"ann0", "ann1", "ann2", "bob0", "bob1", "bob9"}
    with pytest.raises(Conflict, match="nothing to undo"):
        ten.labels.undo("pairs", "cy")


def test_that_undo_in_one_dataset_leaves_the_other_alone(ten: Store, judge: Judge, item: Make) -> None:
    ten.datasets.create("more", "preferences")
    ten.datasets.append("more", [NewRow((item(f"i{n}"), [])) for n in range(2)])
    ten.labels.add(judge("i0", "here"), "pairs")
    ten.labels.add(judge("i0", "there"), "more")
    assert ten.labels.undo("pairs", "me").id == "here"
    assert [j.id for j in ten.labels.current("more")] == ["there"]
    assert [j.id for j in ten.labels.for_item("i0")] == ["there"]
    assert ten.labels.for_item("i0", "pairs") == []


def test_that_a_long_way_back_and_forth_ends_where_it_began(ten: Store, judge: Judge) -> None:
    for n in range(10):
        ten.labels.add(judge(f"i{n}", f"j{n}"), "pairs")
    before = [j.id for j in ten.labels.current("pairs")]
    for _ in range(2):
        assert [ten.labels.undo("pairs", "me").id for _ in range(10)] == [f"j{n}" for n in reversed(range(10))]
        assert ten.labels.current("pairs") == [] and ten.labels.progress("pairs", "me").judged == 0
        assert [ten.labels.redo("pairs", "me").id for _ in range(10)] == [f"j{n}" for n in range(10)]
    assert [j.id for j in ten.labels.current("pairs")] == before
    assert ten.labels.next_unjudged("pairs", "me") == []
    assert len(ten.labels.all("pairs")) == 10


def test_that_recent_judgements_come_with_their_prompts_as_they_are(ten: Store, judge: Judge) -> None:
    raw = Item(
        id="raw",
        prompt=Prompt.from_text("The sky is", raw=True),
        candidates=ten.labels.item("pairs", "i0").item.candidates,
    )
    ten.datasets.append("pairs", [NewRow((raw, []))])
    ten.labels.add(judge("i0", "j0"), "pairs")
    ten.labels.add(judge("raw", "j1"), "pairs")
    found = ten.labels.recent("pairs", "me", 5)
    assert [(j.id, prompt) for j, prompt in found] == [("j1", raw.prompt), ("j0", Prompt.from_text("question i0"))]
    assert [j.id for j, _ in ten.labels.recent("pairs", "me", 1)] == ["j1"]
    assert ten.labels.recent("pairs", "somebody", 5) == []
    ten.labels.undo("pairs", "me")
    assert [j.id for j, _ in ten.labels.recent("pairs", "me", 5)] == ["j0"]


def test_that_pages_of_labels_join_without_gap_or_overlap(ten: Store, judge: Judge) -> None:
    for n in (7, 2, 9, 0, 4):
        ten.labels.add(judge(f"i{n}", f"j{n}"), "pairs")
    whole = [j.id for j in ten.labels.current("pairs")]
    assert whole == ["j0", "j2", "j4", "j7", "j9"]
    for size in (1, 2, 3, 10):
        parts = [ten.labels.current("pairs", start, start + size) for start in range(0, 10, size)]
        assert [j.id for part in parts for j in part] == whole
    assert [j.id for j in ten.labels.current("pairs", 4)] == ["j4", "j7", "j9"]
    assert [j.id for j in ten.labels.standing("pairs", 2, 7)] == ["j2", "j4"]


def test_that_items_judged_by_several_are_found(ten: Store, judge: Judge) -> None:
    ten.labels.add(judge("i0", "a0", "ann"), "pairs")
    ten.labels.add(judge("i1", "a1", "ann"), "pairs")
    assert ten.labels.overlapping("pairs") == []
    ten.labels.add(judge("i1", "b1", "bob"), "pairs")
    assert {j.id for j in ten.labels.overlapping("pairs")} == {"a1", "b1"}
    ten.labels.add(judge("i1", "b1 again", "bob"), "pairs")
    assert {j.id for j in ten.labels.overlapping("pairs")} == {"a1", "b1 again"}
    ten.labels.undo("pairs", "ann")
    assert ten.labels.overlapping("pairs") == []


def test_that_a_mark_is_another_after_everything_that_changes_labels(ten: Store, judge: Judge) -> None:
    marks = [ten.labels.mark()]
    for change in (
        lambda: ten.labels.add(judge("i0"), "pairs"),
        lambda: ten.labels.undo("pairs", "me"),
        lambda: ten.labels.redo("pairs", "me"),
        lambda: ten.datasets.create("other", "preferences"),
    ):
        change()
        marks.append(ten.labels.mark())
    assert len(set(marks)) == len(marks)
    assert ten.labels.mark() == marks[-1]


def test_that_a_missing_item_is_named(ten: Store, judge: Judge) -> None:
    for call in (
        lambda: ten.labels.item("pairs", "i99"),
        lambda: ten.labels.add(judge("i99"), "pairs"),
        lambda: ten.labels.of_item("pairs", "i99"),
    ):
        with pytest.raises(NotFound) as caught:
            call()
        assert (caught.value.what, caught.value.hint) == ("There is no item 'i99' in pairs.", "Open the dataset again.")


# Scores


def book(store: Store, *scored: Scored) -> list[tuple[str, str]]:
    made = store.runs.create("score", {"kind": "score", "data": "pairs", "base": "/rm"}).id
    store.runs.absorb(made, [one.model_copy(update={"seq": n}) for n, one in enumerate(scored, 1)])
    return store.runs.notices(made)


def test_that_an_item_scored_twice_is_not_counted_as_gone(ten: Store) -> None:
    twice = [Scored(item="i0", scores=(1.0, 2.0), spread=0.1), Scored(item="i0", scores=(3.0, 4.0), spread=0.2)]
    told = book(ten, *twice, Scored(item="gone", scores=(1.0, 2.0), spread=0.1))
    assert [what for what, _ in told if "scores" in what] == ["1 scores could not be kept: their items are gone."]


def test_that_leases_are_of_one_owner_until_they_end(store: Store) -> None:
    leases = store.leases
    assert leases.acquire("x", "me", 60) and leases.acquire("x", "me", 60)
    assert not leases.acquire("x", "you", 60)
    leases.release("x", "you")
    assert leases.held("x") and not leases.acquire("x", "you", 60)
    leases.release("x", "me")
    assert not leases.held("x") and leases.acquire("x", "you", -1)
    assert not leases.held("x") and leases.acquire("x", "me", 60)
    assert leases.held("x") and not leases.held("y")


def test_that_settings_of_any_shape_come_back(store: Store) -> None:
    values: dict[str, Any] = {"a": 1, "b": "ü\x00", "c": None, "d": [1, {"e": 2.5}], "f": True, "g": ""}
    store.settings.set(**values)
    assert store.settings.get() == values
    store.settings.set(a=2)
    assert store.settings.get() == values | {"a": 2}
    store.settings.set()
    assert store.settings.get() == values | {"a": 2}
