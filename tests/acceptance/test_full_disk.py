"""A disk that fills up in the middle of the work: one line with a hint, and what was there is still there."""

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.conftest import Say, digest, write_lines

SIZE = 1_500_000
LIMITED = """
import resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), int(sys.argv[1])))
from workbench.cli.main import main
sys.exit(main(sys.argv[2:]))
"""


def limited(size: int, *words: object) -> subprocess.CompletedProcess[str]:
    """A command in a process that can't make a file larger than `size` bytes."""
    command = [sys.executable, "-c", LIMITED, str(size), *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


def one_line(ended: subprocess.CompletedProcess[str]) -> str:
    assert (ended.returncode, ended.stdout) == (1, ""), ended.stderr
    assert ended.stderr.startswith("workbench: ")
    assert ended.stderr.count("\n") == 1
    assert "made a mistake" not in ended.stderr
    return ended.stderr


@pytest.fixture
def big(tmp_path: Path) -> Path:
    rows: list[dict[str, object]] = [{"text": f"document {n} " + os.urandom(400).hex()} for n in range(4_000)]
    return write_lines(tmp_path / "big.jsonl", rows)


@pytest.fixture
def tiny_disk(tmp_path: Path, work: Path) -> Iterator[Path]:
    """The workspace on a file system of its own that is almost full."""
    place = tmp_path / "tiny"
    place.mkdir()
    mount = shutil.which("mount")
    if mount is None or os.geteuid() != 0:
        pytest.skip("only root can mount a small file system")
    options = ["-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(place)]
    if subprocess.run([mount, *options], capture_output=True, check=False).returncode:
        pytest.skip("this machine doesn't allow mounting")
    try:
        shutil.copytree(work, place / "work")
        yield place / "work"
    finally:
        subprocess.run(["umount", str(place)], check=True)


def test_that_an_import_that_fills_the_disk_leaves_the_workspace_as_it_was(tiny_disk: Path, big: Path) -> None:
    before = digest(tiny_disk)
    said = one_line(limited(2**40, "data", "import", tiny_disk, big, "--name", "big"))
    assert "disk is full" in said
    assert "space" in said
    assert digest(tiny_disk) == before
    shown = limited(2**40, "data", "list", tiny_disk, "--json")
    assert shown.returncode == 0
    assert '"pairs"' in shown.stdout
    assert '"big"' not in shown.stdout


def test_that_an_export_onto_a_full_disk_leaves_the_old_file(tiny_disk: Path, work: Path, big: Path, say: Say) -> None:
    assert say("data", "import", work, big, "--name", "big")[0] == 0
    out = tiny_disk.parent / "out.jsonl"
    out.write_text("precious\n", encoding="utf-8")
    before, names = digest(work), sorted(p.name for p in out.parent.iterdir())
    code, told, said = say("data", "export", work, "big", "--format", "trl-text", "--out", out)
    assert (code, told, said.count("\n")) == (1, "", 1)
    assert "can't be written: No space left" in said
    assert out.read_text(encoding="utf-8") == "precious\n"
    assert sorted(p.name for p in out.parent.iterdir()) == names
    assert digest(work) == before


def test_that_a_new_workspace_on_a_full_disk_is_one_line(tiny_disk: Path, say: Say) -> None:
    with contextlib.suppress(OSError), (tiny_disk.parent / "filler").open("wb", buffering=0) as file:
        while file.write(bytes(4096)):
            pass
    code, told, said = say("new", tiny_disk.parent / "another")
    assert (code, told, said.count("\n")) == (1, "", 1)
    assert "full" in said or "No space" in said


def test_that_an_import_into_a_file_that_may_not_grow_is_one_line(work: Path, big: Path) -> None:
    before = digest(work)
    size = (work / "workbench.db").stat().st_size + 300_000
    one_line(limited(size, "data", "import", work, big, "--name", "big"))
    shown = limited(2**40, "data", "list", work)
    assert shown.returncode == 0
    assert "big" not in shown.stdout
    assert digest(work)["judgements"] == before["judgements"]
