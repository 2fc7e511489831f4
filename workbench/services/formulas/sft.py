"""The formula of supervised fine-tuning."""

from __future__ import annotations

from workbench.domain.specs.sft import SftSpec
from workbench.services.formulas.card import IMITATION, FormulaCard, Term


def card(spec: SftSpec) -> FormulaCard:
    """Imitation of completions."""
    return FormulaCard(
        "Supervised fine-tuning",
        ("loss = −(1/N) Σₜ log π(yₜ | x, y₁ … yₜ₋₁)", "N = every completion token of the step"),
        (
            Term("x, y", "", "Prompt and completion of a demonstration; only the completion is learned, its end included."),
            *IMITATION,
        ),
        "Cross-entropy; the mean is over the tokens of the whole step, so micro-batches change nothing.",
    )  # fmt: skip
