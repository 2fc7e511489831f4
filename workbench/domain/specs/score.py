"""The spec of scoring: a reward model says what it thinks of every candidate, and how sure it is."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from workbench.domain.specs.common import JobSpec, PromptFormat, group


class ScoreSpec(JobSpec):
    """Scores for the items of a preferences dataset: which ones a reward model is unsure of, and which labels it contradicts."""

    kind: Literal["score"] = "score"
    base: str = Field("", description="Reward model that scores.", json_schema_extra=group("Run"))
    data: str = Field("", description="Preferences dataset whose items are scored.", json_schema_extra=group("Run"))
    seed: int = Field(0, ge=0, lt=2**31, description="Seed of the ensemble's heads.", json_schema_extra=group("Run"))
    device: Literal["auto", "cpu", "cuda"] = Field(
        "auto",
        description="Where the model computes; auto takes a GPU if there is one.",
        json_schema_extra=group("Run"),
    )
    precision: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        "auto",
        description="Arithmetic of the model; auto is bfloat16 on a GPU that has it, float32 elsewhere.",
        json_schema_extra=group("Run", advanced=True),
    )
    heads: int = Field(
        16,
        ge=2,
        le=256,
        description="Heads of the ensemble whose disagreement says how unsure the model is; each is fitted to a draw of the labels.",
        json_schema_extra=group("Ensemble"),
    )
    prior: float = Field(
        1.0,
        gt=0.0,
        le=100.0,
        description="How far a head's margins may lie from the model's before it has seen labels, as a standard deviation.",
        json_schema_extra=group("Ensemble", advanced=True),
    )
    labelled: int = Field(
        2000,
        ge=0,
        le=1_000_000,
        description="Judged items at most that the heads are fitted to, drawn by the seed.",
        json_schema_extra=group("Ensemble", unit="items", advanced=True),
    )
    chat_format: PromptFormat = "auto"
    max_length: int = Field(
        0,
        ge=0,
        le=1_048_576,
        description="Longest prompt with a response (0 = what the model reads); an item with a longer one is counted and gets no score.",
        json_schema_extra=group("Batch", unit="tokens"),
    )
    batch_size: int = Field(
        32,
        ge=1,
        le=65536,
        description="Items that are scored before the run reports and looks whether it is to pause.",
        json_schema_extra=group("Batch", unit="items"),
    )
    micro_batch_size: int = Field(
        32,
        ge=1,
        le=65536,
        description="Responses that go through the model at once.",
        json_schema_extra=group("Batch", unit="rows"),
    )
