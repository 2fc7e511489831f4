"""The spec of pretraining."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from workbench.domain.specs.common import TrainingSpec, group


class PretrainSpec(TrainingSpec):
    """Next-token prediction on plain documents, packed into full sequences."""

    kind: Literal["pretrain"] = "pretrain"
    learning_rate: float = Field(
        1e-3, gt=0, le=1.0, description="Peak learning rate.", json_schema_extra=group("Optimizer")
    )
    weight_decay: float = Field(
        0.1,
        ge=0.0,
        le=1.0,
        description="Decoupled weight decay of matrices (biases and norms have none).",
        json_schema_extra=group("Optimizer", advanced=True),
    )
    beta2: float = Field(
        0.95,
        ge=0.0,
        lt=1.0,
        description="AdamW: decay of the squared gradient's mean.",
        json_schema_extra=group("Optimizer", advanced=True, when=("optimizer", ("adamw", "adamw8bit"))),
    )
