"""What the specs of recipes share that sample completions and learn from scores: where scores come from, how is sampled."""

from __future__ import annotations

from pydantic import Field

from workbench.domain.specs.common import TrainingSpec, group


class OnlineSpec(TrainingSpec):
    """Fields of every recipe that lets the policy write completions and learns from their scores."""

    reward_model: str = Field(
        "", description="Folder of the reward model that scores completions.", json_schema_extra=group("Run")
    )
    max_new_tokens: int = Field(
        64,
        ge=1,
        le=32768,
        description="Longest completion that is sampled.",
        json_schema_extra=group("Rollout", unit="tokens"),
    )
    temperature: float = Field(
        1.0,
        gt=0.0,
        le=10.0,
        description="Sampling temperature of rollouts; also divides the logits of all log-probabilities.",
        json_schema_extra=group("Rollout"),
    )
    top_k: int = Field(
        0,
        ge=0,
        le=1_000_000,
        description="Sample from this many likeliest tokens only (0 = all); anything but 0 biases KL, often below zero.",
        json_schema_extra=group("Rollout", unit="tokens", advanced=True),
    )
    top_p: float = Field(
        1.0,
        gt=0.0,
        le=1.0,
        description="Sample from the likeliest tokens with this much mass only; anything but 1 biases KL, often below zero.",
        json_schema_extra=group("Rollout", advanced=True),
    )
