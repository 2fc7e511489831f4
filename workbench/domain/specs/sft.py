"""The spec of supervised fine-tuning."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from workbench.domain.specs.common import TrainingSpec, group


class SftSpec(TrainingSpec):
    """Supervised fine-tuning: imitate demonstrations, with loss on the completion only."""

    kind: Literal["sft"] = "sft"
    learning_rate: float = Field(
        2e-5, gt=0, le=1.0, description="Peak learning rate.", json_schema_extra=group("Optimizer")
    )
