"""The formula of pretraining."""

from __future__ import annotations

from workbench.domain.specs.pretrain import PretrainSpec
from workbench.services.formulas.card import IMITATION, FormulaCard, Term, number

_NOTE = "Cross-entropy; the mean is over the tokens of the whole step, so micro-batches change nothing."

_FATE = "of these 80% are masked, 10% replaced, 10% left"


def card(spec: PretrainSpec) -> FormulaCard:
    """The next token, masked tokens or hidden spans."""
    if spec.objective == "masked":
        return FormulaCard(
            "Masked language modelling",
            ("loss = −(1/N) Σₜ log π(xₜ | x̃)", "N = the chosen tokens of the step"),
            (
                Term("x̃", "", f"A document of which {number(100 * spec.mask_share)}% of the tokens are chosen anew in each epoch; {_FATE}."),
                *IMITATION,
            ),
            f"Devlin et al. 2019, arXiv 1810.04805. {_NOTE}",
        )  # fmt: skip
    if spec.objective == "span":
        long, share = number(spec.mean_span_length), number(100 * spec.noise_density)
        return FormulaCard(
            "Span corruption",
            ("loss = −(1/N) Σₜ log π(sₜ | x̃, s₁ … sₜ₋₁)", "N = every token of the targets of the step"),
            (
                Term("x̃", "", f"A document in which spans of {long} tokens on average, {share}% in all, give way to sentinels, others in each epoch."),
                Term("s", "", "The target: each sentinel, followed by what it hides."),
                *IMITATION,
            ),
            f"Raffel et al. 2020, arXiv 1910.10683. {_NOTE}",
        )  # fmt: skip
    other = " A model with an encoder learns masked tokens or hidden spans instead." if spec.objective == "auto" else ""
    return FormulaCard(
        "Next-token prediction",
        ("loss = −(1/N) Σₜ log π(xₜ | x₁ … xₜ₋₁)", "N = every token of the step but the first of each document"),
        (Term("x", "", f"Documents, packed into rows of up to {spec.max_length} tokens that don't see each other."), *IMITATION),
        f"{_NOTE}{other}",
    )  # fmt: skip
