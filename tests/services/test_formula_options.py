"""The formula card for every combination of options: a term is shown exactly when it is computed."""

from itertools import product

import pytest

from workbench.domain.metrics import METRICS
from workbench.domain.specs.dpo import DpoSpec
from workbench.domain.specs.grpo import GrpoSpec
from workbench.domain.specs.kinds import Spec
from workbench.domain.specs.online import RewardPart
from workbench.domain.specs.ppo import PpoSpec
from workbench.domain.specs.pretrain import PretrainSpec
from workbench.domain.specs.reward import RewardSpec
from workbench.domain.specs.sft import SftSpec
from workbench.domain.specs.weighted import WeightedSpec
from workbench.services.formula import formula
from workbench.services.formulas.card import FormulaCard

PPO = [
    {"entropy_bonus": e, "missing_eos_penalty": p, "whiten_rewards": w, "value_clip": v, "kl_target": k}
    for e, p, w, v, k in product((0.0, 0.02), (0.0, 1.5), (False, True), (0.0, 0.3), (0.0, 6.0))
]
DPO = [{"label_smoothing": s, "sft_weight": w} for s, w in product((0.0, 0.1), (0.0, 0.5))]
LOSSES = [
    *(DpoSpec.model_validate({"loss": k, "margin_scale": m}) for k, m in product(("sigmoid", "hinge", "ipo", "simpo"), (0, 2))),
    *(DpoSpec.model_validate({"loss": "robust", "label_smoothing": e, "margin_scale": m}) for e, m in product((0, 0.1), (0, 2))),
    DpoSpec(loss="orpo"), DpoSpec(loss="kto"), DpoSpec(loss="ipo", ipo_length_average=False),
]  # fmt: skip
REWARD_LOSSES = ("bradley_terry", "hinge", "mse", "softmax", "plackett_luce")
REWARD = [{"margin": m, "center": c} for m, c in product((False, True), (0.0, 0.02))]
REWARDS = [
    {"loss": kind, "margin": m, "center": c, "pooling": p}
    for kind, m, c, p in product(REWARD_LOSSES, (False, True), (0.0, 0.02), ("last", "mean"))
]
MIX = RewardPart(model_weight=2.0, function="a.b:well", answer_weight=-0.5, pattern="x+")
ALL: list[Spec] = [
    *(PpoSpec(**f) for f in PPO), *(DpoSpec(**f) for f in DPO), *LOSSES, *(RewardSpec(**f) for f in REWARDS), SftSpec(),
    SftSpec(loss_on="assistant", packing=True), PretrainSpec(),
    PretrainSpec(objective="masked"), PretrainSpec(objective="span"),
    *(GrpoSpec(variant=v, beta=b) for v in ("grpo", "dapo", "dr_grpo", "rloo") for b in (0.0, 0.1)), WeightedSpec(),
]  # fmt: skip


def signs(card: FormulaCard) -> set[str]:
    return {part.sign for part in card.parts}


def name(fields: object) -> str:
    return " ".join(f"{k}={v}" for k, v in fields.items()) if isinstance(fields, dict) else str(fields)


@pytest.mark.parametrize("fields", PPO, ids=name)
def test_that_ppo_shows_each_option_exactly_when_it_is_on(fields: dict[str, float]) -> None:
    card = formula(PpoSpec(**fields))
    loss, _, reward, beta, _, value = card.lines
    assert ("− 0.02 · H" in loss) == bool(fields["entropy_bonus"]) == ("H" in signs(card))
    assert (
        ("− 1.5 if y doesn't end by itself" in reward) == bool(fields["missing_eos_penalty"]) == ("end" in signs(card))
    )
    assert reward.endswith("divided by its spread over the rollout") == bool(fields["whiten_rewards"])
    assert ("within ± 0.3 of its old value" in value) == bool(fields["value_clip"])
    assert value.endswith("(V−R)²") != bool(fields["value_clip"])
    assert ("moves towards a KL of 6 nats" in beta) == bool(fields["kl_target"])
    assert beta == "β = 0.05" or fields["kl_target"]


@pytest.mark.parametrize("fields", DPO, ids=name)
def test_that_dpo_shows_each_option_exactly_when_it_is_on(fields: dict[str, float]) -> None:
    card = formula(DpoSpec(**fields))
    assert ("0.9 · log σ(β·h) + 0.1 · log σ(−β·h)" in card.lines[0]) == bool(fields["label_smoothing"])
    assert ("−mean log σ(β·h)" in card.lines[0]) != bool(fields["label_smoothing"])
    assert ("ε" in signs(card)) == bool(fields["label_smoothing"])
    assert (
        card.lines[0].endswith("− 0.5 · mean log π(y⁺ₜ)") == bool(fields["sft_weight"]) == ("log π(y⁺ₜ)" in signs(card))
    )


@pytest.mark.parametrize("spec", LOSSES, ids=lambda s: f"{s.loss} {s.margin_scale} {s.label_smoothing}")
def test_that_each_preference_loss_shows_its_own_terms(spec: DpoSpec) -> None:
    card = formula(spec)
    loss = card.lines[0]
    mark = {
        "sigmoid": "log σ(β·h", "robust": "log σ(β·h", "hinge": "max(0, 1 − ", "ipo": "− 1/(2β))²",
        "orpo": "log odds⁺ − log odds⁻", "simpo": "− γ", "kto": "1 − σ(β·(z − r⁻))",
    }[spec.loss]  # fmt: skip
    assert mark in loss
    assert ("2·m" in loss) == bool(spec.margin_scale) == ("m" in signs(card))
    assert ("ε" in signs(card)) == bool(spec.label_smoothing)
    assert ("π₀" in signs(card)) == spec.needs_reference == any("π₀" in line for line in card.lines)
    assert ("] / 0.8" in loss) == (spec.loss == "robust" and spec.label_smoothing == 0.1)
    assert any(f"β = {spec.beta:g}" in line for line in card.lines)
    assert "arXiv" in card.note


def test_that_ipo_says_whether_it_sums_or_averages_and_kto_what_weighs() -> None:
    assert "mean log π(y⁺ₜ)/π₀(y⁺ₜ)" in formula(DpoSpec(loss="ipo")).lines[1]
    assert "mean log" not in formula(DpoSpec(loss="ipo", ipo_length_average=False)).lines[1]
    assert "3 · (1 − σ(β·(r⁺ − z)))" in formula(DpoSpec(loss="kto", kto_chosen_weight=3.0)).lines[0]
    assert "of (1 − σ(β·(r⁺ − z))) and 0.5 · (" in formula(DpoSpec(loss="kto", kto_rejected_weight=0.5)).lines[0]


@pytest.mark.parametrize("fields", REWARD, ids=name)
def test_that_the_reward_model_shows_each_option_exactly_when_it_is_on(fields: dict[str, float]) -> None:
    card = formula(RewardSpec(**fields))
    assert ("σ(r⁺ − r⁻ − m)" in card.lines[0]) == bool(fields["margin"]) == ("m" in signs(card))
    assert ("σ(r⁺ − r⁻)" in card.lines[0]) != bool(fields["margin"])
    assert ("+ 0.02 · mean (r⁺ + r⁻)²" in card.lines[0]) == bool(fields["center"]) == ("(r⁺ + r⁻)²" in signs(card))


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("bradley_terry", "−mean log σ(r⁺ − r⁻ − m)"),
        ("hinge", "mean max(0, −(r⁺ − r⁻ − m))"),
        ("mse", "mean (r⁺ − r⁻ − m)²"),
        ("softmax", "−mean Σₖ qₖ · log pₖ"),
        ("plackett_luce", "−mean Σₖ (rₖ − log Σⱼ wₖⱼ · exp rⱼ)"),
    ],
)
def test_that_each_loss_of_the_reward_model_has_its_formula(kind: str, words: str) -> None:
    card = formula(RewardSpec(loss=kind, margin=True, margin_scale=0.5, center=0.02, pooling="mean"))
    assert card.lines[0].startswith(f"loss = {words} + 0.02 · mean")
    pairwise = kind in REWARD_LOSSES[:3]
    assert ("m = 0.5 · tiers · strength" in card.lines) == pairwise == ("m" in signs(card))
    assert "the mean over its tokens" in card.parts[0].sentence
    assert len({formula(RewardSpec(loss=other)).note for other in REWARD_LOSSES}) == 5


@pytest.mark.parametrize(("kind", "asked"), [("bradley_terry", False), ("hinge", True), ("mse", True)])
def test_that_hinge_and_squared_margin_ask_for_a_fixed_difference(kind: str, asked: bool) -> None:
    card = formula(RewardSpec(loss=kind, margin_scale=2.5))
    assert ("m = 2.5" in card.lines) == asked == ("m" in signs(card))


@pytest.mark.parametrize("spec", ALL, ids=lambda s: s.kind)
def test_that_brackets_close_signs_are_told_once_and_no_number_is_in_computer_s_hand(spec: Spec) -> None:
    card = formula(spec)
    told = [part.sign for part in card.parts]
    assert len(told) == len(set(told))
    for line in card.lines:
        assert line.count("(") == line.count(")")
        assert line.count("[") == line.count("]")
        assert "None" not in line
        assert "0000000" not in line
        assert "-" not in line, "a minus sign is −, a hyphen is not"


@pytest.mark.parametrize("spec", ALL, ids=lambda s: s.kind)
def test_that_a_plotted_term_names_its_metric_and_another_does_not(spec: Spec) -> None:
    card = formula(spec)
    for part, (sign, words) in zip(card.parts, card.terms, strict=True):
        assert sign == part.sign
        assert words.startswith(part.sentence)
        assert words.endswith(f"Plotted as {part.metric}.") == bool(part.metric)
        assert not part.metric or part.metric in METRICS


@pytest.mark.parametrize(
    ("smoothing", "words"), [(0.005, "0.5%"), (0.1, "10%"), (0.125, "12.5%"), (0.07, "7%"), (0.49, "49%")]
)
def test_that_the_share_of_wrong_labels_is_not_rounded_away(smoothing: float, words: str) -> None:
    sentence = next(p.sentence for p in formula(DpoSpec(label_smoothing=smoothing)).parts if p.sign == "ε")
    assert sentence.startswith(f"{words} of the labels")


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        (PpoSpec(clip=0.3), "clip(ρ, 0.7, 1.3)"),
        (PpoSpec(value_weight=0.25), "+ 0.25 · L_V"),
        (PpoSpec(gamma=0.99, lam=1.0), "γ = 0.99, λ = 1;"),
        (PpoSpec(kl_coefficient=0.0), "β = 0"),
        (PpoSpec(kl_coefficient=0.2, kl_target=0.5), "β starts at 0.2 and moves towards a KL of 0.5 nats"),
        (PpoSpec(ppo_epochs=3, minibatches=2, batch_size=128), "3 passes of 2 optimizer steps over each rollout of 128 completions"),
        (PpoSpec(dual_clip=3.0), "at most −3·A where A < 0"),
        (PpoSpec(kl_penalty="reward_k3"), "rₜ = −β·(e^−d − 1 + d), plus the score"),
        (PpoSpec(kl_penalty="loss_k2"), "· L_V + β · mean ½·d²"),
        (PpoSpec(score_clip=4.0, normalize_scores=True), "centred and scaled by all scores so far, limited to ± 4"),
        (PpoSpec(stop_kl=0.02), "exceeds 0.02"),
        (PpoSpec(reward_model="judge"), "score = r(x, y)"),
        (GrpoSpec(reward_model="judge", rewards=MIX), "score = 2·r(x, y) + well(x, y) − 0.5·[answer] + [pattern]"),
        (GrpoSpec(variant="dapo"), "clip(ρ, 0.8, 1.28)"),
        (GrpoSpec(beta=0.04), "+ 0.04 · (e^−d − 1 + d)"),
        (GrpoSpec(variant="rloo", beta=0.04), "R = score − 0.04 · Σ d"),
        (GrpoSpec(variant="rloo"), "the mean of the other completions"),
        (GrpoSpec(scale="batch", group_size=5), "divided by the spread of the batch,  5 completions"),
        (GrpoSpec(missing_eos_penalty=2.0), "− 2 if y doesn't end by itself"),
        (GrpoSpec(mask_unfinished=True, iterations=3), "are masked. 3 passes"),
        (WeightedSpec(beta=0.25), "softmax(score / (0.25·s))"),
        (WeightedSpec(standardize=False, average="completion"), "meanₜ log π(yₜ)"),
        (WeightedSpec(completions="dataset"), "the candidates of each judged item"),
        (DpoSpec(beta=0.000001), "β = 1e−06"),
        (DpoSpec(beta=100.0), "β = 100"),
        (DpoSpec(sft_weight=1 / 3), "− 0.333333 · mean"),
        (RewardSpec(center=0.3), "+ 0.3 · mean"),
        (PretrainSpec(max_length=2048), "rows of up to 2048 tokens"),
    ],
)  # fmt: skip
def test_that_numbers_stand_as_they_were_chosen(spec: Spec, words: str) -> None:
    card = formula(spec)
    assert words in "\n".join([*card.lines, card.note, *(part.sentence for part in card.parts)])


def test_that_what_the_policy_is_pushed_towards_is_said_with_its_sign() -> None:
    card = formula(PpoSpec())
    assert "max(−A·ρ, −A·clip(ρ, 0.8, 1.2))" in card.lines[0]
    assert card.lines[2].startswith("rₜ = −β·d, plus the score at the last token")
    assert card.lines[1].endswith("d = log π_old(yₜ) − log π₀(yₜ)")
    assert "δₜ = rₜ + γ·Vₜ₊₁ − Vₜ" in card.lines[4]
    dpo = formula(DpoSpec())
    assert dpo.lines[1].startswith("h = log π(y⁺)/π₀(y⁺) − log π(y⁻)/π₀(y⁻)")


def test_that_the_same_options_make_the_same_card() -> None:
    assert formula(PpoSpec(**PPO[7])) == formula(PpoSpec(**PPO[7]))
    assert len({formula(PpoSpec(**fields)) for fields in PPO}) == len(PPO)
