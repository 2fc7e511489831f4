"""The specs of the five recipes, their union, and how JSON becomes one of them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter, ValidationError

from workbench.domain.errors import BadInput
from workbench.domain.rows import DatasetKind
from workbench.domain.specs.common import TrainingSpec, group


class PretrainSpec(TrainingSpec):
    """Next-token prediction on plain documents, packed into full sequences."""

    kind: Literal["pretrain"] = "pretrain"
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
        json_schema_extra=group("Optimizer", advanced=True),
    )


class SftSpec(TrainingSpec):
    """Supervised fine-tuning: imitate demonstrations, with loss on the completion only."""

    kind: Literal["sft"] = "sft"
    learning_rate: float = Field(
        2e-5, gt=0, le=1.0, description="Peak learning rate.", json_schema_extra=group("Optimizer")
    )


class RewardSpec(TrainingSpec):
    """Reward model: a scalar head that scores the chosen completion above the rejected one (Bradley–Terry)."""

    kind: Literal["reward"] = "reward"
    learning_rate: float = Field(
        1e-5, gt=0, le=1.0, description="Peak learning rate.", json_schema_extra=group("Optimizer")
    )
    margin: bool = Field(
        False,
        description="Ask the score difference to exceed the preference's margin.",
        json_schema_extra=group("Loss"),
    )
    center: float = Field(
        0.01,
        ge=0.0,
        le=10.0,
        description="Weight of the penalty that keeps scores around zero.",
        json_schema_extra=group("Loss", advanced=True),
    )


class DpoSpec(TrainingSpec):
    """Direct preference optimisation (Rafailov et al. 2023, arXiv 2305.18290)."""

    kind: Literal["dpo"] = "dpo"
    learning_rate: float = Field(
        1e-6, gt=0, le=1.0, description="Peak learning rate.", json_schema_extra=group("Optimizer")
    )
    beta: float = Field(
        0.1,
        gt=0,
        le=100.0,
        description="How strongly the policy is held to its reference.",
        json_schema_extra=group("Loss"),
    )
    label_smoothing: float = Field(
        0.0,
        ge=0.0,
        lt=0.5,
        description="Assumed share of labels that are wrong (conservative DPO).",
        json_schema_extra=group("Loss", advanced=True),
    )
    sft_weight: float = Field(
        0.0,
        ge=0.0,
        le=100.0,
        description="Weight of an added loss that imitates the chosen completion.",
        json_schema_extra=group("Loss", advanced=True),
    )


class PpoSpec(TrainingSpec):
    """Proximal policy optimisation against a reward model, with a critic and a KL penalty to the starting policy."""

    kind: Literal["ppo"] = "ppo"
    reward_model: str = Field(
        "", description="Folder of the reward model that scores completions.", json_schema_extra=group("Run")
    )
    learning_rate: float = Field(
        3e-6, gt=0, le=1.0, description="Peak learning rate.", json_schema_extra=group("Optimizer")
    )
    epsilon: float = Field(
        1e-5,
        gt=0,
        le=1e-2,
        description="AdamW: added to the denominator.",
        json_schema_extra=group("Optimizer", advanced=True),
    )
    schedule: Literal["cosine", "linear", "constant"] = Field(
        "linear", description="How the learning rate decays after warm-up.", json_schema_extra=group("Optimizer")
    )
    warmup: float = Field(
        0.0,
        ge=0.0,
        lt=1.0,
        description="Share of the steps in which the learning rate rises from zero.",
        json_schema_extra=group("Optimizer"),
    )
    holdout: float = Field(
        0.1,
        ge=0.0,
        le=0.5,
        description="Share of the prompts kept for evaluation and never trained on.",
        json_schema_extra=group("Evaluation"),
    )
    eval_every: int = Field(
        10,
        ge=0,
        le=1_000_000,
        description="Evaluate on held-out rows every so many rollouts (0 = at the end only).",
        json_schema_extra=group("Evaluation", unit="steps"),
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
    missing_eos_penalty: float = Field(
        1.0,
        ge=0.0,
        le=100.0,
        description="Taken from the score of a completion that doesn't end by itself.",
        json_schema_extra=group("Rollout"),
    )
    kl_coefficient: float = Field(
        0.05,
        ge=0.0,
        le=100.0,
        description="Weight of the per-token KL penalty in the reward (start value when adaptive).",
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


Spec = PretrainSpec | SftSpec | RewardSpec | DpoSpec | PpoSpec
AnySpec = Annotated[Spec, Field(discriminator="kind")]
SPECS: dict[str, type[Spec]] = {
    "pretrain": PretrainSpec,
    "sft": SftSpec,
    "reward": RewardSpec,
    "dpo": DpoSpec,
    "ppo": PpoSpec,
}
DATA_KIND: dict[str, DatasetKind] = {
    "pretrain": "documents",
    "sft": "demonstrations",
    "reward": "preferences",
    "dpo": "preferences",
    "ppo": "prompts",
}
_ADAPTER: TypeAdapter[Spec] = TypeAdapter(AnySpec)


def parse_spec(payload: dict[str, Any]) -> Spec:
    """Validate a spec; raises BadInput that names each field and its bounds."""
    try:
        return _ADAPTER.validate_python(payload)
    except ValidationError as error:
        raise BadInput(*explain(error)) from error


def explain(error: ValidationError) -> tuple[str, str]:
    """A validation error as (what, hint): one sentence for each field that is wrong."""
    sentences = []
    for problem in error.errors():
        place = ".".join(str(p) for p in problem["loc"] if p not in SPECS)
        sentences.append(
            f"{place or 'spec'}: {problem['msg'][0].lower()}{problem['msg'][1:]} (given: {problem['input']!r:.80})"
        )
    return "The settings can't be used: " + "; ".join(sentences), "Correct the named fields and try again."
