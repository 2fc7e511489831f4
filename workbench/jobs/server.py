"""A server as a child process: started with a pipe, heard by a thread of its own, stopped in order.

When this application ends, however it ends, the pipe closes and the server ends with it. torch never enters this process.
"""

from __future__ import annotations

import contextlib
import io
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from workbench.domain.errors import Conflict, RunFailed, WorkbenchError
from workbench.domain.serving import Offered, ServeSettings, Serving
from workbench.jobs.decoder import OFFLINE
from workbench.jobs.launch import environment
from workbench.protocol import serve_wire as wire


def server_command() -> list[str]:
    """The command that starts the server."""
    return [sys.executable, "-P", "-m", "workbench", "server"]


class ServerProcess:
    """One server at a time. Every method may be called from any thread; only `stop` and `close` wait."""

    def __init__(
        self, log: Path, threads: Callable[[], int] = lambda: 0, command: Callable[[], list[str]] = server_command
    ) -> None:
        self.log = log
        self._threads = threads
        self._command = command
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._reader: threading.Thread | None = None
        self._serving = Serving()
        self._wanted = True

    @property
    def pid(self) -> int | None:
        """The running server's process id."""
        process = self._process
        return process.pid if process is not None and process.poll() is None else None

    def serving(self) -> Serving:
        """How the server fares, as it last said."""
        with self._lock:
            return self._serving

    def start(self, models: Sequence[Offered], settings: ServeSettings, keys: Sequence[str]) -> None:
        """Start it; Conflict when one is running. What it does then is told by `serving`."""
        setup = wire.Setup(models=tuple(models), settings=settings, keys=tuple(keys))
        with self._lock:
            self._need_none()
            try:
                with self.log.open("wb") as log:
                    process = subprocess.Popen(
                        self._command(),
                        stdin=subprocess.PIPE,
                        stdout=subprocess.PIPE,
                        stderr=log,
                        bufsize=0,
                        env=environment("", self._threads()) | OFFLINE,
                        start_new_session=True,
                    )
            except OSError as error:
                raise RunFailed(
                    f"The server could not be started: {error.strerror or error}.",
                    "Check the disk and the installation.",
                ) from error
            self._process, self._wanted = process, True
            self._serving = Serving(state="loading", models=tuple(model.name for model in models))
            self._reader = threading.Thread(target=self._read, args=(process,), name="server-reader", daemon=True)
        self._say(process, setup)
        self._reader.start()

    def _need_none(self) -> None:
        """Conflict when a server is running; one that has said its last word is waited for. The lock is held."""
        if self._process is None or self._process.poll() is not None:
            return
        if self._serving.state not in ("failed", "stopped"):
            raise Conflict("A server is running already.", "Stop it first.")
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def stop(self, seconds: float | None = None, *, now: bool = False) -> None:
        """Let it finish what runs (or not, with `now`) and wait for its end; after `seconds` it is killed."""
        process = self._process
        if process is None:
            return
        self._wanted = False
        self._say(process, wire.Stop(now=now))
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if self._reader is not None:
            self._reader.join()

    def ask_to_stop(self) -> None:
        """Let it finish what runs; returns at once."""
        if self._process is not None:
            self._wanted = False
            self._say(self._process, wire.Stop())

    def close(self, seconds: float = 5.0) -> None:
        """End it without waiting for what runs."""
        self.stop(seconds, now=True)

    def _say(self, process: subprocess.Popen[bytes], message: wire.Setup | wire.Stop) -> None:
        if process.stdin is not None:
            with contextlib.suppress(OSError, ValueError):  # it has ended: the reader tells how
                process.stdin.write(wire.to_line(message))

    def _read(self, process: subprocess.Popen[bytes]) -> None:
        """Hear the server until its pipe closes, then say how it ended."""
        if process.stdout is not None:
            with io.BufferedReader(process.stdout) as pipe:  # type: ignore[type-var]
                for line in pipe:
                    if not line.endswith(b"\n"):
                        break  # the server died in the midst of a line: how it ended says more than half a message
                    try:
                        news = wire.read_up(line)
                    except WorkbenchError as error:
                        process.kill()
                        self._set(process, Serving(state="failed", what=error.what, hint=error.hint))
                        break
                    self._set(process, news.serving)
        code = process.wait()
        if process.stdin is not None:
            with contextlib.suppress(OSError):
                process.stdin.close()
        last = self.serving()
        if last.state not in ("failed", "stopped"):
            if self._wanted:
                how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"
                self._set(process, Serving(state="failed", what=f"The server {how}.", hint=f"Its log is {self.log}."))
            else:
                self._set(process, Serving())

    def _set(self, process: subprocess.Popen[bytes], serving: Serving) -> None:
        with self._lock:
            if process is self._process:  # what an earlier server says is of no interest any more
                self._serving = serving
