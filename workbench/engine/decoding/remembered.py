"""A stepper that remembers what it said behind every text, for many decodings of one prompt."""

from __future__ import annotations

import torch
from torch import Tensor

from workbench.engine.decoding.drafts import Reader, alike

KEPT = 2**26  # logits that are remembered (256 MiB)


class Remembered:
    """One row over another stepper, whose logits are kept by context; the methods are those of `Reader`.

    The other stepper is asked only for what was never read, so that thousands of short texts cost as many passes as they have
    different beginnings.
    """

    def __init__(self, stepper: Reader) -> None:
        self._stepper = stepper
        self._prompt: list[int] = []
        self._held: list[int] = []  # tokens behind the prompt that the other stepper holds
        self._ids: list[int] = []
        self._known: dict[tuple[int, ...], Tensor] = {}

    def prefill(self, rows: list[list[int]]) -> Tensor:
        """Begin anew behind a prompt -> [1, V]; another prompt than before forgets everything."""
        if rows[0] != self._prompt:
            self._known = {(): self._stepper.prefill(rows)}
            self._prompt, self._held = rows[0], []
        self._ids = []
        return self._known[()]

    def step(self, ids: Tensor | list[int]) -> Tensor:
        """Append one token -> [1, V]."""
        return self.extend([[int(ids[0])]])[:, -1]

    def extend(self, ids: list[list[int]]) -> Tensor:
        """Append tokens -> [1, T, V]."""
        before = len(self._ids)
        self._ids = self._ids + ids[0]
        places = range(before + 1, len(self._ids) + 1)
        if any(tuple(self._ids[:place]) not in self._known for place in places):
            self._read()
        return torch.cat([self._known[tuple(self._ids[:place])] for place in places])[None]

    def crop(self, count: int) -> None:
        """Forget the newest tokens; what was said behind them is kept."""
        if count:
            self._ids = self._ids[:-count]

    def _read(self) -> None:
        """Let the other stepper read what is held, from the first token that it doesn't hold."""
        same = min(alike(self._held, self._ids), len(self._ids) - 1)
        if len(self._known) * self._known[()].shape[-1] > KEPT:
            self._known, same = {(): self._known[()]}, 0
        self._stepper.crop(len(self._held) - same)
        said = self._stepper.extend([self._ids[same:]])[0]
        self._held = list(self._ids)
        for place in range(same + 1, len(self._ids) + 1):
            # What is read again differs by rounding only; what was said first stays.
            self._known.setdefault(tuple(self._ids[:place]), said[place - same - 1 : place - same])
