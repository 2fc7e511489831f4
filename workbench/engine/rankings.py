"""Rankings as token ids, and the losses' view of them: every completion of an item stands in a batch once.

An item is a prompt with K completions and what one or several annotators said about them. It weighs 1 in a loss, however many
pairs or judgements it gives: its judgements share that evenly, and each judgement's pairs share its part, 1/C(K,2) each
without ties (InstructGPT, arXiv 2203.02155, eq. 1).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from workbench.domain.errors import BadInput
from workbench.domain.judgement import pair_share
from workbench.engine.data import Row, prompt_of
from workbench.engine.text import encode_completion, encode_prompt


class Opinion(NamedTuple):
    """What one annotator said: the tier of each completion (0 = best, equal = tied), and how strongly."""

    tiers: tuple[int, ...]
    strength: float

    @property
    def pairs(self) -> list[tuple[int, int, float]]:
        """(better, worse, margin) of every strict pair; the margin is in tiers between the two, times strength."""
        return [
            (better, worse, (low - high) * self.strength)
            for better, high in enumerate(self.tiers)
            for worse, low in enumerate(self.tiers)
            if high < low
        ]

    @property
    def ties(self) -> list[tuple[int, int]]:
        """Both numbers of every pair of tied completions."""
        every = combinations(range(len(self.tiers)), 2)
        return [(a, b) for a, b in every if self.tiers[a] == self.tiers[b]]


class Item(NamedTuple):
    """Ids of a prompt and of its completions, and every opinion on them."""

    prompt: list[int]
    completions: list[list[int]]
    opinions: list[Opinion]

    @property
    def length(self) -> int:
        """Tokens of the prompt with the longest completion."""
        return len(self.prompt) + max(map(len, self.completions))

    @property
    def tokens(self) -> int:
        """Tokens of all sequences."""
        return len(self.prompt) * len(self.completions) + sum(map(len, self.completions))


class Rankings(NamedTuple):
    """Usable items, each with its first row; reasons of rows left out, completions too long, pairs and ties."""

    items: list[Item]
    rows: list[Row]
    left_out: Counter[str]
    too_long: int
    pairs: int
    ties: int


class Pairs(NamedTuple):
    """Strict pairs [P]: places of the better and the worse in the flat scores, margins, and weights that sum to 1 for an item."""

    better: Tensor
    worse: Tensor
    margin: Tensor
    weight: Tensor


class Lists(NamedTuple):
    """Opinions [J, K], best first: places in the flat scores, which exist, which tie with the one before, the best's shares.

    Weights [J] sum to 1 for an item.
    """

    places: Tensor
    mask: Tensor
    tied: Tensor
    best: Tensor
    weight: Tensor


def encode_rankings(rows: Sequence[Row], tokenizer: Any, chat_format: str, max_length: int, *, ties: bool) -> Rankings:
    """Ids of each item, with the opinions of all rows that speak of it.

    Rows are rankings, or pairs (`chosen`, `rejected`, `margin`), each of which is an item of its own. A completion that doesn't
    fit into `max_length` leaves its ranking, for a score can't be learned from one that was cut. With `ties`, an opinion that
    all are equal counts; without, it teaches nothing and is left out.
    """
    items, kept, left_out, too_long = [], [], Counter[str](), 0
    for group in _together(rows):
        try:
            prompt = encode_prompt(tokenizer, prompt_of(group[0]), chat_format)
            completions = [encode_completion(tokenizer, text or "") for text in _texts(group[0])]
        except BadInput as error:
            left_out[error.what] += len(group)
            continue
        room = max_length - len(prompt)
        fitting = [number for number, ids in enumerate(completions) if len(ids) <= room]
        if len(fitting) < 2:
            why = f"no two of its completions fit into {max_length} tokens with the prompt"
            left_out[f"the prompt alone has {max_length} tokens or more" if room < 1 else why] += len(group)
            continue
        opinions = []
        for row in group:
            opinion = _opinion(row)
            if why := _useless(opinion, completions, fitting, ties=ties):
                left_out[why] += 1
            else:
                opinions.append(opinion)
        if opinions:
            too_long += len(completions) - len(fitting)
            once = _distinct(completions, fitting)
            chosen = [Opinion(tuple(said.tiers[i] for i in once), said.strength) for said in opinions]
            items.append(Item(prompt, [completions[i] for i in once], chosen))
            kept.append(group[0])
    pairs = sum(len(said.pairs) for item in items for said in item.opinions)
    tied = sum(len(said.ties) for item in items for said in item.opinions)
    return Rankings(items, kept, left_out, too_long, pairs, tied)


def _together(rows: Sequence[Row]) -> Iterable[list[Row]]:
    """Rankings of one item in one group, in the order of their first rows; anything else stands alone."""
    groups: dict[Any, list[Row]] = {}
    for number, row in enumerate(rows):
        named = "completions" in row and row.get("item") is not None
        key = (row["item"], tuple(row["completions"])) if named else number
        groups.setdefault(key, []).append(row)
    return groups.values()


def _texts(row: Row) -> list[str]:
    return list(row["completions"]) if "completions" in row else [row["chosen"], row["rejected"]]


def _opinion(row: Row) -> Opinion:
    if "completions" not in row:
        return Opinion((0, 1), float(row.get("margin") or 0.0))
    return Opinion(tuple(row["tiers"]), float(row.get("strength") or 1))


def _distinct(completions: Sequence[list[int]], numbers: Sequence[int]) -> list[int]:
    """The first number of each distinct completion."""
    first: dict[tuple[int, ...], int] = {}
    for number in numbers:
        first.setdefault(tuple(completions[number]), number)
    return list(first.values())


def _useless(opinion: Opinion, completions: Sequence[list[int]], fitting: Sequence[int], *, ties: bool) -> str:
    """Why nothing can be learned from an opinion; empty when something can."""
    if len(opinion.tiers) != len(completions):
        return "it doesn't rank each of its completions"
    tier_of: dict[tuple[int, ...], int] = {}
    contradicts = any(tier_of.setdefault(tuple(completions[i]), opinion.tiers[i]) != opinion.tiers[i] for i in fitting)
    if len({tuple(completions[i]) for i in fitting}) < 2:
        return "its completions are the same"
    if contradicts:
        return "the same completion stands in two tiers"
    if not ties and len(set(tier_of.values())) < 2:
        return "its completions are all tied"
    return ""


def pairs_of(items: Sequence[Item], device: torch.device | str = "cpu") -> Pairs:
    """The strict pairs of items whose scores stand one behind the other."""
    found: list[tuple[int, int, float, float]] = []
    for first, item in _placed(items):
        for said in item.opinions:
            pairs = said.pairs
            share = pair_share(len(item.opinions), len(pairs))
            found += [(first + better, first + worse, margin, share) for better, worse, margin in pairs]
    table = torch.tensor(found, dtype=torch.float64, device=device).view(-1, 4)
    return Pairs(table[:, 0].long(), table[:, 1].long(), table[:, 2].float(), table[:, 3].float())


def ties_of(items: Sequence[Item], device: torch.device | str = "cpu") -> Tensor:
    """[P, 2] places of tied completions in the flat scores."""
    found = [(first + a, first + b) for first, item in _placed(items) for said in item.opinions for a, b in said.ties]
    return torch.tensor(found, dtype=torch.long, device=device).view(-1, 2)


def lists_of(items: Sequence[Item], device: torch.device | str = "cpu") -> Lists:
    """Every opinion as a list, best first, padded to the longest."""
    said = [(first, opinion, len(item.opinions)) for first, item in _placed(items) for opinion in item.opinions]
    shape = (len(said), max(len(opinion.tiers) for _, opinion, _ in said))
    places, tiers = np.zeros(shape, dtype=np.int64), np.full(shape, -1, dtype=np.int64)
    for row, (first, opinion, _) in enumerate(said):
        order = np.argsort(opinion.tiers, kind="stable")
        places[row, : len(order)] = first + order
        tiers[row, : len(order)] = np.array(opinion.tiers)[order]
    mask = tiers >= 0
    tied = np.zeros(shape, dtype=bool)
    tied[:, 1:] = (tiers[:, 1:] == tiers[:, :-1]) & mask[:, 1:]
    best = (tiers == tiers[:, :1]) & mask
    shares = (best / best.sum(1, keepdims=True)).astype(np.float32)
    weight = np.array([1 / count for _, _, count in said], dtype=np.float32)
    return Lists(*(torch.from_numpy(array).to(device) for array in (places, mask, tied, shares, weight)))


def _placed(items: Sequence[Item]) -> Iterable[tuple[int, Item]]:
    """Items with the place of their first completion among all completions."""
    first = 0
    for item in items:
        yield first, item
        first += len(item.completions)
