"""Several windows and commands on one workspace, in threads and in processes: no label is lost, nobody hears of locks."""

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.services.conftest import make_item
from workbench.domain.errors import BadInput, Cancelled, Conflict
from workbench.domain.judgement import Ranking
from workbench.services import importing
from workbench.services.workbench import Workbench
from workbench.store import schema as t

LABELLER = """
import sys
from pathlib import Path
from workbench.services.workbench import Workbench
with Workbench.open(Path(sys.argv[1])) as bench:
    shown, _ = bench.labelling.start("pairs")
    while shown is not None:
        answer = bench.labelling.record("pairs", shown, outcome="all_bad", note=sys.argv[2], milliseconds=1)
        print(answer.judgement.id, flush=True)
        shown = answer.next
"""
Works = list[Callable[[], object]]


@pytest.fixture
def three(ten: Workbench, tmp_path: Path) -> Iterator[list[Workbench]]:
    """Three workbenches on the workspace of `ten`, which has ten items to judge."""
    with ExitStack() as stack:
        yield [stack.enter_context(Workbench.open(tmp_path / "workspace")) for _ in range(3)]


def at_once(works: Works) -> list[BaseException]:
    gate = threading.Barrier(len(works))

    def run(work: Callable[[], object]) -> None:
        gate.wait()
        work()

    with ThreadPoolExecutor(len(works)) as pool:
        ended = [pool.submit(run, work) for work in works]
    return [error for future in ended if (error := future.exception()) is not None]


def judge_everything(bench: Workbench, note: str) -> list[str]:
    """Judge until nothing is left; returns the ids that were confirmed."""
    confirmed: list[str] = []
    shown, _ = bench.labelling.start("pairs")
    while shown is not None:
        answer = bench.labelling.record("pairs", shown, outcome="all_bad", note=note, milliseconds=1)
        confirmed.append(answer.judgement.id)
        shown = answer.next
    return confirmed


def leftovers(bench: Workbench) -> int:
    with bench.workspace.store._database.read() as connection:
        return sum(len(connection.execute(table.select()).all()) for table in (t.datasets, t.rows, t.prompts, t.leases))


def test_that_every_label_confirmed_to_any_window_is_in_the_log(ten: Workbench, three: list[Workbench]) -> None:
    confirmed: list[str] = []
    works: Works = [lambda b=b: confirmed.extend(judge_everything(b, "window")) for b in three]  # type: ignore[misc]
    assert at_once(works) == []
    said = ten.workspace.lane.do(ten.workspace.store.labels.all, "pairs")
    assert {j.id for j in said} == set(confirmed)
    assert len(said) == len(confirmed) >= 10
    assert ten.labelling.start("pairs")[1].judged == 10
    assert len(ten.labelling.judgements("pairs")) == 10


def test_that_labels_of_processes_beside_this_one_are_all_in_the_log(ten: Workbench, tmp_path: Path) -> None:
    for n in range(10, 40):
        ten.labelling.add_item("pairs", make_item(f"i{n}"))
    ran = [
        subprocess.Popen(
            [sys.executable, "-c", LABELLER, str(tmp_path / "workspace"), f"process {n}"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for n in range(2)
    ]  # fmt: skip
    confirmed: set[str] = set()
    for process in ran:
        assert process.stdout is not None
        confirmed.add(process.stdout.readline().strip())  # it is at work now, beside the others
    confirmed.update(judge_everything(ten, "here"))
    for process in ran:
        assert process.stdout is not None
        assert process.stderr is not None
        with process.stdout as out, process.stderr as err:
            confirmed.update(out.read().split())
            assert (err.read(), process.wait()) == ("", 0)
    confirmed.discard("")
    assert {j.id for j in ten.workspace.lane.do(ten.workspace.store.labels.all, "pairs")} == confirmed
    assert ten.datasets.get("pairs").judged == 40


def test_that_one_window_from_many_threads_keeps_every_label(ten: Workbench) -> None:
    shown, _ = ten.labelling.start("pairs")
    assert shown is not None
    works: Works = [
        lambda: ten.labelling.record("pairs", shown, outcome="ranked", ranking=Ranking(tiers=((0,), (1,))), milliseconds=1)
    ] * 8  # fmt: skip
    assert at_once(works) == []
    assert len(ten.workspace.lane.do(ten.workspace.store.labels.all, "pairs")) == 8
    for _ in range(8):
        ten.labelling.undo("pairs")
    with pytest.raises(Conflict, match="nothing to undo"):
        ten.labelling.undo("pairs")


def test_that_the_first_items_sent_by_several_windows_all_arrive(three: list[Workbench]) -> None:
    works: Works = [
        lambda b=b, n=n: [b.labelling.add_item("new", make_item(f"w{n}-{i}")) for i in range(5)]  # type: ignore[misc]
        for n, b in enumerate(three)
    ]
    assert at_once(works) == []
    found = {row.id for row in three[0].datasets.page("new", 0, 50)}
    assert found == {f"w{n}-{i}" for n in range(3) for i in range(5)}


def test_that_demonstrations_written_at_once_are_all_kept(ten: Workbench, three: list[Workbench]) -> None:
    shown, _ = ten.labelling.start("pairs")
    assert shown is not None
    works: Works = [
        lambda b=b, n=n: b.labelling.write_demonstration("pairs", shown, f"better {n}")  # type: ignore[misc]
        for n, b in enumerate(three)
    ]
    assert at_once(works) == []
    texts = {d.completion for d in ten.datasets.values("pairs-demonstrations")}
    assert texts == {"better 0", "better 1", "better 2"}


def test_that_an_undo_in_one_window_is_seen_by_the_other(three: list[Workbench]) -> None:
    one, two, _ = three
    judge_everything(one, "one")
    taken = two.labelling.undo("pairs")
    shown, progress = one.labelling.start("pairs")
    assert shown is not None
    assert (shown.item.id, progress.judged, progress.can_redo) == (taken.judgement.item, 9, True)


def test_that_a_name_imported_twice_at_once_is_given_to_one_and_the_other_leaves_nothing(
    bench: Workbench, tmp_path: Path
) -> None:
    file = tmp_path / "texts.jsonl"
    file.write_text('{"text": "one"}\n{"text": "two"}\n')
    with Workbench.open(tmp_path / "workspace") as other:
        raised = at_once([lambda b=b: b.datasets.import_files([file], "texts") for b in (bench, other)])  # type: ignore[misc]
    assert [type(error) for error in raised] == [Conflict]
    assert leftovers(bench) == 1 + 2
    assert bench.datasets.get("texts").rows == 2


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(stop=st.integers(0, 8))
def test_that_an_import_cancelled_at_any_report_leaves_nothing(
    bench: Workbench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop: int
) -> None:
    monkeypatch.setattr(importing, "SLICE", 10)
    file = tmp_path / "texts.jsonl"
    file.write_text("".join(f'{{"text": "document {n}"}}\n' for n in range(40)))
    reports: list[tuple[int, int]] = []

    def progress(done: int, total: int) -> bool:
        reports.append((done, total))
        return len(reports) <= stop

    with pytest.raises(Cancelled) as caught:
        bench.datasets.import_files([file], "texts", progress=progress)
    assert "nothing was imported" in caught.value.what
    assert len(reports) == stop + 1
    assert leftovers(bench) == 0
    assert bench.datasets.list() == []


def test_that_progress_only_grows_and_ends_at_its_total(
    bench: Workbench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing, "SLICE", 10)
    file = tmp_path / "texts.jsonl"
    file.write_text("".join(f'{{"text": "document {n}"}}\n' for n in range(35)))
    reports: list[tuple[int, int]] = []
    bench.datasets.import_files([file], "texts", progress=lambda done, total: reports.append((done, total)) is None)
    counted = [report for report in reports if report[1]]
    assert counted == [(0, 35), (10, 35), (20, 35), (30, 35), (35, 35)]
    assert all(done == 0 for done, total in reports if not total)


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError, BadInput("x")], ids=str)
def test_that_whatever_breaks_an_import_off_leaves_nothing(
    bench: Workbench, tmp_path: Path, error: BaseException
) -> None:
    file = tmp_path / "texts.jsonl"
    file.write_text('{"text": "one"}\n' * 3)

    def progress(done: int, _total: int) -> bool:
        if done:
            raise error
        return True

    with pytest.raises((KeyboardInterrupt, MemoryError, BadInput)):
        bench.datasets.import_files([file], "texts", progress=progress)
    assert leftovers(bench) == 0


def test_that_a_cancelled_import_leaves_the_prompts_of_others_alone(ten: Workbench, tmp_path: Path) -> None:
    before = leftovers(ten)
    file = tmp_path / "prompts.jsonl"
    file.write_text('{"prompt": "question i0"}\n{"prompt": "new"}\n')
    with pytest.raises(Cancelled):
        ten.datasets.import_files([file], "asked", progress=lambda done, _total: not done)
    assert leftovers(ten) == before
    assert ten.datasets.page("pairs", 0, 1)[0].title == "question i0"
