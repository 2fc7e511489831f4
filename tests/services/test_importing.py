"""Imports: all or nothing, in slices, cancellable; and exports that can be imported again."""

import gzip
import json
import threading
from pathlib import Path

import pytest

from workbench.domain.errors import BadInput, Cancelled, Conflict, WorkbenchError
from workbench.services import importing
from workbench.services.workbench import Workbench
from workbench.store import schema as t
from workbench.store.labels import IMPORTED


def write_lines(path: Path, rows: list[object]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    rows = [{"prompt": f"q{n}", "chosen": f"good {n}", "rejected": f"bad {n}", "topic": f"t{n}"} for n in range(40)]
    return write_lines(tmp_path / "pairs.jsonl", rows)


def leftovers(bench: Workbench) -> int:
    with bench.workspace.store._database.read() as connection:
        return sum(len(connection.execute(table.select()).all()) for table in (t.datasets, t.rows, t.prompts, t.leases))


def test_that_pairs_become_items_with_one_imported_judgement(bench: Workbench, pairs: Path) -> None:
    done = bench.datasets.import_files([pairs], "pairs")
    assert (done.dataset, done.format, done.read, done.imported, done.left_out) == (
        "pairs",
        "trl-preference",
        40,
        40,
        (),
    )
    view = bench.datasets.get("pairs")
    assert (view.kind, view.rows, view.judged, view.source) == ("preferences", 40, 40, "pairs.jsonl")
    said = bench.labelling.judgements("pairs")
    assert {(j.annotator, j.annotator_kind) for j in said} == {(IMPORTED, "person")}
    (row,) = bench.datasets.page("pairs", 7, 1)
    assert row.texts[-2:] == (("Chosen", "good 7"), ("Rejected", "bad 7"))
    assert ("Line in the source", "8") in row.facts
    assert ("topic", "t7") in row.facts


def test_that_imported_pairs_can_be_judged_by_a_person_too(bench: Workbench, pairs: Path) -> None:
    bench.datasets.import_files([pairs], "pairs")
    shown, progress = bench.labelling.start("pairs")
    assert shown is not None
    assert (progress.judged, progress.total) == (0, 40)
    assert bench.labelling.counts() == (0, 0)


def test_that_real_pairs_are_imported_and_every_unusable_row_is_named(bench: Workbench, shared: Path) -> None:
    file = shared / "data/hh_rlhf/harmless-base.test.jsonl.gz"
    seen = bench.datasets.preview([file])
    assert (seen.format, seen.kind, seen.read) == ("hh-rlhf", "preferences", 2312)
    assert len(seen.rows) == 20
    assert seen.usable + len(seen.left_out) == 2312
    with pytest.raises(BadInput, match=f"{len(seen.left_out)} of 2312 rows"):
        bench.datasets.import_files([file], "harmless")
    assert leftovers(bench) == 0
    done = bench.datasets.import_files([file], "harmless", skip_bad=True)
    assert (done.imported, done.left_out) == (seen.usable, seen.left_out)
    frozen = bench.datasets.freeze("harmless", "preferences")
    assert frozen.rows == done.imported
    assert not frozen.synthetic


def test_that_a_bad_row_stops_the_import_unless_it_is_left_out(bench: Workbench, tmp_path: Path) -> None:
    good = {"prompt": "q", "chosen": "a", "rejected": "b"}
    file = write_lines(tmp_path / "some.jsonl", [good, {**good, "rejected": "a"}, {**good, "prompt": "r"}])
    seen = bench.datasets.preview([file])
    assert [(x.line, "identical" in x.reason) for x in seen.left_out] == [(2, True)]
    with pytest.raises(BadInput, match=r"1 of 3 rows.*line 2"):
        bench.datasets.import_files([file], "some")
    assert leftovers(bench) == 0
    assert bench.datasets.import_files([file], "some", skip_bad=True).imported == 2


def test_that_a_file_without_a_usable_row_is_refused_even_when_bad_rows_may_go(
    bench: Workbench, tmp_path: Path
) -> None:
    file = write_lines(tmp_path / "same.jsonl", [{"prompt": "q", "chosen": "a", "rejected": "a"}] * 3)
    with pytest.raises(BadInput, match="no usable row"):
        bench.datasets.import_files([file], "same", skip_bad=True)
    assert leftovers(bench) == 0


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("empty.jsonl", b""),
        ("cut.jsonl.gz", gzip.compress(b'{"prompt": "q", "chosen": "a", "rejected": "b"}\n' * 500, mtime=0)[:60]),
        ("latin.jsonl", '{"prompt": "\u00e4", "chosen": "a", "rejected": "b"}\n'.encode("latin-1")),
        ("picture.jsonl", bytes(range(256)) * 40),
        ("other.jsonl", b'{"weight": 3}\n{"weight": 4}\n'),
    ],
)
def test_that_a_file_that_cannot_be_used_changes_nothing(
    bench: Workbench, tmp_path: Path, name: str, content: bytes
) -> None:
    (tmp_path / name).write_bytes(content)
    for attempt in (
        lambda: bench.datasets.preview([tmp_path / name]),
        lambda: bench.datasets.import_files([tmp_path / name], "x"),
    ):
        with pytest.raises(WorkbenchError) as caught:
            attempt()
        assert caught.value.what
        assert caught.value.hint
    assert leftovers(bench) == 0


def test_that_a_cancelled_import_leaves_nothing(bench: Workbench, pairs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importing, "SLICE", 10)
    reports: list[tuple[int, int]] = []

    def progress(done: int, total: int) -> bool:
        reports.append((done, total))
        return done < 20

    with pytest.raises(Cancelled):
        bench.datasets.import_files([pairs], "pairs", progress=progress)
    assert reports[-3:] == [(0, 40), (10, 40), (20, 40)]
    assert leftovers(bench) == 0
    assert bench.datasets.import_files([pairs], "pairs").imported == 40


def test_that_a_label_does_not_wait_for_an_import(
    ten: Workbench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing, "SLICE", 20)
    rows = [{"prompt": f"q{n}", "chosen": f"good {n}", "rejected": f"bad {n}"} for n in range(60)]
    file = write_lines(tmp_path / "many.jsonl", rows)
    begun, labelled = threading.Event(), threading.Event()

    def midway(done: int, _total: int) -> bool:
        if done:
            begun.set()
            assert labelled.wait(60), "labels waited for the import"
        return True

    thread = threading.Thread(target=lambda: ten.datasets.import_files([file], "many", progress=midway))
    thread.start()
    assert begun.wait(60)
    shown, _ = ten.labelling.start("pairs")
    while shown is not None:
        answer = ten.labelling.record("pairs", shown, outcome="all_bad", milliseconds=1)
        shown = answer.next
    labelled.set()
    thread.join()
    assert ten.datasets.get("many").rows == 60


def test_that_a_taken_name_is_refused_before_anything_is_read(bench: Workbench, pairs: Path) -> None:
    bench.datasets.import_files([pairs], "pairs")
    with pytest.raises(Conflict):
        bench.datasets.import_files([pairs.with_name("absent.jsonl")], "pairs")
    with pytest.raises(BadInput, match="name"):
        bench.datasets.import_files([pairs], "  ")


def test_that_columns_can_be_mapped_by_hand(bench: Workbench, tmp_path: Path) -> None:
    file = write_lines(tmp_path / "odd.jsonl", [{"frage": "q", "gut": "a", "schlecht": "b"}])
    mapping = {"prompt": "frage", "chosen": "gut", "rejected": "schlecht"}
    done = bench.datasets.import_files([file], "odd", "trl-preference", mapping)
    assert done.imported == 1
    assert [text for _, text in bench.datasets.page("odd", 0, 1)[0].texts] == ["q", "a", "b"]


def test_that_what_is_exported_comes_back_the_same(bench: Workbench, pairs: Path, tmp_path: Path) -> None:
    bench.datasets.import_files([pairs], "pairs")
    shown, _ = bench.labelling.start("pairs")
    assert shown is not None
    bench.labelling.record("pairs", shown, outcome="skipped", skip_reason="unclear", milliseconds=5)
    done = bench.datasets.export("pairs", "workbench", tmp_path / "out.jsonl")
    assert (done.file, done.rows) == (tmp_path / "out.jsonl", 40)
    bench.datasets.import_files([done.file], "again")
    first, second = bench.datasets.page("pairs", 0, 50), bench.datasets.page("again", 0, 50)
    assert [r.texts for r in first] == [r.texts for r in second]
    assert [j.model_dump(exclude={"id"}) for j in bench.labelling.judgements("pairs")] == [
        j.model_dump(exclude={"id"}) for j in bench.labelling.judgements("again")
    ]


def test_that_preferences_are_exported_as_trl_pairs(bench: Workbench, pairs: Path, tmp_path: Path) -> None:
    bench.datasets.import_files([pairs], "pairs")
    assert "trl-preference" in bench.datasets.export_formats("pairs")
    done = bench.datasets.export("pairs", "trl-preference", tmp_path / "trl.jsonl")
    lines = [json.loads(line) for line in done.file.read_text(encoding="utf-8").splitlines()]
    assert len(lines) == done.rows == 40
    assert lines[3]["topic"] == "t3"
    with pytest.raises(BadInput):
        bench.datasets.export("pairs", "trl-text", tmp_path / "no.jsonl")
    assert not (tmp_path / "no.jsonl").exists()


@pytest.mark.parametrize(
    ("rows", "kind"),
    [
        ([{"text": "A document."}], "documents"),
        ([{"prompt": "The sky is"}], "prompts"),
        ([{"prompt": "The sky is", "completion": " blue."}], "demonstrations"),
    ],
)
def test_that_every_kind_of_dataset_is_imported_and_exported(
    bench: Workbench, tmp_path: Path, rows: list[object], kind: str
) -> None:
    bench.datasets.import_files([write_lines(tmp_path / "in.jsonl", rows)], "some")
    assert bench.datasets.get("some").kind == kind
    bench.datasets.export("some", "workbench", tmp_path / "out.jsonl")
    bench.datasets.import_files([tmp_path / "out.jsonl"], "again")
    before, after = bench.datasets.page("some", 0, 5), bench.datasets.page("again", 0, 5)
    assert [r.texts for r in before] == [r.texts for r in after]
