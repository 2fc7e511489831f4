"""Searching: which rows contain some words, in any script and any case, page by page."""

from pathlib import Path

import pytest

from tests.services.conftest import make_item
from workbench.domain.errors import NotFound
from workbench.domain.judgement import Item
from workbench.domain.text import Candidate, Demonstration, Prompt, Turn
from workbench.services import searching
from workbench.services.workbench import Workbench
from workbench.store.filling import NewRow


def texts(bench: Workbench, *rows: str) -> None:
    bench.datasets.create("texts", "documents")
    bench.datasets.append("texts", [NewRow(row) for row in rows])


def found(bench: Workbench, words: str, name: str = "texts") -> list[int]:
    return [row.index for row in bench.datasets.page(name, 0, 100, words)]


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ("apple", "An APPLE a day"), ("äpfel", "ÄPFEL und Birnen"), ("ÄPFEL", "äpfel und Birnen"), ("москва", "МОСКВА"),
        ("ΣΟΦΙΑ", "σοφια"), ("STRAßE", "Strasse"), ("مرحبا", "قال مرحبا"), ("東京", "東京タワー"), ("👍", "good 👍 answer"),
        ("É", "café au lait"),
    ],
)  # fmt: skip
def test_that_words_are_found_in_any_case_and_script(bench: Workbench, words: str, text: str) -> None:
    texts(bench, "something else", text)
    assert found(bench, words) == [1]


def test_that_what_was_searched_before_does_not_change_what_is_found(bench: Workbench) -> None:
    texts(bench, "Ägypten", "ägyptisch", "Egypt")
    for words in ("Ä", "ä", "Ägypt", "ÄGYPT"):
        assert found(bench, words) == [0, 1]


@pytest.mark.parametrize(
    ("words", "hits"), [("100%", [0]), ("a_b", [1]), ("\\", [2]), ("'", [3]), ('"q"', [3]), ("*", [])]
)
def test_that_signs_of_the_database_are_plain_text(bench: Workbench, words: str, hits: list[int]) -> None:
    texts(bench, "100% sure, 1000 times", "a_b is not axb", "back\\slash", 'it\'s "q"')
    assert found(bench, words) == hits


def test_that_words_are_found_across_spaces_as_typed(bench: Workbench) -> None:
    texts(bench, "one two", "one  two", "one\ntwo")
    assert found(bench, "one two") == [0]
    assert found(bench, " ") == [0, 1]


def test_that_the_prompt_and_every_answer_are_searched(bench: Workbench) -> None:
    bench.labelling.add_item("pairs", make_item("first"))
    answers = (Candidate(text="plain"), Candidate(text="hidden TREASURE"), Candidate(text="plain too"))
    bench.labelling.add_item("pairs", Item(id="x", prompt=Prompt.from_text("Where?"), candidates=answers))
    assert found(bench, "treasure", "pairs") == [1]
    assert found(bench, "where", "pairs") == [1]
    assert found(bench, "question first", "pairs") == [0]
    assert found(bench, "plain", "pairs") == [1]


def test_that_the_completion_of_a_demonstration_is_searched(bench: Workbench) -> None:
    bench.datasets.create("demos", "demonstrations")
    rows = [Demonstration(prompt=Prompt.from_text(f"q{n}"), completion=f"answer number {n}") for n in range(3)]
    bench.datasets.append("demos", [NewRow(row) for row in rows])
    assert found(bench, "number 2", "demos") == [2]
    assert found(bench, "Q1", "demos") == [1]


def test_that_the_last_turn_of_a_conversation_is_searched(bench: Workbench) -> None:
    bench.datasets.create("talks", "prompts")
    turns = (
        Turn(role="user", content="hello there"),
        Turn(role="assistant", content="hi"),
        Turn(role="user", content="and now?"),
    )
    bench.datasets.append("talks", [NewRow(Prompt(turns=turns))])
    assert found(bench, "and now", "talks") == [0]


def test_that_pages_of_a_search_follow_each_other_without_gap_or_repeat(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(searching, "WINDOW", 4)
    texts(bench, *("hit" if n % 3 == 0 else "miss" for n in range(31)))
    pages = [[r.index for r in bench.datasets.page("texts", at, 4, "hit")] for at in range(0, 16, 4)]
    assert [index for page in pages for index in page] == list(range(0, 31, 3))
    assert [len(page) for page in pages] == [4, 4, 3, 0]


def test_that_a_page_far_behind_can_be_asked_for_first(bench: Workbench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(searching, "WINDOW", 3)
    texts(bench, *(f"hit {n}" for n in range(20)))
    assert [r.title for r in bench.datasets.page("texts", 15, 2, "hit")] == ["hit 15", "hit 16"]
    assert [r.title for r in bench.datasets.page("texts", 0, 2, "hit")] == ["hit 0", "hit 1"]
    assert bench.datasets.count("texts", "hit") == 20


def test_that_many_searches_are_forgotten_and_found_again(bench: Workbench) -> None:
    texts(bench, *(f"word{n}." for n in range(20)))
    for _ in range(2):
        for n in range(20):
            assert found(bench, f"word{n}.") == [n]


def test_that_a_match_keeps_its_place_and_its_judgement(ten: Workbench) -> None:
    shown, _ = ten.labelling.start("pairs")
    assert shown is not None
    ten.labelling.record("pairs", shown, outcome="all_bad", milliseconds=1)
    (row,) = ten.datasets.page("pairs", 0, 5, "question i0")
    assert (row.index, row.id) == (0, "i0")
    assert ("Judgement", "me: all bad") in row.facts


def test_that_a_search_in_nothing_finds_nothing(bench: Workbench) -> None:
    bench.datasets.create("empty", "documents")
    assert found(bench, "x", "empty") == []
    assert bench.datasets.count("empty", "x") == 0
    with pytest.raises(NotFound, match="absent"):
        bench.datasets.page("absent", 0, 5, "x")
    with pytest.raises(NotFound, match="absent"):
        bench.datasets.count("absent", "x")


def test_that_very_long_words_and_texts_are_searched(bench: Workbench) -> None:
    needle = "Nadel" * 2000
    texts(bench, "heu " * 10_000, "heu " * 10_000 + needle + " heu")
    assert found(bench, needle.upper()) == [1]
    assert found(bench, needle + "x") == []


def test_that_a_search_sees_what_another_workbench_appended(ten: Workbench, tmp_path: Path) -> None:
    assert found(ten, "later", "pairs") == []
    with Workbench.open(tmp_path / "workspace") as other:
        other.labelling.add_item("pairs", make_item("later"))
    assert found(ten, "later", "pairs") == [10]
