"""What a study leaves when it is done: its texts as items to rank, and a queue over them; each once, whoever dies."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from workbench.domain.errors import BadInput, NotFound
from workbench.domain.queues import QueueSpec
from workbench.domain.runs import JobState
from workbench.domain.specs.pretrain import PretrainSpec
from workbench.domain.specs.study import StudySpec
from workbench.domain.study import StudyText, StudyTexts
from workbench.domain.text import Prompt
from workbench.jobs.supervisor import Job
from workbench.services.run_ledger import RunLedger
from workbench.services.views import RunView
from workbench.services.workbench import Workbench

PROMPTS = tuple(Prompt.from_text(f"Once upon a time, {who}", raw=True) for who in ("Tom", "Mia", "a cat"))


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory, shared: Path) -> Iterator[Workbench]:
    with Workbench.open(tmp_path_factory.mktemp("items") / "workspace", create=True) as opened:
        opened.runs.close()  # nobody works on the runs but these tests
        opened.models.add_folder(shared / "models" / "stories260K", "stories")
        opened.datasets.create("asks", "prompts")
        opened.datasets.append("asks", list(PROMPTS))
        opened.datasets.create("words", "documents")
        opened.datasets.append("words", ["Once upon a time there was a cat."])
        yield opened


def spec(**fields: object) -> StudySpec:
    asked = {"base": "stories", "data": "asks", "columns": "greedy\nsample", "samples": 2}
    return StudySpec.model_validate(asked | fields)


def answered(bench: Workbench, *, alike: bool = False, **fields: object) -> RunView:
    """A study that has said all its texts; the answers to the last prompt are alike (or all are)."""
    run = bench.training.start(spec(**fields))
    texts = [
        StudyText(
            column=column, prompt=prompt, sample=sample, seed=10 * prompt + sample,
            completion="alike" if alike or prompt == 2 else f"{prompt} {column} {sample}", measures={"reward": 0.5},
        )
        for column, prompt, sample in ((c, p, s) for c in (0, 1) for p in (0, 1, 2) for s in range(1 + c))
    ]  # fmt: skip
    whole = StudyTexts(prompts=PROMPTS, texts=tuple(texts))
    (run.folder / "texts.json").write_text(whole.model_dump_json(), encoding="utf-8")
    return run


def end(bench: Workbench, run: RunView) -> RunView:
    """The supervisor hears that the run is done."""
    for state in (JobState.STARTING, JobState.RUNNING):
        bench.workspace.store.runs.move(run.id, state)
    ledger(bench).move(job(run), JobState.DONE)
    return bench.runs.view(run.id)


def ledger(bench: Workbench) -> RunLedger:
    return RunLedger(bench.workspace, bench.models, "another", lambda run, events: None)


def job(run: RunView) -> Job:
    return Job(run.id, run.folder, JobState.RUNNING, "cpu", 0)


def test_that_a_study_that_is_done_leaves_items_and_a_queue_over_them(bench: Workbench) -> None:
    run = answered(bench, items=" fresh ", queue="monday overlap=2 strategy=random seed=4", candidates=2)
    assert end(bench, run).error_what == ""
    items = bench.datasets.values("fresh", 0, 10)
    assert [item.prompt for item in items] == list(PROMPTS[:2])  # the third had but one text
    assert [[c.text for c in item.candidates] for item in items] == [["0 0 0", "0 1 0"], ["1 0 0", "1 1 0"]]
    assert {c.model for item in items for c in item.candidates} == {"stories"}
    queue = bench.queues.get("monday")
    assert queue.spec == QueueSpec(name="monday", dataset="fresh", overlap=2, strategy="random", seed=4)
    assert (queue.size, queue.left_for_you) == (2, 2)
    shown, _ = bench.labelling.start("fresh", "monday")
    assert shown is not None
    assert shown.queue == "monday"
    assert bench.datasets.get("fresh").source == f"texts of {run.id}"


def test_that_what_was_left_is_not_left_twice(bench: Workbench) -> None:
    run = answered(bench, items="once", queue="tuesday")
    assert ledger(bench)._leave(job(run)) == {}  # the application died before it could book that the run is done
    end(bench, run)
    assert bench.datasets.get("once").rows == 2
    assert bench.queues.get("tuesday").size == 2


@pytest.mark.parametrize("order", ["in_order", "random"])
def test_that_a_queue_that_is_there_asks_about_the_new_items_too(bench: Workbench, order: str) -> None:
    name = f"grown-{order}"
    end(bench, answered(bench, items=name, queue=f"{name} strategy={order} overlap=3"))
    end(bench, answered(bench, items=name, queue=name))
    queue = bench.queues.get(name)
    assert (bench.datasets.get(name).rows, queue.left_for_you) == (4, 4)
    assert (queue.spec.strategy, queue.spec.overlap) == (order, 3)


def test_that_a_study_that_was_asked_for_nothing_leaves_nothing(bench: Workbench) -> None:
    before = {view.name for view in bench.datasets.list()}
    run = answered(bench)
    assert bench.studies.leave(run.id) is None
    assert end(bench, run).error_what == ""
    assert {view.name for view in bench.datasets.list()} == before


def test_that_items_without_a_queue_are_left_alone(bench: Workbench) -> None:
    before = len(bench.queues.list())
    end(bench, answered(bench, items="unqueued"))
    assert bench.datasets.get("unqueued").rows == 2
    assert len(bench.queues.list()) == before


def test_that_a_study_whose_texts_are_alike_is_done_and_says_why_it_left_nothing(bench: Workbench) -> None:
    view = end(bench, answered(bench, alike=True, items="nothing", queue="wednesday"))
    assert view.state is JobState.DONE
    assert view.error_what == "Its texts didn't become items to rank: No prompt has two different texts."
    with pytest.raises(NotFound):
        bench.datasets.get("nothing")


def test_that_other_runs_are_asked_for_no_items(bench: Workbench) -> None:
    with pytest.raises(NotFound):
        bench.studies.leave("nothing-1")
    run = bench.training.start(PretrainSpec(base="stories", data="words"))
    assert ledger(bench)._leave(job(run)) == {}
    with pytest.raises(BadInput, match="is no study"):
        bench.studies.leave(run.id)


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"items": "asks"}, "asks holds prompts; items go to a dataset of preferences."),
        ({"items": "else", "queue": "taken"}, "There is already a queue called 'taken', over there; choose another"),
    ],
)
def test_that_what_would_fail_in_the_end_is_said_before_the_start(
    bench: Workbench, fields: dict[str, str], says: str
) -> None:
    if "there" not in {view.name for view in bench.datasets.list()}:
        bench.datasets.create("there", "preferences")
        bench.queues.create(QueueSpec(name="taken", dataset="there"))
    assert says in " ".join(bench.training.fit(spec(**fields)).trouble)
    with pytest.raises(BadInput, match=r"asks holds|already a queue"):
        bench.training.start(spec(**fields))


def test_that_the_check_says_what_will_be_left(bench: Workbench) -> None:
    told = " ".join(bench.training.fit(spec(items="new", queue="soon overlap=2")).notes)
    assert "When it is done, its texts become items of new, and the queue soon asks about them." in told
    assert "its texts become items of new." in " ".join(bench.training.fit(spec(items="new")).notes)
    assert "become items" not in " ".join(bench.training.fit(spec()).notes)


@pytest.mark.parametrize("state", [JobState.STOPPED, JobState.PAUSED, JobState.FAILED])
def test_that_the_texts_of_a_study_that_ended_early_can_be_ranked(bench: Workbench, state: JobState) -> None:
    run = answered(bench, items="early", queue="early")
    for one in (JobState.STARTING, JobState.RUNNING):
        bench.workspace.store.runs.move(run.id, one)
    ledger(bench).move(job(run), state)
    assert "early" not in {view.name for view in bench.datasets.list()}
    assert bench.studies.to_ranking(run.id, f"by hand {state}").items == 2
