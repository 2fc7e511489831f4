"""What judges and revisers report: kept exactly once, beside people's labels, marked, and told when it can't be kept."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from workbench.domain.errors import NotFound, StorageFailed
from workbench.domain.events import Event, Judged, Metrics, Resumed, Revised
from workbench.domain.judgement import Item, Judgement
from workbench.domain.text import Prompt
from workbench.store.filling import NewRow
from workbench.store.store import Store, open_store

Say = Callable[..., Judgement]


def judging(store: Store, **more: Any) -> str:
    return store.runs.create("judge", {"kind": "judge", "data": "pairs", **more}).id


def revising(store: Store, **more: Any) -> str:
    spec = {
        "kind": "revise",
        "base": "writer",
        "data": "asks",
        "demonstrations": "better",
        "pairs": "versus",
        "seed": 3,
    }
    return store.runs.create("revise", spec | more).id


def verdict(say: Say, number: int, seq: int, annotator: str = "robot") -> Judged:
    judgement = say(f"i{number}", annotator=annotator, annotator_kind="model", tiers=((1,), (0,)))
    return Judged(seq=seq, item=f"i{number}", judgement=judgement)


def revision(row: int, seq: int, **more: Any) -> Revised:
    fields: dict[str, Any] = {
        "seq": seq, "row": row, "prompt": Prompt.from_text(f"ask {row}"), "original": "bad", "revision": "good",
        "principles": ("Be kind.", "Be brief."), "critiques": ("Rude.", "Long."),
    }  # fmt: skip
    return Revised(**(fields | more))


def by_robot(store: Store) -> list[str]:
    return [j.item for j in store.labels.all("pairs") if j.annotator == "robot"]


def test_that_verdicts_stand_beside_what_people_say(ten: Store, judge: Say) -> None:
    ten.labels.add(judge("i1"), "pairs")
    run = judging(ten)
    ten.runs.absorb(run, [verdict(judge, n, n + 1) for n in range(3)])
    said = ten.labels.for_item("i1", "pairs")
    assert [(j.annotator, j.annotator_kind, j.ranking and j.ranking.tiers) for j in said] == [
        ("me", "person", ((0,), (1,))), ("robot", "model", ((1,), (0,))),
    ]  # fmt: skip
    assert ten.datasets.get("pairs").judged == 3
    assert ten.labels.progress("pairs", "me").judged == 1
    assert ten.labels.progress("pairs", "robot").judged == 3


def test_that_a_verdict_is_kept_once_however_often_it_is_read(ten: Store, judge: Say, workspace: Any) -> None:
    run = judging(ten)
    events: list[Event] = [verdict(judge, n, n + 1) for n in range(5)]
    ten.runs.absorb(run, events[:2])
    ten.runs.absorb(run, events)  # an application that died before it had noted how far it was
    ten.close()
    again = open_store(workspace)
    again.runs.absorb(run, events)
    assert by_robot(again) == [f"i{n}" for n in range(5)]
    again.close()


def test_that_a_resume_takes_no_verdict_back(ten: Store, judge: Say) -> None:
    run = judging(ten)
    points = [Metrics(seq=2, step=5, values={"judge/kept": 1.0}), Resumed(seq=3, step=0)]
    ten.runs.absorb(run, [verdict(judge, 0, 1), *points, verdict(judge, 1, 4)])
    assert by_robot(ten) == ["i0", "i1"]
    assert ten.runs.metrics(run) == []


def test_that_nothing_is_kept_when_the_transaction_fails(
    ten: Store, judge: Say, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = judging(ten)

    def full(*_: object) -> None:
        raise OSError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr("workbench.store.feedback.insert_judgements", full)
        with pytest.raises(StorageFailed, match="full"):
            ten.runs.absorb(run, [verdict(judge, 0, 1)])
    assert ten.runs.get(run).last_seq == 0
    ten.runs.absorb(run, [verdict(judge, 0, 1)])
    assert by_robot(ten) == ["i0"]


def test_that_an_item_without_a_verdict_gets_no_judgement(ten: Store) -> None:
    ten.runs.absorb(judging(ten), [Judged(seq=1, item="i0", judgement=None, why="the two orders disagree")])
    assert ten.labels.all("pairs") == []


def test_that_two_runs_of_one_judge_judge_an_item_once_unless_asked_to(ten: Store, judge: Say) -> None:
    for _ in range(2):
        ten.runs.absorb(judging(ten), [verdict(judge, 0, 1)])
    assert by_robot(ten) == ["i0"]
    ten.runs.absorb(judging(ten, again=True), [verdict(judge, 0, 1)])
    assert by_robot(ten) == ["i0", "i0"]
    assert ten.labels.progress("pairs", "robot").judged == 1


def test_that_a_judge_can_not_speak_in_a_person_s_name(ten: Store, judge: Say) -> None:
    ten.labels.add(judge("i5"), "pairs")
    assert ten.labels.signed_by_person("pairs", "me")
    assert not ten.labels.signed_by_person("pairs", "robot")
    run = judging(ten)
    ten.runs.absorb(run, [verdict(judge, 0, 1, annotator="me")])
    assert [j.item for j in ten.labels.all("pairs")] == ["i5"]
    ((what, hint),) = ten.runs.notices(run)
    assert "a person has judged pairs as me" in what
    assert "annotator" in hint


def test_that_verdicts_for_what_is_gone_are_told(ten: Store, judge: Say) -> None:
    gone, other = judging(ten, data="nowhere"), judging(ten)
    ten.runs.absorb(gone, [verdict(judge, 0, 1)])
    assert "the dataset nowhere is gone" in ten.runs.notices(gone)[0][0]
    ten.runs.absorb(other, [verdict(judge, 0, 1), verdict(judge, 99, 2)])
    assert by_robot(ten) == ["i0"]
    assert "1 judgements could not be kept" in ten.runs.notices(other)[0][0]


def test_that_a_verdict_about_fewer_candidates_is_refused(store: Store, item: Callable[..., Item], judge: Say) -> None:
    store.datasets.create("pairs", "preferences")
    store.datasets.append("pairs", [NewRow((item("i0", 3), []))])
    run = judging(store)
    store.runs.absorb(run, [verdict(judge, 0, 1)])
    assert store.labels.all("pairs") == []
    assert store.runs.notices(run)


def test_that_revisions_become_marked_demonstrations_and_pairs(store: Store) -> None:
    run = revising(store)
    store.runs.absorb(run, [revision(0, 1), revision(1, 2, why="the revision is empty"), revision(2, 3, given=True)])
    demos, pairs = store.datasets.get("better"), store.datasets.get("versus")
    assert (demos.kind, demos.rows, demos.synthetic) == ("demonstrations", 2, True)
    assert (pairs.kind, pairs.rows, pairs.judged, pairs.synthetic) == ("preferences", 2, 2, True)
    assert "writer" in demos.source
    row = store.datasets.rows("better")[0]
    assert (row.prompt, row.completion) == (Prompt.from_text("ask 0"), "good")
    assert row.raw is not None
    assert row.raw["Revised by"] == f"writer ({run}, synthetic)"
    assert (row.raw["Principle 2"], row.raw["Critique 2"]) == ("Be brief.", "Long.")
    said = store.labels.current("versus")
    assert [(j.annotator, j.annotator_kind, j.ranking and j.ranking.tiers) for j in said] == [
        ("writer (reviser)", "model", ((1,), (0,)))
    ] * 2
    items = [found.item for found in store.datasets.rows("versus")]
    assert [i and [(c.text, c.model) for c in i.candidates] for i in items] == [
        [("bad", "writer"), ("good", "writer")], [("bad", None), ("good", "writer")],
    ]  # fmt: skip


def test_that_revisions_are_kept_once_and_later_ones_are_appended(store: Store) -> None:
    run = revising(store)
    events: list[Event] = [revision(n, n + 1) for n in range(4)]
    store.runs.absorb(run, events[:3])
    store.runs.absorb(run, events)
    assert (store.datasets.get("better").rows, store.datasets.get("versus").rows) == (4, 4)
    store.runs.absorb(revising(store), [revision(0, 1)])
    assert (store.datasets.get("better").rows, store.datasets.get("versus").rows) == (5, 5)


def test_that_a_dataset_that_is_not_named_is_not_made(store: Store) -> None:
    store.runs.absorb(revising(store, pairs=""), [revision(0, 1)])
    assert [found.name for found in store.datasets.list()] == ["better"]


@pytest.mark.parametrize(("kind", "synthetic"), [("prompts", True), ("demonstrations", False)])
def test_that_nothing_is_mixed_into_other_data(store: Store, kind: Any, synthetic: bool) -> None:
    store.datasets.create("better", kind, synthetic=synthetic)
    run = revising(store)
    store.runs.absorb(run, [revision(0, 1)])
    assert store.datasets.get("better").rows == 0
    assert store.datasets.get("versus").rows == 1
    assert "better is no synthetic dataset of demonstrations" in store.runs.notices(run)[0][0]


def test_that_what_a_run_says_after_it_was_deleted_leaves_nothing(ten: Store, judge: Say) -> None:
    run = judging(ten)
    ten.runs.delete(run)
    with pytest.raises(NotFound):
        ten.runs.absorb(run, [verdict(judge, 0, 1)])
    assert by_robot(ten) == []
