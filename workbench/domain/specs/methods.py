"""What of a model is trained: one part of settings for each method that has any."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from workbench.domain.specs.parts import Part, group

Method = Literal["full", "lora"]


class LoraPart(Part):
    """Low-rank adapters (Hu et al. 2021, arXiv 2106.09685)."""

    rank: int = Field(16, ge=1, le=1024, description="Rank of the update matrices.", json_schema_extra=group("Adapter"))
    alpha: float = Field(
        32.0,
        gt=0,
        le=4096,
        description="Scale of the update: alpha / rank multiplies it.",
        json_schema_extra=group("Adapter"),
    )
    dropout: float = Field(
        0.0,
        ge=0.0,
        lt=1.0,
        description="Dropout on the adapter's input; off where log-probability ratios are taken.",
        json_schema_extra=group("Adapter", advanced=True),
    )
    targets: str = Field(
        "all-linear",
        min_length=1,
        description="Modules that get an adapter: all-linear, or names separated by commas.",
        json_schema_extra=group("Adapter", advanced=True),
    )
