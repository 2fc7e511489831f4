"""What of a model is trained: one part of settings for each method that has any."""

from __future__ import annotations

from typing import Literal, get_args

from pydantic import Field

from workbench.domain.parts import Part, group

Method = Literal["full", "lora", "qlora", "bottleneck", "ia3", "prompt", "prefix", "ptuning", "bitfit"]
METHODS: tuple[Method, ...] = get_args(Method)
LOW_RANK: tuple[Method, ...] = ("lora", "qlora")
LEARNED_PROMPT: tuple[Method, ...] = ("prompt", "prefix", "ptuning")
WHOLE_RESULT: tuple[Method, ...] = ("full", "bitfit")  # their result is a complete model, not an adapter
METHOD_NAMES: dict[str, str] = {
    "full": "all weights",
    "lora": "low-rank adapter",
    "qlora": "low-rank adapter on a 4-bit base",
    "bottleneck": "bottleneck adapter",
    "ia3": "IA³",
    "prompt": "prompt tuning",
    "prefix": "prefix tuning",
    "ptuning": "P-tuning",
    "bitfit": "biases only",
}


class LoraPart(Part):
    """Low-rank adapters (Hu et al. 2021, arXiv 2106.09685); on a 4-bit base: Dettmers et al. 2023, arXiv 2305.14314."""

    rank: int = Field(16, ge=1, le=1024, description="Rank of the update matrices.", json_schema_extra=group("Adapter"))
    alpha: float = Field(
        32.0,
        gt=0,
        le=4096,
        description="Scale of the update: alpha / rank multiplies it, or alpha / √rank with rank-stabilised scaling.",
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
    rslora: bool = Field(
        False,
        description="Rank-stabilised scaling: high ranks learn as fast as low ones (Kalajdzievski 2023).",
        json_schema_extra=group("Adapter", advanced=True),
    )
    dora: bool = Field(
        False,
        description="Train the length of each weight vector apart from its direction: better, slower (Liu et al. 2024).",
        json_schema_extra=group("Adapter", advanced=True),
    )


class BottleneckPart(Part):
    """Small networks behind the sublayers (Houlsby et al. 2019, arXiv 1902.00751; Pfeiffer et al. 2020, arXiv 2005.00247)."""

    width: int = Field(
        64,
        ge=1,
        le=65536,
        description="Width of the bottleneck.",
        json_schema_extra=group("Adapter", unit="units"),
    )
    placement: Literal["feed_forward", "both"] = Field(
        "feed_forward",
        description="Behind the feed-forward sublayer only (Pfeiffer), or behind attention as well (Houlsby).",
        json_schema_extra=group("Adapter"),
    )
    activation: Literal["relu", "gelu", "silu"] = Field(
        "gelu", description="What stands between the two layers.", json_schema_extra=group("Adapter", advanced=True)
    )


class Ia3Part(Part):
    """Learned scales of keys, values and feed-forward activations (Liu et al. 2022, arXiv 2205.05638)."""

    targets: str = Field(
        "auto",
        min_length=1,
        description="Modules whose output is scaled: auto takes those of the paper, else names separated by commas.",
        json_schema_extra=group("Adapter", advanced=True),
    )
    feed_forward: str = Field(
        "",
        description="Which of the named modules are scaled at their input instead, separated by commas.",
        json_schema_extra=group("Adapter", advanced=True),
    )


class PromptPart(Part):
    """Virtual tokens before every text (Lester et al. 2021, arXiv 2104.08691)."""

    tokens: int = Field(
        20, ge=1, le=1024, description="Number of virtual tokens.", json_schema_extra=group("Adapter", unit="tokens")
    )
    text: str = Field(
        "",
        max_length=4000,
        description="Words whose embeddings the virtual tokens start from; empty takes tokens of the vocabulary at random.",
        json_schema_extra=group("Adapter"),
    )


class PrefixPart(Part):
    """Learned keys and values before every text, in each layer (Li and Liang 2021, arXiv 2101.00190)."""

    tokens: int = Field(
        20, ge=1, le=1024, description="Number of virtual tokens.", json_schema_extra=group("Adapter", unit="tokens")
    )
    width: int = Field(
        0,
        ge=0,
        le=65536,
        description="Width of the network that makes the prefix while training (0 = learn the prefix itself).",
        json_schema_extra=group("Adapter", unit="units", advanced=True),
    )


class PtuningPart(Part):
    """Virtual tokens that a small network makes while training (Liu et al. 2021, arXiv 2103.10385)."""

    tokens: int = Field(
        20, ge=1, le=1024, description="Number of virtual tokens.", json_schema_extra=group("Adapter", unit="tokens")
    )
    width: int = Field(
        128,
        ge=1,
        le=65536,
        description="Width of the network.",
        json_schema_extra=group("Adapter", unit="units", advanced=True),
    )
