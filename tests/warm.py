"""Worker processes that needn't import torch and transformers each for itself: one process has imported all, and forks them.

What a test then starts is a real process with pipes, signals and an exit code of its own, started by the code that starts it anywhere:
only the interpreter is another. `Warm.python` takes the place of `sys.executable`. Told to run `-m workbench`, it asks the warm process for
a child, hands it its arguments, directory, environment and pipes, and from then on stands for it: signals go on to the child, it ends as
the child ends, and the child is killed when it is. Whatever else it is told to run goes to Python itself.

What a cold start does (the order of imports, variables that libraries read while they are imported) can't be seen this way, so each kind
of process is also started cold: the decoder in tests/engine/test_decode_worker.py, workers in tests/engine/test_worker.py, commands in
tests/cli/test_processes.py, the server in tests/serving/test_process.py.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import traceback
from pathlib import Path

from workbench.engine.worker import ENVIRONMENT, RECIPES

MODULES = (
    "torch", "peft", "transformers.models.llama.modeling_llama", "transformers.generation", "pyarrow.parquet",
    "workbench.engine.decode_worker", "workbench.serving.main", "workbench.cli.main", *RECIPES.values(),
)  # fmt: skip
STAND_IN = Path(__file__).with_name("stand_in.py")


class Warm:
    """The warm process; it ends with `close`, or with this one. Its children end with their stand-ins."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="warm-"))
        self.python = self._folder / "python"
        address = self._folder / "address"
        text = STAND_IN.read_text(encoding="utf-8")
        self.python.write_text(
            f"#!{sys.executable} -IS\n{text}\nmain({sys.executable!r}, {str(address)!r})\n", encoding="utf-8"
        )
        self.python.chmod(0o700)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.warm", str(address)],
            cwd=Path(__file__).resolve().parents[1],
            env={**os.environ, **ENVIRONMENT, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == b"warm\n"

    def close(self) -> None:
        """End the warm process."""
        self._process.communicate(timeout=60)
        shutil.rmtree(self._folder)


def serve(address: str) -> None:
    """Fork a child for each stand-in that connects; until stdin closes."""
    atexit.register(leave)  # registered first, so that it comes last
    for name in MODULES:
        importlib.import_module(name)
    from transformers.conversion_mapping import get_checkpoint_conversion_mapping

    get_checkpoint_conversion_mapping("llama")  # some hundred regular expressions
    gc.collect()
    gc.freeze()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the children here
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(address)
    listener.listen(64)
    os.write(1, b"warm\n")
    while 0 not in select.select([0, listener], [], [])[0]:
        link, _ = listener.accept()
        if os.fork() == 0:
            listener.close()
            work(link)
            return
        link.close()


ENDING: list[tuple[socket.socket, int]] = []


def work(link: socket.socket) -> None:
    """Be `python -m workbench …` as the stand-in at the other end was asked to."""
    os.setsid()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    _, pipes, _, _ = socket.recv_fds(link, 1, 3)
    for number, pipe in enumerate(pipes):
        os.dup2(pipe, number)
        os.close(pipe)
    with link.makefile("rb") as told:
        order = json.loads(told.readline())
    os.chdir(order["folder"])  # noqa: TID251  (this process is nobody else's)
    os.environ.clear()
    os.environ.update(order["environment"])
    if "PYTHONUNBUFFERED" in os.environ:
        sys.stdout.reconfigure(write_through=True)  # type: ignore[union-attr]  # a text file, whatever it may be typed as
    sys.executable, sys.argv = order["python"], ["workbench", *order["words"]]
    link.sendall(f"{os.getpid()}\n".encode())
    threading.Thread(target=end_with, args=(link,), name="stand-in", daemon=True).start()
    code = 1
    try:
        from workbench.__main__ import main

        code = main()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:  # noqa: BLE001  (as Python ends)
        traceback.print_exc()
    finally:
        ENDING.append((link, code))


def end_with(link: socket.socket) -> None:
    """Wait until the stand-in has gone, and go at once."""
    link.recv(1)
    os.kill(os.getpid(), signal.SIGKILL)


def leave() -> None:
    """What Python does last: a child tells its exit code, and skips the tidying up of memory that nobody needs any more."""
    for link, code in ENDING:
        sys.stdout.flush()
        sys.stderr.flush()
        link.sendall(f"{code}\n".encode())
        os._exit(code)


if __name__ == "__main__":
    serve(sys.argv[1])
