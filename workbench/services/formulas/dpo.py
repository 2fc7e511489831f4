"""The formula of direct preference optimisation."""

from __future__ import annotations

from workbench.domain.specs.dpo import DpoSpec
from workbench.services.formulas.card import FormulaCard, Term, number


def card(spec: DpoSpec) -> FormulaCard:
    """The loss on pairs with its options."""
    beta, eps = number(spec.beta), spec.label_smoothing
    if eps:
        loss = f"loss = −mean [ {number(1 - eps)} · log σ(β·h) + {number(eps)} · log σ(−β·h) ]"
    else:
        loss = "loss = −mean log σ(β·h)"
    parts = [
        Term("h", "rewards/margin", "How much more the policy has moved towards the chosen completion than towards the rejected."),
        Term("β·log π/π₀ (y⁺)", "rewards/chosen", "Implicit reward of the chosen completion; summed over its tokens."),
        Term("β·log π/π₀ (y⁻)", "rewards/rejected", "Implicit reward of the rejected completion."),
        Term("h > 0", "rewards/accuracy", "Share of pairs that the policy now orders rightly against its reference."),
        Term("π₀", "kl", "The policy as it was at the start; it doesn't move."),
    ]  # fmt: skip
    lines = [loss, f"h = log π(y⁺)/π₀(y⁺) − log π(y⁻)/π₀(y⁻),  β = {beta}"]
    if eps:
        parts.append(Term("ε", "", f"{number(eps * 100)}% of the labels are taken to be wrong (conservative DPO)."))
    if spec.sft_weight:
        lines[0] += f" − {number(spec.sft_weight)} · mean log π(y⁺ₜ)"
        parts.append(
            Term(
                "log π(y⁺ₜ)", "logps/chosen", "Imitation of the chosen completion, so that it doesn't become unlikely."
            )
        )
    return FormulaCard(
        "Direct preference optimisation",
        tuple(lines),
        tuple(parts),
        "Rafailov et al. 2023, arXiv 2305.18290. Both rewards may fall; what counts is the margin between them.",
    )
