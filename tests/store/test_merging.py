"""Merging workspaces: nothing lost, nothing twice, all or nothing, and the same whichever is merged into which."""

import hashlib
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from workbench.domain.errors import BadInput, Conflict, NotFound, TooNew
from workbench.domain.judgement import Aspect, Item, Judgement, Ranking, Span
from workbench.domain.profiles import Profile
from workbench.domain.queues import Dimension, QueueSpec
from workbench.domain.text import Candidate, Demonstration, Prompt
from workbench.store import merge_labels, merge_rows
from workbench.store import merging as merging_module
from workbench.store.filling import NewRow
from workbench.store.merge_rows import candidates_by_text, content_of
from workbench.store.sqlite import DATABASE
from workbench.store.store import Store, open_store

Judge = Callable[..., Judgement]
MakeItem = Callable[..., Item]
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[tuple[Store, Store]]:
    """Two empty workspaces, `a` and `b`."""
    a, b = open_store(tmp_path / "a"), open_store(tmp_path / "b")
    yield a, b
    a.close()
    b.close()


def place(store: Store) -> Path:
    folder: Path = store._workspace
    return folder


def fill(store: Store, items: list[Item], name: str = "pairs") -> None:
    store.datasets.create(name, "preferences")
    store.datasets.append(name, [NewRow((item, [])) for item in items])


def merge(
    a: Store, b: Store, rename: dict[str, str] | None = None, dry_run: bool = False
) -> merging_module.MergeRecord:
    return a.merging.merge(place(b), rename or {}, dry_run=dry_run)


def said(store: Store, name: str = "pairs") -> set[tuple[str, str, str, str]]:
    """The labels that count, in words that mean the same in every workspace: prompt, annotator, outcome, texts best first."""
    items = {row.item.id: row.item for row in store.datasets.rows(name, 0, 10_000) if row.item is not None}
    found = set()
    for j in store.labels.current(name):
        texts = [c.text for c in items[j.item].candidates]
        tiers = [] if j.ranking is None else [" = ".join(sorted(texts[i] for i in t)) for t in j.ranking.tiers]
        found.add((items[j.item].prompt.text, j.annotator, j.outcome, " > ".join(tiers)))
    return found


def state(store: Store) -> dict[str, list[Any]]:
    """Every table as it stands, but for what other processes write (leases)."""
    raw = sqlite3.connect(place(store) / DATABASE)
    names = [r[0] for r in raw.execute("SELECT name FROM sqlite_master WHERE type = 'table'") if r[0] != "leases"]
    rows = {name: sorted(raw.execute(f"SELECT * FROM {name}").fetchall(), key=repr) for name in names}
    raw.close()
    return rows


def test_that_an_empty_workspace_becomes_what_the_other_is(
    pair: tuple[Store, Store], item: MakeItem, judge: Judge
) -> None:
    a, b = pair
    fill(b, [item("x"), item("y", 4)])
    b.labels.add(judge("x", "u1", "anna"), "pairs")
    b.labels.add(judge("y", "u2", "ben", tiers=((3,), (0, 1), (2,))), "pairs")
    done = merge(a, b)
    assert (done.datasets, done.items, done.judgements, done.duplicates) == (["pairs"], 2, 2, 0)
    assert a.labels.current("pairs") == b.labels.current("pairs")
    assert a.datasets.rows("pairs") == b.datasets.rows("pairs")
    assert (a.datasets.get("pairs").judged, a.labels.progress("pairs", "ben").judged) == (2, 1)


def test_that_a_second_merge_changes_nothing(pair: tuple[Store, Store], item: MakeItem, judge: Judge) -> None:
    a, b = pair
    fill(a, [item("x")])
    fill(b, [item("x"), item("y")])
    for store in pair:
        store.labels.add(judge("x", f"in {store._workspace.name}", "anna"), "pairs")
    b.labels.add(judge("y", "gone", "anna"), "pairs")
    b.labels.undo("pairs", "anna")
    b.guidelines.write("pairs", "how", [Dimension(name="kind")], "ben")
    b.profiles.add(Profile(name="ben", colour="sky", created=NOON))
    merge(a, b)
    before = state(a)
    done = merge(a, b)
    assert state(a) == before
    assert (done.items, done.judgements, done.guidelines, done.profiles, done.moves, done.conflicts) == (0,) * 6
    assert done.duplicates == 2


def test_that_the_other_workspace_is_not_touched(pair: tuple[Store, Store], item: MakeItem, judge: Judge) -> None:
    a, b = pair
    fill(b, [item("x")])
    b.labels.add(judge("x", "u", "anna"), "pairs")
    b.close()
    folder = place(b)

    def look() -> dict[str, tuple[str, int]]:
        return {
            str(f.relative_to(folder)): (hashlib.sha256(f.read_bytes()).hexdigest(), f.stat().st_mtime_ns)
            for f in folder.rglob("*")
            if f.is_file()
        }

    before = look()
    merge(a, b)
    assert look() == before


def test_that_labels_are_brought_while_somebody_works_in_the_other(
    pair: tuple[Store, Store], item: MakeItem, judge: Judge
) -> None:
    a, b = pair
    fill(b, [item("x"), item("y")])
    b.labels.add(judge("x", "u1", "anna"), "pairs")
    assert (place(b) / f"{DATABASE}-wal").stat().st_size
    assert merge(a, b).judgements == 1
    b.labels.add(judge("y", "u2", "anna"), "pairs")
    assert merge(a, b).judgements == 1


def test_that_items_are_the_same_by_their_content_and_rankings_follow_the_candidates(
    pair: tuple[Store, Store], item: MakeItem, judge: Judge
) -> None:
    a, b = pair
    mine = item("x", 3)
    theirs = mine.model_copy(update={"id": "another name", "candidates": tuple(mine.candidates[i] for i in (2, 0, 1))})
    fill(a, [mine])
    fill(b, [theirs])
    b.labels.add(
        judge(
            "another name", "u", "anna", tiers=((0,), (1, 2)), shown=(2, 0, 1),
            aspects=(Aspect(name="kind", ranking=Ranking(tiers=((1,), (2,), (0,)))),),
            spans=(Span(candidate=0, start=0, end=2, comment="hm"),),
        ),
        "pairs",
    )  # fmt: skip
    done = merge(a, b)
    assert (done.items, done.judgements) == (0, 1)
    (found,) = a.labels.current("pairs")
    assert found.item == "x"
    assert found.ranking == Ranking(tiers=((2,), (0, 1)))
    assert found.shown == (1, 2, 0)
    assert found.aspects[0].ranking == Ranking(tiers=((0,), (1,), (2,)))
    assert found.spans[0].candidate == 2
    assert said(a) == said(b)


def test_that_twins_among_candidates_are_told_apart_by_their_origin() -> None:
    def offered(*models: str) -> Item:
        texts = tuple(Candidate(text="same" if m != "z" else "other", model=m) for m in models)
        return Item(id="i", prompt=Prompt.from_text("q"), candidates=texts)

    assert candidates_by_text(offered("m", "n", "z"), offered("z", "n", "m")) == (2, 1, 0)
    assert candidates_by_text(offered("m", "n"), offered("k", "n")) == (0, 1)
    assert sorted(candidates_by_text(offered("m", "n"), offered("k", "l"))) == [0, 1]
    assert content_of(offered("m", "z")) == content_of(offered("z", "k")) != content_of(offered("z", "z"))


def test_that_an_item_of_the_same_name_but_other_content_is_another(
    pair: tuple[Store, Store], item: MakeItem, judge: Judge
) -> None:
    a, b = pair
    fill(a, [item("x")])
    fill(b, [item("x").model_copy(update={"prompt": Prompt.from_text("something else")})])
    b.labels.add(judge("x", "u", "anna"), "pairs")
    merge(a, b)
    assert a.datasets.get("pairs").rows == 2
    assert a.labels.for_item("x") == []
    assert said(a) == said(b)


def test_that_the_same_item_twice_in_a_dataset_stays_two(
    pair: tuple[Store, Store], item: MakeItem, judge: Judge
) -> None:
    a, b = pair
    one, two = item("x"), item("x").model_copy(update={"id": "twin"})
    fill(a, [one])
    fill(b, [two, one])
    b.labels.add(judge("twin", "u", "anna"), "pairs")
    merge(a, b)
    assert a.datasets.get("pairs").rows == 2
    assert [j.item for j in a.labels.current("pairs")] == ["twin"]


def test_that_the_newest_of_one_annotator_counts_whoever_is_merged_into_whom(
    pair: tuple[Store, Store], item: MakeItem, judge: Judge, tmp_path: Path
) -> None:
    a, b = pair
    for store, tiers, hour in ((a, ((0,), (1,)), 2), (b, ((1,), (0,)), 1)):
        fill(store, [item("x")])
        store.labels.add(judge("x", f"at {hour}", "anna", tiers=tiers, created=NOON + timedelta(hours=hour)), "pairs")
    for name in "ab":
        shutil.copytree(tmp_path / name, tmp_path / f"{name}0")
    done = merge(a, b)
    assert done.conflicts == 1
    assert "judged in both by an annotator of the same name" in done.notes[0]
    assert [j.id for j in a.labels.current("pairs")] == ["at 2"]
    assert {j.id for j in a.labels.all("pairs")} == {"at 1", "at 2"}
    old = open_store(tmp_path / "b0")
    old.merging.merge(tmp_path / "a0", {})
    assert [j.id for j in old.labels.current("pairs")] == ["at 2"]
    assert old.labels.undo("pairs", "anna").id == "at 2"
    assert [j.id for j in old.labels.current("pairs")] == ["at 1"]
    old.close()


def test_that_a_name_that_means_somebody_else_is_renamed(
    pair: tuple[Store, Store], item: MakeItem, judge: Judge
) -> None:
    a, b = pair
    for store in pair:
        fill(store, [item("x")])
        store.labels.add(judge("x", f"in {place(store).name}", "me"), "pairs")
    done = merge(a, b, {"me": "ben"})
    assert (done.judgements, done.conflicts) == (1, 0)
    assert {j.annotator for j in a.labels.current("pairs")} == {"me", "ben"}
    assert merge(a, b, {"me": "ben"}).judgements == 0


def test_that_a_judge_and_a_person_of_one_name_stay_two(
    pair: tuple[Store, Store], item: MakeItem, judge: Judge
) -> None:
    a, b = pair
    for store, kind in ((a, "person"), (b, "model")):
        fill(store, [item("x")])
        store.labels.add(judge("x", f"by a {kind}", "sage", annotator_kind=kind), "pairs")
    done = merge(a, b)
    assert {(j.annotator, j.annotator_kind) for j in a.labels.current("pairs")} == {
        ("sage", "person"),
        ("sage (model)", "model"),
    }
    assert "sage is a person here" in done.notes[0]
    assert merge(a, b).judgements == 0


def test_that_what_was_taken_back_in_either_is_taken_back(
    pair: tuple[Store, Store], item: MakeItem, judge: Judge
) -> None:
    a, b = pair
    fill(a, [item("x"), item("y")])
    for name in ("x", "y"):
        a.labels.add(judge(name, name, "anna"), "pairs")
    merge(b, a)
    b.labels.undo("pairs", "anna")
    a.labels.add(judge("x", "newer", "ben"), "pairs")
    done = merge(a, b)
    assert (done.duplicates, done.moves, done.judgements) == (2, 1, 0)
    merge(b, a)
    for store in pair:
        assert sorted(j.id for j in store.labels.current("pairs")) == ["newer", "x"]
        assert store.labels.progress("pairs", "anna").judged == 1
    b.labels.redo("pairs", "anna")
    assert merge(a, b).moves == 1
    assert said(a) == said(b)


def test_that_undo_walks_back_through_what_was_merged(pair: tuple[Store, Store], item: MakeItem, judge: Judge) -> None:
    a, b = pair
    items = [item(f"i{n}") for n in range(5)]
    for store, chosen in ((a, (0, 1)), (b, (2, 4, 3))):
        fill(store, items)
        for n in chosen:
            store.labels.add(judge(f"i{n}", f"j{n}", "anna"), "pairs")
    merge(a, b)
    assert [a.labels.undo("pairs", "anna").id for _ in range(5)] == ["j3", "j4", "j2", "j1", "j0"]
    assert a.labels.next_unjudged("pairs", "anna")[0].position == 0
    assert [a.labels.redo("pairs", "anna").id for _ in range(5)] == ["j0", "j1", "j2", "j4", "j3"]


def test_that_what_was_undone_before_newer_judgements_came_in_can_not_be_redone_among_them(
    pair: tuple[Store, Store], item: MakeItem, judge: Judge
) -> None:
    a, b = pair
    for store, names in ((a, "xy"), (b, "z")):
        fill(store, [item(name) for name in "xyz"])
        for name in names:
            store.labels.add(judge(name, name, "anna"), "pairs")
    a.labels.undo("pairs", "anna")
    merge(a, b)
    with pytest.raises(Conflict, match="nothing to redo"):
        a.labels.redo("pairs", "anna")
    assert [a.labels.undo("pairs", "anna").id for _ in range(2)] == ["z", "x"]
    assert [a.labels.redo("pairs", "anna").id for _ in range(2)] == ["x", "z"]


def test_that_the_same_file_imported_in_both_is_recognised(
    pair: tuple[Store, Store], item: MakeItem, judge: Judge
) -> None:
    a, b = pair
    for number, store in enumerate(pair):
        store.datasets.create("pairs", "preferences")
        imported = judge("x", f"name {number}", "import", milliseconds=0, created=NOON + timedelta(days=number))
        store.datasets.append("pairs", [NewRow((item("x"), [imported]))])
    done = merge(a, b)
    assert (done.judgements, done.duplicates, done.conflicts) == (0, 1, 0)


def test_that_a_name_of_a_judgement_that_another_dataset_has_is_no_hindrance(
    pair: tuple[Store, Store], item: MakeItem, judge: Judge
) -> None:
    a, b = pair
    fill(a, [item("x")], "first")
    fill(b, [item("x")], "second")
    for store, name in ((a, "first"), (b, "second")):
        store.labels.add(judge("x", "same name", "anna", created=NOON), name)
    assert merge(a, b).judgements == 1
    assert (merge(a, b).judgements, merge(b, a).judgements, merge(b, a).judgements) == (0, 1, 0)
    assert said(a, "second") == said(b, "second") == said(a, "first")


def test_that_repeats_extras_and_queues_come_along_and_count_for_nothing(
    pair: tuple[Store, Store], item: MakeItem, judge: Judge
) -> None:
    a, b = pair
    fill(b, [item("x")])
    b.labels.add(judge("x", "label", "anna", queue="monday"), "pairs")
    b.labels.add(judge("x", "again", "anna", tiers=((1,), (0,)), purpose="repeat"), "pairs")
    b.labels.add(judge("x", "extra", "ben", purpose="extra"), "pairs")
    merge(a, b)
    assert [j.id for j in a.labels.current("pairs")] == ["label"]
    assert a.labels.all("pairs") == b.labels.all("pairs")
    assert (a.labels.progress("pairs", "ben").judged, a.labels.progress("pairs", "anna").judged) == (0, 1)


def test_that_versions_of_guidelines_are_matched_by_content(
    pair: tuple[Store, Store], item: MakeItem, judge: Judge
) -> None:
    a, b = pair
    for store, texts in ((a, ("both", "only a")), (b, ("only b", "both"))):
        fill(store, [item("x")])
        for text in texts:
            store.guidelines.write("pairs", text, [], "anna")
    b.labels.add(judge("x", "u", "ben", guideline=2), "pairs")
    b.labels.add(judge("x", "v", "cara", guideline=1), "pairs")
    b.labels.add(judge("x", "w", "dan"), "pairs")
    assert merge(a, b).guidelines == 1
    assert [g.text for g in a.guidelines.history("pairs")] == ["both", "only a", "only b"]
    assert {j.id: j.guideline for j in a.labels.current("pairs")} == {"u": 1, "v": 3, "w": 0}
    assert merge(a, b).guidelines == 0


def test_that_guidelines_written_last_are_shown_after_a_merge(pair: tuple[Store, Store], item: MakeItem) -> None:
    a, b = pair
    for store in (b, a):  # b's are older
        fill(store, [item("x")])
        store.guidelines.write("pairs", f"of {place(store).name}", [], "anna")
    merge(a, b)
    merge(b, a)
    for store in pair:
        shown = store.guidelines.get("pairs")
        assert shown is not None
        assert shown.text == "of a"
    before = state(a)
    merge(a, b)
    assert state(a) == before


def test_that_known_answers_follow_their_candidates_and_the_newer_one_stays(
    pair: tuple[Store, Store], item: MakeItem
) -> None:
    a, b = pair
    mine = item("x")
    fill(a, [mine, item("y")])
    fill(b, [mine.model_copy(update={"id": "z", "candidates": mine.candidates[::-1]}), item("y")])
    for store, at, ranking, when in ((b, 0, "[[1],[0]]", 5), (b, 1, "[[0],[1]]", 5), (a, 1, "[[1],[0]]", 9)):
        raw = sqlite3.connect(place(store) / DATABASE)
        raw.execute("INSERT INTO golds SELECT id, ?, 'anna', ? FROM rows WHERE position = ?", (ranking, when, at))
        raw.commit()
        raw.close()
    done = merge(a, b)
    assert done.golds == 1
    assert "ours is newer" in done.notes[0]
    assert [(g[1], g[3]) for g in state(a)["golds"]] == [("[[0], [1]]", 5.0), ("[[1],[0]]", 9.0)]
    done = merge(b, a)
    assert "theirs is newer" in done.notes[0]
    assert [g[3] for g in state(b)["golds"]] == [5.0, 9.0]


def test_that_other_rows_are_brought_once_and_repeats_keep_their_number(pair: tuple[Store, Store]) -> None:
    a, b = pair
    prompt = Prompt.from_text("q")
    rows: dict[Any, tuple[list[Any], list[Any]]] = {
        "prompts": ([prompt], [prompt, Prompt.from_text("q", raw=True)]),
        "documents": (["a", "b"], ["b", "b", "c", "c", ""]),
        "demonstrations": (
            [Demonstration(prompt=prompt, completion="x")],
            [Demonstration(prompt=prompt, completion=text) for text in ("y", "x", "y")],
        ),
    }
    for kind, parts in rows.items():
        for store, values in zip(pair, parts, strict=True):
            store.datasets.create(kind, kind)
            store.datasets.append(kind, values)
    assert merge(a, b).rows == 1 + 4 + 2
    assert [r.text for r in a.datasets.rows("documents")] == ["a", "b", "b", "c", "c", ""]
    assert [r.completion for r in a.datasets.rows("demonstrations")] == ["x", "y", "y"]
    assert merge(a, b).rows == 0
    assert merge(b, a).rows == 1
    assert merge(a, b).rows == 0


def test_that_a_name_with_data_of_another_kind_gives_way(pair: tuple[Store, Store], item: MakeItem) -> None:
    a, b = pair
    a.datasets.create("pairs", "prompts")
    fill(b, [item("x")])
    done = merge(a, b)
    assert done.datasets == ["pairs-preferences"]
    assert "their preferences are in pairs-preferences" in done.notes[0]
    assert (merge(a, b).items, [d.name for d in a.datasets.list()]) == (0, ["pairs", "pairs-preferences"])


def test_that_synthetic_data_stays_marked(pair: tuple[Store, Store], item: MakeItem) -> None:
    a, b = pair
    fill(a, [item("x")])
    b.datasets.create("pairs", "preferences", synthetic=True)
    b.datasets.append("pairs", [NewRow((item("y"), []))])
    merge(a, b)
    assert a.datasets.get("pairs").synthetic


def test_that_a_trial_reports_the_same_and_changes_nothing(
    pair: tuple[Store, Store], item: MakeItem, judge: Judge
) -> None:
    a, b = pair
    fill(a, [item("x")])
    fill(b, [item("x"), item("y")])
    b.labels.add(judge("y", "u", "anna"), "pairs")
    before = state(a)
    trial = merge(a, b, dry_run=True)
    assert state(a) == before
    assert merge(a, b) == trial


def test_that_a_folder_that_is_no_workspace_is_refused(pair: tuple[Store, Store], tmp_path: Path) -> None:
    a, _ = pair
    with pytest.raises(NotFound, match="no workspace"):
        a.merging.merge(tmp_path / "absent", {})
    strange = tmp_path / "strange"
    strange.mkdir()
    raw = sqlite3.connect(strange / DATABASE)
    raw.execute("CREATE TABLE theirs (x)")
    raw.commit()
    raw.close()
    with pytest.raises(BadInput, match="another program"):
        a.merging.merge(strange, {})
    newer = tmp_path / "b" / DATABASE
    raw = sqlite3.connect(newer)
    raw.execute("PRAGMA user_version = 99")
    raw.commit()
    raw.close()
    with pytest.raises(TooNew, match="newer version"):
        a.merging.merge(newer.parent, {})


def test_that_queues_count_what_a_merge_brings_and_takes_back(
    pair: tuple[Store, Store], item: MakeItem, judge: Judge
) -> None:
    a, b = pair
    fill(a, [item(f"i{n}") for n in range(4)])
    merge(b, a)
    a.queues.create(QueueSpec(name="q", dataset="pairs"))
    for n in (0, 2):
        b.labels.add(judge(f"i{n}", f"j{n}", "ben"), "pairs")
    merge(a, b)
    assert a.queues.get("q", "anna").left == 2
    turn = a.queues.begin("pairs", "q", "anna")
    assert turn.next is not None
    assert turn.next.placed.item.id == "i1"
    a.queues.leave("q", "anna")
    for _ in range(2):
        b.labels.undo("pairs", "ben")
    merge(a, b)
    assert a.queues.get("q", "anna").left == 4
    turn = a.queues.begin("pairs", "q", "anna")
    assert turn.next is not None
    assert turn.next.placed.item.id == "i0"


lives = st.lists(
    st.tuples(
        st.sampled_from("abc"),  # before they part, in a, in b
        st.sampled_from(["anna", "ben"]),
        st.one_of(st.integers(0, 3), st.sampled_from(["undo", "redo", "repeat", "adjudicate"])),
        st.booleans(),
    ),
    max_size=24,
)


@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(life=lives, slice_size=st.sampled_from([1, 2, 50]))
def test_that_either_way_of_merging_gives_the_same_labels_and_merging_again_changes_nothing(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch, item: MakeItem, judge: Judge,
    life: list[tuple[str, str, Any, bool]], slice_size: int,
) -> None:  # fmt: skip
    top = tmp_path_factory.mktemp("merge")
    first = open_store(top / "a")
    fill(first, [item(f"i{n}", 3) for n in range(4)])
    live(first, [step for step in life if step[0] == "c"], judge, "c", 0)
    first.close()
    shutil.copytree(top / "a", top / "b")
    for name, start in (("a", 1), ("b", 2)):
        store = open_store(top / name)
        live(store, [step for step in life if step[0] == name], judge, name, start)
        store.close()
    for name in "ab":
        shutil.copytree(top / name, top / f"{name}0")
    monkeypatch.setattr(merge_labels, "SLICE", slice_size)
    monkeypatch.setattr(merge_rows, "SLICE", slice_size)
    stores = {name: open_store(top / name) for name in ("a", "b", "a0", "b0")}
    merge(stores["a"], stores["b0"])
    merge(stores["b"], stores["a0"])
    assert said(stores["a"]) == said(stores["b"])
    for name, other in (("a", "b0"), ("a", "b"), ("b", "a")):
        before = said(stores[name])
        assert merge(stores[name], stores[other]).judgements == 0
        assert said(stores[name]) == before
    for store in (stores["a"], stores["b"]):
        for who in ("anna", "ben"):
            mine = {j.item for j in store.labels.current("pairs") if j.annotator == who}
            assert store.labels.progress("pairs", who).judged == len(mine)
            waiting = {p.item.id for p in store.labels.next_unjudged("pairs", who, limit=9)}
            assert waiting == {f"i{n}" for n in range(4)} - mine
        assert store.datasets.get("pairs").judged == len({j.item for j in store.labels.current("pairs")})
    ever = {j.id for name in ("a0", "b0") for j in stores[name].labels.all("pairs")}
    assert {j.id for j in stores["a"].labels.all("pairs")} == ever
    for store in stores.values():
        store.close()


def live(store: Store, steps: list[tuple[str, str, Any, bool]], judge: Judge, name: str, start: int) -> None:
    """Judge, undo and redo; the clocks of two workspaces interleave."""
    for n, (_, who, what, flip) in enumerate(steps):
        if what in {"undo", "redo"}:
            try:
                (store.labels.undo if what == "undo" else store.labels.redo)("pairs", who)
            except Conflict:
                continue
            continue
        purpose = {"repeat": "repeat", "adjudicate": "adjudication"}.get(str(what), "label")
        tiers = ((1,), (0, 2)) if flip else ((2,), (0,), (1,))
        when = NOON + timedelta(seconds=10 * n + start + (0 if start == 0 else 1000))
        item = f"i{what}" if isinstance(what, int) else "i0"
        store.labels.add(judge(item, f"{name}{n}", who, tiers=tiers, purpose=purpose, created=when), "pairs")
