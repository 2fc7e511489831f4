"""Commands on a real workspace: what they print, what they leave, how they end."""

import json
import math
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from workbench.cli.label import judge_spec
from workbench.cli.main import main
from workbench.domain.errors import BadInput
from workbench.domain.specs.judge import JudgeSpec

Run = Callable[..., Any]
PAIRS = [
    {"prompt": [{"role": "user", "content": f"Question {i}"}], "chosen": [{"role": "assistant", "content": f"good {i}"}],
     "rejected": [{"role": "assistant", "content": "" if i == 3 else f"bad {i}"}]}
    for i in range(6)
]  # fmt: skip


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """A new workspace beside a file of six pairs, of which line 4 can't be used."""
    assert main(["new", str(tmp_path / "work")]) == 0
    (tmp_path / "pairs.jsonl").write_text("".join(json.dumps(p) + "\n" for p in PAIRS), encoding="utf-8")
    return tmp_path / "work"


@pytest.fixture
def run(work: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command with --json on the workspace; returns the document that it prints (or the code and the complaint)."""
    capsys.readouterr()

    def command(*words: str, fails: int = 0) -> Any:
        family = 1 if words[0] in {"train", "generate"} else 2
        code = main([*words[:family], str(work), *words[family:], "--json"])
        out, err = capsys.readouterr()
        assert code == fails, err
        return err if fails else json.loads(out)

    return command


def imported(run: Run, work: Path) -> dict[str, Any]:
    found: dict[str, Any] = run("data", "import", str(work.parent / "pairs.jsonl"), "--name", "pairs", "--skip-bad")
    return found


def test_that_a_new_workspace_is_named_by_its_absolute_path(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["new", str(tmp_path / "a"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"workspace": str(tmp_path / "a")}
    assert main(["new", str(tmp_path / "a")]) == 1
    assert "isn't an empty folder" in capsys.readouterr().err


def test_that_an_import_lists_what_it_leaves_out(run: Run, work: Path) -> None:
    assert imported(run, work) == {
        "dataset": "pairs",
        "format": "trl-preference",
        "read": 6,
        "imported": 5,
        "left_out": [{"line": 4, "reason": "The rejected response is empty."}],
    }
    (view,) = run("data", "list")
    assert (view["name"], view["kind"], view["rows"]) == ("pairs", "preferences", 5)
    assert datetime.fromisoformat(view["created"]).utcoffset() is not None


def test_that_bad_rows_refuse_an_import_in_one_line_and_nothing_is_left(run: Run, work: Path) -> None:
    complaint = run("data", "import", str(work.parent / "pairs.jsonl"), "--name", "pairs", fails=1)
    assert complaint.count("\n") == 1
    assert "1 of 6 rows" in complaint and "--skip-bad" in complaint
    assert run("data", "list") == []


def test_that_a_dry_run_changes_nothing(run: Run, work: Path) -> None:
    seen = run("data", "import", str(work.parent / "pairs.jsonl"), "--name", "pairs", "--dry-run")
    assert (seen["read"], seen["imported"], len(seen["left_out"])) == (6, 0, 1)
    assert run("data", "list") == []


def test_that_columns_are_mapped_and_nonsense_is_refused(run: Run, work: Path) -> None:
    path = work.parent / "odd.csv"
    path.write_text("ask,good,bad\nWhy?,because,no\n", encoding="utf-8")
    words = ("data", "import", str(path), "--name", "odd")
    maps = ("--map", "prompt=ask", "--map", "chosen=good", "--map", "rejected=bad")
    assert run(*words, *maps)["imported"] == 1
    assert "has no column" in run(*words, "--map", "prompt", fails=1)


def test_that_several_files_say_which_one_a_bad_line_is_in(run: Run, work: Path) -> None:
    other = work.parent / "more.jsonl"
    other.write_text(json.dumps(PAIRS[0]) + "\nnonsense\n", encoding="utf-8")
    done = run("data", "import", str(other), str(work.parent / "pairs.jsonl"), "--name", "both", "--skip-bad")
    assert [(t["line"], t["reason"].split(":")[0]) for t in done["left_out"]] == [(2, "more.jsonl"), (4, "pairs.jsonl")]


def test_that_rows_are_shown_frozen_and_exported_without_loss(
    run: Run, work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    imported(run, work)
    assert main(["data", "show", str(work), "pairs", "--limit", "2", "--json"]) == 0
    shown = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["texts"]["Chosen"] for row in shown] == ["good 0", "good 1"]
    frozen = run("data", "freeze", "pairs")
    assert frozen["rows"] == 5 and Path(frozen["file"]).is_file()
    out = work.parent / "out.jsonl"
    done = run("data", "export", "pairs", "--format", "trl-preference", "--out", str(out))
    assert done == {"file": str(out), "rows": 5, "notes": []}
    written = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    kept = [{key: row[key] for key in ("prompt", "chosen", "rejected")} for row in written]
    assert kept == [p for i, p in enumerate(PAIRS) if i != 3]


def test_that_label_statistics_have_the_fixed_shape(run: Run, work: Path) -> None:
    imported(run, work)
    stats = run("label", "stats", "pairs")
    assert (stats["items"], stats["judgements"], len(stats["annotators"])) == (5, 5, 1)
    assert set(stats["agreement"]) == {"raw", "cohen_kappa", "fleiss_kappa", "alpha_nominal"}
    assert stats["order"] == {"left_rate": None, "low": None, "high": None}
    assert stats["ratings"] == []


@pytest.mark.usefixtures("warm")
def test_that_a_rule_judges_and_what_it_says_is_counted_as_its_own(run: Run, work: Path) -> None:
    imported(run, work)
    made = run("label", "judge", "pairs", "--judge", "longer", "--set", "limit=3", "--set", "device=cpu")
    assert (made["kind"], made["state"], made["model"], made["metrics"]["judge/kept"]) == ("judge", "done", None, 3)
    stats = run("label", "stats", "pairs")
    assert "longer" in stats["annotators"]
    run("label", "judge", "pairs", "--judge", "nobody", fails=1)


def test_that_a_judge_is_a_model_by_name_or_folder_and_else_a_rule(tmp_path: Path) -> None:
    model = judge_spec("sft-1", "pairs", {"calibrate": True}, {"sft-1"})
    assert model == JudgeSpec(data="pairs", base="sft-1", calibrate=True)
    assert judge_spec(str(tmp_path), "pairs", {}, ()) == JudgeSpec(data="pairs", base=str(tmp_path))
    assert judge_spec("shorter", "pairs", {}, {"sft-1"}) == JudgeSpec(data="pairs", judge="rule", rule="shorter")
    assert judge_spec("a.py:b", "pairs", {}, ()) == JudgeSpec(data="pairs", judge="rule", rule="a.py:b")
    with pytest.raises(BadInput, match="no judge called"):
        judge_spec("nobody", "pairs", {}, ())


def test_that_statistics_read_as_sentences(work: Path, run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    imported(run, work)
    assert main(["label", "stats", str(work), "pairs"]) == 0
    said = capsys.readouterr().out
    assert "nothing was judged by two annotators" in said
    assert "longer response preferred: 100%" in said
    assert "None" not in said


def test_that_every_figure_is_explained_and_written_on_request(
    work: Path, run: Run, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    imported(run, work)
    table = tmp_path / "figures.csv"
    assert main(["label", "stats", str(work), "pairs", "--explain", "--csv", str(table)]) == 0
    said = capsys.readouterr().out
    assert "Longer response preferred: 100 % [57 %, 100 %]" in said
    assert "the longer response wins more often than chance" in said
    assert table.read_text(encoding="utf-8").startswith("group,name,title,value,low,high,count,of,how to read it\n")
    stats = run("label", "stats", "pairs")
    (longer,) = [figure for figure in stats["figures"] if figure["name"] == "longer"]
    assert (longer["value"], longer["count"]) == (1.0, 5)


@pytest.mark.usefixtures("warm")
def test_that_a_model_is_added_listed_shown_and_exported(run: Run, shared: Path, tmp_path: Path) -> None:
    folder = shared / "models/stories260K"
    added = run("models", "add", str(folder), "--name", "stories")
    assert (added["name"], added["path"], added["parents"]) == ("stories", str(folder), [])
    assert run("models", "list") == [added]
    assert added["parameters"] > 250_000
    assert run("models", "show", "stories")["card"]["Parents"] == "none"
    out = tmp_path / "exported"
    written = run("models", "export", "stories", "--out", str(out), "--licence", "mit")
    assert written == {"model": "stories", "format": "safetensors", "path": str(out)}
    assert (out / "model.safetensors").exists() and "mit" in (out / "README.md").read_text()


def test_that_the_doctor_checks_the_machine_and_a_workspace(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    code = main(["doctor", str(work), "--json"])
    document = json.loads(capsys.readouterr().out)
    assert document["ok"] == all(check["ok"] for check in document["checks"]) == (code == 0)
    assert {"python", "torch", "workspace"} <= {check["name"] for check in document["checks"]}
    assert all(check["ok"] or check["hint"] for check in document["checks"])


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("data", "show", "gone"), "gone"),
        (("data", "import", "/nowhere.jsonl", "--name", "x"), "There is no file /nowhere.jsonl"),
        (("data", "export", "gone", "--format", "trl-text", "--out", "x.jsonl"), "gone"),
        (("label", "stats", "gone"), "gone"),
        (("models", "show", "gone"), "gone"),
        (("models", "add", "/nowhere"), "/nowhere"),
        (("runs", "show", "gone"), "gone"),
        (("runs", "stop", "gone"), "gone"),
        (("train", "sft"), "base"),
        (("train", "dpo", "--set", "beta=-1"), "beta"),
        (("train", "dpo", "--set", "bleta=1"), "bleta"),
        (("train", "dpo", "--spec", "/nowhere.json"), "can't be read as a spec"),
    ],
)  # fmt: skip
def test_that_what_cannot_be_done_is_one_line_with_what_and_why(run: Run, words: tuple[str, ...], says: str) -> None:
    complaint = run(*words, fails=1)
    assert complaint.startswith("workbench: ")
    assert complaint.count("\n") == 1
    assert says in complaint


@pytest.mark.parametrize("words", [["nonsense"], ["data"], ["data", "import", "w"], ["train", "w", "magic"], []])
def test_that_wrong_usage_ends_with_two(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 2
    assert "usage: workbench" in capsys.readouterr().err


def test_that_no_workspace_is_said_with_how_to_make_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "list", str(tmp_path)]) == 1
    assert f"There is no workspace in {tmp_path}. Make one with: workbench new" in capsys.readouterr().err


COMMANDS = [
    ["new"], ["tour"], ["doctor"], ["train"], ["generate"], ["label", "stats"], ["label", "gold"],
    *(["label", "queue", verb] for verb in ("create", "list", "close", "reopen", "refresh", "delete")),
    *(["data", verb] for verb in ("import", "list", "show", "freeze", "export")),
    *(["runs", verb] for verb in ("list", "show", "watch", "metrics", "samples", "pause", "resume", "stop")),
    *(["models", verb] for verb in ("list", "add", "show", "export")),
]  # fmt: skip


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_that_every_command_has_help_with_an_example_that_parses(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    import shlex

    from workbench.cli.main import make_parser

    assert main([*words, "--help"]) == 0
    text = capsys.readouterr().out
    example = shlex.split(text.split("Example: workbench ")[1])
    assert example[: len(words)] == words
    assert callable(make_parser(example).parse_args(example).run)
    assert "--json" in text


def test_that_numbers_without_a_json_form_become_null() -> None:
    import io

    from workbench.cli.output import Output

    out = io.StringIO()
    Output(True, out, io.StringIO()).result({"a": math.nan, "b": [math.inf, 1.5], "c": (1, None)})
    assert json.loads(out.getvalue()) == {"a": None, "b": [None, 1.5], "c": [1, None]}
