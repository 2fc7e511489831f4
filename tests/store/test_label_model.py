"""Random lives of a dataset's labels, compared with a model of a few lines: one stack for each annotator."""

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from workbench.domain.errors import Conflict
from workbench.domain.judgement import Item, Judgement
from workbench.store.filling import NewRow
from workbench.store.store import Store, open_store

ITEMS = [f"i{n}" for n in range(6)]
WHO = ["anna", "ben"]
Judge = Callable[..., Judgement]


@dataclass
class Model:
    """What a person would expect: what was said and stands, what can be redone, and everything that was ever said."""

    done: dict[str, list[Judgement]] = field(default_factory=lambda: {who: [] for who in WHO})
    undone: dict[str, list[Judgement]] = field(default_factory=lambda: {who: [] for who in WHO})
    ever: list[Judgement] = field(default_factory=list)

    def record(self, judgement: Judgement) -> None:
        self.done[judgement.annotator].append(judgement)
        self.undone[judgement.annotator].clear()
        self.ever.append(judgement)

    def undo(self, who: str) -> Judgement | None:
        if not self.done[who]:
            return None
        self.undone[who].append(self.done[who].pop())
        return self.undone[who][-1]

    def redo(self, who: str) -> Judgement | None:
        if not self.undone[who]:
            return None
        self.done[who].append(self.undone[who].pop())
        return self.done[who][-1]

    def counting(self) -> set[str]:
        """The newest of each annotator on each item."""
        newest = {(j.item, j.annotator): j.id for who in WHO for j in self.done[who]}
        return set(newest.values())

    def judged_by(self, who: str) -> set[str]:
        return {j.item for j in self.done[who]}


steps = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(WHO), st.sampled_from(ITEMS)),
        st.tuples(st.sampled_from(WHO), st.sampled_from(["undo", "redo"])),
        st.tuples(st.just(""), st.sampled_from(["reopen", "grow"])),
    ),
    max_size=18,
)
RANDOM_LIVES = settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


def check(store: Store, model: Model, items: list[str]) -> None:
    """Everything that the store says follows from the model."""
    assert [j.id for j in store.labels.all("pairs")] == [j.id for j in model.ever]
    assert {j.id for j in store.labels.current("pairs")} == model.counting()
    positions = [items.index(j.item) for j in store.labels.current("pairs")]
    assert positions == sorted(positions)
    judged = model.judged_by(WHO[0]) | model.judged_by(WHO[1])
    assert store.datasets.get("pairs").judged == len(judged)
    for who in WHO:
        progress = store.labels.progress("pairs", who)
        assert progress.judged == len(model.judged_by(who))
        assert progress.total == len(items)
        assert progress.can_undo == bool(model.done[who])
        assert progress.can_redo == bool(model.undone[who])
        assert progress.last == (model.done[who][-1] if model.done[who] else None)
        waiting = [p.item.id for p in store.labels.next_unjudged("pairs", who, limit=50)]
        assert waiting == [i for i in items if i not in model.judged_by(who)]


@RANDOM_LIVES
@given(life=steps)
@example(life=[("anna", "i0"), ("ben", "i0"), ("anna", "undo"), ("", "reopen"), ("ben", "undo"), ("anna", "redo")])
@example(life=[("anna", "i0"), ("anna", "i0"), ("anna", "undo"), ("", "reopen"), ("anna", "i1"), ("anna", "redo")])
def test_that_any_sequence_of_labels_undos_and_restarts_equals_a_stack_for_each_annotator(
    tmp_path_factory: pytest.TempPathFactory, item: Callable[..., Item], judge: Judge, life: list[tuple[str, str]]
) -> None:
    workspace = tmp_path_factory.mktemp("life")
    store = open_store(workspace)
    store.datasets.create("pairs", "preferences")
    items = list(ITEMS)
    store.datasets.append("pairs", [NewRow((item(name), [])) for name in items])
    model = Model()
    for n, (who, what) in enumerate(life):
        if what == "reopen":
            store.close()
            store = open_store(workspace)
        elif what == "grow":
            items.append(f"later{n}")
            store.datasets.append("pairs", [NewRow((item(items[-1]), []))])
        elif what in {"undo", "redo"}:
            expected = model.undo(who) if what == "undo" else model.redo(who)
            move = store.labels.undo if what == "undo" else store.labels.redo
            if expected is None:
                with pytest.raises(Conflict, match=f"nothing to {what}"):
                    move("pairs", who)
            else:
                assert move("pairs", who) == expected
        else:
            said = judge(what, f"j{n}", who)
            store.labels.add(said, "pairs")
            model.record(said)
        if n % 6 == 5:
            check(store, model, items)
    check(store, model, items)
    store.close()


@RANDOM_LIVES
@given(life=st.lists(st.sampled_from(["label", "undo", "redo"]), min_size=1, max_size=30))
def test_that_undoing_everything_leaves_every_item_waiting_in_its_order(
    tmp_path_factory: pytest.TempPathFactory, item: Callable[..., Item], judge: Judge, life: list[str]
) -> None:
    store = open_store(tmp_path_factory.mktemp("back"))
    store.datasets.create("pairs", "preferences")
    store.datasets.append("pairs", [NewRow((item(name), [])) for name in ITEMS])
    for n, what in enumerate(life):
        progress = store.labels.progress("pairs", "anna")
        if what == "undo" and progress.can_undo:
            store.labels.undo("pairs", "anna")
        elif what == "redo" and progress.can_redo:
            store.labels.redo("pairs", "anna")
        elif what == "label":
            store.labels.add(judge(ITEMS[n % len(ITEMS)], f"j{n}", "anna"), "pairs")
    while store.labels.progress("pairs", "anna").can_undo:
        store.labels.undo("pairs", "anna")
    assert store.labels.current("pairs") == []
    assert [p.item.id for p in store.labels.next_unjudged("pairs", "anna", limit=9)] == ITEMS
    assert store.datasets.get("pairs").judged == 0
    store.close()


def test_that_an_undo_in_one_dataset_leaves_the_others_alone(
    store: Store, item: Callable[..., Item], judge: Judge
) -> None:
    for dataset in ("first", "second"):
        store.datasets.create(dataset, "preferences")
        store.datasets.append(dataset, [NewRow((item("same"), []))])
        store.labels.add(judge("same", f"in {dataset}", "anna"), dataset)
    store.labels.undo("first", "anna")
    assert store.labels.current("first") == []
    assert [j.id for j in store.labels.current("second")] == ["in second"]
    assert [j.id for j in store.labels.for_item("same")] == ["in second"]
    assert store.labels.for_item("same", "first") == []


def test_that_annotators_differ_by_every_letter_of_their_name(ten: Store, judge: Judge) -> None:
    names = ["Anna", "anna", "anna ", "Ánna", "安娜", "آنا", "a" * 80]
    for name in names:
        ten.labels.add(judge("i0", f"by {name}", name), "pairs")
    assert len(ten.labels.current("pairs")) == len(names)
    for name in names:
        assert ten.labels.undo("pairs", name).annotator == name
    assert ten.labels.current("pairs") == []


@pytest.mark.parametrize(
    "note",
    [
        "",
        "why?\nbecause",
        "مرحبا بالعالم",
        "👩‍👩‍👧‍👦 e\u0301",
        "'; DROP TABLE judgements; --",
        "x" * 100_000,
        "\x00 nul",
    ],
)
def test_that_a_note_comes_back_to_the_letter(ten: Store, judge: Judge, note: str) -> None:
    ten.labels.add(judge("i0", note=note), "pairs")
    assert ten.labels.for_item("i0")[0].note == note


def test_that_nine_candidates_keep_their_tiers_and_their_order_on_the_screen(
    store: Store, item: Callable[..., Item], judge: Judge
) -> None:
    store.datasets.create("ranks", "preferences")
    store.datasets.append("ranks", [NewRow((item("x", 9), []))])
    tiers, shown = ((8,), (0, 7), (1, 2, 3), (4,), (6, 5)), (3, 1, 4, 0, 5, 8, 2, 6, 7)
    store.labels.add(judge("x", "wide", tiers=tiers, shown=shown, shown_seed=2**31 - 1), "ranks")
    (said,) = store.labels.current("ranks")
    assert said.ranking is not None
    assert (said.ranking.tiers, said.shown, said.shown_seed) == (tiers, shown, 2**31 - 1)


def test_that_a_range_of_positions_holds_exactly_the_labels_of_its_items(ten: Store, judge: Judge) -> None:
    for n in (0, 3, 4, 9):
        ten.labels.add(judge(f"i{n}"), "pairs")
    assert [j.item for j in ten.labels.current("pairs", 3, 5)] == ["i3", "i4"]
    assert [j.item for j in ten.labels.current("pairs", 4)] == ["i4", "i9"]
    assert ten.labels.current("pairs", 5, 9) == []
    assert ten.labels.current("pairs", 3, 3) == []


def test_that_an_item_is_placed_where_it_stands(ten: Store) -> None:
    placed = ten.labels.item("pairs", "i7")
    assert (placed.position, placed.item.id) == (7, "i7")


def test_that_two_judgements_with_one_id_are_both_kept_under_names_of_their_own(ten: Store, judge: Judge) -> None:
    ten.labels.add(judge("i0", "twin"), "pairs")
    ten.labels.add(judge("i1", "twin"), "pairs")
    first, second = ten.labels.all("pairs")
    assert first.id == "twin"
    assert second.id not in {"", "twin"}
    assert (first.item, second.item) == ("i0", "i1")
