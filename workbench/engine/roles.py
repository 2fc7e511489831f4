"""The four roles of reinforcement learning: policy, reference, reward model, critic; and what they must have in common."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from workbench.domain.errors import BadInput
from workbench.domain.specs.ppo import PpoSpec
from workbench.engine.device import Setup
from workbench.engine.models import Loaded, load_policy, load_reward, make_trainable, without_dropout


class Roles(NamedTuple):
    """Models of one PPO run. `frozen` is the reference's own copy, None where it is the policy with its adapter off."""

    policy: Loaded
    frozen: Any | None
    scorer: Any
    critic: Any

    @contextmanager
    def reference(self) -> Iterator[Any]:
        """The reference, for as long as the context lasts."""
        if self.frozen is not None:
            yield self.frozen
            return
        with self.policy.model.disable_adapter():
            yield self.policy.model


def load_roles(spec: PpoSpec, folder: Path, setup: Setup) -> Roles:
    """Load policy and reward model, and make reference and critic from them. Raises BadInput when they don't fit.

    The reference is the policy as it starts: a frozen copy, or the base below a fresh adapter (an adapter that was trained before
    has been merged into that base on loading). The critic starts as the reward model with its head: its forecasts are off at first,
    but they vary with the text, and it explained some of the returns after four rollouts where an empty head needed ten.
    """
    if not spec.reward_model:
        raise BadInput("PPO needs a reward model, and none was chosen.", "Train a reward model first, then choose it.")
    start = load_policy(spec.base, setup.device, setup.weights(spec.method))
    scorer = load_reward(spec.reward_model, setup.device, setup.frozen)
    same_tokens(start, scorer)
    judge = load_reward(spec.reward_model, setup.device, setup.weights(spec.method))._replace(merged=False)
    # In the policy's own precision, although it is never trained: rounded weights would be another policy, at a KL above zero.
    frozen = None if spec.method == "lora" else copy.deepcopy(start.model).requires_grad_(False)
    policy = make_trainable(start, spec, folder / "base")
    critic = make_trainable(judge, spec, folder / "critic", head=True)
    scorer.model.requires_grad_(False)
    for model in (policy, critic):
        without_dropout(model)
    return Roles(start._replace(model=policy), frozen, scorer.model, critic)


def same_tokens(policy: Loaded, scorer: Loaded) -> None:
    """Raise BadInput unless both models give every token the same id."""
    ours, theirs = policy.tokenizer.get_vocab(), scorer.tokenizer.get_vocab()
    if ours == theirs:
        return
    others = sum(1 for token, index in ours.items() if theirs.get(token) != index)
    raise BadInput(
        f"Policy and reward model have different tokenizers: {others} of {len(ours)} tokens have other ids.",
        "Train the reward model from the same base model as the policy.",
    )
