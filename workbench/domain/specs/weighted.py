"""The spec of reward-weighted imitation."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from workbench.domain.specs.common import group
from workbench.domain.specs.online import OnlineSpec


class WeightedSpec(OnlineSpec):
    """Reward-weighted regression: imitate the completions of a prompt, the better ones more (weights softmax(r / beta))."""

    kind: Literal["weighted"] = "weighted"
    completions: Literal["sampled", "dataset"] = Field(
        "sampled",
        description="What is imitated: completions that the policy samples at each step, or the candidates of judged items.",
        json_schema_extra=group("Data"),
    )
    learning_rate: float = Field(
        1e-5, gt=0, le=1.0, description="Peak learning rate.", json_schema_extra=group("Optimizer")
    )
    eval_every: int = Field(
        10,
        ge=0,
        le=1_000_000,
        description="Evaluate on held-out rows before the first step and every so many (0 = at the end only).",
        json_schema_extra=group("Evaluation", unit="steps"),
    )
    batch_size: int = Field(
        8,
        ge=1,
        le=65536,
        description="Prompts that go into one optimizer step, each with all its completions.",
        json_schema_extra=group("Batch", unit="prompts"),
    )
    group_size: int = Field(
        8,
        ge=2,
        le=1024,
        description="Completions sampled for each prompt; those of a dataset are as many as there are.",
        json_schema_extra=group("Batch", unit="rows"),
    )
    beta: float = Field(
        1.0,
        gt=0.0,
        le=1e9,
        description="Temperature of the weights: large imitates all completions alike, small only the best of each prompt.",
        json_schema_extra=group("Loss"),
    )
    standardize: bool = Field(
        True,
        description="Divide rewards by their spread first, over the step or the dataset, so that beta needn't know their scale.",
        json_schema_extra=group("Loss"),
    )
    average: Literal["token", "completion"] = Field(
        "token",
        description="Whether every token weighs the same (long completions more), or every completion.",
        json_schema_extra=group("Loss", advanced=True),
    )
