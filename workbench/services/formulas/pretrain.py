"""The formula of pretraining."""

from __future__ import annotations

from workbench.domain.specs.pretrain import PretrainSpec
from workbench.services.formulas.card import IMITATION, FormulaCard, Term


def card(spec: PretrainSpec) -> FormulaCard:
    """Next-token prediction."""
    return FormulaCard(
        "Next-token prediction",
        ("loss = −(1/N) Σₜ log π(xₜ | x₁ … xₜ₋₁)", "N = every token of the step but the first of each document"),
        (Term("x", "", f"Documents, packed into rows of up to {spec.max_length} tokens that don't see each other."), *IMITATION),
        "Cross-entropy; the mean is over the tokens of the whole step, so micro-batches change nothing.",
    )  # fmt: skip
