"""Sixteen processes in one queue at once, over both kinds of databases; the full size is run by hand (`tests/benchmarks`)."""

import json
import os
import subprocess
import sys
from pathlib import Path

JUDGEMENTS = 12


def test_that_sixteen_processes_lose_nothing_and_keep_to_the_overlap(workspace: Path) -> None:
    workspace.mkdir(exist_ok=True)
    command = [sys.executable, "-m", "tests.benchmarks.labelling_together", str(workspace)]
    asked = subprocess.run(
        [*command, "--judgements", str(JUDGEMENTS)], capture_output=True, text=True, check=False, env=os.environ
    )
    assert asked.stderr == ""
    found = json.loads(asked.stdout)
    assert found.pop("errors") == []
    for figure in [key for key in found if key.endswith("seconds") or key.startswith("answer_ms")]:
        assert found.pop(figure) >= 0
    assert (found.pop("processes"), found.pop("judgements")) == (16, JUDGEMENTS)
    assert not any(found.values()), found
    assert asked.returncode == 0
