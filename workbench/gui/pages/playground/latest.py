"""One question at a time: while an answer is awaited only the newest further question is kept."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class Latest:
    """Sends at once when nothing is awaited, else keeps the newest; `answered` must be called for every answer and failure."""

    def __init__(self, send: Callable[[Any], Any]) -> None:
        self._send = send
        self._waits: tuple[Any, ...] = ()
        self.busy = False

    def ask(self, question: Any) -> None:
        """Ask now or next."""
        if self.busy:
            self._waits = (question,)
        else:
            self.busy = True
            self._send(question)

    def answered(self) -> None:
        """The answer is here: ask what waits."""
        self.busy = False
        if self._waits:
            (question,), self._waits = self._waits, ()
            self.ask(question)
