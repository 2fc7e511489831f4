"""`workbench decoder`: loads models and decodes for a person who waits; JSON lines on stdin and stdout.

A thread reads requests, so that Stop is seen before the next token. stdout belongs to the protocol alone: whatever libraries print goes to
stderr. The worker ends when the pipe closes; no request can bring it down.
"""

from __future__ import annotations

import queue
import sys
import threading
from collections.abc import Callable
from typing import BinaryIO

from workbench.domain.errors import WorkbenchError
from workbench.engine.decode_jobs import Jobs
from workbench.engine.device import set_threads
from workbench.engine.model_shelf import Shelf
from workbench.protocol.decode_wire import Failed, PlainTokens, Quit, Ready, Reply, Request, Stop, read_request, to_line
from workbench.protocol.pipes import take_over_pipes


class Inbox:
    """Requests as they come in; a thread of its own reads them."""

    def __init__(self, pipe: BinaryIO) -> None:
        self._pipe = pipe
        self._requests: queue.SimpleQueue[Request | None] = queue.SimpleQueue()
        self._stopped = 0
        self._closed = False
        threading.Thread(target=self._read, name="inbox", daemon=True).start()

    def next(self) -> Request | None:
        """Wait for the next request; None when there will be no more."""
        return self._requests.get()

    def wanted(self, job: int) -> bool:
        """Whether a job should go on: it was not stopped and somebody still listens."""
        return job > self._stopped and not self._closed

    def _read(self) -> None:
        for line in self._pipe:
            try:
                request = read_request(line)
            except WorkbenchError as error:
                print(error.what, error.details, file=sys.stderr, flush=True)  # noqa: T201 - stderr is the log
                continue
            if isinstance(request, Stop):
                self._stopped = max(self._stopped, request.upto)
            elif isinstance(request, Quit):
                break
            else:
                self._requests.put(request)
        self._closed = True
        self._requests.put(None)


def main(argv: list[str]) -> int:
    """Serve requests until the pipe closes; returns the exit code."""
    if argv:
        print("usage: workbench decoder (it takes no arguments and speaks JSON lines)", file=sys.stderr)  # noqa: T201
        return 2
    requests, replies = take_over_pipes()
    set_threads()
    shelf = Shelf()

    def send(reply: Reply | PlainTokens) -> None:
        replies.write(to_line(reply))

    try:
        send(Ready(device=str(shelf.device)))
        inbox = Inbox(requests)
        serve(inbox, Jobs(shelf, send, inbox.wanted), send)
    except BrokenPipeError:
        return 0
    return 0


def serve(inbox: Inbox, jobs: Jobs, send: Callable[[Reply], None]) -> None:
    """Do one request after the other; every error becomes an answer."""
    while (request := inbox.next()) is not None:
        if isinstance(request, Stop | Quit):
            continue
        try:
            jobs.do(request)
        except BrokenPipeError:
            raise
        except WorkbenchError as error:
            print(error.details, file=sys.stderr, flush=True)  # noqa: T201
            send(Failed(job=request.job, what=error.what, hint=error.hint, error=error.kind))
        except Exception as error:  # noqa: BLE001 - the worker outlives whatever a model does
            found = jobs.explained(error)
            send(Failed(job=request.job, what=found.what, hint=found.hint, error=found.kind))
