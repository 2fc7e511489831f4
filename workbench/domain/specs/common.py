"""What the specs of all recipes share: optimiser, schedule, batches, what is trained, checkpoints, evaluation."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from workbench.domain.parts import Part as Part
from workbench.domain.parts import group as group
from workbench.domain.specs.methods import (
    LOW_RANK,
    BottleneckPart,
    Ia3Part,
    Method,
    PrefixPart,
    PromptPart,
    PtuningPart,
)
from workbench.domain.specs.methods import LoraPart as LoraPart

_ADAM = ("optimizer", ("adamw", "adamw8bit"))
_STEP = ("schedule", ("step",))
PromptFormat = Annotated[
    Literal["auto", "template", "plain"],
    Field(
        description="How prompts become tokens: the model's chat template, plain text, or whichever there is.",
        json_schema_extra=group("Batch", advanced=True),
    ),
]


class JobSpec(Part):
    """Fields of every job: what it is called, the model and the data that it works with, and where it computes."""

    name: str = Field(
        "",
        max_length=80,
        pattern=r"^[A-Za-z0-9._-]*$",
        description="Name of the run and of its model; made up from the kind when empty.",
        json_schema_extra=group("Run"),
    )
    base: str = Field("", description="Folder of the model that training starts from.", json_schema_extra=group("Run"))
    data: str = Field("", description="Dataset whose frozen rows are trained on.", json_schema_extra=group("Run"))
    seed: int = Field(
        0, ge=0, lt=2**31, description="Seed of every random number of the run.", json_schema_extra=group("Run")
    )
    device: Literal["auto", "cpu", "cuda"] = Field(
        "auto", description="Where to compute; auto takes a GPU if there is one.", json_schema_extra=group("Run")
    )
    precision: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        "auto",
        description="Arithmetic of the forward pass; auto is bfloat16 on a GPU that has it, float32 elsewhere; float16 scales the loss.",
        json_schema_extra=group("Run", advanced=True),
    )


class TrainingSpec(JobSpec):
    """Fields of every recipe that trains a model by gradient descent."""

    epochs: float = Field(1.0, gt=0, le=1000, description="Passes over the data.", json_schema_extra=group("Length"))
    max_steps: int = Field(
        0,
        ge=0,
        le=10_000_000,
        description="Stop after this many optimizer steps (0 = by epochs).",
        json_schema_extra=group("Length", unit="steps"),
    )
    max_length: int = Field(
        512,
        ge=8,
        le=1_048_576,
        description="Longest prompt and completion together; longer rows are counted and cut or left out.",
        json_schema_extra=group("Length", unit="tokens"),
    )

    batch_size: int = Field(
        16,
        ge=1,
        le=65536,
        description="Rows that go into one optimizer step.",
        json_schema_extra=group("Batch", unit="rows"),
    )
    micro_batch_size: int = Field(
        0,
        ge=0,
        le=65536,
        description="Rows in memory at once; gradients are accumulated without changing the result (0 = whole batch).",
        json_schema_extra=group("Batch", unit="rows"),
    )
    gradient_checkpointing: bool = Field(
        False,
        description="Recompute activations in the backward pass: less memory, about a third slower.",
        json_schema_extra=group("Batch", advanced=True),
    )

    optimizer: Literal["adamw", "adamw8bit", "adafactor", "sgd"] = Field(
        "adamw",
        description="AdamW; with 8-bit states (CUDA and bitsandbytes); Adafactor, almost stateless; or plain descent.",
        json_schema_extra=group("Optimizer"),
    )
    learning_rate: float = Field(
        1e-4, gt=0, le=1.0, description="Peak learning rate.", json_schema_extra=group("Optimizer")
    )
    schedule: Literal["cosine", "linear", "constant", "step"] = Field(
        "cosine", description="How the learning rate decays after warm-up.", json_schema_extra=group("Optimizer")
    )
    drops: int = Field(
        2,
        ge=1,
        le=1000,
        description="How often the rate drops, at equal distances.",
        json_schema_extra=group("Optimizer", when=_STEP),
    )
    drop_factor: float = Field(
        0.1,
        gt=0.0,
        lt=1.0,
        description="What each drop multiplies the rate by.",
        json_schema_extra=group("Optimizer", when=_STEP),
    )
    warmup: float = Field(
        0.05,
        ge=0.0,
        lt=1.0,
        description="Share of the steps in which the learning rate rises from zero.",
        json_schema_extra=group("Optimizer"),
    )
    momentum: float = Field(
        0.9,
        ge=0.0,
        lt=1.0,
        description="How much of the last step goes into the next (0 = none).",
        json_schema_extra=group("Optimizer", when=("optimizer", ("sgd",))),
    )
    weight_decay: float = Field(
        0.0,
        ge=0.0,
        le=1.0,
        description="Decoupled weight decay of matrices (biases and norms have none).",
        json_schema_extra=group("Optimizer", advanced=True),
    )
    beta1: float = Field(
        0.9,
        ge=0.0,
        lt=1.0,
        description="AdamW: decay of the gradient's mean.",
        json_schema_extra=group("Optimizer", advanced=True, when=_ADAM),
    )
    beta2: float = Field(
        0.999,
        ge=0.0,
        lt=1.0,
        description="AdamW: decay of the squared gradient's mean.",
        json_schema_extra=group("Optimizer", advanced=True, when=_ADAM),
    )
    epsilon: float = Field(
        1e-8,
        gt=0,
        le=1e-2,
        description="AdamW: added to the denominator.",
        json_schema_extra=group("Optimizer", advanced=True, when=_ADAM),
    )
    max_grad_norm: float = Field(
        1.0,
        ge=0.0,
        le=1e6,
        description="Clip the gradient's norm to this (0 = off).",
        json_schema_extra=group("Optimizer", advanced=True),
    )

    method: Method = Field(
        "full",
        description="What is trained: all weights, an adapter, virtual tokens, or the biases.",
        json_schema_extra=group("Adapter"),
    )
    lora: LoraPart = Field(
        default_factory=lambda: LoraPart(),
        description="Settings of the low-rank adapter.",
        json_schema_extra=group("Adapter", when=("method", LOW_RANK)),
    )
    bottleneck: BottleneckPart = Field(
        default_factory=lambda: BottleneckPart(),
        description="Settings of the bottleneck adapter.",
        json_schema_extra=group("Adapter", when=("method", ("bottleneck",))),
    )
    ia3: Ia3Part = Field(
        default_factory=lambda: Ia3Part(),
        description="Settings of the learned scales.",
        json_schema_extra=group("Adapter", when=("method", ("ia3",))),
    )
    prompt: PromptPart = Field(
        default_factory=lambda: PromptPart(),
        description="Settings of the virtual tokens.",
        json_schema_extra=group("Adapter", when=("method", ("prompt",))),
    )
    prefix: PrefixPart = Field(
        default_factory=lambda: PrefixPart(),
        description="Settings of the prefix.",
        json_schema_extra=group("Adapter", when=("method", ("prefix",))),
    )
    ptuning: PtuningPart = Field(
        default_factory=lambda: PtuningPart(),
        description="Settings of the virtual tokens that a network makes.",
        json_schema_extra=group("Adapter", when=("method", ("ptuning",))),
    )

    chat_format: Literal["auto", "template", "plain"] = Field(
        "auto",
        description="How turns become text: the model's chat template, plain 'Human:/Assistant:' lines, or whichever there is.",
        json_schema_extra=group("Data", advanced=True),
    )
    holdout: float = Field(
        0.05,
        ge=0.0,
        le=0.5,
        description="Share of the rows (by prompt) kept for evaluation and never trained on.",
        json_schema_extra=group("Evaluation"),
    )
    eval_every: int = Field(
        50,
        ge=0,
        le=1_000_000,
        description="Evaluate on held-out rows before the first step and every so many (0 = at the end only).",
        json_schema_extra=group("Evaluation", unit="steps"),
    )
    patience: int = Field(
        0,
        ge=0,
        le=1_000_000,
        description="Stop after so many evaluations without a better one (0 = never).",
        json_schema_extra=group("Evaluation", unit="evaluations", advanced=True),
    )
    keep_best: bool = Field(
        False,
        description="The result is the model of the best evaluation instead of the last.",
        json_schema_extra=group("Evaluation", advanced=True),
    )
    best_by: str = Field(
        "auto",
        min_length=1,
        max_length=80,
        description="Evaluation metric that says what is better, such as eval/loss; auto is the kind's own.",
        json_schema_extra=group("Evaluation", advanced=True),
    )
    sample_every: int = Field(
        0,
        ge=0,
        le=1_000_000,
        description="Let the model answer fixed prompts every so many steps (0 = at the end only).",
        json_schema_extra=group("Evaluation", unit="steps"),
    )
    sample_count: int = Field(
        4, ge=0, le=64, description="How many fixed prompts are answered.", json_schema_extra=group("Evaluation")
    )
    checkpoint_every: int = Field(
        100,
        ge=0,
        le=1_000_000,
        description="Write a checkpoint every so many steps (0 = only when stopped).",
        json_schema_extra=group("Checkpoints", unit="steps"),
    )
    keep_checkpoints: int = Field(
        2,
        ge=1,
        le=1000,
        description="How many checkpoints are kept; the oldest go first.",
        json_schema_extra=group("Checkpoints", advanced=True),
    )
