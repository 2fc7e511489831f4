"""The only file of the window that knows threads: work goes out to lanes, answers come back in the GUI thread.

A foreign thread never touches Qt. It appends to a queue and writes one byte into a socket; a notifier in the GUI thread
wakes up and delivers what the queue holds.
"""

from __future__ import annotations

import logging
import queue
import socket
import threading
import traceback
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any, Literal

from PySide6.QtCore import QObject, QSocketNotifier
from shiboken6 import isValid

from workbench.domain.errors import WorkbenchError

Lane = Literal["quick", "long"]
LONG_THREADS = 4
_LOG = logging.getLogger(__name__)


class Ticket:
    """One piece of work under way. After `cancel` nothing of it is delivered any more, except that it has ended."""

    def __init__(self) -> None:
        self._cancelled = threading.Event()

    def cancel(self) -> None:
        """Ask the work to stop (it looks when it reports progress) and drop its answer."""
        self._cancelled.set()

    @property
    def cancelled(self) -> bool:
        """Whether somebody asked to stop."""
        return self._cancelled.is_set()


class _Pool:
    """A few daemon threads that take work in order; they start with the first piece of work."""

    def __init__(self, name: str, threads: int) -> None:
        self._name, self._size = name, threads
        self._work: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []

    def put(self, work: Callable[[], None]) -> None:
        if len(self._threads) < self._size:
            thread = threading.Thread(target=self._serve, name=f"bridge-{self._name}", daemon=True)
            self._threads.append(thread)
            thread.start()
        self._work.put(work)

    def close(self, seconds: float) -> None:
        for _ in self._threads:
            self._work.put(None)
        for thread in self._threads:
            thread.join(seconds)

    def _serve(self) -> None:
        while (work := self._work.get()) is not None:
            work()


class Bridge(QObject):
    """Runs blocking functions of the services on lanes and brings their answers back."""

    def __init__(self, report: Callable[[WorkbenchError], None], parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.report = report
        self._pools = {"quick": _Pool("quick", 1), "long": _Pool("long", LONG_THREADS)}
        self._answers: deque[tuple[Ticket | None, Callable[..., Any] | None, tuple[Any, ...]]] = deque()
        self._near, self._far = socket.socketpair()
        self._near.setblocking(False)
        self._far.setblocking(False)
        self._notifier = QSocketNotifier(self._near.fileno(), QSocketNotifier.Type.Read, self)
        self._notifier.activated.connect(self._deliver)
        self._tickets: set[Ticket] = set()
        self._closed = False

    @property
    def busy(self) -> int:
        """How many pieces of work are under way."""
        return len(self._tickets)

    def run(
        self,
        fn: Callable[..., Any],
        *args: Any,
        then: Callable[[Any], Any] | None = None,
        failed: Callable[[WorkbenchError], Any] | None = None,
        progress: Callable[[int, int], Any] | None = None,
        ended: Callable[[], Any] | None = None,
        lane: Lane = "quick",
        **kw: Any,
    ) -> Ticket:
        """Call `fn(*args, **kw)` in a thread of the lane and give its answer to `then` in the GUI thread.

        "quick" is one thread and keeps order; "long" is a small pool. Without `failed` the window shows the error. With
        `progress`, `fn` is called with a keyword `progress(done, total) -> bool` that says False once the ticket is
        cancelled. `ended` is called in every case, last.
        """
        ticket = Ticket()
        if self._closed:
            return ticket
        self._tickets.add(ticket)
        if progress is not None:
            kw["progress"] = self._teller(ticket, progress)
        self._pools[lane].put(lambda: self._work(ticket, fn, args, kw, then, failed, ended, lane))
        return ticket

    def relay(self, to: Callable[..., Any]) -> Callable[..., None]:
        """A function that any thread may call: its arguments are handed to `to` in the GUI thread."""
        return lambda *told: self._send(None, to, *told)

    def close(self, seconds: float = 5.0) -> None:
        """Deliver nothing more, let the lanes finish what they hold, the quick one for at most `seconds`, the long one shorter."""
        if self._closed:
            return
        self._closed = True
        for ticket in list(self._tickets):
            ticket.cancel()
        self._pools["quick"].close(seconds)  # writes are short, and must have happened
        self._pools["long"].close(seconds / LONG_THREADS / 2)
        self._notifier.setEnabled(False)
        self._near.close()
        self._far.close()

    def _work(
        self,
        ticket: Ticket,
        fn: Callable[..., Any],
        args: tuple[Any, ...],
        kw: dict[str, Any],
        then: Callable[[Any], Any] | None,
        failed: Callable[[WorkbenchError], Any] | None,
        ended: Callable[[], Any] | None,
        lane: Lane,
    ) -> None:
        try:  # what was asked of the quick lane before closing still happens: it may be a label or a note
            answer = fn(*args, **kw) if lane == "quick" or not (ticket.cancelled and self._closed) else None
        except WorkbenchError as error:
            self._send(ticket, failed or self.report, error)
        except Exception as error:  # noqa: BLE001 - whatever it is, a person must hear of it
            self._send(ticket, failed or self.report, unexpected(error))
        else:
            self._send(ticket, then, answer)
        self._send(None, lambda: self._finish(ticket, ended))

    def _finish(self, ticket: Ticket, ended: Callable[[], Any] | None) -> None:
        self._tickets.discard(ticket)
        if ended is not None:
            _call(ended, ())

    def _teller(self, ticket: Ticket, progress: Callable[[int, int], Any]) -> Callable[[int, int], bool]:
        def tell(done: int, total: int) -> bool:
            self._send(ticket, progress, done, total)
            return not ticket.cancelled

        return tell

    def _send(self, ticket: Ticket | None, to: Callable[..., Any] | None, *answer: Any) -> None:
        self._answers.append((ticket, to, answer))
        try:
            self._far.send(b"!")
        except OSError:  # full: the notifier is awake already; closed: nobody listens any more
            return

    def _deliver(self) -> None:
        try:
            self._near.recv(65536)
        except (BlockingIOError, InterruptedError):
            pass
        for _ in range(len(self._answers)):
            ticket, to, answer = self._answers.popleft()
            if to is not None and not self._closed and not (ticket is not None and ticket.cancelled):
                _call(to, answer)


def _call(to: Callable[..., Any], answer: tuple[Any, ...]) -> None:
    owner = _owner(to)
    if isinstance(owner, QObject) and not isValid(owner):
        return  # the page that asked is gone
    to(*answer)


def _owner(to: Callable[..., Any]) -> Any:
    """Whose method a function is, also when arguments are bound; for a lambda written in a method, the `self` that it has kept."""
    while isinstance(to, partial):
        to = to.func
    code, cells = getattr(to, "__code__", None), getattr(to, "__closure__", None) or ()
    if code is not None and "self" in code.co_freevars:
        return cells[code.co_freevars.index("self")].cell_contents
    return getattr(to, "__self__", None)


def unexpected(error: BaseException) -> WorkbenchError:
    """Any other exception as an error that a person can read, with the trace for the log."""
    details = "".join(traceback.format_exception(error))
    _LOG.error("unexpected error\n%s", details)
    text = str(error).strip().splitlines()
    return WorkbenchError(
        f"Something went wrong that the workbench didn't expect ({type(error).__name__}{': ' + text[0] if text else ''}).",
        "Your labels and runs are safe on disk. The log has the details; try again, or restart the window.",
        details,
    )
