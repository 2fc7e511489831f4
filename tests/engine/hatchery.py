"""Worker processes by the dozen: one process imports what workers need, and forks one for each run that it is told of.

A worker can be told to kill itself (SIGKILL, so that nothing is tidied up) as soon as it has said something. Each line on stdin is
a run, `{"folder": …, "kind": …, "step": …}`; each line on stdout how it ended, as `os.waitstatus_to_exitcode` puts it.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from workbench.protocol.run_folder import RunFolder

MODULES = ("torch", "peft", "transformers.models.llama.modeling_llama", "pyarrow.parquet")


class Hatchery:
    """The process that forks workers; `close` ends it."""

    def __init__(self) -> None:
        environment = {**os.environ, "WORKBENCH_THREADS": "1", "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.engine.hatchery"],
            cwd=Path(__file__).resolve().parents[2],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __call__(self, folder: RunFolder, kind: str = "", step: int = 0) -> int:
        """Let a worker execute a run, or kill itself when it has said something of a kind at a step or later; the exit code."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"folder": str(folder.path), "kind": kind, "step": step}) + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    def close(self) -> None:
        """End the process; its workers have ended by then."""
        self._process.communicate(timeout=60)


def work(folder: str, kind: str, step: int) -> int:
    """Be a worker; what is to kill it is looked for in what it says."""
    from workbench.engine.report import Report
    from workbench.engine.worker import main

    say = Report._say

    def then_die(self: Report, event: Any) -> None:
        say(self, event)
        if event.kind == kind and getattr(event, "step", 0) >= step:
            os.kill(os.getpid(), signal.SIGKILL)

    Report._say = then_die  # type: ignore[method-assign]
    return main([folder])


def serve() -> None:
    """Fork a worker for each line, and tell how it ended."""
    from workbench.engine.worker import ENVIRONMENT, RECIPES

    os.environ.update(ENVIRONMENT)
    for name in (*MODULES, *RECIPES.values()):
        importlib.import_module(name)
    from transformers.conversion_mapping import get_checkpoint_conversion_mapping

    get_checkpoint_conversion_mapping("llama")  # some hundred regular expressions
    gc.freeze()
    for line in sys.stdin:
        if (child := os.fork()) == 0:
            code = 70
            try:
                code = work(**json.loads(line))
            finally:
                os._exit(code)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    serve()
