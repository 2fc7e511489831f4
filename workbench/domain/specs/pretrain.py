"""The spec of pretraining."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from workbench.domain.specs.common import TrainingSpec, group


class PretrainSpec(TrainingSpec):
    """Learning from plain documents: the next token, masked tokens, or masked spans, as suits the model."""

    kind: Literal["pretrain"] = "pretrain"
    objective: Literal["auto", "causal", "masked", "span"] = Field(
        "auto",
        description="What is predicted: the next token, masked tokens (BERT), hidden spans (T5), or what the model's config says.",
        json_schema_extra=group("Loss"),
    )
    mask_share: float = Field(
        0.15,
        gt=0.0,
        lt=1.0,
        description="Masked: share of a text's tokens that are to be said; 80% of them are masked, 10% replaced, 10% left.",
        json_schema_extra=group("Loss", advanced=True),
    )
    noise_density: float = Field(
        0.15,
        gt=0.0,
        lt=1.0,
        description="Span: share of a text's tokens that are hidden.",
        json_schema_extra=group("Loss", advanced=True),
    )
    mean_span_length: float = Field(
        3.0,
        ge=1.0,
        le=100.0,
        description="Span: how long a hidden span is on average.",
        json_schema_extra=group("Loss", unit="tokens", advanced=True),
    )
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
