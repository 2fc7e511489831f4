"""What the tour does, as data: the specs of its four runs, sized for two processor cores and five minutes."""

from __future__ import annotations

from workbench.domain.specs.dpo import DpoSpec
from workbench.domain.specs.ppo import PpoSpec
from workbench.domain.specs.reward import RewardSpec
from workbench.domain.specs.sft import SftSpec

MAX_NEW_TOKENS = 112
LENGTH = 160


def sft_spec(base: str, data: str = "demonstrations", seed: int = 0) -> SftSpec:
    """Imitate the kit's demonstrations."""
    return SftSpec(
        name="tour-sft", base=base, data=data, seed=seed, epochs=4.0, batch_size=16, learning_rate=1e-3, max_length=LENGTH,
        eval_every=20, checkpoint_every=50, sample_every=40,
    )  # fmt: skip


def reward_spec(base: str, data: str = "rankings", seed: int = 0) -> RewardSpec:
    """Learn the preference behind the kit's rankings."""
    return RewardSpec(
        name="tour-reward", base=base, data=data, seed=seed, epochs=2.0, batch_size=12, learning_rate=5e-4, max_length=LENGTH,
        eval_every=25, checkpoint_every=50, holdout=0.1,
    )  # fmt: skip


def dpo_spec(base: str, data: str = "rankings", seed: int = 0) -> DpoSpec:
    """Prefer what was preferred, directly."""
    return DpoSpec(
        name="tour-dpo", base=base, data=data, seed=seed, epochs=1.5, batch_size=32, learning_rate=2e-4, beta=0.1, max_length=LENGTH,
        eval_every=25, checkpoint_every=50, sample_every=40,
    )  # fmt: skip


def ppo_spec(base: str, reward_model: str, data: str = "prompts", seed: int = 0) -> PpoSpec:
    """Write stories that the reward model likes, near the SFT model."""
    return PpoSpec(
        name="tour-ppo", base=base, reward_model=reward_model, data=data, seed=seed, max_steps=28, epochs=100.0, batch_size=64,
        minibatches=2, ppo_epochs=2, learning_rate=3e-4, critic_learning_rate=5e-4, max_new_tokens=MAX_NEW_TOKENS, max_length=256,
        kl_coefficient=0.03, eval_every=10, checkpoint_every=20, sample_every=10,
    )  # fmt: skip
