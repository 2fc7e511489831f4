"""The spec of supervised fine-tuning."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from workbench.domain.specs.common import TrainingSpec, group


class SftSpec(TrainingSpec):
    """Supervised fine-tuning: imitate demonstrations, with loss on what the assistant says only."""

    kind: Literal["sft"] = "sft"
    learning_rate: float = Field(
        2e-5, gt=0, le=1.0, description="Peak learning rate.", json_schema_extra=group("Optimizer")
    )
    loss_on: Literal["completion", "assistant"] = Field(
        "completion",
        description="What is learned of a conversation: its last answer, or every turn of the assistant.",
        json_schema_extra=group("Data"),
    )
    packing: bool = Field(
        False,
        description="Pack demonstrations best-fit into rows of max_length that don't see each other; a batch then counts such rows.",
        json_schema_extra=group("Batch", advanced=True),
    )
    eval_generation: int = Field(
        0,
        ge=0,
        le=100_000,
        description="How many held-out prompts are answered at each evaluation and compared with their demonstrations (0 = none).",
        json_schema_extra=group("Evaluation", unit="prompts"),
    )
    eval_max_new_tokens: int = Field(
        128,
        ge=1,
        le=65536,
        description="Longest answer to a held-out prompt.",
        json_schema_extra=group("Evaluation", unit="tokens", advanced=True),
    )
