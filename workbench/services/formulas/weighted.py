"""The formula of reward-weighted regression."""

from __future__ import annotations

from workbench.domain.specs.weighted import WeightedSpec
from workbench.services.formulas.card import FormulaCard, Term, number
from workbench.services.formulas.rewards import reward_terms, score_lines


def card(spec: WeightedSpec) -> FormulaCard:
    """Imitation with weights."""
    over = "N = every token of the step" if spec.average == "token" else "N = every completion of the step"
    inner = "Σₜ log π(yₜ)" if spec.average == "token" else "meanₜ log π(yₜ)"
    scaled = f"{number(spec.beta)}·s" if spec.standardize else number(spec.beta)
    where = "the step" if spec.completions == "sampled" else "the dataset"
    origin = (
        f"{spec.group_size} completions that the policy samples for each prompt"
        if spec.completions == "sampled"
        else "the candidates of each judged item"
    )
    lines = [
        f"loss = −(1/N) Σ w(y) · {inner}",
        f"w = K · softmax(score / ({scaled})) within a prompt,  K = its number of completions",
        *score_lines(spec),
        over,
    ]
    parts = [
        Term("y", "", f"What is imitated: {origin}."),
        Term("score", "reward/score", "What a completion gets from all sources."),
        *reward_terms(spec),
        Term("w", "effective_sample_size", "Weight, one on average; how many completions the weights amount to."),
        Term("loss", "loss", "Weighted surprise at the completions; with equal weights that of plain fine-tuning."),
    ]
    if spec.standardize:
        parts.append(Term("s", "reward/std", f"Spread of the scores over {where}."))
    return FormulaCard(
        "Reward-weighted regression",
        tuple(lines),
        tuple(parts),
        "Peters and Schaal 2007. A large β imitates all completions alike, a small one only the best of each prompt.",
    )
