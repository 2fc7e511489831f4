"""Scores of all completions of items: each prompt computed once for all of them where that is less work, else a row for each.

A shared row holds a prompt and all its completions, which have the same positions and don't see each other; see pair_forward.py
for what a model must follow so that it says the same of it.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from workbench.engine.batches import buckets, collate, micro_batches
from workbench.engine.device import Setup
from workbench.engine.evaluate import evaluating
from workbench.engine.forward import core, hidden_states, rewards, scalars, states_at
from workbench.engine.pair_forward import follows_masks, sides_apart
from workbench.engine.rankings import Item
from workbench.engine.reward_settings import pooling_of

PROBE_TOKENS = 12  # of each part of the items that sharing is tried on
_NEAR, _ROUGH = 1e-3, 0.1  # between two computations of a score, in float32 and in reduced precision


class SharedItems(NamedTuple):
    """n items with S completions in all as n rows of length L.

    input_ids, position_ids, segments: [n, L]; segments are 0 on prompts, k on the k-th completion, higher on padding.
    starts, ends: [S], the flat index of each completion's first and last token, item by item.
    """

    input_ids: Tensor
    position_ids: Tensor
    segments: Tensor
    starts: Tensor
    ends: Tensor

    def to(self, device: torch.device | str) -> SharedItems:
        """The same rows on a device."""
        return SharedItems(*(tensor.to(device, non_blocking=torch.device(device).type == "cuda") for tensor in self))


def shared_items(items: Sequence[Item], pad: int) -> SharedItems:
    """Each item as one row. Every prompt and completion needs at least one token."""
    length = max(shared_length(item) for item in items)
    shape = (len(items), length)
    ids, places = np.full(shape, pad, dtype=np.int64), np.zeros(shape, dtype=np.int64)
    segments = np.full(shape, 1 + max(len(item.completions) for item in items), dtype=np.int64)
    starts, ends = [], []
    for row, item in enumerate(items):
        at = prompt = len(item.prompt)
        ids[row, :at], places[row, :at], segments[row, :at] = item.prompt, np.arange(at), 0
        for number, completion in enumerate(item.completions, start=1):
            here = slice(at, at + len(completion))
            ids[row, here], segments[row, here] = completion, number
            places[row, here] = np.arange(prompt, prompt + len(completion))
            starts.append(row * length + at)
            at += len(completion)
            ends.append(row * length + at - 1)
    numbers = (np.array(starts), np.array(ends))
    return SharedItems(*(torch.from_numpy(array) for array in (ids, places, segments, *numbers)))


def shared_length(item: Item) -> int:
    """Tokens of an item whose prompt is computed once."""
    return len(item.prompt) + sum(map(len, item.completions))


class ItemForward(NamedTuple):
    """How a run computes scores; `shared` says whether a prompt is computed once for all its completions."""

    model: Any
    pad: int
    setup: Setup
    shared: bool

    def __call__(self, items: Sequence[Item]) -> Tensor:
        """[S] scores of all completions, item by item."""
        with self.setup.autocast():
            return self._together(items) if self.shared else self._apart(items)

    def lengths(self, items: Sequence[Item]) -> list[int]:
        """The longest row of each item."""
        return [shared_length(item) if self.shared else item.length for item in items]

    def parts(self, rows: Sequence[int], lengths: Sequence[int], size: int) -> list[list[int]]:
        """Numbers of items in groups of at most `size` (0 = any number), each of which has a backward pass of its own."""
        if self.shared:
            return buckets(rows, lengths, size, self.setup.start_cost)
        return list(micro_batches(rows, lengths, size))

    def tokens(self, item: Item) -> int:
        """Tokens of an item that go through the model."""
        return shared_length(item) if self.shared else item.tokens

    def _apart(self, items: Sequence[Item]) -> Tensor:
        """A row for each completion, those of similar length together; the graph holds all until the loss is known."""
        sequences = [(item.prompt, ids) for item in items for ids in item.completions]
        lengths = [len(prompt) + len(ids) for prompt, ids in sequences]
        groups = buckets(range(len(sequences)), lengths, 0, self.setup.start_cost)
        found = []
        for group in groups:
            prompts, completions = zip(*(sequences[number] for number in group), strict=True)
            found.append(rewards(self.model, collate(prompts, completions, self.pad).to(self.setup.device)))
        order = torch.tensor([number for group in groups for number in group], device=self.setup.device)
        return torch.cat(found)[order.argsort()]

    def _together(self, items: Sequence[Item]) -> Tensor:
        rows = shared_items(items, self.pad).to(self.setup.device)
        given = (rows.input_ids, sides_apart(rows.segments), rows.position_ids)
        if pooling_of(core(self.model).config)[0] != "mean":
            return scalars(self.model, states_at(self.model, rows.ends, *given))
        flat = hidden_states(self.model, *given).flatten(0, 1)
        sizes = rows.ends + 1 - rows.starts
        steps = torch.arange(int(sizes.max()), device=sizes.device)
        inside = steps < sizes[:, None]
        every = scalars(self.model, flat)[(rows.starts[:, None] + steps) * inside]
        return (every * inside).sum(1) / sizes


def choose_forward(model: Any, items: Sequence[Item], pad: int, setup: Setup) -> ItemForward:
    """Share prompts where that is less work for these items and the model computes the same with it; else a row a completion."""
    apart = ItemForward(model, pad, setup, shared=False)
    together = apart._replace(shared=True)
    width = int(getattr(core(model).config.get_text_config(), "hidden_size", 0) or 1)
    longest = max(shared_length(item) for item in items)
    if not worth_sharing(items, width) or not follows_masks(model, longest) or not _agree(together, apart, items):
        return apart
    return together


def worth_sharing(items: Sequence[Item], width: int) -> bool:
    """Whether one row for all completions is less work than a row for each; work as in `pair_forward.worth_sharing`."""

    def work(length: int) -> float:
        return length * (1 + length / (6 * width))

    one = sum(work(shared_length(item)) for item in items)
    return one < sum(work(len(item.prompt) + len(ids)) for item in items for ids in item.completions)


def _agree(together: ItemForward, apart: ItemForward, items: Sequence[Item]) -> bool:
    """Whether both ways score pieces of two items the same, of those whose shortest completion is longest."""
    n = PROBE_TOKENS
    telling = sorted(items, key=lambda item: -min(map(len, item.completions)))[:2]
    small = [
        item._replace(prompt=item.prompt[:n], completions=[ids[-n:] for ids in item.completions]) for item in telling
    ]
    fine = core(apart.model).dtype == torch.float32
    exact = apart.setup._replace(compute=torch.float32) if fine else apart.setup
    try:
        with evaluating(apart.model):
            one, two = (way._replace(setup=exact)(small) for way in (together, apart))
    except Exception as error:  # noqa: BLE001  (an architecture that can't take such a mask says so in its own way)
        logging.getLogger(__name__).warning("prompts are not shared: %s", error)
        return False
    return float((one - two).abs().max()) <= (_NEAR if fine else _ROUGH)
