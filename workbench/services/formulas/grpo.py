"""The formula of group-relative policy optimisation."""

from __future__ import annotations

from workbench.domain.specs.grpo import GrpoSpec
from workbench.services.formulas.card import FormulaCard, Term, number
from workbench.services.formulas.rewards import reward_terms, score_lines

_MEAN = {
    "grpo": "mean over completions of the mean over their tokens",
    "dapo": "mean over all tokens of the step",
    "dr_grpo": "sum over tokens, divided by completions times the length limit",
    "rloo": "sum over tokens, divided by completions",
}
_SOURCE = {
    "grpo": "Shao et al. 2024, arXiv 2402.03300",
    "dapo": "Yu et al. 2025, arXiv 2503.14476",
    "dr_grpo": "Liu et al. 2025, arXiv 2503.20783",
    "rloo": "Ahmadian et al. 2024, arXiv 2402.14740",
}


def card(spec: GrpoSpec) -> FormulaCard:
    """The clipped loss with the variant's average."""
    leave_out = spec.variant == "rloo"
    inside = f" + {number(spec.beta)} · (e^−d − 1 + d)" if spec.beta and not leave_out else ""
    penalties = f" − {number(spec.missing_eos_penalty)} if y doesn't end by itself" if spec.missing_eos_penalty else ""
    if leave_out and spec.beta:
        penalties += f" − {number(spec.beta)} · Σ d"
    against = "the mean of the other completions" if leave_out else "the mean of the group"
    divided = {"group": ", divided by the group's spread", "batch": ", divided by the spread of the batch", "none": ""}
    lines = [
        f"loss = mean [ max(−A·ρ, −A·clip(ρ, {number(1 - spec.clip_low)}, {number(1 + spec.upper)})){inside} ]",
        f"mean = {_MEAN[spec.variant]}",
        "ρ = π(yₜ) / π_old(yₜ)" + (",  d = log π(yₜ) − log π₀(yₜ)" if spec.beta else ""),
        f"A = R less {against}{divided[spec.spread]},  {spec.group_size} completions to each prompt",
        f"R = score{penalties}",
        *score_lines(spec),
    ]
    masked = " Completions that don't end by themselves are masked." if spec.mask_unfinished else ""
    passes = "" if spec.iterations == 1 else f" {spec.iterations} passes over each rollout."
    note = f"{_SOURCE[spec.variant]}. Groups in which all fare alike are skipped.{masked}{passes} The loss starts near 0 and says little."
    return FormulaCard("Group-relative policy optimisation", tuple(lines), _parts(spec), note)


def _parts(spec: GrpoSpec) -> tuple[Term, ...]:
    parts = [
        Term("score", "reward/score", "What a sampled completion gets from all sources."),
        *reward_terms(spec),
        Term("spread", "reward/zero_std_groups", "Share of prompts whose completions all fare alike and teach nothing."),
        Term("ρ", "policy/clip_fraction", "Ratio of new to old probability of a token; beyond the clip it earns nothing more."),
    ]  # fmt: skip
    if spec.beta:
        parts.append(Term("d", "kl/k3", "How far the policy has gone from where it started, summed over a completion."))
    if spec.missing_eos_penalty or spec.mask_unfinished:
        parts.append(Term("end", "length/eos_rate", "Share of completions that end before the length limit."))
    return tuple(parts)
