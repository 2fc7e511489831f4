"""The formulas of a reward model."""

from __future__ import annotations

from workbench.domain.specs.reward import PAIRWISE, RewardSpec
from workbench.services.formulas.card import FormulaCard, Term, number

NOTES = {
    "bradley_terry": "Bradley–Terry: the preferred completion wins with probability σ(r⁺ − r⁻).",
    "hinge": "Hinge: a pair teaches nothing more once its difference has reached the margin.",
    "mse": "Squared margin: the difference is to be the margin, no less and no more.",
    "softmax": "The best of K, as in Ziegler et al. 2019: completions that tie for the best share the probability.",
    "plackett_luce": "Plackett–Luce: the best is drawn first, then the best of the rest; for two completions it is Bradley–Terry. "
    "Ties as Efron (1977) treats them.",
}
READ = {
    "last": "read at its last token",
    "mean": "the mean over its tokens",
    "eos": "read at an end token, added where it was cut off",
}


def card(spec: RewardSpec) -> FormulaCard:
    """The loss chosen, with its options."""
    pairwise = spec.loss in PAIRWISE
    lines, parts = _pairwise(spec) if pairwise else _listwise(spec)
    parts += [
        Term(
            "r⁺ − r⁻",
            "margin",
            "How far the better one of a pair is ahead; σ of it is the chance that it is preferred.",
        ),
        Term("r⁺ > r⁻", "accuracy", "Share of pairs in which the better one scores higher."),
    ]
    if spec.center:
        sign = "(r⁺ + r⁻)²" if pairwise else "(2·mean r)²"
        parts.append(Term(sign, "", "Keeps scores around zero, which a difference alone leaves open."))
    return FormulaCard("Reward model", lines, tuple(parts), NOTES[spec.loss])


def _pairwise(spec: RewardSpec) -> tuple[tuple[str, ...], list[Term]]:
    plain = spec.loss == "bradley_terry" and not spec.margin
    gap = "r⁺ − r⁻" if plain else "r⁺ − r⁻ − m"
    loss = {"bradley_terry": f"−mean log σ({gap})", "hinge": f"mean max(0, −({gap}))", "mse": f"mean ({gap})²"}[
        spec.loss
    ]
    center = f" + {number(spec.center)} · mean (r⁺ + r⁻)²" if spec.center else ""
    lines = [f"loss = {loss}{center}", "mean = over the pairs of each item, then over the items of the step"]
    parts = [
        Term(
            "r⁺, r⁻", "chosen_reward", f"Scores of the better and the worse completion of a pair, {READ[spec.pooling]}."
        )
    ]
    if not plain:
        scale = number(spec.margin_scale)
        told = "the preference's own margin: tiers between the two, times strength"
        words = told if spec.margin else "the same for every pair"
        lines.append(f"m = {scale} · tiers · strength" if spec.margin else f"m = {scale}")
        parts.append(Term("m", "", f"The difference that is asked for, {words}."))
    return tuple(lines), parts


def _listwise(spec: RewardSpec) -> tuple[tuple[str, ...], list[Term]]:
    center = f" + {number(spec.center)} · mean (2·mean r)²" if spec.center else ""
    where = READ[spec.pooling]
    if spec.loss == "softmax":
        lines = [f"loss = −mean Σₖ qₖ · log pₖ{center}", "pₖ = exp rₖ / Σⱼ exp rⱼ"]
        parts = [
            Term("rₖ", "chosen_reward", f"Score of completion k, {where}; plotted over pairs."),
            Term("qₖ", "", "1 for the best completion; those that tie for it share it; 0 for all others."),
        ]
    else:
        lines = [
            f"loss = −mean Σₖ (rₖ − log Σⱼ wₖⱼ · exp rⱼ){center}",
            "k = best first, j = k and all that are not yet drawn",
        ]
        parts = [
            Term("rₖ", "chosen_reward", f"Score of the completion in place k, {where}; plotted over pairs."),
            Term("wₖⱼ", "", "1; less within a tie, whose members' share shrinks evenly from 1 as they are drawn."),
        ]
    return (*lines, "mean = over the judgements of each item, then over the items of the step"), parts
