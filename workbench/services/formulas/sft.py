"""The formula of supervised fine-tuning."""

from __future__ import annotations

from workbench.domain.specs.sft import SftSpec
from workbench.services.formulas.card import IMITATION, FormulaCard, Term


def card(spec: SftSpec) -> FormulaCard:
    """Imitation of completions, or of all that the assistant says."""
    if spec.loss_on == "assistant":
        learned = "every turn of the assistant"
        of = Term(
            "x, y", "", "A conversation without and with the assistant's turns; each turn is learned, its end included."
        )
    else:
        learned = "every completion token"
        of = Term(
            "x, y", "", "Prompt and completion of a demonstration; only the completion is learned, its end included."
        )
    packed = (
        f" Demonstrations are packed into rows of up to {spec.max_length} tokens that don't see each other."
        if spec.packing
        else ""
    )
    return FormulaCard(
        "Supervised fine-tuning",
        ("loss = −(1/N) Σₜ log π(yₜ | x, y₁ … yₜ₋₁)", f"N = {learned} of the step"),
        (of, *IMITATION),
        f"Cross-entropy; the mean is over the tokens of the whole step, so micro-batches change nothing.{packed}",
    )
