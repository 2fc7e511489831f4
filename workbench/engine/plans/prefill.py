"""The prompts of a rollout in pieces that are read at once; equal prompts, as the copies of a group are, only once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

_PREFILL_TOKENS = 4096  # padded tokens in one pass


class Piece(NamedTuple):
    """Distinct prompts, neighbours by length; row `rows[i]` of the batch has prompt `source[i]` of the piece."""

    prompts: list[tuple[int, ...]]
    rows: Tensor
    source: Tensor


def pieces(prompts: Sequence[Sequence[int]], device: torch.device | str = "cpu") -> Iterator[Piece]:
    """All prompts, each distinct one in exactly one piece."""
    rows_of: dict[tuple[int, ...], list[int]] = {}
    for row in sorted(range(len(prompts)), key=lambda row: len(prompts[row])):
        rows_of.setdefault(tuple(prompts[row]), []).append(row)
    distinct, start = list(rows_of), 0
    while start < len(distinct):
        end = start + 1
        while end < len(distinct) and len(distinct[end]) * (end + 1 - start) <= _PREFILL_TOKENS:
            end += 1
        piece, start = distinct[start:end], end
        rows = [row for ids in piece for row in rows_of[ids]]
        source = [line for line, ids in enumerate(piece) for _ in rows_of[ids]]
        yield Piece(piece, torch.tensor(rows, device=device), torch.tensor(source, device=device))


def padded(rows: Sequence[Sequence[int]], device: torch.device | str = "cpu") -> Tensor:
    """[B, L]: rows of ids with zeros behind them."""
    width = max(len(ids) for ids in rows)
    return torch.tensor([[*ids, *[0] * (width - len(ids))] for ids in rows], device=device)
