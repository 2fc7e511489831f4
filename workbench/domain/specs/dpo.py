"""The spec of direct preference optimisation and its relatives: learning from pairs without a reward model."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from workbench.domain.specs.common import group
from workbench.domain.specs.preferences import PreferenceSpec

REFERENCE_FREE = frozenset({"orpo", "simpo"})
_SMOOTHED = ("sigmoid", "robust")
WITH_MARGIN = ("sigmoid", "ipo", "hinge", "robust", "simpo")
_WITH_IMITATION = ("sigmoid", "ipo", "hinge", "robust", "simpo", "kto")


class DpoSpec(PreferenceSpec):
    """Direct preference optimisation (Rafailov et al. 2023, arXiv 2305.18290) and losses that take the same pairs."""

    kind: Literal["dpo"] = "dpo"
    learning_rate: float = Field(
        1e-6, gt=0, le=1.0, description="Peak learning rate.", json_schema_extra=group("Optimizer")
    )
    loss: Literal["sigmoid", "ipo", "hinge", "robust", "orpo", "simpo", "kto"] = Field(
        "sigmoid",
        description="What is made of a pair: sigmoid is DPO; orpo and simpo need no reference; kto judges each side by itself.",
        json_schema_extra=group("Loss"),
    )
    beta: float = Field(
        0.1,
        gt=0,
        le=100.0,
        description="How strongly the policy is held to its reference; for simpo the scale (2), for orpo the odds' weight (0.1).",
        json_schema_extra=group("Loss"),
    )
    label_smoothing: float = Field(
        0.0,
        ge=0.0,
        lt=0.5,
        description="Assumed share of labels that are wrong, for sigmoid (conservative DPO) and robust (0.1 is usual).",
        json_schema_extra=group("Loss", advanced=True),
    )
    margin_scale: float = Field(
        0.0,
        ge=0.0,
        le=100.0,
        description="Times a pair's strength of preference: by how much β·h has to be ahead (ODPO; not for orpo and kto).",
        json_schema_extra=group("Loss", advanced=True),
    )
    ipo_length_average: bool = Field(
        True,
        description="For ipo: log-ratios are means over a completion's tokens, as its authors mean it, instead of sums.",
        json_schema_extra=group("Loss", advanced=True, when=("loss", ("ipo",))),
    )
    simpo_gamma: float = Field(
        1.0,
        ge=0.0,
        le=100.0,
        description="For simpo: by how much β times the mean log-probability has to be ahead; about half of β.",
        json_schema_extra=group("Loss", advanced=True, when=("loss", ("simpo",))),
    )
    kto_chosen_weight: float = Field(
        1.0,
        ge=0.0,
        le=100.0,
        description="For kto: weight of chosen (desirable) completions.",
        json_schema_extra=group("Loss", advanced=True, when=("loss", ("kto",))),
    )
    kto_rejected_weight: float = Field(
        1.0,
        ge=0.0,
        le=100.0,
        description="For kto: weight of rejected (undesirable) completions.",
        json_schema_extra=group("Loss", advanced=True, when=("loss", ("kto",))),
    )
    sft_weight: float = Field(
        0.0,
        ge=0.0,
        le=100.0,
        description="Weight of an added loss that imitates the chosen completion (orpo has its own).",
        json_schema_extra=group("Loss", advanced=True),
    )

    @property
    def needs_reference(self) -> bool:
        """Whether the loss looks at the policy as it was at the start."""
        return self.loss not in REFERENCE_FREE

    @field_validator("loss")
    @classmethod
    def _enough_rows(cls, loss: str, info: ValidationInfo) -> str:
        if loss == "kto" and info.data.get("batch_size", 2) < 2:
            raise PydanticCustomError("loss", "kto compares a step's rows; set batch_size to 2 or more")
        return loss

    @field_validator("label_smoothing", "margin_scale", "sft_weight")
    @classmethod
    def _has_a_meaning(cls, value: float, info: ValidationInfo) -> float:
        loss, name = info.data.get("loss", "sigmoid"), info.field_name
        known = {"label_smoothing": _SMOOTHED, "margin_scale": WITH_MARGIN, "sft_weight": _WITH_IMITATION}
        if value and loss not in known[str(name)]:
            raise PydanticCustomError("loss", "it has no meaning for the loss {loss}; set it to 0", {"loss": loss})
        return value
