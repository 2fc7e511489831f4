"""In which order the strategies ask, what ordering again does, and what stays as it was."""

import math
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from tests.store.test_queues import all_of, item_of, make, say
from workbench.domain.errors import BadInput, Conflict
from workbench.domain.judgement import Item, Judgement, Ranking
from workbench.domain.queues import QueueSpec
from workbench.domain.runs import ModelRef
from workbench.domain.text import Candidate, Prompt
from workbench.store import schema as t
from workbench.store.filling import NewRow
from workbench.store.queue_making import begin_queue, fill_queue, show_queue
from workbench.store.queue_orders import chance
from workbench.store.queue_scores import Said, contradiction, dispute, uncertainty
from workbench.store.store import Store

Judge = Callable[..., Judgement]
OTHER = ((1,), (0,))


def score(store: Store, scores: dict[int, tuple[list[float], float | None]], model: str = "rm") -> None:
    """What a run that scores leaves behind."""
    with store._database.write() as connection:
        found = connection.execute(t.rows.select().order_by(t.rows.c.position)).all()
        connection.execute(t.row_scores.delete())
        values = [
            {
                "row_id": found[n].id, "model": model, "scores": said, "spread": spread, "run": None,
                "created": datetime.now(UTC),
            }
            for n, (said, spread) in scores.items()
        ]  # fmt: skip
        connection.execute(t.row_scores.insert(), values)


def origins(store: Store, name: str = "q") -> dict[str, str]:
    i = t.queue_items
    with store._database.read() as connection:
        joined = i.join(t.rows, t.rows.c.id == i.c.row_id).join(t.queues, t.queues.c.id == i.c.queue_id)
        found = connection.execute(joined.select().where(t.queues.c.name == name).order_by(i.c.place)).all()
        return {row.item: row.origin for row in found}


def test_that_active_asks_first_what_the_model_is_least_sure_of(ten: Store, judge: Judge) -> None:
    score(ten, {n: ([0.0, (7 * n % 10) / 3], None) for n in range(8)})
    make(ten, strategy="active", reward_model="rm", random_share=0)
    order = all_of(ten, judge, "anna")
    assert order[:8] == [f"i{n}" for n in sorted(range(8), key=lambda n: 7 * n % 10)]
    assert set(order[8:]) == {"i8", "i9"}
    assert set(origins(ten).values()) == {"plain"}


def test_that_the_spread_of_an_ensemble_goes_before_differences(ten: Store, judge: Judge) -> None:
    score(ten, {n: ([0.0, 0.1 * n], 0.5 + n) for n in range(10)})
    make(ten, strategy="active", reward_model="rm", random_share=0)
    assert all_of(ten, judge, "anna") == [f"i{n}" for n in reversed(range(10))]


def test_that_the_random_share_is_a_sample_that_no_score_has_a_say_in(
    store: Store, item: Callable[..., Item], judge: Judge
) -> None:
    store.datasets.create("pairs", "preferences")
    store.datasets.append("pairs", [NewRow((item(f"i{n}"), [])) for n in range(300)])
    score(store, {n: ([0.0, n / 100], None) for n in range(300)})
    make(store, strategy="active", reward_model="rm", random_share=0.25, seed=9)
    drawn = {name for name, origin in origins(store).items() if origin == "random"}
    assert drawn == {f"i{n}" for n in range(300) if chance(9, n, "sample") < 0.25}
    assert 50 < len(drawn) < 100
    early = list(origins(store).values())[:100]
    assert 10 < early.count("random") < 45
    score(store, {n: ([0.0, -n / 7], None) for n in range(300)})
    store.queues.refresh("q")
    assert {name for name, origin in origins(store).items() if origin == "random"} == drawn


def test_that_a_queue_by_scores_needs_scores(ten: Store) -> None:
    for strategy in ("active", "mistakes"):
        with pytest.raises(BadInput, match="has scored no item of pairs"):
            make(ten, strategy=strategy, reward_model="rm")
    assert ten.queues.list("anna") == []


def test_that_ordering_again_leaves_what_was_answered_where_it_was(
    ten: Store, judge: Judge, item: Callable[..., Item]
) -> None:
    score(ten, {n: ([0.0, float(n)], None) for n in range(10)})
    make(ten, strategy="active", reward_model="rm", random_share=0)
    turn = ten.queues.begin("pairs", "q", "anna")
    for _ in range(3):
        turn = say(ten, judge, turn, "anna")
    assert item_of(turn) == "i3"
    ten.datasets.append("pairs", [NewRow((item("late"), []))])
    score(ten, {n: ([0.0, 20.0 - n], None) for n in range(11)})
    ten.queues.refresh("q")
    assert list(origins(ten)) == ["i0", "i1", "i2", "late", *(f"i{n}" for n in range(9, 2, -1))]
    seen = ten.queues.get("q", "anna")
    assert (seen.size, seen.record.full, seen.left) == (11, 3, 8)
    assert item_of(ten.queues.begin("pairs", "q", "ben")) == "late"
    ten.queues.leave("q", "ben")
    assert len(all_of(ten, judge, "anna")) == 8


def test_that_a_lease_outlives_ordering_again(ten: Store) -> None:
    make(ten, strategy="random", seed=1)
    held = item_of(ten.queues.begin("pairs", "q", "anna"))
    ten.queues.refresh("q")
    assert item_of(ten.queues.begin("pairs", "q", "ben")) != held
    assert ten.queues.renew("q", held or "", "anna")


def test_that_what_is_said_while_a_queue_is_ordered_is_counted(ten: Store, judge: Judge) -> None:
    make(ten, strategy="random", seed=1)
    old = ten.queues.get("q", "anna").record
    made = begin_queue(ten._database, old.spec, old)
    ten.labels.add(judge("i1", annotator="ben"), "pairs")
    steps = fill_queue(ten._database, made)
    assert next(steps) == 10
    turn = say(ten, judge, ten.queues.begin("pairs", "q", "anna"), "anna")
    assert list(steps) == []
    show_queue(ten._database, made)
    seen = ten.queues.get("q", "anna")
    assert (seen.record.full, seen.left, seen.record.created) == (2, 8, old.created)
    assert turn.progress.judged == 1
    assert ten.queues.begin("pairs", "q", "anna").progress.judged == 1


def test_that_two_who_order_a_queue_at_once_are_told(ten: Store) -> None:
    make(ten, strategy="random")
    old = ten.queues.get("q", "anna").record
    made = begin_queue(ten._database, old.spec, old)
    list(fill_queue(ten._database, made))
    ten.queues.refresh("q")
    with pytest.raises(Conflict, match="meanwhile"):
        show_queue(ten._database, made)
    assert [f.record.name for f in ten.queues.list("anna")] == ["q"]


def test_that_the_newest_model_comes_first(store: Store, judge: Judge) -> None:
    for model in ("old", "new"):
        store.models.add(ModelRef(name=model, path="/x", kind="sft", created=datetime.now(UTC)))
    store.datasets.create("pairs", "preferences")
    wrote = [("old", "old"), ("old", "stranger"), ("new", "old"), (None, None), ("stranger", "new")]
    rows = [
        NewRow(
            (
                Item(
                    id=f"i{n}",
                    prompt=Prompt.from_text("q"),
                    candidates=(Candidate(text="a", model=a), Candidate(text="b", model=b)),
                ),
                [],
            )
        )
        for n, (a, b) in enumerate(wrote)
    ]
    store.datasets.append("pairs", rows)
    make(store, strategy="newest_policy")
    assert all_of(store, judge, "anna") == ["i2", "i4", "i0", "i1", "i3"]


def test_that_disagreements_are_settled_by_a_third(ten: Store, judge: Judge) -> None:
    for n in (2, 5, 6):
        ten.labels.add(judge(f"i{n}", annotator="anna"), "pairs")
        ten.labels.add(judge(f"i{n}", annotator="ben", tiers=((0, 1),) if n == 2 else OTHER), "pairs")
    ten.labels.add(judge("i7", annotator="anna"), "pairs")
    ten.labels.add(judge("i7", annotator="ben"), "pairs")
    make(ten, strategy="disagreement", overlap=3)
    assert list(origins(ten)) == ["i5", "i6", "i2"]
    assert ten.queues.get("q", "cleo").record.full == 0
    assert item_of(ten.queues.begin("pairs", "q", "anna")) is None
    turn = ten.queues.begin("pairs", "q", "cleo")
    assert turn.next is not None
    assert turn.next.purpose == "adjudication"
    turn = say(ten, judge, turn, "cleo")
    assert ten.labels.current("pairs")[-1].purpose != "extra"
    assert item_of(turn) == "i6"
    assert item_of(ten.queues.begin("pairs", "q", "dora")) == "i2"
    ten.queues.leave("q", "dora")
    assert all_of(ten, judge, "cleo") == ["i6", "i2"]
    assert ten.queues.get("q", "dora").record.full == 3
    ten.queues.refresh("q")
    assert list(origins(ten)) == ["i5", "i6", "i2"]
    make(ten, name="again", strategy="disagreement", overlap=3)
    assert origins(ten, "again") == {}


def test_that_mistakes_come_back_to_be_confirmed_or_changed(ten: Store, judge: Judge) -> None:
    score(ten, {n: ([0.0, n - 5.0], None) for n in range(10)})
    for n in range(9):
        ten.labels.add(judge(f"i{n}", annotator="anna"), "pairs")
    make(ten, strategy="mistakes", reward_model="rm")
    assert list(origins(ten)) == ["i8", "i7", "i6"]
    turn = ten.queues.begin("pairs", "q", "anna")
    assert turn.next is not None
    assert turn.next.again is not None
    assert (turn.next.again.item, turn.next.again.annotator, turn.progress.total) == ("i8", "anna", 3)
    turn = say(ten, judge, turn, "anna", tiers=OTHER)
    assert item_of(turn) == "i7"
    turn = say(ten, judge, turn, "anna")
    assert (item_of(turn), turn.progress.judged, turn.progress.total) == ("i6", 2, 3)
    assert [j.ranking for j in ten.labels.for_item("i8")] == [Ranking(tiers=OTHER)]
    ten.queues.refresh("q")
    assert list(origins(ten)) == ["i8", "i7", "i6"]
    assert item_of(ten.queues.begin("pairs", "q", "anna")) == "i6"


def test_that_an_adjudication_alone_can_be_a_mistake(ten: Store, judge: Judge) -> None:
    score(ten, {n: ([0.0, 1.0], None) for n in range(10)})
    ten.labels.add(judge("i0", annotator="anna"), "pairs")
    ten.labels.add(judge("i0", annotator="cleo", tiers=OTHER, purpose="adjudication"), "pairs")
    ten.labels.add(judge("i1", annotator="anna"), "pairs")
    make(ten, strategy="mistakes", reward_model="rm")
    assert list(origins(ten)) == ["i1"]


def test_that_uncertainty_is_that_of_the_closest_pair() -> None:
    assert uncertainty([3.0, 3.0], None) == 0.25
    p = 1 / (1 + math.exp(-0.5))
    assert uncertainty([4.0, 1.0, 1.5], None) == pytest.approx(p * (1 - p), rel=1e-12)
    assert uncertainty([4.0, 1.0, 1.5], math.nan) == uncertainty([4.0, 1.0, 1.5], None)
    assert uncertainty([0.0, 0.0], 1.5) == 1.5
    assert uncertainty([0.0, 1e6], None) == 0.0


def test_that_a_contradiction_is_as_sure_as_the_worst_pair() -> None:
    ranking = Ranking(tiers=((1,), (0, 2)))
    assert contradiction(ranking, [2.0, 1.0, -9.0]) == pytest.approx(1 / (1 + math.exp(-1.0)), rel=1e-12)
    assert contradiction(ranking, [0.0, 1.0, 0.5]) == 0.0
    assert contradiction(Ranking(tiers=((0, 1, 2),)), [5.0, 0.0, 0.0]) == 0.0


def test_that_disputes_are_measured_by_pairs() -> None:
    def said(tiers: tuple[tuple[int, ...], ...] | None) -> Said:
        return Said("x", False, None if tiers is None else Ranking(tiers=tiers))

    a, b, tie, bad = said(((0,), (1,))), said(((1,), (0,))), said(((0, 1),)), said(None)
    assert [dispute(pair) for pair in ([a, b], [a, tie], [a, a], [a, bad], [bad, bad], [a])] == [1, 0.5, 0, 1, 0, 0]
    assert dispute([a, a, b]) == pytest.approx(2 / 3)
    assert dispute([said(((0,), (1,), (2,))), said(((0,), (2,), (1,)))]) == pytest.approx(1 / 3)


def test_that_chances_are_uniform_and_reproduced() -> None:
    drawn = [chance(3, n) for n in range(10_000)]
    assert drawn[:5] == [chance(3, n) for n in range(5)]
    cells = [sum(k / 10 <= x < (k + 1) / 10 for x in drawn) for k in range(10)]
    assert sum((c - 1000) ** 2 / 1000 for c in cells) < 27.9  # chi-square, 9 degrees of freedom, p = 0.001
    assert QueueSpec(name="q", dataset="d").random_share == 0.2
