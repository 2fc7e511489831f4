"""Token ids to tensors: right-padded batches with masks made from lengths, micro-batches, and the order of rows."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor


class Pair(NamedTuple):
    """Ids of one prompt and one completion (its EOS included unless it was cut off)."""

    prompt: list[int]
    completion: list[int]

    @property
    def length(self) -> int:
        """Tokens of both."""
        return len(self.prompt) + len(self.completion)


class Example(NamedTuple):
    """Ids of one text, and the places in it that are learned; the last of these ranges is the last answer."""

    ids: list[int]
    learned: tuple[range, ...]

    @property
    def length(self) -> int:
        """All tokens."""
        return len(self.ids)

    @property
    def targets(self) -> int:
        """Tokens that are learned; a text's first token has nothing before it that could predict it."""
        return sum(len(places) - (0 in places) for places in self.learned)

    @property
    def prompt(self) -> list[int]:
        """What the last answer answers."""
        return self.ids[: self.learned[-1].start]

    @property
    def completion(self) -> list[int]:
        """The last answer, with what the chat template puts behind it."""
        return self.ids[self.learned[-1].start :]


class Batch(NamedTuple):
    """B sequences, right-padded to length L; completions of at most T tokens, aligned at their first token.

    input_ids, attention_mask, position_ids: [B, L]; completion_ids (int64), completion_mask (bool): [B, T];
    prompt_lengths, completion_lengths: [B]. Masks come from lengths, so that a pad id that is also EOS does no harm.
    """

    input_ids: Tensor
    attention_mask: Tensor
    position_ids: Tensor
    completion_ids: Tensor
    completion_mask: Tensor
    prompt_lengths: Tensor
    completion_lengths: Tensor

    def to(self, device: torch.device | str) -> Batch:
        """The same batch on a device."""
        return Batch(*(tensor.to(device, non_blocking=torch.device(device).type == "cuda") for tensor in self))

    @property
    def before(self) -> Tensor:
        """[B, T] index in the sequence of the position that predicts each completion token; 0 where there is none."""
        steps = torch.arange(self.completion_ids.shape[1], device=self.input_ids.device)
        return (self.prompt_lengths[:, None] - 1 + steps) * self.completion_mask

    @property
    def last(self) -> Tensor:
        """[B] index in the sequence of the last token."""
        return self.prompt_lengths + self.completion_lengths - 1

    @property
    def tokens(self) -> int:
        """Completion tokens in the batch."""
        return int(self.completion_lengths.sum())


def collate(prompts: Sequence[list[int]], completions: Sequence[list[int]], pad: int) -> Batch:
    """Concatenate each prompt with its completion and pad on the right. Every prompt needs at least one token."""
    if not all(prompts):
        raise ValueError("a prompt without a token has no position that predicts the first completion token")
    p = np.array([len(ids) for ids in prompts])
    c = np.array([len(ids) for ids in completions])
    length, width = int((p + c).max()), max(1, int(c.max()))
    ids = np.full((len(p), length), pad, dtype=np.int64)
    labels = np.full((len(p), width), pad, dtype=np.int64)
    for row, (prompt, completion) in enumerate(zip(prompts, completions, strict=True)):
        ids[row, : p[row] + c[row]] = prompt + completion
        labels[row, : c[row]] = completion
    mask = np.arange(length) < (p + c)[:, None]
    return Batch(
        torch.from_numpy(ids),
        torch.from_numpy(mask.astype(np.int64)),
        positions(torch.from_numpy(mask)),
        torch.from_numpy(labels),
        torch.from_numpy(np.arange(width) < c[:, None]),
        torch.from_numpy(p),
        torch.from_numpy(c),
    )


def positions(mask: Tensor) -> Tensor:
    """[B, L] position of each token among those that the mask shows; 0 on padding."""
    shown = mask.long()
    return (shown.cumsum(1) - 1).clamp(min=0) * shown


def cut(pair: Pair, max_length: int) -> Pair | None:
    """The pair with its completion cut to fit (a cut EOS is not put back); None when the prompt leaves no room."""
    room = max_length - len(pair.prompt)
    return None if room < 1 else Pair(pair.prompt, pair.completion[:room])


def micro_batches(rows: Sequence[int], lengths: Sequence[int], size: int) -> Iterator[list[int]]:
    """The rows in groups of at most `size` (0 = all), those of similar length together to save padding."""
    if size <= 0 or size >= len(rows):
        yield list(rows)
        return
    ordered = sorted(rows, key=lambda row: -lengths[row])
    for start in range(0, len(ordered), size):
        yield ordered[start : start + size]


def buckets(rows: Sequence[int], lengths: Sequence[int], size: int, start_cost: int) -> list[list[int]]:
    """The rows in groups of at most `size` (0 = any number) of similar length, longest first, so that little is padding.

    Rows of one group are padded to its longest. A further group costs as much as `start_cost` tokens: of all ways to cut the
    rows, sorted by length, this is the cheapest (Bellman; quadratic in the number of rows).
    """
    ordered = sorted(rows, key=lambda row: -lengths[row])
    longest = np.array([lengths[row] for row in ordered])
    most = size if size > 0 else len(ordered)
    cost, cuts = np.zeros(len(ordered) + 1), [0]  # of the first n rows: the least cost, and where its last group begins
    for end in range(1, len(ordered) + 1):
        begins = np.arange(max(0, end - most), end)
        costs = cost[begins] + (end - begins) * longest[begins] + start_cost
        best = int(costs.argmin())  # of equal costs the earliest beginning: the fewest groups
        cost[end] = costs[best]
        cuts.append(int(begins[best]))
    groups: list[list[int]] = []
    end = len(ordered)
    while end:
        groups.append(ordered[cuts[end] : end])
        end = cuts[end]
    return groups[::-1]


def epoch_order(rows: int, epoch: int, seed: int) -> list[int]:
    """A permutation of the rows that depends on seed and epoch only."""
    order: list[int] = np.random.default_rng([seed, epoch]).permutation(rows).tolist()
    return order


def rows_at(step: int, rows: int, batch_size: int, seed: int) -> list[int]:
    """Indices of the rows of optimizer step `step` (from 0): epochs follow each other without a gap.

    It depends on its arguments only, so the sampler's position in a checkpoint is the step.
    """
    start = step * batch_size
    first, last = start // rows, (start + batch_size - 1) // rows
    stream = [index for epoch in range(first, last + 1) for index in epoch_order(rows, epoch, seed)]
    return stream[start - first * rows :][:batch_size]


def visits_at(step: int, rows: int, batch_size: int, seed: int) -> list[tuple[int, int]]:
    """Like `rows_at`, as (row, epoch): which row, and how often it was seen before."""
    start = step * batch_size
    chosen = rows_at(step, rows, batch_size, seed)
    return [(row, (start + place) // rows) for place, row in enumerate(chosen)]


def count_steps(rows: int, batch_size: int, epochs: float, max_steps: int) -> int:
    """Optimizer steps of a run: `max_steps` if given, else enough to see every row `epochs` times."""
    return max_steps or max(1, math.ceil(rows * epochs / batch_size))
