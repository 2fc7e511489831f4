"""The decoding worker as a child process: requests go down a pipe, a reader thread brings what comes back.

The process starts with the first request and starts anew with the first request after it has died. When this application ends, however it
ends, the pipe closes and the worker ends with it. torch never enters this process.
"""

from __future__ import annotations

import contextlib
import io
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from workbench.domain.choices import Aside, TokenChoice
from workbench.domain.decoding import DecodingSettings
from workbench.domain.errors import BadInput, Conflict, RunFailed, WorkbenchError
from workbench.domain.text import Prompt
from workbench.jobs.decoder_verbs import Progress, Verbs
from workbench.jobs.launch import environment
from workbench.protocol import decode_wire as wire

OFFLINE = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}


@dataclass(frozen=True)
class News:
    """What happened in a column of a job: a phase, tokens, asides of its strategy, an end or an error."""

    job: int
    column: int
    tokens: tuple[TokenChoice, ...] = ()
    asides: tuple[Aside, ...] = ()
    phase: str | None = None
    done: bool = False
    reason: str = ""
    text: str = ""
    completion: str = ""
    others: tuple[tuple[str, float], ...] = ()
    numbers: dict[str, float] = field(default_factory=dict)
    error: WorkbenchError | None = None


class Memory(NamedTuple):
    """Models that are loaded, as (folder, role, bytes), least recently used first; bytes in all, and how many there may be."""

    models: tuple[tuple[str, str, int], ...] = ()
    used: int = 0
    budget: int = 0


@dataclass(frozen=True, eq=False)
class _Child:
    """A running worker and the jobs that were handed to it, so that its loss is told to those and no others."""

    process: subprocess.Popen[bytes]
    jobs: set[int] = field(default_factory=set)


def decoder_command() -> list[str]:
    """The command that starts the worker."""
    return [sys.executable, "-P", "-m", "workbench", "decoder"]


class Decoder(Verbs):
    """One decoding worker. Every method may be called from any thread; `generate_many`, `score` and `reward` block."""

    def __init__(
        self,
        log: Path,
        threads: Callable[[], int] = lambda: 0,
        command: Callable[[], list[str]] = decoder_command,
        budget: Callable[[], int] = lambda: 0,
    ) -> None:
        self._log = log
        self._threads = threads
        self._command = command
        self._budget = budget
        self._memory = Memory()
        self._lock = threading.RLock()
        self._child: _Child | None = None
        self._job = 0
        self._closed = False
        self._columns: dict[int, set[int]] = {}
        self._waiting: dict[int, queue.SimpleQueue[wire.Reply | WorkbenchError]] = {}
        self._news: queue.SimpleQueue[News] = queue.SimpleQueue()

    @property
    def pid(self) -> int | None:
        """The running worker's process id."""
        child = self._child
        return child.process.pid if child is not None and child.process.poll() is None else None

    def generate(
        self, prompt: Prompt, columns: Sequence[tuple[Path, DecodingSettings, tuple[int, ...]]], prefill: str = ""
    ) -> int:
        """Start decoding columns (model folder, settings, tokens to go on from) side by side; `poll` tells what happens.

        Returns the job.
        """
        asked = tuple(wire.ColumnAsked(model=str(m), settings=settings, start=start) for m, settings, start in columns)
        with self._lock:
            job = self._next_job()
            self._columns[job] = set(range(len(asked)))
            self._send(wire.Generate(job=job, prompt=prompt, columns=asked, prefill=prefill))
        return job

    def load(self, model: Path) -> None:
        """Ask for a model ahead of its use; nothing is told about it."""
        with self._lock:
            self._send(wire.Load(job=self._next_job(), model=str(model)))

    def poll(self) -> list[News]:
        """Everything that happened in columns since the last look; never waits."""
        found = []
        while True:
            try:
                found.append(self._news.get_nowait())
            except queue.Empty:
                return found

    def stop(self, job: int) -> None:
        """End a job and those before it; its columns still report that they were stopped."""
        with self._lock:
            if self.pid is not None:
                self._send(wire.Stop(upto=job))

    def memory(self) -> Memory:
        """Which models are loaded, as the worker last told; nothing when it doesn't run."""
        return self._memory if self.pid is not None else Memory()

    def free(self, model: Path) -> None:
        """Let a model go; `memory` tells when it has."""
        with self._lock:
            if self.pid is not None:
                self._send(wire.Free(job=self._next_job(), model=str(model)))

    def rebudget(self, bytes: int | None = None) -> None:
        """Tell the worker, if it runs, what models may now hold together: by default what it would be told at its start."""
        with self._lock:
            if self.pid is not None:
                budget = self._budget() if bytes is None else bytes
                self._send(wire.Budget(job=self._next_job(), bytes=budget))

    def export_model(self, model: Path, out: Path, form: str, card: str, licence: str, precision: str) -> Path:
        """Write a model for use elsewhere; returns the main file, or the folder."""
        told = {
            "model": str(model),
            "out": str(out),
            "form": form,
            "card": card,
            "licence": licence,
            "precision": precision,
        }
        return Path(self._ask(lambda job: wire.Export.model_validate({"job": job, **told})).texts[0])

    def close(self, seconds: float = 5.0) -> None:
        """Close the pipe and wait for the worker; one that doesn't end is killed."""
        with self._lock:
            self._closed = True
            child, self._child = self._child, None
        if child is None:
            return
        process = child.process
        _close_quietly(process.stdin)
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _ask(self, make: Callable[[int], wire.Request], progress: Progress | None = None) -> wire.Done:
        answers: queue.SimpleQueue[wire.Reply | WorkbenchError] = queue.SimpleQueue()
        with self._lock:
            job = self._next_job()
            self._waiting[job] = answers
            self._send(make(job))
        while True:
            answer = answers.get()
            if isinstance(answer, WorkbenchError):
                raise answer
            if isinstance(answer, wire.Done):
                if answer.stopped:
                    raise Conflict("Decoding was stopped.", "Start it again when you want.")
                return answer
            if (
                isinstance(answer, wire.Progress)
                and progress is not None
                and progress(answer.done, answer.total) is False
            ):
                self.stop(job)

    def _next_job(self) -> int:
        self._job += 1
        return self._job

    def _send(self, request: wire.Request) -> None:
        """Write one request, starting the worker if there is none; the lock is held."""
        if self._closed:
            raise Conflict("The workspace is closed.", "Open it again.")
        for attempt in (1, 2):
            child = self._running()
            try:
                if child.process.stdin is not None:
                    child.process.stdin.write(wire.to_line(request))
            except OSError:
                if attempt == 2:
                    raise RunFailed("The decoder can't be reached.", f"Its log is {self._log}.") from None
                child.process.kill()
                child.process.wait()
            else:
                child.jobs.add(self._job)
                return

    def _running(self) -> _Child:
        child = self._child
        if child is not None and child.process.poll() is None:
            return child
        try:
            with self._log.open("wb") as log:
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
                f"The decoder could not be started: {error.strerror or error}.", "Check the disk and the installation."
            ) from error
        self._child = child = _Child(process)
        self._memory = Memory()
        if process.stdin is not None:
            with contextlib.suppress(OSError):  # whoever writes next will hear of it
                process.stdin.write(wire.to_line(wire.Budget(job=0, bytes=self._budget())))
        threading.Thread(target=self._read, args=(child,), name="decoder-reader", daemon=True).start()
        return child

    def _read(self, child: _Child) -> None:
        """Bring replies until the pipe closes, then tell everybody who waits that it did."""
        process = child.process
        if process.stdout is not None:
            # Lines of long texts come in many pieces: read them buffered, the pipe itself is not.
            with io.BufferedReader(process.stdout) as pipe:  # type: ignore[type-var]
                for line in pipe:
                    if not line.endswith(b"\n"):
                        break  # the worker died in the midst of a line: how it ended says more than half a message
                    try:
                        self._take(wire.read_reply(line))
                    except WorkbenchError as error:
                        process.kill()
                        process.wait()  # gone before anybody hears of it, so that nothing more is asked of it
                        self._lose(child, error)
                        break
        code = process.wait()
        _close_quietly(process.stdin)
        self._lose(child, _verdict(code, self._log))

    def _take(self, reply: wire.Reply) -> None:
        if isinstance(reply, wire.Ready):
            return
        if isinstance(reply, wire.Shelved):
            self._memory = Memory(tuple((m.model, m.role, m.bytes) for m in reply.models), reply.used, reply.budget)
            return
        with self._lock:
            waiting = self._waiting.get(reply.job)
            if isinstance(reply, wire.Done | wire.Failed):
                self._waiting.pop(reply.job, None)
                left = self._columns.pop(reply.job, set())
                if waiting is None:
                    self._end_left(reply, left)
            if isinstance(reply, wire.ColumnDone | wire.ColumnFailed):
                self._columns.get(reply.job, set()).discard(reply.column)
        if waiting is not None:
            waiting.put(_error(reply) if isinstance(reply, wire.Failed) else reply)
        elif (news := _news(reply)) is not None:
            self._news.put(news)

    def _end_left(self, reply: wire.Done | wire.Failed, left: set[int]) -> None:
        """Columns of a job that was stopped before it began, or failed as a whole."""
        for column in sorted(left):
            error = _error(reply) if isinstance(reply, wire.Failed) else None
            self._news.put(News(reply.job, column, done=True, reason="stopped", error=error))

    def _lose(self, child: _Child, error: WorkbenchError) -> None:
        with self._lock:
            waiting = [w for job in child.jobs if (w := self._waiting.pop(job, None)) is not None]
            columns = {job: self._columns.pop(job) for job in sorted(child.jobs) if job in self._columns}
        for answers in waiting:
            answers.put(error)
        for job, numbers in columns.items():
            for column in sorted(numbers):
                self._news.put(News(job, column, done=True, error=error))


def _news(reply: wire.Reply) -> News | None:
    match reply:
        case wire.Phase():
            return News(reply.job, reply.column, phase=reply.phase)
        case wire.Tokens():
            return News(reply.job, reply.column, tokens=reply.choices)
        case wire.Asides():
            return News(reply.job, reply.column, asides=reply.asides)
        case wire.ColumnDone():
            return News(
                reply.job, reply.column, done=True, reason=reply.reason, text=reply.text,
                completion=reply.completion, others=reply.others, numbers=reply.numbers,
            )  # fmt: skip
        case wire.ColumnFailed():
            return News(reply.job, reply.column, done=True, error=_error(reply))
        case _:
            return None


def _error(reply: wire.Failed | wire.ColumnFailed) -> WorkbenchError:
    kind = BadInput if reply.error == BadInput.kind else RunFailed
    return kind(reply.what, reply.hint)


def _verdict(code: int, log: Path) -> RunFailed:
    how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"
    return RunFailed(
        f"The decoder {how}.", f"Start again: it comes back by itself. If it was short of memory, use less. Log: {log}"
    )


def _close_quietly(pipe: object) -> None:
    if pipe is not None and hasattr(pipe, "close"):
        try:
            pipe.close()
        except OSError:
            return
