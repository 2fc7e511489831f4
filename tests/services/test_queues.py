"""Labelling in queues as the window does it."""

import pytest

from workbench.domain.errors import BadInput, Conflict, NotFound
from workbench.domain.judgement import Aspect, Ranking, Span
from workbench.domain.queues import QueueSpec
from workbench.services.labelling import order_shown
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
