"""A merge in slices: people label meanwhile, a process may die at any moment of it, and in the end it is whole."""

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest

from workbench.domain.errors import Conflict, StorageFailed
from workbench.domain.judgement import Item, Judgement
from workbench.domain.queues import QueueSpec
from workbench.store import merge_beside, merge_labels, merge_rows
from workbench.store.filling import NewRow
from workbench.store.merge_datasets import MergeRecord
from workbench.store.merge_journal import BROUGHT, FACTS, FOLDER
from workbench.store.sqlite import DATABASE
from workbench.store.store import Store, open_store

Judge = Callable[..., Judgement]
MakeItem = Callable[..., Item]
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
KILLED = """
import sys
from pathlib import Path
from workbench.store import merge_beside, merge_labels, merge_rows
from workbench.store.merge_datasets import MergeRecord
from workbench.store.store import open_store

for module in (merge_rows, merge_labels, merge_beside):
    module.SLICE = 1
slices = open_store(Path(sys.argv[1])).merging.merging(Path(sys.argv[2]), {}, MergeRecord())
for _ in range(int(sys.argv[3])):
    next(slices)
print("in the midst", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def pair(tmp_path: Path, item: MakeItem, judge: Judge) -> Iterator[tuple[Store, Store]]:
    """`a` has three items, two labels by anna, a queue; `b` has two of them and two more, labels, drafts, scores, guidelines, a gold."""
    a, b = open_store(tmp_path / "a"), open_store(tmp_path / "b")
    for store, names in ((a, "vwx"), (b, "wxyz")):
        store.datasets.create("pairs", "preferences")
        store.datasets.append("pairs", [NewRow((item(name), [])) for name in names])
    b.datasets.create("texts", "documents")
    b.datasets.append("texts", ["one", "two", "two"])
    a.queues.create(QueueSpec(name="both", dataset="pairs", strategy="random", seed=3))
    b.queues.create(QueueSpec(name="both", dataset="pairs", strategy="random", seed=3))
    b.queues.create(QueueSpec(name="theirs", dataset="pairs", strategy="random", seed=4, overlap=2))
    for n, name in enumerate("vw"):
        a.labels.add(judge(name, f"a{n}", "anna", created=NOON + timedelta(hours=n)), "pairs")
    for n, name in enumerate("xyzw"):
        tiers = ((1,), (0,))
        b.labels.add(judge(name, f"b{n}", "anna", tiers=tiers, created=NOON + timedelta(minutes=n)), "pairs")
        b.labels.add(judge(name, f"c{n}", "ben", queue="theirs", created=NOON + timedelta(minutes=n)), "pairs")
    b.labels.undo("pairs", "ben")
    b.guidelines.write("pairs", "how", [], "ben")
    b.drafts.save("pairs", "w", "ben", {"tiers": [[1]]})
    yield a, b
    a.close()
    b.close()


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (merge_rows, merge_labels, merge_beside):
        monkeypatch.setattr(module, "SLICE", 1)


def place(store: Store) -> Path:
    folder: Path = store._workspace
    return folder


def state(folder: Path) -> dict[str, list[Any]]:
    """What was brought, without numbers and times that each merge gives anew."""
    raw = sqlite3.connect(folder / DATABASE)
    wanted = {
        "rows": "SELECT d.name, position, item, text FROM rows JOIN datasets d ON d.id = dataset_id",
        "labels": "SELECT uid, item, s.annotator, ranking, s.state, s.counts, queue, guideline FROM judgements j"
        " JOIN standings s ON s.judgement_id = j.id JOIN rows r ON r.id = j.row_id",
        "moves": "SELECT uid, move FROM judgement_moves m JOIN judgements j ON j.id = m.judgement_id",
        "tallies": "SELECT annotator, judged FROM tallies",
        "datasets": "SELECT name, rows, judged FROM datasets WHERE state = 'ready'",
        "queues": 'SELECT name, size, "full", state FROM queues WHERE state = \'open\'',
        "queue_items": "SELECT q.name, place, item FROM queue_items i JOIN queues q ON q.id = queue_id"
        " JOIN rows r ON r.id = i.row_id WHERE q.state = 'open'",
        "progress": "SELECT name, annotator, judged, waiting FROM queue_progress JOIN queues ON id = queue_id WHERE state = 'open'"
        " AND (judged OR waiting)",
        "drafts": "SELECT item, annotator, body FROM drafts d JOIN rows r ON r.id = d.row_id",
        "guidelines": "SELECT version, text FROM guidelines",
    }  # fmt: skip
    found = {name: sorted(raw.execute(statement).fetchall(), key=repr) for name, statement in wanted.items()}
    raw.close()
    return found


def merged(folder: Path, other: Path) -> dict[str, list[Any]]:
    """What an undisturbed merge of copies makes."""
    copy = folder.with_name(f"copy of {folder.name}")
    shutil.copytree(folder, copy)
    store = open_store(copy)
    store.merging.merge(other, {})
    store.close()
    return state(copy)


@pytest.mark.parametrize("slices", [1, 10])
def test_that_a_merge_that_is_killed_is_completed_by_whoever_opens_the_workspace(
    pair: tuple[Store, Store], slices: int
) -> None:
    a, b = pair
    a.close()
    wanted, before = merged(place(a), place(b)), state(place(a))
    with subprocess.Popen(
        [sys.executable, "-c", KILLED, str(place(a)), str(place(b)), str(slices)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as child:  # fmt: skip
        assert child.stdout is not None
        assert child.stdout.readline().strip() == "in the midst"
        meanwhile = open_store(place(a))  # opens, but may not freeze half of a merge
        with pytest.raises(Conflict, match="being merged"):
            meanwhile.merging.settle()
        meanwhile.close()
        child.send_signal(signal.SIGKILL)
    assert (state(place(a)) == before) == (slices < 4)  # the first slices find what is here already
    b.close()
    shutil.rmtree(place(b))  # the journal has its own copy
    again = open_store(place(a))
    assert state(place(a)) == wanted
    assert again.check() == []
    again.close()
    assert not (place(a) / FOLDER).exists()


def test_that_people_label_between_two_slices(pair: tuple[Store, Store], judge: Judge) -> None:
    a, b = pair
    record = MergeRecord()
    said: dict[str, str] = {}
    for n, _ in enumerate(a.merging.merging(place(b), {}, record)):
        if n % 3 == 0:
            a.labels.add(judge("vwx"[n % 9 // 3], f"meanwhile {n}", "cara"), "pairs")
            said["vwx"[n % 9 // 3]] = f"meanwhile {n}"
        elif n % 3 == 1 and n % 2:
            a.labels.undo("pairs", "cara")
            a.labels.redo("pairs", "cara")
    assert (record.items, record.judgements, record.duplicates) == (2, 8, 0)
    labels = {(j.item, j.annotator): j.id for j in a.labels.current("pairs")}
    assert {item: name for (item, who), name in labels.items() if who == "cara"} == said
    assert a.labels.progress("pairs", "cara").judged == len(said)
    assert a.datasets.get("pairs").judged == len({item for item, _ in labels})
    for who in ("anna", "ben", "cara"):
        mine = {item for item, author in labels if author == who}
        assert a.labels.progress("pairs", who).judged == len(mine)
        assert {p.item.id for p in a.labels.next_unjudged("pairs", who, limit=9)} == set("vwxyz") - mine
    assert a.merging.merge(place(b), {}).judgements == 0


def test_that_two_merges_at_once_are_refused(pair: tuple[Store, Store]) -> None:
    a, b = pair
    first = a.merging.merging(place(b), {}, MergeRecord())
    next(first)
    with pytest.raises(Conflict, match="being merged"):
        a.merging.merge(place(b), {})
    for _ in first:
        pass
    assert a.merging.merge(place(b), {}).judgements == 0


def test_that_a_merge_that_met_an_error_is_completed_before_the_next(
    pair: tuple[Store, Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b = pair
    wanted = merged(place(a), place(b))
    with monkeypatch.context() as patched:
        patched.setattr(merge_beside.Beside, "_draft", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            a.merging.merge(place(b), {})
    assert (place(a) / FOLDER / FACTS).exists()
    done = a.merging.merge(place(b), {})
    assert "was completed first" in done.notes[-1]
    assert (done.judgements, done.drafts) == (0, 0)
    assert state(place(a)) == wanted


def halt(a: Store, b: Store, slices: int) -> None:
    """A merge that stops after so many slices, and can never be completed."""
    unfinished = a.merging.merging(place(b), {}, MergeRecord())
    for _ in range(slices):
        next(unfinished)
    unfinished.close()  # type: ignore[attr-defined]
    (place(a) / FOLDER / DATABASE).write_bytes(b"this was a database")


def test_that_a_workspace_opens_although_a_merge_can_not_be_completed(
    pair: tuple[Store, Store], caplog: pytest.LogCaptureFixture
) -> None:
    a, b = pair
    halt(a, b, 1)
    again = open_store(place(a))
    assert "isn't complete" in caplog.text
    trouble = again.merging.trouble
    assert trouble is not None
    assert trouble.what.startswith(f"The merge of {place(b)} can't be completed: The workspace's database is ")
    assert "--abandon" in trouble.hint
    again.close()


@pytest.mark.parametrize("slices", [1, 6, 11, 16, 19])
def test_that_a_merge_that_is_given_up_leaves_what_it_brought_whole(pair: tuple[Store, Store], slices: int) -> None:
    a, b = pair
    wanted, before = merged(place(a), place(b)), state(place(a))
    halt(a, b, slices)
    with pytest.raises(StorageFailed, match="can't be completed"):
        a.merging.settle()
    given_up = a.merging.abandon()
    assert given_up is not None
    assert given_up.other == place(b)
    assert not [f for f in place(a).iterdir() if FOLDER in f.name]
    left = state(place(a))
    told = given_up.brought
    new = {name: len(left[name]) - len(before[name]) for name in left}
    assert told.items + told.rows == new["rows"]
    assert told.judgements == new["labels"]
    assert (told.drafts, told.guidelines, told.queues) == (new["drafts"], new["guidelines"], new["queues"])
    assert a.datasets.get("pairs").judged == len({j.item for j in a.labels.current("pairs")})
    for who in ("anna", "ben"):
        mine = {j.item for j in a.labels.current("pairs") if j.annotator == who}
        assert a.labels.progress("pairs", who).judged == len(mine)
        assert {p.item.id for p in a.labels.next_unjudged("pairs", who, limit=9)} == {
            r.item.id for r in a.datasets.rows("pairs") if r.item is not None
        } - mine
    a.merging.settle()
    assert a.merging.trouble is None
    assert a.merging.abandon() is None
    a.merging.merge(place(b), {})
    assert state(place(a)) == wanted


def test_that_what_several_attempts_brought_is_told_together(pair: tuple[Store, Store]) -> None:
    a, b = pair
    whole = MergeRecord()
    rehearsal = place(a).with_name("rehearsal")
    shutil.copytree(place(a), rehearsal)
    store = open_store(rehearsal)
    for _ in store.merging.merging(place(b), {}, whole):
        pass
    store.close()
    first = a.merging.merging(place(b), {}, MergeRecord())
    for _ in range(7):
        next(first)
    first.close()  # type: ignore[attr-defined]
    second = a.merging.merging(place(b), {}, MergeRecord())
    for _ in range(14):
        next(second)
    second.close()  # type: ignore[attr-defined]
    given_up = a.merging.abandon()
    assert given_up is not None
    told = given_up.brought
    assert told.judgements == len(state(place(a))["labels"]) - 2
    assert (told.items, told.rows, told.duplicates, told.notes) == (whole.items, 0, 0, [])
    assert told.judgements > 1


def test_that_a_merge_under_way_is_not_given_up(pair: tuple[Store, Store]) -> None:
    a, b = pair
    merging = a.merging.merging(place(b), {}, MergeRecord())
    next(merging)
    with pytest.raises(Conflict, match=f"{place(b)} is being merged"):
        a.merging.abandon()
    facts = json.loads((place(a) / FOLDER / FACTS).read_text())
    assert facts["process"] == os.getpid()
    parent = psutil.Process().parent()
    assert parent is not None  # whoever it is, it lives
    alive = facts | {"process": parent.pid, "started": parent.create_time()}
    (place(a) / FOLDER / FACTS).write_text(json.dumps(alive))
    beside = open_store(place(a))
    assert beside.merging.trouble is None
    with pytest.raises(Conflict, match=f"{place(b)} is being merged"):
        beside.merging.abandon()
    beside.close()
    for _ in merging:
        pass
    assert a.merging.merge(place(b), {}).judgements == 0


def test_that_a_process_that_lives_on_lets_go_of_what_it_could_not_merge(pair: tuple[Store, Store]) -> None:
    a, b = pair
    halt(a, b, 2)
    facts = json.loads((place(a) / FOLDER / FACTS).read_text())
    assert (facts["process"], facts["other"]) == (0, str(place(b)))
    with pytest.raises(StorageFailed):
        a.merging.settle()
    assert json.loads((place(a) / FOLDER / FACTS).read_text())["process"] == 0


def test_that_no_other_merge_begins_while_one_can_not_be_completed(pair: tuple[Store, Store]) -> None:
    a, b = pair
    halt(a, b, 2)
    with pytest.raises(StorageFailed, match="can't be completed") as refused:
        a.merging.merge(place(b), {})
    assert "--abandon" in refused.value.hint
    assert a.merging.abandon() is not None
    assert a.merging.merge(place(b), {}).judgements == 8


@pytest.mark.parametrize("facts", ["", "{}", "[]", '{"other": 3, "rename": {}, "process": 1, "started": 1}', None])
def test_that_a_damaged_journal_neither_keeps_a_workspace_shut_nor_stays_for_ever(
    pair: tuple[Store, Store], facts: str | None
) -> None:
    a, b = pair
    halt(a, b, 9)
    file = place(a) / FOLDER / FACTS
    file.unlink() if facts is None else file.write_text(facts)
    again = open_store(place(a))
    assert again.merging.trouble is not None
    assert "journal is damaged" in again.merging.trouble.what
    with pytest.raises(StorageFailed, match="journal is damaged"):
        again.merging.merge(place(b), {})
    given_up = again.merging.abandon()
    assert given_up is not None
    assert given_up.other is None
    assert given_up.brought.items == 2
    assert again.merging.trouble is None
    assert again.merging.merge(place(b), {}).items == 0
    again.close()


@pytest.mark.parametrize("told", ["", "[1]", '{"items": "two", "judgements": 3, "notes": ["?"], "else": 1}', None])
def test_that_a_merge_is_given_up_whatever_stands_in_its_account(pair: tuple[Store, Store], told: str | None) -> None:
    a, b = pair
    halt(a, b, 1)
    file = place(a) / FOLDER / BROUGHT
    file.unlink() if told is None else file.write_text(told)
    given_up = a.merging.abandon()
    assert given_up is not None
    expected = 3 if told and told.startswith("{") else 0
    assert given_up.brought == MergeRecord(judgements=expected)


def test_that_a_store_opened_for_giving_up_completes_nothing(pair: tuple[Store, Store]) -> None:
    a, b = pair
    unfinished = a.merging.merging(place(b), {}, MergeRecord())
    next(unfinished)
    unfinished.close()  # type: ignore[attr-defined]
    before = state(place(a))
    beside = open_store(place(a), settle=False)
    assert beside.merging.abandon() is not None
    beside.close()
    open_store(place(a)).close()
    assert state(place(a)) == before


def test_that_what_died_before_it_began_is_cleared_away(pair: tuple[Store, Store]) -> None:
    a, b = pair
    left = place(a) / f".{FOLDER}-999999999"
    left.mkdir()
    (left / DATABASE).write_bytes(b"half a copy")
    a.merging.merge(place(b), {})
    assert not left.exists()
    assert not [f for f in place(a).iterdir() if FOLDER in f.name]
