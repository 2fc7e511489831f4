"""A text as it grows token by token: what may be the beginning of a stop text is held back, and a stop text is cut off."""

from __future__ import annotations

from typing import Any, NamedTuple

from workbench.engine.decoding.pieces import TextStream, cut_at_stop, undecided_tail
from workbench.serving.order import Said


class _Held(NamedTuple):
    said: Said
    start: int
    end: int


class Speech:
    """The text behind a prompt; `stopped` when a stop text has come."""

    def __init__(self, tokenizer: Any, prompt: list[int], stops: tuple[str, ...]) -> None:
        self._stream = TextStream(tokenizer, prompt)
        self._stops = stops
        self._longest = max(map(len, stops), default=0)
        self._tail = ""  # the newest part of the text: nothing before it can belong to a stop text
        self._length = 0
        self._held: list[_Held] = []
        self.stopped = False

    def push(self, said: Said) -> list[Said]:
        """Add a token; returns those that are now sure to belong to the text, with what they add to it."""
        piece = self._stream.push(said.id)
        said = said._replace(text=piece)
        if not self._stops:
            return [said]
        self._held.append(_Held(said, self._length, self._length + len(piece)))
        self._length += len(piece)
        self._tail += piece
        place = cut_at_stop(self._tail, self._stops)
        if place is not None:
            self.stopped = True
            return self._cut(self._length - len(self._tail) + place)
        sure = self._length - undecided_tail(self._tail, self._stops)
        self._tail = self._tail[-self._longest :]
        return self._settled(sure)

    def rest(self) -> list[Said]:
        """What is still held back, when no further token comes."""
        return [] if self.stopped else self._settled(self._length)

    def _settled(self, sure: int) -> list[Said]:
        count = 0
        while count < len(self._held) and self._held[count].end <= sure:
            count += 1
        done, self._held = self._held[:count], self._held[count:]
        return [held.said for held in done]

    def _cut(self, place: int) -> list[Said]:
        """The tokens before a stop text; one that reaches into it loses what it would add from `place` on."""
        kept = [held for held in self._held if held.start < place or held.end <= place]
        return [
            h.said if h.end <= place else h.said._replace(text=h.said.text[: place - h.start], cut=True) for h in kept
        ]
