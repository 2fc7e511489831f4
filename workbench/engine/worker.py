"""`workbench worker RUN_FOLDER`: execute one run folder, nothing else needed.

The process says that it has the run before anything heavy is imported; whatever goes wrong becomes a `Failed` event with
a sentence and a hint. What libraries print goes into log.txt. Exit codes: 0 done or halted, 1 failed, 2 wrong usage.
"""

from __future__ import annotations

import errno
import fcntl
import gc
import importlib
import logging
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TextIO

from workbench.domain.errors import WorkbenchError
from workbench.domain.specs.kinds import Spec
from workbench.engine.report import Report
from workbench.protocol.run_folder import RunFolder

RECIPES = {
    kind: f"workbench.engine.recipes.{kind}"
    for kind in ("pretrain", "sft", "reward", "dpo", "ppo", "grpo", "weighted", "judge", "revise", "score", "study")
}
# What torch says when there is no memory, in types and texts: its allocators, the driver, cuBLAS.
_NO_MEMORY = ("OutOfMemoryError", "allocate memory", "not enough memory", "out of memory", "STATUS_ALLOC_FAILED")
ENVIRONMENT = {
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "CUBLAS_WORKSPACE_CONFIG": ":4096:8",
}


def main(arguments: list[str]) -> int:
    """Run the folder named by the only argument; returns the exit code."""
    if len(arguments) != 1 or arguments[0].startswith("-"):
        sys.stderr.write("usage: workbench worker RUN_FOLDER\n")
        return 0 if arguments in (["-h"], ["--help"]) else 2
    folder = RunFolder(Path(arguments[0]).absolute())
    if not folder.path.is_dir():
        sys.stderr.write(f"There is no run folder {folder.path}. Check the path.\n")
        return 2
    with _lock(folder) as mine:
        if not mine:
            sys.stderr.write(f"Another process works on {folder.path}. Wait for it, or stop it first.\n")
            return 2
        with _log(folder) as person:
            return _work(folder, person)


def _work(folder: RunFolder, person: TextIO) -> int:
    report = Report(folder)
    report.started()
    try:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, _pause_on_signal(report))
        os.environ.update(ENVIRONMENT)
        # Idle threads sleep instead of spinning: on cores shared with the window, spinning can cost a factor of ten.
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
        execute(folder.read_spec(), folder, report)
    except Exception as error:  # noqa: BLE001  (whatever it is, a person reads about it)
        what, hint = fail(report, error)
        person.write(f"{what} {hint}\n")
        return 1
    finally:
        report.close()
    return 0


def execute(spec: Spec, folder: RunFolder, report: Report) -> None:
    """Import the recipe of the spec's kind, and torch with it, and run it; where it fails, what was learned is saved first."""
    report.phase("starting")
    recipe = importlib.import_module(RECIPES[spec.kind])
    try:
        recipe.run(spec, folder, report)
    except Exception as error:
        if report.rescue is not None:
            try:
                let_go(error)
                report.rescue(error)
            except Exception:  # the run's own error is the one to tell
                logging.getLogger(__name__).exception("no checkpoint could be written")
        raise


def let_go(error: BaseException | None) -> None:
    """Free what the step that failed held, gradients and activations: after a lack of memory, saving needs some of it.

    Errors hold on to the frames that they came through, and these to their variables.
    """
    while error is not None:
        traceback.clear_frames(error.__traceback__)
        error = error.__cause__ or error.__context__
    gc.collect()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        torch.cuda.empty_cache()


def fail(report: Report, error: Exception) -> tuple[str, str]:
    """Report what went wrong, with the traceback in the log; returns (what, hint)."""
    logging.getLogger(__name__).error("the run failed", exc_info=error)
    kind, what, hint = explain(error)
    details = error.details if isinstance(error, WorkbenchError) else traceback.format_exc()
    report.failed(kind, what, hint, details)
    return what, hint


def explain(error: Exception) -> tuple[str, str, str]:
    """(kind, what, hint) of any exception, in a person's words."""
    if isinstance(error, WorkbenchError):
        return error.kind, error.what, error.hint
    text = str(error)
    if isinstance(error, MemoryError) or any(word in f"{type(error).__name__} {text}" for word in _NO_MEMORY):
        return (
            "out_of_memory",
            "The memory is not enough for this run.",
            "Set a smaller micro_batch_size or max_length, turn gradient_checkpointing on, or train an adapter.",
        )
    if getattr(error, "errno", None) == errno.ENOSPC or "No space left" in text:
        return "storage", "The disk is full.", "Free some space and resume the run; the last checkpoint is complete."
    if isinstance(error, IndexError) and text == "index out of range in self":  # how torch says it of an embedding
        return (
            "bad_input",
            "The data holds a token whose number is beyond the model's vocabulary.",
            "Resize the model's embeddings to its tokenizer (resize_token_embeddings) and save it, or take the base's own tokenizer.",
        )
    first = text.splitlines()[0] if text else type(error).__name__
    return type(error).__name__, f"The run ended with an error: {first}", "The log has the details."


def _pause_on_signal(report: Report) -> Callable[[int, FrameType | None], None]:
    def handler(number: int, frame: FrameType | None) -> None:
        report.terminated = True

    return handler


@contextmanager
def _lock(folder: RunFolder) -> Iterator[bool]:
    """Whether this process has the folder to itself; the kernel gives the lock back however the process ends."""
    with (folder.path / "worker.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield False
        else:
            yield True


@contextmanager
def _log(folder: RunFolder) -> Iterator[TextIO]:
    """Send stdout and stderr, of libraries in C too, to log.txt; yields a stream that still reaches the caller."""
    sys.stdout.flush()
    sys.stderr.flush()
    before = [os.dup(1), os.dup(2)]
    with folder.log.open("ab") as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    try:
        with os.fdopen(os.dup(before[1]), "w", encoding="utf-8") as person:
            yield person
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for number, original in zip((1, 2), before, strict=True):
            os.dup2(original, number)
            os.close(original)
