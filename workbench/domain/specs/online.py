"""What the specs of recipes share that sample completions and learn from scores: where scores come from, how is sampled."""

from __future__ import annotations

import re
from typing import Literal

from pydantic import Field, field_validator

from workbench.domain.specs.common import Part, TrainingSpec, group


class RewardPart(Part):
    """Sources of rewards beside a reward model, and the weight of each; the score of a completion is their weighted sum."""

    model_weight: float = Field(
        1.0,
        ge=-1e6,
        le=1e6,
        description="Weight of the reward model's score, where a reward model is chosen.",
        json_schema_extra=group("Reward", advanced=True),
    )
    model_normalize: bool = Field(
        False,
        description="Centre and scale the reward model's score by the mean and deviation that were saved with it.",
        json_schema_extra=group("Reward", advanced=True),
    )
    function: str = Field(
        "",
        max_length=4096,
        description="A Python function score(prompts, completions, rows): FILE.py:NAME, or MODULE:NAME of what is installed.",
        json_schema_extra=group("Reward"),
    )
    function_weight: float = Field(
        1.0,
        ge=-1e6,
        le=1e6,
        description="Weight of the function's score, where a function is named.",
        json_schema_extra=group("Reward", advanced=True),
    )
    answer_weight: float = Field(
        0.0,
        ge=-1e6,
        le=1e6,
        description="Reward of a completion whose final answer is that of the data (0 = off).",
        json_schema_extra=group("Reward"),
    )
    pattern: str = Field(
        "",
        max_length=4096,
        description="A regular expression that a completion should contain a match of (empty = off).",
        json_schema_extra=group("Reward", advanced=True),
    )
    pattern_weight: float = Field(
        1.0,
        ge=-1e6,
        le=1e6,
        description="Reward of a completion in which the regular expression is found.",
        json_schema_extra=group("Reward", advanced=True),
    )
    length_target: int = Field(
        0,
        ge=0,
        le=1_000_000,
        description="Words that a completion should have; the reward falls evenly to 0 at none and at twice as many (0 = off).",
        json_schema_extra=group("Reward", unit="words", advanced=True),
    )
    length_weight: float = Field(
        1.0,
        ge=-1e6,
        le=1e6,
        description="Reward of a completion that has exactly that many words.",
        json_schema_extra=group("Reward", advanced=True),
    )
    story_weight: float = Field(
        0.0,
        ge=-1e6,
        le=1e6,
        description="Weight of the starter kit's rule about stories (0 = off).",
        json_schema_extra=group("Reward", advanced=True),
    )

    @field_validator("function")
    @classmethod
    def _a_function(cls, value: str) -> str:
        place, _, name = value.rpartition(":")
        if value and not (name.isidentifier() and place):
            raise ValueError("Write FILE.py:NAME or MODULE:NAME")
        if value and not place.endswith(".py") and not all(part.isidentifier() for part in place.split(".")):
            raise ValueError("Write FILE.py:NAME or MODULE:NAME")
        return value

    @field_validator("pattern")
    @classmethod
    def _a_pattern(cls, value: str) -> str:
        try:
            re.compile(value)
        except re.error as error:
            raise ValueError(f"The pattern is no regular expression: {error}") from error
        return value

    @property
    def beside_model(self) -> bool:
        """Whether anything but a reward model gives rewards."""
        return bool(self.function or self.answer_weight or self.pattern or self.length_target or self.story_weight)


class OnlineSpec(TrainingSpec):
    """Fields of every recipe that lets the policy write completions and learns from their scores."""

    reward_model: str = Field(
        "", description="Folder of the reward model that scores completions.", json_schema_extra=group("Run")
    )
    rewards: RewardPart = Field(
        default_factory=lambda: RewardPart(),
        description="Sources of rewards beside the reward model.",
        json_schema_extra=group("Reward"),
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

    rollout_engine: Literal["native", "vllm"] = Field(
        "native",
        description="What samples completions: the workbench's own sampler, or vLLM where it is installed.",
        json_schema_extra=group("Rollout", advanced=True),
    )
    rollout_memory: float = Field(
        0.3,
        gt=0.0,
        lt=1.0,
        description="Share of the GPU's memory (without one, of main memory) that vLLM takes for its cache and its copy of the policy.",
        json_schema_extra=group("Rollout", advanced=True, when=("rollout_engine", ("vllm",))),
    )

    holdout: float = Field(
        0.1,
        ge=0.0,
        le=0.5,
        description="Share of the prompts kept for evaluation and never trained on.",
        json_schema_extra=group("Evaluation"),
    )

    @property
    def scored(self) -> bool:
        """Whether there is any source of rewards."""
        return bool(self.reward_model) or self.rewards.beside_model


class RolloutSpec(OnlineSpec):
    """Fields of policy gradients: one rollout is one step, and the learning rate falls from the start."""

    schedule: Literal["cosine", "linear", "constant", "step"] = Field(
        "linear", description="How the learning rate decays after warm-up.", json_schema_extra=group("Optimizer")
    )
    warmup: float = Field(
        0.0,
        ge=0.0,
        lt=1.0,
        description="Share of the steps in which the learning rate rises from zero.",
        json_schema_extra=group("Optimizer"),
    )
    eval_every: int = Field(
        10,
        ge=0,
        le=1_000_000,
        description="Evaluate on held-out rows every so many rollouts (0 = at the end only).",
        json_schema_extra=group("Evaluation", unit="steps"),
    )
