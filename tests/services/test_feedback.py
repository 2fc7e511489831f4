"""Judges and revisers as runs of a workspace: what keeps them from starting, what they take along, and the real road of a verdict."""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.services.conftest import make_item
from tests.services.fake_runs import until
from workbench.domain.errors import BadInput
from workbench.domain.judgement import Ranking
from workbench.domain.runs import JobState
from workbench.domain.specs.judge import JudgeSpec
from workbench.domain.specs.revise import ReviseSpec
from workbench.domain.text import Demonstration, Prompt
from workbench.jobs import folders
from workbench.jobs.child import read_launched
from workbench.protocol.run_folder import RunFolder
from workbench.services import fit as estimates
from workbench.services.feedback import signed
from workbench.services.run_ledger import RunLedger
from workbench.services.workbench import Workbench
from workbench.store.filling import NewRow

pytestmark = pytest.mark.usefixtures("all_warm")

RULE = {"judge": "rule", "rule": "longer", "data": "pairs", "device": "cpu"}
FIRST = Ranking(tiers=((0,), (1,)))


@pytest.fixture
def ready(ten: Workbench, stories: Path) -> Workbench:
    """Ten items of which a person has judged two, some demonstrations, a model and a rule's file; nobody supervises."""
    ten.runs.close()
    ten.models.add_folder(stories, "stories")
    ten.datasets.create("demos", "demonstrations")
    ten.datasets.append(
        "demos", [NewRow(Demonstration(prompt=Prompt.from_text(f"ask {n}"), completion="Yes.")) for n in range(4)]
    )
    shown, _ = ten.labelling.start("pairs")
    for _ in range(2):
        assert shown is not None
        shown = ten.labelling.record("pairs", shown, outcome="ranked", ranking=FIRST, milliseconds=5).next
    (ten.path / "taste.py").write_text("def taste(prompt, completion):\n    return len(completion)\n")
    return ten


def me(bench: Workbench) -> str:
    return bench.settings.get().annotator


def test_that_a_judge_by_rule_can_start_and_its_notes_say_what_it_will_do(ready: Workbench) -> None:
    fit = ready.training.fit(JudgeSpec(**RULE))
    assert fit.trouble == ()
    assert (fit.rows, fit.steps, fit.memory_gib) == (10, 10, 0.0)
    assert any("signed longer and marked as made by a rule" in note for note in fit.notes)
    model = ready.training.fit(JudgeSpec(base="stories", data="pairs"))
    assert model.trouble == ()
    assert model.memory_gib > 0.5
    assert any("both orders" in note for note in model.notes)
    assert any("512 tokens" in note for note in model.notes)


def test_that_the_frozen_items_hold_candidates_and_what_people_said(ready: Workbench) -> None:
    view = ready.training.start(JudgeSpec(**RULE))
    rows = pq.read_table(view.folder / "data.parquet").to_pylist()
    assert [row["item"] for row in rows] == [f"i{n}" for n in range(10)]
    assert rows[0]["candidates"] == ["answer 0 to i0", "answer 1 to i0"]
    assert [row["people"] for row in rows] == [[[0, 1]], [[0, 1]], *[[]] * 8]
    assert folders.read_spec(view.folder) == JudgeSpec(**RULE, annotator="longer")


def test_that_a_rule_s_file_travels_with_its_run(ready: Workbench) -> None:
    file = ready.path / "taste.py"
    view = ready.training.start(JudgeSpec(**{**RULE, "rule": f"{file}:taste"}))
    assert (view.folder / "rule.py").read_text() == file.read_text()
    written = folders.read_spec(view.folder)
    assert isinstance(written, JudgeSpec)
    assert (written.rule, written.annotator) == ("rule.py:taste", "taste:taste")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"rule": "/nowhere/taste.py:taste"}, "/nowhere/taste.py (No such file"),
        ({"judge": "model", "base": ""}, "Choose a model that judges"),
        ({"judge": "model", "base": "nobody"}, "There is no model called 'nobody'"),
        ({"data": "demos"}, "a judge run needs preferences"),
        ({"data": ""}, "Choose a dataset"),
    ],
)
def test_that_a_judge_that_can_not_start_says_why(ready: Workbench, changes: dict[str, str], words: str) -> None:
    spec = JudgeSpec(**{**RULE, **changes})
    assert any(words in sentence for sentence in ready.training.fit(spec).trouble)
    with pytest.raises(BadInput, match=re.escape(words)):
        ready.training.start(spec)
    assert ready.runs.list() == []


def test_that_a_reward_model_may_judge_and_a_rule_s_file_must_hold_its_function(
    ready: Workbench, stories: Path
) -> None:
    ready.models.add_folder(stories, "scores", kind="reward")
    assert ready.training.fit(JudgeSpec(base="scores", data="pairs")).trouble == ()
    assert ready.training.fit(ReviseSpec(base="scores", data="demos")).trouble
    named = ready.training.fit(JudgeSpec(**{**RULE, "rule": f"{ready.path / 'taste.py'}:other"}))
    assert named.trouble == ("taste.py defines no function other.",)


def test_that_a_judge_can_not_take_a_person_s_name(ready: Workbench) -> None:
    (sentence,) = ready.training.fit(JudgeSpec(**RULE, annotator=me(ready))).trouble
    assert f"A person has judged pairs as {me(ready)}" in sentence


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"demonstrations": "", "pairs": ""}, "nothing would be kept"),
        ({"demonstrations": "x", "pairs": "x"}, "same dataset"),
        ({"principles": "# none"}, "at least one principle"),
        ({"principles_file": "/nowhere.txt"}, "/nowhere.txt can't be read"),
        ({"data": "pairs", "original": "given"}, "holds no completions"),
        ({"pairs": "demos"}, "demos holds demonstrations"),
        ({"demonstrations": "demos"}, "isn't marked as synthetic"),
    ],
)
def test_that_a_reviser_that_can_not_start_says_why(ready: Workbench, changes: dict[str, str], words: str) -> None:
    spec = ReviseSpec(**{"base": "stories", "data": "demos", **changes})
    assert any(words in sentence for sentence in ready.training.fit(spec).trouble)


def test_that_a_reviser_takes_completions_where_there_are_some_and_its_principles_along(ready: Workbench) -> None:
    file = ready.path / "principles.txt"
    file.write_text("# ours\nBe kind.\n\nBe brief.\n")
    given = ready.training.start(ReviseSpec(base="stories", data="demos", principles_file=str(file)))
    assert "completion" in pq.read_schema(given.folder / "data.parquet").names
    written = folders.read_spec(given.folder)
    assert isinstance(written, ReviseSpec)
    assert (written.principles, written.principles_file) == ("Be kind.\nBe brief.", "")
    sampled = ready.training.start(ReviseSpec(base="stories", data="demos", original="sampled"))
    assert pq.read_schema(sampled.folder / "data.parquet").names == ["prompt", "raw"]
    notes = ready.training.fit(ReviseSpec(base="stories", data="pairs")).notes
    assert any("responses that the model samples" in note for note in notes)
    assert any("revisions will be made" in note for note in notes)


@pytest.mark.parametrize(
    ("spec", "name"),
    [
        (JudgeSpec(base="/models/big-one"), "big-one"), (JudgeSpec(judge="rule"), "story_rule"),
        (JudgeSpec(judge="rule", rule="a b/taste.py:good"), "taste:good"), (JudgeSpec(annotator="Robo"), "Robo"),
    ],
)  # fmt: skip
def test_that_a_judge_signs_with_its_own_name_unless_given_another(spec: JudgeSpec, name: str) -> None:
    assert signed(spec) == name


def test_that_drafts_of_feedback_suit_the_workspace(ready: Workbench) -> None:
    judge, revise = ready.training.draft("judge"), ready.training.draft("revise")
    assert (judge.base, judge.data) == ("stories", "pairs")
    assert (revise.base, revise.data) == ("stories", "demos")


def test_that_a_judge_is_offered_items_that_are_left_before_newer_ones_that_are_done(ready: Workbench) -> None:
    ready.labelling.add_item("newer", make_item("n0"))
    assert ready.training.draft("judge").data == "newer"
    shown, _ = ready.labelling.start("newer")
    assert shown is not None
    ready.labelling.record("newer", shown, outcome="ranked", ranking=FIRST, milliseconds=5)
    assert ready.training.draft("judge").data == "pairs"


def test_that_a_rule_keeps_no_gpu_from_others(ready: Workbench) -> None:
    ready.training.start(JudgeSpec(**{**RULE, "device": "auto"}))
    ready.training.start(JudgeSpec(base="stories", data="pairs", device="auto"))
    ledger = RunLedger(ready.workspace, ready.models, "another", lambda run, events: None)
    assert [job.device for job in ledger.queued()] == ["cpu", "auto"]


def test_that_memory_of_a_model_that_only_reads_grows_with_rows_length_and_what_it_keeps() -> None:
    shape = estimates.Shape(width=1024, layers=24, vocabulary=32000, context=2048)
    one = estimates.inference_gib(10**8, shape, 1, 512, cached=False)
    assert one == pytest.approx(estimates.LIBRARIES_GIB + 0.4, abs=0.1)
    assert one < estimates.inference_gib(10**8, shape, 16, 512, cached=False)
    assert estimates.inference_gib(10**8, shape, 8, 512, cached=False) < estimates.inference_gib(
        10**8, shape, 8, 512, cached=True
    )
    assert estimates.inference_gib(10**8, shape, 8, 4096, cached=True) == estimates.inference_gib(
        10**8, shape, 8, 2048, cached=True
    )
    assert estimates.inference_gib(10**8, shape, 8, 0, cached=True) == estimates.inference_gib(
        10**8, shape, 8, 1024, cached=True
    )


@pytest.mark.slow
def test_that_verdicts_are_kept_once_though_worker_and_application_die(tmp_path: Path, stories: Path) -> None:
    """A real worker, killed; the application gone before it has read everything; the next one adopts and resumes."""
    path = tmp_path / "space"
    spec = JudgeSpec(base="stories", data="pairs", device="cpu", batch_size=1, calibrate=True)
    with Workbench.open(path, create=True) as bench:
        bench.models.add_folder(stories, "stories")
        for n in range(60):
            bench.labelling.add_item("pairs", make_item(f"i{n}", 3))
        run = bench.training.start(spec, detach=True).id
        log = path / "runs" / run / "events.jsonl"
        until(lambda: log.exists() and log.read_bytes().count(b'"kind":"judged"') >= 5, 120)
    launched = read_launched(RunFolder(path / "runs" / run))
    assert launched is not None
    os.kill(launched.pid, signal.SIGKILL)
    with Workbench.open(path) as bench:
        until(lambda: bench.runs.view(run).state.ended, 60)
        if bench.runs.view(run).state is not JobState.DONE:
            bench.runs.resume(run)
        view = bench.runs.wait(run, 180)
        assert (view.state, view.step, view.model) == (JobState.DONE, 60, None)
        said = bench.labelling.judgements("pairs")
        assert said
        assert len({j.item for j in said}) == len(said) == view.last["judge/kept"] == bench.datasets.get("pairs").judged
        assert {(j.annotator, j.annotator_kind) for j in said} == {("stories", "model")}
        left = bench.training.fit(spec)
        assert left.rows == 60 - len(said)
        stats = bench.statistics.report("pairs").labels
        assert stats.annotators == ("stories",)
