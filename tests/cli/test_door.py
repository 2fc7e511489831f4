"""`__main__` decides what a process is before anything heavy is imported."""

import subprocess
import sys

import pytest

from workbench.__main__ import COMMANDS, wants_window


@pytest.mark.parametrize("words", [[], ["my-work"], ["/some/folder"], ["tour"], ["tour", "my-work"]])
def test_that_nothing_or_a_folder_opens_the_window(words: list[str]) -> None:
    assert wants_window(words)


@pytest.mark.parametrize(
    "words",
    [
        ["--help"],
        ["--version"],
        ["tour", "--no-window"],
        ["tour", "--help"],
        ["data", "list", "x"],
        *[[c] for c in COMMANDS - {"tour"}],
    ],
)
def test_that_commands_and_options_do_not(words: list[str]) -> None:
    assert not wants_window(words)


def test_that_the_door_itself_imports_nothing_heavy() -> None:
    code = "import sys, workbench.__main__; print([m for m in ('torch', 'PySide6', 'sqlalchemy', 'pydantic') if m in sys.modules])"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
    )
