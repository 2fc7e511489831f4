"""Labelling as the window does it: present, judge, next; undo; and a process killed in the middle."""

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.services.conftest import make_item
from workbench.domain.errors import BadInput, Conflict, NotFound
from workbench.domain.judgement import Item, Ranking
from workbench.domain.text import Candidate, Prompt
from workbench.services.labelling import order_shown
from workbench.services.views import Presentation, Recorded
from workbench.services.workbench import Workbench

LEFT = Ranking(tiers=((0,), (1,)))
KILLED = """
import sys
from pathlib import Path
from workbench.domain.judgement import Ranking
from workbench.services.workbench import Workbench

bench = Workbench.open(Path(sys.argv[1]))
shown, _ = bench.labelling.start("pairs")
for _ in range(int(sys.argv[2])):
    answer = bench.labelling.record(
        "pairs", shown, outcome="ranked", ranking=Ranking(tiers=((1,), (0,))), milliseconds=900
    )
    print(answer.judgement.id, flush=True)
    shown = answer.next
sys.stdin.read()
"""


def judge(bench: Workbench, shown: Presentation | None, **more: object) -> Recorded:
    assert shown is not None
    fields = {"outcome": "ranked", "ranking": LEFT, "milliseconds": 800} | more
    return bench.labelling.record("pairs", shown, **fields)  # type: ignore[arg-type]


def test_that_items_come_one_after_another_until_none_is_left(ten: Workbench) -> None:
    shown, progress = ten.labelling.start("pairs")
    assert (progress.judged, progress.total, progress.can_undo) == (0, 10, False)
    seen = []
    while shown is not None:
        seen.append(shown.item.id)
        answer = judge(ten, shown)
        assert answer.progress.last == answer.judgement
        shown = answer.next
    assert seen == [f"i{n}" for n in range(10)]
    assert ten.labelling.start("pairs")[0] is None


def test_that_a_label_survives_a_process_killed_straight_after_the_answer(ten: Workbench) -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(ten.path), "3"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    assert child.stdin is not None
    told = [child.stdout.readline().strip() for _ in range(3)]
    child.send_signal(signal.SIGKILL)
    child.wait()
    child.stdout.close()
    child.stdin.close()
    assert [j.id for j in ten.labelling.judgements("pairs")] == told
    assert all(j.ranking == Ranking(tiers=((1,), (0,))) for j in ten.labelling.judgements("pairs"))
    shown, progress = ten.labelling.start("pairs")
    assert progress.judged == 3
    assert shown is not None
    assert shown.item.id == "i3"


def test_that_the_order_shown_follows_from_the_recorded_seed(ten: Workbench) -> None:
    shown, _ = ten.labelling.start("pairs")
    while shown is not None:
        answer = judge(ten, shown)
        kept = answer.judgement
        assert kept.shown == shown.shown == order_shown(len(shown.item.candidates), kept.shown_seed)
        shown = answer.next


def test_that_each_side_is_shown_left_about_half_the_time() -> None:
    lefts = [order_shown(2, seed)[0] for seed in range(2000)]
    assert 900 < sum(lefts) < 1100
    assert {order_shown(3, seed) for seed in range(200)} == {order_shown(3, seed) for seed in range(400)}
    assert len({order_shown(3, seed) for seed in range(200)}) == 6


def test_that_undo_brings_the_item_back_as_it_was_shown(ten: Workbench) -> None:
    first, _ = ten.labelling.start("pairs")
    answer = judge(ten, first)
    back = ten.labelling.undo("pairs")
    assert back.judgement == answer.judgement
    assert back.next is not None
    assert first is not None
    assert (back.next.item, back.next.shown, back.next.seed) == (first.item, first.shown, first.seed)
    assert back.next.previous == answer.judgement
    assert (back.progress.judged, back.progress.can_redo) == (0, True)


def test_that_judging_goes_on_where_it_was_after_an_undo(ten: Workbench) -> None:
    shown, _ = ten.labelling.start("pairs")
    for _ in range(4):
        shown = judge(ten, shown).next
    again = judge(ten, ten.labelling.undo("pairs").next, strength=2)
    assert again.judgement.strength == 2
    assert again.next is not None
    assert again.next.item.id == "i4"
    assert again.progress.judged == 4


def test_that_redo_lets_the_judgement_count_again(ten: Workbench) -> None:
    shown, _ = ten.labelling.start("pairs")
    answer = judge(ten, shown)
    ten.labelling.undo("pairs")
    back = ten.labelling.redo("pairs")
    assert back.judgement == answer.judgement
    assert back.next is not None
    assert back.next.item.id == "i1"
    with pytest.raises(Conflict):
        ten.labelling.redo("pairs")


def test_that_judgements_are_signed_with_the_name_in_the_settings(ten: Workbench) -> None:
    judge(ten, ten.labelling.start("pairs")[0])
    ten.settings.change(annotator="anna")
    shown, progress = ten.labelling.start("pairs")
    assert progress.judged == 0
    judge(ten, shown)
    assert [(j.annotator, j.item) for j in ten.labelling.judgements("pairs")] == [("me", "i0"), ("anna", "i0")]


def test_that_who_wrote_what_is_shown_only_after_judging(ten: Workbench) -> None:
    shown, _ = ten.labelling.start("pairs")
    assert shown is not None
    with pytest.raises(Conflict, match="judged"):
        ten.labelling.reveal(shown)
    judge(ten, shown)
    assert ten.labelling.reveal(shown) == ("m0", "m1")


@pytest.mark.parametrize(
    "wrong",
    [
        {"ranking": None},
        {"outcome": "skipped", "ranking": None},
        {"outcome": "all_bad"},
        {"strength": 5},
        {"milliseconds": -1},
        {"ranking": Ranking(tiers=((0,), (1,), (2,)))},
    ],
)
def test_that_a_judgement_that_makes_no_sense_is_refused_and_not_kept(ten: Workbench, wrong: dict[str, object]) -> None:
    shown, _ = ten.labelling.start("pairs")
    with pytest.raises(BadInput):
        judge(ten, shown, **wrong)
    assert ten.labelling.judgements("pairs") == []
    assert judge(ten, shown).progress.judged == 1


def test_that_a_better_response_becomes_a_demonstration(ten: Workbench) -> None:
    shown, _ = ten.labelling.start("pairs")
    assert shown is not None
    name = ten.labelling.write_demonstration("pairs", shown, "A better one.\n")
    ten.labelling.write_demonstration("pairs", shown, "Another.")
    assert name == "pairs-demonstrations"
    rows = ten.datasets.page(name, 0, 10)
    assert [r.texts[-1] for r in rows] == [("Completion", "A better one.\n"), ("Completion", "Another.")]
    with pytest.raises(BadInput):
        ten.labelling.write_demonstration("pairs", shown, "  ")


def test_that_statistics_compare_annotators_and_models(ten: Workbench) -> None:
    for name, ranking in (("anna", LEFT), ("ben", Ranking(tiers=((1,), (0,))))):
        ten.settings.change(annotator=name)
        shown, _ = ten.labelling.start("pairs")
        for n in range(4):
            assert shown is not None
            shown = judge(ten, shown, ranking=LEFT if n < 2 else ranking).next
    document = ten.statistics.report("pairs").as_json()
    assert (document["items"], document["judgements"], document["annotators"]) == (4, 8, ["anna", "ben"])
    assert document["agreement"]["raw"] == 0.5
    assert {r["model"]: r["wins"] for r in document["ratings"]} == {"m0": 6, "m1": 2}
    with pytest.raises(NotFound):
        ten.statistics.report("absent")


def test_that_an_item_sent_to_ranking_is_presented(bench: Workbench) -> None:
    bench.settings.change(annotator="ben")
    with pytest.raises(NotFound):
        bench.labelling.start("arena")
    item = Item(id="x", prompt=Prompt.from_text("q"), candidates=tuple(Candidate(text=t) for t in "abcd"))
    bench.labelling.add_item("arena", item)
    shown, progress = bench.labelling.start("arena")
    assert shown is not None
    assert (shown.item, sorted(shown.shown), progress.total) == (item, [0, 1, 2, 3], 1)


def test_that_a_rules_judgement_stays_marked(ten: Workbench) -> None:
    shown, _ = ten.labelling.start("pairs")
    person = judge(ten, shown).judgement
    rule = person.model_copy(update={"id": "r", "item": "i5", "annotator": "happy", "annotator_kind": "rule"})
    ten.labelling.add_judgement("pairs", rule)
    assert [j.annotator_kind for j in ten.labelling.judgements("pairs")] == ["person", "rule"]
    (row,) = ten.datasets.page("pairs", 5, 1)
    assert ("Judgement", "happy (rule, synthetic): A ≻ B") in row.facts
    assert ten.labelling.counts() == (1, 1)


def test_that_labels_from_another_process_are_seen_at_the_next_start(ten: Workbench) -> None:
    ten.labelling.start("pairs")
    out = subprocess.run(
        [sys.executable, "-c", KILLED, str(ten.path), "2"], input="", capture_output=True, text=True, check=True
    )
    shown, progress = ten.labelling.start("pairs")
    assert progress.judged == 2 == len(out.stdout.split())
    assert shown is not None
    assert shown.item.id == "i2"
    assert json.loads(shown.item.model_dump_json())["id"] == "i2"


def test_that_the_workspace_says_so_when_it_is_closed(tmp_path: Path) -> None:
    bench = Workbench.open(tmp_path, create=True)
    bench.close()
    with pytest.raises(Conflict, match="closed"):
        bench.labelling.start("pairs")


def test_that_any_item_is_brought_anew_or_as_it_was_judged(ten: Workbench) -> None:
    fresh = ten.labelling.bring("pairs", "i7")
    assert (fresh.item.id, fresh.position, fresh.previous, fresh.purpose) == ("i7", 7, None, "label")
    assert fresh.shown == order_shown(2, fresh.seed)
    ten.labelling.record("pairs", fresh, outcome="ranked", ranking=Ranking(tiers=((1,), (0,))), milliseconds=5)
    again = ten.labelling.bring("pairs", "i7")
    assert (again.shown, again.seed) == (fresh.shown, fresh.seed)
    assert again.previous is not None and again.previous.ranking == Ranking(tiers=((1,), (0,)))
    with pytest.raises(NotFound):
        ten.labelling.bring("pairs", "absent")


def test_that_items_are_fetched_while_the_annotator_reads(ten: Workbench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of all labels none waits for a search, every item comes once, and in the dataset's order."""
    waiting: list[bool] = []
    labels, inside = ten.workspace.store.labels, [False]
    search = labels.next_unjudged

    def searched(*arguments: Any, **more: Any) -> Any:
        waiting.append(inside[0])
        return search(*arguments, **more)

    monkeypatch.setattr(labels, "next_unjudged", searched)
    for n in range(30):
        ten.labelling.add_item("pairs", make_item(f"more{n}"))
    shown, progress = ten.labelling.start("pairs")
    record = ten.labelling._record

    def recorded(*arguments: Any) -> Any:
        inside[0] = True
        try:
            return record(*arguments)
        finally:
            inside[0] = False

    monkeypatch.setattr(ten.labelling, "_record", recorded)
    seen = []
    while shown is not None:
        seen.append(shown.item.id)
        shown = ten.labelling.record("pairs", shown, outcome="all_bad", milliseconds=5).next
    assert len(seen) == len(set(seen)) == progress.total == 40
    assert seen == [row.id for row in ten.datasets.page("pairs", 0, 40)]
    assert waiting[:-1].count(True) == 0
    assert len(waiting) >= 5
