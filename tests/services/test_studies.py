"""Studies as runs of a workspace: what keeps one from starting, what it takes along, and what is made of its results."""

from __future__ import annotations

import csv
import io
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from workbench.cli.main import main
from workbench.domain.decoding import Sample, Speculative
from workbench.domain.errors import BadInput, Conflict
from workbench.domain.runs import JobState
from workbench.domain.specs.kinds import parse_spec
from workbench.domain.specs.study import StudySpec, read_columns
from workbench.domain.text import Prompt
from workbench.jobs import folders
from workbench.services.studies import columns_found_again
from workbench.services.workbench import Workbench

pytestmark = pytest.mark.usefixtures("all_warm")

COLUMNS = "greedy\nsample temperature=1.2\ntwin speculative draft=stories gamma=2"
ASKED = {"base": "stories", "data": "openings", "columns": COLUMNS, "samples": 2, "limit": 2, "max_new_tokens": 6}


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory, shared: Path) -> Iterator[Workbench]:
    folder = tmp_path_factory.mktemp("study") / "workspace"
    twin = tmp_path_factory.mktemp("twin") / "twin"
    shutil.copytree(shared / "models" / "stories260K", twin, copy_function=shutil.copyfile)
    with Workbench.open(folder, create=True) as opened:
        opened.models.add_folder(shared / "models" / "stories260K", "stories")
        opened.models.add_folder(twin, "twin")
        opened.datasets.create("openings", "prompts")
        prompts = [Prompt.from_text(f"Once upon a time, {who}", raw=True) for who in ("Tom", "Mia", "a cat")]
        opened.datasets.append("openings", prompts)  # type: ignore[arg-type]
        yield opened


@pytest.fixture(scope="module")
def run(bench: Workbench) -> str:
    view = bench.training.start(StudySpec(**ASKED, rule="longer"))
    assert bench.runs.wait(view.id, timeout=240).state is JobState.DONE
    return view.id


def test_that_a_study_can_start_and_its_notes_say_what_it_will_do(bench: Workbench) -> None:
    fit = bench.training.fit(StudySpec(**ASKED))
    assert fit.trouble == ()
    assert fit.rows == 2
    assert any("3 columns answer 2 prompts" in note for note in fit.notes)
    assert any("Nothing says how good the texts are" in note for note in fit.notes)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"base": ""}, "Choose a model for the columns that name none."),
        ({"columns": "nobody greedy"}, "There is no model called 'nobody'."),
        ({"columns": "stories speculative draft=nobody"}, "There is no model called 'nobody'."),
        ({"columns": "stories speculative draft=sft-9@100"}, "sft-9 has no checkpoints."),
        ({"columns": "contrastive"}, "A contrastive column needs an amateur"),
        ({"reward_model": "stories"}, "stories is no reward model"),
        ({"data": ""}, "Choose a dataset."),
        ({"rule": "missing.py:taste"}, "can't be read: "),
    ],
)
def test_that_what_is_missing_is_said_before_the_start(bench: Workbench, change: dict[str, str], says: str) -> None:
    trouble = " ".join(bench.training.fit(StudySpec(**{**ASKED, **change})).trouble)
    assert says in trouble
    with pytest.raises(BadInput):
        bench.training.start(StudySpec(**{**ASKED, **change}))


def test_that_a_draft_of_a_study_suits_at_once(bench: Workbench) -> None:
    spec = bench.training.draft("study")
    assert isinstance(spec, StudySpec)
    assert bench.training.fit(spec).trouble == ()
    assert len(spec.asked) == 4


def test_that_the_run_folder_stands_alone(bench: Workbench, run: str) -> None:
    written = folders.read_spec(bench.runs.view(run).folder)
    assert isinstance(written, StudySpec)
    for column in written.asked:
        assert Path(column.model).is_dir()
    draft = written.asked[2].settings
    assert isinstance(draft, Speculative)
    assert Path(draft.draft).is_dir()


def test_that_the_table_names_models_as_the_workspace_does(bench: Workbench, run: str) -> None:
    study = bench.studies.get(run)
    assert [column.label for column in study.columns] == [
        "stories · greedy",
        "stories · sample (temperature 1.2)",
        "twin · speculative (draft stories, gamma 2)",
    ]
    assert study.columns[2].settings == Speculative(draft="stories", gamma=2, max_new_tokens=6)
    assert "rule" in study.columns[0].figures
    assert "factor" in study.measures or "tokens_per_pass" in study.measures


def test_that_tables_and_texts_are_written_as_files(bench: Workbench, run: str, tmp_path: Path) -> None:
    table = bench.studies.export(run, tmp_path / "table.csv").read_text(encoding="utf-8")
    rows = list(csv.DictReader(io.StringIO(table)))
    assert [row["strategy"] for row in rows] == ["greedy", "sample", "speculative"]
    assert float(rows[0]["rule_low"]) <= float(rows[0]["rule"]) <= float(rows[0]["rule_high"])
    assert json.loads(rows[1]["settings"])["temperature"] == 1.2
    whole = json.loads(bench.studies.export(run, tmp_path / "whole.json").read_text(encoding="utf-8"))
    assert len(whole["texts"]) == 2 * (1 + 2 + 2)
    assert len(whole["prompts"]) == 2
    with pytest.raises(BadInput, match=r"isn't written as \.xls"):
        bench.studies.export(run, tmp_path / "table.xls")


def test_that_texts_become_items_to_rank_that_remember_how_they_were_made(bench: Workbench, run: str) -> None:
    made = bench.studies.to_ranking(run, "answers", candidates=3)
    assert (made.dataset, made.items + made.left_out) == ("answers", 2)
    items = bench.datasets.values("answers", 0, 10)
    assert len(items) == made.items > 0
    told = {text.completion: text for text in bench.studies.texts(run).texts}
    for item in items:
        assert 2 <= len(item.candidates) <= 3
        assert len({candidate.text for candidate in item.candidates}) == len(item.candidates)
        for candidate in item.candidates:
            assert candidate.model in {"stories", "twin"}
            assert candidate.settings is not None
            assert candidate.seed == candidate.settings.seed == told[candidate.text].seed
    drawn = [c for item in items for c in item.candidates if isinstance(c.settings, Sample)]
    for candidate in drawn:
        item = next(item for item in items if candidate in item.candidates)
        assert bench.playground.generate("stories", [item.prompt], candidate.settings) == [candidate.text]
    again = bench.studies.to_ranking(run, "answers")
    assert bench.datasets.get("answers").rows == made.items + again.items


def test_that_items_of_a_study_can_be_asked_by_a_queue(bench: Workbench, run: str) -> None:
    bench.studies.to_ranking(run, "queued")
    shown, _ = bench.labelling.start("queued")
    assert shown is not None
    assert len(shown.item.candidates) >= 2


def test_that_what_is_no_study_or_too_many_candidates_is_refused(bench: Workbench, run: str) -> None:
    with pytest.raises(BadInput, match="2 to 9 candidates, not 12"):
        bench.studies.to_ranking(run, "answers", candidates=12)
    queued = bench.training.start(StudySpec(**{**ASKED, "name": "later"}))
    try:
        with pytest.raises(Conflict, match="no texts yet"):
            bench.studies.texts(queued.id)
    finally:
        if not bench.runs.view(queued.id).state.ended:
            bench.runs.stop(queued.id)
        bench.runs.wait(queued.id, timeout=240)


def test_that_columns_find_their_models_again_after_a_move(tmp_path: Path) -> None:
    asked = StudySpec(base="stories", columns="greedy\ntwin speculative draft=stories")
    old = "/gone/stories greedy\n/gone/twin speculative draft=/gone/stories"
    paths = {"stories": str(tmp_path), "twin": "/elsewhere/twin"}
    found = read_columns(columns_found_again(StudySpec(columns=old), asked, paths))
    assert [column.model for column in found] == [str(tmp_path), "/elsewhere/twin"]
    assert found[1].settings == Speculative(draft=str(tmp_path))
    kept = StudySpec(columns=f"{tmp_path} greedy\n{tmp_path} speculative draft={tmp_path}")
    assert columns_found_again(kept, asked, paths) == kept.columns


def test_that_the_commands_print_the_table_and_append_the_items(
    bench: Workbench, run: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    work = str(bench.path)
    assert main(["runs", "study", work, run, "--out", str(tmp_path / "t.csv")]) == 0
    out = capsys.readouterr().out
    assert "twin · speculative" in out and "self-bleu" in out
    assert (tmp_path / "t.csv").exists()
    assert main(["label", "sample", work, "by-command", "--from", run, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["dataset"] == "by-command"
    assert main(["label", "sample", work, "by-command", "--from", "nothing-1"]) == 1
    command = bench.runs.get(run).command
    assert parse_spec({"kind": "study"}).kind == "study" and "--set" in command and "columns=" in command
