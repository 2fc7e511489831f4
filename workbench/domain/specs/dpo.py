"""The spec of direct preference optimisation."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from workbench.domain.specs.common import TrainingSpec, group


class DpoSpec(TrainingSpec):
    """Direct preference optimisation (Rafailov et al. 2023, arXiv 2305.18290)."""

    kind: Literal["dpo"] = "dpo"
    learning_rate: float = Field(
        1e-6, gt=0, le=1.0, description="Peak learning rate.", json_schema_extra=group("Optimizer")
    )
    beta: float = Field(
        0.1,
        gt=0,
        le=100.0,
        description="How strongly the policy is held to its reference.",
        json_schema_extra=group("Loss"),
    )
    label_smoothing: float = Field(
        0.0,
        ge=0.0,
        lt=0.5,
        description="Assumed share of labels that are wrong (conservative DPO).",
        json_schema_extra=group("Loss", advanced=True),
    )
    sft_weight: float = Field(
        0.0,
        ge=0.0,
        le=100.0,
        description="Weight of an added loss that imitates the chosen completion.",
        json_schema_extra=group("Loss", advanced=True),
    )
