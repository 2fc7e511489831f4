"""The formula card: the loss as it will be computed with the options chosen, its terms named as in the plots."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from workbench.domain.metrics import METRICS, Metric
from workbench.domain.specs.kinds import DpoSpec, PpoSpec, PretrainSpec, RewardSpec, SftSpec, Spec


class Term(NamedTuple):
    """One term: its sign in the formula, the metric that shows it (empty when none does), and one sentence."""

    sign: str
    metric: str
    sentence: str


@dataclass(frozen=True)
class FormulaCard:
    """A loss for reading. `lines` are plain signs, one equation or condition each; `note` says where it comes from."""

    title: str
    lines: tuple[str, ...]
    parts: tuple[Term, ...]
    note: str

    @property
    def terms(self) -> tuple[tuple[str, str], ...]:
        """Pairs of (term, what it is); a term that is plotted is followed by the name of its metric."""
        return tuple((p.sign, f"{p.sentence} Plotted as {p.metric}." if p.metric else p.sentence) for p in self.parts)


def formula(spec: Spec) -> FormulaCard:
    """The card of a spec."""
    if isinstance(spec, PretrainSpec):
        return _pretrain(spec)
    if isinstance(spec, SftSpec):
        return _sft()
    if isinstance(spec, RewardSpec):
        return _reward(spec)
    if isinstance(spec, DpoSpec):
        return _dpo(spec)
    return _ppo(spec)


def metric_table() -> tuple[Metric, ...]:
    """Every metric with its sentence, unit and good direction."""
    return tuple(METRICS.values())


_IMITATION = (
    Term("−log π(yₜ)", "loss", "How surprised the model is by each token that it should have said, in nats."),
    Term("exp(loss)", "perplexity", "Among how many equally likely tokens the model is in doubt."),
    Term("argmax", "token_accuracy", "Share of tokens that the model would have put first."),
)


def _pretrain(spec: PretrainSpec) -> FormulaCard:
    return FormulaCard(
        "Next-token prediction",
        ("loss = −(1/N) Σₜ log π(xₜ | x₁ … xₜ₋₁)", "N = every token of the step but the first of each document"),
        (Term("x", "", f"Documents, packed into rows of up to {spec.max_length} tokens that don't see each other."), *_IMITATION),
        "Cross-entropy; the mean is over the tokens of the whole step, so micro-batches change nothing.",
    )  # fmt: skip


def _sft() -> FormulaCard:
    return FormulaCard(
        "Supervised fine-tuning",
        ("loss = −(1/N) Σₜ log π(yₜ | x, y₁ … yₜ₋₁)", "N = every completion token of the step"),
        (
            Term("x, y", "", "Prompt and completion of a demonstration; only the completion is learned, its end included."),
            *_IMITATION,
        ),
        "Cross-entropy; the mean is over the tokens of the whole step, so micro-batches change nothing.",
    )  # fmt: skip


def _reward(spec: RewardSpec) -> FormulaCard:
    gap = "r⁺ − r⁻ − m" if spec.margin else "r⁺ − r⁻"
    center = f" + {_n(spec.center)} · mean (r⁺ + r⁻)²" if spec.center else ""
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


def _dpo(spec: DpoSpec) -> FormulaCard:
    beta, eps = _n(spec.beta), spec.label_smoothing
    if eps:
        loss = f"loss = −mean [ {_n(1 - eps)} · log σ(β·h) + {_n(eps)} · log σ(−β·h) ]"
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
        parts.append(Term("ε", "", f"{_n(eps * 100)}% of the labels are taken to be wrong (conservative DPO)."))
    if spec.sft_weight:
        lines[0] += f" − {_n(spec.sft_weight)} · mean log π(y⁺ₜ)"
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


def _ppo(spec: PpoSpec) -> FormulaCard:
    low, high = _n(1 - spec.clip), _n(1 + spec.clip)
    entropy = f" − {_n(spec.entropy_bonus)} · H" if spec.entropy_bonus else ""
    ended = f" − {_n(spec.missing_eos_penalty)} if y doesn't end by itself" if spec.missing_eos_penalty else ""
    scaled = ", divided by its spread over the rollout" if spec.whiten_rewards else ""
    clipped = f"the larger of (V−R)² and the same with V within ± {_n(spec.value_clip)} of its old value"
    value = clipped if spec.value_clip else "(V−R)²"
    beta = (
        f"β starts at {_n(spec.kl_coefficient)} and moves towards a KL of {_n(spec.kl_target)} nats"
        if spec.kl_target
        else f"β = {_n(spec.kl_coefficient)}"
    )
    return FormulaCard(
        "Proximal policy optimisation",
        (
            f"loss = mean max(−A·ρ, −A·clip(ρ, {low}, {high})) + {_n(spec.value_weight)} · L_V{entropy}",
            "ρ = π(yₜ) / π_old(yₜ)",
            f"rₜ = −β·(log π_old(yₜ) − log π₀(yₜ)), plus the score at the last token{ended}{scaled}",
            beta,
            f"A = Σₖ (γλ)ᵏ δₜ₊ₖ,  δₜ = rₜ + γ·Vₜ₊₁ − Vₜ,  γ = {_n(spec.gamma)}, λ = {_n(spec.lam)};  then whitened",
            f"R = A + V;  L_V = ½ · mean of {value}",
        ),
        _ppo_parts(spec),
        f"Schulman et al. 2017, arXiv 1707.06347. {spec.ppo_epochs} passes of {spec.minibatches} optimizer steps over each rollout of "
        f"{spec.batch_size} completions.",
    )  # fmt: skip


def _ppo_parts(spec: PpoSpec) -> tuple[Term, ...]:
    parts = [
        Term("score", "reward/score", "What the reward model gives to a sampled completion."),
        Term("Σ rₜ", "reward/total", "Score less penalties: what is in fact made large."),
        Term("log π_old/π₀", "kl/k1", "How far the policy has gone from where it started, summed over a completion."),
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


def _n(value: float) -> str:
    return f"{value:.6g}".replace("-", "−")
