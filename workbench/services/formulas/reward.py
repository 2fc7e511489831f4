"""The formula of a reward model."""

from __future__ import annotations

from workbench.domain.specs.reward import RewardSpec
from workbench.services.formulas.card import FormulaCard, Term, number


def card(spec: RewardSpec) -> FormulaCard:
    """Bradley–Terry with its options."""
    gap = "r⁺ − r⁻ − m" if spec.margin else "r⁺ − r⁻"
    center = f" + {number(spec.center)} · mean (r⁺ + r⁻)²" if spec.center else ""
    parts = [
        Term("r⁺, r⁻", "chosen_reward", "Scores of the chosen and the rejected completion, read at its last token."),
        Term("r⁺ − r⁻", "margin", "How far the chosen one is ahead; σ of it is the chance that it is preferred."),
        Term("r⁺ > r⁻", "accuracy", "Share of pairs in which the chosen one scores higher."),
    ]
    if spec.margin:
        parts.append(Term("m", "", "The preference's own margin: tiers between the two, times strength."))
    if spec.center:
        parts.append(Term("(r⁺ + r⁻)²", "", "Keeps scores around zero, which a difference alone leaves open."))
    return FormulaCard(
        "Reward model",
        (f"loss = −mean log σ({gap}){center}", "mean = over the pairs of the step"),
        tuple(parts),
        "Bradley–Terry: the preferred completion wins with probability σ(r⁺ − r⁻).",
    )
