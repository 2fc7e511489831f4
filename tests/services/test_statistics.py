"""Reports over a real workspace: what counts, what is kept, what is written."""

import csv
import json
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, select

import workbench.store.labels as labels_reading
import workbench.store.statistics as reading
from tests.services.conftest import make_item
from tests.services.pandalm import PEOPLE, write_pandalm
from workbench.domain.errors import BadInput, Cancelled, NotFound, StorageFailed
from workbench.domain.judgement import Aspect, Item, Judgement, Ranking
from workbench.domain.queues import QueueSpec
from workbench.domain.text import Candidate, Prompt
from workbench.services.workbench import Workbench
from workbench.store import schema as t

START = datetime(2026, 5, 1, tzinfo=UTC)
A, B = ((0,), (1,)), ((1,), (0,))


def judge(bench: Workbench, item: str, who: str, *tiers: tuple[int, ...], second: float = 0.0, **more: Any) -> None:
    facts: dict[str, Any] = {
        "shown": (0, 1), "shown_seed": 3, "milliseconds": 1500, "created": START + timedelta(seconds=second),
        "outcome": "ranked", "ranking": Ranking(tiers=tiers),
    }  # fmt: skip
    said = Judgement(id=uuid.uuid4().hex, item=item, annotator=who, **{**facts, **more})
    bench.labelling.add_judgement("pairs", said)


def test_that_an_unjudged_dataset_has_no_figures(ten: Workbench) -> None:
    found = ten.statistics.report("pairs")
    assert (found.figures, found.disputes, found.random) == ((), (), None)
    assert found.labels.judgements == 0
    assert json.loads(json.dumps(found.as_json()))["figures"] == []


def test_that_agreement_repeats_golds_and_disputes_are_reported_together(ten: Workbench) -> None:
    for n in range(10):
        judge(ten, f"i{n}", "ann", *A, second=n)
        judge(ten, f"i{n}", "bob", *(B if n == 3 else A), second=n + 100)
    judge(ten, "i1", "ann", *A, second=200, purpose="repeat", shown=(1, 0))
    judge(ten, "i2", "ann", *B, second=201, purpose="repeat", shown=(1, 0))
    gold(ten, "i3", A)
    found = ten.statistics.report("pairs")
    assert found.labels.judgements == 20
    assert found.labels.agreement.raw is not None and found.labels.agreement.raw.value == 0.9
    assert (found.consistency["ann"].value, found.consistency["ann"].count) == (0.5, 2)
    assert (found.golds["ann"].value, found.golds["bob"].value) == (1.0, 0.0)
    (dispute,) = found.disputes
    assert (dispute.item, dispute.position, found.prompts["i3"]) == ("i3", 3, "question i3")
    names = [figure.name for figure in found.figures]
    assert len(names) == len(set(names))
    for name in (
        "agreement.raw",
        "agreement.cohen_kappa.ann|bob",
        "consistency.ann",
        "gold.bob",
        "left",
        "pace.ann",
        "wins.m0|m1",
    ):
        figure = found.figure(name)
        assert figure is not None and figure.sentence, name
    assert found.labels.pace["ann"].items == 12  # repeats take time too


def gold(bench: Workbench, item: str, tiers: tuple[tuple[int, ...], ...]) -> None:
    def write() -> None:
        with bench.workspace.store._database.write() as connection:
            row = connection.execute(select(t.rows.c.id).where(t.rows.c.item == item)).scalar_one()
            values = {"row_id": row, "ranking": [list(tier) for tier in tiers], "author": "me", "created": START}
            connection.execute(insert(t.golds).values(values))

    bench.workspace.lane.do(write)


def queue(bench: Workbench, name: str, origins: dict[str, str], strategy: str = "active") -> None:
    spec = QueueSpec(name=name, dataset="pairs", strategy=strategy, reward_model="rm")  # type: ignore[arg-type]

    def write() -> None:
        with bench.workspace.store._database.write() as connection:
            data = bench.workspace.store.datasets.get("pairs").id
            values = {
                "id": 1, "name": name, "dataset_id": data, "spec": spec.model_dump(mode="json"), "state": "open",
                "size": len(origins), "full": 0, "frontier": 0, "created": START,
            }  # fmt: skip
            connection.execute(insert(t.queues).values(values))
            for place, (item, origin) in enumerate(origins.items()):
                row = connection.execute(select(t.rows.c.id).where(t.rows.c.item == item)).scalar_one()
                here = {"queue_id": 1, "place": place, "row_id": row, "origin": origin, "score": 0.0}
                connection.execute(insert(t.queue_items).values(here))

    bench.workspace.lane.do(write)


def test_that_items_which_a_model_chose_are_left_out_of_the_unbiased_figures(ten: Workbench) -> None:
    queue(ten, "unsure", {f"i{n}": "random" if n < 4 else "plain" for n in range(10)})
    for n in range(10):
        judge(ten, f"i{n}", "ann", *A, queue="unsure", second=n)
        judge(ten, f"i{n}", "bob", *(A if n < 4 else B), queue="unsure", second=n)
    found = ten.statistics.report("pairs")
    assert found.labels.agreement.raw is not None and found.labels.agreement.raw.value == 0.4
    assert found.random is not None and found.random.agreement.raw is not None
    assert (found.random.items, found.random.agreement.raw.value) == (4, 1.0)
    figure = found.figure("random.agreement.raw")
    assert figure is not None and figure.group == "Items drawn at random"


def test_that_a_queue_in_order_biases_nothing(ten: Workbench) -> None:
    queue(ten, "plain", {"i0": "plain"}, "in_order")
    judge(ten, "i0", "ann", *A, queue="plain")
    assert ten.statistics.report("pairs").random is None


def test_that_each_dimension_has_its_own_agreement(ten: Workbench) -> None:
    for n in range(6):
        for who, tiers in (("ann", A), ("bob", A if n % 2 else B)):
            aspects = (
                Aspect(name="helpful", ranking=Ranking(tiers=A)),
                Aspect(name="true", ranking=Ranking(tiers=tiers)),
            )
            judge(ten, f"i{n}", who, *A, aspects=aspects, second=n)
    found = ten.statistics.report("pairs").dimensions
    assert found["helpful"].raw is not None and found["helpful"].raw.value == 1.0
    assert found["true"].raw is not None and found["true"].raw.value == 0.5


def test_that_pairs_of_the_same_responses_in_a_circle_are_listed(bench: Workbench) -> None:
    prompt = Prompt.from_text("Which?")
    for name, texts in (("p", "AB"), ("q", "BC"), ("r", "CA"), ("s", "AB")):
        of = prompt if name != "s" else Prompt.from_text("Another?")
        bench.labelling.add_item("pairs", Item(id=name, prompt=of, candidates=tuple(Candidate(text=c) for c in texts)))
        judge(bench, name, "ann", *A)
    (circle,) = bench.statistics.report("pairs").response_circles
    assert set(circle.items) == {"p", "q", "r"}


def test_that_what_was_undone_says_nothing(ten: Workbench) -> None:
    presentation, _ = ten.labelling.start("pairs")
    assert presentation is not None
    ten.labelling.record("pairs", presentation, outcome="ranked", ranking=Ranking(tiers=A), milliseconds=900)
    assert ten.statistics.report("pairs").labels.judgements == 1
    ten.labelling.undo("pairs")
    assert ten.statistics.report("pairs").labels.judgements == 0


def test_that_a_report_is_kept_until_labels_or_known_answers_change(ten: Workbench) -> None:
    judge(ten, "i0", "ann", *A)
    first = ten.statistics.report("pairs")
    assert ten.statistics.report("pairs") is first
    judge(ten, "i1", "ann", *A)
    second = ten.statistics.report("pairs")
    assert second is not first and second.labels.judgements == 2
    gold(ten, "i1", B)
    assert ten.statistics.report("pairs").golds["ann"].value == 0.0


def test_that_progress_is_told_and_a_no_ends_it(ten: Workbench) -> None:
    judge(ten, "i0", "ann", *A)
    told: list[tuple[int, int]] = []
    with pytest.raises(Cancelled):
        ten.statistics.report("pairs", progress=lambda done, total: told.append((done, total)) or False)  # type: ignore[func-returns-value]
    assert told == [(10, 10)]


def test_that_datasets_without_items_to_judge_are_refused(bench: Workbench) -> None:
    with pytest.raises(NotFound):
        bench.statistics.report("absent")
    bench.workspace.lane.do(bench.workspace.store.datasets.create, "texts", "text")
    with pytest.raises(BadInput, match="not items to judge"):
        bench.statistics.report("texts")


def test_that_every_figure_is_written_into_a_table(ten: Workbench, tmp_path: Path) -> None:
    for n in range(10):
        judge(ten, f"i{n}", "ann", *A, second=n)
        judge(ten, f"i{n}", "bob", *(B if n == 3 else A), second=n)
    found = ten.statistics.report("pairs")
    done = ten.statistics.export_csv("pairs", tmp_path / "figures.csv")
    with done.file.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert done.rows == len(rows) == len(list(found.rows()))
    by_name = {row["name"]: row for row in rows}
    assert float(by_name["agreement.raw"]["value"]) == 0.9
    assert float(by_name["confusion.ann|bob.first|second"]["value"]) == 1
    assert by_name["pace.ann"]["low"] == ""
    assert by_name["agreement.raw"]["how to read it"].startswith("about nine of ten")


def test_that_files_are_whole_or_absent(ten: Workbench, tmp_path: Path) -> None:
    with pytest.raises(StorageFailed, match="can't be written"):
        ten.statistics.export_csv("pairs", tmp_path / "no such folder" / "figures.csv")
    with pytest.raises(BadInput, match="PNG"):
        ten.statistics.export_picture(tmp_path / "plot.png", b"GIF89a")
    picture = b"\x89PNG\r\n\x1a\n" + b"rest"
    assert ten.statistics.export_picture(tmp_path / "plot.png", picture).read_bytes() == picture
    assert not [p for p in tmp_path.iterdir() if p.suffix == ".tmp"]


def test_that_pandalm_imported_gives_its_published_figures(bench: Workbench, shared: Path, tmp_path: Path) -> None:
    file = write_pandalm(shared, tmp_path / "pandalm.jsonl")
    assert bench.datasets.import_files([file], "pairs", skip_bad=True).imported == 999
    found = bench.statistics.report("pairs")
    assert found.labels.annotators == PEOPLE
    assert found.labels.left is None and found.days == {}  # nobody saw these on a screen here
    for name in ("agreement.fleiss_kappa", "agreement.alpha_nominal"):
        figure = found.figure(name)
        assert figure is not None and figure.value == pytest.approx(0.8642, abs=5e-5)
        assert figure.low is not None and figure.high is not None and figure.low < 0.8642 < figure.high
    kappas = {(p.first[-1], p.second[-1]): round(p.kappa.value, 2) for p in found.labels.pairs if p.kappa}
    assert kappas == {("1", "2"): 0.85, ("1", "3"): 0.88, ("2", "3"): 0.86}
    assert found.disputed == len(found.disputes) == len({d.item for d in found.disputes}) > 100
    assert len(found.win_rates) == 20 and len(found.labels.ratings) == 5
    assert all(found.prompts[item] for item in found.named_items)


def test_that_labels_are_read_in_small_parts(ten: Workbench, monkeypatch: pytest.MonkeyPatch) -> None:
    for n in (0, 1, 2, 3, 9):
        judge(ten, f"i{n}", "ann", *A, second=n)
    monkeypatch.setattr(reading, "JUDGED", 2)
    monkeypatch.setattr(reading, "LOOKED_AT", 3)
    told: list[int] = []
    found = ten.statistics.report("pairs", progress=lambda done, _total: told.append(done) is None)
    assert found.labels.judgements == 5
    assert told == [2, 4, 7, 10]


def test_that_a_tie_of_items_by_name_reads_each_dataset_alone(ten: Workbench) -> None:
    ten.labelling.add_item("others", make_item("i0"))
    judge(ten, "i0", "ann", *A)
    assert ten.statistics.report("others").labels.judgements == 0
    assert ten.statistics.report("pairs").labels.judgements == 1


@pytest.mark.parametrize("where", ["_said", "_shapes", "_newest"])
def test_that_a_label_is_recorded_in_the_midst_of_any_reading(
    ten: Workbench, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    for who in ("ann", "bob"):
        judge(ten, "i9", who, *A)
    module = labels_reading if where == "_newest" else reading
    begun, go_on, before = threading.Event(), threading.Event(), getattr(module, where)

    def slow(rows: Any) -> Any:
        begun.set()
        assert go_on.wait(60)
        return before(rows)

    monkeypatch.setattr(module, where, slow)
    shown, _ = ten.labelling.start("pairs")
    with ThreadPoolExecutor() as readers:
        wanted = readers.submit(
            ten.labelling.agreement if where == "_newest" else lambda: ten.statistics.report("pairs")
        )
        try:
            assert begun.wait(60)
            assert shown is not None
            said = ten.labelling.record("pairs", shown, outcome="all_bad", milliseconds=1)
            assert said.next is not None
            assert said.progress.judged == 1
        finally:
            go_on.set()
        found = wanted.result(60)
    assert found == 1.0 if where == "_newest" else found.labels.judgements == 2  # what was there when it began to read
