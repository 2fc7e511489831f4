"""The spec of a reward model."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from workbench.domain.specs.common import group
from workbench.domain.specs.preferences import PreferenceSpec

PAIRWISE = ("bradley_terry", "hinge", "mse")


class RewardSpec(PreferenceSpec):
    """Reward model: a scalar head that scores better completions above worse ones, learned from rankings."""

    kind: Literal["reward"] = "reward"
    batch_size: int = Field(
        16,
        ge=1,
        le=65536,
        description="Items that go into one optimizer step, each with all its completions.",
        json_schema_extra=group("Batch", unit="items"),
    )
    micro_batch_size: int = Field(
        0,
        ge=0,
        le=65536,
        description="Items in memory at once, each with all its completions; the result stays the same (0 = whole batch).",
        json_schema_extra=group("Batch", unit="items"),
    )
    learning_rate: float = Field(
        1e-5, gt=0, le=1.0, description="Peak learning rate.", json_schema_extra=group("Optimizer")
    )
    loss: Literal["bradley_terry", "hinge", "mse", "softmax", "plackett_luce"] = Field(
        "bradley_terry",
        description="Bradley–Terry, hinge or squared margin over pairs; softmax over the best or Plackett–Luce over whole rankings.",
        json_schema_extra=group("Loss"),
    )
    margin: bool = Field(
        False,
        description="Ask the score difference of a pair to exceed its margin: tiers between the two, times strength.",
        json_schema_extra=group("Loss"),
    )
    margin_scale: float = Field(
        1.0,
        gt=0,
        le=100.0,
        description="Score difference for a margin of one; hinge and squared margin ask it of every pair without margins.",
        json_schema_extra=group("Loss", advanced=True),
    )
    center: float = Field(
        0.01,
        ge=0.0,
        le=10.0,
        description="Weight of the penalty that keeps scores around zero.",
        json_schema_extra=group("Loss", advanced=True),
    )
    pooling: Literal["last", "mean", "eos"] = Field(
        "last",
        description="Read the score at the last token, as mean over the completion, or at an end token that is added if missing.",
        json_schema_extra=group("Loss", advanced=True),
    )
    normalize: Literal["none", "all", "chosen"] = Field(
        "all",
        description="Whose scores give the mean and deviation saved with the model: held-out completions, all or the best ones.",
        json_schema_extra=group("Loss", advanced=True),
    )
