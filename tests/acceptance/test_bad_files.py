"""Files that are no datasets: one clear line, and nothing has changed."""

import gzip
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.acceptance.conftest import PAIRS, Say, write_lines

Refused = Callable[..., str]
GOOD = "".join(json.dumps(p) + "\n" for p in PAIRS).encode()
PACKED = gzip.compress(GOOD, mtime=0)
BAD_FILES = {
    "empty.jsonl": (b"", "is empty"),
    "blank.jsonl": (b" \n\n\t\n", "is empty"),
    "half.jsonl.gz": (PACKED[: len(PACKED) // 2], "truncated"),
    "header-only.jsonl.gz": (PACKED[:8], "truncated"),
    "flipped.jsonl.gz": (PACKED[:30] + bytes([PACKED[30] ^ 0xFF]) + PACKED[31:], "damaged gzip"),
    "not-gzip.jsonl.gz": (GOOD, "not a gzip file"),
    "cut.json": (json.dumps(PAIRS).encode()[:200], "cut off"),
    "utf16.jsonl": (GOOD.decode().encode("utf-16"), "UTF-16"),
    "latin.jsonl": ('{"prompt": "caf\u00e9", "chosen": "a", "rejected": "b"}\n'.encode("latin-1"), "not UTF-8"),
    "picture.png": (b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + bytes(64), "binary"),
    "picture.jsonl": (b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + bytes(64), "binary"),
    "other.json": (b'{"weather": {"rain": 3}}', "no known format"),
    "number.json": (b"42", "single JSON value"),
    "numbers.json": (b"[1, 2, 3]", "no row that can be read"),
    "cut.parquet": (b"PAR1 and then nothing", "not a readable Parquet file"),
    "deep.json": (b"[" * 20_000, "too deeply"),
    "head.csv": (b"prompt,chosen,rejected\n", "no row"),
    "useless.jsonl": (b'{"prompt": "q", "chosen": "same", "rejected": "same"}\n', "no usable row"),
    "silent.jsonl": (b'{"prompt": "q", "chosen": "", "rejected": "b"}\n' * 3, "no usable row"),
}


@pytest.mark.parametrize("name", BAD_FILES)
@pytest.mark.parametrize("more", [[], ["--skip-bad"], ["--dry-run"]], ids=["plain", "skip-bad", "dry-run"])
def test_that_a_file_that_is_no_dataset_is_refused_in_one_line(
    name: str, more: list[str], work: Path, tmp_path: Path, say: Say, refused: Refused
) -> None:
    content, says = BAD_FILES[name]
    (tmp_path / name).write_bytes(content)
    words = ("data", "import", work, tmp_path / name, "--name", "new", *more)
    if more == ["--dry-run"] and says == "no usable row":
        code, out, _ = say(*words, "--json")
        assert code == 0
        assert json.loads(out)["read"] == len(json.loads(out)["left_out"]) > 0
        return
    assert says in refused(*words)


def test_that_a_bad_file_among_good_ones_stops_them_all(work: Path, tmp_path: Path, refused: Refused) -> None:
    bad = tmp_path / "bad.jsonl.gz"
    bad.write_bytes(PACKED[:-20])
    assert "bad.jsonl.gz" in refused("data", "import", work, tmp_path / "pairs.jsonl", bad, "--name", "new")


@pytest.mark.parametrize("kind", ["folder", "dangling link", "missing", "pipe"])
def test_that_what_is_no_file_is_told_apart(kind: str, work: Path, tmp_path: Path, refused: Refused) -> None:
    path = tmp_path / "thing.jsonl"
    if kind == "folder":
        path.mkdir()
    elif kind == "dangling link":
        path.symlink_to(tmp_path / "nowhere")
    elif kind == "pipe":
        os.mkfifo(path)
    says = {"folder": "is a folder", "pipe": "not an ordinary file"}.get(kind, "There is no file")
    assert says in refused("data", "import", work, path, "--name", "new")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_that_a_file_of_somebody_else_is_refused(work: Path, tmp_path: Path, refused: Refused) -> None:
    path = write_lines(tmp_path / "mine.jsonl", [dict(p) for p in PAIRS])
    path.chmod(0)
    assert "Permission denied" in refused("data", "import", work, path, "--name", "new")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--name", ""), "needs a name"),
        (("--name", "a\nb"), "needs a name"),
        (("--name", "x" * 121), "needs a name"),
        (("--name", "pairs"), "already a dataset"),
        (("--name", "new", "--format", "nonsense"), "There is no format 'nonsense'"),
        (("--name", "new", "--format", "hh-rlhf"), "no usable row"),
        (("--name", "new", "--format", "alpaca"), "needs 'instruction'"),
        (("--name", "new", "--map", "prompt=absent"), "no column 'absent'"),
        (("--name", "new", "--map", "nonsense=prompt"), "No format has a field 'nonsense'"),
        (("--name", "new", "--map", "prompt"), "has no column"),
    ],
    ids=lambda value: " ".join(value)[:40] if isinstance(value, tuple) else None,
)
def test_that_a_wrong_option_of_an_import_is_named(
    words: tuple[str, ...], says: str, work: Path, tmp_path: Path, refused: Refused
) -> None:
    assert says in refused("data", "import", work, tmp_path / "pairs.jsonl", *words)


@pytest.mark.parametrize(
    ("format", "out", "says"),
    [
        ("nonsense", "a.jsonl", "There is no export format"),
        ("trl-text", "a.jsonl", "can't hold this dataset"),
        ("trl-preference", "a.xyz", "no known ending"),
        ("trl-preference", "gone/a.jsonl", "can't be written"),
        ("trl-preference", "pairs.jsonl/a.jsonl", "can't be written"),
    ],
)
def test_that_an_export_that_cannot_be_leaves_no_file(
    format: str, out: str, says: str, work: Path, tmp_path: Path, refused: Refused
) -> None:
    before = sorted(p.name for p in tmp_path.iterdir())
    assert says in refused("data", "export", work, "pairs", "--format", format, "--out", tmp_path / out)
    assert sorted(p.name for p in tmp_path.iterdir()) == before


def test_that_every_bad_line_is_told_with_its_number_and_reason(work: Path, tmp_path: Path, say: Say) -> None:
    lines = [
        json.dumps(PAIRS[0]),
        "not json",
        '{"prompt": "q", "chosen": 3, "rejected": "b"}',
        "[]",
        json.dumps(PAIRS[1])[:-9],
    ]
    (tmp_path / "mixed.jsonl").write_text("\n".join(lines), encoding="utf-8")
    code, out, err = say("data", "import", work, tmp_path / "mixed.jsonl", "--name", "mixed", "--skip-bad", "--json")
    told = json.loads(out)
    assert (code, err, told["read"], told["imported"]) == (0, "", 5, 1)
    assert [t["line"] for t in told["left_out"]] == [2, 3, 4, 5]
    assert all(t["reason"].endswith(".") for t in told["left_out"])
    assert "cut off" in told["left_out"][3]["reason"]
