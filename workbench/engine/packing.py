"""Documents packed into rows of one length, best fit first, without seeing each other.

Each document starts at position 0 and attends to itself only; its first token (BOS, where the tokenizer has one) is
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
from workbench.engine.batches import epoch_order

Array = npt.NDArray[np.int32]


class Packed(NamedTuple):
    """R packed rows of length L as int32 arrays [R, L]; `segments` counts documents from 1, 0 is padding."""

    ids: Array
    segments: Array
    positions: Array
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
        """Tokens of the chosen rows that are predicted: all but each piece's first."""
        chosen = list(rows)
        return int((self.segments[chosen] > 0).sum() - self.segments[chosen].max(1).sum())

    def batch(self, rows: Sequence[int]) -> PackedBatch:
        """The chosen rows as tensors."""
        segments = self.segments[list(rows)]
        width = int((segments > 0).sum(1).max())
        segments = segments[:, :width]
        inside = (segments[:, 1:] == segments[:, :-1]) & (segments[:, 1:] > 0)
        plain = bool((segments == 1).all())
        return PackedBatch(
            torch.from_numpy(self.ids[list(rows), :width].astype(np.int64)),
            torch.from_numpy(self.positions[list(rows), :width].astype(np.int64)),
            None if plain else _own_past(torch.from_numpy(segments)),
            torch.from_numpy(inside),
        )


class PackedBatch(NamedTuple):
    """input_ids, position_ids [B, L]; attention [B, 1, L, L] of bool, None when plain causal; has_target [B, L-1]."""

    input_ids: Tensor
    position_ids: Tensor
    attention: Tensor | None
    has_target: Tensor

    def to(self, device: torch.device | str) -> PackedBatch:
        """The same batch on a device."""
        wait = torch.device(device).type != "cuda"
        moved = [None if tensor is None else tensor.to(device, non_blocking=not wait) for tensor in self]
        return PackedBatch(*moved)  # type: ignore[arg-type]

    @property
    def targets(self) -> int:
        """Tokens that are predicted."""
        return int(self.has_target.sum())


def pack(documents: Sequence[list[int]], length: int, pad: int, seed: int) -> Packed:
    """Best-fit decreasing: each piece goes where the least room is left after it. Raises RunFailed without a target."""
    pieces = [ids[start : start + length] for ids in documents for start in range(0, len(ids), length)]
    pieces = [piece for piece in pieces if len(piece) > 1]
    if not pieces:
        raise RunFailed("The documents hold no text.", "Choose a dataset with texts of at least two tokens.")
    shuffled = [pieces[index] for index in epoch_order(len(pieces), 0, seed)]
    rows = _best_fit(sorted(shuffled, key=len, reverse=True), length)
    ids = np.full((len(rows), length), pad, dtype=np.int32)
    segments = np.zeros((len(rows), length), dtype=np.int32)
    places = np.zeros((len(rows), length), dtype=np.int32)
    for row, members in enumerate(rows):
        start = 0
        for number, piece in enumerate(members, start=1):
            end = start + len(piece)
            ids[row, start:end] = piece
            segments[row, start:end] = number
            places[row, start:end] = np.arange(len(piece))
            start = end
    return Packed(ids, segments, places, len(pieces))


def _best_fit(pieces: Sequence[list[int]], length: int) -> list[list[list[int]]]:
    rows: list[list[list[int]]] = []
    with_room: dict[int, list[int]] = {}
    rooms: list[int] = []
    for piece in pieces:
        place = bisect_left(rooms, len(piece))
        if place < len(rooms):
            room = rooms[place]
            row = with_room[room].pop()
            if not with_room[room]:
                del with_room[room], rooms[place]
        else:
            room, row = length, len(rows)
            rows.append([])
        rows[row].append(piece)
        left = room - len(piece)
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
