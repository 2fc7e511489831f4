"""What the config of a reward model says beyond transformers' own fields: where the score is read, and how scores are spread.

    reward_pooling         last, mean or eos; absent means last
    reward_eos_token_id    the token at which eos pooling reads
    reward_mean, reward_std    of the scores after training; absent where they weren't measured

Plain transformers keeps these fields and scores at the last token: for mean pooling, the model's card shows what to do.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor

from workbench.domain.errors import BadInput

POOLINGS = ("last", "mean", "eos")
_FIELDS = ("reward_pooling", "reward_eos_token_id", "reward_mean", "reward_std")


class RewardStatistics(NamedTuple):
    """Mean and standard deviation of a reward model's scores, as measured after its training."""

    mean: float
    std: float

    def standardise(self, scores: Tensor) -> Tensor:
        """Scores of any shape with mean 0 and deviation 1, so that a KL coefficient means the same with any reward model."""
        return (scores - self.mean) / self.std


def set_pooling(config: Any, pooling: str, eos: int | None) -> None:
    """Write into a config where the score is read; `eos` is the tokenizer's end token."""
    config.reward_pooling = pooling
    config.reward_eos_token_id = eos


def pooling_of(config: Any) -> tuple[str, int | None]:
    """(pooling, end token) of a reward model; raises BadInput for a pooling that isn't known here."""
    pooling = getattr(config, "reward_pooling", None) or "last"
    eos = getattr(config, "reward_eos_token_id", None)
    if pooling not in POOLINGS or (pooling == "eos" and eos is None):
        raise BadInput(
            f"The reward model's config asks for the pooling {pooling!r} (end token {eos}).",
            f"Correct reward_pooling in its config.json: {', '.join(POOLINGS)}.",
        )
    return pooling, eos


def set_statistics(config: Any, scores: Tensor) -> None:
    """Write mean and deviation of scores [N] into a config; scores that don't vary get a deviation of 1."""
    scores = scores.double()
    spread = float(scores.std(correction=0))
    config.reward_mean = float(scores.mean())
    config.reward_std = spread if spread > 0 else 1.0


def reward_statistics(config: Any) -> RewardStatistics | None:
    """Mean and deviation as saved with a reward model; None where they weren't measured."""
    mean, std = getattr(config, "reward_mean", None), getattr(config, "reward_std", None)
    return None if mean is None or not std else RewardStatistics(float(mean), float(std))


def copy_settings(folder: Path, config: Any) -> None:
    """Give a config what the config.json beside an adapter says: the base's own knows nothing of the score."""
    try:
        said = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return
    for name in _FIELDS:
        if said.get(name) is not None:
            setattr(config, name, said[name])
