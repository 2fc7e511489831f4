"""Datasets: rows of four kinds, pages, search, hidden imports and sliced deletion."""

from collections.abc import Callable
from pathlib import Path

import pytest

from workbench.domain.decoding import Sample
from workbench.domain.errors import BadInput, Conflict, NotFound
from workbench.domain.judgement import Item, Judgement
from workbench.domain.text import Candidate, Demonstration, Prompt, Turn
from workbench.store import datasets as module
from workbench.store import schema as t
from workbench.store.filling import NewRow
from workbench.store.store import Store, open_store


def rows_in(store: Store, table: object) -> int:
    with store._database.read() as connection:
        return len(connection.execute(table.select()).all())  # type: ignore[attr-defined]


def test_that_each_kind_of_row_comes_back_as_it_went_in(store: Store, item: Callable[..., Item]) -> None:
    chat = Prompt(turns=(Turn(role="system", content="Be brief."), Turn(role="user", content="Why?")))
    raw = Prompt.from_text(" The sky", raw=True)
    store.datasets.create("texts", "documents")
    store.datasets.create("prompts", "prompts")
    store.datasets.create("shown", "demonstrations")
    store.datasets.create("pairs", "preferences")
    store.datasets.append("texts", ["eins", "zwei\n\n"])
    store.datasets.append("prompts", [chat, raw])
    store.datasets.append("shown", [Demonstration(prompt=raw, completion=" is blue.")])
    store.datasets.append("pairs", [NewRow((item("x", candidates=4), []), line=12, raw={"topic": "sky"})])
    assert [r.text for r in store.datasets.rows("texts")] == ["eins", "zwei\n\n"]
    assert [r.prompt for r in store.datasets.rows("prompts")] == [chat, raw]
    (shown,) = store.datasets.rows("shown")
    assert (shown.prompt, shown.completion) == (raw, " is blue.")
    (pair,) = store.datasets.rows("pairs")
    assert (pair.item, pair.line, pair.raw) == (item("x", candidates=4), 12, {"topic": "sky"})


def test_that_a_candidate_keeps_where_it_came_from(store: Store) -> None:
    settings = Sample(temperature=0.7, top_p=0.9, seed=3)
    first = Candidate(text="a", model="sft-1", settings=settings, seed=3, score=0.25)
    made = Item(id="x", prompt=Prompt.from_text("q"), candidates=(first, Candidate(text="b")))
    store.datasets.create("pairs", "preferences")
    store.datasets.append("pairs", [NewRow((made, []))])
    assert store.datasets.rows("pairs")[0].item == made


def test_that_a_prompt_is_kept_once_however_often_it_is_asked(store: Store) -> None:
    store.datasets.create("a", "prompts")
    store.datasets.append("a", [Prompt.from_text("same")] * 3)
    store.datasets.append("a", [Prompt.from_text("same"), Prompt.from_text("other")])
    assert store.datasets.count("a") == 5
    assert rows_in(store, t.prompts) == 2


def test_that_the_same_item_twice_makes_two_items(
    store: Store, item: Callable[..., Item], judge: Callable[..., Judgement]
) -> None:
    store.datasets.create("pairs", "preferences")
    store.datasets.append(
        "pairs", [NewRow((item("x"), [judge("x", "first")])), NewRow((item("x"), [judge("x", "second")]))]
    )
    store.datasets.append("pairs", [NewRow((item("x"), [judge("x", "second")]))])
    names = [r.item.id for r in store.datasets.rows("pairs") if r.item]
    assert names == ["x", "x-1", "x-2"]
    assert [j.item for j in store.labels.current("pairs")] == names
    assert len({j.id for j in store.labels.current("pairs")}) == 3


def test_that_verdicts_of_several_annotators_meet_on_one_item(
    store: Store, item: Callable[..., Item], judge: Callable[..., Judgement]
) -> None:
    store.datasets.create("pairs", "preferences")
    anna, ben, cleo = (judge("x", name, annotator=name) for name in ("anna", "ben", "cleo"))
    store.datasets.append("pairs", [NewRow((item("x"), [anna])), NewRow((item("x"), [ben]))])
    store.datasets.append("pairs", [NewRow((item("x"), [cleo])), NewRow((item("y"), []))])
    assert [r.item.id for r in store.datasets.rows("pairs") if r.item] == ["x", "y"]
    assert store.labels.for_item("x") == [anna, ben, cleo]
    assert store.datasets.get("pairs").judged == 1


def test_that_a_verdict_with_columns_of_its_own_keeps_its_row(
    store: Store, item: Callable[..., Item], judge: Callable[..., Judgement]
) -> None:
    store.datasets.create("pairs", "preferences")
    for name in ("anna", "ben"):
        said = judge("x", name, annotator=name)
        store.datasets.append("pairs", [NewRow((item("x"), [said]), raw={"confidence": name})])
    assert [r.raw for r in store.datasets.rows("pairs")] == [{"confidence": "anna"}, {"confidence": "ben"}]


def test_that_a_row_of_another_kind_is_refused_and_nothing_is_kept(store: Store) -> None:
    store.datasets.create("texts", "documents")
    with pytest.raises(BadInput, match="documents"):
        store.datasets.append("texts", ["fine", Prompt.from_text("not a document")])
    assert store.datasets.count("texts") == 0


def test_that_pages_are_slices_of_the_whole(store: Store) -> None:
    store.datasets.create("texts", "documents")
    store.datasets.append("texts", [f"text {n}" for n in range(25)])
    assert [r.text for r in store.datasets.rows("texts", 20, 10)] == [f"text {n}" for n in range(20, 25)]
    assert [len(page) for page in store.datasets.iterate("texts", 10)] == [10, 10, 5]
    assert [r.position for page in store.datasets.iterate("texts", 10) for r in page] == list(range(25))


def test_that_search_finds_words_in_prompts_and_answers(store: Store, item: Callable[..., Item]) -> None:
    store.datasets.create("pairs", "preferences")
    store.datasets.append("pairs", [NewRow((item(f"n{n}"), [])) for n in range(12)])
    assert store.datasets.find("pairs", "QUESTION N1", 0, 12) == [1, 10, 11]
    assert store.datasets.find("pairs", "answer 1 to n1", 2, 11) == [10]
    assert store.datasets.find("pairs", "100%", 0, 12) == []
    assert [r.item.id for r in store.datasets.rows_at("pairs", [11, 2]) if r.item] == ["n2", "n11"]


def test_that_a_name_is_given_once(store: Store) -> None:
    store.datasets.create("a", "documents")
    with pytest.raises(Conflict, match="already"):
        store.datasets.create("a", "prompts")
    with pytest.raises(NotFound, match="no dataset"):
        store.datasets.get("b")


def test_that_an_import_is_invisible_until_it_is_published(store: Store) -> None:
    handle = store.datasets.begin("documents", source="file.txt")
    store.datasets.append(handle, ["one", "two"])
    assert store.datasets.list() == []
    record = store.datasets.publish(handle, "texts")
    assert (record.name, record.rows, record.source) == ("texts", 2, "file.txt")
    assert [d.name for d in store.datasets.list()] == ["texts"]


def test_that_an_abandoned_import_leaves_nothing(store: Store, item: Callable[..., Item]) -> None:
    handle = store.datasets.begin("preferences")
    store.datasets.append(handle, [NewRow((item("x"), []))])
    number = store.datasets.abandon(handle)
    while store.datasets.drop_some(number):
        pass
    assert [rows_in(store, table) for table in (t.datasets, t.rows, t.candidates, t.prompts, t.leases)] == [0] * 5


def test_that_a_taken_name_stops_the_publication_and_keeps_the_rows(store: Store) -> None:
    store.datasets.create("texts", "documents")
    handle = store.datasets.begin("documents")
    store.datasets.append(handle, ["one"])
    with pytest.raises(Conflict):
        store.datasets.publish(handle, "texts")
    assert store.datasets.publish(handle, "others").rows == 1


def test_that_what_a_dead_import_left_is_swept_at_opening(store: Store, workspace: Path) -> None:
    dead = store.datasets.begin("documents")
    store.datasets.append(dead, ["lost"])
    alive = store.datasets.begin("documents")
    store.datasets.append(alive, ["coming"])
    with store._database.write() as connection:
        connection.execute(t.leases.delete().where(t.leases.c.name == dead))
    again = open_store(workspace)
    assert rows_in(again, t.rows) == 1
    assert store.datasets.publish(alive, "came").rows == 1
    again.close()


def test_that_deletion_takes_all_that_belongs_to_a_dataset_and_no_more(
    store: Store, item: Callable[..., Item], judge: Callable[..., Judgement], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "DELETE_SLICE", 4)
    for name in ("a", "b"):
        store.datasets.create(name, "preferences")
        store.datasets.append(name, [NewRow((item(f"i{n}"), [judge(f"i{n}", f"{name}{n}")])) for n in range(10)])
    store.labels.undo("a", "me")
    number = store.datasets.hide("a")
    assert [store.datasets.drop_some(number) for _ in range(4)] == [True, True, True, False]
    assert [d.name for d in store.datasets.list()] == ["b"]
    assert rows_in(store, t.rows) == rows_in(store, t.prompts) == rows_in(store, t.judgements) == 10
    assert rows_in(store, t.candidates) == 20
    assert rows_in(store, t.judgement_moves) == 0
    assert store.labels.progress("b", "me").judged == 10


def test_that_an_interrupted_deletion_is_finished_at_a_later_opening(
    store: Store, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "DELETE_SLICE", 2)
    store.datasets.create("texts", "documents")
    store.datasets.append("texts", [f"text {n}" for n in range(50)])
    store.datasets.hide("texts")
    assert store.datasets.list() == []
    store.datasets.create("texts", "documents")
    for left in (30, 10, 0):
        open_store(workspace).close()
        assert rows_in(store, t.rows) == left
    assert [d.name for d in store.datasets.list()] == ["texts"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Die STRASSE", "straße"), ("MASSE", "maße"), ("Ο ΔΡΟΜΟΣ", "δρομος"), ("Москва", "МОСКВА"), ("ÉCOLE", "école"),
        ("µm", "μM"), ("ſpät", "SPÄT"), ("100 % sicher_é", "% SICHER_É"), ("İstanbul", "i̇STANBUL"), ("日本語", "本"),
    ],
)  # fmt: skip
def test_that_a_search_folds_the_letters_of_every_script(store: Store, text: str, words: str) -> None:
    store.datasets.create("texts", "documents")
    store.datasets.append("texts", ["something else", text])
    assert store.datasets.find("texts", words, 0, 2) == [1]
    assert store.datasets.find("texts", f"{words}é", 0, 2) == []
