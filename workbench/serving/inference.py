"""The one thread that computes: it lets waiting texts in, gives every batch and every lone text a step in turn, and tells what came.

Everything of torch happens here. Orders come in through `submit` from any thread; what becomes known goes out through `post`, once a
turn for all texts together.
"""

from __future__ import annotations

import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Mapping
from typing import NamedTuple

from workbench.domain.decoding import Beam, Greedy, Sample
from workbench.domain.errors import BadInput, Conflict, RunFailed, WorkbenchError
from workbench.engine.decoding.voice import Voice
from workbench.engine.model_shelf import short_of_memory
from workbench.serving.alone import Alone, Reading
from workbench.serving.batch import Batch, Row, Told
from workbench.serving.order import Broken, Heard, Order

READ_AT_ONCE = 4096  # prompt tokens that are let in between two steps of those who speak already
SPEED_SECONDS = 5.0

Post = Callable[[Told], None]


class Busy(Conflict):
    """So many texts wait that no further ones are taken."""


class Fares(NamedTuple):
    """How the thread fares: texts being decoded and waiting, tokens a second, tokens in all."""

    rows: int
    waiting: int
    speed: float
    tokens: int


class _Entrant(NamedTuple):
    """Something that waits to be let in: texts of one prompt that can share a batch, or one text that can't."""

    order: Order
    prompt: int
    choices: tuple[int, ...]
    weight: int


class Inference:
    """Decodes for everybody. `close` ends it; whatever is under way then is told that it is broken."""

    def __init__(self, voices: Mapping[str, Voice], post: Post, most_rows: int = 64, most_waiting: int = 512) -> None:
        self.voices = voices
        self._post = post
        self._most_rows, self._most_waiting = most_rows, most_waiting
        self._wake = threading.Condition()
        self._waiting: deque[_Entrant] = deque()
        self._waiting_texts = 0
        self._closed = False
        self._batches = {name: Batch(voice) for name, voice in voices.items()}
        self._alone: list[Alone | Reading] = []
        self._weights: dict[int, int] = {}
        self._told: Told = []
        self._tokens = 0
        self._recent: deque[tuple[float, int]] = deque()
        self._thread = threading.Thread(target=self._run, name="inference", daemon=True)
        self._thread.start()

    def submit(self, order: Order) -> None:
        """Take an order; Busy when too many texts wait, Conflict when the server is closing."""
        entrants = list(_entrants(order))
        with self._wake:
            if self._closed:
                raise Conflict("The server is stopping.", "Ask another one.")
            if self._waiting_texts and self._waiting_texts + order.texts > self._most_waiting:
                raise Busy(f"{self._waiting_texts} texts are waiting already.", "Try again in a while.")
            self._waiting.extend(entrants)
            self._waiting_texts += order.texts
            self._wake.notify()

    def cancel(self, order: Order) -> None:
        """Nobody listens any more: its texts end before their next token."""
        order.cancelled = True
        with self._wake:
            self._wake.notify()

    def fares(self) -> Fares:
        """How it fares now."""
        with self._wake:
            self._forget_old()
            speed = sum(count for _, count in self._recent) / SPEED_SECONDS
            return Fares(self._rows(), self._waiting_texts, speed, self._tokens)

    def columns(self, model: str) -> int:
        """How many columns a model's batch holds, padding included."""
        return self._batches[model].columns

    def close(self, seconds: float = 30.0) -> None:
        """End the thread after its present step."""
        with self._wake:
            self._closed = True
            self._wake.notify()
        self._thread.join(seconds)

    # -- in the thread -------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        while True:
            with self._wake:
                while not (self._closed or self._waiting or self._alone or any(b.rows for b in self._batches.values())):
                    self._wake.wait()
                if self._closed:
                    break
            self._let_in()
            for batch in self._batches.values():
                self._turn_of_batch(batch)
            for work in list(self._alone):
                self._turn_alone(work)
            self._send()
        gone = Conflict("The server has stopped.", "Ask another one.")
        orders = {row.order for batch in self._batches.values() for row in batch.rows}
        orders |= {work.order for work in self._alone} | {entrant.order for entrant in self._waiting}
        self._told += [(order, Broken(gone)) for order in orders if not order.cancelled]
        self._send()

    def _rows(self) -> int:
        return sum(len(batch.rows) for batch in self._batches.values()) + sum(self._weights.values())

    def _let_in(self) -> None:
        """First come, first served, as far as there is room; equal models are let into their batch together."""
        joining: dict[str, list[Row]] = {}
        rows, read = self._rows(), 0
        while (entrant := self._next(rows, read)) is not None:
            order = entrant.order
            if order.cancelled:
                continue
            rows += entrant.weight
            read += len(order.prompts[entrant.prompt])
            try:
                if not _shares(order):
                    self._begin(Alone(self._voice(order), order, entrant.choices[0], self.voices), entrant.weight)
                    continue
                made = [Row(self._voice(order), order, choice) for choice in entrant.choices]
                if order.read:
                    self._begin(Reading(self._voice(order), order, entrant.prompt, made), entrant.weight)
                else:
                    joining.setdefault(order.model, []).extend(made)
            except Exception as error:  # noqa: BLE001 - one order's trouble is not the others'
                self._break({order}, error)
        for model, made in joining.items():
            self._admit(model, made)

    def _next(self, rows: int, read: int) -> _Entrant | None:
        with self._wake:
            if not self._waiting:
                return None
            entrant = self._waiting[0]
            full = rows > 0 and rows + entrant.weight > self._most_rows
            much = read > 0 and read + len(entrant.order.prompts[entrant.prompt]) > READ_AT_ONCE
            if (full or much) and not entrant.order.cancelled:
                return None
            self._waiting_texts -= len(entrant.choices)
            return self._waiting.popleft()

    def _voice(self, order: Order) -> Voice:
        return self.voices[order.model]

    def _begin(self, work: Alone | Reading, weight: int) -> None:
        self._alone.append(work)
        self._weights[id(work)] = weight

    def _admit(self, model: str, rows: list[Row]) -> None:
        if not rows:
            return
        try:
            short_of_memory(lambda: self._batches[model].admit(rows), model)
        except Exception as error:  # noqa: BLE001
            batch = self._batches[model]
            orders = {row.order for row in rows}
            if not isinstance(error, BadInput):  # nobody knows what the batch holds now
                orders |= {row.order for row in batch.rows}
                batch.drop()
            self._break(orders, error)

    def _turn_of_batch(self, batch: Batch) -> None:
        if not batch.rows:
            return
        try:
            self._told += short_of_memory(batch.step, "these texts")
        except Exception as error:  # noqa: BLE001
            self._break({row.order for row in batch.rows}, error)
            batch.drop()

    def _turn_alone(self, work: Alone | Reading) -> None:
        try:
            self._told += short_of_memory(work.step, "this text")
        except Exception as error:  # noqa: BLE001
            self._break({work.order}, error)
            work.over = True
        if work.over:
            self._alone.remove(work)
            del self._weights[id(work)]
            if isinstance(work, Reading):
                self._admit(work.order.model, work.ready)

    def _break(self, orders: set[Order], error: Exception) -> None:
        if not isinstance(error, WorkbenchError):
            traceback.print_exception(error)
            error = RunFailed(f"Decoding failed: {type(error).__name__}.", "The server's log has the details.")
        for order in orders:
            if not order.cancelled:
                order.cancelled = True
                self._told.append((order, Broken(error)))

    def _send(self) -> None:
        told, self._told = self._told, []
        if not told:
            return
        count = sum(event.fresh for _, event in told if isinstance(event, Heard))
        with self._wake:
            self._tokens += count
            self._recent.append((time.monotonic(), count))
            self._forget_old()
        self._post(told)

    def _forget_old(self) -> None:
        while self._recent and time.monotonic() - self._recent[0][0] > SPEED_SECONDS:
            self._recent.popleft()


def _shares(order: Order) -> bool:
    """Whether its texts can be rows of a batch: greedy and sampling, unless a rule remembers what it did."""
    return isinstance(order.settings, Greedy | Sample) and not getattr(order.settings, "mirostat_tau", 0.0)


def _entrants(order: Order) -> list[_Entrant]:
    shared = _shares(order)
    width = order.settings.num_beams if isinstance(order.settings, Beam) else 1
    found = []
    for prompt in range(len(order.prompts)):
        choices = tuple(range(prompt * order.n, (prompt + 1) * order.n))
        if shared:
            found.append(_Entrant(order, prompt, choices, order.n))
        else:
            found += [_Entrant(order, prompt, (choice,), width) for choice in choices]
    return found
