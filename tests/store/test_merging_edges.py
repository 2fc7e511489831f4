"""Where a merge has to look twice. One merge of two workspaces that differ in all these ways serves every test here."""

from collections.abc import Callable
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import insert, select, update

from workbench.domain.judgement import Item, Judgement, Ranking
from workbench.domain.profiles import Profile
from workbench.domain.queues import QueueSpec
from workbench.domain.text import Candidate, Prompt
from workbench.store import schema as t
from workbench.store.filling import NewRow
from workbench.store.queue_making import begin_queue
from workbench.store.store import Store, open_store

NOON = datetime.fromisoformat("2026-03-01T12:00:00+00:00")
NAMES = ("at once", "undone", "by ben", "older", "scored")


def item(name: str) -> Item:
    offered = tuple(Candidate(text=f"answer {i} to {name}") for i in range(2))
    return Item(id=name, prompt=Prompt.from_text(f"question {name}"), candidates=offered)


def judgement(name: str, annotator: str, when: datetime) -> Judgement:
    return Judgement(
        id=f"{name} by {annotator}", item=name, annotator=annotator, outcome="ranked", ranking=Ranking(tiers=((0,), (1,))),
        shown=(0, 1), shown_seed=7, milliseconds=5, created=when,
    )  # fmt: skip


def put(store: Store, table: Any, **values: Any) -> None:
    with store._database.write() as connection:
        connection.execute(insert(table).values(values))


def asked(store: Store, statement: Any) -> list[tuple[Any, ...]]:
    with store._database.read() as connection:
        return [tuple(row) for row in connection.execute(statement).all()]


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What is here and there, and what the merge said it brought."""
    folder = tmp_path_factory.mktemp("edges")
    here, there = open_store(folder / "here"), open_store(folder / "there")
    for store in (here, there):
        store.datasets.create("pairs", "preferences")
        store.datasets.append("pairs", [NewRow((item(name), [])) for name in NAMES])
        store.queues.create(QueueSpec(name="walk", dataset="pairs"))
    for name in NAMES[:4]:
        there.drafts.save("pairs", name, "me", {"note": f"of {name}"})
    with there._database.write() as connection:
        connection.execute(update(t.drafts).values(updated=NOON))
    for name, who, when in (
        ("at once", "anna", NOON), ("undone", "anna", NOON + timedelta(hours=1)),
        ("by ben", "ben", NOON + timedelta(hours=1)), ("older", "anna", NOON - timedelta(hours=1)),
    ):  # fmt: skip
        here.labels.add(judgement(name, who, when), "pairs")
        if name == "undone":
            here.labels.undo("pairs", "anna")
    for number, name in enumerate(NAMES, start=1):
        scores = [1.0, 2.0, 3.0] if name == "older" else [float(number), 0.0]
        put(
            there,
            t.row_scores,
            row_id=number,
            model="judge",
            scores=scores,
            spread=0.1 * number,
            run="r-1",
            created=NOON,
        )
    there.queues.create(
        QueueSpec(name="unsure", dataset="pairs", strategy="active", reward_model="judge", random_share=0.4)
    )
    begin_queue(there._database, QueueSpec(name="never shown", dataset="pairs", strategy="random"))
    there.golds.set("pairs", "scored", Ranking(tiers=((1,), (0,))), "me")
    there.guidelines.write("pairs", "how", [], "me")
    there.profiles.add(Profile(name="me", colour="yellow", created=NOON))
    there.datasets.create("half", "documents")
    with there._database.write() as connection:
        connection.execute(update(t.datasets).where(t.datasets.c.name == "half").values(state="filling"))
    done = here.merging.merge(there._workspace, {"me": "anna"})
    yield SimpleNamespace(here=here, there=there, done=done)
    here.close()
    there.close()


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("at once", None),
        ("undone", {"note": "of undone"}),
        ("by ben", {"note": "of by ben"}),
        ("older", {"note": "of older"}),
    ],
)
def test_that_a_draft_stays_behind_only_where_its_author_has_judged_since(
    both: Any, name: str, kept: dict[str, str] | None
) -> None:
    assert both.here.drafts.get("pairs", name, "anna") == kept
    assert both.done.drafts == 3


def test_that_scores_of_other_candidates_stay_behind(both: Any) -> None:
    assert [score.item for score in both.here.scores.of("pairs", "judge")] == ["at once", "undone", "by ben", "scored"]
    assert both.done.scores == 4


def test_that_scores_come_without_the_run_that_is_not_here(both: Any) -> None:
    assert set(asked(both.here, select(t.row_scores.c.run))) == {(None,)}


@pytest.mark.parametrize(
    ("column", "signed"),
    [
        (t.golds.c.author, "anna"),
        (t.guidelines.c.author, "anna"),
        (t.profiles.c.name, "anna"),
        (t.profiles.c.colour, "yellow"),
    ],
)
def test_that_who_is_called_otherwise_here_signs_everything_so(both: Any, column: Any, signed: str) -> None:
    assert asked(both.here, select(column)) == [(signed,)]


def test_that_items_of_a_queue_keep_why_they_are_where_they_are(both: Any) -> None:
    i = t.queue_items.c
    why = select(t.rows.c.item, i.origin, i.score).join(t.rows, t.rows.c.id == i.row_id)
    why = why.join(t.queues, t.queues.c.id == i.queue_id).where(t.queues.c.name == "unsure").order_by(i.place)
    found = asked(both.here, why)
    assert found == asked(both.there, why)
    assert {origin for _, origin, _ in found} == {"plain", "random"}
    assert any(score for _, _, score in found)


def test_that_a_queue_that_was_never_shown_stays_behind(both: Any) -> None:
    names = {name for (name,) in asked(both.here, select(t.queues.c.name))}
    assert names == {"walk", "unsure"}
    assert both.done.queues == 1


def test_that_a_queue_that_follows_its_dataset_gets_no_list_of_its_own(both: Any) -> None:
    own = (
        select(t.queue_items).join(t.queues, t.queues.c.id == t.queue_items.c.queue_id).where(t.queues.c.name == "walk")
    )
    assert asked(both.here, own) == []
    assert both.done.queued == 0
    assert both.here.queues.get("walk", "cara").left == 2  # three of five have their answer


def test_that_a_dataset_whose_import_is_not_complete_stays_behind(both: Any) -> None:
    assert [found.name for found in both.here.datasets.list()] == ["pairs"]
    assert both.done.datasets == []


@pytest.mark.parametrize("count", ["items", "judgements", "duplicates", "conflicts", "moves", "rows"])
def test_that_what_both_have_is_not_told_as_new(both: Any, count: str) -> None:
    assert getattr(both.done, count) == 0
    assert (both.done.golds, both.done.guidelines, both.done.profiles) == (1, 1, 1)


def test_that_a_second_merge_finds_nothing(both: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    again: Callable[..., Any] = both.here.merging.merge
    assert [
        value for value in vars(again(both.there._workspace, {"me": "anna"})).values() if isinstance(value, int)
    ] == [0] * 13
