"""Texts as rows of tokens: padded, one in a row, or packed, several in a row without seeing each other, best fit first.

Each packed text starts at position 0 and attends to itself only; its first token (BOS, where the tokenizer has one) is
never a target. A document longer than a row is cut into pieces, each of which starts afresh.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from workbench.domain.errors import RunFailed
from workbench.engine.batches import Example, epoch_order

Array = npt.NDArray[np.int32]
Flags = npt.NDArray[np.bool_]


class TokenBatch(NamedTuple):
    """Rows of tokens on their way into a causal model, and what is to be learned of them.

    input_ids, position_ids: [B, L]; attention: [B, 1, L, L] of bool, None when plain causal; places [N]: index in the
    flattened [B·L] of each position that predicts a target; labels [N]: the targets.
    """

    input_ids: Tensor
    position_ids: Tensor
    attention: Tensor | None
    places: Tensor
    labels: Tensor

    def to(self, device: torch.device | str) -> TokenBatch:
        """The same batch on a device."""
        wait = torch.device(device).type != "cuda"
        moved = [None if tensor is None else tensor.to(device, non_blocking=not wait) for tensor in self]
        return TokenBatch(*moved)  # type: ignore[arg-type]

    @property
    def targets(self) -> int:
        """Tokens that are predicted."""
        return len(self.labels)


class Padded(NamedTuple):
    """Texts of which each has a row to itself."""

    examples: Sequence[Example]
    pad: int

    def __len__(self) -> int:
        return len(self.examples)

    @property
    def lengths(self) -> list[int]:
        """Tokens in each row."""
        return [example.length for example in self.examples]

    def targets(self, rows: Sequence[int]) -> int:
        """Tokens of the chosen rows that are predicted."""
        return sum(self.examples[row].targets for row in rows)

    def batch(self, rows: Sequence[int]) -> TokenBatch:
        """The chosen rows as tensors, right-padded to the longest.

        Causal attention keeps real tokens from seeing the padding behind them, so no mask is needed, whatever the pad id is.
        """
        chosen = [self.examples[row] for row in rows]
        width = max(example.length for example in chosen)
        ids = np.full((len(chosen), width), self.pad, dtype=np.int64)
        learned = np.zeros((len(chosen), width), dtype=np.bool_)
        for row, example in enumerate(chosen):
            ids[row, : example.length] = example.ids
            for places in example.learned:
                learned[row, places.start : places.stop] = True
        # Positions run on over the padding: a step back would be read as the start of another text in the row.
        positions = np.broadcast_to(np.arange(width), ids.shape)
        return _batch(ids, positions.copy(), None, learned[:, 1:])


def _batch(
    ids: npt.NDArray[np.int64], positions: npt.NDArray[np.int64], attention: Tensor | None, targets: Flags
) -> TokenBatch:
    """`targets` [B, L-1] says which tokens but the first of each row are learned."""
    rows, columns = np.nonzero(targets)
    flat = torch.from_numpy(rows * ids.shape[1] + columns)
    tokens = torch.from_numpy(ids)
    return TokenBatch(tokens, torch.from_numpy(positions), attention, flat, tokens.flatten()[flat + 1])


class Packed(NamedTuple):
    """R packed rows of length L as int32 arrays [R, L]; `segments` counts texts from 1, 0 is padding.

    `targets_at` [R, L] says which tokens are predicted: of those that are learned, all but each piece's first.
    """

    ids: Array
    segments: Array
    positions: Array
    targets_at: Flags
    pieces: int

    def __len__(self) -> int:
        return int(self.ids.shape[0])

    @property
    def lengths(self) -> list[int]:
        """Tokens in each row, padding not counted."""
        counts: list[int] = (self.segments > 0).sum(1).tolist()
        return counts

    @property
    def fill(self) -> float:
        """Share of the rows' places that hold a token."""
        return float((self.segments > 0).mean())

    def targets(self, rows: Sequence[int]) -> int:
        """Tokens of the chosen rows that are predicted."""
        return int(self.targets_at[list(rows)].sum())

    def batch(self, rows: Sequence[int]) -> TokenBatch:
        """The chosen rows as tensors."""
        chosen = list(rows)
        width = int((self.segments[chosen] > 0).sum(1).max())
        segments = self.segments[chosen, :width]
        plain = bool((segments <= 1).all())
        # A row with one text needs no mask: nothing real stands behind its end. Its positions must not step back there.
        places = np.broadcast_to(np.arange(width), segments.shape) if plain else self.positions[chosen, :width]
        return _batch(
            self.ids[chosen, :width].astype(np.int64),
            places.astype(np.int64),
            None if plain else _own_past(torch.from_numpy(segments)),
            self.targets_at[chosen, 1:width],
        )


def pack(documents: Sequence[list[int]], length: int, pad: int, seed: int) -> Packed:
    """Pack documents of which every token is learned; one that is longer than a row is cut into pieces.

    Raises RunFailed when nothing is left to predict.
    """
    pieces = [ids[start : start + length] for ids in documents for start in range(0, len(ids), length)]
    return pack_examples([Example(ids, (range(len(ids)),)) for ids in pieces if len(ids) > 1], length, pad, seed)


def pack_examples(examples: Sequence[Example], length: int, pad: int, seed: int) -> Packed:
    """Best-fit decreasing: each text, at most `length` tokens long, goes where the least room is left after it."""
    if not any(example.targets for example in examples):
        raise RunFailed("The documents hold no text.", "Choose a dataset with texts of at least two tokens.")
    shuffled = [examples[index] for index in epoch_order(len(examples), 0, seed)]
    rows = _best_fit(sorted(shuffled, key=lambda example: example.length, reverse=True), length)
    ids = np.full((len(rows), length), pad, dtype=np.int32)
    segments = np.zeros((len(rows), length), dtype=np.int32)
    places = np.zeros((len(rows), length), dtype=np.int32)
    targets = np.zeros((len(rows), length), dtype=np.bool_)
    for row, members in enumerate(rows):
        start = 0
        for number, example in enumerate(members, start=1):
            end = start + example.length
            ids[row, start:end] = example.ids
            segments[row, start:end] = number
            places[row, start:end] = np.arange(example.length)
            for learned in example.learned:
                targets[row, start + max(1, learned.start) : start + learned.stop] = True
            start = end
    return Packed(ids, segments, places, targets, len(examples))


def _best_fit(pieces: Sequence[Example], length: int) -> list[list[Example]]:
    rows: list[list[Example]] = []
    with_room: dict[int, list[int]] = {}
    rooms: list[int] = []
    for piece in pieces:
        place = bisect_left(rooms, piece.length)
        if place < len(rooms):
            room = rooms[place]
            row = with_room[room].pop()
            if not with_room[room]:
                del with_room[room], rooms[place]
        else:
            room, row = length, len(rows)
            rows.append([])
        rows[row].append(piece)
        left = room - piece.length
        if left not in with_room:
            with_room[left] = []
            insort(rooms, left)
        with_room[left].append(row)
    return rows


def _own_past(segments: Tensor) -> Tensor:
    """[B, 1, L, L]: each token sees its own document up to itself. Padding sees padding, so that no row is empty."""
    same = segments[:, None, :, None] == segments[:, None, None, :]
    length = segments.shape[1]
    return same & torch.ones(length, length, dtype=torch.bool).tril()
