"""Opening, making and remembering workspaces; settings; the lane; and what freezing leaves out."""

import threading
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.services.conftest import make_item
from workbench.domain.errors import BadInput, Conflict, NotFound, StorageFailed
from workbench.domain.judgement import Ranking
from workbench.domain.rows import COLUMNS
from workbench.services import searching
from workbench.services.lane import Lane
from workbench.services.workbench import Workbench, last_workspace, new_workspace, remember_workspace
from workbench.store.filling import NewRow


def test_that_a_new_workspace_can_be_opened_again(tmp_path: Path) -> None:
    path = new_workspace(tmp_path / "work")
    assert {p.name for p in path.iterdir()} >= {"workbench.db", "runs", "snapshots", "models"}
    with Workbench.open(path) as bench:
        assert bench.path == path
        assert bench.datasets.list() == []


def test_that_a_folder_with_other_files_is_not_made_a_workspace(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("x")
    with pytest.raises(Conflict, match="empty"):
        new_workspace(tmp_path)
    with pytest.raises(Conflict):
        new_workspace(tmp_path / "mine.txt")
    with pytest.raises(StorageFailed):
        new_workspace(tmp_path / "mine.txt" / "below")
    assert [p.name for p in tmp_path.iterdir()] == ["mine.txt"]


def test_that_opening_nothing_says_how_to_make_something(tmp_path: Path) -> None:
    with pytest.raises(NotFound) as caught:
        Workbench.open(tmp_path / "absent")
    assert "workbench new" in caught.value.hint
    assert not (tmp_path / "absent").exists()


def test_that_a_file_in_the_workspaces_place_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(StorageFailed, match="file where"):
        Workbench.open(tmp_path / "file", create=True)


def test_that_the_last_workspace_is_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    assert last_workspace() is None
    path = new_workspace(tmp_path / "work")
    remember_workspace(path)
    assert last_workspace() == path
    (path / "workbench.db").unlink()
    assert last_workspace() is None
    (tmp_path / "config/rlhf-workbench/state.json").write_text("{")
    assert last_workspace() is None


def test_that_a_config_folder_that_cannot_be_written_is_no_reason_to_fail(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "config").write_text("a file")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    remember_workspace(tmp_path)
    assert last_workspace() is None


def test_that_settings_are_checked_and_kept(bench: Workbench) -> None:
    assert bench.settings.get().theme == "system"
    assert bench.settings.change(theme="dark", font_size=15).font_size == 15
    with pytest.raises(BadInput, match="font_size"):
        bench.settings.change(theme="light", font_size=500)
    with pytest.raises(BadInput):
        bench.settings.change(colour="red")
    assert bench.settings.get().theme == "dark"


def test_that_a_stored_setting_of_another_version_falls_back_to_its_default(bench: Workbench) -> None:
    lane, store = bench.workspace.lane, bench.workspace.store
    lane.do(store.settings.set, theme="purple", annotator="anna", hologram=True)
    assert (bench.settings.get().theme, bench.settings.get().annotator) == ("system", "anna")


def test_that_the_lane_keeps_order_hands_errors_back_and_nests() -> None:
    lane = Lane()
    seen: list[int] = []
    threads = [threading.Thread(target=lane.do, args=(seen.append, n)) for n in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(seen) == list(range(20))
    assert lane.do(lambda: lane.do(threading.get_ident)) != threading.get_ident()
    with pytest.raises(ZeroDivisionError):
        lane.do(lambda: 1 / 0)
    lane.close()
    with pytest.raises(Conflict, match="closed"):
        lane.do(list)


def test_that_what_reads_beside_the_lane_keeps_nobody_waiting_and_is_waited_for_at_the_end() -> None:
    lane, begun, go_on = Lane(), threading.Event(), threading.Event()
    order: list[str] = []

    def read() -> int:
        begun.set()
        assert go_on.wait(30)
        order.append("read")
        return threading.get_ident()

    found: list[int] = []
    reader = threading.Thread(target=lambda: found.append(lane.beside(read)))
    reader.start()
    assert begun.wait(30)
    assert lane.do(lambda: "at once") == "at once"
    closer = threading.Thread(target=lane.close, args=(lambda: order.append("last"),))
    closer.start()
    while lane._open:
        closer.join(0.001)
    with pytest.raises(Conflict, match="closed"):
        lane.beside(list)
    go_on.set()
    for thread in (reader, closer):
        thread.join(30)
    assert (found, order) == ([reader.ident], ["read", "last"])


def judge_all(bench: Workbench) -> None:
    """Ten items: one all bad, one tie, one skipped, one much better, the rest plain; the last is not judged."""
    shown, _ = bench.labelling.start("pairs")
    for n in range(9):
        assert shown is not None
        fields: dict[str, object] = {"outcome": "ranked", "ranking": Ranking(tiers=((1,), (0,)))}
        special: dict[int, dict[str, object]] = {
            0: {"outcome": "all_bad", "ranking": None},
            1: {"ranking": Ranking(tiers=((0, 1),))},
            2: {"outcome": "skipped", "ranking": None, "skip_reason": "other"},
            3: {"strength": 2},
        }
        answer = bench.labelling.record("pairs", shown, milliseconds=1, **fields | special.get(n, {}))  # type: ignore[arg-type]
        shown = answer.next


def test_that_a_snapshot_holds_the_comparisons_of_what_counts(ten: Workbench) -> None:
    judge_all(ten)
    ten.labelling.undo("pairs")
    frozen = ten.datasets.freeze("pairs", "preferences")
    assert frozen.path == ten.workspace.snapshots / f"{frozen.sha}.parquet"
    assert dict(frozen.left_out) == {"not judged": 2, "all bad": 1, "tie": 1, "skipped": 1}
    rows = pq.read_table(frozen.path).to_pylist()
    assert len(rows) == frozen.rows == 5
    assert tuple(rows[0]) == COLUMNS["preferences"]
    assert rows[0] == {
        "prompt": [{"role": "user", "content": "question i3"}],
        "raw": False,
        "chosen": "answer 1 to i3",
        "rejected": "answer 0 to i3",
        "margin": 2.0,
        "item": "i3",
        "annotator": "me",
        "synthetic": False,
    }


def test_that_a_ranking_of_many_gives_every_strict_pair(bench: Workbench) -> None:
    bench.labelling.add_item("ranks", make_item("x", candidates=4))
    shown, _ = bench.labelling.start("ranks")
    assert shown is not None
    ranking = Ranking(tiers=((2,), (0, 1), (3,)))
    bench.labelling.record("ranks", shown, outcome="ranked", ranking=ranking, milliseconds=1)
    rows = pq.read_table(bench.datasets.freeze("ranks", "preferences").path).to_pylist()
    pairs = {(r["chosen"][7], r["rejected"][7], r["margin"]) for r in rows}
    assert pairs == {("2", "0", 1), ("2", "1", 1), ("2", "3", 2), ("0", "3", 1), ("1", "3", 1)}


def test_that_the_same_rows_give_the_same_snapshot(ten: Workbench) -> None:
    judge_all(ten)
    first = ten.datasets.freeze("pairs", "preferences")
    assert ten.datasets.freeze("pairs", "preferences").sha == first.sha
    ten.labelling.undo("pairs")
    assert ten.datasets.freeze("pairs", "preferences").sha != first.sha
    assert first.path.exists()
    assert len(ten.workspace.lane.do(ten.workspace.store.snapshots.list)) == 2


def test_that_prompts_are_taken_from_preferences_without_repeats(ten: Workbench) -> None:
    ten.labelling.add_item("pairs", make_item("i0", candidates=3))
    frozen = ten.datasets.freeze("pairs", "prompts")
    assert (frozen.rows, frozen.left_out) == (10, (("the same prompt again", 1),))


def test_that_rows_by_a_rule_make_a_snapshot_synthetic(ten: Workbench) -> None:
    judge_all(ten)
    said = ten.labelling.judgements("pairs")[-1]
    fields = {"id": "r", "annotator": "rule", "annotator_kind": "rule"}
    ten.labelling.add_judgement("pairs", said.model_copy(update=fields))
    frozen = ten.datasets.freeze("pairs", "preferences")
    assert frozen.synthetic
    rows = pq.read_table(frozen.path).to_pylist()
    assert [r["annotator"] for r in rows if r["synthetic"]] == ["rule"]


def test_that_a_dataset_without_a_row_to_train_on_is_refused(ten: Workbench) -> None:
    with pytest.raises(BadInput, match="10 not judged"):
        ten.datasets.freeze("pairs", "preferences")
    with pytest.raises(BadInput, match="holds preferences"):
        ten.datasets.freeze("pairs", "documents")
    ten.datasets.create("texts", "documents")
    ten.datasets.append("texts", [NewRow(" \n")])
    with pytest.raises(BadInput, match="1 empty text"):
        ten.datasets.freeze("texts", "documents")


def test_that_a_search_pages_through_windows_and_sees_new_rows(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(searching, "WINDOW", 7)
    bench.datasets.create("texts", "documents")
    bench.datasets.append("texts", [NewRow(f"{'Even' if n % 2 == 0 else 'odd'} {n}") for n in range(40)])
    assert [r.title for r in bench.datasets.page("texts", 3, 2, "even")] == ["Even 6", "Even 8"]
    assert bench.datasets.count("texts", "EVEN") == 20
    bench.datasets.append("texts", [NewRow("even later")])
    assert [r.title for r in bench.datasets.page("texts", 19, 5, "even")] == ["Even 38", "even later"]
    assert bench.datasets.page("texts", 0, 5, "nowhere") == []


def test_that_a_dataset_of_the_same_name_is_searched_anew(bench: Workbench) -> None:
    for words in ("first", "second"):
        bench.datasets.create("texts", "documents")
        bench.datasets.append("texts", [NewRow(words)])
        assert bench.datasets.count("texts", words) == 1
        bench.datasets.delete("texts")


def test_that_pages_and_counts_follow_a_search(ten: Workbench) -> None:
    assert [r.id for r in ten.datasets.page("pairs", 0, 5, "i7")] == ["i7"]
    assert (ten.datasets.count("pairs"), ten.datasets.count("pairs", "i7")) == (10, 1)
    ten.datasets.delete("pairs")
    with pytest.raises(NotFound):
        ten.datasets.page("pairs", 0, 5)
