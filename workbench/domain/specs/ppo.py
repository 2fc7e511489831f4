"""The spec of proximal policy optimisation."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from workbench.domain.specs.common import group
from workbench.domain.specs.online import RolloutSpec


class PpoSpec(RolloutSpec):
    """Proximal policy optimisation of sampled completions, with a critic and a KL penalty to the starting policy."""

    kind: Literal["ppo"] = "ppo"
    learning_rate: float = Field(
        3e-6, gt=0, le=1.0, description="Peak learning rate.", json_schema_extra=group("Optimizer")
    )
    epsilon: float = Field(
        1e-5,
        gt=0,
        le=1e-2,
        description="AdamW: added to the denominator.",
        json_schema_extra=group("Optimizer", advanced=True, when=("optimizer", ("adamw", "adamw8bit"))),
    )
    batch_size: int = Field(
        64,
        ge=1,
        le=65536,
        description="Completions sampled for each rollout; one rollout is one step.",
        json_schema_extra=group("Batch", unit="rows"),
    )
    minibatches: int = Field(
        4, ge=1, le=1024, description="Optimizer steps in each pass over a rollout.", json_schema_extra=group("Batch")
    )
    ppo_epochs: int = Field(4, ge=1, le=64, description="Passes over each rollout.", json_schema_extra=group("Batch"))
    critic: Literal["auto", "reward_model", "policy", "shared"] = Field(
        "auto",
        description="What the critic starts as: the reward model, the policy with an empty head, or a head on the policy's own body.",
        json_schema_extra=group("Rollout", advanced=True),
    )
    critic_gradient: bool = Field(
        True,
        description="A shared critic's loss also trains the policy's body, not its own head alone.",
        json_schema_extra=group("Rollout", advanced=True),
    )
    missing_eos_penalty: float = Field(
        1.0,
        ge=0.0,
        le=100.0,
        description="Taken from the score of a completion that doesn't end by itself.",
        json_schema_extra=group("Reward"),
    )
    normalize_scores: bool = Field(
        False,
        description="Centre and scale scores by the mean and spread of all scores so far.",
        json_schema_extra=group("Reward", advanced=True),
    )
    score_clip: float = Field(
        0.0,
        ge=0.0,
        le=1e6,
        description="Limit scores to ± this, after they are normalised and before penalties (0 = off).",
        json_schema_extra=group("Reward", advanced=True),
    )
    kl_penalty: Literal["reward_k1", "reward_k2", "reward_k3", "loss_k2", "loss_k3"] = Field(
        "reward_k1",
        description="Where KL to the starting policy counts, in each token's reward or in the loss, and by which estimate.",
        json_schema_extra=group("Loss", advanced=True),
    )
    kl_coefficient: float = Field(
        0.05,
        ge=0.0,
        le=100.0,
        description="Weight of the per-token KL penalty (start value when adaptive).",
        json_schema_extra=group("Loss"),
    )
    kl_target: float = Field(
        0.0,
        ge=0.0,
        le=10_000.0,
        description="Adapt the KL weight towards this KL for each completion (0 = fixed weight).",
        json_schema_extra=group("Loss", unit="nats"),
    )
    kl_horizon: int = Field(
        10_000,
        ge=1,
        le=100_000_000,
        description="Completions over which the adaptive KL weight reacts.",
        json_schema_extra=group("Loss", unit="rows", advanced=True),
    )
    clip: float = Field(
        0.2,
        gt=0.0,
        lt=1.0,
        description="The policy's probability ratio is clipped to 1 ± this.",
        json_schema_extra=group("Loss"),
    )
    dual_clip: float = Field(
        0.0,
        ge=0.0,
        le=1000.0,
        description="Bound on the ratio where a token did worse than expected; more than 1, usually 3 (0 = off).",
        json_schema_extra=group("Loss", advanced=True),
    )
    stop_kl: float = Field(
        0.0,
        ge=0.0,
        le=100.0,
        description="End the passes over a rollout once policy/approx_kl of a minibatch exceeds this, usually 0.02 (0 = never).",
        json_schema_extra=group("Loss", unit="nats", advanced=True),
    )
    value_clip: float = Field(
        0.2,
        ge=0.0,
        le=100.0,
        description="A value may move this far from its old one in each rollout (0 = off).",
        json_schema_extra=group("Loss", advanced=True),
    )
    value_weight: float = Field(
        0.1,
        ge=0.0,
        le=100.0,
        description="Weight of the critic's loss.",
        json_schema_extra=group("Loss", advanced=True),
    )
    critic_learning_rate: float = Field(
        0.0,
        ge=0.0,
        le=1.0,
        description="Learning rate of the critic (0 = the policy's).",
        json_schema_extra=group("Optimizer"),
    )
    entropy_bonus: float = Field(
        0.0,
        ge=0.0,
        le=10.0,
        description="Weight of the policy's entropy, added to keep it exploring.",
        json_schema_extra=group("Loss", advanced=True),
    )
    gamma: float = Field(
        1.0, gt=0.0, le=1.0, description="Discount of later rewards.", json_schema_extra=group("Loss", advanced=True)
    )
    lam: float = Field(
        0.95,
        ge=0.0,
        le=1.0,
        description="GAE λ: 0 trusts the critic, 1 trusts the rewards.",
        json_schema_extra=group("Loss", advanced=True),
    )
    whiten_rewards: bool = Field(
        False,
        description="Scale rewards to unit variance within each rollout.",
        json_schema_extra=group("Loss", advanced=True),
    )

    @property
    def critic_start(self) -> str:
        """What the critic starts as, with auto decided: reward_model, policy or shared."""
        return self.critic if self.critic != "auto" else "reward_model" if self.reward_model else "policy"

    @field_validator("dual_clip")
    @classmethod
    def _a_bound(cls, value: float) -> float:
        if 0 < value <= 1:
            raise ValueError("The bound has to be more than 1, or 0 for none")
        return value
