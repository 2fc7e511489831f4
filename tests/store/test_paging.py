"""Pages, searches and batches against a plain list: whatever is asked, the store answers as a list would."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from workbench.domain.errors import BadInput, Conflict, NotFound, WorkbenchError
from workbench.domain.judgement import Item
from workbench.domain.text import Demonstration, Prompt, Turn
from workbench.store.filling import NewRow
from workbench.store.store import Store, open_store

TEXTS = [f"row {n} {'even' if n % 2 == 0 else 'odd'}" for n in range(57)]


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    opened = open_store(tmp_path_factory.mktemp("shelf") / "workspace")
    opened.datasets.create("texts", "documents")
    opened.datasets.append("texts", list(TEXTS))
    yield opened
    opened.close()


@given(st.integers(0, 70), st.integers(0, 70))
@settings(max_examples=40, deadline=None)
def test_that_a_page_is_the_slice_of_a_list(shelf: Store, offset: int, limit: int) -> None:
    rows = shelf.datasets.rows("texts", offset, limit)
    assert [r.text for r in rows] == TEXTS[offset : offset + limit]
    assert [r.position for r in rows] == list(range(len(TEXTS)))[offset : offset + limit]


@given(st.lists(st.integers(0, 80), max_size=20))
@settings(max_examples=30, deadline=None)
def test_that_rows_at_positions_come_once_and_in_order(shelf: Store, positions: list[int]) -> None:
    there = sorted({p for p in positions if p < len(TEXTS)})
    assert [r.position for r in shelf.datasets.rows_at("texts", positions)] == there


@given(st.integers(1, 80))
@settings(max_examples=20, deadline=None)
def test_that_batches_of_any_size_give_every_row_once(shelf: Store, batch: int) -> None:
    pages = list(shelf.datasets.iterate("texts", batch))
    assert [r.text for page in pages for r in page] == TEXTS
    assert all(len(page) == batch for page in pages[:-1])


@pytest.mark.parametrize("words", ["even", "EVEN", "row 1", "%", "_", "\\", "'", '"', "row 5%", ""])
def test_that_a_search_takes_its_words_literally(shelf: Store, words: str) -> None:
    found = shelf.datasets.find("texts", words, 0, len(TEXTS))
    assert found == [n for n, text in enumerate(TEXTS) if words.lower() in text.lower()]


def test_that_a_search_looks_only_where_it_is_told(shelf: Store) -> None:
    assert shelf.datasets.find("texts", "even", 10, 14) == [10, 12]
    assert shelf.datasets.find("texts", "even", 57, 99) == []


@pytest.mark.parametrize("call", [
    lambda s: s.datasets.get("gone"), lambda s: s.datasets.rows("gone"), lambda s: s.datasets.count("gone"),
    lambda s: s.datasets.append("gone", ["x"]), lambda s: s.datasets.hide("gone"), lambda s: s.datasets.find("gone", "x", 0, 1),
    lambda s: list(s.datasets.iterate("gone")), lambda s: s.labels.progress("gone", "me"), lambda s: s.labels.all("gone"),
    lambda s: s.labels.undo("gone", "me"), lambda s: s.runs.get("gone"), lambda s: s.models.get("gone"),
    lambda s: s.models.rename("gone", "new"), lambda s: s.models.remove("gone"), lambda s: s.runs.delete("gone"),
])  # fmt: skip
def test_that_what_is_not_there_is_named_with_a_hint(shelf: Store, call: Callable[[Store], object]) -> None:
    with pytest.raises(NotFound, match="gone") as told:
        call(shelf)
    assert told.value.hint


def test_that_undo_and_redo_of_nothing_are_refused(ten: Store) -> None:
    for move in (ten.labels.undo, ten.labels.redo):
        with pytest.raises(Conflict) as told:
            move("pairs", "me")
        assert told.value.what
    assert ten.labels.progress("pairs", "me").judged == 0


@pytest.mark.parametrize(
    ("kind", "row"),
    [
        ("documents", Prompt.from_text("q")),
        ("prompts", "text"),
        ("demonstrations", Prompt.from_text("q")),
        ("preferences", Demonstration(prompt=Prompt.from_text("q"), completion="a")),
    ],
)
def test_that_a_batch_with_one_wrong_row_keeps_none(store: Store, kind: str, row: object) -> None:
    store.datasets.create("d", kind)  # type: ignore[arg-type]
    with pytest.raises(WorkbenchError):
        store.datasets.append("d", [NewRow(row)])  # type: ignore[arg-type]
    assert store.datasets.get("d").rows == 0


conversations = st.lists(
    st.builds(Turn, role=st.sampled_from(["system", "user", "assistant", "tool"]), content=st.text(max_size=30)),
    min_size=1, max_size=4,
)  # fmt: skip
numbers = iter(range(10**6))


@given(st.lists(st.builds(Prompt, turns=conversations.map(tuple), raw=st.booleans()), max_size=6), st.text(max_size=40))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_that_any_text_comes_back_to_the_letter(shelf: Store, prompts: list[Prompt], answer: str) -> None:
    name = f"d{next(numbers)}"
    shelf.datasets.create(name, "demonstrations")
    new = [Demonstration(prompt=p, completion=answer) for p in prompts]
    assert shelf.datasets.append(name, new) == len(new)
    rows = shelf.datasets.rows(name, 0, 100)
    assert [(r.prompt, r.completion) for r in rows] == [(p, answer) for p in prompts]


def test_that_two_datasets_share_prompts_but_not_rows(store: Store, item: Callable[..., Item]) -> None:
    for name in ("one", "two"):
        store.datasets.create(name, "preferences")
        store.datasets.append(name, [NewRow((item("same"), []))])
    number = store.datasets.hide("one")
    while store.datasets.drop_some(number):
        pass
    (left,) = store.datasets.rows("two")
    assert left.item is not None
    assert left.item.prompt.text == "question same"
    assert [d.name for d in store.datasets.list()] == ["two"]


def test_that_a_name_is_free_again_after_a_deletion(store: Store) -> None:
    store.datasets.create("d", "documents")
    store.datasets.append("d", ["old"])
    store.datasets.hide("d")
    store.datasets.create("d", "prompts")
    assert (store.datasets.get("d").kind, store.datasets.get("d").rows) == ("prompts", 0)


def test_that_appended_rows_survive_a_closed_store(tmp_path: Path) -> None:
    for n in range(3):
        opened = open_store(tmp_path / "w")
        if n == 0:
            opened.datasets.create("d", "documents")
        assert opened.datasets.append("d", [f"text {n}"]) == n + 1
        opened.close()


def test_that_an_item_of_ten_or_one_candidates_never_reaches_the_store(item: Callable[..., Item]) -> None:
    for count in (0, 1, 10):
        with pytest.raises(ValueError, match="candidates"):
            item("x", count)


def test_that_a_batch_of_nothing_changes_nothing(shelf: Store) -> None:
    before = shelf.datasets.get("texts")
    assert shelf.datasets.append("texts", []) == before.rows
    assert shelf.datasets.get("texts") == before
    with pytest.raises(BadInput):
        shelf.datasets.append("texts", [NewRow(3)])  # type: ignore[arg-type]
