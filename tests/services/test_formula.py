import pytest

from workbench.domain.metrics import METRICS
from workbench.domain.specs.dpo import DpoSpec
from workbench.domain.specs.judge import JudgeSpec
from workbench.domain.specs.kinds import SPECS, Spec
from workbench.domain.specs.ppo import PpoSpec
from workbench.domain.specs.pretrain import PretrainSpec
from workbench.domain.specs.revise import ReviseSpec
from workbench.domain.specs.reward import RewardSpec
from workbench.domain.specs.sft import SftSpec
from workbench.services.formula import formula

VARIANTS: list[Spec] = [
    *(spec() for spec in SPECS.values()),
    JudgeSpec(judge="rule"),
    JudgeSpec(confidence=0.8, calibrate=True),
    ReviseSpec(temperature=0.0, pairs="", principles_file="rules.txt"),
    RewardSpec(margin=True, center=0.0),
    DpoSpec(label_smoothing=0.1, sft_weight=0.5),
    PpoSpec(kl_target=6.0, entropy_bonus=0.01, missing_eos_penalty=0.0, whiten_rewards=True, value_clip=0.0),
]


def text(spec: Spec) -> str:
    card = formula(spec)
    return "\n".join([card.title, *card.lines, card.note, *(f"{a} {b}" for a, b in card.terms)])


@pytest.mark.parametrize("spec", VARIANTS, ids=lambda s: s.kind)
def test_that_every_card_has_a_title_a_loss_terms_and_a_note(spec: Spec) -> None:
    card = formula(spec)
    assert card.title
    assert card.lines[0].startswith("loss = ") or spec.kind in {
        "judge",
        "revise",
        "score",
        "study",
    }  # those learn nothing
    assert len(card.parts) >= 3
    assert card.note.endswith(".")
    assert all(sign and words.endswith(".") for sign, words in card.terms)


@pytest.mark.parametrize("spec", VARIANTS, ids=lambda s: s.kind)
def test_that_a_term_s_metric_is_one_of_the_plots(spec: Spec) -> None:
    for part in formula(spec).parts:
        assert part.metric == "" or part.metric in METRICS


def test_that_every_metric_has_a_sentence_and_a_direction() -> None:
    assert all(entry.sentence.endswith(".") and entry.good in {"up", "down", "none"} for entry in METRICS.values())


def test_that_the_options_chosen_stand_in_the_loss() -> None:
    assert "− m" not in text(RewardSpec())
    assert "r⁺ − r⁻ − m" in text(RewardSpec(margin=True))
    assert "0.01 · mean (r⁺ + r⁻)²" in text(RewardSpec())
    assert "mean (r⁺" not in text(RewardSpec(center=0.0))
    assert "β = 0.3" in text(DpoSpec(beta=0.3))
    assert "0.9 · log σ(β·h) + 0.1 · log σ(−β·h)" in text(DpoSpec(label_smoothing=0.1))
    assert "0.5 · mean log π(y⁺ₜ)" in text(DpoSpec(sft_weight=0.5))
    assert "log π(y⁺ₜ)" not in text(DpoSpec())


def test_that_the_cards_of_feedback_say_what_counts_and_what_is_kept() -> None:
    assert "P̄ > 0.8" in text(JudgeSpec(confidence=0.8))
    assert "P̄ >" not in text(JudgeSpec())
    assert "ℓ(x, x)" in text(JudgeSpec(calibrate=True))
    assert "s(a) − s(b) ≤ 0.5" in text(JudgeSpec(judge="rule", tie_margin=0.5))
    assert "log-probabilities" not in text(JudgeSpec(judge="rule"))
    assert "i = 1 … 3;  kᵢ one of 2" in text(ReviseSpec(rounds=3, principles="a\n# b\nc"))
    assert "kept: (x, yₙ) and yₙ ≻ y₀" in text(ReviseSpec())
    assert "kept: yₙ ≻ y₀" in text(ReviseSpec(demonstrations=""))


def test_that_ppo_shows_its_clip_its_penalties_and_its_controller() -> None:
    card = text(PpoSpec(clip=0.1))
    assert "clip(ρ, 0.9, 1.1)" in card
    assert "β = 0.05" in card
    assert "if y doesn't end by itself" in card
    assert "H" not in formula(PpoSpec()).lines[0]
    other = text(PpoSpec(kl_target=6.0, entropy_bonus=0.01, missing_eos_penalty=0.0, value_clip=0.0))
    assert "moves towards a KL of 6 nats" in other
    assert "− 0.01 · H" in other
    assert "doesn't end" not in other
    assert "larger of" not in other


def test_that_imitation_says_whose_tokens_count() -> None:
    assert "every completion token" in text(SftSpec())
    assert "rows of up to 256 tokens" in text(PretrainSpec(max_length=256))
