"""What --json prints: the names and types that are fixed, absolute paths, times in UTC, and nothing else on stdout."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.conftest import Say
from workbench.domain.events import Metrics, SampleText
from workbench.domain.runs import JobState
from workbench.domain.specs.dpo import DpoSpec
from workbench.services.workbench import Workbench

MOMENT = datetime(2026, 3, 1, 12, 0, 0, 250_000, UTC)


def document(say: Say, *words: object) -> Any:
    code, out, _ = say(*words, "--json")
    assert code == 0
    assert out.count("\n") == 1
    return json.loads(out)


def has(value: dict[str, Any], **types: type | tuple[type, ...]) -> None:
    """Every named field is there with its type (bool is no int here)."""
    for name, kind in types.items():
        assert isinstance(value[name], kind), f"{name} is {value[name]!r}"
        assert isinstance(value[name], bool) <= (kind is bool), name


def is_utc(text: str) -> bool:
    return datetime.fromisoformat(text).utcoffset() == timedelta(0)


@pytest.fixture
def ran(work: Path) -> Path:
    """The workspace with a run that has reported two points and a sample, and was stopped."""
    with Workbench.open(work) as bench:
        store, lane = bench.workspace.store.runs, bench.workspace.lane
        folder = bench.workspace.runs / "dpo-1"
        folder.mkdir(parents=True)
        lane.do(store.create, "dpo", DpoSpec(base="stories", data="pairs").model_dump(mode="json"), run="dpo-1")
        lane.do(
            store.absorb,
            "dpo-1",
            [
                Metrics(seq=1, time=MOMENT, step=1, values={"loss": 0.69, "eval/loss": float("nan")}),
                SampleText(seq=2, time=MOMENT, step=1, index=0, prompt="q", completion="a", numbers={"kl": 0.0}),
                Metrics(seq=3, time=MOMENT, step=2, values={"loss": 0.5}),
            ],
        )
        lane.do(store.move, "dpo-1", JobState.STOPPED)
    return work


def test_that_new_names_the_workspace(tmp_path: Path, say: Say, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert document(say, "new", "made") == {"workspace": str(tmp_path / "made")}


def test_that_an_import_has_its_shape_dry_or_not(work: Path, tmp_path: Path, say: Say) -> None:
    with (tmp_path / "pairs.jsonl").open("a", encoding="utf-8") as file:
        file.write("broken\n")
    words = ("data", "import", work, tmp_path / "pairs.jsonl", "--name", "more", "--skip-bad")
    for more, imported in ((("--dry-run",), 0), ((), 8)):
        done = document(say, *words, *more)
        has(done, dataset=str, format=str, read=int, imported=int, left_out=list)
        assert (done["dataset"], done["format"], done["read"], done["imported"]) == (
            "more",
            "trl-preference",
            9,
            imported,
        )
        (trouble,) = done["left_out"]
        has(trouble, line=int, reason=str)
        assert trouble["line"] == 9


def test_that_datasets_are_listed_with_kind_rows_and_moment(work: Path, say: Say) -> None:
    (found,) = document(say, "data", "list", work)
    has(found, name=str, kind=str, rows=int, created=str)
    assert (found["name"], found["kind"], found["rows"]) == ("pairs", "preferences", 8)
    assert is_utc(found["created"])


def test_that_an_export_names_an_absolute_file_also_for_a_relative_one(
    work: Path, tmp_path: Path, say: Say, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = document(say, "data", "export", work, "pairs", "--format", "trl-preference", "--out", "out.jsonl")
    has(done, file=str, rows=int, notes=list)
    assert (done["file"], done["rows"]) == (str(tmp_path / "out.jsonl"), 8)
    assert len((tmp_path / "out.jsonl").read_text(encoding="utf-8").splitlines()) == 8


def test_that_a_snapshot_is_named_by_an_absolute_path(
    work: Path, tmp_path: Path, say: Say, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = document(say, "data", "freeze", "work", "pairs")
    assert done == {
        "sha": done["sha"],
        "file": str(work / "snapshots" / f"{done['sha']}.parquet"),
        "rows": 8,
        "left_out": {},
    }
    assert Path(done["file"]).is_file()


def test_that_label_statistics_have_every_fixed_field(work: Path, say: Say) -> None:
    stats = document(say, "label", "stats", work, "pairs")
    has(stats, items=int, judgements=int, annotators=list, agreement=dict, order=dict, ratings=list)
    assert set(stats["agreement"]) == {"raw", "cohen_kappa", "fleiss_kappa", "alpha_nominal"}
    assert set(stats["order"]) == {"left_rate", "low", "high"}


def test_that_models_are_listed_with_absolute_paths_and_parents(work: Path, say: Say) -> None:
    (model,) = document(say, "models", "list", work)
    has(model, name=str, path=str, kind=str, parents=list, parameters=int)
    assert Path(model["path"]).is_absolute()
    assert is_utc(model["created"])
    assert document(say, "models", "show", work, "stories")["name"] == "stories"


def test_that_runs_have_their_shape_before_and_after_they_ended(ran: Path, say: Say) -> None:
    (run,) = document(say, "runs", "list", ran)
    has(run, run=str, kind=str, name=str, state=str, step=int, steps=int)
    assert (run["run"], run["kind"], run["state"], run["step"]) == ("dpo-1", "dpo", "stopped", 2)
    assert run["started"] is None
    assert is_utc(run["ended"])
    assert run["folder"] == str(ran / "runs" / "dpo-1")


def test_that_metrics_are_lines_in_order_of_steps_with_null_for_no_number(ran: Path, say: Say) -> None:
    code, out, err = say("runs", "metrics", ran, "dpo-1", "--json")
    points = [json.loads(line) for line in out.splitlines()]
    assert (code, err) == (0, "")
    assert [(p["step"], p["name"], p["value"]) for p in points] == [
        (1, "eval/loss", None), (1, "loss", 0.69), (2, "loss", 0.5),
    ]  # fmt: skip
    assert {p["time"] for p in points} == {"2026-03-01T12:00:00.250000+00:00"}
    assert all(set(p) >= {"name", "step", "value", "time"} for p in points)


def test_that_samples_are_lines(ran: Path, say: Say) -> None:
    code, out, _ = say("runs", "samples", ran, "dpo-1", "--json")
    assert code == 0
    assert json.loads(out) == {"step": 1, "index": 0, "prompt": "q", "completion": "a", "numbers": {"kl": 0.0}}


def test_that_the_doctor_says_ok_only_when_every_check_is(work: Path, say: Say) -> None:
    code, out, _ = say("doctor", work, "--json")
    told = json.loads(out)
    has(told, ok=bool, checks=list)
    for check in told["checks"]:
        has(check, name=str, ok=bool, what=str, hint=str)
    assert told["ok"] == all(c["ok"] for c in told["checks"]) == (code == 0)


def test_that_an_empty_workspace_lists_nothing_as_json_and_says_so_to_people(tmp_path: Path, say: Say) -> None:
    assert say("new", tmp_path / "bare")[0] == 0
    for words in (("data", "list"), ("models", "list"), ("runs", "list")):
        assert document(say, *words, tmp_path / "bare") == []
    assert "no dataset yet" in say("data", "list", tmp_path / "bare")[1]


@pytest.mark.parametrize("text", ["caf\u00e9 \u65e5\u672c", 'tab\tand \\ and "', "line\u2028separator", "\U0001f40c"])
def test_that_any_text_comes_through_json_as_one_line(text: str, tmp_path: Path, work: Path, say: Say) -> None:
    (tmp_path / "t.jsonl").write_text(json.dumps({"text": text}) + "\n", encoding="utf-8")
    name = text if text.isprintable() else "plain"
    document(say, "data", "import", work, tmp_path / "t.jsonl", "--name", name)
    code, out, _ = say("data", "show", work, name, "--json")
    assert code == 0
    assert out.endswith("\n")
    assert json.loads(out)["texts"] == {"Text": text}
