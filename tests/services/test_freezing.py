"""What a snapshot holds: every comparison of every judgement that counts, always the same, and a count of what it leaves out."""

from itertools import combinations
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.services.conftest import make_item
from workbench.domain.errors import BadInput, NotFound
from workbench.domain.judgement import Judgement, Ranking
from workbench.domain.rows import COLUMNS
from workbench.domain.text import Demonstration, Prompt, Turn
from workbench.services import freezing
from workbench.services.views import Frozen
from workbench.services.workbench import Workbench
from workbench.store.filling import NewRow


def rows_of(frozen: Frozen) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = pq.read_table(frozen.path).to_pylist()
    return rows


def say(bench: Workbench, *said: dict[str, Any]) -> None:
    """Judge the items of "pairs" one after another."""
    shown, _ = bench.labelling.start("pairs")
    for fields in said:
        assert shown is not None
        shown = bench.labelling.record("pairs", shown, milliseconds=1, **fields).next


def ranked(*tiers: tuple[int, ...], strength: int = 1) -> dict[str, Any]:
    return {"outcome": "ranked", "ranking": Ranking(tiers=tiers), "strength": strength}


A_FIRST, B_FIRST, TIE = ranked((0,), (1,)), ranked((1,), (0,)), ranked((0, 1))
BAD = {"outcome": "all_bad"}
SKIPPED = {"outcome": "skipped", "skip_reason": "unclear"}


@pytest.mark.parametrize(
    ("said", "kept", "left_out"),
    [
        ([A_FIRST], 1, {"not judged": 9}),
        ([A_FIRST, TIE], 1, {"not judged": 8, "tie": 1}),
        ([A_FIRST, BAD, BAD], 1, {"not judged": 7, "all bad": 2}),
        ([A_FIRST, SKIPPED], 1, {"not judged": 8, "skipped": 1}),
        ([A_FIRST] * 10, 10, {}),
        ([B_FIRST, TIE, BAD, SKIPPED, TIE], 1, {"not judged": 5, "tie": 2, "all bad": 1, "skipped": 1}),
    ],
)
def test_that_what_gives_no_row_is_counted_by_its_reason(
    ten: Workbench, said: list[dict[str, Any]], kept: int, left_out: dict[str, int]
) -> None:
    say(ten, *said)
    frozen = ten.datasets.freeze("pairs", "preferences")
    assert (frozen.rows, dict(frozen.left_out)) == (kept, left_out)
    assert [count for _, count in frozen.left_out] == sorted(left_out.values(), reverse=True)
    assert len(rows_of(frozen)) == kept


def test_that_the_better_text_is_chosen_wherever_it_was_shown(ten: Workbench) -> None:
    say(ten, A_FIRST, B_FIRST)
    pairs = [(r["chosen"], r["rejected"]) for r in rows_of(ten.datasets.freeze("pairs", "preferences"))]
    assert pairs == [("answer 0 to i0", "answer 1 to i0"), ("answer 1 to i1", "answer 0 to i1")]


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(scores=st.lists(st.integers(0, 3), min_size=3, max_size=6), strength=st.integers(1, 2))
def test_that_a_ranking_gives_every_strict_pair_with_its_distance_in_tiers_times_strength(
    bench: Workbench, scores: list[int], strength: int
) -> None:
    name = f"ranks {scores} {strength}"
    levels = sorted(set(scores), reverse=True)
    tiers = tuple(tuple(i for i, s in enumerate(scores) if s == level) for level in levels)
    if name not in {d.name for d in bench.datasets.list()}:
        bench.labelling.add_item(name, make_item("x", len(scores)))
        bench.labelling.add_item(name, make_item("anchor"))
        for fields in (ranked(*tiers, strength=strength), A_FIRST):
            shown, _ = bench.labelling.start(name)
            assert shown is not None
            bench.labelling.record(name, shown, milliseconds=1, **fields)
    rows = [r for r in rows_of(bench.datasets.freeze(name, "preferences")) if r["item"] == "x"]
    made = {(int(r["chosen"].split()[1]), int(r["rejected"].split()[1])): r["margin"] for r in rows}
    expected = {}
    for a, b in combinations(range(len(scores)), 2):
        if scores[a] != scores[b]:
            high, low = (a, b) if scores[a] > scores[b] else (b, a)
            expected[high, low] = float((levels.index(scores[low]) - levels.index(scores[high])) * strength)
    assert made == expected
    assert len(rows) == len(expected)


def test_that_a_ranking_is_kept_whole_with_its_ties_and_strength(bench: Workbench) -> None:
    bench.labelling.add_item("pairs", make_item("x", 4))
    bench.labelling.add_item("pairs", make_item("y", 3))
    bench.labelling.add_item("pairs", make_item("z"))
    say(bench, ranked((2,), (0, 3), (1,), strength=2), ranked((0, 1, 2)), BAD)
    frozen = bench.datasets.freeze("pairs", "rankings")
    first, second = rows_of(frozen)
    assert tuple(first) == COLUMNS["rankings"]
    assert first["completions"] == [f"answer {i} to x" for i in range(4)]
    assert (first["tiers"], first["strength"], first["item"]) == ([1, 2, 0, 1], 2, "x")
    assert (second["tiers"], second["strength"]) == ([0, 0, 0], 1)
    assert dict(frozen.left_out) == {"all bad": 1}


def test_that_each_annotator_gives_a_ranking_of_the_same_item(ten: Workbench) -> None:
    say(ten, A_FIRST)
    ten.settings.change(annotator="anna")
    say(ten, B_FIRST)
    rows = rows_of(ten.datasets.freeze("pairs", "rankings"))
    assert [(row["annotator"], row["tiers"]) for row in rows] == [("me", [0, 1]), ("anna", [1, 0])]
    assert rows[0]["item"] == rows[1]["item"]
    assert rows[0]["completions"] == rows[1]["completions"]


def test_that_every_annotator_s_word_counts_and_is_signed(ten: Workbench) -> None:
    say(ten, A_FIRST)
    ten.settings.change(annotator="anna")
    say(ten, B_FIRST)
    ten.settings.change(annotator="安娜")
    say(ten, BAD)
    frozen = ten.datasets.freeze("pairs", "preferences")
    assert [(r["annotator"], r["chosen"][:8]) for r in rows_of(frozen)] == [("me", "answer 0"), ("anna", "answer 1")]
    assert dict(frozen.left_out) == {"not judged": 9, "all bad": 1}


def test_that_only_the_newest_word_of_an_annotator_counts_until_it_is_undone(ten: Workbench) -> None:
    shown, _ = ten.labelling.start("pairs")
    assert shown is not None
    ten.labelling.record("pairs", shown, milliseconds=1, **A_FIRST)
    ten.labelling.record("pairs", shown, milliseconds=1, **B_FIRST)
    (row,) = rows_of(ten.datasets.freeze("pairs", "preferences"))
    assert row["chosen"] == "answer 1 to i0"
    ten.labelling.undo("pairs")
    (row,) = rows_of(ten.datasets.freeze("pairs", "preferences"))
    assert row["chosen"] == "answer 0 to i0"


def test_that_redo_brings_back_the_very_same_snapshot(ten: Workbench) -> None:
    say(ten, A_FIRST, B_FIRST)
    before = ten.datasets.freeze("pairs", "preferences")
    ten.labelling.undo("pairs")
    between = ten.datasets.freeze("pairs", "preferences")
    ten.labelling.redo("pairs")
    assert ten.datasets.freeze("pairs", "preferences") == before
    assert between.sha != before.sha


def test_that_a_snapshot_depends_neither_on_the_process_nor_on_how_many_rows_are_read_at_once(
    ten: Workbench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    say(ten, A_FIRST, ranked((1,), (0,), strength=2), TIE, A_FIRST)
    before = ten.datasets.freeze("pairs", "preferences")
    before.path.unlink()
    for batch in (1, 3, 1000):
        monkeypatch.setattr(freezing, "BATCH", batch)
        with Workbench.open(tmp_path / "workspace") as again:
            assert again.datasets.freeze("pairs", "preferences") == before
    assert before.path.exists()


def test_that_the_same_labels_in_another_workspace_give_the_same_hash(ten: Workbench, tmp_path: Path) -> None:
    say(ten, A_FIRST, B_FIRST)
    with Workbench.open(tmp_path / "other", create=True) as other:
        for n in range(10):
            other.labelling.add_item("pairs", make_item(f"i{n}"))
        say(other, A_FIRST, B_FIRST)
        assert other.datasets.freeze("pairs", "preferences").sha == ten.datasets.freeze("pairs", "preferences").sha


@pytest.mark.parametrize("change", ["note", "milliseconds", "order shown"])
def test_that_what_a_recipe_does_not_read_does_not_change_the_hash(ten: Workbench, change: str) -> None:
    say(ten, A_FIRST)
    before = ten.datasets.freeze("pairs", "preferences").sha
    said = ten.labelling.undo("pairs").judgement
    fields = {"note": {"note": "hm"}, "milliseconds": {"milliseconds": 9}, "order shown": {"shown": said.shown[::-1]}}
    ten.labelling.add_judgement("pairs", said.model_copy(update={"id": "again", **fields[change]}))
    assert ten.datasets.freeze("pairs", "preferences").sha == before


def test_that_a_conversation_is_frozen_turn_by_turn_and_a_raw_prompt_as_raw(bench: Workbench) -> None:
    turns = (
        Turn(role="system", content="كن لطيفًا"),
        Turn(role="user", content="hi\n"),
        Turn(role="assistant", content=""),
    )
    bench.datasets.create("talks", "demonstrations")
    rows = [
        Demonstration(prompt=Prompt(turns=turns), completion=" 👋 "),
        Demonstration(prompt=Prompt.from_text("x", raw=True), completion=""),
    ]
    bench.datasets.append("talks", [NewRow(row) for row in rows])
    first, second = rows_of(bench.datasets.freeze("talks", "demonstrations"))
    assert tuple(first) == COLUMNS["demonstrations"]
    assert first == {"prompt": [t.model_dump() for t in turns], "raw": False, "completion": " 👋 "}
    assert second == {"prompt": [{"role": "user", "content": "x"}], "raw": True, "completion": ""}


def test_that_documents_keep_their_order_and_their_repeats(bench: Workbench) -> None:
    bench.datasets.create("texts", "documents")
    bench.datasets.append("texts", [NewRow(text) for text in ("b", "", "a", "b", "\t", " c ")])
    frozen = bench.datasets.freeze("texts", "documents")
    assert [r["text"] for r in rows_of(frozen)] == ["b", "a", "b", " c "]
    assert frozen.left_out == (("empty text", 2),)


def test_that_prompts_that_differ_only_in_being_raw_are_two(bench: Workbench) -> None:
    bench.datasets.create("asked", "prompts")
    prompts = [Prompt.from_text("x"), Prompt.from_text("x", raw=True), Prompt.from_text("x"), Prompt.from_text("x ")]
    bench.datasets.append("asked", [NewRow(p) for p in prompts])
    frozen = bench.datasets.freeze("asked", "prompts")
    assert [(r["prompt"][0]["content"], r["raw"]) for r in rows_of(frozen)] == [
        ("x", False),
        ("x", True),
        ("x ", False),
    ]
    assert frozen.left_out == (("the same prompt again", 1),)


def test_that_prompts_of_demonstrations_and_of_unjudged_items_are_usable(ten: Workbench) -> None:
    ten.datasets.create("demos", "demonstrations")
    ten.datasets.append("demos", [NewRow(Demonstration(prompt=Prompt.from_text("q"), completion=c)) for c in "ab"])
    assert ten.datasets.freeze("demos", "prompts").rows == 1
    assert ten.datasets.freeze("pairs", "prompts").rows == 10


@pytest.mark.parametrize("kind", ["rule", "model"])
def test_that_one_label_not_by_a_person_marks_its_row_and_the_whole_snapshot(ten: Workbench, kind: str) -> None:
    say(ten, A_FIRST, A_FIRST)
    said = ten.labelling.judgements("pairs")[0]
    other: Judgement = said.model_copy(update={"id": "r", "annotator": kind, "annotator_kind": kind})
    ten.labelling.add_judgement("pairs", other)
    frozen = ten.datasets.freeze("pairs", "preferences")
    assert frozen.synthetic
    assert [(r["annotator"], r["synthetic"]) for r in rows_of(frozen)] == [("me", False), (kind, True), ("me", False)]


def test_that_every_row_of_a_synthetic_dataset_is_marked(bench: Workbench) -> None:
    bench.datasets.create("pairs", "preferences", synthetic=True)
    bench.labelling.add_item("pairs", make_item("i0"))
    say(bench, A_FIRST)
    frozen = bench.datasets.freeze("pairs", "preferences")
    assert frozen.synthetic
    assert [r["synthetic"] for r in rows_of(frozen)] == [True]


def test_that_a_refused_snapshot_is_not_listed_and_says_what_to_do(ten: Workbench) -> None:
    say(ten, TIE, BAD, SKIPPED)
    with pytest.raises(BadInput, match="7 not judged, 1 tie, 1 all bad, 1 skipped") as caught:
        ten.datasets.freeze("pairs", "preferences")
    assert caught.value.hint == "Judge some items first."
    ten.datasets.create("none", "prompts")
    with pytest.raises(BadInput, match="it is empty"):
        ten.datasets.freeze("none", "prompts")
    with pytest.raises(NotFound):
        ten.datasets.freeze("absent", "prompts")
    assert ten.workspace.lane.do(ten.workspace.store.snapshots.list) == []


def test_that_a_snapshot_outlives_its_dataset(ten: Workbench) -> None:
    say(ten, A_FIRST)
    frozen = ten.datasets.freeze("pairs", "preferences")
    ten.datasets.delete("pairs")
    assert len(rows_of(frozen)) == 1
    (kept,) = ten.workspace.lane.do(ten.workspace.store.snapshots.list)
    assert (kept.sha, kept.dataset, kept.rows) == (frozen.sha, "pairs", 1)
