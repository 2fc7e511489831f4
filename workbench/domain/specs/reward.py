"""The spec of a reward model."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from workbench.domain.specs.common import TrainingSpec, group


class RewardSpec(TrainingSpec):
    """Reward model: a scalar head that scores the chosen completion above the rejected one (Bradley–Terry)."""

    kind: Literal["reward"] = "reward"
    learning_rate: float = Field(
        1e-5, gt=0, le=1.0, description="Peak learning rate.", json_schema_extra=group("Optimizer")
    )
    margin: bool = Field(
        False,
        description="Ask the score difference to exceed the preference's margin.",
        json_schema_extra=group("Loss"),
    )
    center: float = Field(
        0.01,
        ge=0.0,
        le=10.0,
        description="Weight of the penalty that keeps scores around zero.",
        json_schema_extra=group("Loss", advanced=True),
    )
