"""A workspace with a dataset and a model, the command line in this process, and a digest of everything that a command could change."""

import hashlib
import json
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from workbench.cli.main import main
from workbench.services.workbench import Workbench, new_workspace

PAIRS = [{"prompt": f"Question {i}?", "chosen": f" good {i}", "rejected": f" bad {i}"} for i in range(8)]
Told = tuple[int, str, str]  # exit code, stdout, stderr
Say = Callable[..., Told]


def write_lines(path: Path, records: list[dict[str, object]]) -> Path:
    path.write_text("".join(json.dumps(r) + "\n" for r in records), encoding="utf-8")
    return path


def digest(folder: Path) -> dict[str, str]:
    """Every row of the database except who supervises, and every other file, by hash."""
    found: dict[str, str] = {}
    for path in sorted(p for p in folder.rglob("*") if p.is_file() and not p.name.startswith("workbench.db")):
        found[str(path.relative_to(folder))] = hashlib.sha256(path.read_bytes()).hexdigest()
    with closing(sqlite3.connect(folder / "workbench.db")) as connection:
        for (table,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            if table not in {"leases", "sqlite_sequence"}:
                found[table] = repr(connection.execute(f'SELECT * FROM "{table}"').fetchall())
    return found


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str]) -> Say:
    """Run one command in this process."""

    def command(*words: object) -> Told:
        capsys.readouterr()
        code = main([str(word) for word in words])
        out, err = capsys.readouterr()
        return code, out, err

    return command


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory, shared: Path) -> Path:
    """A folder with a workspace that holds eight pairs and a small real model, and the file they came from; made once."""
    folder = tmp_path_factory.mktemp("made")
    with Workbench.open(new_workspace(folder / "work")) as bench:
        bench.datasets.import_files([write_lines(folder / "pairs.jsonl", [dict(p) for p in PAIRS])], "pairs")
        bench.models.add_folder(shared / "models" / "stories260K", "stories")
    return folder


@pytest.fixture
def work(made: Path, tmp_path: Path) -> Path:
    """A copy of that workspace for one test, with the file beside it."""
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    return tmp_path / "work"


@pytest.fixture
def unchanged(work: Path) -> Iterator[None]:
    """The workspace holds afterwards exactly what it held before."""
    before = digest(work)
    yield
    assert digest(work) == before


@pytest.fixture
def refused(say: Say, unchanged: None) -> Callable[..., str]:
    """Run a command that must fail: one line, with what and a hint, nothing on stdout; returns the line."""

    def command(*words: object, code: int = 1) -> str:
        ended, out, err = say(*words)
        assert (ended, out) == (code, ""), err
        assert err.startswith("workbench: ")
        assert err.count("\n") == 1
        assert err.count(". ") + err.count(": ") >= 2, f"no hint: {err}"
        assert "Traceback" not in err and "made a mistake" not in err
        return err

    return command
