"""The formulas of direct preference optimisation and of the losses that take the same pairs."""

from __future__ import annotations

from workbench.domain.specs.dpo import DpoSpec
from workbench.services.formulas.card import FormulaCard, Term, number

_DPO = "Rafailov et al. 2023, arXiv 2305.18290. Both rewards may fall; what counts is the margin between them."
_TITLES = {
    "sigmoid": "Direct preference optimisation",
    "robust": "Robust preference optimisation",
    "hinge": "Preference optimisation with a hinge",
    "ipo": "Identity preference optimisation",
    "orpo": "Odds-ratio preference optimisation",
    "simpo": "Simple preference optimisation",
    "kto": "Kahneman–Tversky optimisation",
}
_NOTES = {
    "sigmoid": _DPO,
    "robust": "Chowdhury et al. 2024, arXiv 2403.00409: unbiased although a known share of the labels is wrong.",
    "hinge": "Zhao et al. 2023, arXiv 2305.10425, with a reference: pairs that are apart by 1 teach nothing more.",
    "ipo": "Azar et al. 2023, arXiv 2310.12036: the log-ratios are to differ by 1/(2β) and no more.",
    "orpo": "Hong et al. 2024, arXiv 2403.07691. No reference: imitation and preference in one, usually with β = 0.1.",
    "simpo": "Meng et al. 2024, arXiv 2405.14734. No reference: usually with β of 2 to 2.5 and a γ of about half of that.",
    "kto": "Ethayarajh et al. 2024, arXiv 2402.01306: each completion by itself; z is taken over the whole step.",
}
_WRONG = {"sigmoid": "conservative DPO", "robust": "the loss is freed of what they add"}


def card(spec: DpoSpec) -> FormulaCard:
    """The loss on pairs with its options."""
    if spec.loss == "kto":
        lines, parts = _kto(spec)
    elif spec.needs_reference:
        lines, parts = _with_reference(spec)
    else:
        lines, parts = _without_reference(spec)
    if spec.margin_scale:
        parts.append(
            Term("m", "", "How strong the preference is, as it was labelled: stronger ones have to be further apart.")
        )
    if spec.sft_weight:
        lines[0] += f" − {number(spec.sft_weight)} · mean log π(y⁺ₜ)"
        parts.append(
            Term(
                "log π(y⁺ₜ)", "logps/chosen", "Imitation of the chosen completion, so that it doesn't become unlikely."
            )
        )
    return FormulaCard(_TITLES[spec.loss], tuple(lines), tuple(parts), _NOTES[spec.loss])


def _with_reference(spec: DpoSpec) -> tuple[list[str], list[Term]]:
    beta, eps = number(spec.beta), spec.label_smoothing
    ahead, behind = "β·h", "−β·h"
    if spec.margin_scale:
        ahead = f"β·h − {number(spec.margin_scale)}·m"
        behind = f"{number(spec.margin_scale)}·m − β·h"
    right, wrong = f"{number(1 - eps)} · log σ({ahead})", f"{number(eps)} · log σ({behind})"
    if spec.loss == "hinge":
        loss = f"loss = mean max(0, 1 − ({ahead}))" if spec.margin_scale else "loss = mean max(0, 1 − β·h)"
    elif spec.loss == "ipo":
        loss = (
            f"loss = mean (h − {number(spec.margin_scale)}·m/β − 1/(2β))²"
            if spec.margin_scale
            else "loss = mean (h − 1/(2β))²"
        )
    elif not eps:
        loss = f"loss = −mean log σ({ahead})"
    elif spec.loss == "sigmoid":
        loss = f"loss = −mean [ {right} + {wrong} ]"
    else:
        loss = f"loss = −mean [ {right} − {wrong} ] / {number(1 - 2 * eps)}"
    ratios = "h = log π(y⁺)/π₀(y⁺) − log π(y⁻)/π₀(y⁻)"
    if spec.loss == "ipo" and spec.ipo_length_average:
        ratios = "h = mean log π(y⁺ₜ)/π₀(y⁺ₜ) − mean log π(y⁻ₜ)/π₀(y⁻ₜ)"
    summed = "mean over its tokens" if spec.loss == "ipo" and spec.ipo_length_average else "summed over its tokens"
    parts = [
        Term("h", "rewards/margin", "How much more the policy has moved towards the chosen completion than towards the rejected."),
        Term("β·log π/π₀ (y⁺)", "rewards/chosen", f"Implicit reward of the chosen completion; {summed}."),
        Term("β·log π/π₀ (y⁻)", "rewards/rejected", "Implicit reward of the rejected completion."),
        Term("h > 0", "rewards/accuracy", "Share of pairs that the policy now orders rightly against its reference."),
        Term("π₀", "kl", "The policy as it was at the start; it doesn't move."),
    ]  # fmt: skip
    if eps:
        parts.append(Term("ε", "", f"{number(eps * 100)}% of the labels are taken to be wrong ({_WRONG[spec.loss]})."))
    return [loss, f"{ratios},  β = {beta}"], parts


def _without_reference(spec: DpoSpec) -> tuple[list[str], list[Term]]:
    lines = ["", "ℓ⁺ = mean log π(y⁺ₜ),  ℓ⁻ = mean log π(y⁻ₜ)"]
    parts = [
        Term("ℓ⁺", "rewards/chosen", "Mean log-probability of the chosen completion's tokens; plotted times β."),
        Term("ℓ⁻", "rewards/rejected", "Mean log-probability of the rejected completion's tokens; plotted times β."),
        Term("ℓ⁺ − ℓ⁻", "rewards/margin", "How much likelier a token of the chosen completion is; plotted times β."),
        Term("ℓ⁺ > ℓ⁻", "rewards/accuracy", "Share of pairs whose chosen completion is the likelier one, by token."),
    ]
    if spec.loss == "orpo":
        lines[0] = f"loss = −mean ℓ⁺ − {number(spec.beta)} · mean log σ(log odds⁺ − log odds⁻)"
        lines.append(f"log odds = ℓ − log(1 − exp ℓ),  β = {number(spec.beta)}")
        parts.append(Term("odds", "", "How much likelier than not a completion is, by its mean token."))
    else:
        margin = f" − {number(spec.margin_scale)}·m" if spec.margin_scale else ""
        lines[0] = f"loss = −mean log σ(β·(ℓ⁺ − ℓ⁻) − γ{margin})"
        lines[1] += f",  β = {number(spec.beta)},  γ = {number(spec.simpo_gamma)}"
        parts.append(Term("γ", "", "By how much the chosen completion has to be ahead."))
    return lines, parts


def _kto(spec: DpoSpec) -> tuple[list[str], list[Term]]:
    up, down = (number(w) + " · " if w != 1 else "" for w in (spec.kto_chosen_weight, spec.kto_rejected_weight))
    lines = [
        f"loss = mean over both of {up}(1 − σ(β·(r⁺ − z))) and {down}(1 − σ(β·(z − r⁻)))",
        f"r = log π(y)/π₀(y),  z = max(0, mean r of mismatched completions),  β = {number(spec.beta)}",
    ]
    parts = [
        Term("r⁺", "rewards/chosen", "Log-ratio of the chosen, desirable completion; plotted times β."),
        Term("r⁻", "rewards/rejected", "Log-ratio of the rejected, undesirable completion; plotted times β."),
        Term("r⁺ − r⁻", "rewards/margin", "How far apart the sides are; plotted times β."),
        Term("z", "", "What a completion of another prompt has gained: how far the policy has moved altogether."),
        Term("π₀", "kl", "The policy as it was at the start; it doesn't move."),
    ]
    return lines, parts
