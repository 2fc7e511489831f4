"""Real files through the command line: every row is imported or listed with its line and reason, and comes back the same."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.conftest import Say
from workbench.services.workbench import Workbench

HARMLESS = "data/hh_rlhf/harmless-base.test.jsonl.gz"


def rows_of(workspace: Path, name: str) -> list[Any]:
    with Workbench.open(workspace) as bench:
        kind = bench.datasets.get(name).kind
        rows = [row for page in _pages(bench, name) for row in page]
    if kind != "preferences":
        return rows
    return [(item.prompt, tuple(c.text for c in item.candidates)) for item in rows]


def _pages(bench: Workbench, name: str) -> list[list[Any]]:
    count = bench.datasets.get(name).rows
    return [bench.datasets.values(name, start, 1000) for start in range(0, count, 1000)]


def test_that_the_real_transcripts_are_imported_with_each_unusable_row_listed(
    work: Path, tmp_path: Path, shared: Path, say: Say
) -> None:
    path = shared / HARMLESS
    words = ("data", "import", work, path, "--name", "harmless")
    code, out, err = say(*words)
    assert (code, out) == (1, "")
    assert "of 2312 rows" in err
    code, out, _ = say(*words, "--skip-bad", "--json")
    told = json.loads(out)
    assert (code, told["read"], told["format"]) == (0, 2312, "hh-rlhf")
    assert told["imported"] == 2312 - len(told["left_out"])
    reasons = [t["reason"] for t in told["left_out"]]
    assert sum("empty" in r for r in reasons) == 4
    assert sum("prompt" in r for r in reasons) == 5
    with gzip.open(path, "rt", encoding="utf-8") as file:
        lines = [json.loads(line) for line in file]
    for trouble in told["left_out"]:
        row = lines[trouble["line"] - 1]
        short = row["chosen"].rstrip().endswith("Assistant:") or row["rejected"].rstrip().endswith("Assistant:")
        apart = row["chosen"].rsplit("\n\nAssistant:", 1)[0] != row["rejected"].rsplit("\n\nAssistant:", 1)[0]
        assert short or apart or row["chosen"] == row["rejected"], trouble
    exported = tmp_path / "out.jsonl.gz"
    assert say("data", "export", work, "harmless", "--format", "trl-preference", "--out", exported)[0] == 0
    assert say("data", "import", work, exported, "--name", "again")[0] == 0
    assert rows_of(work, "again") == rows_of(work, "harmless")


@pytest.mark.parametrize(
    ("file", "kind", "format"),
    [
        ("llama_factory/alpaca_en_demo.json", "demonstrations", "trl-prompt-completion"),
        ("llama_factory/identity.json", "demonstrations", "trl-prompt-completion"),
        ("llama_factory/dpo_en_demo.json", "preferences", "trl-preference"),
        ("llama_factory/dpo_en_demo.json", "preferences", "workbench"),
        ("llama_factory/alpaca_en_demo.json", "demonstrations", "workbench"),
        ("tinyshakespeare/input.txt", "documents", "trl-text"),
    ],
)
def test_that_a_real_file_comes_back_row_by_row(
    file: str, kind: str, format: str, work: Path, tmp_path: Path, shared: Path, say: Say
) -> None:
    code, out, err = say("data", "import", work, shared / "data" / file, "--name", "first", "--skip-bad", "--json")
    assert code == 0, err
    told = json.loads(out)
    assert told["imported"] + len(told["left_out"]) == told["read"] > 0
    exported = tmp_path / "out.jsonl"
    code, out, err = say("data", "export", work, "first", "--format", format, "--out", exported, "--json")
    assert code == 0, err
    assert json.loads(out)["rows"] == told["imported"]
    code, out, err = say("data", "import", work, exported, "--name", "second", "--json")
    assert code == 0, err
    assert json.loads(out)["left_out"] == []
    listed = {d["name"]: d["kind"] for d in json.loads(say("data", "list", work, "--json")[1])}
    assert listed["first"] == listed["second"] == kind
    assert rows_of(work, "second") == rows_of(work, "first")


@pytest.mark.parametrize(
    "file",
    [
        "pandalm/testset-v1.json",
        "gpt2_tokenizer/merges.txt",
        "llama_factory/kto_en_demo.json",
        "llama_factory/dataset_info.json",
    ],
)
def test_that_a_real_file_of_another_shape_is_refused_or_read_but_never_half(
    file: str, work: Path, shared: Path, say: Say
) -> None:
    code, out, err = say("data", "import", work, shared / "data" / file, "--name", "other", "--skip-bad", "--json")
    listed = {d["name"]: d["rows"] for d in json.loads(say("data", "list", work, "--json")[1])}
    if code == 1:
        assert (out, err.count("\n")) == ("", 1)
        assert set(listed) == {"pairs"}
    else:
        told = json.loads(out)
        assert listed["other"] == told["imported"] == told["read"] - len(told["left_out"])
