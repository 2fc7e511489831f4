"""Comparisons as token ids, for recipes that learn from pairs, and what a reward model is judged by.

n pairs become one batch of 2n rows: the chosen completions first, then the rejected ones, in the same order.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from workbench.domain.errors import BadInput
from workbench.engine.batches import Batch, Pair, collate, cut
from workbench.engine.data import Row, prompt_of
from workbench.engine.text import encode_completion, encode_prompt

BINS = 10


class Preference(NamedTuple):
    """Ids of a prompt and of two completions, the first of which was preferred, by `margin` if that is known."""

    prompt: list[int]
    chosen: list[int]
    rejected: list[int]
    margin: float

    @property
    def length(self) -> int:
        """Tokens of the longer side."""
        return len(self.prompt) + max(len(self.chosen), len(self.rejected))


class Preferences(NamedTuple):
    """Usable comparisons with their rows; reasons of those left out, and how many completions were cut."""

    pairs: list[Preference]
    rows: list[Row]
    left_out: Counter[str]
    cut: int


def encode_preferences(
    rows: Sequence[Row], tokenizer: Any, chat_format: str, max_length: int, *, shorten: bool
) -> Preferences:
    """Ids of each comparison.

    What is longer than `max_length` is cut (with `shorten`; a cut completion has no end token) or left out: a score is taken at
    a completion's end, so a reward model can't learn from one that was cut.
    """
    pairs, kept, left_out, shortened = [], [], Counter[str](), 0
    for row in rows:
        try:
            prompt = encode_prompt(tokenizer, prompt_of(row), chat_format)
            sides = [Pair(prompt, encode_completion(tokenizer, row[name] or "")) for name in ("chosen", "rejected")]
        except BadInput as error:
            left_out[error.what] += 1
            continue
        fitting = [cut(side, max_length) for side in sides]
        chosen, rejected = fitting
        too_long = sum(side.length > max_length for side in sides)
        if chosen is None or rejected is None:
            left_out[f"the prompt alone has {max_length} tokens or more"] += 1
        elif too_long and not shorten:
            left_out[f"prompt and completion have more than {max_length} tokens"] += 1
        elif chosen.completion == rejected.completion:
            left_out["both completions are the same" + (" up to where they are cut" if too_long else "")] += 1
        else:
            shortened += too_long
            pairs.append(Preference(prompt, chosen.completion, rejected.completion, float(row.get("margin") or 0.0)))
            kept.append(row)
    return Preferences(pairs, kept, left_out, shortened)


def pair_batch(pairs: Sequence[Preference], pad: int) -> Batch:
    """[2n rows]: all chosen completions, then all rejected ones."""
    prompts = [pair.prompt for pair in pairs]
    return collate(prompts + prompts, [p.chosen for p in pairs] + [p.rejected for p in pairs], pad)


def mismatched(pairs: Sequence[Preference], max_length: int) -> list[Preference]:
    """Each prompt with the completions of the next pair that has another prompt (the first follows the last), cut to fit.

    Raises BadInput when all pairs have the same prompt.
    """
    prompts = [tuple(pair.prompt) for pair in pairs]
    if len(set(prompts)) < 2:
        raise BadInput(
            "All pairs have the same prompt; kto compares completions with those of other prompts.",
            "Add pairs of another prompt, or choose another loss.",
        )
    count = len(pairs)
    following = [0] * count
    for place in reversed(range(2 * count)):  # twice round, so that the last rows look past the end
        here, after = place % count, (place + 1) % count
        following[here] = after if prompts[after] != prompts[here] else following[after]
    strangers = []
    for pair, other in zip(pairs, following, strict=True):
        room = max_length - len(pair.prompt)
        strangers.append(pair._replace(chosen=pairs[other].chosen[:room], rejected=pairs[other].rejected[:room]))
    return strangers


def reward_metrics(chosen: Tensor, rejected: Tensor, lengths: Tensor, prefix: str = "") -> dict[str, float]:
    """Metrics of a reward model: scores chosen [n] and rejected [n], completion lengths [2n] in the order of a batch."""
    chosen, rejected = chosen.double(), rejected.double()
    gaps = chosen - rejected
    values = {
        "accuracy": float((gaps > 0).double().mean()),
        "margin": float(gaps.mean()),
        "chosen_reward": float(chosen.mean()),
        "rejected_reward": float(rejected.mean()),
        "calibration_error": calibration_error(gaps),
        "length_bias": correlation(torch.cat([chosen, rejected]), lengths.double()),
    }
    return {prefix + name: value for name, value in values.items()}


def length_metrics(gaps: Tensor, better: Tensor, worse: Tensor, similar: float = 1.25) -> dict[str, float]:
    """How much of a reward model's accuracy is length: gaps, and tokens of the better and worse completion, all [n].

    `longer_wins` is the accuracy of always taking the longer one (equal lengths count half). The others are accuracies on three
    kinds of pairs: lengths within a factor `similar`, the better one longer than that, the better one shorter; absent where
    there is no such pair.
    """
    better, worse, right = better.double(), worse.double(), (gaps > 0).double()
    longer, shorter = better > similar * worse, worse > similar * better
    kinds = {"similar_length": ~longer & ~shorter, "longer_better": longer, "shorter_better": shorter}
    found = {f"accuracy/{name}": float(right[kind].mean()) for name, kind in kinds.items() if bool(kind.any())}
    return {"longer_wins": float(((better > worse) + 0.5 * (better == worse)).mean()), **found}


def calibration_error(gaps: Tensor) -> float:
    """Expected calibration error (Guo et al. 2017) of score differences chosen - rejected [n], in ten bins.

    A reward model says σ(|gap|) sure that the higher score is the better completion; it is right where gap > 0.
    """
    sure = torch.sigmoid(gaps.abs().double())
    right = (gaps > 0).double()
    place = ((sure - 0.5) * 2 * BINS).long().clamp(max=BINS - 1)
    surplus = torch.zeros(BINS, dtype=torch.float64, device=gaps.device).index_add_(0, place, sure - right)
    return float(surplus.abs().sum() / max(1, len(gaps)))


def correlation(x: Tensor, y: Tensor) -> float:
    """Pearson's correlation of two [n]; 0 where one of them doesn't vary."""
    x, y = x - x.mean(), y - y.mean()
    spread = float(x.square().sum().sqrt() * y.square().sum().sqrt())
    return float((x * y).sum()) / spread if spread > 0 else 0.0
