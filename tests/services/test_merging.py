"""Merging as the window and the command line do it."""

import json
import sqlite3
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.services.conftest import make_item
from workbench.cli.main import main
from workbench.domain.errors import BadInput, Conflict, NotFound, StorageFailed
from workbench.domain.judgement import Judgement, Ranking
from workbench.services import merging as merging_service
from workbench.services.workbench import Workbench
from workbench.store import merge_labels
from workbench.store.database import Database
from workbench.store.merge_datasets import MergeRecord
from workbench.store.other_workspace import copy_untouched
from workbench.store.sqlite import DATABASE
from workbench.store.upgrade import migrate


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Path]:
    """A second workspace, closed, in which "me" has judged two of the same items and one that is new."""
    with Workbench.open(tmp_path / "other", create=True) as bench:
        for name in ("i0", "i1", "extra"):
            bench.labelling.add_item("pairs", make_item(name))
            said = Judgement(
                id=f"theirs {name}", item=name, annotator="me", outcome="ranked", ranking=Ranking(tiers=((1,), (0,))),
                shown=(0, 1), shown_seed=1, milliseconds=5, created=datetime.now(UTC),
            )  # fmt: skip
            bench.labelling.add_judgement("pairs", said)
    return tmp_path / "other"


def test_that_a_merge_says_what_it_brought(ten: Workbench, other: Path) -> None:
    trial = ten.merging.merge(other, dry_run=True)
    assert ten.labelling.judgements("pairs") == []
    done = ten.merging.merge(other)
    assert done == trial
    assert (done.items, done.judgements, done.duplicates, done.changes) == (1, 3, 0, 4)
    assert [j.id for j in ten.labelling.judgements("pairs")] == ["theirs i0", "theirs i1", "theirs extra"]
    again = ten.merging.merge(other)
    assert (again.changes, again.duplicates) == (0, 3)


def test_that_labelling_goes_on_where_the_merge_left_something_to_judge(ten: Workbench, other: Path) -> None:
    ten.labelling.start("pairs")
    ten.merging.merge(other)
    shown, progress = ten.labelling.start("pairs")
    assert shown is not None
    assert (shown.item.id, progress.judged, progress.total) == ("i2", 3, 11)


def test_that_a_workspace_is_not_merged_with_itself(ten: Workbench, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(ten.path)
    for same in (ten.path, tmp_path / "link"):
        with pytest.raises(Conflict, match="with itself"):
            ten.merging.merge(same)
    with pytest.raises(NotFound, match="no workspace"):
        ten.merging.merge(tmp_path)


@pytest.mark.parametrize("name", ["", "a\nb", "x" * 81])
def test_that_nobody_is_renamed_to_what_is_no_name(ten: Workbench, other: Path, name: str) -> None:
    with pytest.raises(BadInput, match="no name for an annotator"):
        ten.merging.merge(other, {"me": name})
    with pytest.raises(Conflict, match="signs"):
        ten.merging.merge(other, {"me": "longer"})


def test_that_a_workspace_of_an_older_version_is_merged_and_stays_old(ten: Workbench, tmp_path: Path) -> None:
    old = tmp_path / "old"
    old.mkdir()
    database = Database(old / DATABASE)
    with database.write() as connection:
        migrate(database.dialect, connection, "0001")
    database.close()
    raw = sqlite3.connect(old / DATABASE)
    raw.execute(
        "INSERT INTO datasets (id, name, kind, state, source, synthetic, rows, judged, created) "
        "VALUES (1, 'texts', 'documents', 'ready', '', 0, 1, 0, 0.0)"
    )
    raw.execute("INSERT INTO rows (id, dataset_id, position, text, line) VALUES (1, 1, 0, 'once upon', 1)")
    raw.commit()
    raw.close()
    before, files = (old / DATABASE).read_bytes(), sorted(f.name for f in old.iterdir())
    assert ten.merging.merge(old).datasets == ("texts",)
    assert ten.datasets.values("texts") == ["once upon"]
    assert (old / DATABASE).read_bytes() == before
    assert sorted(f.name for f in old.iterdir()) == files


def test_that_a_file_that_changes_while_it_is_copied_is_read_again(
    ten: Workbench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = tmp_path / "made.db"
    raw = sqlite3.connect(made)
    raw.execute("CREATE TABLE t (x)")
    raw.commit()
    raw.close()
    addresses: list[str] = []
    connect = sqlite3.connect

    def watched(address: str, **more: object) -> sqlite3.Connection:
        addresses.append(str(address))
        if "immutable" in str(address):
            with connect(made) as somebody:
                somebody.execute("INSERT INTO t VALUES (1)")
            somebody.close()
        return connect(address, **more)  # type: ignore[call-overload, no-any-return]

    monkeypatch.setattr(sqlite3, "connect", watched)
    copy_untouched(made, tmp_path / "copy.db")
    assert ["immutable" in a for a in addresses if "mode=ro" in a] == [True, False]
    with connect(tmp_path / "copy.db") as copy:
        assert copy.execute("SELECT count(*) FROM t").fetchone() == (1,)
    copy.close()


def test_that_the_command_tells_and_does(ten: Workbench, other: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["label", "merge", str(ten.path), str(other)]
    assert main([*words, "--rename", "me=ben", "--dry-run"]) == 0
    assert capsys.readouterr().out.startswith(
        "Would bring judgements: 3, items: 1, other rows: 0. Judgements that were here already: 0."
    )
    assert main([*words, "--rename", "me=ben", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["judgements"], document["items"], document["datasets"]) == (3, 1, [])
    assert {j.annotator for j in ten.labelling.judgements("pairs")} == {"ben"}
    assert main(words) == 0
    assert "judged in both" not in capsys.readouterr().out
    assert main([*words, "--rename", "me"]) == 1
    assert "names nobody" in capsys.readouterr().err
    assert main(["label", "merge", str(ten.path), str(other / "absent")]) == 1
    assert "no workspace" in capsys.readouterr().err


def interrupt(bench: Workbench, other: Path, slices: int = 3) -> None:
    """A merge that stops after so many slices."""
    unfinished = bench.workspace.store.merging.merging(other, {"me": "ben"}, MergeRecord())
    for _ in range(slices):
        next(unfinished)
    unfinished.close()  # type: ignore[attr-defined]


def damage(bench: Workbench) -> None:
    (bench.path / "merging" / "workbench.db").write_bytes(b"this was a database")


def test_that_a_merge_that_can_not_be_completed_is_told_and_given_up(
    ten: Workbench, other: Path, tmp_path: Path
) -> None:
    assert ten.merging.trouble() is None
    assert ten.merging.abandon() is None
    interrupt(ten, other)
    damage(ten)
    with Workbench.open(ten.path) as again:
        trouble = again.merging.trouble()
        assert trouble is not None
        assert str(other) in trouble.what
        for attempt in (
            lambda: again.datasets.freeze("pairs", "preferences"),
            lambda: again.datasets.export("pairs", "workbench", tmp_path / "pairs.jsonl"),
        ):
            with pytest.raises(StorageFailed, match="can't be completed"):
                attempt()
        given_up = again.merging.abandon()
        assert given_up is not None
        assert (given_up.other, given_up.brought.judgements) == (str(other), 3)
        assert again.merging.trouble() is None
        assert again.datasets.freeze("pairs", "preferences").rows == 3


def test_that_the_command_gives_up_what_opening_would_complete(
    ten: Workbench, other: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["label", "merge", str(ten.path)]
    interrupt(ten, other, 2)
    items = ten.datasets.get("pairs").rows
    assert main([*words, "--abandon"]) == 0
    said = capsys.readouterr().out
    assert f"The merge of {other} is given up. It had brought judgements: 0, items: 1, other rows: 0." in said
    assert "Merging the same workspace again brings the rest." in said
    assert main([*words, "--abandon"]) == 0
    assert capsys.readouterr().out == "No merge is unfinished; nothing was changed.\n"
    assert (ten.datasets.get("pairs").rows, ten.labelling.judgements("pairs")) == (items, [])
    interrupt(ten, other)
    damage(ten)
    assert main([*words, "--abandon", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["abandoned"], document["brought"]["judgements"]) == (str(other), 3)
    assert main([*words, "--abandon", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"abandoned": None}


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--abandon", "there"], "--abandon gives up the merge that was begun"),
        (["--abandon", "--dry-run"], "--abandon gives up the merge that was begun"),
        (["--abandon", "--rename", "me=ben"], "--abandon gives up the merge that was begun"),
        (["there", "--rename", "=ben"], "--rename =ben names nobody"),
        (["there", "--rename", "me="], "--rename me= names nobody"),
    ],
)
def test_that_the_command_refuses_what_it_can_not_mean(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], more: list[str], said: str
) -> None:
    assert main(["label", "merge", str(tmp_path), *more]) == 1
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    "words", [["--rename", "a=b", "absent"], ["absent", "--rename", "a=b"], ["--dry-run", "absent"]]
)
def test_that_options_may_stand_on_either_side_of_the_other_workspace(
    ten: Workbench, capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    assert main(["label", "merge", str(ten.path), *words]) == 1
    assert "There is no workspace in" in capsys.readouterr().err


def test_that_a_merge_without_another_workspace_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["label", "merge", "here"]) == 2
    assert "OTHER" in capsys.readouterr().err


def test_that_nothing_is_given_up_where_no_workspace_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["label", "merge", str(tmp_path / "typo"), "--abandon"]) == 1
    assert "no workspace" in capsys.readouterr().err
    assert not (tmp_path / "typo").exists()


def test_that_people_label_while_a_merge_works_and_nobody_freezes_half_of_it(
    ten: Workbench, other: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paused, go_on = threading.Event(), threading.Event()

    def pause(_seconds: float) -> None:
        if brought():
            paused.set()
            assert go_on.wait(60)

    def brought() -> bool:
        return bool(ten.labelling.judgements("pairs"))

    monkeypatch.setattr(merge_labels, "SLICE", 1)
    monkeypatch.setattr(merging_service, "time", SimpleNamespace(sleep=pause))
    shown, _ = ten.labelling.start("pairs")
    assert shown is not None
    with ThreadPoolExecutor() as others:
        merging = others.submit(ten.merging.merge, other, {"me": "ben"})
        try:
            assert paused.wait(60)
            assert ten.labelling.record("pairs", shown, outcome="all_bad", milliseconds=1).next is not None
            for attempt in (
                lambda: ten.datasets.freeze("pairs", "preferences"),
                lambda: ten.datasets.export("pairs", "workbench", tmp_path / "pairs.jsonl"),
                lambda: ten.merging.merge(other),
            ):
                with pytest.raises(Conflict, match="being merged"):
                    attempt()
        finally:
            go_on.set()
        assert merging.result(60).judgements == 3
    assert ten.datasets.freeze("pairs", "preferences").rows == 3
    assert {(j.annotator, j.outcome) for j in ten.labelling.judgements("pairs")} == {
        ("ben", "ranked"),
        ("me", "all_bad"),
    }
