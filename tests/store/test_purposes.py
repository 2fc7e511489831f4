"""Judgements that are no labels, what a judgement says besides its ranking, and workspaces from before there was any of it."""

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from workbench.domain.judgement import Aspect, Judgement, Purpose, Ranking, Span
from workbench.store.database import Database
from workbench.store.schema import SCHEMA_VERSION
from workbench.store.store import DATABASE, Store, open_store
from workbench.store.upgrade import migrate

Judge = Callable[..., Judgement]


@pytest.mark.parametrize("purpose", ["repeat", "extra"])
def test_that_a_judgement_that_is_no_label_is_kept_and_counts_for_nothing(
    ten: Store, judge: Judge, purpose: Purpose
) -> None:
    ten.labels.add(judge("i0", "first"), "pairs")
    ten.labels.add(judge("i0", "again", purpose=purpose, tiers=((1,), (0,))), "pairs")
    assert [j.id for j in ten.labels.current("pairs")] == ["first"]
    assert [j.id for j in ten.labels.all("pairs")] == ["first", "again"]
    assert ten.labels.progress("pairs", "me").judged == 1
    assert ten.datasets.get("pairs").judged == 1


def test_that_a_repeat_is_undone_and_redone_like_a_label(ten: Store, judge: Judge) -> None:
    ten.labels.add(judge("i0", "first"), "pairs")
    ten.labels.add(judge("i0", "again", purpose="repeat"), "pairs")
    assert ten.labels.undo("pairs", "me").id == "again"
    assert ten.labels.progress("pairs", "me").judged == 1
    assert ten.labels.redo("pairs", "me").id == "again"
    assert [ten.labels.undo("pairs", "me").id for _ in range(2)] == ["again", "first"]
    assert ten.labels.progress("pairs", "me").judged == 0
    assert ten.labels.next_unjudged("pairs", "me")[0].item.id == "i0"


def test_that_a_repeat_by_one_annotator_is_no_overlap(ten: Store, judge: Judge) -> None:
    ten.labels.add(judge("i0"), "pairs")
    ten.labels.add(judge("i0", annotator="you", purpose="extra"), "pairs")
    assert ten.labels.overlapping("pairs") == []


def test_that_dimensions_comments_and_the_guidelines_version_come_back(ten: Store, judge: Judge) -> None:
    said = judge(
        "i0",
        "whole",
        queue="monday",
        guideline=3,
        purpose="adjudication",
        aspects=(Aspect(name="harmless", ranking=Ranking(tiers=((1,), (0,)))),),
        spans=(
            Span(candidate=1, start=2, end=5, comment="wrong year"),
            Span(candidate=0, start=0, end=0, comment="ok"),
        ),
    )
    ten.labels.add(said, "pairs")
    assert ten.labels.current("pairs") == [said]


@pytest.mark.parametrize(
    "wrong",
    [
        {"aspects": ({"name": "harmless", "ranking": {"tiers": ((0,),)}},)},
        {"aspects": ({"name": "a", "ranking": {"tiers": ((0, 1),)}}, {"name": "a", "ranking": {"tiers": ((0, 1),)}})},
        {"spans": ({"candidate": 2, "start": 0, "end": 1, "comment": "x"},)},
        {"spans": ({"candidate": 0, "start": 3, "end": 3, "comment": "x"},)},
    ],
)
def test_that_parts_which_fit_no_candidate_are_refused(judge: Judge, wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"dimension|comment|span"):
        judge("i0", **wrong)


def test_that_labels_of_an_older_workspace_are_labels(tmp_path: Path) -> None:
    workspace = tmp_path / "old"
    workspace.mkdir()
    database = Database(workspace / DATABASE)
    with database.write() as connection:
        migrate(database.dialect, connection, "0001")
    database.close()
    with sqlite3.connect(workspace / DATABASE) as raw:
        raw.execute(
            "INSERT INTO datasets (id, name, kind, state, source, synthetic, rows, judged, created) "
            "VALUES (1, 'pairs', 'preferences', 'ready', '', 0, 1, 1, 0.0)"
        )
        raw.execute("INSERT INTO prompts (id, key, turns, raw, text) VALUES (1, x'00', '[]', 0, '')")
        raw.execute("INSERT INTO rows (id, dataset_id, position, prompt_id, item, line) VALUES (1, 1, 0, 1, 'i0', 0)")
        raw.execute("INSERT INTO candidates (row_id, place, text) VALUES (1, 0, 'a'), (1, 1, 'b')")
        raw.execute(
            "INSERT INTO judgements (uid, dataset_id, row_id, annotator, annotator_kind, outcome, ranking, strength, note, "
            "shown, shown_seed, milliseconds, created) VALUES "
            "('u', 1, 1, 'me', 'person', 'ranked', '[[0], [1]]', 1, '', '[0, 1]', 7, 1, 1.0)"
        )
        raw.execute("INSERT INTO standings VALUES (1, 1, 1, 'me', 'done')")
    raw.close()
    store = open_store(workspace)
    (said,) = store.labels.current("pairs")
    assert (said.purpose, said.guideline, said.queue, said.aspects, said.spans) == ("label", 0, None, (), ())
    assert list((workspace / "backups").glob(f"*before-schema-{SCHEMA_VERSION}.db"))
    store.close()
