"""Items shown again and items whose answer is known: mixed in by a draw that the queue's seed fixes."""

from collections.abc import Callable

import pytest

from tests.store.test_queues import item_of, make, say
from workbench.domain.errors import BadInput, NotFound
from workbench.domain.judgement import Item, Judgement, Ranking
from workbench.store.asking import REPEAT_AFTER
from workbench.store.filling import NewRow
from workbench.store.queues import Turn
from workbench.store.store import Store

Judge = Callable[..., Judgement]
KNOWN = Ranking(tiers=((1,), (0,)))


@pytest.fixture
def hundred(store: Store, item: Callable[..., Item]) -> Store:
    store.datasets.create("pairs", "preferences")
    store.datasets.append("pairs", [NewRow((item(f"i{n}"), [])) for n in range(100)])
    return store


def walk(store: Store, judge: Judge, who: str, queue: str = "q", most: int = 400) -> list[tuple[str, str]]:
    """(purpose, item) of everything that a queue asks somebody."""
    turn, asked = store.queues.begin("pairs", queue, who), list[tuple[str, str]]()
    while turn.next is not None and len(asked) < most:
        asked.append((turn.next.purpose, turn.next.placed.item.id))
        turn = say(store, judge, turn, who, queue)
    return asked


def test_that_a_share_is_shown_again_and_each_item_once_at_most(hundred: Store, judge: Judge) -> None:
    make(hundred, repeats=0.25)
    asked = walk(hundred, judge, "anna")
    again = [n for n, (purpose, _) in enumerate(asked) if purpose == "repeat"]
    assert [item for purpose, item in asked if purpose == "label"] == [f"i{n}" for n in range(100)]
    assert 15 <= len(again) <= 50
    assert len({asked[n][1] for n in again}) == len(again)
    for n in again:
        assert asked[n][1] not in [item for _, item in asked[max(0, n - REPEAT_AFTER) : n]]
    assert len(hundred.labels.current("pairs")) == 100


def test_that_repeats_are_reproduced_by_the_seed(hundred: Store, judge: Judge) -> None:
    make(hundred, name="a", repeats=0.3, seed=4, overlap=9)
    make(hundred, name="b", repeats=0.3, seed=5, overlap=9)
    drawn = {name: [p for p, _ in walk(hundred, judge, who, name, 60)] for name, who in (("a", "x"), ("b", "y"))}
    assert drawn["a"] != drawn["b"]
    first = hundred.queues.begin("pairs", "a", "x")
    assert item_of(first) == item_of(hundred.queues.begin("pairs", "a", "x"))


def test_that_the_first_label_comes_along_so_that_its_order_can_be_mirrored(hundred: Store, judge: Judge) -> None:
    make(hundred, repeats=0.5)
    turn, told = hundred.queues.begin("pairs", "q", "anna"), dict[str, str]()
    for n in range(60):
        assert turn.next is not None
        item = turn.next.placed.item.id
        if turn.next.purpose == "repeat":
            assert turn.next.again is not None
            assert turn.next.again.id == told[item]
        else:
            told[item] = f"label {n}"
        turn = say(hundred, judge, turn, "anna", name=f"label {n}")


def test_that_an_undone_repeat_is_asked_again(hundred: Store, judge: Judge) -> None:
    make(hundred, repeats=0.5)
    turn = hundred.queues.begin("pairs", "q", "anna")
    while turn.next is not None and turn.next.purpose != "repeat":
        turn = say(hundred, judge, turn, "anna")
    asked = item_of(turn)
    after = say(hundred, judge, turn, "anna")
    back = hundred.queues.undo("pairs", "q", "anna")
    assert back.next is not None
    assert (item_of(back), back.next.purpose, back.next.taken_back) == (asked, "repeat", True)
    again = say(hundred, judge, back, "anna")
    assert again.next is not None
    assert after.next is not None
    assert (again.next.purpose, item_of(again) == asked) == (after.next.purpose, False)


def test_that_what_was_skipped_is_not_shown_again(hundred: Store, judge: Judge) -> None:
    make(hundred, repeats=0.5)
    turn = hundred.queues.begin("pairs", "q", "anna")
    for _ in range(60):
        assert turn.next is not None
        assert turn.next.purpose == "label"
        turn = say(hundred, judge, turn, "anna", outcome="skipped", ranking=None, skip_reason="unclear")


def test_that_known_answers_are_set_changed_and_cleared(ten: Store) -> None:
    ten.golds.set("pairs", "i4", KNOWN, "anna")
    ten.golds.set("pairs", "i2", KNOWN, "anna")
    ten.golds.set("pairs", "i4", Ranking(tiers=((0, 1),)), "ben")
    assert ten.golds.all("pairs") == {"i2": KNOWN, "i4": Ranking(tiers=((0, 1),))}
    ten.golds.clear("pairs", "i2")
    assert list(ten.golds.all("pairs")) == ["i4"]
    with pytest.raises(NotFound, match="no known answer"):
        ten.golds.clear("pairs", "i2")
    with pytest.raises(BadInput, match="has 2"):
        ten.golds.set("pairs", "i2", Ranking(tiers=((0,), (1,), (2,))), "anna")


def test_that_known_answers_are_mixed_in_for_everybody(hundred: Store, judge: Judge) -> None:
    golds = {f"i{n}" for n in range(10)}
    for item in golds:
        hundred.golds.set("pairs", item, KNOWN, "boss")
    make(hundred, golds=0.2)
    asked = walk(hundred, judge, "anna", most=40)
    places = [n for n, (_, item) in enumerate(asked) if item in golds]
    assert {purpose for purpose, _ in asked} == {"label"}
    assert 2 <= len(places) <= 10
    assert places != list(range(len(places)))
    plain = [item for _, item in asked if item not in golds]
    assert plain == [f"i{n}" for n in range(10, 10 + len(plain))]
    both = [item for _, item in walk(hundred, judge, "ben")]
    assert golds <= set(both)
    assert not set(plain) & set(both)
    counted = [j for j in hundred.labels.current("pairs") if j.item in golds]
    assert len(counted) == 10 + len(places)
    assert {j.purpose for j in counted} == {"label"}


def test_that_known_answers_come_at_last_in_any_case(ten: Store, judge: Judge) -> None:
    for item in ("i0", "i1", "i9"):
        ten.golds.set("pairs", item, KNOWN, "boss")
    make(ten, golds=0.01)
    asked = [item for _, item in walk(ten, judge, "anna")]
    assert (len(asked), set(asked[-3:])) == (10, {"i0", "i1", "i9"})


def test_that_a_known_answer_that_is_cleared_is_asked_in_order(ten: Store, judge: Judge) -> None:
    ten.golds.set("pairs", "i0", KNOWN, "boss")
    make(ten, golds=0.01)
    turn: Turn = ten.queues.begin("pairs", "q", "anna")
    for _ in range(4):
        turn = say(ten, judge, turn, "anna")
    assert item_of(turn) == "i5"
    ten.golds.clear("pairs", "i0")
    assert item_of(ten.queues.begin("pairs", "q", "anna")) == "i0"


def test_that_a_label_that_redo_brings_back_too_late_does_not_count(ten: Store, judge: Judge) -> None:
    make(ten)
    say(ten, judge, ten.queues.begin("pairs", "q", "anna"), "anna")
    ten.queues.undo("pairs", "q", "anna")
    ten.queues.leave("q", "anna")
    say(ten, judge, ten.queues.begin("pairs", "q", "ben"), "ben")
    back = ten.queues.redo("pairs", "q", "anna")
    assert "doesn't count" in back.notice
    assert [j.annotator for j in ten.labels.current("pairs")] == ["ben"]
    ten.queues.undo("pairs", "q", "anna")
    ten.queues.undo("pairs", "q", "ben")
    ten.queues.leave("q", "ben")
    assert ten.queues.redo("pairs", "q", "anna").notice == ""
    assert [j.annotator for j in ten.labels.current("pairs")] == ["anna"]
    assert ten.queues.get("q", "anna").record.full == 1


def test_that_saying_and_clearing_an_answer_tell_what_was_known_before(hundred: Store) -> None:
    other = Ranking(tiers=((0, 1),))
    assert hundred.golds.set("pairs", "i4", KNOWN, "me") is None
    assert hundred.golds.set("pairs", "i4", other, "me") == KNOWN
    assert hundred.golds.clear("pairs", "i4") == other
    with pytest.raises(NotFound):
        hundred.golds.clear("pairs", "i4")


def test_that_known_answers_tell_their_texts_and_whether_somebody_has_judged_them(hundred: Store, judge: Judge) -> None:
    for name in ("i7", "i2"):
        hundred.golds.set("pairs", name, KNOWN, "lead")
    hundred.labels.add(judge("i2", annotator="anna"), "pairs")
    found = hundred.golds.known("pairs", "anna")
    assert [(one.item, one.judged, one.author, one.ranking) for one in found] == [
        ("i2", True, "lead", KNOWN), ("i7", False, "lead", KNOWN),
    ]  # fmt: skip
    placed = hundred.labels.item("pairs", "i2").item
    assert found[0].prompt == placed.prompt.text
    assert found[0].responses == tuple(candidate.text for candidate in placed.candidates)
    assert not any(one.judged for one in hundred.golds.known("pairs", "ben"))


def test_that_an_item_that_was_left_is_taken_again_unless_somebody_else_has_it(hundred: Store, judge: Judge) -> None:
    make(hundred)
    anna = hundred.queues.begin("pairs", "q", "anna")
    hundred.queues.leave("q", "anna")
    assert hundred.queues.resume("q", item_of(anna), "anna")
    ben = hundred.queues.begin("pairs", "q", "ben")
    assert item_of(ben) != item_of(anna)  # it is kept from ben again
    hundred.queues.leave("q", "anna")
    assert item_of(hundred.queues.begin("pairs", "q", "carl")) == item_of(anna)
    assert not hundred.queues.resume("q", item_of(anna), "anna")
    assert not hundred.queues.resume("q", "nothing", "anna")
    hundred.queues.set_open("q", False)
    assert hundred.queues.resume("q", item_of(anna), "anna")  # a closed queue keeps nothing from anybody


def test_that_a_gold_item_is_taken_again_whoever_looks_at_it(hundred: Store) -> None:
    make(hundred, golds=0.5)
    hundred.golds.set("pairs", "i0", KNOWN, "me")
    for who in ("anna", "ben"):
        assert hundred.queues.resume("q", "i0", who)
