"""Labelling in queues as the window does it."""

import random
from collections import Counter

import pytest

from tests.services.conftest import make_item
from workbench.domain.errors import BadInput, Conflict, NotFound
from workbench.domain.judgement import Aspect, Ranking, Span
from workbench.domain.queues import QueueSpec
from workbench.services.labelling import SEED_BITS, order_shown
from workbench.services.views import Presentation, Recorded
from workbench.services.workbench import Workbench

LEFT, RIGHT = Ranking(tiers=((0,), (1,))), Ranking(tiers=((1,), (0,)))


def judge(bench: Workbench, shown: Presentation | None, **more: object) -> Recorded:
    assert shown is not None
    fields = {"outcome": "ranked", "ranking": LEFT, "milliseconds": 800} | more
    return bench.labelling.record("pairs", shown, **fields)  # type: ignore[arg-type]


def make(bench: Workbench, **fields: object) -> None:
    bench.queues.create(QueueSpec.model_validate({"name": "q", "dataset": "pairs"} | fields))


def test_that_a_queue_is_made_listed_closed_opened_and_deleted(ten: Workbench) -> None:
    made = ten.queues.create(QueueSpec(name="q", dataset="pairs", strategy="random", seed=3))
    assert (made.name, made.dataset, made.size, made.judged, made.left_for_you) == ("q", "pairs", 10, 0, 10)
    assert ten.queues.list() == ten.queues.list("pairs") == [made]
    assert ten.queues.list("other") == []
    ten.queues.close("q")
    assert ten.queues.get("q").state == "closed"
    assert ten.labelling.start("pairs", "q")[0] is None
    ten.queues.reopen("q")
    assert ten.labelling.start("pairs", "q")[0] is not None
    ten.queues.delete("q")
    with pytest.raises(NotFound):
        ten.labelling.start("pairs", "q")


def test_that_a_queue_needs_a_name_and_a_dataset(ten: Workbench) -> None:
    with pytest.raises(BadInput):
        make(ten, name=" ")
    with pytest.raises(NotFound):
        make(ten, dataset="absent")


def test_that_labelling_goes_on_in_the_queue_and_says_how_far_it_is(ten: Workbench) -> None:
    make(ten, strategy="random")
    shown, progress = ten.labelling.start("pairs", "q")
    seen = []
    while shown is not None:
        assert (shown.queue, shown.position, shown.total) == ("q", len(seen), 10)
        assert shown.shown == order_shown(2, shown.seed)
        seen.append(shown.item.id)
        answer = judge(ten, shown)
        assert (answer.judgement.queue, answer.progress.judged, answer.progress.total) == ("q", len(seen), 10)
        shown = answer.next
    assert sorted(seen) == [f"i{n}" for n in range(10)]
    assert progress.judged == 0


def test_that_undo_in_a_queue_brings_the_item_back_as_it_was_shown(ten: Workbench) -> None:
    make(ten)
    first, _ = ten.labelling.start("pairs", "q")
    answer = judge(ten, first)
    back = ten.labelling.undo("pairs", "q").next
    assert first is not None
    assert back is not None
    assert (back.item, back.shown, back.seed, back.queue) == (first.item, first.shown, first.seed, "q")
    assert back.previous == answer.judgement
    again = ten.labelling.redo("pairs", "q")
    assert again.judgement == answer.judgement
    assert again.next is not None
    assert (again.next.item.id, again.progress.judged) == ("i1", 1)


def test_that_undo_reaches_back_into_another_queue(ten: Workbench) -> None:
    make(ten)
    make(ten, name="other")
    judge(ten, ten.labelling.start("pairs", "q")[0])
    judge(ten, ten.labelling.start("pairs", "other")[0])
    judge(ten, ten.labelling.start("pairs")[0])
    back = [ten.labelling.undo("pairs", "other") for _ in range(3)]
    assert [(r.judgement.item, r.next.queue if r.next else None) for r in back] == [
        ("i2", ""), ("i1", "other"), ("i0", "q"),
    ]  # fmt: skip
    assert [r.progress.judged for r in back] == [1, 0, 0]
    assert [ten.labelling.redo("pairs").judgement.item for _ in range(3)] == ["i0", "i1", "i2"]


def test_that_a_late_answer_is_said_to_be_one_too_many(ten: Workbench) -> None:
    make(ten)
    late, _ = ten.labelling.start("pairs", "q")
    assert late is not None
    ten.queues.leave(late)
    ten.settings.change(annotator="ben")
    judge(ten, ten.labelling.start("pairs", "q")[0])
    assert not ten.queues.renew(late)
    ten.settings.change(annotator="me")
    answer = judge(ten, late)
    assert answer.judgement.purpose == "extra"
    assert "doesn't count" in answer.notice
    assert [j.annotator for j in ten.labelling.history("pairs", "i0")] == ["ben", "me"]
    assert [j.annotator for j in ten.labelling.judgements("pairs")] == ["ben"]


def test_that_an_item_is_judged_again_and_its_history_kept(ten: Workbench) -> None:
    with pytest.raises(Conflict, match="haven't judged"):
        ten.labelling.revise("pairs", "i0")
    first = judge(ten, ten.labelling.start("pairs")[0]).judgement
    again = ten.labelling.revise("pairs", "i0")
    assert (again.item.id, again.shown, again.previous) == ("i0", first.shown, first)
    second = judge(ten, again, ranking=RIGHT).judgement
    assert ten.labelling.history("pairs", "i0") == [first, second]
    assert ten.labelling.judgements("pairs") == [second]
    ten.labelling.undo("pairs")
    assert ten.labelling.history("pairs", "i0") == [first, second]
    assert ten.labelling.judgements("pairs") == [first]
    with pytest.raises(NotFound):
        ten.labelling.history("pairs", "absent")


def test_that_dimensions_and_comments_are_recorded(ten: Workbench) -> None:
    aspects, spans = [Aspect(name="harmless", ranking=RIGHT)], [Span(candidate=0, start=0, end=3, comment="rude")]
    said = judge(ten, ten.labelling.start("pairs")[0], aspects=aspects, spans=spans).judgement
    assert (said.aspects, said.spans) == (tuple(aspects), tuple(spans))
    assert ten.labelling.judgements("pairs") == [said]


def test_that_a_negative_seed_shows_the_mirror_image() -> None:
    for seed in (0, 1, 77, 2**31 - 1):
        assert order_shown(5, ~seed) == order_shown(5, seed)[::-1]


def test_that_closing_the_workspace_closes_no_queue(ten: Workbench) -> None:
    make(ten)
    ten.close()
    with Workbench.open(ten.path) as again:
        assert again.queues.get("q").state == "open"


def test_that_what_is_shown_again_is_mirrored_and_not_told(bench: Workbench) -> None:
    for n in range(40):
        bench.labelling.add_item("pairs", make_item(f"i{n}", 3))
    make(bench, repeats=0.5)
    shown, _ = bench.labelling.start("pairs", "q")
    first: dict[str, tuple[int, ...]] = {}
    again = count = 0
    while shown is not None:
        assert (shown.position, shown.previous) == (count, None)
        assert shown.shown == order_shown(3, shown.seed)
        if shown.purpose == "repeat":
            again += 1
            assert shown.shown == first[shown.item.id][::-1]
        else:
            first[shown.item.id] = shown.shown
        answer = judge(bench, shown, ranking=Ranking(tiers=((0,), (1,), (2,))))
        shown, count = answer.next, count + 1
        assert answer.progress.judged == count
    assert again > 5
    assert len(bench.labelling.judgements("pairs")) == 40


def test_that_every_order_of_three_is_shown_as_often_over_ten_thousand_presentations() -> None:
    seeds = random.Random(20)
    counts = Counter(order_shown(3, seeds.getrandbits(SEED_BITS)) for _ in range(10_000))
    expected = 10_000 / 6
    assert len(counts) == 6
    assert (
        sum((count - expected) ** 2 / expected for count in counts.values()) < 20.5
    )  # 5 degrees of freedom, p = 0.001


def test_that_presentations_draw_their_orders_fairly(bench: Workbench) -> None:
    bench.labelling.add_item("pairs", make_item("i0"))
    lefts = [shown.shown[0] for _ in range(400) if (shown := bench.labelling.start("pairs")[0])]
    assert 140 < sum(lefts) < 260


def test_that_known_answers_are_kept_by_item(ten: Workbench) -> None:
    ten.queues.set_gold("pairs", "i3", RIGHT)
    assert ten.queues.golds("pairs") == {"i3": RIGHT}
    ten.queues.clear_gold("pairs", "i3")
    assert ten.queues.golds("pairs") == {}


def test_that_ordering_again_takes_new_items_in(ten: Workbench) -> None:
    make(ten, strategy="random")
    ten.labelling.add_item("pairs", make_item("late"))
    assert ten.queues.get("q").size == 10
    assert ten.queues.refresh("q").size == 11
    with pytest.raises(NotFound):
        ten.queues.refresh("absent")


def test_that_guidelines_and_drafts_come_with_an_item_of_a_queue(ten: Workbench) -> None:
    make(ten)
    told = ten.guidelines.write("pairs", "Prefer the shorter one.")
    ten.drafts.save("pairs", "i0", {"note": "hm"})
    shown, _ = ten.labelling.start("pairs", "q")
    assert shown is not None
    assert (shown.guidelines, shown.draft) == (told, {"note": "hm"})
    answer = judge(ten, shown)
    assert answer.judgement.guideline == 1
    assert ten.drafts.get("pairs", "i0") is None
