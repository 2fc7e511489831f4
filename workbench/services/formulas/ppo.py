"""The formula of proximal policy optimisation."""

from __future__ import annotations

from workbench.domain.specs.ppo import PpoSpec
from workbench.services.formulas.card import FormulaCard, Term, number
from workbench.services.formulas.rewards import reward_terms, score_lines


def card(spec: PpoSpec) -> FormulaCard:
    """Policy and value loss with their options."""
    low, high = number(1 - spec.clip), number(1 + spec.clip)
    entropy = f" − {number(spec.entropy_bonus)} · H" if spec.entropy_bonus else ""
    ended = f" − {number(spec.missing_eos_penalty)} if y doesn't end by itself" if spec.missing_eos_penalty else ""
    limited = f", limited to ± {number(spec.score_clip)}" if spec.score_clip else ""
    usual = ", centred and scaled by all scores so far" if spec.normalize_scores else ""
    kind = spec.kl_penalty[-2:]
    distance = {"k1": "d", "k2": "½·d²", "k3": "(e^−d − 1 + d)"}[kind]
    inside = spec.kl_penalty.startswith("reward")
    held = "" if inside else f" + β · mean {distance}"
    penalty = f"−β·{distance}, plus " if inside else ""
    dual = f", at most −{number(spec.dual_clip)}·A where A < 0" if spec.dual_clip else ""
    stop = f" They end early once the KL of a minibatch exceeds {number(spec.stop_kl)}." if spec.stop_kl else ""
    scaled = ", divided by its spread over the rollout" if spec.whiten_rewards else ""
    clipped = f"the larger of (V−R)² and the same with V within ± {number(spec.value_clip)} of its old value"
    value = clipped if spec.value_clip else "(V−R)²"
    beta = (
        f"β starts at {number(spec.kl_coefficient)} and moves towards a KL of {number(spec.kl_target)} nats"
        if spec.kl_target
        else f"β = {number(spec.kl_coefficient)}"
    )
    return FormulaCard(
        "Proximal policy optimisation",
        (
            f"loss = mean max(−A·ρ, −A·clip(ρ, {low}, {high})){dual} + {number(spec.value_weight)} · L_V{entropy}{held}",
            f"ρ = π(yₜ) / π_old(yₜ),  d = log {'π_old' if inside else 'π'}(yₜ) − log π₀(yₜ)",
            f"rₜ = {penalty}the score at the last token{usual}{limited}{ended}{scaled}",
            beta,
            f"A = Σₖ (γλ)ᵏ δₜ₊ₖ,  δₜ = rₜ + γ·Vₜ₊₁ − Vₜ,  γ = {number(spec.gamma)}, λ = {number(spec.lam)};  then whitened",
            f"R = A + V;  L_V = ½ · mean of {value}",
            *score_lines(spec),
        ),
        _ppo_parts(spec),
        f"Schulman et al. 2017, arXiv 1707.06347. {spec.ppo_epochs} passes of {spec.minibatches} optimizer steps over each rollout of "
        f"{spec.batch_size} completions.{stop}",
    )  # fmt: skip


def _ppo_parts(spec: PpoSpec) -> tuple[Term, ...]:
    parts = [
        Term("score", "reward/score", "What a sampled completion gets from all sources."),
        *reward_terms(spec),
        Term("Σ rₜ", "reward/total", "Score less penalties: what is in fact made large."),
        Term("d", "kl/k1", "How far the policy has gone from where it started, summed over a completion."),
        Term("β", "kl/beta", "Weight of that distance."),
        Term("ρ", "policy/clip_fraction", "Ratio of new to old probability of a token; beyond the clip it earns nothing more."),
        Term("A", "advantage/mean", "How much better a token did than the critic expected."),
        Term("V", "value/explained_variance", "The critic's forecast of the rewards to come."),
        Term("L_V", "value/loss", "The critic's squared error."),
    ]  # fmt: skip
    if spec.entropy_bonus:
        parts.append(Term("H", "policy/entropy", "Entropy of the policy; its bonus keeps it exploring."))
    if spec.missing_eos_penalty:
        parts.append(Term("end", "length/eos_rate", "Share of completions that end before the length limit."))
    return tuple(parts)
