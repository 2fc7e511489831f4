"""The spec of group-relative policy optimisation and its relatives."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from workbench.domain.specs.common import group
from workbench.domain.specs.online import RolloutSpec


class GrpoSpec(RolloutSpec):
    """Policy optimisation without a critic: each completion is compared with the others of its prompt."""

    kind: Literal["grpo"] = "grpo"
    variant: Literal["grpo", "dapo", "dr_grpo", "rloo"] = Field(
        "grpo",
        description="How tokens are averaged: by completion (grpo), over the step (dapo), by the length limit (dr_grpo), or summed (rloo).",
        json_schema_extra=group("Loss"),
    )
    learning_rate: float = Field(
        1e-6, gt=0, le=1.0, description="Peak learning rate.", json_schema_extra=group("Optimizer")
    )
    batch_size: int = Field(
        8,
        ge=1,
        le=65536,
        description="Prompts in each rollout; one rollout is one step.",
        json_schema_extra=group("Batch", unit="prompts"),
    )
    group_size: int = Field(
        8,
        ge=2,
        le=1024,
        description="Completions sampled for each prompt, which are compared with one another.",
        json_schema_extra=group("Batch", unit="rows"),
    )
    minibatches: int = Field(
        1, ge=1, le=1024, description="Optimizer steps in each pass over a rollout.", json_schema_extra=group("Batch")
    )
    iterations: int = Field(1, ge=1, le=64, description="Passes over each rollout.", json_schema_extra=group("Batch"))
    scale: Literal["auto", "group", "batch", "none"] = Field(
        "auto",
        description="What advantages are divided by: the group's spread, the batch's, or nothing (auto: group for grpo and dapo).",
        json_schema_extra=group("Loss"),
    )
    clip_low: float = Field(
        0.2,
        gt=0.0,
        lt=1.0,
        description="The policy's probability ratio is clipped at 1 − this.",
        json_schema_extra=group("Loss"),
    )
    clip_high: float = Field(
        0.0,
        ge=0.0,
        le=100.0,
        description="The ratio is clipped at 1 + this (0 = 0.28 for dapo, else as below).",
        json_schema_extra=group("Loss"),
    )
    beta: float = Field(
        0.0,
        ge=0.0,
        le=100.0,
        description="Weight of KL to the starting policy: k3 in the loss, for rloo k1 in the reward (0 = no reference is kept).",
        json_schema_extra=group("Loss"),
    )
    missing_eos_penalty: float = Field(
        0.0,
        ge=0.0,
        le=100.0,
        description="Taken from the score of a completion that doesn't end by itself.",
        json_schema_extra=group("Reward"),
    )
    mask_unfinished: bool = Field(
        False,
        description="Learn nothing from completions that don't end by themselves; they are still compared with.",
        json_schema_extra=group("Loss", advanced=True),
    )

    @property
    def upper(self) -> float:
        """How far above 1 the ratio may go."""
        return self.clip_high or (0.28 if self.variant == "dapo" else self.clip_low)

    @property
    def spread(self) -> Literal["group", "batch", "none"]:
        """What advantages are divided by."""
        if self.scale != "auto":
            return self.scale
        return "group" if self.variant in {"grpo", "dapo"} else "none"
